//! Retry budget: how many requests may be asked twice, over all of a process's threads.
//!
//! A worker that fails makes every client try again, and the second tries are what finally brings the pool down. So
//! all second tries of a pool (retries, hedges) draw from one budget:
//!
//! ```text
//! allowed in 10 s   share x requests in 10 s + floor x 10      (20 % and 10/s: balancing.md, after finagle's budget)
//! hedges            each request earns its share of one (5 %); what is earned is all that there ever is, and half of
//!                   what is kept goes only to requests that still wait when they ask again
//! ```
//! The floor lets a quiet client retry at all; hedges have none, because nobody needs them. What is granted is counted
//! at once, before any backoff, so that a hundred waiting requests cannot all believe in the last token.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::again::counts::Counts;
use crate::again::restraint::Restraint;
use crate::share::Share;
use crate::stats::interval::wilson;
use crate::stats::ring::Ring;
use crate::time::{Mono, Span};

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
    requests: Ring,
    /// Hedges that may still be sent, in millionths.
    hedges: AtomicU64,
    /// Hedges that ended, the marked ones won.
    hedged: Ring,
    /// Requests, the marked ones read from several workers.
    reads: Ring,
    /// The pool's utilization in millionths, and when it was told, in nanoseconds plus one.
    utilization: AtomicU64,
    utilization_at: AtomicU64,
    counts: Counts,
    restraint: Restraint,
}

impl Budget {
    /// An unused budget.
    #[must_use]
    pub fn new(config: BudgetConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// Counts a request that a client sent: it earns its share of a second try.
    pub fn earn(&self, now: Mono) {
        self.requests.count(now, false);
    }

    /// Takes one second try, if one is left.
    pub fn take(&self, now: Mono) -> bool {
        let granted = self.has(now);
        if granted {
            self.requests.mark(now);
        }
        granted
    }

    /// Whether a second try is left.
    pub fn has(&self, now: Mono) -> bool {
        let seen = self.requests.sums(now);
        let allowed = self.config.share.get() * seen.total as f64 + f64::from(self.config.floor_per_second) * 10.0;
        (seen.marked as f64) < allowed * self.restraint.retries()
    }

    /// A request that may be hedged earns its share of a hedge. Not more than [`MOST_HEDGES`] are kept for later.
    pub fn earn_hedge(&self, share: Share) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a million")]
        let earned = (share.get() * ONE_HEDGE as f64) as u64;
        let _ = self.hedges.fetch_update(Relaxed, Relaxed, |left| Some((left + earned).min(MOST_HEDGES * ONE_HEDGE)));
    }

    /// Takes one hedge, if one was earned and a second try is left; and leaves `spared` of what can be kept.
    pub fn take_hedge(&self, now: Mono, spared: Share) -> bool {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of ten million")]
        let kept = (spared.get() * (MOST_HEDGES * ONE_HEDGE) as f64) as u64;
        let earned = |left: u64| if left >= kept + ONE_HEDGE { Some(left - ONE_HEDGE) } else { None };
        if !self.has(now) || self.hedges.fetch_update(Relaxed, Relaxed, earned).is_err() {
            return false;
        }
        self.requests.mark(now);
        true
    }

    /// Hears whether a hedge won.
    pub fn hedge_ended(&self, now: Mono, won: bool) {
        self.hedged.count(now, won);
    }

    /// Whether the hedges of the last ten seconds do not prove that fewer than `least` of them win. Too few prove
    /// nothing, which is also how hedging begins anew after a pause.
    pub fn hedges_win(&self, now: Mono, least: Share) -> bool {
        let seen = self.hedged.sums(now);
        wilson(seen.marked.min(seen.total), seen.total).1 >= least
    }

    /// Takes a read from several workers, if at most `share` of the requests are.
    pub fn take_read(&self, now: Mono, share: Share) -> bool {
        self.reads.count(now, false);
        let seen = self.reads.sums(now);
        let granted = (seen.marked as f64) < share.get() * seen.total as f64;
        if granted {
            self.reads.mark(now);
        }
        granted
    }

    /// Hears how utilized the pool is, from whoever sees all of it.
    pub fn hear_utilization(&self, now: Mono, utilization: Share) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a million")]
        self.utilization.store((utilization.get() * 1e6) as u64, Relaxed);
        self.utilization_at.store(now.as_nanos().saturating_add(1), Relaxed);
    }

    /// Whether the pool was over this utilization when it was last told, not long ago.
    pub fn is_busy(&self, now: Mono, over: Share) -> bool {
        let at = self.utilization_at.load(Relaxed);
        let fresh = at > 0 && now.since(Mono::from_nanos(at - 1)) <= UTILIZATION_LIFE;
        fresh && self.utilization.load(Relaxed) as f64 > over.get() * 1e6
    }

    /// What a runbook holds back now.
    #[must_use]
    #[inline]
    pub fn restraint(&self) -> &Restraint {
        &self.restraint
    }

    /// How often second chances were taken, watched and refused.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

/// A hedge in the unit of its account.
const ONE_HEDGE: u64 = 1_000_000;
/// Hedges that are kept for later at most. Source: ours; a pause of one worker meets a handful of requests.
pub const MOST_HEDGES: u64 = 10;
/// How long a utilization is believed. Source: ours; five ticks of the slow loop.
const UTILIZATION_LIFE: Span = Span::from_secs(5);

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
    fn a_hundred_requests_earn_five_hedges_and_not_one_more() {
        let budget = Budget::default();
        (0..100).for_each(|_| budget.earn_hedge(Share::percent(5)));
        assert_eq!((0..100).filter(|_| budget.take_hedge(at(0), Share::NONE)).count(), 5);
        (0..10_000).for_each(|_| budget.earn_hedge(Share::percent(5)));
        assert_eq!((0..100).filter(|_| budget.take_hedge(at(0), Share::NONE)).count(), 10, "what is kept is bounded");
    }

    #[test]
    fn what_is_spared_is_left_for_others() {
        let budget = Budget::default();
        (0..1_000).for_each(|_| budget.earn_hedge(Share::percent(5)));
        assert_eq!((0..100).filter(|_| budget.take_hedge(at(0), Share::percent(50))).count(), 5);
        assert_eq!((0..100).filter(|_| budget.take_hedge(at(0), Share::NONE)).count(), 5);
    }

    #[test]
    fn hedges_and_retries_draw_from_one_budget() {
        let budget = Budget::default();
        (0..1_000).for_each(|_| budget.earn_hedge(Share::ALL));
        while budget.take(at(0)) {}
        assert!(!budget.take_hedge(at(0), Share::NONE));
    }

    #[test]
    fn hedges_that_do_not_win_stop_until_their_ten_seconds_are_over() {
        let budget = Budget::default();
        (0..70).for_each(|_| budget.hedge_ended(at(0), false));
        assert!(budget.hedges_win(at(0), Share::percent(5)), "that may be chance");
        (0..10).for_each(|_| budget.hedge_ended(at(0), false));
        assert!(!budget.hedges_win(at(0), Share::percent(5)));
        assert!(budget.hedges_win(at(10_000), Share::percent(5)));
    }

    #[test]
    fn a_pool_is_busy_for_as_long_as_its_utilization_is_believed() {
        let budget = Budget::default();
        assert!(!budget.is_busy(at(0), Share::percent(80)));
        budget.hear_utilization(at(0), Share::percent(81));
        assert!(budget.is_busy(at(5_000), Share::percent(80)) && !budget.is_busy(at(5_001), Share::percent(80)));
    }

    #[test]
    fn half_of_the_requests_may_read_from_several() {
        let budget = Budget::default();
        let granted = (0..100).filter(|_| budget.take_read(at(0), Share::percent(50))).count();
        assert_eq!(granted, 50);
    }

    #[test]
    fn what_was_taken_comes_back_when_its_ten_seconds_are_over() {
        let budget = Budget::default();
        while budget.take(at(0)) {}
        assert!(!budget.take(at(9_999)));
        assert!(budget.take(at(10_000)));
    }
}
