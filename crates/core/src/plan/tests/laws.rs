//! Laws that hold for every policy, whatever comes in.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::arbitrary::{self, RULES};
use super::{Bench, Seen, busy, failing};
use crate::plan::{PlanConfig, PlanInput, Planner, Rule, Settings};
use crate::share::Share;
use crate::worker::Standing;

proptest! {
    #[test]
    fn whatever_comes_in_weights_are_numbers_that_sum_to_a_fair_share_each(
        rule in arbitrary::rule(), inputs in arbitrary::inputs()
    ) {
        let mut planner = Planner::new(PlanConfig::of(rule));
        let mut standing: Vec<Standing> = Vec::new();
        for input in inputs {
            planner.on(&input, &mut Vec::new());
            if let PlanInput::Tick { workers, .. } = input {
                let mut workers = workers;
                workers.sort_by_key(|(id, _)| *id);
                workers.dedup_by_key(|(id, _)| *id);
                standing = workers.into_iter().map(|(_, seen)| seen.standing).collect();
            }
            let weights: Vec<f64> = planner.weights().map(|(_, weight)| weight).collect();
            prop_assert_eq!(weights.len(), standing.len());
            prop_assert!(weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0), "{:?}", weights);
            let serving = standing.iter().filter(|standing| **standing == Standing::Serving).count() as f64;
            let sum: f64 = weights.iter().sum();
            prop_assert!(serving == 0.0 || sum > 0.0, "all zero");
            let drained = weights.iter().zip(&standing).filter(|(_, standing)| **standing != Standing::Serving);
            prop_assert!(drained.map(|(weight, _)| *weight).sum::<f64>() == 0.0);
        }
    }

    #[test]
    fn no_words_of_one_worker_take_the_others_floor_or_pass_its_own_cap(
        rule in arbitrary::rule(), size in 2..7_usize, said in prop::collection::vec(arbitrary::said(), 1..60)
    ) {
        prop_assume!(rule != Rule::Static);
        let mut bench = Bench::of(PlanConfig::of(rule));
        for report in said {
            let mut seen: Vec<Seen> = (0..size).map(|_| busy(100.0, 0.6)).collect();
            seen[0].report = report;
            let weights = bench.tick(&seen);
            prop_assert!(weights[0] <= 0.8 * size as f64 * 1.005, "{:?}", weights);
            prop_assert!(weights[1..].iter().all(|weight| *weight >= 0.05 * 0.995), "{:?}", weights);
        }
    }

    #[test]
    fn healthy_workers_sum_to_a_fair_share_each_within_floor_and_cap(
        rule in arbitrary::rule(),
        floor in 0..50_u8,
        ticks in prop::collection::vec(prop::collection::vec((1.0..1e3_f64, 0.01..1.2_f64), 5), 1..40)
    ) {
        prop_assume!(rule != Rule::Static);
        let settings = Settings { policy: rule, floor: Share::percent(floor), ..Settings::default() };
        let mut bench = Bench::of(PlanConfig::check(settings).expect("in range"));
        for tick in ticks {
            let seen: Vec<Seen> = tick.into_iter().map(|(rate, utilization)| busy(rate, utilization)).collect();
            let weights = bench.tick(&seen);
            let sum: f64 = weights.iter().sum();
            prop_assert!((sum - 5.0).abs() < 5.0 * 0.005, "{}", sum);
            for weight in weights {
                prop_assert!((f64::from(floor) / 100.0 * 0.995..=4.0 * 1.005).contains(&weight), "{}", weight);
            }
        }
    }

    #[test]
    fn a_tick_says_at_most_one_thing_of_each_worker(rule in arbitrary::rule(), inputs in arbitrary::inputs()) {
        let mut planner = Planner::new(PlanConfig::of(rule));
        for input in inputs {
            let mut out = Vec::new();
            planner.on(&input, &mut out);
            let mut said: Vec<_> = out.iter().map(|decision| decision.worker).collect();
            said.sort_unstable();
            let count = said.len();
            said.dedup();
            prop_assert_eq!(said.len(), count);
            for decision in &out {
                prop_assert!(!decision.sentence("w").contains("NaN"), "{}", decision.sentence("w"));
            }
        }
    }

    #[test]
    fn each_change_of_a_weight_has_its_decision(rule in arbitrary::rule(), inputs in arbitrary::inputs()) {
        let mut planner = Planner::new(PlanConfig::of(rule));
        for input in inputs {
            let before: Vec<_> = planner.weights().collect();
            let mut out = Vec::new();
            planner.on(&input, &mut out);
            for (worker, weight) in planner.weights() {
                let old = before.iter().find(|(other, _)| *other == worker).map(|(_, weight)| *weight);
                let told = out.iter().find(|decision| decision.worker == worker).map(|decision| decision.new);
                prop_assert_eq!(told.or(old).map(f64::to_bits), Some(weight.to_bits()));
            }
        }
    }
}

#[test]
fn a_pool_in_which_all_fall_silent_keeps_its_weights_under_every_policy() {
    for rule in RULES {
        let mut bench = Bench::of(PlanConfig::of(rule));
        for _ in 0..10 {
            bench.tick(&[busy(100.0, 0.5), busy(200.0, 0.5), busy(100.0, 0.7)]);
        }
        let before = bench.weights();
        for age in 3..100 {
            let gone = |seen: Seen| Seen {
                passive: None,
                report: seen.report.map(|heard| crate::plan::Heard { age: crate::time::Span::from_secs(age), ..heard }),
                success_age: Some(crate::time::Span::from_secs(age)),
                ..seen
            };
            assert_eq!(bench.tick(&[gone(busy(100.0, 0.5)); 3]), before, "{rule}");
        }
    }
}

#[test]
fn one_worker_alone_has_its_fair_share_under_every_policy() {
    for rule in RULES {
        let mut bench = Bench::of(PlanConfig::of(rule));
        for second in 0..30 {
            let weights = bench.tick(&[busy(100.0, f64::from(second) / 15.0)]);
            assert!((weights[0] - 1.0).abs() < 1e-9, "{rule}: {weights:?}");
        }
    }
}

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
