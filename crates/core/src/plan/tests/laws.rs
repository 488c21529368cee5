//! Laws that hold for every policy, whatever comes in.

use super::{Bench, Seen, busy, failing};
use crate::plan::{PlanConfig, Rule};

/// Every rule.
pub(super) const RULES: [Rule; 7] = [
    Rule::Capacity,
    Rule::Headroom,
    Rule::ScoreSum,
    Rule::ScoreProduct,
    Rule::TailLatency,
    Rule::Throughput,
    Rule::Static,
];

#[test]
fn a_pool_that_starts_as_a_whole_starts_at_fair_shares() {
    for rule in RULES {
        assert_eq!(Bench::of(PlanConfig::of(rule)).tick(&[Seen::default(); 3]), [1.0; 3], "{rule}");
    }
}

#[test]
fn static_weights_are_the_configured_ones_and_never_move() {
    let mut bench = Bench::of(PlanConfig::of(Rule::Static));
    let seen = [Seen { weight: 2.0, ..busy(10.0, 0.9) }, Seen { weight: 1.0, ..busy(90.0, 0.1) }];
    for _ in 0..20 {
        let weights = bench.tick(&seen);
        assert!((weights[0] / weights[1] - 2.0).abs() < 1e-9, "{weights:?}");
    }
    assert_eq!(bench.decisions.len(), 2);
}

#[test]
fn an_empty_pool_has_no_weights() {
    for rule in RULES {
        assert!(Bench::of(PlanConfig::of(rule)).tick(&[]).is_empty());
    }
}

#[test]
fn a_worker_that_fails_at_once_gets_next_to_nothing_in_the_same_tick_under_every_learned_policy() {
    for rule in RULES.into_iter().filter(|rule| *rule != Rule::Static) {
        let mut bench = Bench::of(PlanConfig::of(rule));
        bench.tick(&[busy(100.0, 0.5); 4]);
        let weights =
            bench.tick(&[failing(busy(100.0, 0.1), 1.0), busy(100.0, 0.5), busy(100.0, 0.5), busy(100.0, 0.5)]);
        assert!(weights[0] < 0.01, "{rule}: {weights:?}");
    }
}
