//! What runbooks do goes on at the next lookout, with other ids and another clock.

use alloc::string::{String, ToString as _};

use super::*;

/// The next one's ids are a hundred more, and its clock began an hour ago.
const LATER: u64 = 3_600;

fn name(worker: WorkerId) -> String {
    worker.0.to_string()
}

fn here(name: &str) -> Option<WorkerId> {
    name.parse().ok().map(|id: u32| WorkerId(id + 100))
}

fn handed(made: &Made) -> Handover {
    let handover = made.lookout.hand_over(Mono::default() + Span::from_secs(made.second), name);
    // As it is after its way through a store.
    serde_json::from_str(&serde_json::to_string(&handover).expect("plain data")).expect("as written")
}

/// The next lookout, which has seen nothing yet.
fn taken(handover: &Handover, id: impl Fn(&str) -> Option<WorkerId>) -> Made {
    let mut lookout = Lookout::new(Runbooks::default());
    lookout.take_handover(Mono::default() + Span::from_secs(LATER), handover, id);
    Made { lookout, second: LATER, effects: Vec::new() }
}

fn run(made: &mut Made, seconds: u64, change: impl Fn(u64, &mut Observation)) {
    made.run(seconds, |second, seen| {
        seen.workers.iter_mut().for_each(|tick| tick.id = WorkerId(tick.id.0 + 100));
        change(second, seen);
    });
}

fn dead_pool() -> Made {
    let mut made = Made::new(Runbooks::default());
    made.run(10, |_, seen| dead(&mut seen.workers[3]));
    made
}

#[test]
fn what_is_in_force_holds_for_the_same_worker_under_its_new_id() {
    let before = dead_pool();
    let after = taken(&handed(&before), here);
    assert!(after.lookout.is_quarantined(WorkerId(104)) && !after.lookout.is_quarantined(WorkerId(4)));
    assert_eq!(after.lookout.tuning(), before.lookout.tuning());
    assert_eq!(after.lookout.measures().len(), before.lookout.measures().len());
    let waits = |made: &Made| made.lookout.proposals().iter().map(|proposal| proposal.number).collect::<Vec<_>>();
    assert_eq!(waits(&after), waits(&before));
    let since = after.lookout.measures()[0].since;
    assert!(since < Mono::default() + Span::from_secs(LATER), "its time goes on");
    assert!(after.lookout.findings().next().is_some(), "with what it rests on");
}

#[test]
fn signs_that_come_again_make_it_the_same_finding_and_begin_nothing_twice() {
    let mut after = taken(&handed(&dead_pool()), here);
    run(&mut after, 70, |_, seen| dead(&mut seen.workers[3]));
    assert_eq!(after.found(), [], "it is known");
    assert!(matches!(after.stage(FailureMode::StaleMetadata), Stage::Found { .. }));
    let began = after.effects.iter().filter(|effect| matches!(effect, Effect::Began { .. })).count();
    assert_eq!((began, after.lookout.measures().len()), (0, 2));
}

#[test]
fn what_is_over_meanwhile_ends_after_a_minute_more_than_else() {
    let mut after = taken(&handed(&dead_pool()), here);
    run(&mut after, 65, |_, _| {});
    assert!(!after.lookout.measures().is_empty(), "the cause may not have been seen yet");
    run(&mut after, 10, |_, _| {});
    assert_eq!(after.stage(FailureMode::StaleMetadata), Stage::Quiet);
    assert_eq!((after.lookout.tuning(), after.lookout.measures()), (Tuning::default(), &[][..]));
    assert!(after.effects.iter().any(|effect| matches!(effect, Effect::Cleared { .. })));
}

#[test]
fn requests_that_were_refused_are_admitted_by_and_by_and_not_at_once() {
    let mut before = Made::new(Runbooks::default());
    before.run(30, |_, seen| seen.workers[..6].iter_mut().for_each(|tick| failing(tick, 60)));
    before.run(30, |second, seen| {
        let failed = if second < 10 { 100 } else { 50 };
        seen.workers.iter_mut().for_each(|tick| failing(tick, failed));
    });
    let admitted = |made: &Made| made.lookout.tuning().admitted.get();
    let handover = handed(&before);
    let mut after = taken(&handover, here);
    assert!((admitted(&after) - admitted(&before)).abs() < 1e-9);
    let was = admitted(&after);
    run(&mut after, 1, |_, _| {});
    assert!(admitted(&after) <= was + 0.021, "{} after {was}", admitted(&after));
}

#[test]
fn whoever_is_not_known_here_is_left_out() {
    let after = taken(&handed(&dead_pool()), |_| None);
    assert!(!after.lookout.is_quarantined(WorkerId(104)));
    assert!(after.lookout.measures().iter().all(|measure| measure.action.worker().is_none()));
    assert!(after.lookout.proposals().is_empty());
}

#[test]
fn half_an_hour_is_half_an_hour_over_all_who_lead() {
    let mut before = Made::new(Runbooks::default());
    before.run(1_760, |_, seen| slow(&mut seen.workers[0], 6));
    assert!(!before.lookout.measures().is_empty());
    let mut after = taken(&handed(&before), here);
    run(&mut after, 120, |_, seen| slow(&mut seen.workers[0], 6));
    assert!(after.effects.iter().any(|effect| matches!(effect, Effect::Ended { expired: true, .. })));
    assert!(after.lookout.measures().is_empty());
}

/// What somebody else wrote into the store is bounded by what a lookout would do by itself.
#[test]
fn what_no_lookout_wrote_lasts_no_longer_and_refuses_no_more_than_one_would() {
    let text = serde_json::to_string(&handed(&dead_pool())).expect("plain data");
    let mut value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let measure = value["measures"][0].clone();
    value["measures"] = (0..10_000).map(|_| measure.clone()).collect();
    value["admitted"] = 0.0.into();
    value["at"] = 0.into();
    let handover: Handover = serde_json::from_value(value).expect("it reads");
    let after = taken(&handover, here);
    assert!(after.lookout.measures().len() <= 64);
    assert!((after.lookout.tuning().admitted.get() - 0.5).abs() < 1e-9);
    let now = Mono::default() + Span::from_secs(LATER);
    assert!(after.lookout.measures().iter().all(|measure| measure.since <= now));
}
