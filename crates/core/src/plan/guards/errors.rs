//! Errors act at once: the factor `(1 - errors)^2`, whatever the rule.
//!
//! The share of failures is the worse of two: this tick's, so that a worker that begins to fail is felt in the same
//! tick, and that of the last ten seconds, so that one good answer does not bring it back. Both are counted with two
//! good answers more than were seen: a single failure of a single request is no verdict. What was seen fades with the
//! ten seconds, and is counted as [`MOST_EVIDENCE`] requests at most, so that a worker that gets no more traffic
//! because it failed is tried again within half a minute. Until something good was answered, the share does not fall while
//! it is tried at least every ten seconds: the tick in which a worker dies still has good answers of before, so that the next,
//! with few tries, would bring a part of its weight back.
//!
//! When most of a pool fails, it is the pool's trouble: then only what a worker fails beyond the others counts. Otherwise
//! the squares of what little is left would throw all traffic from one worker to the next, tick by tick.

use serde::{Deserialize, Serialize};

use crate::plan::handover::{Eye, Pen, count};
use crate::plan::seen::Seen;
use crate::time::Span;

/// Failures of one worker over ten fading seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::plan) struct Errors {
    failed: f64,
    total: f64,
    /// Failures alone, which fade, however many were answered beside them.
    #[serde(default)]
    lately: f64,
    /// Failures since the last tick with a good answer.
    #[serde(default)]
    streak: u64,
    /// The share that stands until a good answer comes, or nothing was tried for a while.
    #[serde(default)]
    stands: f64,
    /// Time since the newest try ended.
    #[serde(default)]
    untried: Span,
    /// The factor in force; small changes of it are not made.
    factor: Option<f64>,
}

impl Errors {
    /// Takes one tick in; the share of failures, 0 to 1.
    pub(in crate::plan) fn take(&mut self, seen: &Seen, fresh: bool, step: Span) -> f64 {
        let keep = libm::exp(-step.as_secs_f64() / WINDOW);
        let (samples, share) = seen.passive.map_or((0.0, 0.0), |own| (own.samples as f64, own.errors.get()));
        self.streak = if seen.answered() { 0 } else { self.streak.saturating_add(tries(seen)) };
        self.failed = self.failed * keep + samples * share;
        self.lately = self.lately * keep + samples * share;
        self.total = self.total * keep + samples;
        let excess = (self.total / MOST_EVIDENCE).max(1.0);
        self.failed /= excess;
        self.total /= excess;
        let instant = samples * share / (samples + ASSUMED_GOOD);
        let lasting = self.failed / (self.total + ASSUMED_GOOD);
        // What the worker says of its own failures is over its own window and may only make it look worse.
        let told = seen.report.filter(|_| fresh).and_then(|heard| heard.report.errors).map_or(0.0, |share| share.get());
        let share = instant.max(lasting).max(told).clamp(0.0, 1.0);
        self.untried = if samples > 0.0 { Span::ZERO } else { self.untried + step };
        let is_belied = seen.answered() || self.untried > STANDS;
        self.stands = if is_belied { share } else { share.max(self.stands) };
        self.stands
    }

    /// Forgets what failed: its return is watched in another way.
    pub(in crate::plan) fn forgive(&mut self) {
        (self.failed, self.total, self.lately, self.streak) = (0.0, 0.0, 0.0, 0);
        (self.stands, self.untried) = (0.0, Span::ZERO);
    }

    /// Whether the worker fell: nothing but failures comes of it, of some tries that its breaker takes for enough, or of
    /// more in a row. Of a pool that fails as a whole only those fell that breakers keep out, which are a third at most.
    pub(in crate::plan) fn fell(&self, seen: &Seen, pool_fails: bool) -> bool {
        let by_breaker = seen.kept_out && self.lately >= MANY;
        !seen.answered() && (by_breaker || (self.streak >= IN_A_ROW && !pool_fails))
    }

    /// As figures for the next planner.
    pub(in crate::plan) fn write(&self, pen: &mut Pen) {
        let Self { failed, total, lately, streak, stands, untried, factor } = *self;
        [failed, total, lately, streak as f64, stands, untried.as_secs_f64()]
            .into_iter()
            .for_each(|value| pen.put(value));
        pen.put_if(factor);
    }

    /// The same, read.
    pub(in crate::plan) fn read(eye: &mut Eye<'_>) -> Self {
        let [failed, total, lately, streak, stands, untried] = core::array::from_fn(|_| eye.next());
        let (streak, untried) = (count(streak).into(), Span::from_secs_f64(untried));
        Self { failed, total, lately, streak, stands, untried, factor: eye.next_if() }
    }

    /// Whether its figures are such that it can have.
    pub(in crate::plan) fn is_sound(&self) -> bool {
        let all = [self.failed, self.total, self.lately, self.stands];
        let within = self.factor.is_none_or(|factor| (0.0..=1.0).contains(&factor));
        within && all.into_iter().all(|value| value.is_finite() && value >= 0.0)
    }

    /// The factor on the weight: `(1 - errors)^2`, held while it differs by less than `deadband` of the whole.
    pub(in crate::plan) fn factor(&mut self, errors: f64, deadband: f64) -> f64 {
        let good = 1.0 - errors;
        let wanted = good * good;
        let kept = self.factor.unwrap_or(1.0);
        let small = (wanted - kept).abs() <= deadband * kept;
        // Under one in a thousand nothing is wrong that a weight could mend; then the factor is exactly one again.
        let next = if errors < 0.001 {
            1.0
        } else if small {
            kept
        } else {
            wanted
        };
        self.factor = Some(next);
        next
    }
}

/// Tries of the tick; all of them failed where none was answered.
fn tries(seen: &Seen) -> u64 {
    seen.passive.map_or(0, |own| own.samples)
}

/// Seconds over which failures are remembered. Source: balancing.md "Failure price" (10 buckets over 10 s).
const WINDOW: f64 = 10.0;
/// How long a share stands without any try. Source: as [`WINDOW`].
const STANDS: Span = Span::from_secs(10);
/// Failures of the last seconds that a breaker may have opened by. Source: R-L5 (three failures).
const MANY: f64 = 3.0;
/// Failures without a good answer between. Source: as a breaker's (five in a row).
const IN_A_ROW: u64 = 5;
/// Good answers assumed beside those seen. Source: ours; a Laplace prior on the good side.
const ASSUMED_GOOD: f64 = 2.0;
/// Requests that the memory of a worker counts for at most. Source: ours; half forgotten after 13 s without traffic.
const MOST_EVIDENCE: f64 = 50.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::seen::Passive;
    use crate::share::Share;

    fn tick(samples: u64, errors: f64) -> Seen {
        let passive = Passive { samples, errors: Share::clamped(errors), ..Passive::default() };
        Seen { passive: Some(passive), ..Seen::default() }
    }

    fn second() -> Span {
        Span::from_secs(1)
    }

    #[test]
    fn a_worker_that_begins_to_fail_is_felt_in_the_same_tick() {
        let mut errors = Errors::default();
        for _ in 0..60 {
            errors.take(&tick(1_000, 0.0), true, second());
        }
        assert!(errors.take(&tick(1_000, 1.0), true, second()) > 0.99);
    }

    #[test]
    fn one_failure_of_one_request_is_no_verdict() {
        assert!(Errors::default().take(&tick(1, 1.0), true, second()) < 0.4);
    }

    #[test]
    fn one_good_tick_does_not_bring_a_failing_worker_back() {
        let mut errors = Errors::default();
        errors.take(&tick(1_000, 1.0), true, second());
        assert!(errors.take(&tick(10, 0.0), true, second()) > 0.5);
    }

    #[test]
    fn a_few_failures_after_many_do_not_bring_a_part_of_the_weight_back() {
        let mut errors = Errors::default();
        (0..20).for_each(|_| {
            errors.take(&tick(100, 0.0), true, second());
        });
        let fell = errors.take(&tick(100, 0.9), true, second());
        for samples in [2, 0, 1, 0, 0] {
            let share = errors.take(&tick(samples, 1.0), true, second());
            assert!(share >= fell, "{samples} tries: {share} after {fell}");
        }
        assert!(errors.take(&tick(10, 0.0), true, second()) < fell, "a good answer counts at once");
    }

    #[test]
    fn without_traffic_failures_are_forgotten_within_a_minute() {
        let mut errors = Errors::default();
        errors.take(&tick(100_000, 1.0), true, second());
        let after = (0..60).map(|_| errors.take(&Seen::default(), true, second())).last();
        assert!(after.is_some_and(|share| share < 0.1), "{after:?}");
    }

    fn kept_out(samples: u64) -> Seen {
        Seen { kept_out: true, ..tick(samples, 1.0) }
    }

    #[test]
    fn a_worker_that_its_breaker_keeps_out_after_a_few_failures_fell_however_many_were_answered_before() {
        let mut errors = Errors::default();
        errors.take(&tick(10_000, 0.0), true, second());
        errors.take(&Seen { kept_out: true, ..tick(100, 0.05) }, true, second());
        assert!(!errors.fell(&tick(100, 0.05), false), "some were answered in this tick");
        errors.take(&kept_out(0), true, second());
        assert!(errors.fell(&kept_out(0), false));
    }

    #[test]
    fn five_failures_in_a_row_are_a_fall_unless_the_pool_fails() {
        let mut errors = Errors::default();
        (0..4).for_each(|_| {
            errors.take(&tick(1, 1.0), true, second());
        });
        assert!(!errors.fell(&tick(1, 1.0), false));
        errors.take(&tick(1, 1.0), true, second());
        assert_eq!([false, true].map(|pool| errors.fell(&tick(1, 1.0), pool)), [true, false]);
        errors.take(&tick(1, 0.0), true, second());
        errors.take(&tick(1, 1.0), true, second());
        assert!(!errors.fell(&tick(1, 1.0), false), "it answered between");
    }
}
