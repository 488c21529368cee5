//! The state of all pools as pages, the API and the command line show it: one type, made once, read by all of them.

use std::sync::Arc;

use ambidex_core::again::counts::{Came, Chance};
use ambidex_core::balance::PickPolicy;
use ambidex_core::cost::{ClassLook, CostModel};
use ambidex_core::load::BreakerSeats;
use ambidex_core::plan::{Mode, Rule};
use ambidex_core::share::Share;
use ambidex_core::signal::Report;
use ambidex_core::time::Mono;
use ambidex_core::view::Address;
use ambidex_core::worker::Standing;
use serde::Serialize;

use crate::config::Balance;
use crate::gossip::GossipStatus;
use crate::health::Judged;
use crate::heartbeats::HeartbeatsStatus;
use crate::journal::JournalHealth;
use crate::paths::TrialStatus;
use crate::pool::{Applied, Pool};
use crate::publish::PublisherState;
use crate::room::{ElectionStatus, FollowStatus, ProbationStatus, Room};
use crate::roster::{SourceState, Worker};
use crate::tls::RefusedPeer;
use crate::track::{KeptOut, Measured, millis};

mod modes;
mod zones;

pub use modes::{MeasureStatus, ModeStatus, ModesStatus, MovedStatus, ProposalStatus};
pub use zones::{ZoneFlow, ZoneStatus};

/// The process as a whole.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Of this program.
    pub version: &'static str,
    /// Since the start.
    pub uptime_ms: f64,
    /// Of the view that requests read.
    pub revision: u64,
    /// Whether requests can be served; why not.
    pub ready: Ready,
    /// The journal.
    pub journal: JournalHealth,
    /// Pools.
    pub pools: usize,
    /// Workers of all pools.
    pub workers: usize,
    /// What carries the weights to other proxies and files.
    pub publishers: Vec<PublisherState>,
    /// The coordinator that is followed, where one is.
    pub following: Option<FollowStatus>,
    /// Whether the configuration in force is as good as the one before it.
    pub probation: ProbationStatus,
    /// Which of several coordinators leads; `null` where there are no others.
    pub election: Option<ElectionStatus>,
    /// Gateways that follow this process.
    pub gateways: usize,
    /// The last gateway that failed its TLS handshake, and how many did; `null` while none has.
    pub gateway_refused: Option<RefusedPeer>,
    /// Number of the newest item of news.
    pub newest: u64,
    /// What came of heartbeats; `null` while none are heard.
    pub heartbeats: Option<HeartbeatsStatus>,
    /// How it stands with the gateways that decide as well; `null`: it decides alone.
    pub gossip: Option<GossipStatus>,
}

/// Whether every pool had a worker at least once since the start.
#[derive(Clone, Debug, Serialize)]
pub struct Ready {
    /// Whether it did.
    pub ready: bool,
    /// Pools that did not.
    pub waiting_for: Vec<Arc<str>>,
}

/// One pool.
#[derive(Clone, Debug, Serialize)]
pub struct PoolStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Revision of its picture.
    pub revision: u64,
    /// The pick in use.
    pub pick: PickPolicy,
    /// The pick as configured.
    pub balance: Balance,
    /// The rule of its weights.
    pub policy: Rule,
    /// Whether they are applied.
    pub mode: Mode,
    /// Share of the requests that goes by them.
    pub share: Share,
    /// Whether they are decided by the coordinator that is followed.
    pub followed: bool,
    /// Whether an operator holds them.
    pub frozen: bool,
    /// Whether so many workers fail their health checks that nobody is taken out for them.
    pub checks_doubted: bool,
    /// What came of its requests' second chances since the start; what never happened is left out.
    pub second_chances: Vec<ChanceStatus>,
    /// Where its workers come from.
    pub sources: Vec<SourceStatus>,
    /// Failure modes that show, what is done about them, and what waits for approval.
    pub failure_modes: ModesStatus,
    /// Its zones, where it minds them.
    pub zones: Vec<ZoneStatus>,
    /// Classes of its requests and what each costs, where it minds that.
    pub costs: Vec<CostStatus>,
    /// The path that requests go by which no trial takes; `stable` where no worker has another one.
    pub path: Arc<str>,
    /// Its newest canary, switch or experiment.
    pub trial: Option<TrialStatus>,
    /// Its workers.
    pub workers: Vec<WorkerStatus>,
}

/// How often one kind of second chance came to what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChanceStatus {
    /// Which: `hedge`, `retry`, `fallback` and so on.
    pub chance: &'static str,
    /// It was taken.
    pub taken: u64,
    /// It would have been, if it did more than watch.
    pub watched: u64,
    /// A bound refused it.
    pub refused: u64,
    /// It made the difference: the hedge won, the answers of a quorum differed.
    pub mattered: u64,
}

impl ChanceStatus {
    /// Those of a pool.
    pub(crate) fn of(pool: &Pool) -> Vec<Self> {
        let counts = pool.chances();
        let of = |chance: Chance| {
            let [taken, watched, refused, mattered] = Came::ALL.map(|came| counts.get(chance, came));
            let status = Self { chance: chance.word(), taken, watched, refused, mattered };
            (taken + watched + refused + mattered > 0).then_some(status)
        };
        Chance::ALL.into_iter().filter_map(of).collect()
    }
}

/// One class of requests.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CostStatus {
    /// What it is.
    pub class: String,
    /// What one of its requests costs beside the pool's mean request.
    pub cost: f64,
    /// Answers since the start.
    pub answers: u64,
    /// How long ago its cost was measured; `null` while too few answers came, and it counts as the mean.
    pub age_ms: Option<f64>,
}

impl CostStatus {
    /// Those of a pool.
    pub(crate) fn of(pool: &Pool, now: Mono) -> Vec<Self> {
        let of = |model: &CostModel| {
            let status = |(at, ClassLook { name, cost, answers }): (usize, ClassLook)| {
                let age_ms = model.measured(at).map(|measured| millis(now.since(measured)));
                Self { class: name, cost, answers, age_ms }
            };
            model.costs().looks().into_iter().enumerate().map(status).collect::<Vec<_>>()
        };
        pool.costs.as_ref().map(of).unwrap_or_default()
    }
}

/// One source of workers.
#[derive(Clone, Debug, Serialize)]
pub struct SourceStatus {
    /// Which.
    pub name: Arc<str>,
    /// How many workers it named last.
    pub workers: usize,
    /// Why its newest answer is not believed.
    pub problem: Option<String>,
}

/// One worker.
#[derive(Clone, Debug, Serialize)]
pub struct WorkerStatus {
    /// Its identity in this run.
    pub id: u32,
    /// What people call it.
    pub name: Arc<str>,
    /// Its URL.
    pub url: Arc<str>,
    /// Its address.
    pub address: String,
    /// Its zone.
    pub zone: Arc<str>,
    /// The path that it is on; empty: the stable one.
    pub path: Arc<str>,
    /// Whether it takes new requests.
    pub standing: Standing,
    /// Whether an operator took it out.
    pub drained: bool,
    /// Whether no source names it any more.
    pub leaving: bool,
    /// The weight in force, in fair shares: both arms together.
    pub weight: f64,
    /// The configured weight.
    pub fixed: f64,
    /// The learned weight, in fair shares.
    pub learned: f64,
    /// How many points of the ring it has, where these follow what it can carry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring_points: Option<u32>,
    /// The share of the pool's requests that it is to get, both arms together.
    pub share: f64,
    /// The share that it would get if all were alike.
    pub fair_share: f64,
    /// Whether a runbook keeps requests from it.
    pub quarantined: bool,
    /// The weight that an operator fixed.
    pub pinned: Option<f64>,
    /// The fault that is put on the way to it on purpose, while it is drilled, such as `delay=200ms`.
    pub drill: Option<String>,
    /// Requests in flight.
    pub in_flight: u32,
    /// Requests at once that it can serve, as configured.
    pub limit: Option<u32>,
    /// Tries sent to it since it joined.
    pub tries: u64,
    /// Those of them that it failed.
    pub failures: u64,
    /// The last tick's measurements.
    #[serde(flatten)]
    pub measured: Measured,
    /// Age of the newest report.
    pub report_age_ms: Option<f64>,
    /// Its newest report.
    pub report: Option<Report>,
    /// Reports that could not be used.
    pub report_faults: u64,
    /// Why its endpoint gave no report.
    pub poll_fault: Option<String>,
    /// What its health checks say; `null` without checks.
    pub health: Option<Judged>,
    /// Its breakers.
    pub breakers: BreakerSeats,
    /// What the breakers of gateways do that follow this process.
    pub kept_out: KeptOut,
    /// What was decided last about its breaker, and why.
    pub breaker_why: Option<String>,
    /// The number of that decision.
    pub breaker_decision: Option<u64>,
    /// Why its weight is what it is.
    pub why: Option<String>,
    /// The number of the decision that says so.
    pub decision: Option<u64>,
}

/// A checked answer's wrapper: every JSON answer carries its schema's version.
#[derive(Clone, Debug, Serialize)]
pub struct Versioned<T> {
    /// Grows when a field changes its meaning or goes.
    pub schema_version: u32,
    /// The answer.
    #[serde(flatten)]
    pub body: T,
}

impl<T> Versioned<T> {
    /// The answer in the schema of today.
    pub const fn new(body: T) -> Self {
        Self { schema_version: 1, body }
    }
}

impl Room {
    /// The process as a whole.
    pub(crate) fn status(&self, now: Mono) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION"),
            uptime_ms: millis(now.since(Mono::default())),
            revision: self.revision(),
            ready: self.ready(),
            journal: self.journal.health(),
            pools: self.pools.len(),
            workers: self.pools.iter().map(|pool| pool.roster.workers().len()).sum(),
            publishers: self.publishers.clone(),
            following: self.following.as_ref().map(|following| following.status(now)),
            probation: self.probing.status(now),
            election: self.election(now),
            gateways: self.guests.load(std::sync::atomic::Ordering::Relaxed),
            gateway_refused: self.refused.last(),
            newest: self.news.newest(),
            heartbeats: self.heartbeats.status(),
            gossip: self.gossip.as_ref().map(|standing| standing.status()),
        }
    }

    /// Whether every pool had a worker at least once.
    pub(crate) fn ready(&self) -> Ready {
        let waiting = self.pools.iter().filter(|pool| !pool.ever_served);
        let waiting_for: Vec<_> = waiting.map(|pool| Arc::clone(&pool.config.name)).collect();
        Ready { ready: waiting_for.is_empty(), waiting_for }
    }

    /// All pools.
    pub(crate) fn pool_statuses(&self, now: Mono) -> Vec<PoolStatus> {
        self.pools.iter().map(|pool| PoolStatus::of(pool, now)).collect()
    }
}

impl PoolStatus {
    fn of(pool: &Pool, now: Mono) -> Self {
        let settings = &pool.config.weights;
        let view = pool.pictured();
        let applied = pool.applied();
        let workers = pool.roster.workers();
        let serving = workers.iter().filter(|worker| worker.standing() == Standing::Serving).count().max(1);
        let status = |worker: &Worker| {
            let applied = applied.get(&worker.id).copied().unwrap_or_default();
            WorkerStatus::of(pool, worker, applied, 1.0 / serving as f64, now)
        };
        Self {
            name: Arc::clone(&pool.config.name),
            revision: view.map_or(0, |view| view.revision),
            pick: view.map_or_else(PickPolicy::default, |view| view.pick),
            balance: pool.config.balance,
            policy: settings.policy,
            mode: settings.mode,
            share: settings.share,
            followed: pool.is_followed(),
            frozen: pool.planner.is_frozen(),
            checks_doubted: pool.checks_doubted,
            second_chances: ChanceStatus::of(pool),
            failure_modes: ModesStatus::of(pool, now),
            zones: ZoneStatus::of(pool),
            costs: CostStatus::of(pool, now),
            path: crate::paths::named(&pool.paths.serving()),
            trial: pool.paths.status(&pool.config.name, now),
            sources: pool.roster.sources().iter().map(SourceStatus::of).collect(),
            workers: workers.iter().map(status).collect(),
        }
    }
}

impl SourceStatus {
    fn of(source: &SourceState) -> Self {
        Self { name: Arc::clone(&source.name), workers: source.found.len(), problem: source.problem.clone() }
    }
}

impl WorkerStatus {
    fn of(pool: &Pool, worker: &Worker, applied: Applied, fair_share: f64, now: Mono) -> Self {
        let track = pool.tracks.get(&worker.id);
        let held = track.and_then(|track| track.watch.report());
        let decided = track.and_then(|track| track.decided.as_ref());
        let breaker = track.and_then(|track| track.breaker_decided.as_ref());
        let standing = worker.standing();
        let totals = worker.cells.totals();
        Self {
            id: worker.id.0,
            name: Arc::clone(&worker.found.name),
            url: Arc::clone(&worker.found.url),
            address: match &worker.found.address {
                Address::Ip(address) => address.to_string(),
                Address::Unix(path) => format!("unix:{path}"),
            },
            zone: Arc::clone(&worker.found.zone),
            path: Arc::clone(&worker.found.path),
            standing,
            drained: worker.drained,
            leaving: worker.is_leaving(),
            weight: applied.share / fair_share,
            fixed: applied.fixed,
            learned: applied.learned,
            ring_points: applied.points,
            share: applied.share,
            fair_share: if standing == Standing::Serving { fair_share } else { 0.0 },
            quarantined: pool.lookout.holds(worker.id),
            pinned: pool.planner.pinned(worker.id),
            drill: pool.drill_of(worker.id).map(|fault| fault.to_string()),
            in_flight: worker.cells.load.in_flight(),
            limit: worker.found.limit,
            tries: totals.started,
            failures: totals.failed,
            measured: track.map(|track| track.measured).unwrap_or_default(),
            report_age_ms: held.map(|held| millis(now.since(held.at))),
            report: held.map(|held| held.report),
            report_faults: worker.cells.report_faults.load(std::sync::atomic::Ordering::Relaxed),
            poll_fault: track.and_then(|track| track.poll_fault.clone()),
            health: track.and_then(|track| track.checked.as_ref()).map(|checked| checked.judged(now)),
            breakers: worker.cells.breakers(),
            kept_out: track.map(|track| track.kept_out.clone()).unwrap_or_default(),
            breaker_why: breaker.map(|item| item.sentence.clone()),
            breaker_decision: breaker.map(|item| item.seq),
            why: decided.map(|item| item.sentence.clone()),
            decision: decided.map(|item| item.seq),
        }
    }
}
