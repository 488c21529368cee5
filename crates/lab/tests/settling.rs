//! How soon weights are at rest in the scenarios of the catalogue that have a goal for it, in the simulator.

use std::path::Path;

use ambidex_lab::Span;
use ambidex_lab::measure::Metric;
use ambidex_lab::scenario::Scenario;
use ambidex_lab::sim::simulate;

/// What the scenario of this file comes to, cut short after so many seconds.
fn seconds(file: &str, metric: Metric, duration: u64) -> f64 {
    of_seed(file, metric, duration, None)
}

fn of_seed(file: &str, metric: Metric, duration: u64, seed: Option<u64>) -> f64 {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab/scenarios").join(file);
    let scenario = Scenario::load(&path).unwrap_or_else(|findings| panic!("{}", findings.render(false)));
    let (duration, seed) = (scenario.duration.min(Span::from_secs(duration)), seed.unwrap_or(scenario.seed));
    let scenario = Scenario { duration, seed, ..scenario };
    metric.of(&simulate(&scenario, None, &[]).figures).expect("it has an event")
}

fn settles_within(file: &str, duration: u64, most: f64) {
    let settled = seconds(file, Metric::Settled, duration);
    assert!(settled <= most, "{file}: weights were at rest after {settled} s, and should be after {most}");
}

#[test]
fn weights_rest_within_six_seconds_of_a_worker_that_becomes_ten_times_slower() {
    settles_within("x6.yaml", 45, 6.0);
}

#[test]
fn traffic_leaves_a_worker_that_becomes_ten_times_slower_within_a_second() {
    let shifted = seconds("x6.yaml", Metric::Shift90, 30);
    assert!(shifted <= 1.0, "{shifted} s");
}

#[test]
fn weights_rest_within_ten_seconds_of_the_end_of_a_slow_degradation() {
    settles_within("x7-end.yaml", 150, 10.0);
}

#[test]
fn weights_rest_within_three_seconds_of_a_death() {
    for file in ["x8-refused.yaml", "x8-blackhole.yaml", "x8-cut.yaml"] {
        settles_within(file, 50, 3.0);
    }
}

#[test]
fn weights_rest_although_a_worker_flaps() {
    // In some runs the worker is up whenever it is asked, for half a minute: the median of three.
    let mut settled = [1, 2, 3].map(|seed| of_seed("x10.yaml", Metric::Settled, 90, Some(seed)));
    settled.sort_by(f64::total_cmp);
    assert!(settled[1] <= 10.0, "{settled:?} s");
}
