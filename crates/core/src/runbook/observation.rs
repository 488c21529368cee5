//! What the detectors see: one record a tick, of what the coordinator counts anyway.

use alloc::vec::Vec;

use crate::plan::Passive;
use crate::share::Share;
use crate::stats::histogram::TallyState;
use crate::time::{Mono, Span};
use crate::worker::WorkerId;

/// One tick of a pool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observation {
    /// When.
    pub at: Mono,
    /// Time since the tick before.
    pub step: Span,
    /// Its workers, draining ones among them.
    pub workers: Vec<WorkerTick>,
    /// Second tries that were sent in the tick: retries and hedges.
    pub again: u64,
    /// The oscillation guard found weights that swing.
    pub swinging: Option<Swinging>,
}

/// What the planner's oscillation guard says when it finds a swing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Swinging {
    /// The worker that swings most.
    pub worker: WorkerId,
    /// How many swing.
    pub workers: u32,
    /// The period.
    pub period: Span,
    /// How often the loop's time constant is doubled now.
    pub doublings: u32,
}

/// One tick of one worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WorkerTick {
    /// Whose.
    pub id: WorkerId,
    /// The path that it is part of, by a number that the shell gives; workers of one path have the same.
    pub path: u32,
    /// Whether our view says that it takes requests.
    pub serving: bool,
    /// Its weight in force, in fair shares.
    pub weight: f64,
    /// The share of the pool's requests that it is to get.
    pub intended: Share,
    /// What was counted in the tick.
    pub counted: Counted,
    /// Tries in flight.
    pub in_flight: u32,
    /// Whether its breaker keeps requests from it.
    pub kept_out: bool,
}

/// What became of a worker's tries in one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Tries sent.
    pub started: u64,
    /// Tries answered well.
    pub answered: u64,
    /// Tries that failed, however.
    pub failed: u64,
    /// Those of them for which there was no connection.
    pub unreached: u64,
    /// Those of them that were given up because no answer came in time.
    pub late: u64,
    /// Median latency of those answered; zero when nothing was.
    pub p50: Span,
}

impl Counted {
    /// What came between two states of a worker's tallies, of which `passive` was made, too.
    #[must_use]
    pub fn between(then: &TallyState, now: &TallyState, passive: &Passive) -> Self {
        let failed = now.failed.saturating_sub(then.failed);
        Self {
            started: now.started.saturating_sub(then.started),
            answered: passive.samples.saturating_sub(failed),
            failed,
            unreached: now.unreached.saturating_sub(then.unreached),
            late: now.late.saturating_sub(then.late),
            p50: passive.p50,
        }
    }
}
