//! What the planner decides of situations that are made here, and what holds in all of them.

use alloc::collections::BTreeSet;
use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::shard::space::{Point, Range};
use crate::worker::WorkerId;

fn at(seconds: u64) -> Mono {
    Mono::default() + Span::from_secs(seconds)
}

/// Workers that each have these loads as slices, all of the same width, of 1 MB, an hour old.
fn sample(loads: &[&[f64]]) -> Sample {
    let all = loads.iter().map(|loads| loads.len()).sum::<usize>() as u64;
    let width = u64::MAX / all;
    let mut slices = Vec::new();
    let mut workers = Vec::new();
    for (worker, loads) in (0_u32..).zip(loads) {
        let worker = WorkerId(worker);
        workers.push(WorkerNow {
            worker,
            heard: true,
            healthy: true,
            utilization: loads.iter().sum::<f64>().min(1.0),
            depth: 0.0,
            depth_limit: 100.0,
            wait_p95: Span::ZERO,
            wait_objective: Span::from_millis(10),
        });
        for load in *loads {
            let place = slices.len() as u64;
            let last = if place + 1 == all { u64::MAX } else { (place + 1) * width - 1 };
            let range = Range::new(Point(place * width), Point(last)).expect("in order");
            slices.push(SliceNow {
                slice: SliceId(place + 1),
                range,
                owner: worker,
                load: *load,
                forecast: None,
                bytes: 1_000_000,
                middle: Some(Point(place * width + width / 2)),
                last_part: 1.0 / 32.0,
                hottest: None,
                age: Span::from_secs(3_600),
            });
        }
    }
    Sample { workers, slices, ..Sample::default() }
}

fn auto() -> PlanConfig {
    PlanConfig { mode: Mode::Auto, least_per_worker: 1, ..PlanConfig::default() }
}

/// What is decided in the second after so many of the same.
fn after(config: &PlanConfig, memory: &mut Memory, seconds: u64, sample: &Sample) -> Vec<Decision> {
    (0..seconds).for_each(|second| drop(decide(config, memory, at(second), sample)));
    decide(config, memory, at(seconds), sample)
}

fn reasons(decisions: &[Decision]) -> Vec<Reason> {
    decisions.iter().map(|decision| decision.reason).collect()
}

fn actions(decisions: &[Decision]) -> Vec<Action> {
    decisions.iter().filter_map(|decision| decision.action.map(|(action, _)| action)).collect()
}

/// One worker of four is hot; its slices are even.
fn one_hot() -> Sample {
    sample(&[&[0.1; 7], &[0.05; 6], &[0.05; 6], &[0.05; 6]])
}

#[test]
fn a_worker_that_is_warm_for_ten_of_twelve_seconds_gives_a_slice_to_the_emptiest() {
    let mut memory = Memory::default();
    let early = after(&auto(), &mut memory, 8, &one_hot());
    assert_eq!(reasons(&early), vec![Reason::AllWell]);
    let decisions = decide(&auto(), &mut memory, at(9), &one_hot());
    assert_eq!(reasons(&decisions), vec![Reason::WorkerHot]);
    let Some((Action::Move { slice, from, .. }, Fate::Done)) = decisions[0].action else { panic!("{decisions:?}") };
    assert!(slice.0 <= 7 && from == WorkerId(0), "{decisions:?}");
}

#[test]
fn three_seconds_over_eighty_percent_are_enough() {
    let hot = sample(&[&[0.12; 7], &[0.05; 6], &[0.05; 6], &[0.05; 6]]);
    let mut memory = Memory::default();
    assert_eq!(actions(&after(&auto(), &mut memory, 1, &hot)), vec![]);
    assert_eq!(actions(&decide(&auto(), &mut memory, at(2), &hot)).len(), 1);
}

#[test]
fn waits_of_twice_the_objective_and_full_queues_are_hot() {
    let mut waits = sample(&[&[0.05; 8], &[0.04; 6], &[0.04; 6]]);
    waits.workers[0].wait_p95 = Span::from_millis(25);
    assert_eq!(actions(&after(&auto(), &mut Memory::default(), 10, &waits)).len(), 1);
    let mut full = waits.clone();
    (full.workers[0].wait_p95, full.workers[0].depth) = (Span::ZERO, 101.0);
    assert_eq!(actions(&after(&auto(), &mut Memory::default(), 3, &full)).len(), 1);
}

#[test]
fn what_is_observed_is_shown_and_what_is_advised_is_asked() {
    for (mode, fate) in [(Mode::Observe, Fate::Shown), (Mode::Advise, Fate::Asked), (Mode::Auto, Fate::Done)] {
        let config = PlanConfig { mode, ..auto() };
        let decisions = after(&config, &mut Memory::default(), 12, &one_hot());
        assert_eq!(decisions[0].action.map(|(_, fate)| fate), Some(fate));
    }
}

#[test]
fn every_stop_has_its_reason() {
    let config = auto();
    let stopped = |change: fn(&mut Sample)| {
        let mut sample = one_hot();
        change(&mut sample);
        reasons(&after(&config, &mut Memory::default(), 12, &sample))
    };
    assert_eq!(stopped(|sample| sample.workers[3].heard = false), vec![Reason::MetricsMissing]);
    assert_eq!(stopped(|sample| sample.workers[3].healthy = false), vec![Reason::TooManyUnhealthy]);
    assert_eq!(stopped(|sample| sample.deploying = true), vec![Reason::Deploying]);
    assert_eq!(stopped(|sample| sample.store_p99 = Span::from_millis(101)), vec![Reason::StoreSlow]);
    assert_eq!(stopped(|sample| sample.workers.clear()), vec![Reason::MetricsMissing]);
}

#[test]
fn a_slice_of_over_a_fifth_is_split_where_half_of_its_work_lies_before() {
    let hot = sample(&[&[0.4, 0.1, 0.1, 0.1, 0.1, 0.1], &[0.05; 6], &[0.05; 6]]);
    let decisions = after(&auto(), &mut Memory::default(), 12, &hot);
    let middle = hot.slices[0].middle.expect("it has one");
    assert_eq!(actions(&decisions), vec![Action::Split { slice: SliceId(1), at: middle }]);
}

#[test]
fn a_hot_key_gets_a_slice_for_itself() {
    let mut hot = sample(&[&[0.1; 8], &[0.05; 6], &[0.05; 6]]);
    let key = Point(hot.slices[2].range.first().0 + 77);
    hot.slices[2].hottest = Some((key, 0.6));
    let decisions = after(&auto(), &mut Memory::default(), 12, &hot);
    assert_eq!(actions(&decisions), vec![Action::Isolate { slice: SliceId(3), key }]);
    assert_eq!(decisions[0].reason, Reason::KeyHot);
}

#[test]
fn order_of_a_shard_refuses_splits_and_moves_all_the_same() {
    let config = PlanConfig { ordering: Ordering::PerShard, ..auto() };
    let hot = sample(&[&[0.3, 0.1, 0.1, 0.1, 0.1, 0.1], &[0.05; 6], &[0.05; 6], &[0.05; 6]]);
    let decisions = after(&config, &mut Memory::default(), 12, &hot);
    assert_eq!(reasons(&decisions), vec![Reason::OrderPerShard, Reason::WorkerHot]);
    assert!(matches!(actions(&decisions)[..], [Action::Move { .. }]), "{decisions:?}");
}

#[test]
fn keys_that_only_grow_are_never_split() {
    let mut hot = sample(&[&[0.5, 0.1, 0.1, 0.1], &[0.05; 6], &[0.05; 6]]);
    hot.slices[0].last_part = 0.95;
    assert!(reasons(&after(&auto(), &mut Memory::default(), 12, &hot)).contains(&Reason::MonotoneKeys));
}

#[test]
fn a_key_that_is_too_much_for_any_worker_is_told_once_it_is_alone() {
    let mut hot = sample(&[&[0.7, 0.1, 0.1], &[0.3, 0.2], &[0.3, 0.2]]);
    let range = Range::new(hot.slices[0].range.first(), hot.slices[0].range.first()).expect("in order");
    hot.slices[0].range = range;
    let told = |config: &PlanConfig| reasons(&after(config, &mut Memory::default(), 12, &hot));
    assert!(told(&auto()).contains(&Reason::KeyTooHot));
    assert!(told(&PlanConfig { merges_values: true, ..auto() }).contains(&Reason::SaltWanted));
}

#[test]
fn where_one_slice_would_overshoot_two_are_swapped() {
    let hot = sample(&[&[0.19; 5], &[0.16; 5], &[0.16; 5]]);
    let config = PlanConfig { split_over: 0.5, settled: 0.01, ..auto() };
    let decisions = after(&config, &mut Memory::default(), 12, &hot);
    assert!(matches!(actions(&decisions)[..], [Action::Swap { .. }]), "{decisions:?}");
}

#[test]
fn with_all_workers_equally_hot_there_is_no_room() {
    let hot = sample(&[&[0.12; 7], &[0.12; 7], &[0.12; 7]]);
    let decisions = after(&auto(), &mut Memory::default(), 12, &hot);
    assert!(reasons(&decisions).iter().all(|reason| *reason == Reason::NoRoom) && !decisions.is_empty());
}

#[test]
fn a_slice_rests_after_its_move_and_is_frozen_where_it_would_go_back() {
    let (config, mut memory, hot) = (auto(), Memory::default(), one_hot());
    let decisions = after(&config, &mut memory, 12, &hot);
    let Some((action @ Action::Move { slice, to, .. }, _)) = decisions[0].action else { panic!("{decisions:?}") };
    memory.began(at(13), &hot, action);
    memory.ended(at(15), slice, true);
    let mut moved = hot.clone();
    moved.slices.iter_mut().filter(|now| now.slice == slice).for_each(|now| now.owner = to);
    assert_eq!(explain(&config, &memory, at(60), &moved, slice), Some(Reason::Resting));
    assert_eq!(explain(&config, &memory, at(400), &moved, slice), None);
    // Now where it went is hot because of it, and where it came from is empty.
    let mut back = sample(&[&[], &[0.05; 6], &[0.05; 6], &[0.05; 6]]);
    back.slices = moved.slices.clone();
    for now in &mut back.slices {
        (now.owner, now.load) = if now.slice == slice { (to, 0.25) } else { (now.owner, now.load) };
        if now.owner == WorkerId(0) {
            now.load = 0.001;
        }
    }
    for worker in &mut back.workers {
        let mine = back.slices.iter().filter(|slice| slice.owner == worker.worker);
        worker.utilization = mine.map(|slice| slice.load).sum();
        worker.wait_p95 = if worker.worker == to { Span::from_millis(99) } else { Span::ZERO };
    }
    back.slices.iter_mut().filter(|now| now.owner == to && now.slice != slice).for_each(|now| now.load = 0.01);
    let config = PlanConfig { split_over: 1.0, ..config };
    let mut frozen = false;
    for second in 400..430 {
        let reasons = reasons(&decide(&config, &mut memory, at(second), &back));
        frozen |= reasons.contains(&Reason::BackAndForth);
    }
    assert!(frozen, "{:?}", decide(&config, &mut memory, at(430), &back));
    assert_eq!(explain(&config, &memory, at(431), &back, slice), Some(Reason::Frozen));
}

#[test]
fn two_moves_that_gain_too_little_switch_it_off_for_longer_each_time() {
    let (config, mut memory, hot) = (auto(), Memory::default(), one_hot());
    for round in 0..2_u64 {
        for (second, slice) in [(0, 1), (1, 2)] {
            let action = Action::Move { slice: SliceId(slice), from: WorkerId(0), to: WorkerId(1) };
            memory.began(at(round * 2_000 + second), &hot, action);
            memory.ended(at(round * 2_000 + second + 1), SliceId(slice), true);
        }
        let off = decide(&config, &mut memory, at(round * 2_000 + 40), &hot);
        assert_eq!(reasons(&off), vec![Reason::SwitchedOff]);
        let later = at(round * 2_000 + 40 + 600 * (round + 1));
        assert_ne!(reasons(&decide(&config, &mut memory, later, &hot)), vec![Reason::SwitchedOff]);
    }
}

#[test]
fn a_hot_set_that_changes_faster_than_slices_move_is_left_alone() {
    let (config, mut memory) = (auto(), Memory::default());
    let mut told = BTreeSet::new();
    for second in 0..120_u64 {
        // Another quarter of the space is hot every ten seconds, all of it of a hot worker.
        let mut loads = [0.01; 28];
        let from = usize::try_from(second / 10 % 4).expect("small") * 7;
        loads[from..from + 7].fill(0.12);
        let sample = sample(&[&loads, &[0.01; 3], &[0.01; 3], &[0.01; 3]]);
        told.extend(reasons(&decide(&config, &mut memory, at(second), &sample)));
    }
    assert!(told.contains(&Reason::PatternFasterThanRebalance), "{told:?}");
}

#[test]
fn cold_neighbours_are_merged_after_an_hour_and_not_where_a_split_is_planned() {
    let mut cold = sample(&[&[0.2, 0.001, 0.001], &[0.2, 0.001, 0.001]]);
    let plan = Presplit { from: at(0), until: at(9_000), points: vec![cold.slices[2].range.first()] };
    let (config, mut memory) = (auto(), Memory::default());
    assert_eq!(reasons(&after(&config, &mut memory, 3_599, &cold)), vec![Reason::AllWell]);
    cold.presplits = vec![plan];
    assert!(
        actions(&decide(&config, &mut memory, at(3_600), &cold))
            .iter()
            .all(|action| { !matches!(action, Action::Merge { left: SliceId(2), .. }) })
    );
    cold.presplits.clear();
    let mut memory = Memory::default();
    let decisions = after(&config, &mut memory, 3_600, &cold);
    assert_eq!(actions(&decisions)[0], Action::Merge { left: SliceId(2), right: SliceId(3) });
}

#[test]
fn a_planned_split_is_done_in_its_time_alone() {
    let mut calm = sample(&[&[0.1; 4], &[0.1; 4]]);
    let point = Point(calm.slices[1].range.first().0 + 5);
    calm.presplits = vec![Presplit { from: at(5), until: at(9), points: vec![point] }];
    let split = Action::Split { slice: SliceId(2), at: point };
    let (config, mut memory) = (auto(), Memory::default());
    assert_eq!(actions(&decide(&config, &mut memory, at(4), &calm)), vec![]);
    assert_eq!(actions(&decide(&config, &mut memory, at(5), &calm)), vec![split]);
    assert_eq!(actions(&decide(&config, &mut memory, at(9), &calm)), vec![]);
}

#[test]
fn a_forecast_splits_before_it_is_hot() {
    let mut calm = sample(&[&[0.1; 4], &[0.1; 4]]);
    calm.slices[0].forecast = Some(0.5);
    let decisions = decide(&auto(), &mut Memory::default(), at(0), &calm);
    assert_eq!(reasons(&decisions), vec![Reason::Forecast]);
}

#[test]
fn copying_that_is_slower_than_writing_is_given_up_after_three_rounds() {
    assert_eq!(copying(&[0.9, 0.9]), None);
    assert_eq!(copying(&[0.1, 0.9, 0.9, 0.9]), Some(Reason::NeverSmall));
    assert_eq!(copying(&[0.9, 0.9, 0.7]), None);
}

#[test]
fn copying_slows_down_by_half_where_clients_notice() {
    let mut throttle = Throttle::new(100.0, Span::from_millis(10));
    assert!((throttle.next(Span::from_millis(11)) - 20.0).abs() < 1e-9);
    assert!((throttle.next(Span::from_millis(13)) - 10.0).abs() < 1e-9);
}

fn any_sample() -> impl Strategy<Value = Sample> {
    let loads = proptest::collection::vec(proptest::collection::vec(0.0..0.4_f64, 1..9), 1..9);
    let keys = proptest::collection::vec(proptest::option::of((any::<u32>().prop_map(u64::from), 0.0..1.0_f64)), 80);
    let more = (0.0..1.2_f64, any::<bool>(), 0.9..1.0_f64, 0..1_000_000_000_u64);
    (loads, keys, more).prop_map(|(loads, keys, (wild, ill, last_part, bytes))| {
        let loads: Vec<&[f64]> = loads.iter().map(Vec::as_slice).collect();
        let mut sample = sample(&loads);
        sample.workers[0].utilization = wild;
        sample.workers[0].healthy = !ill;
        for (slice, key) in sample.slices.iter_mut().zip(keys) {
            let inside = |at: u64| Point(slice.range.first().0.saturating_add(at).min(slice.range.last().0));
            slice.hottest = key.map(|(at, part)| (inside(at), part));
            (slice.bytes, slice.last_part) = (bytes, last_part);
        }
        sample
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn whatever_is_told_budgets_hold_and_everything_has_a_reason(samples in proptest::collection::vec(any_sample(), 1..6)) {
        let (config, mut memory) = (auto(), Memory::default());
        for second in 0..40_u64 {
            let sample = &samples[usize::try_from(second).expect("small") / 4 % samples.len()];
            let (mut twin, was) = (memory.clone(), memory.clone());
            let decisions = decide(&config, &mut memory, at(second), sample);
            // A function of memory, sample and time.
            prop_assert_eq!(&decide(&config, &mut twin, at(second), sample), &decisions);
            prop_assert!(twin == memory && !decisions.is_empty());
            let slices = |id: SliceId| sample.slices.iter().find(|slice| slice.slice == id);
            let mut touched = BTreeSet::new();
            let mut pairs = 0;
            for action in actions(&decisions) {
                let ids = match action {
                    Action::Move { slice, from, to } => {
                        let known = slices(slice).expect("it is there");
                        prop_assert!(known.owner == from && from != to);
                        prop_assert!(sample.workers.iter().any(|worker| worker.worker == to && worker.healthy));
                        pairs += 1;
                        vec![slice]
                    }
                    Action::Swap { slice, back, from, to } => {
                        prop_assert!(slices(slice).expect("there").owner == from && slices(back).expect("there").owner == to);
                        pairs += 1;
                        vec![slice, back]
                    }
                    Action::Split { slice, at } => {
                        prop_assert!(slices(slice).expect("there").range.split_at(at).is_some());
                        vec![slice]
                    }
                    Action::Isolate { slice, key } => {
                        prop_assert!(slices(slice).expect("there").range.contains(key));
                        vec![slice]
                    }
                    Action::Merge { left, right } => vec![left, right],
                };
                for id in ids {
                    prop_assert!(touched.insert(id), "twice in one second: {id:?}");
                    prop_assert!(explain(&config, &was, at(second), sample, id).is_none_or(|reason| reason == Reason::Resting));
                }
                memory.began(at(second), sample, action);
            }
            prop_assert!(pairs <= (sample.workers.len() / 10).max(1));
        }
    }
}

#[test]
fn every_reason_has_a_code_of_its_own_and_stands_in_the_documentation() {
    let text = include_str!("../../../../../docs/shard-planner.md");
    let source = include_str!("reason.rs");
    let codes: Vec<&str> = source.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
    for code in codes {
        assert!(text.contains(&alloc::format!("| `{code}` |")), "docs/shard-planner.md lacks {code}");
    }
}
