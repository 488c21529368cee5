//! What a runbook holds back for a while: second tries of a pool's requests, and a part of the requests themselves.
//!
//! Written by the coordinator, read by every request's thread: relaxed atomics that are all zero while nothing is held
//! back, so that a request then pays one comparison.

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use crate::runbook::Tuning;
use crate::share::Share;

/// What is held back of one pool, in one process; like the budget it outlives views.
#[derive(Debug, Default)]
pub struct Restraint {
    /// Of the budget of second tries, in millionths.
    retries: AtomicU32,
    /// How many times longer backoffs are.
    backoff: AtomicU32,
    hedges: AtomicBool,
    /// Of the requests, in millionths.
    requests: AtomicU32,
}

impl Restraint {
    /// Holds back what a tuning says, from now on.
    pub fn set(&self, tuning: &Tuning) {
        self.retries.store(millionths(tuning.retries.rest()), Relaxed);
        self.backoff.store(tuning.backoff.saturating_sub(1), Relaxed);
        self.hedges.store(!tuning.hedges, Relaxed);
        self.requests.store(millionths(tuning.admitted.rest()), Relaxed);
    }

    /// What is left of the budget of second tries.
    #[must_use]
    pub fn retries(&self) -> f64 {
        1.0 - f64::from(self.retries.load(Relaxed)) / 1e6
    }

    /// How many times as long backoffs are.
    #[must_use]
    pub fn backoff(&self) -> u64 {
        u64::from(self.backoff.load(Relaxed)) + 1
    }

    /// Whether requests may be hedged.
    #[must_use]
    pub fn hedges(&self) -> bool {
        !self.hedges.load(Relaxed)
    }

    /// With which probability a request is refused; `None` while none is.
    #[must_use]
    #[inline]
    pub fn refuses(&self) -> Option<f64> {
        let held = self.requests.load(Relaxed);
        (held > 0).then(|| f64::from(held) / 1e6)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a million")]
fn millionths(share: Share) -> u32 {
    libm::round(share.get() * 1e6) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_held_back_until_a_tuning_says_so_and_nothing_is_left_of_it_after() {
        let restraint = Restraint::default();
        let untouched = |restraint: &Restraint| {
            (restraint.retries() - 1.0).abs() < 1e-9
                && restraint.backoff() == 1
                && restraint.hedges()
                && restraint.refuses().is_none()
        };
        assert!(untouched(&restraint));
        let tuning = Tuning {
            retries: Share::NONE,
            backoff: 4,
            hedges: false,
            admitted: Share::percent(60),
            ..Tuning::default()
        };
        restraint.set(&tuning);
        assert_eq!((restraint.retries(), restraint.backoff(), restraint.hedges()), (0.0, 4, false));
        assert_eq!(restraint.refuses(), Some(0.4));
        restraint.set(&Tuning::default());
        assert!(untouched(&restraint));
    }
}
