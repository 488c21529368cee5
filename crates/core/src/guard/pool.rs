//! What guards a whole pool beside the breakers of its workers, as a view carries it.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::bulkhead::{Anteroom, BulkheadConfig};
use super::throttle::ThrottleConfig;

/// Bulkhead and throttle of one pool, both off by default.
#[derive(Clone, Debug, Default)]
pub struct PoolGuards {
    /// How full its workers may be.
    pub bulkhead: Option<BulkheadConfig>,
    /// When its requests are refused here.
    pub throttle: Option<ThrottleConfig>,
    /// Who waits; the same through all views.
    pub anteroom: Arc<Anteroom>,
    /// What they did; the same through all views.
    pub counts: Arc<GuardCounts>,
}

impl PoolGuards {
    /// The bulkhead, if it is on or watches.
    #[must_use]
    #[inline]
    pub fn bulkhead(&self) -> Option<&BulkheadConfig> {
        self.bulkhead.as_ref().filter(|bulkhead| bulkhead.mode.watches())
    }

    /// The throttle, if it is on or watches.
    #[must_use]
    #[inline]
    pub fn throttle(&self) -> Option<&ThrottleConfig> {
        self.throttle.as_ref().filter(|throttle| throttle.mode.watches())
    }
}

/// What a guard did to a request, or would have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Its worker was full: another one was asked.
    Diverted,
    /// All workers were full: it waited.
    Waited,
    /// All workers were full, and there was no place or no time left: it was refused.
    Full,
    /// Its worker was full, and bulkheads are only observed.
    FullWatched,
    /// The throttle refused it.
    Throttled,
    /// The throttle would have refused it.
    ThrottleWatched,
    /// A runbook admits only a part of the requests, and it was not among them.
    HeldBack,
}

impl Kept {
    /// All of them, with the guard and the word that metrics have for each.
    pub const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Diverted, "bulkhead", "diverted"),
        (Self::Waited, "bulkhead", "waited"),
        (Self::Full, "bulkhead", "refused"),
        (Self::FullWatched, "bulkhead", "watched"),
        (Self::Throttled, "throttle", "refused"),
        (Self::ThrottleWatched, "throttle", "watched"),
        (Self::HeldBack, "runbook", "refused"),
    ];
}

/// How often guards did something, over all threads of the process.
#[derive(Debug, Default)]
pub struct GuardCounts([AtomicU64; Kept::ALL.len()]);

impl GuardCounts {
    /// Counts one.
    pub fn add(&self, kept: Kept) {
        self.0[kept as usize].fetch_add(1, Relaxed);
    }

    /// How often it came to this.
    #[must_use]
    pub fn of(&self, kept: Kept) -> u64 {
        self.0[kept as usize].load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_own_place() {
        for (at, (kept, ..)) in Kept::ALL.into_iter().enumerate() {
            assert_eq!(kept as usize, at);
        }
    }
}
