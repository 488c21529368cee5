//! A planner that takes over from another one, on another clock, with other identities.

use alloc::string::ToString as _;
use alloc::vec::Vec;

use super::{Bench, RULES, at, busy, failing, number};
use crate::plan::{Command, Handover, PlanConfig, Planner, Rule, Seen};
use crate::worker::WorkerId;

/// One that fails a little, one that joined five seconds ago, one that is pinned, and three in whom nothing is special.
fn seen(second: u64) -> Vec<Seen> {
    let wobble = 1.0 + (second % 5) as f64 / 50.0;
    let mut all = alloc::vec![busy(100.0, 0.3 * wobble), busy(80.0, 0.7), busy(60.0, 0.55), busy(90.0, 0.5)];
    all.push(failing(busy(70.0, 0.5), 0.1));
    all.extend((second > 55).then(|| busy(20.0, 0.4)));
    all
}

fn running(config: PlanConfig) -> Bench {
    let mut bench = Bench::of(config);
    for second in 0..60 {
        bench.tick(&seen(second));
    }
    let pin = Command::Pin { worker: WorkerId(3), weight: 0.8 };
    bench.planner.command(at(bench.seconds), pin, &mut Vec::new());
    bench
}

/// The handover of a bench, and who takes it: its clock begins later, and its workers have other numbers.
fn taken(bench: &Bench, change: impl Fn(Handover) -> Handover) -> Bench {
    let handover = change(bench.planner.hand_over(at(bench.seconds), |id| id.0.to_string()));
    let mut next = Bench { planner: Planner::new(bench.planner.config().clone()), seconds: 2.0, decisions: Vec::new() };
    let id = |name: &str| Some(WorkerId(100 - name.parse::<u32>().ok()?));
    next.planner.take_handover(at(2.0), &handover, id);
    next
}

/// The weights by the numbers of the one before.
fn weights(bench: &Bench) -> Vec<f64> {
    let mut all = bench.weights();
    all.reverse();
    all
}

fn tick(bench: &mut Bench, second: u64) -> Vec<f64> {
    let workers: Vec<_> = number(&seen(second)).into_iter().map(|(id, seen)| (WorkerId(100 - id.0), seen)).collect();
    bench.tick_of(&workers);
    weights(bench)
}

#[test]
fn whoever_takes_over_decides_what_the_one_before_would_have_decided() {
    for rule in RULES {
        let mut before = running(PlanConfig::of(rule));
        let mut after = taken(&before, |handover| handover);
        assert_eq!(before.weights(), weights(&after), "{rule}: the weights in force stay");
        for second in 60..100 {
            let (wanted, got) = (before.tick(&seen(second)), tick(&mut after, second));
            let close = wanted.iter().zip(&got).all(|(wanted, got)| (wanted - got).abs() <= 1e-6 * wanted.max(1.0));
            assert!(close, "{rule} at {second} s: {got:?} instead of {wanted:?}");
        }
    }
}

#[test]
fn without_what_was_learned_no_weight_moves_at_once_and_the_ramp_goes_on() {
    let mut before = running(PlanConfig::of(Rule::Capacity));
    let mut after = taken(&before, Handover::without_learned);
    assert_eq!(before.weights(), weights(&after));
    let (wanted, got) = (before.tick(&seen(60)), tick(&mut after, 60));
    for (at, (wanted, got)) in wanted.iter().zip(&got).enumerate() {
        assert!((wanted - got).abs() < 0.05 * wanted.max(0.1), "worker {at}: {got} instead of {wanted}");
    }
}

#[test]
fn who_is_not_known_here_is_left_out_and_who_is_not_named_joins() {
    let before = running(PlanConfig::of(Rule::Capacity));
    let handover = before.planner.hand_over(at(before.seconds), |id| id.0.to_string());
    let mut next = Planner::new(before.planner.config().clone());
    next.take_handover(at(2.0), &handover, |name| (name != "0").then(|| WorkerId(name.parse().expect("a number"))));
    let mut out = Vec::new();
    let mut workers = number(&seen(60));
    workers.remove(0);
    workers.push((WorkerId(9), busy(50.0, 0.5)));
    next.tick(at(3.0), &workers, &mut out);
    let weights: Vec<(WorkerId, f64)> = next.weights().collect();
    assert_eq!(weights.len(), workers.len());
    assert!(weights.iter().any(|(id, weight)| *id == WorkerId(9) && *weight < 0.5), "{weights:?}");
}

#[test]
fn an_operators_freeze_is_handed_over() {
    let mut before = running(PlanConfig::of(Rule::Capacity));
    before.planner.command(at(before.seconds), Command::Freeze, &mut Vec::new());
    let mut after = taken(&before, |handover| handover);
    assert!(after.planner.is_frozen());
    let held = weights(&after);
    assert_eq!(tick(&mut after, 60), held);
}

#[test]
fn a_handover_of_another_rule_gives_its_weights_and_not_what_it_learned() {
    let before = running(PlanConfig::of(Rule::Capacity));
    let handover = before.planner.hand_over(at(before.seconds), |id| id.0.to_string());
    let mut next = Planner::new(PlanConfig::of(Rule::TailLatency));
    next.take_handover(at(2.0), &handover, |name| Some(WorkerId(name.parse().ok()?)));
    assert_eq!(next.weights().map(|(_, weight)| weight).collect::<Vec<_>>(), before.weights());
    assert!(next.looks().all(|look| look.terms.estimate.is_none()));
}

#[test]
fn a_ramp_that_is_older_than_this_process_goes_on_where_it_was() {
    let mut before = running(PlanConfig::of(Rule::Capacity));
    // Twenty seconds into its thirty, to a process that is two seconds old.
    for second in 60..76 {
        before.tick(&seen(second));
    }
    let mut after = taken(&before, |handover| handover);
    let (wanted, got) = (before.tick(&seen(76)), tick(&mut after, 76));
    assert!((wanted[5] - got[5]).abs() < 1e-6, "{} instead of {}", got[5], wanted[5]);
}
