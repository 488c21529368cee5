//! Every edge of the drawing in `attempt.rs`; second chances are in files of their own.

mod bench;
mod chances;
mod guards;
mod laws;
mod reads;
mod split;
mod tiers;

use alloc::vec::Vec;

use super::*;
use crate::balance::{Pick, PickReason};
use crate::load::{FAILURE_PRICE, Outcome};
use bench::{Bench, at, bench, plain, unsent};

fn started(bench: &mut Bench) -> Attempt<'static> {
    bench.start(plain(), Asked::default()).0
}

#[test]
fn a_head_ends_the_attempt_with_its_answer() {
    let mut bench = bench(&[1.0, 1.0]);
    let mut attempt = started(&mut bench);
    let effects = bench.on(&mut attempt, at(1), Event::Head(TryId(0), Head::Good));
    assert_eq!(effects, [Effect::Answer(TryId(0))]);
    assert_eq!(attempt.deadline(), None);
}

#[test]
fn an_answer_is_an_answer_whatever_it_says_while_nothing_is_switched_on() {
    for head in [Head::Good, Head::Failing, Head::Shed { elsewhere: true }] {
        let mut bench = bench(&[1.0, 1.0]);
        let mut attempt = started(&mut bench);
        assert_eq!(bench.on(&mut attempt, at(1), Event::Head(TryId(0), head)), [Effect::Answer(TryId(0))]);
    }
}

#[test]
fn nobody_ready_is_refused_at_once() {
    let mut bench = bench(&[0.0]);
    let (_, effects) = bench.start(plain(), Asked::default());
    assert_eq!(effects, [Effect::Refuse(Refusal::NobodyReady)]);
}

#[test]
fn what_was_never_sent_goes_to_another_worker_after_a_pause() {
    let mut bench = bench(&[1.0, 1.0]);
    let mut attempt = started(&mut bench);
    assert!(bench.on(&mut attempt, at(1), Event::Failed(TryId(0), unsent())).is_empty());
    let due = attempt.deadline().expect("waiting");
    assert!(due <= at(26));
    let effects = bench.on(&mut attempt, due, Event::Due);
    assert!(matches!(effects[..], [Effect::Send(TryId(1), Pick { slot: 1, .. })]), "{effects:?}");
}

#[test]
fn what_may_have_run_is_never_sent_again() {
    let mut bench = bench(&[1.0, 1.0]);
    let mut attempt = started(&mut bench);
    let failure = Failure { kind: FailureKind::Reset, repeat: Repeat::Never };
    let effects = bench.on(&mut attempt, at(1), Event::Failed(TryId(0), failure));
    assert_eq!(effects, [Effect::Refuse(Refusal::Failed(FailureKind::Reset))]);
}

#[test]
fn the_only_worker_is_not_tried_twice() {
    let mut bench = bench(&[1.0, 0.0]);
    let mut attempt = started(&mut bench);
    let effects = bench.on(&mut attempt, at(1), Event::Failed(TryId(0), unsent()));
    assert_eq!(effects, [Effect::Refuse(Refusal::Failed(FailureKind::Connect))]);
}

#[test]
fn a_spent_budget_ends_the_tries() {
    let mut bench = bench(&[1.0, 1.0]);
    let mut attempt = started(&mut bench);
    while bench.pool.budget.take(at(1)) {}
    let effects = bench.on(&mut attempt, at(1), Event::Failed(TryId(0), unsent()));
    assert_eq!(effects, [Effect::Refuse(Refusal::Failed(FailureKind::Connect))]);
}

#[test]
fn no_head_before_the_deadline_cancels_the_try_and_refuses() {
    let mut bench = bench(&[1.0, 1.0]);
    let mut attempt = started(&mut bench);
    assert_eq!(attempt.deadline(), Some(at(60_000)));
    let effects = bench.on(&mut attempt, at(60_000), Event::Due);
    assert_eq!(effects, [Effect::Cancel(TryId(0), GivenUp::Late), Effect::Refuse(Refusal::Deadline)]);
}

#[test]
fn a_client_that_leaves_cancels_the_try() {
    let mut bench = bench(&[1.0]);
    let mut attempt = started(&mut bench);
    assert_eq!(bench.on(&mut attempt, at(5), Event::Gone), [Effect::Cancel(TryId(0), GivenUp::Gone)]);
}

fn fail_five_times(bench: &mut Bench, slot: usize) {
    let pick = Pick { slot, worker: bench.pool.workers[slot].id, why: PickReason::Turn };
    let _ = started(bench);
    for _ in 0..5 {
        bench.seat.outcome(at(0), pick, Outcome::Failed { price: FAILURE_PRICE });
    }
}

#[test]
fn a_worker_with_an_open_breaker_gets_no_request() {
    let mut bench = bench(&[1.0, 1.0, 1.0]);
    fail_five_times(&mut bench, 1);
    for millis in 0..100 {
        let mut attempt = Attempt::new(at(millis), plain(), Asked::default());
        let effects = bench.on(&mut attempt, at(millis), Event::Start);
        assert!(matches!(effects[..], [Effect::Send(_, pick)] if pick.slot != 1), "{effects:?}");
    }
}

#[test]
fn the_first_request_after_the_cool_down_is_the_probe_and_a_second_try_never_is() {
    let mut bench = bench(&[1.0, 1.0, 1.0]);
    let mut early = started(&mut bench);
    fail_five_times(&mut bench, 1);
    bench.on(&mut early, at(12_000), Event::Failed(TryId(0), unsent()));
    let effects = bench.on(&mut early, at(12_100), Event::Due);
    assert!(matches!(effects[..], [Effect::Send(TryId(1), pick)] if pick.slot != 1), "{effects:?}");
    let mut attempt = Attempt::new(at(12_200), plain(), Asked::default());
    let effects = bench.on(&mut attempt, at(12_200), Event::Start);
    let [Effect::Send(_, Pick { slot: 1, why: PickReason::Probe { .. }, .. })] = effects[..] else {
        panic!("{effects:?}");
    };
}

#[test]
fn nothing_is_taken_from_the_budget_when_the_only_other_worker_is_kept_out() {
    let mut bench = bench(&[1.0, 1.0]);
    fail_five_times(&mut bench, 1);
    let mut attempt = started(&mut bench);
    let effects = bench.on(&mut attempt, at(1), Event::Failed(TryId(0), unsent()));
    assert_eq!(effects, [Effect::Refuse(Refusal::Failed(FailureKind::Connect))]);
}

#[test]
fn late_news_of_a_try_that_is_over_changes_nothing() {
    let mut bench = bench(&[1.0, 1.0]);
    let mut attempt = started(&mut bench);
    bench.on(&mut attempt, at(1), Event::Failed(TryId(0), unsent()));
    for id in [0, 1, 7, 255].map(TryId) {
        let late = [Event::Head(id, Head::Good), Event::Failed(id, unsent()), Event::Mark(id, None), Event::Start];
        let told: Vec<_> = late.into_iter().flat_map(|event| bench.on(&mut attempt, at(1), event)).collect();
        assert_eq!(told, []);
    }
}
