//! Counters of one thread: written by it alone with plain loads and stores, read by whoever scrapes.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::StatusCode;

use crate::by_route::RouteTable;
use crate::reason::Reason;

/// A counter with one writer.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds. Only the owning thread may call this.
    pub fn add(&self, more: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    /// What it stands at.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One for each [`Reason`], by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByReason<T>([T; Reason::ALL.len()]);

impl<T: Default> Default for ByReason<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| T::default()))
    }
}

impl<T> Deref for ByReason<T> {
    type Target = [T; Reason::ALL.len()];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for ByReason<T> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

/// What one thread counted.
#[derive(Debug, Default)]
pub struct ThreadStats {
    /// Client connections served so far.
    pub connections: Count,
    /// Requests that arrived.
    pub requests: Count,
    /// Answers by the first digit of their status, 0 for clients that left before one.
    pub answers: [Count; 6],
    /// Requests answered by the gateway itself, by [`Reason`].
    pub refusals: ByReason<Count>,
    /// Answers that broke off after their head.
    pub broken: Count,
    /// Connections opened to workers.
    pub connects: Count,
    /// Connections to workers that could not be opened.
    pub connect_failures: Count,
    /// Requests sent on a connection that had served before.
    pub reuses: Count,
    /// Bytes of request bodies.
    pub bytes_in: Count,
    /// Bytes of answers' bodies.
    pub bytes_out: Count,
    /// Connections handed over to another protocol.
    pub upgrades: Count,
    /// Reports of workers that could not be used.
    pub report_faults: Count,
    /// Disagreements of quorums that a repair hook was told of.
    pub repairs: Count,
    /// Those that it could not be told of.
    pub repairs_lost: Count,
    /// Requests of keyed routes.
    pub keyed: KeyedCounts,
    /// Which route's requests which worker answered.
    pub(crate) routes: RouteTable,
}

/// What one thread counted of requests with one owner.
#[derive(Debug, Default)]
pub struct KeyedCounts {
    /// Requests that were routed by a table.
    pub asked: Count,
    /// Those that were not sent at once.
    pub waited: Count,
    /// Those that wait now.
    pub waiting: Count,
    /// Their bytes.
    pub waiting_bytes: Count,
    /// Tries after the first.
    pub hops: Count,
    /// Tries that a worker did not admit: 421.
    pub misdirected: Count,
    /// Tries that were broken off, or whose end nobody knows.
    pub broken: Count,
    /// Tries for which the owner is no worker of the pool, or could not be reached.
    pub unreached: Count,
    /// Reads that got an old answer, since their slice was sealed.
    pub stale: Count,
}

impl ThreadStats {
    pub(crate) fn answered(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).min(5);
        self.answers[class].add(1);
    }

    pub(crate) fn refused(&self, reason: Reason) {
        self.refusals[reason as usize].add(1);
    }
}

/// Sums over threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `ThreadStats`, summed")]
pub struct Totals {
    pub connections: u64,
    pub requests: u64,
    pub answers: [u64; 6],
    pub refusals: ByReason<u64>,
    pub broken: u64,
    pub connects: u64,
    pub connect_failures: u64,
    pub reuses: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub upgrades: u64,
    pub report_faults: u64,
    pub repairs: u64,
    pub repairs_lost: u64,
    pub keyed: KeyedTotals,
}

/// Sums over threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `KeyedCounts`, summed")]
pub struct KeyedTotals {
    pub asked: u64,
    pub waited: u64,
    pub waiting: u64,
    pub waiting_bytes: u64,
    pub hops: u64,
    pub misdirected: u64,
    pub broken: u64,
    pub unreached: u64,
    pub stale: u64,
}

impl Totals {
    /// Adds what a thread counted.
    pub fn add(&mut self, thread: &ThreadStats) {
        for (sum, count) in self.answers.iter_mut().zip(&thread.answers) {
            *sum += count.get();
        }
        for (sum, count) in self.refusals.iter_mut().zip(thread.refusals.iter()) {
            *sum += count.get();
        }
        for (sum, count) in [
            (&mut self.connections, &thread.connections),
            (&mut self.requests, &thread.requests),
            (&mut self.broken, &thread.broken),
            (&mut self.connects, &thread.connects),
            (&mut self.connect_failures, &thread.connect_failures),
            (&mut self.reuses, &thread.reuses),
            (&mut self.bytes_in, &thread.bytes_in),
            (&mut self.bytes_out, &thread.bytes_out),
            (&mut self.upgrades, &thread.upgrades),
            (&mut self.report_faults, &thread.report_faults),
            (&mut self.repairs, &thread.repairs),
            (&mut self.repairs_lost, &thread.repairs_lost),
            (&mut self.keyed.asked, &thread.keyed.asked),
            (&mut self.keyed.waited, &thread.keyed.waited),
            (&mut self.keyed.waiting, &thread.keyed.waiting),
            (&mut self.keyed.waiting_bytes, &thread.keyed.waiting_bytes),
            (&mut self.keyed.hops, &thread.keyed.hops),
            (&mut self.keyed.misdirected, &thread.keyed.misdirected),
            (&mut self.keyed.broken, &thread.keyed.broken),
            (&mut self.keyed.unreached, &thread.keyed.unreached),
            (&mut self.keyed.stale, &thread.keyed.stale),
        ] {
            *sum += count.get();
        }
    }
}
