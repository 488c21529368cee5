//! The gate of a pipeline: whether load lies less evenly on the workers than it did [R-T7].
//!
//! ```text
//! file (our JSON, CSV, what `lab` printed) ── read ──┐
//! a running gateway's admin API ── record ── file    ├── Run, baseline ── judge ── checks ── table, JSON, JUnit, exit code
//! ```
//! It fails when the spread of the relative loads (`w_adj`), at its upper 95 % bound, exceeds the limit **and** the
//! spread grew by more than 0.05 since the baseline. So neither an old imbalance nor a lucky baseline fails a change, and
//! what cannot be told is said to be so: [`Verdict::Inconclusive`].

mod judge;
mod junit;
mod lab;
mod read;
mod record;
mod table;

use serde::{Deserialize, Serialize};

pub(crate) use judge::{Check, Figures, Limits, Report, Verdict, judge};
pub(crate) use junit::junit;
pub(crate) use read::read;
pub(crate) use record::record;
pub(crate) use table::text;

/// What was counted in one run; also the form of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    /// Of the form: 1.
    #[serde(default = "version")]
    pub(crate) schema_version: u32,
    /// What was counted, by pool.
    pub(crate) pools: Vec<PoolRun>,
}

/// What was counted in one pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PoolRun {
    pub(crate) name: String,
    /// Why the figures say nothing about the workers, if they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) doubt: Option<String>,
    pub(crate) workers: Vec<WorkerRun>,
    /// The same requests, by stretches of equal length and by worker in the order of `workers`: they tell how far
    /// requests came in bunches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) windows: Vec<Vec<u64>>,
    /// Workers that were not counted, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) left_out: Vec<String>,
    /// 99th percentile of latency, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ms: Option<f64>,
    /// Share of the requests that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failed: Option<f64>,
}

/// What was counted of one worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkerRun {
    pub(crate) name: String,
    pub(crate) requests: u64,
    /// How much it can carry, beside the others; alike when nothing is said.
    #[serde(default = "alike")]
    pub(crate) capacity: f64,
}

impl Run {
    /// A run of these pools.
    pub(crate) fn of(pools: Vec<PoolRun>) -> Self {
        Self { schema_version: version(), pools }
    }

    /// Says what of it cannot be.
    pub(crate) fn problem(&self) -> Option<String> {
        if self.schema_version != version() {
            return Some(format!("schema_version {} is not known: this program reads 1", self.schema_version));
        }
        if self.pools.is_empty() {
            return Some("no pool was counted".to_owned());
        }
        let twice =
            twice(self.pools.iter().map(|pool| &*pool.name)).map(|name| format!("pool `{name}` is there twice"));
        twice.or_else(|| self.pools.iter().find_map(PoolRun::problem))
    }
}

impl PoolRun {
    fn problem(&self) -> Option<String> {
        let Self { name, workers, windows, p99_ms, failed, .. } = self;
        if workers.is_empty() && self.left_out.is_empty() {
            return Some(format!("pool `{name}` has no workers"));
        }
        if let Some(worker) = twice(workers.iter().map(|worker| &*worker.name)) {
            return Some(format!("worker `{worker}` of pool `{name}` is there twice"));
        }
        let carries = |worker: &&WorkerRun| !(worker.capacity.is_finite() && worker.capacity > 0.0);
        if let Some(WorkerRun { name: worker, capacity, .. }) = workers.iter().find(carries) {
            return Some(format!("worker `{worker}` of pool `{name}` has capacity {capacity}: it must be over 0"));
        }
        if let Some(at) = windows.iter().position(|row| row.len() != workers.len()) {
            let (have, want) = (windows[at].len(), workers.len());
            return Some(format!("window {at} of pool `{name}` has {have} counts for {want} workers"));
        }
        if failed.is_some_and(|failed| !(0.0..=1.0).contains(&failed)) {
            return Some(format!("`failed` of pool `{name}` is a share, from 0 to 1"));
        }
        p99_ms
            .is_some_and(|millis| millis.is_nan() || millis < 0.0)
            .then(|| format!("`p99_ms` of pool `{name}` is no time"))
    }

    /// Requests of all workers.
    pub(crate) fn requests(&self) -> u64 {
        self.workers.iter().map(|worker| worker.requests).fold(0, u64::saturating_add)
    }
}

/// A name that comes twice.
fn twice<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = std::collections::BTreeSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

const fn version() -> u32 {
    1
}

const fn alike() -> f64 {
    1.0
}
