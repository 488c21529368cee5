//! The worked numbers of the definitions (`vectors/diagnosis.json`), to four digits.

use ambidex_core::stats::variation::{Noise, Part, Variation};
use ambidex_insight::analysis::cells::{Affinity, Table};
use ambidex_insight::analysis::chance::{largest_of, quantile};
use ambidex_insight::analysis::headroom::{Cluster, Left, Node, THETA};
use ambidex_insight::analysis::parts::{Done, factors};
use ambidex_insight::analysis::robust::Middle;
use ambidex_insight::analysis::structure::{Verdict, verdict};
use ambidex_insight::analysis::trend::{Point, Trend};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/diagnosis.json")).expect("JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(number).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

fn count(value: &Value) -> u64 {
    value.as_u64().expect("a count")
}

/// Equal in the digits that the vectors have.
#[track_caller]
fn same(found: f64, wanted: &Value) {
    let wanted = number(wanted);
    let digits = wanted.to_string().split_once('.').map_or(0, |(_, digits)| digits.len().min(4));
    let most = 0.51 * 10_f64.powi(-i32::try_from(digits).expect("few"));
    assert!((found - wanted).abs() <= most.max(wanted.abs() * 1e-4), "{found} for {wanted}");
}

fn variation(loads: &[f64]) -> Variation {
    spread(loads, &vec![1.0; loads.len()])
}

fn spread(loads: &[f64], capacities: &[f64]) -> Variation {
    let parts = loads.iter().zip(capacities).map(|(load, capacity)| Part { load: *load, capacity: *capacity });
    Variation::of(&parts.collect::<Vec<_>>()).expect("loads")
}

/// `n` nodes, one of which has `r` times what each of the others has.
fn one_hot(n: usize, r: f64) -> Vec<f64> {
    let mut loads = vec![1.0; n];
    loads[0] = r;
    loads
}

#[test]
fn a_hot_node_hides_among_many() {
    for (name, wanted) in vectors()["one_hot_cv"].as_object().expect("a table") {
        let (n, r) = name.trim_start_matches('n').split_once("_r").expect("n and r");
        same(variation(&one_hot(n.parse().expect("n"), r.parse().expect("r"))).w(), wanted);
    }
    for (n, of) in vectors()["r_needed_for_cv"].as_object().expect("a table") {
        for (cv, r) in of.as_object().expect("a table") {
            let w = variation(&one_hot(n.parse().expect("n"), number(r))).w();
            assert!((w - cv.parse::<f64>().expect("cv")).abs() < 0.01, "{n}, {cv}: {w}");
        }
    }
}

#[test]
fn what_the_examples_say() {
    let examples = [
        ("ex_25pct", one_hot(10, 1.25)),
        ("ex_double", one_hot(10, 2.0)),
        ("ex_two_of_six", vec![40.0, 40.0, 5.0, 5.0, 5.0, 5.0]),
    ];
    for (name, loads) in examples {
        let wanted = &vectors()[name];
        let found = variation(&loads);
        same(found.w(), &wanted["cv"]);
        same(found.gini(), &wanted["gini"]);
        same(found.r_max(), &wanted["max_over_mean"]);
        let middle = Middle::of(&loads).expect("loads");
        let scores = || loads.iter().map(|load| middle.score(*load));
        same(scores().fold(0.0, f64::max), &wanted["max_madz"]);
        assert_eq!(scores().filter(|score| *score > 3.5).count() as u64, count(&wanted["n_flag_mad35"]));
        let beyond = found.relative().iter().filter(|r| **r > 1.25).count();
        assert_eq!(beyond as u64, count(&wanted["n_flag_rel125"]), "{name}");
    }
    let mad = &vectors()["mad"];
    for case in [mad, &mad["deg"]] {
        let values = numbers(&case["x"]);
        let middle = Middle::of(&values).expect("values");
        values.iter().zip(case["z"].as_array().expect("a list")).for_each(|(x, z)| same(middle.score(*x), z));
    }
}

#[test]
fn unlike_nodes_are_even_when_each_has_its_part() {
    let hetero = &vectors()["hetero"];
    let capacity = numbers(&hetero["cap"]);
    same(spread(&numbers(&hetero["load_prop"]), &capacity).w(), &hetero["wcv"]);
    same(spread(&[1.0; 4], &capacity).w(), &hetero["load_equal_wcv"]);
    same(variation(&numbers(&hetero["load_prop"])).w(), &hetero["raw_cv"]);
}

#[test]
fn what_chance_makes_of_an_even_load_is_taken_away() {
    for (name, wanted) in vectors()["noise"].as_object().expect("a table") {
        let (n, samples) = name.trim_start_matches('n').split_once("_N").expect("n and N");
        let (n, samples): (f64, u64) = (n.parse().expect("n"), samples.parse().expect("N"));
        let by_chance = ((n - 1.0) / samples as f64).sqrt();
        same(by_chance, &wanted["E_cv"]);
    }
    let kubeai = &vectors()["kubeai_gof"];
    let loads = one_hot(25, 1.0);
    let even = variation(&loads);
    let samples = kubeai["N"].as_u64().expect("a count");
    assert!(even.corrected(Noise { samples, over_dispersion: 1.0 }) <= 0.0);
    let w = number(&kubeai["w"]);
    same((w * w - 24.0 / samples as f64).sqrt(), &kubeai["w_adj"]);
}

#[test]
fn routes_on_nodes() {
    let wanted = &vectors()["rfa"];
    let counts = wanted["O"].as_array().expect("rows").iter().map(numbers).collect();
    let table = Table { counts, capacity: vec![1.0; 3], over_dispersion: 1.0 };
    let found = Affinity::of(&table).expect("a table");
    assert!((found.total - number(&wanted["G_total"])).abs() < 5e-4, "{}", found.total);
    assert!((found.nodes - number(&wanted["G_node"])).abs() < 5e-4, "{}", found.nodes);
    assert!((found.interaction - number(&wanted["G_interaction"])).abs() < 5e-4, "{}", found.interaction);
    assert!((found.nodes + found.interaction - found.total).abs() < 1e-9);
    let residuals: Vec<f64> = wanted["adj_resid"].as_array().expect("rows").iter().flat_map(numbers).collect();
    for (cell, residual) in found.cells.iter().zip(residuals) {
        assert!((cell.residual - residual).abs() <= 0.0051, "{cell:?} for {residual}");
    }
    same(found.cells[3].relative, &wanted["rel"]);
    for (w, wanted) in found.route_w.iter().zip(wanted["route_w"].as_array().expect("a list")) {
        same(w.expect("requests"), wanted);
    }
}

#[test]
fn rate_mix_and_speed() {
    let wanted = &vectors()["decomp"];
    let (rates, shares) = (numbers(&wanted["lambda_"]), numbers(&wanted["shareB"]));
    let speeds = numbers(&wanted["speed"]);
    let nodes: Vec<Vec<Done>> = (0..3)
        .map(|node| {
            let done = |part: f64, price: f64| {
                let requests = rates[node] * part;
                Done { requests, busy: requests * price * speeds[node] }
            };
            vec![done(1.0 - shares[node], 0.01), done(shares[node], 0.1)]
        })
        .collect();
    for (node, found) in factors(&nodes).into_iter().enumerate() {
        let found = found.expect("work");
        for (value, name) in [(found.rate, "rate"), (found.mix, "mix"), (found.speed, "spd"), (found.total(), "total")]
        {
            let wanted = number(&wanted[name][node]);
            assert!((value - wanted).abs() < 6e-4, "{name} of {node}: {value} for {wanted}");
        }
    }
}

#[test]
fn what_is_left() {
    for (name, utilization) in [("cmi_u0.5", 0.5), ("cmi_u0.64", 0.64), ("cmi_u0.7", 0.7), ("cmi_u0.85", 0.85)] {
        let left = Left::of(Node { utilization, capacity: 100.0 }, THETA);
        let wanted = &vectors()[name];
        same(left.headroom, &wanted["abs"]);
        same(left.margin, &wanted["lit"]);
        same(left.cmi, &wanted["norm"]);
    }
    let wanted = &vectors()["cmi_cluster"];
    let nodes: Vec<Node> =
        numbers(&wanted["util"]).into_iter().map(|utilization| Node { utilization, capacity: 100.0 }).collect();
    let found = Cluster::of(&nodes, THETA).expect("nodes");
    same(found.utilization, &wanted["mean"]);
    assert!((found.surge - number(&wanted["surge_first_node_to_100pct"])).abs() < 5e-4);
    assert!((found.surge_balanced - number(&wanted["surge_if_balanced"])).abs() < 5e-4);
    assert!((found.reaches_threshold - number(&wanted["effective_rps_at_theta"])).abs() < 0.05);
    assert!((found.reaches_threshold_balanced - number(&wanted["nominal_rps_at_theta"])).abs() < 0.05);
    same(found.cmi_n1.expect("several"), &wanted["cmi_n1"]);
    let loads: Vec<f64> = nodes.iter().map(|node| node.utilization).collect();
    same(variation(&loads).stranded().get(), &wanted["stranded"]);
}

#[test]
fn what_the_largest_of_many_is_by_chance() {
    for (n, wanted) in vectors()["emax"].as_object().expect("a table") {
        assert!((largest_of(n.parse().expect("n")) - number(wanted)).abs() < 6e-4, "{n}");
    }
    for (n, wanted) in vectors()["skew_factor_cv.3"].as_object().expect("a table") {
        assert!((1.0 + 0.3 * largest_of(n.parse().expect("n")) - number(wanted)).abs() < 6e-4, "{n}");
    }
    same(1.0 + 0.3 * quantile(0.9), &vectors()["p90_normal_cv.3"]);
}

#[test]
fn a_decline() {
    let wanted = &vectors()["trend"];
    let step = number(&wanted["step_h"]);
    let points: Vec<Point> =
        (0..).zip(numbers(&wanted["y"])).map(|(at, value)| Point { hours: f64::from(at) * step, value }).collect();
    let found = Trend::of(&points).expect("points");
    assert!((found.s - number(&wanted["S"])).abs() < 1e-9);
    assert!((found.chance / number(&wanted["p"]) - 1.0).abs() < 1e-4, "{}", found.chance);
    same(found.tau, &wanted["tau"]);
    assert!((found.slope - number(&wanted["slope_per_h"])).abs() < 1e-6, "{}", found.slope);
    let bounds = numbers(&wanted["ci"]);
    assert!(
        (found.bounds.0 - bounds[0]).abs() < 1e-9 && (found.bounds.1 - bounds[1]).abs() < 1e-9,
        "{:?}",
        found.bounds
    );
    let now = points.last().expect("points").value;
    assert!((found.hours_to(now, 0.3).expect("it falls") - number(&wanted["hours_to_0p3"])).abs() < 0.05);
    assert!((found.hours_to(now, 0.2).expect("it falls") - number(&wanted["hours_to_0p2"])).abs() < 0.05);
}

/// Five minutes of an hour: in all nested windows, and in one of the disjoint ones.
#[test]
fn a_burst_is_in_one_disjoint_window_alone() {
    let minutes: Vec<f64> = (0..60).map(|minute| if minute >= 55 { 200.0 } else { 10.0 }).collect();
    let last = |count: usize| minutes[60 - count..].iter().sum::<f64>() / count as f64;
    for (length, wanted) in vectors()["nested_burst_5min"].as_object().expect("a table") {
        same(last(length.parse().expect("minutes")), &wanted["node0"]);
    }
    // Ten nodes, of which one has the burst; the others have 10 always.
    let windows: Vec<Option<f64>> = minutes
        .chunks(15)
        .map(|some| {
            let load = some.iter().sum::<f64>() / some.len() as f64;
            Some(load / ((load + 90.0) / 10.0))
        })
        .collect();
    let beyond = windows.iter().flatten().filter(|r| **r > 1.25).count();
    assert_eq!(beyond as u64, count(&vectors()["nested_burst_disjoint_rel125"]));
    assert_eq!(verdict(&windows, None), Verdict::Transient);
}
