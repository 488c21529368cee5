//! The rules: from one worker's terms to a raw value, one small file each.
//!
//! A rule knows nothing of the pool, of guards or of time: what it says is normalized over the pool afterwards. It
//! says `None` where it cannot know; such a worker is taken for an average one.

mod capacity;
mod headroom;
mod score_product;
mod score_sum;
mod scores;
mod tail_latency;
mod throughput;

use super::Rule;
use super::config::Settings;
use super::terms::Terms;

/// What a rule says of one worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Opinion {
    /// The rule's value as the catalogue has it.
    pub value: f64,
    /// The same without what must act at once (failures): this is what smoothing, deadband and slew work on.
    pub steady: f64,
    /// Estimated capacity and present load in one unit, where the rule knows them.
    pub capacity: Option<Capacity>,
    /// The value is a bound that the rule could not pass, not a measurement.
    pub bottom: bool,
}

/// What a worker can carry, and what it carries, in one unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Capacity {
    /// What it can carry.
    pub most: f64,
    /// What it carries.
    pub load: f64,
}

impl Opinion {
    fn plain(value: f64) -> Self {
        Self { value, steady: value, capacity: None, bottom: false }
    }
}

/// What `rule` says of a worker with these terms; `None` when they do not suffice. `Static` reads the configured
/// weight.
pub(super) fn weigh(rule: Rule, configured: f64, terms: &Terms, settings: &Settings) -> Option<Opinion> {
    let reference = &settings.reference;
    let opinion = match rule {
        Rule::Capacity => capacity::weigh(terms),
        Rule::Headroom => headroom::weigh(terms, reference),
        Rule::ScoreSum => score_sum::weigh(terms, reference),
        Rule::ScoreProduct => score_product::weigh(terms, reference),
        Rule::TailLatency => tail_latency::weigh(terms),
        Rule::Throughput => throughput::weigh(terms, reference),
        Rule::Static => Some(Opinion::plain(configured)),
    };
    opinion.filter(|opinion| opinion.value.is_finite() && opinion.steady.is_finite() && opinion.steady >= 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    /// What the rule says of a worker, with default settings.
    fn value(rule: Rule, terms: Terms) -> Option<f64> {
        weigh(rule, 1.0, &terms, &Settings::default()).map(|opinion| opinion.value)
    }

    fn close(rule: Rule, terms: Terms, wanted: f64) {
        let value = value(rule, terms);
        assert!(value.is_some_and(|value| (value - wanted).abs() < 1e-9), "{rule}: {value:?} for {wanted}");
    }

    fn carrying(rate: f64, utilization: f64) -> Terms {
        Terms { rate: Some(rate), utilization: Some(utilization), ..Terms::default() }
    }

    /// Twenty requests in flight of a limit of 100; the reference latency is 100 ms.
    fn at(millis: u64) -> Terms {
        let latency = Some(Span::from_millis(millis));
        Terms { load: Some(20.0), limit: Some(100.0), latency, p99: latency, ..Terms::default() }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        for rule in crate::plan::tests::RULES {
            let known = value(rule, Terms::default()).is_some();
            assert_eq!(known, rule == Rule::Static, "{rule}");
        }
    }

    #[test]
    fn capacity_is_rate_over_utilization_times_the_square_of_the_good_share() {
        close(Rule::Capacity, carrying(84.0, 0.7), 120.0);
        close(Rule::Capacity, Terms { errors: 0.5, ..carrying(84.0, 0.7) }, 30.0);
    }

    #[test]
    fn under_five_percent_utilization_capacity_is_a_lower_bound() {
        close(Rule::Capacity, carrying(1.0, 0.001), 20.0);
        close(Rule::Capacity, Terms { capacity: Some(500.0), ..carrying(1.0, 0.001) }, 500.0);
        close(Rule::Capacity, Terms { capacity: Some(500.0), ..carrying(10.0, 0.1) }, 100.0);
    }

    #[test]
    fn headroom_is_what_fits_under_the_target_latency() {
        close(Rule::Headroom, at(50), 20.0); // 20 x 100 / 50 - 20
        close(Rule::Headroom, at(400), 1.0); // nothing fits: a hundredth of the limit
        close(Rule::Headroom, Terms { load: Some(0.0), ..at(50) }, 10.0); // a tenth of the limit, though idle
    }

    #[test]
    fn score_sum_takes_half_for_latency_three_tenths_for_errors_two_for_queue() {
        close(Rule::ScoreSum, at(100), 1.0);
        close(Rule::ScoreSum, at(150), 0.75);
        close(Rule::ScoreSum, Terms { errors: 0.05, ..at(50) }, 0.7);
        close(Rule::ScoreSum, Terms { queue: Some(50.0), ..at(50) }, 0.9);
        close(Rule::ScoreSum, Terms { errors: 1.0, queue: Some(1e4), ..at(900) }, 0.2);
    }

    #[test]
    fn score_product_never_divides_by_zero() {
        close(Rule::ScoreProduct, at(100), 1.0);
        close(Rule::ScoreProduct, Terms { errors: 0.05, queue: Some(100.0), ..at(200) }, 0.125);
    }

    #[test]
    fn tail_latency_is_the_inverse_of_the_99th_percentile() {
        close(Rule::TailLatency, at(50), 20.0);
    }

    #[test]
    fn throughput_is_capacity_less_while_latency_is_over_its_target() {
        let slow = |millis| Terms { latency: Some(Span::from_millis(millis)), ..carrying(84.0, 0.7) };
        close(Rule::Throughput, slow(10), 120.0);
        close(Rule::Throughput, slow(200), 60.0);
    }
}
