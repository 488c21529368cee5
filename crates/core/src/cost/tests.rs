//! What classes of requests cost, learned from answers and used in the pick.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::*;
use crate::time::{Mono, Span};

fn at(secs: u64) -> Mono {
    Mono::default() + Span::from_secs(secs)
}

/// A model that has seen so many answers of two classes, each after so many milliseconds.
fn seen(light: (u64, u64), heavy: (u64, u64)) -> CostModel {
    let mut model = CostModel::default();
    model.tick(at(0));
    for (key, (answers, millis)) in [(1, light), (2, heavy)] {
        let costing = model.costs().of(key, || key.to_string());
        (0..answers).for_each(|_| model.costs().answered(costing, Span::from_millis(millis)));
    }
    model.tick(at(1));
    model
}

fn costs(model: &CostModel) -> Vec<f64> {
    model.costs().looks().iter().map(|look| look.cost).collect()
}

#[test]
fn a_class_costs_its_mean_latency_over_that_of_all() {
    let costs = costs(&seen((990, 10), (110, 110)));
    assert!((costs[0] - 0.5).abs() < 1e-6 && (costs[1] - 5.5).abs() < 1e-6, "{costs:?}");
}

#[test]
fn a_class_of_which_little_is_known_costs_one() {
    assert!((costs(&seen((990, 10), (19, 1_000)))[1] - 1.0).abs() < 1e-9);
}

#[test]
fn no_class_costs_more_than_the_bound() {
    assert!((costs(&seen((1_000_000, 1), (20, 60_000)))[1] - DEAREST).abs() < 1e-9);
}

#[test]
fn classes_beyond_the_bound_cost_one_and_are_counted() {
    let costs = Costs::default();
    for key in 1..=MOST_CLASSES as u64 {
        costs.of(key, || key.to_string());
    }
    assert!((costs.of(99, || "more".to_string()).cost() - 1.0).abs() < 1e-9);
    assert_eq!((costs.beyond(), costs.looks().len()), (1, MOST_CLASSES));
    costs.of(7, || unreachable!("it is known"));
    assert_eq!(costs.looks()[6].name, "7");
}
