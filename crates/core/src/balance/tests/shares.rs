//! How often each worker is picked when nothing else tells them apart.

use alloc::vec;

use super::*;

/// Counts picks by slot; with `hold`, each pick stays in flight.
fn counts(pool: &PoolView, picker: &mut Picker, seed: u64, rounds: usize, hold: bool) -> Vec<u32> {
    let (mut counts, mut draw) = (vec![0; pool.workers.len()], Draw::seeded(seed));
    let barred = Barred::default();
    for _ in 0..rounds {
        let pick = picker.pick(&ask(at(0), pool, &barred), &mut draw).expect("somebody has weight");
        counts[pick.slot] += 1;
        if hold {
            pool.picked(pick).cells.load.begin();
        }
    }
    counts
}

fn near(counts: &[u32], shares: &[f64], slack: f64) -> bool {
    let total = f64::from(counts.iter().sum::<u32>());
    counts.iter().zip(shares).all(|(count, share)| (f64::from(*count) / total - share).abs() <= slack)
}

#[test]
fn weighted_round_robin_gives_each_round_exactly_the_weights() {
    let pool = pool(PickPolicy::WeightedRoundRobin, 1, &[5.0, 1.0, 0.0, 2.0], &cells(4));
    let mut picker = Picker::new(pool.pick);
    for seed in 0..100 {
        assert_eq!(counts(&pool, &mut picker, seed, 8, false), [5, 1, 0, 2]);
    }
}

#[test]
fn weighted_round_robin_spreads_the_turns_of_a_heavy_worker() {
    let pool = pool(PickPolicy::WeightedRoundRobin, 1, &[5.0, 1.0, 1.0], &cells(3));
    let (mut picker, mut draw, barred) = (Picker::new(pool.pick), Draw::seeded(1), Barred::default());
    let mut others_in_a_row = 0;
    for _ in 0..700 {
        let pick = picker.pick(&ask(at(0), &pool, &barred), &mut draw).expect("weight");
        others_in_a_row = if pick.slot == 0 { 0 } else { others_in_a_row + 1 };
        assert!(others_in_a_row <= 2);
    }
}

#[test]
fn weighted_round_robin_keeps_its_turns_when_the_view_changes() {
    // A new view after each single pick: turns that were dealt anew would follow chance, not the weights.
    let cells = cells(3);
    let mut picker = Picker::new(PickPolicy::WeightedRoundRobin);
    let mut sums = [0; 3];
    for revision in 0..800 {
        let wobble = 1.0 + 1e-6 * (revision % 2) as f64;
        let pool = pool(PickPolicy::WeightedRoundRobin, revision, &[5.0 * wobble, 1.0, 2.0], &cells);
        let round = counts(&pool, &mut picker, revision, 1, false);
        sums.iter_mut().zip(round).for_each(|(sum, count)| *sum += count);
    }
    assert!(sums[0].abs_diff(500) <= 1 && sums[1].abs_diff(100) <= 1 && sums[2].abs_diff(200) <= 1, "{sums:?}");
}

#[test]
fn weighted_round_robin_does_not_pay_a_returning_worker_for_its_absence() {
    let pool = pool(PickPolicy::WeightedRoundRobin, 1, &[1.0, 1.0], &cells(2));
    let (mut picker, mut draw) = (Picker::new(pool.pick), Draw::seeded(3));
    let open = Barred { tried: &[], open: &[0b10] };
    for _ in 0..50 {
        picker.pick(&ask(at(0), &pool, &open), &mut draw);
    }
    let back = counts(&pool, &mut picker, 3, 10, false);
    assert!((4..=6).contains(&back[1]), "{back:?}");
}

#[test]
fn lots_follow_the_weights() {
    for policy in [PickPolicy::WeightedRandom, PickPolicy::Ring] {
        let pool = pool(policy, 1, &[1.0, 2.0, 0.0, 5.0], &cells(4));
        let counts = counts(&pool, &mut Picker::new(policy), 5, 40_000, false);
        // Points of the ring are a sample themselves, so its shares are coarser.
        let slack = if policy == PickPolicy::Ring { 0.06 } else { 0.01 };
        assert!(near(&counts, &[0.125, 0.25, 0.0, 0.625], slack), "{policy:?} {counts:?}");
    }
}

#[test]
fn equal_workers_get_equal_shares_from_every_pick() {
    for policy in PickPolicy::ALL {
        for count in [2, 5, 16, 40] {
            let pool = pool(policy, 1, &vec![1.0; count], &cells(count));
            let counts = counts(&pool, &mut Picker::new(policy), 9, 4_000 * count, false);
            let fair = 1.0 / count as f64;
            let slack = if policy == PickPolicy::Ring { 0.35 * fair } else { 0.1 * fair };
            assert!(near(&counts, &vec![fair; count], slack), "{policy:?} of {count}: {counts:?}");
        }
    }
}

#[test]
fn what_stays_in_flight_fills_workers_in_proportion_to_their_weights() {
    for policy in [PickPolicy::LeastRequest, PickPolicy::P2c, PickPolicy::PeakEwma, PickPolicy::Ring] {
        let pool = pool(policy, 1, &[1.0, 2.0, 5.0], &cells(3));
        let counts = counts(&pool, &mut Picker::new(policy), 2, 8_000, true);
        let slack = if policy == PickPolicy::Ring { 0.2 } else { 0.005 };
        assert!(near(&counts, &[0.125, 0.25, 0.625], slack), "{policy:?} {counts:?}");
    }
}

#[test]
fn two_threads_do_not_both_start_at_the_first_of_equals() {
    for policy in [PickPolicy::LeastRequest, PickPolicy::P2c, PickPolicy::PeakEwma, PickPolicy::Prequal] {
        let pool = pool(policy, 1, &[1.0; 8], &cells(8));
        let barred = Barred::default();
        let firsts: Vec<usize> = (0..64)
            .filter_map(|seed| Picker::new(policy).pick(&ask(at(0), &pool, &barred), &mut Draw::seeded(seed)))
            .map(|pick| pick.slot)
            .collect();
        let most = (0..8).map(|slot| firsts.iter().filter(|first| **first == slot).count()).max();
        assert!(most < Some(20), "{policy:?} {firsts:?}");
    }
}

#[test]
fn a_key_stays_at_home_and_moves_only_when_its_home_is_gone() {
    let cells = cells(20);
    let whole = pool(PickPolicy::Ring, 1, &[1.0; 20], &cells);
    let mut without = [1.0; 20];
    without[7] = 0.0;
    let fewer = pool(PickPolicy::Ring, 2, &without, &cells);
    let barred = Barred::default();
    let home = |pool: &PoolView, key: u64| {
        let ask = Ask { key: Some(ring::key(&key.to_le_bytes())), ..ask(at(0), pool, &barred) };
        Picker::new(pool.pick).pick(&ask, &mut Draw::seeded(key)).expect("weight").slot
    };
    let moved = (0..2_000).filter(|&key| home(&whole, key) != 7 && home(&whole, key) != home(&fewer, key)).count();
    assert_eq!(moved, 0);
}

#[test]
fn placement_is_frozen_because_gateways_of_different_versions_must_agree() {
    let names = ["a", "b", "c"];
    let table = ring::RingTable::new(names.iter().copied().zip([1.0, 1.0, 2.0]));
    let homes: Vec<usize> = (0..12_u64).filter_map(|key| table.walk(ring::key(&key.to_le_bytes())).next()).collect();
    assert_eq!(homes, [2, 0, 1, 1, 0, 2, 2, 0, 2, 2, 0, 2]);
}

#[test]
fn a_hot_key_spills_to_its_neighbour_at_a_quarter_over_the_fair_share() {
    let pool = pool(PickPolicy::Ring, 1, &[1.0; 10], &cells(10));
    let (mut picker, mut draw, barred) = (Picker::new(pool.pick), Draw::seeded(1), Barred::default());
    let mut counts = [0_u32; 10];
    for _ in 0..1_000 {
        let ask = Ask { key: Some(42), ..ask(at(0), &pool, &barred) };
        let pick = picker.pick(&ask, &mut draw).expect("weight");
        pool.picked(pick).cells.load.begin();
        counts[pick.slot] += 1;
    }
    assert!(counts.iter().all(|count| *count <= 126), "{counts:?}");
}

#[test]
fn a_ring_of_the_same_members_is_taken_over_and_one_of_others_is_not() {
    let cells = cells(3);
    let first = pool(PickPolicy::Ring, 1, &[1.0; 3], &cells);
    let parts = |weights: &[f64]| PoolParts {
        id: first.id,
        name: Arc::clone(&first.name),
        revision: 2,
        workers: first.workers.clone(),
        pick: first.pick,
        learned: vec![3.0, 2.0, 1.0],
        fixed: weights.to_vec(),
        learned_share: Share::ALL,
        breaker: first.breaker,
        budget: Arc::clone(&first.budget),
    };
    let same = |view: &PoolView| Arc::ptr_eq(view.ring.as_ref().expect("ring"), first.ring.as_ref().expect("ring"));
    assert!(same(&PoolView::new(parts(&[1.0; 3]), Some(&first))));
    assert!(!same(&PoolView::new(parts(&[1.0, 1.0, 2.0]), Some(&first))));
}
