//! `weighted-round-robin`: each in turn, as often as its weight says, evenly spread.
//!
//! Every worker has a next turn on a common virtual clock, and the earliest is picked:
//!
//! ```text
//! virtual time  0 ----------------- 1 ----------------- 2        burden 1/2 of the mean weight: two turns a unit
//! a, weight 2      x         x         x         x               after every unit each worker had exactly its weight
//! b, weight 1         x                   x
//! ```
//! This gives the spread of nginx's smooth weighted round robin in O(log n) instead of O(n) a pick. The first turn of
//! a worker lies at a random place of its first interval, so that threads and gateways do not march in step.
//!
//! Turns are kept by [`WorkerId`] and per arm. A changed weight stretches what is left of the wait, a changed view
//! keeps all waits: a tick of the weights every second must not send a burst to slot 0 every second.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::{Ask, Pick, PickReason};
use crate::draw::Draw;
use crate::view::Arm;
use crate::worker::WorkerId;

/// Turns for each arm.
#[derive(Debug, Default)]
pub struct WeightedRoundRobin {
    learned: Turns,
    fixed: Turns,
    path: Turns,
}

impl WeightedRoundRobin {
    pub(super) fn pick(&mut self, ask: &Ask<'_>, draw: &mut Draw) -> Option<Pick> {
        let turns = match ask.arm {
            Arm::Learned => &mut self.learned,
            Arm::Fixed => &mut self.fixed,
            Arm::Path => &mut self.path,
        };
        turns.follow(ask, draw);
        let slot = turns.take(ask)?;
        Some(ask.picked(slot, PickReason::Turn))
    }
}

#[derive(Debug, Default)]
struct Turns {
    /// Of the pool whose slots the heap names.
    revision: Option<u64>,
    now: f64,
    heap: BinaryHeap<Turn>,
    /// Turns taken out of the heap during one pick, for workers that may not have them.
    aside: Vec<Turn>,
}

#[derive(Clone, Copy, Debug)]
struct Turn {
    due: f64,
    burden: f64,
    slot: u32,
    worker: WorkerId,
}

impl Turns {
    /// Takes over the slots and weights of the view, if they are new.
    fn follow(&mut self, ask: &Ask<'_>, draw: &mut Draw) {
        if self.revision == Some(ask.pool.revision) {
            return;
        }
        self.revision = Some(ask.pool.revision);
        let mut known = core::mem::take(&mut self.heap).into_vec();
        known.sort_unstable_by_key(|turn| turn.worker);
        let turn_of = |(slot, worker): (usize, WorkerId)| {
            let burden = ask.weights.burden(slot);
            // How much of its interval a worker still waits; what was not here before joins anywhere in its first.
            let left = match known.binary_search_by_key(&worker, |turn| turn.worker) {
                Ok(at) => (known[at].due - self.now) / known[at].burden,
                Err(_) => draw.unit(),
            };
            #[expect(clippy::cast_possible_truncation, reason = "a pool has at most 2^32 workers")]
            (burden.is_finite()).then_some(Turn { due: left * burden, burden, slot: slot as u32, worker })
        };
        let workers = ask.pool.workers.iter().map(|worker| worker.id).enumerate();
        self.heap = workers.filter_map(turn_of).collect();
        self.now = 0.0;
    }

    fn take(&mut self, ask: &Ask<'_>) -> Option<usize> {
        let found = loop {
            let Some(mut first) = self.heap.peek_mut() else { break None };
            let slot = first.slot as usize;
            if ask.allows(slot) {
                self.now = self.now.max(first.due);
                first.due += first.burden;
                break Some(slot);
            }
            self.aside.push(alloc::collections::binary_heap::PeekMut::pop(first));
        };
        for mut turn in self.aside.drain(..) {
            // Tried by this request: its turn is still to come. Kept out: its turn is over, or it would have a heap of
            // them when it comes back.
            if !ask.barred.tried.contains(&(turn.slot as usize)) {
                turn.due = turn.due.max(self.now) + turn.burden;
            }
            self.heap.push(turn);
        }
        found
    }
}

impl Ord for Turn {
    /// The earliest is the greatest, as a heap wants it; slots decide between equals.
    fn cmp(&self, other: &Self) -> Ordering {
        other.due.total_cmp(&self.due).then(other.slot.cmp(&self.slot))
    }
}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Turn {}
