//! The loop closed over a small fluid model: weights decide rates, rates decide utilization and latency, which come
//! back late.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::{Bench, Seen, busy};
use crate::plan::{PlanConfig, Rule};

/// Workers of given capacities (requests a second) under one load, seen `delay` ticks late.
struct Fluid {
    capacities: Vec<f64>,
    load: f64,
    late: VecDeque<Vec<Seen>>,
}

impl Fluid {
    fn new(capacities: &[f64], load: f64, delay: usize) -> Self {
        let even = load / capacities.len() as f64;
        let start: Vec<Seen> = capacities.iter().map(|capacity| Self::see(even, *capacity)).collect();
        Self { capacities: capacities.to_vec(), load, late: (0..delay).map(|_| start.clone()).collect() }
    }

    fn see(offered: f64, capacity: f64) -> Seen {
        busy(offered.min(capacity), offered / capacity)
    }

    fn step(&mut self, weights: &[f64]) -> Vec<Seen> {
        let total: f64 = weights.iter().sum();
        let offered = |weight: &f64| weight / total * self.load;
        let now = weights.iter().zip(&self.capacities).map(|(weight, capacity)| Self::see(offered(weight), *capacity));
        self.late.push_back(now.collect());
        self.late.pop_front().expect("one was just pushed")
    }
}

/// Weights after each of `ticks` ticks.
fn run(policy: Rule, fluid: &mut Fluid, ticks: usize) -> Vec<Vec<f64>> {
    let mut bench = Bench::of(PlanConfig::of(policy));
    let mut weights = alloc::vec![1.0; fluid.capacities.len()];
    (0..ticks)
        .map(|_| {
            let seen = fluid.step(&weights);
            weights = bench.tick(&seen);
            weights.clone()
        })
        .collect()
}

/// The weights that the true capacities would give, in fair shares.
fn ideal(capacities: &[f64]) -> Vec<f64> {
    let mean = capacities.iter().sum::<f64>() / capacities.len() as f64;
    capacities.iter().map(|capacity| capacity / mean).collect()
}

#[test]
fn capacity_weights_reach_the_true_ratios_within_ten_seconds_and_stay() {
    let capacities = [100.0, 200.0, 400.0, 50.0];
    for load in [0.3, 0.6, 0.9] {
        let load = capacities.iter().sum::<f64>() * load;
        let path = run(Rule::Capacity, &mut Fluid::new(&capacities, load, 2), 60);
        for weights in &path[10..] {
            for (weight, wanted) in weights.iter().zip(ideal(&capacities)) {
                assert!((weight / wanted - 1.0).abs() < 0.1, "{weights:?} against {:?}", ideal(&capacities));
            }
        }
    }
}

#[test]
fn capacity_weights_do_not_swing_at_ninety_percent_load_with_two_ticks_of_delay() {
    let capacities = [100.0, 200.0, 400.0];
    let path = run(Rule::Capacity, &mut Fluid::new(&capacities, 630.0, 2), 120);
    let after = &path[15..];
    for worker in 0..capacities.len() {
        let moved: f64 = after.windows(2).map(|pair| (pair[1][worker] - pair[0][worker]).abs()).sum();
        assert!(moved < 0.05, "worker {worker} moved {moved} after it had converged");
    }
}
