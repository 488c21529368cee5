//! Errors act at once: the factor `(1 - errors)^2`, whatever the rule.
//!
//! The share of failures is the worse of two: this tick's, so that a worker that begins to fail is felt in the same
//! tick, and that of the last ten seconds, so that one good answer does not bring it back. Both are counted with two
//! good answers more than were seen: a single failure of a single request is no verdict. What was seen fades with the
//! ten seconds, and is counted as [`MOST_EVIDENCE`] requests at most, so that a worker that gets no more traffic
//! because it failed is tried again within half a minute.

use serde::{Deserialize, Serialize};

use crate::plan::seen::Seen;
use crate::time::Span;

/// Failures of one worker over ten fading seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(in crate::plan) struct Errors {
    failed: f64,
    total: f64,
    /// The factor in force; small changes of it are not made.
    factor: Option<f64>,
}

impl Errors {
    /// Takes one tick in; the share of failures, 0 to 1.
    pub(in crate::plan) fn take(&mut self, seen: &Seen, fresh: bool, step: Span) -> f64 {
        let keep = libm::exp(-step.as_secs_f64() / WINDOW);
        let (samples, share) = seen.passive.map_or((0.0, 0.0), |own| (own.samples as f64, own.errors.get()));
        self.failed = self.failed * keep + samples * share;
        self.total = self.total * keep + samples;
        let excess = (self.total / MOST_EVIDENCE).max(1.0);
        self.failed /= excess;
        self.total /= excess;
        let instant = samples * share / (samples + ASSUMED_GOOD);
        let lasting = self.failed / (self.total + ASSUMED_GOOD);
        // What the worker says of its own failures is over its own window and may only make it look worse.
        let told = seen.report.filter(|_| fresh).and_then(|heard| heard.report.errors).map_or(0.0, |share| share.get());
        instant.max(lasting).max(told).clamp(0.0, 1.0)
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

/// Seconds over which failures are remembered. Source: balancing.md "Failure price" (10 buckets over 10 s).
const WINDOW: f64 = 10.0;
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
    fn without_traffic_failures_are_forgotten_within_a_minute() {
        let mut errors = Errors::default();
        errors.take(&tick(100_000, 1.0), true, second());
        let after = (0..60).map(|_| errors.take(&Seen::default(), true, second())).last();
        assert!(after.is_some_and(|share| share < 0.1), "{after:?}");
    }
}
