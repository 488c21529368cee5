//! What the detectors remember: each worker's last seconds, and what is usual for it and for the pool.
//!
//! ```text
//! recent    sums that fade with a time constant of RECENT (5 s): a share of them needs no window's ring
//! usual     a mean over the last USUAL_OVER (2 min) of calm: it stands still while something is found or suspected,
//!           so that a long fault does not become what is usual; after SETTLES (30 min) it is
//! ```
//! Fixed memory: some 200 bytes a worker. A worker that leaves is forgotten.

mod pool;
mod recent;
mod worker;

use alloc::vec::Vec;

use super::observation::{Observation, WorkerTick};
use crate::time::{Mono, Span};
use crate::worker::WorkerId;

use pool::PoolPast;
use recent::{LEAST_ENDED, log};
pub(super) use worker::{LEAST_MUTE, WorkerPast};

/// The memory of one pool.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    pub(super) at: Mono,
    /// Time since the tick before.
    pub(super) step: Span,
    /// Sorted by id.
    pub(super) workers: Vec<WorkerPast>,
    pub(super) pool: PoolPast,
    /// As many answers came in the tick before as requests were sent.
    was_even: bool,
    /// Of those in service: tries that failed, those that failed in another way than by being late, and tries that ended.
    sums: [f64; 3],
}

impl Past {
    /// Takes one tick in; `calm`: nothing is suspected or found.
    pub(super) fn take(&mut self, seen: &Observation, calm: bool) {
        (self.at, self.step) = (seen.at, seen.step);
        let step = seen.step.as_secs_f64().min(LONGEST_STEP);
        let kept = libm::exp(-step / RECENT);
        let mut ticks = seen.workers.clone();
        ticks.sort_by_key(|tick| tick.id);
        ticks.dedup_by_key(|tick| tick.id);
        let others = Middle::of(&ticks);
        let even = self.is_even(&ticks, step);
        let comparable = core::mem::replace(&mut self.was_even, even) && even;
        let mut known = core::mem::take(&mut self.workers).into_iter().peekable();
        for tick in ticks {
            while known.next_if(|past| past.tick.id < tick.id).is_some() {}
            let mut past = known.next_if(|past| past.tick.id == tick.id).unwrap_or_else(|| WorkerPast::new(tick));
            past.take(seen.at, step, kept, tick, calm);
            if let Some(others) = others.without(&tick).filter(|_| comparable) {
                past.compare(seen.at, step, others, calm);
            }
            past.note_slow(seen.at);
            self.workers.push(past);
        }
        self.pool.take(&self.workers, seen, step, kept, calm);
        self.sum_up();
    }

    /// Whether about as many answers come in this tick as requests are sent, as far as chance lets one say.
    fn is_even(&self, ticks: &[WorkerTick], step: f64) -> bool {
        let answered: u64 = ticks.iter().map(|tick| tick.counted.answered).sum();
        let usual = self.pool.recent.rate() * step;
        let off = (answered as f64 - usual).abs();
        off <= UNEVEN * usual || off <= CHANCE * libm::sqrt(usual)
    }

    /// Those that our view has in service.
    pub(super) fn serving(&self) -> impl Iterator<Item = &WorkerPast> {
        self.workers.iter().filter(|worker| worker.tick.serving)
    }

    /// The worker of this id.
    pub(super) fn worker(&self, id: WorkerId) -> Option<&WorkerPast> {
        self.workers.binary_search_by_key(&id, |worker| worker.tick.id).ok().map(|at| &self.workers[at])
    }

    /// Share of failures among all workers in service but one.
    pub(super) fn others_failing(&self, without: &WorkerPast) -> f64 {
        let [failed, _, ended] = self.others(without);
        if ended >= LEAST_ENDED { (failed / ended).max(0.0) } else { 0.0 }
    }

    /// The same of failures in another way than by being late.
    pub(super) fn others_broken(&self, without: &WorkerPast) -> f64 {
        let [_, broke, ended] = self.others(without);
        if ended >= LEAST_ENDED { (broke / ended).max(0.0) } else { 0.0 }
    }

    fn others(&self, without: &WorkerPast) -> [f64; 3] {
        let own = if without.tick.serving { without.recent.sums() } else { [0.0; 3] };
        core::array::from_fn(|at| self.sums[at] - own[at])
    }

    fn sum_up(&mut self) {
        let serving = self.workers.iter().filter(|worker| worker.tick.serving);
        let mut sums = [0.0; 3];
        for worker in serving {
            sums.iter_mut().zip(worker.recent.sums()).for_each(|(sum, own)| *sum += own);
        }
        self.sums = sums;
    }
}

/// The latencies of one tick, sorted, as logarithms.
struct Middle(Vec<f64>);

impl Middle {
    fn of(ticks: &[WorkerTick]) -> Self {
        let answered = |tick: &&WorkerTick| tick.serving && tick.counted.answered > 0;
        let mut took: Vec<f64> = ticks.iter().filter(answered).map(|tick| log(tick.counted.p50)).collect();
        took.sort_unstable_by(f64::total_cmp);
        Self(took)
    }

    /// The median of all but this one, which is among them; `None` when there are no others.
    fn without(&self, tick: &WorkerTick) -> Option<f64> {
        if !tick.serving || tick.counted.answered == 0 {
            return None;
        }
        let own = log(tick.counted.p50);
        let at = self.0.partition_point(|took| *took < own);
        let middle = self.0.len().checked_sub(2)? / 2;
        self.0.get(if middle >= at { middle + 1 } else { middle }).copied()
    }
}

/// Time constant of what is recent, in seconds. Source: ours; five ticks, so that one of them is no verdict.
const RECENT: f64 = 5.0;
/// So many doublings beside the usual are not learned from. Source: balancing.md "Breaker" (2x is slow).
const STRANGE: f64 = 1.0;
/// Ticks with so many more or fewer answers than requests are not compared, nor is the tick after one: in a stall, and
/// when what waited comes out, latencies say where a worker was in its work, not how fast it is. Source: ours.
const UNEVEN: f64 = 0.4;
/// Deviations of chance that are not uneven. Source: ours; once in 16,000 ticks.
const CHANCE: f64 = 4.0;
/// A pause longer than this, in seconds, says nothing more than this one. Source: the longest tick of R-W9.
const LONGEST_STEP: f64 = 10.0;
