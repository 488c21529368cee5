//! Metastable overload [R-F5]: something brought the pool down, it is gone, and the pool stays down.
//!
//! ```text
//! bad       8 % of all tries fail, or answers take 4x the usual with 4x the usual in flight
//! trigger   requests of clients over 1.15x the usual; a worker that fails, is gone, or is slow while the others are not
//! signs     bad, a trigger was there, none has been for 10 s, and it does not get better by itself
//! ```
//! Without a trigger that was seen to go, a bad pool has a cause that we do not see, which may still be there: no sign.
//! It gets better by itself while requests in flight fall by a fifth in 10 s: a queue that drains is no overload.

use super::Signs;
use crate::runbook::finding::{Evidence, Trigger};
use crate::runbook::past::{Past, WorkerPast};
use crate::share::Share;
use crate::time::{Mono, Span};
use crate::worker::WorkerId;

#[derive(Clone, Debug, Default)]
pub(super) struct Overload {
    trigger: Option<Seen>,
    /// In flight some seconds ago, and some before that.
    marks: [Option<(Mono, f64)>; 2],
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    trigger: Trigger,
    /// When it was there last.
    last: Mono,
    /// The pool was bad while it was there, or right after.
    hurt: bool,
}

impl Overload {
    /// What shows now; `slow` are workers that are slow beside the others; `bunched`: answers come in bunches.
    pub(super) fn signs(&mut self, past: &Past, slow: &[WorkerId], bunched: bool) -> Option<Signs> {
        self.mark(past);
        let bad = is_bad(past, bunched);
        let before = self.trigger.map(|seen| seen.trigger);
        if let Some(trigger) = trigger(past, slow, before) {
            let hurt = self.trigger.is_some_and(|seen| seen.hurt) || bad;
            self.trigger = Some(Seen { trigger, last: past.at, hurt });
            return None;
        }
        let seen = self.trigger.as_mut()?;
        let gone_for = past.at.since(seen.last);
        seen.hurt |= bad && gone_for <= HURTS_WITHIN;
        if !seen.hurt && gone_for > HURTS_WITHIN || !bad && gone_for > FORGOTTEN {
            self.trigger = None;
            return None;
        }
        let seen = *seen;
        if !bad || !seen.hurt || gone_for < GONE_FOR || self.drains(past) {
            return None;
        }
        Some(Signs::of_pool(Evidence::MetastableOverload {
            trigger: seen.trigger,
            gone_for,
            failing: Share::clamped(past.pool.recent.failing()),
            slower: past.pool.slower().map_or(1.0, libm::exp2),
            tries: past.pool.amplification(),
        }))
    }

    fn mark(&mut self, past: &Past) {
        let newest = self.marks[1].map_or(Span::from_secs(3_600), |(at, _)| past.at.since(at));
        if newest >= MARKS_APART {
            self.marks = [self.marks[1], Some((past.at, past.pool.in_flight))];
        }
    }

    /// Whether what is in flight falls as a queue does that is worked off.
    fn drains(&self, past: &Past) -> bool {
        self.marks[0].is_some_and(|(_, before)| past.pool.in_flight < DRAINS * before)
    }
}

/// What waits in a convoy comes out again: only failures count then.
fn is_bad(past: &Past, bunched: bool) -> bool {
    let pool = &past.pool;
    let stuck = pool.is_fuller(FOUR_TIMES) && pool.slower().is_none_or(|slower| slower >= FOUR_TIMES);
    pool.recent.failing() >= FAILING || (stuck && !bunched)
}

/// What may have brought the pool down and is there now. A worker that failed alone is there until it is well again,
/// whatever the others do meanwhile.
fn trigger(past: &Past, slow: &[WorkerId], before: Option<Trigger>) -> Option<Trigger> {
    if let Some(demand) = past.pool.demand().filter(|demand| *demand >= MORE_DEMAND) {
        return Some(Trigger::Demand { times: demand });
    }
    if let Some(worker) = slow.first() {
        return Some(Trigger::Worker { worker: *worker });
    }
    if let Some(Trigger::Worker { worker }) = before
        && past.worker(worker).is_some_and(|worker| !worker.is_well(past.others_failing(worker)))
    {
        return before;
    }
    let alone = |worker: &&WorkerPast| worker.fails() && past.others_failing(worker) < WELL;
    past.serving().find(alone).map(|worker| Trigger::Worker { worker: worker.tick.id })
}

/// Source: R-B1's 5 %, and what noise adds.
const FAILING: f64 = 0.08;
/// In doublings. Source: ours; beyond what load alone does to a pool at 90 %.
const FOUR_TIMES: f64 = 2.0;
/// Source: ours; a pool at 90 % is over its capacity with so much more.
const MORE_DEMAND: f64 = 1.15;
/// Others that fail less are well. Source: ours, R-B1's 5 % less noise.
const WELL: f64 = 0.03;
/// Source: ours, twice the time constant of what is recent.
const GONE_FOR: Span = Span::from_secs(10);
/// Source: ours; a queue that was filled shows within so long.
const HURTS_WITHIN: Span = Span::from_secs(10);
/// Source: ours; a pool that was well for so long is brought down by something else.
const FORGOTTEN: Span = Span::from_secs(60);
const MARKS_APART: Span = Span::from_secs(10);
const DRAINS: f64 = 0.8;
