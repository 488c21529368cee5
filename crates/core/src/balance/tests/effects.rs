//! What the picks are for: scenarios of balancing.md in small, by their ids there.

use alloc::vec;

use super::simulation::{Run, Worker, simulate};
use super::*;

const BY_LOAD: [PickPolicy; 4] = [PickPolicy::LeastRequest, PickPolicy::P2c, PickPolicy::PeakEwma, PickPolicy::Prequal];
const DEFAULTS: [PickPolicy; 2] = [PickPolicy::PeakEwma, PickPolicy::Prequal];

/// A run at this share of the pool's capacity, with equal weights and two threads of one gateway.
fn run(policy: PickPolicy, workers: Vec<Worker>, load: f64) -> Run {
    let capacity: f64 = workers.iter().map(|worker| worker.slots as f64 / worker.service.as_secs_f64()).sum();
    Run {
        policy,
        weights: vec![1.0; workers.len()],
        workers,
        per_second: capacity * load,
        lasts: Span::from_secs(10),
        reports: policy == PickPolicy::Prequal,
        seats: 2,
        gateways: 1,
        seed: 7,
    }
}

fn p99(run: Run) -> f64 {
    simulate(run).quantile(0.99, at(3_000))
}

#[test]
fn x1_alike_workers_are_served_as_well_as_by_least_request() {
    for workers in [vec![Worker::new(8, 10); 16], vec![Worker::new(4, 10); 24]] {
        let least = p99(run(PickPolicy::LeastRequest, workers.clone(), 0.7));
        for policy in DEFAULTS {
            let p99 = p99(run(policy, workers.clone(), 0.7));
            assert!(p99 < least * 1.05, "{policy:?}: {p99} ms, least-request {least} ms");
        }
    }
}

#[test]
fn x2_unlike_workers_of_known_weight_do_not_make_anybody_wait() {
    for policy in BY_LOAD {
        let workers = vec![Worker::new(2, 10), Worker::new(4, 10), Worker::new(8, 10)];
        let p99 = p99(Run { weights: vec![1.0, 2.0, 4.0], ..run(policy, workers, 0.7) });
        assert!(p99 < 32.0, "{policy:?}: {p99} ms");
    }
}

#[test]
fn x2_a_slow_half_of_unknown_weight_is_left_alone_by_the_defaults() {
    let workers = || [vec![Worker::new(8, 10); 3], vec![Worker::new(8, 100); 3]].concat();
    let least = p99(run(PickPolicy::LeastRequest, workers(), 0.5));
    for policy in DEFAULTS {
        let p99 = p99(run(policy, workers(), 0.5));
        assert!(p99 < least / 2.0, "{policy:?}: {p99} ms, least-request {least} ms");
    }
}

#[test]
fn x6_a_worker_ten_times_slower_loses_nine_tenths_of_its_excess_within_a_second() {
    for policy in DEFAULTS {
        let mut workers = vec![Worker::new(8, 10); 5];
        workers[2].slower = (at(3_000), 10.0);
        let came = simulate(run(policy, workers, 0.5));
        let (fair, earned) = (0.2, 0.1 / 4.1);
        let share = came.share(2, at(4_000), at(10_000));
        assert!(share < earned + (fair - earned) * 0.1, "{policy:?}: {share}");
    }
}

#[test]
fn a_slow_worker_that_is_well_again_is_found_out_even_while_the_others_have_room() {
    for policy in DEFAULTS {
        for load in [0.3, 0.6, 0.8] {
            let mut workers = vec![Worker::new(8, 10); 5];
            (workers[2].slower, workers[2].well) = ((at(1_000), 10.0), Some(at(6_000)));
            let came = simulate(Run { lasts: Span::from_secs(20), ..run(policy, workers, load) });
            let share = came.share(2, at(16_000), at(20_000));
            assert!(share > 0.08, "{policy:?} at {load}: {share} of a fair 0.2");
        }
    }
}

#[test]
fn nobody_is_quiet_for_long_and_asking_costs_no_more_than_a_four_hundredth() {
    for policy in DEFAULTS {
        let workers = [vec![Worker::new(8, 10); 3], vec![Worker::new(8, 1_000); 1]].concat();
        let came = simulate(Run { per_second: 1_000.0, ..run(policy, workers, 0.5) });
        for second in 1..6 {
            assert!(came.share(3, at(second * 1_000), at(second * 1_000 + 5_000)) > 0.0, "{policy:?}: from {second} s");
        }
        let share = came.share(3, at(3_000), at(10_000));
        assert!(share < 1.0 / 400.0, "{policy:?}: {share}");
    }
}

#[test]
fn x9_a_worker_that_fails_fast_draws_next_to_nothing() {
    for policy in BY_LOAD {
        let mut workers = vec![Worker::new(4, 10); 20];
        workers[3].sinkhole = true;
        workers[11].sinkhole = true;
        let came = simulate(run(policy, workers, 0.5));
        // Fair would be one in ten.
        let share = came.failed() as f64 / came.answers.len() as f64;
        let bound = if DEFAULTS.contains(&policy) { 0.001 } else { 0.02 };
        assert!(share < bound, "{policy:?}: {share}");
    }
}

#[test]
fn x11_a_cold_worker_is_tried_but_does_not_draw_everything() {
    for policy in DEFAULTS {
        let mut workers = vec![Worker::new(8, 10); 5];
        workers[4].joins = at(3_000);
        let came = simulate(run(policy, workers, 0.6));
        let (first, later) = (came.share(4, at(3_000), at(3_020)), came.share(4, at(5_000), at(10_000)));
        assert!(first < 0.4, "{policy:?}: {first}");
        assert!((0.1..0.3).contains(&later), "{policy:?}: {later}");
    }
}

#[test]
fn x13_free_slots_of_slow_workers_are_used_before_fast_ones_have_twice_as_many_requests_as_slots() {
    // Learned weights: a slow worker is worth a third.
    let run = |policy| {
        let workers = [vec![Worker::new(4, 20); 4], vec![Worker::new(4, 60); 6]].concat();
        let weights = [vec![3.0; 4], vec![1.0; 6]].concat();
        p99(Run { weights, ..run(policy, workers, 0.83) })
    };
    let (least, prequal) = (run(PickPolicy::LeastRequest), run(PickPolicy::Prequal));
    assert!(prequal < least * 1.05, "{prequal} ms, least-request {least} ms");
}

#[test]
fn a_frozen_worker_keeps_no_more_than_a_handful_of_requests() {
    for policy in DEFAULTS {
        let mut workers = vec![Worker::new(8, 10); 5];
        workers[1].frozen = Some(at(3_000));
        let came = simulate(run(policy, workers, 0.5));
        let caught = came.answers.iter().filter(|answer| answer.1 == 1 && answer.0 >= at(3_000)).count();
        assert!(caught < 40, "{policy:?}: {caught} of {}", came.answers.len());
    }
}

#[test]
fn gateways_that_know_nothing_of_each_other_do_not_herd() {
    for policy in DEFAULTS {
        let alone = p99(run(policy, vec![Worker::new(8, 10); 8], 0.7));
        let p99 = p99(Run { gateways: 4, seats: 4, ..run(policy, vec![Worker::new(8, 10); 8], 0.7) });
        assert!(p99 < alone * 1.1, "{policy:?}: {p99} ms, alone {alone} ms");
    }
}
