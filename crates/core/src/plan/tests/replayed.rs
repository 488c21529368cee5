//! A journal replays to the same decisions, from its start and from any checkpoint.

use alloc::string::String;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::arbitrary;
use super::{Planner, busy, number};
use crate::plan::{Command, PlanConfig, PlanInput, replay};
use crate::worker::WorkerId;

/// What is equal to the last bit prints alike, NaN among it; `==` would call NaN unlike itself and 0 like -0.
fn print(what: &impl core::fmt::Debug) -> String {
    alloc::format!("{what:?}")
}

proptest! {
    #[test]
    fn the_same_inputs_give_the_same_decisions_to_the_last_bit(
        rule in arbitrary::rule(), inputs in arbitrary::inputs()
    ) {
        let fresh = || Planner::new(PlanConfig::of(rule));
        prop_assert_eq!(print(&replay(fresh(), &inputs)), print(&replay(fresh(), &inputs)));
    }

    #[test]
    fn a_checkpoint_goes_on_as_if_never_stopped(
        rule in arbitrary::rule(), inputs in arbitrary::inputs(), cut in 0.0..1.0_f64
    ) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a short list")]
        let (early, late) = inputs.split_at((inputs.len() as f64 * cut) as usize);
        let recorded = replay(Planner::new(PlanConfig::of(rule)), early);
        let checkpoint = recorded.planner.clone();
        prop_assert_eq!(print(&replay(checkpoint, late)), print(&replay(recorded.planner, late)));
    }
}

/// A day in the life of a pool: load, a failure, a pin, silence, new settings.
fn journal() -> Vec<PlanInput> {
    (0..120)
        .map(|second| {
            let at = super::at(f64::from(second));
            let mut seen = [busy(100.0, 0.3), busy(80.0, 0.7), busy(60.0, 0.55)];
            seen[0] = busy(100.0 + f64::from(second % 7) * 1.1, 0.3 + f64::from(second % 5) / 30.0);
            if (40..50).contains(&second) {
                seen[1] = super::failing(seen[1], 0.7);
            }
            match second {
                60 => PlanInput::Command { at, command: Command::Pin { worker: WorkerId(2), weight: 0.7 } },
                80 => PlanInput::Command { at, command: Command::Unpin { worker: WorkerId(2) } },
                100 => {
                    PlanInput::Config { at, config: alloc::boxed::Box::new(PlanConfig::of(super::Rule::TailLatency)) }
                }
                _ => PlanInput::Tick { at, workers: number(&seen) },
            }
        })
        .collect()
}

#[test]
fn a_journal_written_and_read_back_replays_to_the_same_decisions() {
    let journal = journal();
    let recorded = replay(Planner::new(PlanConfig::default()), &journal);
    let text = serde_json::to_string(&journal).expect("writes");
    let read: Vec<PlanInput> = serde_json::from_str(&text).expect("reads");
    let again = replay(Planner::new(PlanConfig::default()), &read);
    assert!(recorded.decisions.len() > 20);
    assert_eq!(again.differs_from(&recorded.decisions), None);
    assert_eq!(again.planner, recorded.planner);
}

#[test]
fn a_written_checkpoint_replays_the_rest_of_the_journal() {
    let journal = journal();
    let whole = replay(Planner::new(PlanConfig::default()), &journal);
    for cut in [1, 45, 61, 90, 110] {
        let before = replay(Planner::new(PlanConfig::default()), &journal[..cut]);
        let text = serde_json::to_string(&before.planner).expect("writes");
        let checkpoint: Planner = serde_json::from_str(&text).expect("reads");
        assert_eq!(checkpoint, before.planner, "after {cut}");
        let rest = replay(checkpoint, &journal[cut..]);
        assert_eq!(rest.differs_from(&whole.decisions[before.decisions.len()..]), None, "after {cut}");
    }
}

#[test]
fn a_changed_record_is_found_where_it_was_changed() {
    let replayed = replay(Planner::new(PlanConfig::default()), &journal());
    let mut recorded = replayed.decisions.clone();
    recorded[5].new += 1e-12;
    assert_eq!(replayed.differs_from(&recorded).map(|found| found.index), Some(5));
}
