//! A coordinator's pools as looks: what each worker carries between two questions, and what of a finding is a worker there.
//!
//! Load is what the finding is about: of `requests` how many tries workers had; of `busy time`, `in flight` and `connections` the time that
//! they were busy with tries (how many, times their mean latency); of all else the utilization that they report, where all of them do,
//! else the time again. Workers count as alike. What is counted takes enough tries: of a spread of 0.25 chance is a tenth then.

use std::collections::BTreeMap;
use std::fmt::Debug;

use ambidex_control::Order;
use ambidex_control::doctor::Observer;
use ambidex_core::review::{Look, Part};
use serde_json::{Value, json};

use super::{ReviewError, now};
use crate::api::{Api, escaped};

/// A worker of a coordinator.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) pool: String,
    pub(crate) worker: String,
    /// In force, in fair shares.
    pub(crate) weight: f64,
    /// What an operator fixed.
    pub(crate) pinned: Option<f64>,
    /// Whether it gets requests.
    serving: bool,
    /// How many others of the pool do.
    others: usize,
}

impl Place {
    /// Whether its requests can go to others, and whether it would be seen what those make of them.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn drainable(&self) -> Result<(), ReviewError> {
        let Self { pool, worker, others, .. } = self;
        if !self.serving {
            return Err(ReviewError::Wrong(format!(
                "{worker} of pool `{pool}` gets no requests as it is: nothing is left to drain"
            )));
        }
        if *others < LEAST_OTHERS {
            return Err(ReviewError::Wrong(format!(
                "pool `{pool}` has {others} other workers that serve: a drain that is watched leaves at least {LEAST_OTHERS}"
            )));
        }
        Ok(())
    }
}

/// Where a coordinator's pools are asked and its workers ordered: through its admin API, or within its process.
pub(crate) trait Reach: Debug {
    /// Its pools, as `/api/v1/pools` tells them.
    fn pools(&self) -> Result<Vec<Value>, ReviewError>;

    /// Orders something of a worker.
    fn order(&self, pool: &str, worker: &str, order: Order) -> Result<(), ReviewError>;
}

impl Reach for Api {
    fn pools(&self) -> Result<Vec<Value>, ReviewError> {
        let told = self.get("/api/v1/pools")?;
        Ok(told["pools"].as_array().cloned().unwrap_or_default())
    }

    fn order(&self, pool: &str, worker: &str, order: Order) -> Result<(), ReviewError> {
        let body = match order {
            Order::Pin(weight) => json!({ "weight": weight }),
            Order::Drain | Order::Undrain | Order::Unpin => json!({}),
        };
        let path = format!("/api/v1/pools/{}/workers/{}/{}", escaped(pool), escaped(worker), order.name());
        self.post(&path, &body)?;
        Ok(())
    }
}

impl Reach for Observer {
    fn pools(&self) -> Result<Vec<Value>, ReviewError> {
        Ok(Observer::pools(self).iter().map(|pool| json!(pool)).collect())
    }

    fn order(&self, pool: &str, worker: &str, order: Order) -> Result<(), ReviewError> {
        Observer::order(self, pool, worker, order).map(drop).map_err(|error| ReviewError::Wrong(error.to_string()))
    }
}

/// What is asked about, and what was counted when it was asked last.
#[derive(Debug)]
pub(crate) struct Pools<'a> {
    reach: &'a dyn Reach,
    pool: String,
    by: By,
    counted: BTreeMap<String, Counts>,
}

/// What is a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Tries,
    Time,
    Utilization,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    tries: f64,
    failures: f64,
}

impl<'a> Pools<'a> {
    /// Looks at a pool from now on, by the metric of a finding.
    pub(crate) fn of(reach: &'a dyn Reach, pool: &str, metric: &str) -> Result<Self, ReviewError> {
        let by = match metric.split('/').next().unwrap_or_default() {
            "requests" => By::Tries,
            "busy time" | "in flight" | "connections" => By::Time,
            _ => By::Utilization,
        };
        let mut pools = Self { reach, pool: pool.to_owned(), by, counted: BTreeMap::new() };
        let workers = pools.workers()?;
        pools.counted = counts(&workers);
        Ok(pools)
    }

    /// How the pool is since the last look; `None` while too little came to tell.
    pub(crate) fn look(&mut self) -> Result<Option<Look>, ReviewError> {
        let workers = self.workers()?;
        let now_counted = counts(&workers);
        let serving: Vec<&Value> = workers.iter().filter(|worker| worker["standing"] == "serving").collect();
        // A worker that is new since then has no count to compare with, and waits for the next look.
        let grown = |worker: &&Value| {
            let name = worker["name"].as_str()?;
            let (before, now) = (self.counted.get(name)?, now_counted.get(name)?);
            Some((name.to_owned(), (now.tries - before.tries).max(0.0), (now.failures - before.failures).max(0.0)))
        };
        let grown: Vec<(String, f64, f64)> = serving.iter().filter_map(grown).collect();
        let tries: f64 = grown.iter().map(|(_, tries, _)| tries).sum();
        let many = grown.len() as f64;
        if grown.len() < 2 || grown.len() < serving.len() {
            self.counted = now_counted;
            return Ok(None);
        }
        if tries < LEAST_TRIES.max(PER_WORKER * (many - 1.0)) {
            return Ok(None);
        }
        let utilizations: Option<Vec<f64>> =
            serving.iter().map(|worker| worker["report"]["utilization"].as_f64()).collect();
        let means: Option<Vec<f64>> = serving.iter().map(|worker| worker["mean_ms"].as_f64()).collect();
        let tried = || grown.iter().map(|(_, tries, _)| *tries);
        let loads: Vec<f64> = match (self.by, &utilizations, means) {
            (By::Utilization, Some(utilizations), _) => utilizations.clone(),
            (By::Utilization | By::Time, _, Some(means)) => {
                tried().zip(means).map(|(tries, mean)| tries * mean).collect()
            }
            (By::Tries, _, _) | (By::Utilization | By::Time, _, None) => tried().collect(),
        };
        let all: f64 = loads.iter().sum();
        if all <= 0.0 {
            return Ok(None);
        }
        self.counted = now_counted;
        let part = |((node, ..), load): (&(String, f64, f64), &f64)| Part {
            node: node.clone(),
            fair: 1.0 / many,
            r: load / all * many,
        };
        let failed: f64 = grown.iter().map(|(.., failed)| failed).sum();
        let slowest = serving.iter().filter_map(|worker| worker["p99_ms"].as_f64()).reduce(f64::max);
        let fullest = utilizations.and_then(|all| all.into_iter().reduce(f64::max));
        // Who is drained has no fair part and nothing of the load: so it is seen to be well, and not to be gone.
        let drained = workers.iter().filter(|worker| worker["standing"] == "draining");
        let drained = drained.filter_map(|worker| worker["name"].as_str()).filter(|name| !name.is_empty());
        let none_of_it = |node: &str| Part { node: node.to_owned(), fair: 0.0, r: 0.0 };
        let look = Look {
            at: now(),
            parts: grown.iter().zip(&loads).map(part).chain(drained.map(none_of_it)).collect(),
            cmi: fullest.map(|fullest| (THETA - fullest) / THETA),
            errors: Some(failed / tries),
            p99_ms: slowest,
        };
        Ok(Some(look).filter(Look::is_sound))
    }

    /// The worker as it is now.
    pub(crate) fn place(&self, worker: &str) -> Result<Place, ReviewError> {
        let workers = self.workers()?;
        let found = workers.iter().find(|known| known["name"] == worker);
        let found = found.and_then(|known| place(&self.pool, known, &workers));
        found.ok_or_else(|| {
            ReviewError::Wrong(format!("pool `{}` has no worker `{worker}`; workers: {}", self.pool, names(&workers)))
        })
    }

    /// Orders something of a worker.
    pub(super) fn order(&self, worker: &str, order: Order) -> Result<(), ReviewError> {
        self.reach.order(&self.pool, worker, order)
    }

    fn workers(&self) -> Result<Vec<Value>, ReviewError> {
        let pools = self.reach.pools()?;
        let found = pools.iter().find(|pool| pool["name"] == self.pool.as_str());
        found
            .map(|pool| pool["workers"].as_array().cloned().unwrap_or_default())
            .ok_or_else(|| ReviewError::Wrong(format!("there is no pool `{}`; pools: {}", self.pool, names(&pools))))
    }
}

/// The worker of a coordinator that is called, addressed or reached as a node is.
pub(crate) fn worker_of(api: &Api, wanted: &str, pool: Option<&str>) -> Result<Place, ReviewError> {
    let pools = api.get("/api/v1/pools")?;
    let pools: Vec<Value> = pools["pools"].as_array().cloned().unwrap_or_default();
    let mut found: Vec<Place> = Vec::new();
    for known in &pools {
        let name = known["name"].as_str().unwrap_or_default();
        if pool.is_some_and(|pool| pool != name) {
            continue;
        }
        let workers = known["workers"].as_array().cloned().unwrap_or_default();
        let fits = |worker: &&Value| ["name", "address", "url"].iter().any(|key| is_called(&worker[*key], wanted));
        found.extend(workers.iter().filter(fits).filter_map(|worker| place(name, worker, &workers)));
    }
    match (found.len(), pool) {
        (1, _) => Ok(found.swap_remove(0)),
        (0, Some(pool)) if !pools.iter().any(|known| known["name"] == pool) => {
            Err(ReviewError::Wrong(format!("there is no pool `{pool}`; pools: {}", names(&pools))))
        }
        (0, _) => {
            let workers: Vec<Value> =
                pools.iter().flat_map(|pool| pool["workers"].as_array().cloned()).flatten().collect();
            Err(ReviewError::Wrong(format!(
                "no worker is called `{wanted}`: name one with --pool and --worker; workers: {}",
                names(&workers)
            )))
        }
        (_, _) => {
            let pools: Vec<&str> = found.iter().map(|place| place.pool.as_str()).collect();
            Err(ReviewError::Wrong(format!(
                "`{wanted}` is in several pools: name one with --pool; pools: {}",
                pools.join(", ")
            )))
        }
    }
}

/// Whether a name, an address or a URL is what a node is called.
fn is_called(value: &Value, wanted: &str) -> bool {
    let bare = |text: &str| text.trim_start_matches("http://").trim_end_matches('/').to_owned();
    value.as_str().is_some_and(|text| !wanted.is_empty() && bare(text) == bare(wanted))
}

fn place(pool: &str, worker: &Value, all: &[Value]) -> Option<Place> {
    let name = worker["name"].as_str()?;
    let serves = |worker: &Value| worker["standing"] == "serving";
    Some(Place {
        pool: pool.to_owned(),
        serving: serves(worker),
        others: all.iter().filter(|other| serves(other) && other["name"] != name).count(),
        worker: name.to_owned(),
        weight: worker["weight"].as_f64()?,
        pinned: worker["pinned"].as_f64(),
    })
}

fn counts(workers: &[Value]) -> BTreeMap<String, Counts> {
    let count = |worker: &Value| {
        let counts = Counts { tries: worker["tries"].as_f64()?, failures: worker["failures"].as_f64()? };
        Some((worker["name"].as_str()?.to_owned(), counts))
    };
    workers.iter().filter_map(count).collect()
}

fn names(all: &[Value]) -> String {
    let names: Vec<&str> = all.iter().filter_map(|one| one["name"].as_str()).take(20).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// Up to which part workers are to be used. Source: diagnosis.md "CMI".
const THETA: f64 = 0.8;
/// Workers that a drain leaves: a look compares. Source: ours.
const LEAST_OTHERS: usize = 2;
/// Tries of one look. Source: diagnosis.md "RUS" guards.
const LEAST_TRIES: f64 = 200.0;
/// Tries of one look for each worker beside the first: 10 / 0.25^2. Source: the same.
const PER_WORKER: f64 = 160.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_leaves_two_others_and_takes_out_who_serves() {
        let worker = |name: &str, standing: &str| json!({"name": name, "standing": standing, "weight": 1.0});
        for (others, own, said) in [
            (["serving", "serving"], "serving", None),
            (["serving", "draining"], "serving", Some("has 1 other workers that serve")),
            (["serving", "serving"], "draining", Some("nothing is left to drain")),
            (["serving", "serving"], "unhealthy", Some("nothing is left to drain")),
        ] {
            let all = [worker("a", own), worker("b", others[0]), worker("c", others[1])];
            let refused = place("api", &all[0], &all).expect("whole").drainable().err().map(|error| error.to_string());
            assert_eq!(refused.is_some(), said.is_some(), "{refused:?}");
            assert!(refused.is_none_or(|refused| said.is_some_and(|said| refused.contains(said))));
        }
    }

    #[test]
    fn a_node_is_a_worker_by_name_address_or_url() {
        for (known, wanted, is) in [
            ("http://10.0.0.1:80/", "10.0.0.1:80", true),
            ("10.0.0.1:80", "http://10.0.0.1:80", true),
            ("b", "b", true),
            ("b", "", false),
            ("b", "bb", false),
        ] {
            assert_eq!(is_called(&Value::from(known), wanted), is, "{known} {wanted}");
        }
    }
}
