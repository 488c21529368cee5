//! What minding the costs of classes does, in the simulator.

use std::path::Path;

use ambidex_core::balance::{Balance, PickPolicy};
use ambidex_lab::measure::Figures;
use ambidex_lab::scenario::Scenario;
use ambidex_lab::sim::simulate;

/// The scenario with and without costs, of some seeds.
fn runs(balance: PickPolicy) -> Vec<(Figures, Figures)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab/scenarios/x3-costs.yaml");
    let mut minding = Scenario::load(&path).unwrap_or_else(|findings| panic!("{}", findings.render(false)));
    minding.balancer.balance = Balance::Fixed(balance);
    let run = |seed: u64| {
        let mut scenario = Scenario { seed, ..minding.clone() };
        let with = simulate(&scenario, None, &[]).figures;
        scenario.balancer.costs = false;
        (with, simulate(&scenario, None, &[]).figures)
    };
    [1, 2].map(run).into()
}

/// The mean of a figure with costs over that without.
fn ratio(runs: &[(Figures, Figures)], of: impl Fn(&Figures) -> f64) -> f64 {
    let sum = |part: &dyn Fn(&(Figures, Figures)) -> f64| runs.iter().map(part).sum::<f64>();
    sum(&|run| of(&run.0)) / sum(&|run| of(&run.1))
}

#[test]
fn the_longest_waits_are_shorter_where_costs_are_minded() {
    for balance in [PickPolicy::Prequal, PickPolicy::P2c, PickPolicy::LeastRequest] {
        let runs = runs(balance);
        let (p999, p50) = (ratio(&runs, |run| run.latency.p999_ms), ratio(&runs, |run| run.latency.p50_ms));
        let dear = ratio(&runs, |run| run.classes[1].latency.p99_ms);
        assert!(p999 < 1.0 && dear < 1.0 && p50 < 1.01, "{balance:?}: p99.9 {p999}, p99 of the dear {dear}, p50 {p50}");
    }
}
