//! Drills of a running pool: what an operator ordered, what is watched meanwhile, and what came of it.
//!
//! Who may start one is checked here; what a drill does and when it has to end is core's ([`ambidex_core::drill`]).

use std::sync::Arc;

use ambidex_core::drill::{Column, Drill, Ending, Fault, Look, Measured, Order, Watch};
use ambidex_core::guard::breaker::BreakerState;
use ambidex_core::share::Share;
use ambidex_core::time::{Mono, Span};
use ambidex_core::worker::{Standing, WorkerId};
use serde::{Deserialize, Serialize};

use crate::pool::Pool;
use crate::room::OrderError;
use crate::roster::Worker;

/// Why a drill does not begin, or there is none to stop.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum DrillError {
    /// An unknown name.
    #[error(transparent)]
    Name(#[from] OrderError),
    /// Nobody would meet the fault.
    #[error(
        "no request goes through a coordinator by itself, so that nobody would meet a fault here: order the drill at a gateway          that decides about its pools itself"
    )]
    NoRequests,
    /// One at a time.
    #[error("pool `{0}` is drilled already: worker `{1}`; stop that first, or wait for its end")]
    Running(Arc<str>, Arc<str>),
    /// There is nobody to shift to.
    #[error("pool `{0}` has no other worker that its requests could go to")]
    Alone(Arc<str>),
    /// It gets nothing.
    #[error("worker `{0}` gets no requests now, so that there is nothing to drill: {1}")]
    Idle(Arc<str>, &'static str),
    /// The pool has trouble of its own.
    #[error("pool `{pool}` is not well: of {of} other workers only {usable} can be used")]
    Unwell {
        /// Which.
        pool: Arc<str>,
        /// Others that can be used.
        usable: u32,
        /// Others.
        of: u32,
    },
    /// The others have no room.
    #[error("the others of pool `{pool}` would be {:.0} % full without that worker: {:.0} % is the most", .full * 100.0, MOST_FULL * 100.0)]
    Full {
        /// Which.
        pool: Arc<str>,
        /// Their utilization then.
        full: f64,
    },
    /// Too much at once.
    #[error(
        "worker `{worker}` has {:.0} % of the pool's requests, and at most {:.0} % may be drilled: use a smaller share",
        .share * 100.0,
        MOST_DRILLED.get() * 100.0
    )]
    TooMuch {
        /// Which.
        worker: Arc<str>,
        /// Its share of the pool's requests.
        share: f64,
    },
    /// Nothing to stop.
    #[error("pool `{0}` is not drilled")]
    None(Arc<str>),
}

/// A drill as pages, programs and the journal are told of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DrillStatus {
    /// Grows by one with each drill of this process.
    pub id: u64,
    /// The pool's name.
    pub pool: Arc<str>,
    /// The worker's name.
    pub worker: Arc<str>,
    /// What was ordered.
    pub order: Order,
    /// When it was announced, by the wall clock, in milliseconds since 1970.
    pub announced_ms: u64,
    /// How it ended; absent while it goes on.
    pub ending: Option<Ending>,
    /// What has come of it.
    pub measured: Measured,
}

/// A drill that goes on.
#[derive(Debug)]
pub(crate) struct Drilling {
    pub(crate) id: u64,
    pub(crate) worker: WorkerId,
    pub(crate) drill: Arc<Drill>,
    name: Arc<str>,
    order: Order,
    watch: Watch,
    announced_ms: u64,
    /// By place in a look; the drilled one first.
    columns: Vec<WorkerId>,
}

impl Drilling {
    /// Announces a drill, if the pool can bear it.
    pub(crate) fn begin(
        pool: &Pool,
        worker: WorkerId,
        order: Order,
        id: u64,
        now: Mono,
        announced_ms: u64,
    ) -> Result<Self, DrillError> {
        let name = may_begin(pool, worker, &order)?;
        let drill = Arc::new(order.announce(now));
        let watch = Watch::over(&order, &drill, now);
        let others = pool.roster.workers().iter().map(|known| known.id).filter(|id| *id != worker);
        let columns = [worker].into_iter().chain(others).take(Column::MOST - 1).collect();
        Ok(Self { id, worker, drill, name, order, watch, announced_ms, columns })
    }

    /// What goes wrong.
    pub(crate) const fn fault(&self) -> Fault {
        self.order.fault()
    }

    /// When to look next.
    pub(crate) fn deadline(&self) -> Mono {
        self.watch.deadline()
    }

    /// Looks at the pool; says how the drill ended, if it did.
    pub(crate) fn look(&mut self, roster: &[Worker], now: Mono) -> Option<Ending> {
        if !roster.iter().any(|worker| worker.id == self.worker && !worker.is_leaving()) {
            return Some(Ending::Gone);
        }
        let mut tries = vec![0; Column::MOST].into_boxed_slice();
        for worker in roster {
            // Who joined later is in the last column, with whoever has none of his own.
            let place = self.columns.iter().position(|id| *id == worker.id).unwrap_or(Column::MOST);
            tries[Column::of(place).0] += worker.cells.started();
        }
        let (usable, others) = usable(roster, self.worker);
        self.watch.see(Look { at: now, tries, sums: self.drill.toll.sums(), others, usable })
    }

    pub(crate) fn status(&self, pool: &Arc<str>, ending: Option<Ending>) -> DrillStatus {
        DrillStatus {
            id: self.id,
            pool: Arc::clone(pool),
            worker: Arc::clone(&self.name),
            order: self.order,
            announced_ms: self.announced_ms,
            ending,
            measured: self.watch.measured(),
        }
    }
}

/// Whether a pool can bear a drill; the worker's name.
fn may_begin(pool: &Pool, id: WorkerId, order: &Order) -> Result<Arc<str>, DrillError> {
    let pool_name = || Arc::clone(&pool.config.name);
    if let Some(drilling) = &pool.drilling {
        return Err(DrillError::Running(pool_name(), Arc::clone(&drilling.name)));
    }
    let roster = pool.roster.workers();
    let Some(worker) = roster.iter().find(|worker| worker.id == id) else { return Err(DrillError::None(pool_name())) };
    let name = Arc::clone(&worker.found.name);
    let idle = match (worker.standing(), worker.cells.breaker()) {
        (Standing::Draining, _) => Some("it is draining"),
        (Standing::Unhealthy, _) => Some("its health checks fail"),
        (Standing::Serving, BreakerState::Open | BreakerState::Probing) => Some("its breaker is open"),
        (Standing::Serving, BreakerState::Closed | BreakerState::Ramping) => None,
    };
    if let Some(why) = idle {
        return Err(DrillError::Idle(name, why));
    }
    let (usable, of) = usable(roster, id);
    if of == 0 {
        return Err(DrillError::Alone(pool_name()));
    }
    if Share::of(u64::from(usable), u64::from(of)) < LEAST_USABLE || pool.checks_doubted {
        return Err(DrillError::Unwell { pool: pool_name(), usable, of });
    }
    let share = pool.applied().get(&id).map_or(0.0, |applied| applied.share);
    if share * order.share().get() > MOST_DRILLED.get() + f64::EPSILON {
        return Err(DrillError::TooMuch { worker: name, share });
    }
    let full = pool.planner.utilization().map(|utilization| utilization / (1.0 - share).max(f64::EPSILON));
    match full.filter(|full| *full > MOST_FULL) {
        Some(full) => Err(DrillError::Full { pool: pool_name(), full }),
        None => Ok(name),
    }
}

/// How many of the other workers can be used, and how many there are.
fn usable(roster: &[Worker], drilled: WorkerId) -> (u32, u32) {
    let (mut usable, mut others) = (0, 0);
    for worker in roster.iter().filter(|worker| worker.id != drilled && worker.standing() != Standing::Draining) {
        others += 1;
        let taken = matches!(worker.cells.breaker(), BreakerState::Closed | BreakerState::Ramping);
        usable += u32::from(taken && worker.standing() == Standing::Serving);
    }
    (usable, others)
}

impl DrillStatus {
    /// What is so, in a sentence.
    pub(crate) fn sentence(&self) -> String {
        let Self { worker, order, measured, .. } = self;
        let what = format!("{} on {} of the tries of {worker}", order.fault(), order.share());
        if self.ending.is_none() && measured.lasted == Span::ZERO {
            return format!("a drill begins: {what} for {}", order.length());
        }
        let ended = match self.ending {
            None => format!("goes on for {:.1} s", measured.lasted.as_secs_f64()),
            Some(Ending::Over) => "is over".to_owned(),
            Some(Ending::Stopped) => "was stopped by an operator".to_owned(),
            Some(Ending::Gone) => "ended, because its worker left".to_owned(),
            Some(Ending::TooManyFailed { failed }) => {
                let most = order.abort_over();
                format!("was aborted: {:.1} % of the requests failed, more than {most}", failed.get() * 100.0)
            }
            Some(Ending::TooFewUsable { usable, of }) => {
                format!("was aborted: of {of} other workers only {usable} could be used")
            }
        };
        let share =
            |share: Option<f64>| share.map_or_else(|| "unknown".to_owned(), |share| format!("{:.1} %", share * 100.0));
        let shifted = measured.shift_90.map_or_else(
            || "no traffic shifted for good".to_owned(),
            |span| format!("90 % of what left had left {}", after(span)),
        );
        let converged = measured.converged.map_or_else(
            || "the shares did not come to rest".to_owned(),
            |span| format!("the shares were at rest {}", after(span)),
        );
        let (requests, failed) = (measured.requests, measured.failed);
        format!(
            "the drill ({what}) {ended}; its share was {} before and {} at the end, {shifted}, {converged}; {failed} of \
             {requests} requests failed",
            share(measured.before),
            share(measured.after)
        )
    }
}

/// In tenths of a second, which is how often is looked.
fn after(span: Span) -> String {
    if span < Span::from_millis(100) { "at once".to_owned() } else { format!("after {:.1} s", span.as_secs_f64()) }
}

/// The most of a pool's requests that a drill may meet. Source: ours; with more the rest of the pool is the exception.
const MOST_DRILLED: Share = Share::percent(50);
/// How full the others may be without the drilled worker. Source: balancing.md "Weight `capacity`" (80 % of capacity to one
/// worker) leaves room; beyond 90 % queues grow.
const MOST_FULL: f64 = 0.9;
/// The share of the other workers that must be usable. Source: balancing.md "Breaker": at most a third is ejected.
const LEAST_USABLE: Share = Share::percent(66);

#[cfg(test)]
mod tests;
