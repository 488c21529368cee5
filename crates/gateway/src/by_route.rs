//! Which route's requests which worker answered: counted by each thread for itself, read by whoever wants a table of both.
//!
//! ```text
//! slot = hash(route, worker)   |key|requests|failed|nanos|   one cache line for two; the next seven are looked at when it is taken
//! ```
//! A request pays a look at one slot and three plain stores, and nothing where there is one route only: then the worker's own counts
//! say the same. The table has a fixed size. When a worker comes for whom there is no place, all of it begins anew: readers see that
//! counts fell.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ambidex_core::time::Span;
use ambidex_core::worker::WorkerId;
use arc_swap::ArcSwap;

use crate::front::Front;
use crate::stats::ThreadStats;

/// One thread's table.
#[derive(Debug)]
pub(crate) struct RouteTable(Box<[Slot]>);

#[derive(Debug, Default)]
struct Slot {
    /// Route and worker; 0 while it is free.
    key: AtomicU64,
    requests: AtomicU64,
    failed: AtomicU64,
    nanos: AtomicU64,
}

/// What a worker had of a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteCount {
    /// Requests that it answered.
    pub requests: u64,
    /// Of which it failed.
    pub failed: u64,
    /// How long all of them took until their answers began.
    pub busy: Span,
}

/// Reads the tables of all threads; lives apart from the gateway, and as long as anybody wants.
#[derive(Clone, Debug, Default)]
pub struct RouteCounts {
    pub(crate) threads: Vec<Arc<ThreadStats>>,
    pub(crate) front: Arc<ArcSwap<Front>>,
}

impl Default for RouteTable {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| Slot::default()).collect())
    }
}

impl RouteTable {
    /// Counts an answer. Only the owning thread may call this. `route` is the route's number for this table.
    pub(crate) fn count(&self, route: u32, worker: WorkerId, failed: bool, took: Span) {
        let key = key(route, worker);
        let slot = self.slot(key).unwrap_or_else(|| self.begin_anew(key));
        bump(&slot.requests, 1);
        bump(&slot.failed, u64::from(failed));
        bump(&slot.nanos, took.as_nanos());
    }

    fn slot(&self, key: u64) -> Option<&Slot> {
        let first = place(key);
        (first..first + PROBES).find_map(|at| {
            let slot = &self.0[at % SLOTS];
            match slot.key.load(Relaxed) {
                known if known == key => Some(slot),
                0 => {
                    slot.key.store(key, Relaxed);
                    Some(slot)
                }
                _ => None,
            }
        })
    }

    #[cold]
    fn begin_anew(&self, key: u64) -> &Slot {
        for slot in self.0.iter() {
            for cell in [&slot.key, &slot.requests, &slot.failed, &slot.nanos] {
                cell.store(0, Relaxed);
            }
        }
        let slot = &self.0[place(key)];
        slot.key.store(key, Relaxed);
        slot
    }

    /// Adds all of it.
    fn add_to(&self, sums: &mut BTreeMap<(u32, WorkerId), RouteCount>) {
        for slot in self.0.iter() {
            let key = slot.key.load(Relaxed);
            if key != 0 {
                let sum = sums.entry(parts(key)).or_default();
                sum.requests += slot.requests.load(Relaxed);
                sum.failed += slot.failed.load(Relaxed);
                sum.busy = sum.busy + Span::from_nanos(slot.nanos.load(Relaxed));
            }
        }
    }
}

impl RouteCounts {
    /// Everything that was counted, of routes that there are still, by route and worker.
    #[must_use]
    pub fn now(&self) -> BTreeMap<(Arc<str>, WorkerId), RouteCount> {
        let mut sums = BTreeMap::new();
        self.threads.iter().for_each(|thread| thread.routes.add_to(&mut sums));
        let front = self.front.load();
        let mut named: BTreeMap<(Arc<str>, WorkerId), RouteCount> = BTreeMap::new();
        for ((route, worker), count) in sums {
            // Of a slot that was being filled, the number may be half of it: no route has such a one.
            let Some(label) = front.routes.labelled(route) else { continue };
            let sum = named.entry((label, worker)).or_default();
            sum.requests += count.requests;
            sum.failed += count.failed;
            sum.busy = sum.busy + count.busy;
        }
        named
    }
}

/// The number by which a route is counted: the same for the same label, also after a reload. Never 0.
pub(crate) fn number(label: &str) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "a hash")]
    let number = xxhash_rust::xxh3::xxh3_64(label.as_bytes()) as u32;
    number.max(1)
}

fn key(route: u32, worker: WorkerId) -> u64 {
    (u64::from(route) << 32) | u64::from(worker.0)
}

fn parts(key: u64) -> (u32, WorkerId) {
    #[expect(clippy::cast_possible_truncation, reason = "the halves that were put together")]
    let (route, worker) = ((key >> 32) as u32, key as u32);
    (route, WorkerId(worker))
}

/// Multiplicative hashing: the highest bits are the best mixed.
fn place(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SLOT_BITS)) as usize
}

fn bump(cell: &AtomicU64, more: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(more), Relaxed);
}

/// Source: ours; 64 KiB a thread, a hundred workers with ten routes each fill half of it.
const SLOT_BITS: u32 = 11;
const SLOTS: usize = 1 << SLOT_BITS;
/// Slots that are looked at. Source: ours; four cache lines.
const PROBES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(table: &RouteTable) -> BTreeMap<(u32, WorkerId), RouteCount> {
        let mut sums = BTreeMap::new();
        table.add_to(&mut sums);
        sums
    }

    #[test]
    fn each_route_on_each_worker_is_counted_apart() {
        let table = RouteTable::default();
        for route in 1..=10 {
            for worker in 0..50 {
                (0..route).for_each(|at| table.count(route, WorkerId(worker), at == 0, Span::from_millis(2)));
            }
        }
        let sums = sums(&table);
        assert_eq!(sums.len(), 500);
        let count = sums[&(7, WorkerId(3))];
        assert_eq!(count, RouteCount { requests: 7, failed: 1, busy: Span::from_millis(14) });
    }

    #[test]
    fn a_table_without_room_begins_anew_and_goes_on() {
        let table = RouteTable::default();
        for worker in 0..100_000 {
            table.count(number("/a/*"), WorkerId(worker), false, Span::from_millis(1));
        }
        let sums = sums(&table);
        assert!(sums.len() <= SLOTS && sums.contains_key(&(number("/a/*"), WorkerId(99_999))), "{}", sums.len());
    }
}
