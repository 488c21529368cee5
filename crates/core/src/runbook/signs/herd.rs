//! Thundering herd [R-F1]: one worker failed, what it had runs to the others, and they fail together.
//!
//! ```text
//! signs   a worker (few at most) fails half of its tries, while the others fail under 6 %          the first
//!         or in another way than by being late, while the others fail under 6 % so: a full pool is late within a tick
//!         within a minute: half of the others or more fail 5 % or more each, 8 % together          the herd
//!         requests of clients are as usual (under 1.3x): more of them would be an overload
//! over    when the others fail under 5 %, or what failed first was well 10 s ago and fails no other way than the others
//!         since: what then goes on is another mode's
//! ```

use super::{Signs, few};
use crate::runbook::finding::Evidence;
use crate::runbook::past::{Past, WorkerPast};
use crate::share::Share;
use crate::time::{Mono, Span};
use crate::worker::WorkerId;

#[derive(Clone, Debug, Default)]
pub(super) struct Herd {
    first: Option<First>,
}

/// The worker that failed first.
#[derive(Clone, Copy, Debug)]
struct First {
    worker: WorkerId,
    at: Mono,
    /// The others followed.
    followed: bool,
    /// Since when it is well again.
    well: Option<Mono>,
}

impl Herd {
    /// What shows now.
    pub(super) fn signs(&mut self, past: &Past) -> Option<Signs> {
        let mut first = match self.first {
            Some(first) => first,
            None => First { worker: first_to_fail(past)?, at: past.at, followed: false, well: None },
        };
        first.note(past);
        self.first = (!first.is_over(past)).then_some(first);
        let in_time = first.followed || past.at.since(first.at) <= FOLLOWS_WITHIN;
        if !in_time || self.first.is_none() || past.pool.demand().is_some_and(|demand| demand >= MORE_DEMAND) {
            return None;
        }
        let others = || past.serving().filter(|other| other.tick.id != first.worker);
        let failing = others().filter(|other| other.recent.failing() >= FAILING).count();
        let of = others().count();
        let together = past.worker(first.worker).map_or(past.pool.recent.failing(), |first| past.others_failing(first));
        let enough = if first.followed { FAILING } else { TOGETHER };
        if of == 0 || failing * 2 < of || together < enough {
            return None;
        }
        self.first = Some(First { followed: true, ..first });
        Some(Signs::of_pool(Evidence::ThunderingHerd {
            first: first.worker,
            after: past.at.since(first.at),
            failing: u32::try_from(failing).unwrap_or(u32::MAX),
            of: u32::try_from(of).unwrap_or(u32::MAX),
            share: Share::clamped(together),
            tries: past.pool.amplification(),
        }))
    }
}

impl First {
    fn note(&mut self, past: &Past) {
        let Some(worker) = past.worker(self.worker) else { return };
        let others = past.others_failing(worker);
        if worker.is_well(others) {
            self.well.get_or_insert(past.at);
        } else if !worker.fails_as(others) {
            self.well = None;
        }
    }

    fn is_over(&self, past: &Past) -> bool {
        self.well.is_some_and(|since| past.at.since(since) >= WELL_FOR)
    }
}

/// The worker that fails while the others do not.
fn first_to_fail(past: &Past) -> Option<WorkerId> {
    let of = past.serving().count();
    let usual = past.pool.demand().is_none_or(|demand| demand < MORE_DEMAND);
    if of < 2 || !usual {
        return None;
    }
    let alone = |is: fn(&WorkerPast) -> bool, others: fn(&Past, &WorkerPast) -> f64| {
        let failing = || past.serving().filter(move |worker| is(worker));
        let worst = failing().max_by(|a, b| a.recent.failed.total_cmp(&b.recent.failed))?;
        (failing().count() <= few(of) && others(past, worst) < OTHERS_WELL).then_some(worst.tick.id)
    };
    alone(WorkerPast::fails, Past::others_failing).or_else(|| alone(WorkerPast::breaks, Past::others_broken))
}

/// Source: balancing.md, the longest open time of a breaker: by then its load has gone over to the others.
const FOLLOWS_WITHIN: Span = Span::from_secs(60);
/// Source: R-B1 (5 %).
const FAILING: f64 = 0.05;
/// Source: ours; half of the others at twice the least of each would be 5 %, and noise must not do it.
const TOGETHER: f64 = 0.08;
/// Source: ours, R-B1's 5 %, and what the others fail in the tick of the first: a full pool falls within it.
const OTHERS_WELL: f64 = 0.06;
/// Source: ours; a pool at 80 % of its capacity is over it with so much more.
const MORE_DEMAND: f64 = 1.3;
/// Source: ours, twice the time constant of what is recent.
const WELL_FOR: Span = Span::from_secs(10);
