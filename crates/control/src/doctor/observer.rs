//! What the doctor sees of the coordinator, and where it tells what it found.
//!
//! The room is held only while names and references are copied; counters are read from the workers' cells afterwards.

use std::collections::HashMap;
use std::sync::Arc;

use ambidex_core::load::Cells;
use ambidex_core::plan::Mode;
use ambidex_core::signal::Report;
use ambidex_core::stats::histogram::TallyState;
use ambidex_core::time::{Mono, Span};
use ambidex_core::worker::{Standing, WorkerId};

use super::{DoctorStatus, ReviewHost};
use crate::clock::wall_millis;
use crate::coordinator::{Coordinator, Shared};
use crate::news::{Item, What};
use crate::orders::Order;
use crate::pool::{Applied, Pool};
use crate::room::{Obeyed, OrderError};
use crate::roster::Worker;
use crate::status::PoolStatus;

/// A worker, as the doctor sees it.
#[derive(Clone, Debug)]
pub struct Vital {
    /// Its pool.
    pub pool: Arc<str>,
    /// Its name.
    pub worker: Arc<str>,
    /// Its identity in this run: counters are those of one identity.
    pub id: WorkerId,
    /// Its zone, empty when it has none.
    pub zone: Arc<str>,
    /// The path that it is on, empty on the stable one.
    pub path: Arc<str>,
    /// Whether it takes new requests.
    pub serves: bool,
    /// Its weight in force, in fair shares.
    pub weight: f64,
    /// What it can carry beside the others: what its pool learned where that is applied, else its configured weight. A weight that an
    /// operator pinned says nothing of that.
    pub capacity: f64,
    /// Requests at once that it can serve, when known.
    pub limit: Option<u32>,
    /// Its newest report, unless that is old.
    pub report: Option<Report>,
    cells: Arc<Cells>,
}

impl Vital {
    /// What was counted of its tries since it joined.
    #[must_use]
    pub fn totals(&self) -> TallyState {
        self.cells.totals()
    }

    /// Requests in flight at it.
    #[must_use]
    pub fn in_flight(&self, now: Mono) -> u32 {
        self.cells.load.known_in_flight(now)
    }
}

/// The doctor's way to a coordinator.
#[derive(Clone, Debug)]
pub struct Observer(Arc<Shared>);

impl Coordinator {
    /// For the doctor of this process.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer(Arc::clone(&self.shared))
    }
}

impl Observer {
    /// Now, by the process's clock.
    #[must_use]
    pub fn now(&self) -> Mono {
        self.0.clock.now()
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn wall_millis(&self) -> u64 {
        wall_millis()
    }

    /// Every worker of every pool, at most so many.
    #[must_use]
    pub fn vitals(&self, most: usize) -> Vec<Vital> {
        let now = self.now();
        let room = self.0.room();
        let of = |pool: &Pool| {
            let applied = pool.applied();
            let workers = pool.roster.workers();
            let serving = workers.iter().filter(|worker| worker.standing() == Standing::Serving).count().max(1);
            let learned = |worker: &Worker| learned(pool, worker, &applied);
            // What is learned has the scale that pins leave to it; what workers can carry has that of the configuration.
            let (known, said) = workers
                .iter()
                .filter_map(|worker| Some((learned(worker)?, worker.found.weight)))
                .fold((0.0, 0.0), |sums, (learned, said)| (sums.0 + learned, sums.1 + said));
            let vital = |worker: &Worker| {
                let share = applied.get(&worker.id).map_or(0.0, |applied| applied.share);
                let capacity = learned(worker).map_or(worker.found.weight, |learned| learned / known * said);
                vital(pool, worker, share * serving as f64, capacity, now)
            };
            workers.iter().filter(|worker| !worker.is_leaving()).map(vital).collect::<Vec<_>>()
        };
        room.pools.iter().flat_map(of).take(most).collect()
    }

    /// What happened after an item of this number and may have changed how load lies; and the newest item's number.
    #[must_use]
    pub fn happened(&self, after: u64) -> (u64, Vec<Arc<Item>>) {
        let room = self.0.room();
        let matters = |item: &&Arc<Item>| match item.what {
            What::Member | What::Order | What::Trial { .. } | What::Configuration { .. } => true,
            What::Decision { .. }
            | What::Pool { .. }
            | What::Breaker { .. }
            | What::Panic { .. }
            | What::Health { .. }
            | What::Runbook { .. }
            | What::Zone { .. }
            | What::Drill { .. }
            | What::Shard { .. }
            | What::Leadership { .. }
            | What::Contact { .. } => false,
        };
        (room.news.newest(), room.news.since(after).filter(matters).cloned().collect())
    }

    /// All pools, as the API tells them.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolStatus> {
        self.0.room().pool_statuses(self.now())
    }

    /// Orders something of a worker, as an operator does through the API.
    ///
    /// # Errors
    /// Which name is unknown, which weight is none, or who decides instead.
    pub fn order(&self, pool: &str, worker: &str, order: Order) -> Result<Obeyed, OrderError> {
        let obeyed = self.0.room().order(self.now(), pool, worker, order)?;
        self.0.changed.notify_one();
        Ok(obeyed)
    }

    /// Whether what is decided here holds: not while another coordinator leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.0.room().leads()
    }

    /// What pages, API and metrics show from now on.
    pub fn tell(&self, status: DoctorStatus) {
        self.0.desk.told.store(Arc::new(status));
    }

    /// What was told last.
    #[must_use]
    pub fn told(&self) -> Arc<DoctorStatus> {
        self.0.desk.told()
    }

    /// Says who keeps reviews; the first who is named stays.
    pub fn keep_reviews(&self, host: Arc<dyn ReviewHost>) {
        let _ = self.0.desk.reviews.set(host);
    }
}

/// What its pool learned of a worker, where that is applied and no pin stands in its place.
fn learned(pool: &Pool, worker: &Worker, applied: &HashMap<WorkerId, Applied>) -> Option<f64> {
    let applies = pool.config.weights.mode == Mode::Apply && pool.planner.pinned(worker.id).is_none();
    applied.get(&worker.id).map(|applied| applied.learned).filter(|learned| applies && *learned > 0.0)
}

fn vital(pool: &Pool, worker: &Worker, weight: f64, capacity: f64, now: Mono) -> Vital {
    let held = pool.tracks.get(&worker.id).and_then(|track| track.watch.report());
    let fresh = held.filter(|held| now.since(held.at) <= held.period.times(MISSED).max(LEAST_LIFE));
    let report = fresh.map(|held| held.report);
    Vital {
        pool: Arc::clone(&pool.config.name),
        worker: Arc::clone(&worker.found.name),
        id: worker.id,
        zone: Arc::clone(&worker.found.zone),
        path: Arc::clone(&worker.found.path),
        serves: worker.standing() == Standing::Serving,
        weight,
        capacity,
        limit: worker.found.limit.or(report.and_then(|report| report.limit)),
        report,
        cells: Arc::clone(&worker.cells),
    }
}

/// Reports that may fail to come until the newest is old. Source: ours, as the dashboard calls a worker silent.
const MISSED: u64 = 3;
/// A report is fresh for so long at least. Source: ours.
const LEAST_LIFE: Span = Span::from_secs(5);
