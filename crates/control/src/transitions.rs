//! What breakers did, between the gateway's threads and the journal: what several threads did alike within a tick is one
//! decision, and what comes too often is counted instead of written down.
//!
//! ```text
//! thread 1  b opened (5 failures)  --+                        told, with its figures: "on 2 threads"
//! thread 2  b opened (6 failures)  --+-- merged at the tick --+
//! thread 1  a, a, a, a, a ...      --+                        beyond the allowance: counted, and said with the next
//! ```

use std::collections::{HashMap, HashSet};
use std::mem::{Discriminant, discriminant};

use ambidex_core::guard::breaker::{BreakerState, Cause};
use ambidex_core::guard::ejection::{Shift, Told};
use ambidex_core::time::{Mono, Span};
use ambidex_core::worker::WorkerId;
use serde::{Deserialize, Serialize};

/// Of one pool.
#[derive(Debug, Default)]
pub(crate) struct Transitions {
    waiting: Vec<Told>,
    pool: Allowance,
    workers: HashMap<WorkerId, Allowance>,
    /// Not written down since the last decision that was.
    untold: u64,
    /// The same since the start.
    pub(crate) untold_ever: u64,
}

/// A decision to be told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Merged {
    /// The first of those that were alike.
    pub(crate) what: Shift,
    pub(crate) extent: Extent,
}

/// How often a decision about a breaker was made, and by how many threads: each has its own breakers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extent {
    /// When, on the process's clock; the first of them.
    pub at: Mono,
    /// How many threads decided it within the tick.
    pub threads: u32,
    /// How often, over all threads.
    pub times: u32,
    /// Earlier ones of this pool that were not written down, because there were too many.
    pub untold: u64,
}

/// How much may be written down in a minute.
#[derive(Clone, Copy, Debug, Default)]
struct Allowance {
    since: Mono,
    used: u32,
}

impl Transitions {
    /// Keeps one until the next tick.
    pub(crate) fn hear(&mut self, told: Told) {
        self.miss(told.transition.lost);
        if self.waiting.len() < MOST_WAITING {
            self.waiting.push(told);
        } else {
            self.miss(1);
        }
    }

    /// What is to be told now, oldest first.
    pub(crate) fn take(&mut self, now: Mono) -> Vec<Merged> {
        let merged = merge(&std::mem::take(&mut self.waiting));
        let mut told = Vec::new();
        for mut one in merged {
            let of_worker = match one.what {
                Shift::Breaker { worker, .. } => Some(self.workers.entry(worker).or_default()),
                Shift::Panic(_) => None,
            };
            if of_worker.is_none_or(|worker| worker.has(now, MOST_OF_WORKER)) && self.pool.has(now, MOST_OF_POOL) {
                one.extent.untold = std::mem::take(&mut self.untold);
                told.push(one);
            } else {
                self.miss(u64::from(one.extent.times));
            }
        }
        self.workers.retain(|_, allowance| now.since(allowance.since) < MINUTE);
        told
    }

    fn miss(&mut self, count: u64) {
        self.untold += count;
        self.untold_ever += count;
    }
}

impl Extent {
    /// A decision's sentence, with what is to be said beside it.
    pub(crate) fn added_to(&self, mut sentence: String) -> String {
        if self.threads > 1 {
            sentence.push_str(&format!(" (on {} threads)", self.threads));
        }
        if self.untold > 0 {
            sentence.push_str(&format!("; {} changes of breakers before this were not written down", self.untold));
        }
        sentence
    }
}

impl Allowance {
    /// Uses one of `most` a minute, if one is left.
    fn has(&mut self, now: Mono, most: u32) -> bool {
        if now.since(self.since) >= MINUTE || self.used == 0 {
            *self = Self { since: now, used: 0 };
        }
        self.used += 1;
        self.used <= most
    }
}

/// What makes two transitions one decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Alike {
    Breaker(WorkerId, BreakerState, BreakerState, Discriminant<Cause>),
    Panic(bool),
}

fn merge(waiting: &[Told]) -> Vec<Merged> {
    let mut merged: Vec<(Merged, HashSet<usize>)> = Vec::new();
    let mut places: HashMap<Alike, usize> = HashMap::new();
    for Told { seat, transition, .. } in waiting {
        let alike = match &transition.what {
            Shift::Breaker { worker, change } => {
                Alike::Breaker(*worker, change.from, change.to, discriminant(&change.cause))
            }
            Shift::Panic(panic) => Alike::Panic(panic.on),
        };
        let place = *places.entry(alike).or_insert_with(|| {
            let extent = Extent { at: transition.at, threads: 0, times: 0, untold: 0 };
            merged.push((Merged { what: transition.what, extent }, HashSet::new()));
            merged.len() - 1
        });
        let (one, seats) = &mut merged[place];
        if seats.insert(*seat) {
            one.extent.threads += 1;
        }
        one.extent.times += 1;
        one.extent.at = one.extent.at.min(transition.at);
    }
    merged.into_iter().map(|(one, _)| one).collect()
}

const MINUTE: Span = Span::from_secs(60);
/// Decisions about one worker's breaker in a minute. Source: ours; a worker that fails opens, is probed and opens again
/// four times in its first minute, on each of some threads at another tick.
const MOST_OF_WORKER: u32 = 32;
/// About one pool's. Source: ours; 100 KB of journal a minute.
const MOST_OF_POOL: u32 = 320;
/// Transitions that wait for a tick. Source: ours; a third of a pool of 1,000 workers on each of three threads.
const MOST_WAITING: usize = 1_024;

#[cfg(test)]
mod tests {
    use ambidex_core::guard::breaker::{Change, Trip};
    use ambidex_core::guard::ejection::Transition;
    use ambidex_core::worker::PoolId;

    use super::*;

    fn opened(seconds: u64, seat: usize, worker: u32) -> Told {
        let by = Trip::Consecutive { failures: 5, limit: 5 };
        let cause = Cause::Tripped { by, cool_down: Span::from_secs(10) };
        let change = Change { from: BreakerState::Closed, to: BreakerState::Open, cause };
        let what = Shift::Breaker { worker: WorkerId(worker), change };
        Told { pool: PoolId(1), seat, transition: Transition { at: at(seconds), what, lost: 0 } }
    }

    fn at(seconds: u64) -> Mono {
        Mono::default() + Span::from_secs(seconds)
    }

    #[test]
    fn what_two_threads_did_within_a_tick_is_one_decision() {
        let mut transitions = Transitions::default();
        [opened(2, 0, 7), opened(1, 1, 7), opened(2, 0, 8)].into_iter().for_each(|told| transitions.hear(told));
        let told = transitions.take(at(3));
        let extents: Vec<_> = told.iter().map(|one| (one.extent.at, one.extent.threads, one.extent.times)).collect();
        assert_eq!(extents, [(at(1), 2, 2), (at(2), 1, 1)]);
    }

    #[test]
    fn a_flapping_breaker_is_written_down_so_often_and_then_counted() {
        let mut transitions = Transitions::default();
        let mut told = Vec::new();
        for second in 0..60 {
            (0..100).for_each(|_| transitions.hear(opened(second, 0, 7)));
            told.extend(transitions.take(at(second)));
        }
        assert_eq!(told.len(), 32);
        assert_eq!(transitions.untold_ever, 28 * 100);
        transitions.hear(opened(60, 0, 8));
        assert_eq!(transitions.take(at(60))[0].extent.untold, 28 * 100);
    }

    #[test]
    fn one_flapping_worker_leaves_the_others_their_part_and_the_pool_is_bounded() {
        let mut transitions = Transitions::default();
        let mut told = Vec::new();
        for second in 0..60 {
            (0..100).for_each(|worker| transitions.hear(opened(second, 0, worker)));
            told.extend(transitions.take(at(second)));
        }
        assert_eq!(told.len(), 320);
        assert_eq!(told.len() as u64 + transitions.untold_ever, 6_000);
    }

    #[test]
    fn nothing_is_kept_of_workers_that_are_quiet() {
        let mut transitions = Transitions::default();
        (0..1_000).for_each(|worker| transitions.hear(opened(0, 0, worker)));
        transitions.take(at(0));
        transitions.take(at(60));
        assert!(transitions.workers.is_empty());
    }

    #[test]
    fn what_a_thread_could_not_keep_is_counted_too() {
        let mut transitions = Transitions::default();
        let mut told = opened(0, 0, 7);
        told.transition.lost = 5;
        transitions.hear(told);
        assert_eq!(transitions.take(at(0))[0].extent.untold, 5);
    }
}
