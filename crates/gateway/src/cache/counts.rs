//! What the cache counted, for `/metrics`. Written by all threads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters of the cache.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) hits: AtomicU64,
    pub(crate) stale: AtomicU64,
    pub(crate) misses: AtomicU64,
    pub(crate) validated: AtomicU64,
    pub(crate) passed: AtomicU64,
    pub(crate) collapsed: AtomicU64,
    pub(crate) stored: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) evicted: AtomicU64,
    pub(crate) invalidated: AtomicU64,
    pub(crate) observed: AtomicU64,
    pub(crate) shared_hits: AtomicU64,
    pub(crate) shared_misses: AtomicU64,
    pub(crate) shared_failures: AtomicU64,
}

impl Counts {
    /// One more.
    pub(crate) fn add(count: &AtomicU64) {
        count.fetch_add(1, Relaxed);
    }
}

/// Numbers of the cache, for metrics; all 0 without one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Requests answered with what was kept and fresh.
    pub hits: u64,
    /// Requests answered with what was kept and stale: meanwhile, after an error, or because the client bears it.
    pub stale: u64,
    /// Requests for which nothing that fits was kept.
    pub misses: u64,
    /// Requests for which a worker said that what is kept is still right.
    pub validated: u64,
    /// Requests that the cache has nothing to do with: methods, bodies, conditions.
    pub passed: u64,
    /// Requests that waited for another one's answer.
    pub collapsed: u64,
    /// Answers that were kept.
    pub stored: u64,
    /// Answers that may not be kept, or broke off.
    pub refused: u64,
    /// Resources thrown out for others.
    pub evicted: u64,
    /// Resources thrown out because they were written to.
    pub invalidated: u64,
    /// Requests that would have been answered, on routes that only observe.
    pub observed: u64,
    /// Misses that the second level had the answer for.
    pub shared_hits: u64,
    /// Misses that it had none for.
    pub shared_misses: u64,
    /// Misses for which it did not answer in time.
    pub shared_failures: u64,
    /// Bytes kept.
    pub bytes: u64,
    /// Resources kept.
    pub resources: u64,
}

impl CacheStats {
    pub(crate) fn of(counts: &Counts) -> Self {
        let Counts {
            hits,
            stale,
            misses,
            validated,
            passed,
            collapsed,
            stored,
            refused,
            evicted,
            invalidated,
            observed,
            ..
        } = counts;
        let now = |count: &AtomicU64| count.load(Relaxed);
        Self {
            hits: now(hits),
            stale: now(stale),
            misses: now(misses),
            validated: now(validated),
            passed: now(passed),
            collapsed: now(collapsed),
            stored: now(stored),
            refused: now(refused),
            evicted: now(evicted),
            invalidated: now(invalidated),
            observed: now(observed),
            shared_hits: now(&counts.shared_hits),
            shared_misses: now(&counts.shared_misses),
            shared_failures: now(&counts.shared_failures),
            bytes: 0,
            resources: 0,
        }
    }
}
