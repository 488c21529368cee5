//! What the page shows, as plain data: whoever serves the page fills these.

use std::sync::Arc;

use ambidex_core::decision::Decision;
use ambidex_core::drill::Fault;
pub use ambidex_core::guard::breaker::BreakerState;
use ambidex_core::plan::Source;
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use ambidex_core::worker::Standing;

use super::attention::{Peers, facts};
use crate::doctor::DoctorStatus;
use crate::paths::TrialStatus;
use crate::publish::PublisherState;
use crate::room::{ElectionStatus, FollowStatus, ProbationStatus};
use crate::status::{ChanceStatus, CostStatus, ModesStatus, ZoneStatus};
use crate::track::KeptOut;

/// Everything on the page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Milliseconds since 1970, by the wall clock.
    pub wall_millis: u64,
    /// The program's version.
    pub version: String,
    /// The pools, in the configuration's order.
    pub pools: Vec<PoolPanel>,
    /// What carries the weights to other proxies and files.
    pub publishers: Vec<PublisherState>,
    /// The coordinator that is followed, where one is.
    pub following: Option<FollowStatus>,
    /// How the configuration in force stands.
    pub probation: Option<ProbationStatus>,
    /// Which of several coordinators leads, where there are several.
    pub election: Option<ElectionStatus>,
    /// What the doctor told.
    pub doctor: Arc<DoctorStatus>,
    /// What was decided and what happened, newest first.
    pub lines: Vec<Line>,
    /// Why nothing is written to the journal, when that is so.
    pub journal_fault: Option<String>,
}

/// One pool.
#[derive(Clone, Debug, Default)]
pub struct PoolPanel {
    /// Its name.
    pub name: String,
    /// How a worker is picked.
    pub pick: String,
    /// The rule that weighs.
    pub rule: String,
    /// Share of the requests that go by the learned weights; none is observe-only.
    pub learned_share: Share,
    /// Whether all weights are held.
    pub frozen: bool,
    /// What came of its requests' second chances.
    pub chances: Vec<ChanceStatus>,
    /// Failure modes that show, and what is done about them.
    pub failure_modes: ModesStatus,
    /// Its zones, where it minds them.
    pub zones: Vec<ZoneStatus>,
    /// What classes of its requests cost, where it minds that.
    pub costs: Vec<CostStatus>,
    /// Its newest trial.
    pub trial: Option<TrialStatus>,
    /// Its workers, in their order.
    pub workers: Vec<WorkerRow>,
    /// How many more workers there are than shown.
    pub more_workers: usize,
}

impl PoolPanel {
    /// The panel with at most 200 rows: those that need attention first, then in their order.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        if self.workers.len() > MOST_ROWS {
            let peers = Peers::of(&self);
            let worried: Vec<bool> = self.workers.iter().map(|worker| !facts(&peers, worker).is_empty()).collect();
            let mut rows: Vec<_> = self.workers.into_iter().zip(worried).collect();
            rows.sort_by_key(|(_, worried)| !worried);
            self.more_workers += rows.len() - MOST_ROWS;
            rows.truncate(MOST_ROWS);
            self.workers = rows.into_iter().map(|(worker, _)| worker).collect();
        }
        self
    }
}

/// Rows that a pool's table shows. Source: ours; a page of more is not read but searched, for which there is the API.
const MOST_ROWS: usize = 200;

/// One worker.
#[derive(Clone, Debug, Default)]
pub struct WorkerRow {
    /// What people call it.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// Its zone, empty when it has none.
    pub zone: String,
    /// The path that it is on, empty on the stable one.
    pub path: String,
    /// Whether it takes new requests.
    pub standing: Standing,
    /// Whether its breaker keeps requests from it.
    pub breaker: BreakerState,
    /// What the breakers of gateways do that follow.
    pub kept_out: KeptOut,
    /// Why its health checks fail, while they do.
    pub unwell: Option<String>,
    /// Whether it asks for nothing new itself.
    pub refuses: bool,
    /// The fault that is put on the way to it on purpose, while it is drilled.
    pub drilled: Option<Fault>,
    /// Its weight in fair shares: as learned, also where that is only observed.
    pub weight: f64,
    /// The weight that an operator fixed.
    pub pinned: Option<f64>,
    /// Why it has this weight: the newest decision's sentence.
    pub reason: Option<String>,
    /// Its share of the pool's answers in the last seconds; none when the pool had no traffic.
    pub share: Option<Share>,
    /// Answers a second.
    pub rate: f64,
    /// Tries behind the figures beside it.
    pub samples: u64,
    /// Share of its tries that failed.
    pub errors: Share,
    /// Median latency.
    pub p50: Option<Span>,
    /// 99th percentile of latency.
    pub p99: Option<Span>,
    /// Requests in flight: its own report, else our count.
    pub in_flight: u32,
    /// Requests waiting at it, when it says so.
    pub queue: Option<u32>,
    /// Requests at once that it can serve, when known.
    pub limit: Option<u32>,
    /// Its utilization, when known; 1 is full.
    pub utilization: Option<f64>,
    /// Its newest report; none when it never sent one.
    pub signal: Option<SignalAge>,
}

/// How old a worker's newest report is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignalAge {
    /// How old.
    pub age: Span,
    /// How often one is due.
    pub period: Span,
    /// How it came.
    pub source: Source,
}

/// One decision or event, as a line of the list.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its number; the newest has the highest.
    pub seq: u64,
    /// Milliseconds since 1970, by the wall clock.
    pub wall_millis: u64,
    /// The pool's name.
    pub pool: String,
    /// All of it in one sentence.
    pub sentence: String,
    /// Whether somebody should be told at once.
    pub alert: bool,
    /// The decision behind it, when it is one.
    pub decision: Option<Box<Decision>>,
}
