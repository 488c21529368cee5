//! The lookout on series that are made here, one tick a second: each edge of a runbook, and each detector's sign and its
//! opposite. How well detectors do is not measured here but on simulated runs (`ambidex lab score`).

mod at_once;
mod handed;

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::again::Mode;
use crate::share::Share;
use crate::time::{Mono, Span};
use crate::worker::WorkerId;

/// A pool of ten workers, each with a hundred requests a second that take 20 ms.
struct Made {
    lookout: Lookout,
    second: u64,
    effects: Vec<Effect>,
}

fn well(id: u32) -> WorkerTick {
    WorkerTick {
        id: WorkerId(id),
        path: id % 2,
        serving: true,
        weight: 1.0,
        intended: Share::percent(10),
        counted: Counted { started: 100, answered: 100, p50: Span::from_millis(20), ..Counted::default() },
        in_flight: 2,
        kept_out: false,
    }
}

fn failing(tick: &mut WorkerTick, failed: u64) {
    tick.counted.answered = tick.counted.started.saturating_sub(failed);
    tick.counted.failed = failed;
}

impl Made {
    fn new(runbooks: Runbooks) -> Self {
        let mut made = Self { lookout: Lookout::new(runbooks), second: 0, effects: Vec::new() };
        made.run(60, |_, _| {});
        assert_eq!(made.effects, [], "a pool that is well");
        made
    }

    fn run(&mut self, seconds: u64, change: impl Fn(u64, &mut Observation)) {
        for second in 0..seconds {
            self.second += 1;
            let at = Mono::default() + Span::from_secs(self.second);
            let workers = (1..=10).map(well).collect();
            let mut seen = Observation { at, step: Span::from_secs(1), workers, ..Observation::default() };
            change(second, &mut seen);
            self.lookout.on(&seen, &mut self.effects);
        }
    }

    /// The modes that were found, in their order.
    fn found(&self) -> Vec<FailureMode> {
        let mode =
            |effect: &Effect| if let Effect::Found(finding) = effect { Some(finding.evidence.mode()) } else { None };
        self.effects.iter().filter_map(mode).collect()
    }

    fn stage(&self, mode: FailureMode) -> Stage {
        self.lookout.stages().find(|(known, _)| *known == mode).map(|(_, stage)| stage).unwrap_or_default()
    }
}

fn dead(tick: &mut WorkerTick) {
    tick.counted = Counted { started: 4, failed: 4, unreached: 4, ..Counted::default() };
}

fn slow(tick: &mut WorkerTick, times: u64) {
    tick.counted.p50 = Span::from_millis(20 * times);
    tick.in_flight = 20;
}

#[test]
fn a_worker_that_is_not_there_is_stale_metadata_and_nothing_else() {
    let mut made = Made::new(Runbooks::default());
    made.run(10, |_, seen| dead(&mut seen.workers[3]));
    assert_eq!(made.found(), [FailureMode::StaleMetadata]);
    assert!(made.lookout.is_quarantined(WorkerId(4)) && made.lookout.tuning().look_again);
    assert_eq!(made.lookout.proposals().len(), 1, "to drain it");
}

#[test]
fn what_a_runbook_did_is_undone_when_the_cause_is_gone() {
    let mut made = Made::new(Runbooks::default());
    made.run(10, |_, seen| dead(&mut seen.workers[3]));
    made.run(40, |_, _| {});
    assert_eq!(made.stage(FailureMode::StaleMetadata), Stage::Quiet);
    assert!(!made.lookout.is_quarantined(WorkerId(4)));
    assert_eq!(
        (made.lookout.tuning(), made.lookout.measures(), made.lookout.proposals()),
        (Tuning::default(), &[][..], &[][..])
    );
    assert!(matches!(made.effects.last(), Some(Effect::Cleared { mode: FailureMode::StaleMetadata, .. })));
}

#[test]
fn a_mode_that_is_only_observed_proposes_what_it_would_do_and_an_operator_may_begin_it() {
    let mut made = Made::new(Runbooks::all(Mode::Observe));
    made.run(10, |_, seen| dead(&mut seen.workers[3]));
    assert_eq!((made.lookout.measures(), made.lookout.is_quarantined(WorkerId(4))), (&[][..], false));
    let wanted = Action::Quarantine { worker: WorkerId(4) };
    let number = made.lookout.proposals().iter().find(|proposal| proposal.action == wanted).expect("proposed").number;
    let mut effects = Vec::new();
    assert!(made.lookout.approve(Mono::from_nanos(0), number, &mut effects));
    assert_eq!(effects, [Effect::Began { mode: FailureMode::StaleMetadata, action: wanted, approved: true }]);
    assert!(!made.lookout.approve(Mono::from_nanos(0), number, &mut effects), "once");
    made.run(1, |_, seen| dead(&mut seen.workers[3]));
    assert!(made.lookout.is_quarantined(WorkerId(4)));
}

#[test]
fn a_mode_that_is_off_is_not_looked_for() {
    let mut made = Made::new(Runbooks::all(Mode::Off));
    made.run(10, |_, seen| dead(&mut seen.workers[3]));
    assert_eq!(made.effects, []);
}

#[test]
fn an_action_ends_after_half_an_hour_whatever_the_cause_does() {
    let mut made = Made::new(Runbooks::default());
    made.run(1_900, |_, seen| slow(&mut seen.workers[0], 6));
    let expired = |effect: &&Effect| matches!(effect, Effect::Ended { expired: true, .. });
    assert_eq!(made.effects.iter().filter(expired).count(), 2);
    assert!(made.lookout.measures().is_empty());
}

#[test]
fn no_more_than_a_third_of_a_pool_is_in_quarantine() {
    let mut made = Made::new(Runbooks::default());
    made.run(20, |_, seen| seen.workers.iter_mut().take(7).for_each(dead));
    let held = (1..=10).filter(|id| made.lookout.is_quarantined(WorkerId(*id))).count();
    assert_eq!(held, 3);
}

#[test]
fn a_slow_worker_is_a_cascade_and_an_unlike_one_is_not() {
    let mut made = Made::new(Runbooks::default());
    made.run(20, |_, seen| slow(&mut seen.workers[0], 8));
    assert_eq!(made.found(), [FailureMode::CascadingTimeouts]);
    assert!(made.lookout.tuning().latency_breaker);
    let mut made = Made { lookout: Lookout::new(Runbooks::default()), second: 0, effects: Vec::new() };
    made.run(120, |_, seen| slow(&mut seen.workers[0], 6));
    assert_eq!(made.found(), [], "it was so from the first");
}

#[test]
fn a_pool_that_is_slow_as_a_whole_is_no_cascade() {
    let mut made = Made::new(Runbooks::default());
    made.run(60, |_, seen| seen.workers.iter_mut().take(6).for_each(|tick| slow(tick, 6)));
    assert_eq!(made.found(), []);
}

#[test]
fn others_that_follow_the_first_are_a_herd_and_all_at_once_are_none() {
    let mut made = Made::new(Runbooks::default());
    made.run(30, |second, seen| {
        failing(&mut seen.workers[2], 90);
        if second > 8 {
            seen.workers.iter_mut().filter(|tick| tick.id.0 != 3).for_each(|tick| failing(tick, 30));
        }
    });
    assert_eq!(made.found(), [FailureMode::ThunderingHerd]);
    assert!(made.lookout.tuning().admitted < Share::percent(80));
    let mut made = Made::new(Runbooks::default());
    made.run(30, |_, seen| seen.workers.iter_mut().for_each(|tick| failing(tick, 60)));
    assert_eq!(made.found(), []);
}

#[test]
fn a_pool_that_stays_down_after_its_trigger_is_metastable_and_not_while_the_trigger_is_there() {
    let more = |seen: &mut Observation| {
        for tick in &mut seen.workers {
            tick.counted.started = 160;
            failing(tick, 60);
        }
    };
    let down = |seen: &mut Observation| {
        seen.workers.iter_mut().for_each(|tick| {
            tick.counted.started = 150;
            failing(tick, 60);
        });
        seen.again = 500;
    };
    let mut made = Made::new(Runbooks::default());
    made.run(60, |_, seen| more(seen));
    assert_eq!(made.found(), [], "the trigger is there");
    made.run(40, |_, seen| down(seen));
    assert_eq!(made.found(), [FailureMode::MetastableOverload]);
    assert_eq!(made.lookout.tuning().retries, Share::NONE);
}

#[test]
fn answers_that_stop_and_come_together_are_a_convoy() {
    let mut made = Made::new(Runbooks::default());
    made.run(30, |second, seen| {
        let answered = [100, 20, 10, 270][usize::try_from(second % 4).expect("small")];
        seen.workers.iter_mut().for_each(|tick| tick.counted.answered = answered);
    });
    assert_eq!(made.found(), [FailureMode::Convoy]);
}

#[test]
fn a_path_that_gets_less_than_it_is_to_get_drifts() {
    let mut made = Made::new(Runbooks::default());
    made.run(110, |_, seen| {
        for tick in &mut seen.workers {
            let sent = if tick.path == 0 { 60 } else { 140 };
            (tick.counted.started, tick.counted.answered) = (sent, sent);
        }
    });
    assert_eq!(made.found(), [FailureMode::LateralDrift]);
    assert!(!made.lookout.tuning().by_weight, "it decides where requests go");
    let number = made.lookout.proposals()[0].number;
    assert!(made.lookout.approve(Mono::from_nanos(0), number, &mut Vec::new()));
    assert!(made.lookout.tuning().by_weight);
}

#[test]
fn weights_that_swing_are_a_finding_until_they_rest_and_one_alone_is_none() {
    let swing = |workers: usize| {
        move |second: u64, seen: &mut Observation| {
            for (at, tick) in seen.workers.iter_mut().take(workers).enumerate() {
                tick.weight = if (second / 4 + at as u64).is_multiple_of(2) { 1.5 } else { 0.5 };
            }
        }
    };
    let mut made = Made::new(Runbooks::default());
    made.run(60, swing(1));
    assert_eq!(made.found(), []);
    let mut made = Made::new(Runbooks::default());
    made.run(60, swing(4));
    assert_eq!(made.found(), [FailureMode::Oscillation]);
    made.run(120, |_, _| {});
    assert_eq!(made.stage(FailureMode::Oscillation), Stage::Quiet);
}

#[test]
fn a_weight_that_moves_by_more_than_a_fifth_in_five_minutes_is_told_once() {
    let told = |to: f64| {
        let mut made = Made { lookout: Lookout::new(Runbooks::default()), second: 0, effects: Vec::new() };
        made.run(120, |_, _| {});
        made.run(120, |second, seen| seen.workers[0].weight = 1.0 - (1.0 - to) * (second as f64 / 120.0));
        made.effects.iter().filter(|effect| matches!(effect, Effect::WeightMoved(_))).count()
    };
    assert_eq!((told(0.85), told(0.7)), (0, 1));
}

#[test]
fn every_sentence_names_what_it_is_about() {
    let names = Names { worker: &|id| alloc::format!("w-{}", id.0), path: &|path| alloc::format!("zone {path}") };
    let mut made = Made::new(Runbooks::default());
    made.run(10, |_, seen| dead(&mut seen.workers[3]));
    let said: Vec<_> = made.effects.iter().map(|effect| effect.sentence(&names)).collect();
    assert!(said[0].starts_with("stale metadata: w-4 is up in our view and is not there"), "{said:?}");
    assert!(said.contains(&"stale metadata: from now on: quarantine w-4".into()), "{said:?}");
    assert!(said.contains(&"stale metadata: waits for approval as number 1: drain w-4".into()), "{said:?}");
}

#[test]
fn a_herd_that_falls_within_the_tick_of_the_first_is_found_by_what_the_failures_are() {
    let late = |tick: &mut WorkerTick, count: u64| {
        failing(tick, count);
        tick.counted.late = count;
    };
    for (first_is_late, found) in [(false, vec![FailureMode::ThunderingHerd]), (true, Vec::new())] {
        let mut made = Made::new(Runbooks::default());
        made.run(6, |_, seen| {
            seen.workers.iter_mut().for_each(|tick| late(tick, 60));
            let first = &mut seen.workers[3];
            first.counted = Counted { started: 6, failed: 6, ..Counted::default() };
            first.counted.late = if first_is_late { 6 } else { 0 };
            first.kept_out = true;
        });
        assert_eq!(made.found(), found, "the first is late: {first_is_late}");
    }
}
