//! What zones do in the scenarios of the catalogue that are about them, in the simulator.

use std::path::Path;

use ambidex_lab::measure::Figures;
use ambidex_lab::scenario::Scenario;
use ambidex_lab::sim::simulate;

fn scenario(file: &str) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab/scenarios").join(file);
    Scenario::load(&path).unwrap_or_else(|findings| panic!("{}", findings.render(false)))
}

fn figures(scenario: &Scenario) -> Figures {
    simulate(scenario, None, &[]).figures
}

#[test]
fn what_does_not_fit_at_home_spills_and_not_much_more_than_that() {
    let figures = figures(&scenario("x16.yaml"));
    let spilled = figures.spilled.expect("requests come from a zone");
    assert!((0.15..=0.3).contains(&spilled), "{spilled}");
    assert_eq!(figures.failures.total(), 0);
}

#[test]
fn a_home_that_is_out_gives_all_and_hardly_a_request_fails() {
    let figures = figures(&scenario("x16-out.yaml"));
    let spilled = figures.spilled.expect("requests come from a zone");
    assert!(spilled >= 0.5 && figures.failed <= 0.001, "{spilled} spilled, {} failed", figures.failed);
}

#[test]
fn who_minds_zones_answers_sooner_where_the_other_zone_is_far() {
    let minding = scenario("x16-far.yaml");
    let mut blind = minding.clone();
    blind.balancer.zones = None;
    let (minding, blind) = (figures(&minding), figures(&blind));
    assert!(minding.latency.p50_ms < blind.latency.p50_ms, "{} {}", minding.latency.p50_ms, blind.latency.p50_ms);
}
