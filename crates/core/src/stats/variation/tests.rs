//! Against worked numbers, laws, and simulated counts.

use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::draw::Draw;
use crate::stats::gamma;

/// Worked by an independent implementation.
fn worked() -> Value {
    serde_json::from_str(include_str!("../../../tests/data/variation.json")).expect("JSON")
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("numbers").iter().map(|one| one.as_f64().expect("a number")).collect()
}

fn of(loads: &[f64], capacities: &[f64]) -> Variation {
    let part = |(load, capacity): (&f64, &f64)| Part { load: *load, capacity: *capacity };
    Variation::of(&loads.iter().zip(capacities).map(part).collect::<Vec<_>>()).expect("comparable")
}

fn alike(loads: &[f64]) -> Variation {
    of(loads, &vec![1.0; loads.len()])
}

/// One of `n` with `r` times the load of each other.
fn one_hot(n: usize, r: f64) -> Vec<f64> {
    let mut loads = vec![1.0; n];
    loads[0] = r;
    loads
}

fn near(have: f64, want: &Value, within: f64) {
    let want = want.as_f64().expect("a number");
    assert!((have - want).abs() <= within, "{have} instead of {want}");
}

fn counted(samples: u64) -> Noise {
    Noise { samples, over_dispersion: 1.0 }
}

#[test]
fn the_spread_of_one_hot_worker_is_as_worked() {
    let worked = worked();
    for (name, want) in worked["one_hot_cv"].as_object().expect("cases") {
        let (n, r) = name[1..].split_once("_r").expect("n and r");
        near(alike(&one_hot(n.parse().expect("n"), r.parse().expect("r"))).w(), want, 5e-5);
    }
    for (n, cases) in worked["r_needed_for_cv"].as_object().expect("cases") {
        for (cv, r) in cases.as_object().expect("cases") {
            let w = alike(&one_hot(n.parse().expect("n"), r.as_f64().expect("r"))).w();
            assert!((w - cv.parse::<f64>().expect("cv")).abs() < 2e-3, "{n} {cv}: {w}");
        }
    }
}

#[test]
fn spread_gini_and_largest_load_of_the_examples_are_as_worked() {
    for (name, want) in worked()["examples"].as_object().expect("examples") {
        let variation = alike(&numbers(&want["loads"]));
        near(variation.w(), &want["cv"], 5e-5);
        near(variation.gini(), &want["gini"], 5e-5);
        near(variation.r_max(), &want["max_over_mean"], 5e-5);
        assert!(variation.r_min() < 1.0, "{name}");
    }
}

#[test]
fn what_a_worker_can_carry_is_what_it_should() {
    let worked = &worked()["unlike"];
    let capacities = numbers(&worked["cap"]);
    near(of(&numbers(&worked["load_prop"]), &capacities).w(), &worked["wcv"], 1e-12);
    near(of(&[1.0; 4], &capacities).w(), &worked["load_equal_wcv"], 5e-5);
}

#[test]
fn capacity_that_is_stranded_is_as_worked() {
    let worked = &worked()["stranded"];
    let variation = alike(&numbers(&worked["loads"]));
    near(variation.r_max(), &worked["r_max"], 5e-5);
    near(variation.stranded().get(), &worked["stranded"], 5e-5);
}

#[test]
fn chance_is_taken_away_as_worked() {
    let worked = &worked()["corrected"];
    let n = usize::try_from(worked["n"].as_u64().expect("n")).expect("small");
    // One hot worker of `n` with the spread of the example: x from w = x sqrt(n - 1), as r = 1 + (n - 1) x.
    let x = worked["w"].as_f64().expect("w") / libm::sqrt(n as f64 - 1.0);
    let mut loads = vec![1.0 - x; n];
    loads[0] = 1.0 + (n as f64 - 1.0) * x;
    let variation = alike(&loads);
    near(variation.w(), &worked["w"], 5e-5);
    near(variation.corrected(counted(worked["N"].as_u64().expect("N"))), &worked["w_adj"], 5e-5);
}

#[test]
fn the_chance_of_a_spread_without_imbalance_is_as_worked() {
    for (name, want) in worked()["noise"].as_object().expect("cases") {
        let (n, samples) = name[1..].split_once("_N").expect("n and N");
        let (n, samples): (f64, f64) = (n.parse().expect("n"), samples.parse().expect("N"));
        let mean_spread = libm::sqrt((n - 1.0) / samples);
        near(mean_spread, &want["E_cv"], 5e-5);
        for (over, key) in [(0.25, "P_cv_gt_.25"), (0.3, "P_cv_gt_.3")] {
            let above = 1.0 - gamma::at_most((n - 1.0) / 2.0, samples * over * over / 2.0);
            near(above, &want[key], 6e-5);
        }
    }
}

#[test]
fn two_workers_are_judged_by_their_ratio_and_few_by_the_others() {
    let two = of(&[30.0, 20.0], &[1.0, 2.0]);
    assert!((two.ratio() - 3.0).abs() < 1e-12);
    assert!(alike(&[1.0, 0.0]).ratio().is_infinite());
    let three = of(&[60.0, 20.0, 20.0], &[2.0, 1.0, 1.0]);
    assert!((three.beside_others(0) - 1.5).abs() < 1e-12);
    assert!(alike(&[1.0, 0.0, 0.0]).beside_others(0).is_infinite());
}

#[test]
fn what_cannot_be_compared_is_refused_with_its_place() {
    let part = |load, capacity| Part { load, capacity };
    let good = part(1.0, 1.0);
    assert_eq!(Variation::of(&[good]), Err(Incomparable::Alone));
    assert_eq!(Variation::of(&[good, part(1.0, 0.0)]), Err(Incomparable::Capacity(1)));
    assert_eq!(Variation::of(&[good, part(1.0, f64::NAN)]), Err(Incomparable::Capacity(1)));
    assert_eq!(Variation::of(&[part(-1.0, 1.0), good]), Err(Incomparable::Load(0)));
    assert_eq!(Variation::of(&[part(0.0, 1.0), part(0.0, 2.0)]), Err(Incomparable::NoLoad));
}

#[test]
fn too_little_is_not_judged() {
    let ten = alike(&[1.0; 10]);
    assert_eq!(ten.enough(1_439, None, 0.25), Err(Insufficient::Samples { have: 1_439, need: 1_440, workers: 10 }));
    assert_eq!(ten.enough(1_440, None, 0.25), Ok(()));
    assert_eq!(ten.enough(1_440, Some(Share::percent(5)), 0.25), Ok(()));
    let idle = Share::percent(4);
    assert_eq!(ten.enough(1_440, Some(idle), 0.25), Err(Insufficient::Utilization { have: idle }));
    assert!(alike(&[1.0; 2]).enough(199, None, 0.25).is_err() && alike(&[1.0; 2]).enough(200, None, 0.25).is_ok());
}

/// Counts of `samples` requests that go by `parts`, `bunch` of them together.
fn drawn(draw: &mut Draw, parts: &[f64], samples: u64, bunch: u64) -> Vec<u64> {
    let mut counts = vec![0; parts.len()];
    let all: f64 = parts.iter().sum();
    for _ in 0..samples / bunch {
        let mut left = draw.unit() * all;
        let at = parts.iter().position(|part| {
            left -= part;
            left < 0.0
        });
        counts[at.unwrap_or(parts.len() - 1)] += bunch;
    }
    counts
}

fn of_counts(counts: &[u64], capacities: &[f64]) -> Variation {
    of(&counts.iter().map(|count| *count as f64).collect::<Vec<_>>(), capacities)
}

/// How often the true spread is under the upper bound, over the lower one, and the mean of what chance was taken from.
fn covered(parts: &[f64], capacities: &[f64], samples: u64, bunch: u64) -> (f64, f64, f64) {
    const RUNS: u32 = 400;
    let truth = of(parts, capacities).w();
    let noise = Noise { samples, over_dispersion: bunch as f64 };
    let mut draw = Draw::seeded(7);
    let (mut under, mut over, mut squares) = (0, 0, 0.0);
    for _ in 0..RUNS {
        let variation = of_counts(&drawn(&mut draw, parts, samples, bunch), capacities);
        let Bounds { lower, upper } = variation.bounds(noise);
        under += u32::from(truth <= upper);
        over += u32::from(truth >= lower);
        squares += variation.squared - variation.freedom() * noise.unit();
    }
    let of_runs = |count: u32| f64::from(count) / f64::from(RUNS);
    (of_runs(under), of_runs(over), squares / f64::from(RUNS) - truth * truth)
}

#[test]
fn a_true_spread_is_within_each_bound_at_least_nineteen_times_of_twenty() {
    let unlike = [4.0, 4.0, 8.0, 16.0];
    for (parts, capacities, samples, bunch) in [
        (one_hot(2, 1.5), vec![1.0; 2], 200, 1),
        (one_hot(3, 1.5), vec![1.0; 3], 320, 1),
        (one_hot(10, 1.25), vec![1.0; 10], 1_440, 1),
        (one_hot(10, 2.0), vec![1.0; 10], 1_440, 1),
        (one_hot(10, 4.0), vec![1.0; 10], 1_440, 1),
        (one_hot(10, 0.2), vec![1.0; 10], 1_440, 1),
        (one_hot(10, 2.0), vec![1.0; 10], 6_000, 4),
        (one_hot(25, 2.0), vec![1.0; 25], 3_840, 1),
        (vec![1.0; 4], unlike.to_vec(), 480, 1),
        (vec![1.0; 10], vec![1.0; 10], 1_440, 1),
    ] {
        let (under, over, bias) = covered(&parts, &capacities, samples, bunch);
        // 400 runs tell 95 % to within 2 % (two standard errors); the seed is fixed.
        assert!(under >= 0.925 && over >= 0.925, "{parts:?}: {under} under, {over} over");
        assert!(bias.abs() < 0.01, "{parts:?}: {bias}");
    }
}

#[test]
fn more_requests_bring_the_bounds_nearer_to_what_was_measured() {
    let variation = alike(&one_hot(10, 2.0));
    let width = |samples| {
        let Bounds { lower, upper } = variation.bounds(counted(samples));
        assert!(lower < variation.corrected(counted(samples)) && variation.w() < upper, "{lower} {upper}");
        upper - lower
    };
    let widths = [1_440, 14_400, 144_000, 14_400_000].map(width);
    assert!(widths.is_sorted_by(|wide, narrow| narrow < wide) && widths[3] < 0.002, "{widths:?}");
}

#[test]
fn bunches_of_requests_are_told_by_their_windows() {
    let mut draw = Draw::seeded(3);
    for (bunch, least, most) in [(1, 1.0, 1.2), (4, 3.2, 4.8), (10, 8.0, 12.0)] {
        let windows: Vec<Vec<u64>> = (0..20).map(|_| drawn(&mut draw, &one_hot(10, 3.0), 2_000, bunch)).collect();
        let told = over_dispersion(&windows.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert!((least..=most).contains(&told), "{bunch}: {told}");
    }
}

#[test]
fn too_few_windows_tell_no_dispersion() {
    let none: &[u64] = &[];
    for windows in [vec![], vec![&[100, 0, 0][..], &[0, 100, 0]], vec![none, none, &[0, 0]]] {
        assert!((over_dispersion(&windows) - 1.0).abs() < f64::EPSILON, "{windows:?}");
    }
}

prop_compose! {
    fn parts()(n in 2_usize..40)(
        loads in prop::collection::vec(prop_oneof![Just(0.0), 1e-3..1e6_f64], n),
        capacities in prop::collection::vec(1e-3..1e3_f64, n),
    ) -> Vec<Part> {
        loads.into_iter().zip(capacities).map(|(load, capacity)| Part { load, capacity }).collect()
    }
}

proptest! {
    #[test]
    fn the_measures_are_what_they_are_called(parts in parts(), samples in 1_u64..10_000_000, dispersion in 0.0..20.0_f64) {
        let Ok(variation) = Variation::of(&parts) else { return Ok(()) };
        let noise = Noise { samples, over_dispersion: dispersion };
        let mean: f64 = variation.relative().iter().zip(&variation.fair).map(|(r, e)| r * e).sum();
        prop_assert!((mean - 1.0).abs() < 1e-9);
        prop_assert!(variation.r_min() <= 1.0 + 1e-9 && variation.r_max() >= 1.0 - 1e-9);
        prop_assert!((0.0..1.0).contains(&variation.gini()));
        prop_assert!(variation.corrected(noise) <= variation.w());
        let Bounds { lower, upper } = variation.bounds(noise);
        prop_assert!(lower.is_finite() && upper.is_finite() && 0.0 <= lower && lower <= upper, "{lower} {upper}");
        prop_assert!(variation.enough(samples, None, 0.25).is_err() || samples >= 200);
    }

    #[test]
    fn units_do_not_matter(parts in parts(), load in 1e-3..1e3_f64, capacity in 1e-3..1e3_f64) {
        let scaled: Vec<Part> =
            parts.iter().map(|part| Part { load: part.load * load, capacity: part.capacity * capacity }).collect();
        if let (Ok(one), Ok(other)) = (Variation::of(&parts), Variation::of(&scaled)) {
            prop_assert!((one.w() - other.w()).abs() <= 1e-9 * one.w().max(1.0));
            prop_assert!((one.gini() - other.gini()).abs() < 1e-9);
        }
    }
}
