//! The loop closed over a small fluid model: weights decide rates, rates decide utilization and latency, which come
//! back late.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::{Bench, Seen, busy};
use crate::decision::Reason;
use crate::draw::Draw;
use crate::plan::{Happening, Heard, Passive, PlanConfig, Rule, Source};
use crate::signal::Report;
use crate::time::Span;

/// Workers of given capacities (requests a second) under one load, seen `delay` ticks late. Their latency is that of
/// processor sharing, `service / (1 - utilization)`, bounded in overload.
struct Fluid {
    capacities: Vec<f64>,
    load: f64,
    late: VecDeque<Vec<Seen>>,
    /// Noise of one tick's rate and utilization, relative.
    noise: f64,
    draw: Draw,
}

impl Fluid {
    fn new(capacities: &[f64], load: f64, delay: usize) -> Self {
        let mut fluid =
            Self { capacities: capacities.to_vec(), load, late: VecDeque::new(), noise: 0.0, draw: Draw::seeded(1) };
        let even = alloc::vec![1.0; capacities.len()];
        for _ in 0..delay {
            let seen = fluid.see(&even);
            fluid.late.push_back(seen);
        }
        fluid
    }

    fn see(&mut self, weights: &[f64]) -> Vec<Seen> {
        let total: f64 = weights.iter().sum();
        let (load, noise) = (self.load, self.noise);
        let mut shake = |value: f64| value * (1.0 + noise * (self.draw.unit() - 0.5));
        let one = |(weight, capacity): (&f64, &f64)| {
            let offered = shake(weight / total * load);
            let utilization = shake(offered / capacity);
            let seen = busy(offered.min(*capacity), utilization);
            let mean = Span::from_secs_f64(SLOTS / capacity / (1.0 - utilization.min(0.98)));
            let passive = seen.passive.map(|own| Passive { mean, p50: mean, p99: mean.times(4), ..own });
            let report = Report { utilization: Some(utilization.min(1.0)), ..Report::default() };
            Seen { passive, report: seen.report.map(|heard| Heard { report, ..heard }), ..seen }
        };
        weights.iter().zip(&self.capacities).map(one).collect()
    }

    fn step(&mut self, weights: &[f64]) -> Vec<Seen> {
        let now = self.see(weights);
        self.late.push_back(now);
        self.late.pop_front().expect("one was just pushed")
    }
}

/// Requests at once that a worker of the model serves.
const SLOTS: f64 = 4.0;

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

/// The sum of a worker's steps, in fair shares.
fn moved(path: &[Vec<f64>], worker: usize) -> f64 {
    path.windows(2).map(|pair| (pair[1][worker] - pair[0][worker]).abs()).sum()
}

#[test]
fn a_worker_that_becomes_ten_times_slower_has_lost_nine_tenths_of_its_excess_in_ten_seconds() {
    let mut fluid = Fluid::new(&[200.0, 200.0, 200.0, 200.0], 400.0, 2);
    let mut bench = Bench::of(PlanConfig::of(Rule::Capacity));
    let mut weights = alloc::vec![1.0; 4];
    for second in 0..40 {
        if second == 20 {
            fluid.capacities[0] = 20.0;
        }
        weights = bench.tick(&fluid.step(&weights));
        if second >= 30 {
            let fair = ideal(&fluid.capacities)[0];
            assert!(weights[0] < fair + 0.1 * (1.0 - fair), "{second}: {weights:?}");
        }
    }
    let told: Vec<_> = bench.decisions.iter().filter(|told| told.worker.0 == 0 && told.new < told.old).collect();
    assert!(!told.is_empty() && told.iter().all(|told| told.reason == Reason::Worse), "{told:?}");
}

#[test]
fn capacity_weights_stay_near_the_truth_when_every_reading_is_noisy() {
    let capacities = [100.0, 200.0, 400.0, 50.0];
    let mut fluid = Fluid::new(&capacities, 600.0, 2);
    fluid.noise = 0.4;
    let path = run(Rule::Capacity, &mut fluid, 300);
    for (worker, wanted) in ideal(&capacities).into_iter().enumerate() {
        let mean = path[30..].iter().map(|weights| weights[worker]).sum::<f64>() / (path.len() - 30) as f64;
        assert!((mean / wanted - 1.0).abs() < 0.05, "worker {worker}: {mean} for {wanted}");
        let step = moved(&path[30..], worker) / wanted / (path.len() - 30) as f64;
        assert!(step < 0.04, "worker {worker} moves {step} of its weight a tick");
    }
}

#[test]
fn no_policy_swings_at_ninety_percent_load_with_two_ticks_of_delay() {
    let capacities = [100.0, 200.0, 400.0];
    for rule in super::arbitrary::RULES {
        let path = run(rule, &mut Fluid::new(&capacities, 630.0, 2), 900);
        let last = &path[700..];
        for worker in 0..capacities.len() {
            let moved = moved(last, worker);
            assert!(moved < 1.0, "{rule}: worker {worker} moved {moved} in 200 ticks: {:?}", &last[190..]);
        }
    }
}

#[test]
fn learned_weights_of_unlike_workers_keep_the_slow_ones_under_their_capacity() {
    let capacities = [100.0, 200.0, 400.0];
    for rule in [Rule::Capacity, Rule::Throughput] {
        let path = run(rule, &mut Fluid::new(&capacities, 560.0, 2), 60);
        let weights = path.last().expect("60 ticks");
        for (weight, capacity) in weights.iter().zip(capacities) {
            assert!(weight / 3.0 * 560.0 < capacity * 0.95, "{rule}: {weights:?}");
        }
    }
}

#[test]
fn a_loop_that_is_set_up_to_swing_is_damped_until_it_rests() {
    // Latency-fed weights without the hysteresis, the slew limit and the alpha that this needs.
    let settings = crate::plan::Settings {
        policy: Rule::TailLatency,
        alpha: crate::share::Share::ALL,
        hysteresis: crate::plan::Hysteresis { ticks: 1 },
        slew: crate::plan::Slew { down: 0.05, up: 10.0 },
        ..crate::plan::Settings::default()
    };
    let mut bench = Bench::of(PlanConfig::check(settings).expect("in range"));
    let mut fluid = Fluid::new(&[100.0, 200.0, 400.0], 560.0, 3);
    let mut weights = alloc::vec![1.0; 3];
    let mut path = Vec::new();
    for _ in 0..600 {
        let mut seen = fluid.step(&weights);
        // They say that they idle, so nothing bounds alpha.
        for one in &mut seen {
            let idle = Report { utilization: Some(0.1), ..Report::default() };
            one.report = one.report.map(|heard| Heard { report: idle, ..heard });
        }
        weights = bench.tick(&seen);
        path.push(weights.clone());
    }
    let events = bench.planner.take_events();
    let found = events.iter().filter(|event| matches!(event.what, Happening::OscillationFound { .. })).count();
    let (early, late) = (moved(&path[..100], 0), moved(&path[500..], 0));
    assert!(found > 0 && late < early / 4.0, "found {found} times, moved {early} early and {late} late");
}

#[test]
fn of_two_workers_of_very_unlike_capacity_the_slow_one_is_not_loaded_beyond_what_it_can_carry() {
    let path = run(Rule::Capacity, &mut Fluid::new(&[1_000.0, 100.0], 880.0, 2), 60);
    let slow = path.last().expect("60 ticks")[1] / 2.0 * 880.0;
    assert!(slow < 95.0, "{slow} requests a second for one that can carry 100");
}

#[test]
fn a_rule_that_is_smoothed_under_the_deadband_each_tick_moves_all_the_same() {
    // At this utilization a tick is a fiftieth of the way: less than the deadband, as long as it starts anew each time.
    // Each with latencies that it tells apart.
    let rules = [
        (Rule::TailLatency, 90, 120),
        (Rule::ScoreSum, 90, 120),
        (Rule::ScoreProduct, 90, 120),
        (Rule::Headroom, 20, 60),
    ];
    for (rule, quick, slow) in rules {
        let mut bench = Bench::of(PlanConfig::of(rule));
        let of = |millis: u64| {
            let mean = Span::from_millis(millis);
            let seen = busy(100.0, 0.97);
            Seen { passive: seen.passive.map(|own| Passive { mean, p50: mean, p99: mean.times(4), ..own }), ..seen }
        };
        let mut weights = Vec::new();
        for _ in 0..120 {
            weights = bench.tick(&[of(quick), of(quick), of(slow)]);
        }
        assert!(weights[2] < 0.95, "{rule}: {weights:?}");
    }
}

#[test]
fn polled_means_of_half_a_minute_do_not_make_weights_swing_and_neither_do_polled_moments() {
    let capacities = [100.0, 200.0, 400.0];
    for (window, load) in [(30, 560.0), (30, 250.0), (1, 560.0), (1, 250.0)] {
        let mut fluid = Fluid::new(&capacities, load, 1);
        fluid.noise = 0.1;
        let mut bench = Bench::of(PlanConfig::of(Rule::Capacity));
        let (mut weights, mut path) = (alloc::vec![1.0; 3], Vec::new());
        let (mut history, mut told) = (VecDeque::new(), alloc::vec![0.5; 3]);
        for tick in 0..300_u64 {
            let mut seen = fluid.step(&weights);
            history.push_back(seen.clone());
            while history.len() > window {
                history.pop_front();
            }
            let said = |seen: &Seen| seen.report.and_then(|heard| heard.report.utilization).unwrap_or(0.0);
            if tick % 5 == 0 {
                let mean = |worker: usize| {
                    history.iter().map(|seen: &Vec<Seen>| said(&seen[worker])).sum::<f64>() / history.len() as f64
                };
                told = (0..3).map(mean).collect();
            }
            for (one, told) in seen.iter_mut().zip(&told) {
                let report = Report { utilization: Some(*told), ..Report::default() };
                let (age, period) = (Span::from_secs(tick % 5), Span::from_secs(5));
                one.report = Some(Heard { report, age, period, source: Source::Poll });
            }
            weights = bench.tick(&seen);
            path.push(weights.clone());
        }
        for weights in &path[40..] {
            for (weight, wanted) in weights.iter().zip(ideal(&capacities)) {
                assert!((weight / wanted - 1.0).abs() < 0.15, "{window} s, {load}/s: {weights:?}");
            }
        }
    }
}
