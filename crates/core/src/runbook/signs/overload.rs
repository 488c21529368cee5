//! Metastable overload [R-F5]: something brought the pool down, it is gone, and the pool stays down.
//!
//! ```text
//! bad       8 % of all tries fail, or answers take 4x the usual with 4x the usual in flight
//! trigger   requests of clients over 1.15x the usual; a worker that fails, is gone, or is slow while the others are not
//! signs     bad, a trigger was there, none has been for 10 s, and it does not get better by itself
//! ```
//! A worker is gone as a trigger once it was well: in a pool that is down it fails again, as the others do, and that is no
//! trigger. Without a trigger that was seen to go, a bad pool has a cause that we do not see, which may still be there: no
//! sign. It gets better by itself while requests in flight fall by a fifth in 10 s: a queue that drains is no overload.

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
    /// It was there in the tick before.
    stands: bool,
    /// The pool was bad while it was there, or right after.
    hurt: bool,
    /// When the pool was bad last, or held back.
    bad: Mono,
    /// Since when it shows.
    shows: Option<Mono>,
}

/// What else goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    /// Answers come in bunches.
    pub(super) bunched: bool,
    /// Runbooks hold something back.
    pub(super) restrained: bool,
}

impl Overload {
    /// What shows now; `slow` are workers that are slow beside the others.
    pub(super) fn signs(&mut self, past: &Past, slow: &[WorkerId], around: Around) -> Option<Signs> {
        self.mark(past);
        let bad = is_bad(past, around.bunched);
        if let Some(trigger) = trigger(past, slow, self.trigger) {
            let hurt = self.trigger.is_some_and(|seen| seen.hurt) || bad;
            let seen = Seen { trigger, last: past.at, stands: true, hurt, bad: past.at, shows: None };
            self.trigger = Some(seen);
            return None;
        }
        let drains = self.drains(past);
        let seen = self.trigger.as_mut()?;
        seen.stands = false;
        let gone_for = past.at.since(seen.last);
        seen.hurt |= bad && gone_for <= HURTS_WITHIN;
        // A pool that is only well because requests are held back may fall again for the same reason.
        if bad || around.restrained {
            seen.bad = past.at;
        }
        if !seen.hurt && gone_for > HURTS_WITHIN || past.at.since(seen.bad) > FORGOTTEN {
            self.trigger = None;
            return None;
        }
        // Once it is sure, a queue that drains does so because of what is done about it.
        let is_sure = seen.shows.is_some_and(|since| past.at.since(since) >= SURE_AFTER);
        if !bad || !seen.hurt || gone_for < GONE_FOR || (drains && !is_sure) {
            if !is_sure {
                seen.shows = None;
            }
            return None;
        }
        seen.shows.get_or_insert(past.at);
        let seen = *seen;
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
/// whatever the others do meanwhile; then it must fail in another way than they do. A full pool is late within the tick
/// in which the first fails: there, failures other than lateness tell who was alone.
fn trigger(past: &Past, slow: &[WorkerId], before: Option<Seen>) -> Option<Trigger> {
    if let Some(demand) = past.pool.demand().filter(|demand| *demand >= MORE_DEMAND) {
        return Some(Trigger::Demand { times: demand });
    }
    if let Some(worker) = slow.first() {
        return Some(Trigger::Worker { worker: *worker });
    }
    if let Some(Seen { trigger: Trigger::Worker { worker }, stands, .. }) = before
        && let Some(known) = past.worker(worker)
    {
        let others = past.others_failing(known);
        if !known.is_well(others) && (stands || !known.fails_as(others)) {
            return Some(Trigger::Worker { worker });
        }
    }
    let alone = |worker: &&WorkerPast| {
        worker.fails() && past.others_failing(worker) < WELL || worker.breaks() && past.others_broken(worker) < WELL
    };
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
/// Source: ours, as long as the lookout takes to call it found.
const SURE_AFTER: Span = Span::from_secs(8);
/// Source: ours; a pool that was well for so long is brought down by something else.
const FORGOTTEN: Span = Span::from_secs(30);
const MARKS_APART: Span = Span::from_secs(10);
const DRAINS: f64 = 0.8;
