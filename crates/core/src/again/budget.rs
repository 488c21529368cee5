//! Retry budget: how many requests may be asked twice, over all of a process's threads.
//!
//! A worker that fails makes every client try again, and the second tries are what finally brings the pool down. So
//! all second tries of a pool (retries now, hedges with them later) draw from one budget:
//!
//! ```text
//! allowed in 10 s = share x requests in 10 s + floor x 10        (20 % and 10/s: balancing.md, after finagle's budget)
//! ```
//! The floor lets a quiet client retry at all. What is granted is counted at once, before any backoff, so that a
//! hundred waiting requests cannot all believe in the last token.

use crate::share::Share;
use crate::stats::ring::Ring;
use crate::time::Mono;

/// How much a budget grants.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetConfig {
    /// Second tries as a share of requests. Default 20 %; source: balancing.md "Retry", finagle's `RetryBudget`.
    pub share: Share,
    /// Second tries a second that are always allowed. Default 10; source: balancing.md "Retry".
    pub floor_per_second: u32,
}

impl Default for BudgetConfig {
    fn default() -> Self {
        Self { share: Share::percent(20), floor_per_second: 10 }
    }
}

/// The budget of one pool in one process.
#[derive(Debug, Default)]
pub struct Budget {
    config: BudgetConfig,
    counts: Ring,
}

impl Budget {
    /// An unused budget.
    #[must_use]
    pub fn new(config: BudgetConfig) -> Self {
        Self { config, counts: Ring::default() }
    }

    /// Counts a request that a client sent: it earns its share of a second try.
    pub fn earn(&self, now: Mono) {
        self.counts.count(now, false);
    }

    /// Takes one second try, if one is left.
    pub fn take(&self, now: Mono) -> bool {
        let seen = self.counts.sums(now);
        let allowed = self.config.share.get() * seen.total as f64 + f64::from(self.config.floor_per_second) * 10.0;
        let granted = (seen.marked as f64) < allowed;
        if granted {
            self.counts.mark(now);
        }
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    #[test]
    fn a_quiet_pool_may_retry_its_floor_and_no_more() {
        let budget = Budget::default();
        let granted = (0..500).filter(|_| budget.take(at(0))).count();
        assert_eq!(granted, 100);
    }

    #[test]
    fn a_thousand_requests_earn_two_hundred_more() {
        let budget = Budget::default();
        (0..1_000).for_each(|i| budget.earn(at(i)));
        let granted = (0..1_000).filter(|_| budget.take(at(1_000))).count();
        assert_eq!(granted, 300);
    }

    #[test]
    fn what_was_taken_comes_back_when_its_ten_seconds_are_over() {
        let budget = Budget::default();
        while budget.take(at(0)) {}
        assert!(!budget.take(at(9_999)));
        assert!(budget.take(at(10_000)));
    }
}
