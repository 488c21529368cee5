//! Every edge of the drawing in `attempt.rs`, and its laws under random events.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::again::budget::Budget;
use crate::guard::breaker::BreakerConfig;
use crate::load::{Cells, FAILURE_PRICE, Outcome};
use crate::share::Share;
use crate::view::{Address, PoolParts, WorkerView};
use crate::worker::{PoolId, Standing, WorkerId};

struct Bench {
    pool: PoolView,
    seat: Seat,
}

fn bench(weights: &[f64]) -> Bench {
    let workers = (0..weights.len()).map(|slot| WorkerView {
        id: WorkerId(u32::try_from(slot).expect("small")),
        name: "w".into(),
        url: "http://127.0.0.1:1".into(),
        address: Address::Ip(SocketAddr::from(([127, 0, 0, 1], 1))),
        zone: "".into(),
        standing: Standing::Serving,
        cells: Arc::new(Cells::new(1)),
    });
    let parts = PoolParts {
        id: PoolId(0),
        name: "api".into(),
        revision: 1,
        workers: workers.collect(),
        pick: PickPolicy::RoundRobin,
        learned: weights.to_vec(),
        fixed: weights.to_vec(),
        learned_share: Share::ALL,
        breaker: BreakerConfig::default(),
        budget: Arc::new(Budget::default()),
    };
    let pool = PoolView::new(parts, None);
    Bench { pool, seat: Seat::new(0, PickPolicy::RoundRobin, 1) }
}

impl Bench {
    fn on(&mut self, attempt: &mut Attempt, now: Mono, event: Event) -> Vec<Effect> {
        let mut out = Effects::new();
        let mut desk = Desk { pool: &self.pool, seat: &mut self.seat };
        attempt.on(now, event, &mut desk, &mut out);
        out.into_iter().collect()
    }
}

fn at(millis: u64) -> Mono {
    Mono::default() + Span::from_millis(millis)
}

fn unsent() -> Failure {
    Failure { kind: FailureKind::Connect, repeat: Repeat::Unsent }
}

fn started(bench: &mut Bench) -> Attempt {
    let mut attempt = Attempt::new(at(0), AttemptConfig::default(), None);
    bench.on(&mut attempt, at(0), Event::Start);
    attempt
}

#[test]
fn a_head_ends_the_attempt_with_its_answer() {
    let mut bench = bench(&[1.0, 1.0]);
    let mut attempt = started(&mut bench);
    assert_eq!(bench.on(&mut attempt, at(1), Event::Head(TryId(0))), [Effect::Answer(TryId(0))]);
    assert_eq!(attempt.deadline(), None);
}

#[test]
fn nobody_ready_is_refused_at_once() {
    let mut bench = bench(&[0.0]);
    let mut attempt = Attempt::new(at(0), AttemptConfig::default(), None);
    assert_eq!(bench.on(&mut attempt, at(0), Event::Start), [Effect::Refuse(Refusal::NobodyReady)]);
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
    assert_eq!(effects, [Effect::Cancel(TryId(0)), Effect::Refuse(Refusal::Deadline)]);
}

#[test]
fn a_client_that_leaves_cancels_the_try() {
    let mut bench = bench(&[1.0]);
    let mut attempt = started(&mut bench);
    assert_eq!(bench.on(&mut attempt, at(5), Event::Gone), [Effect::Cancel(TryId(0))]);
}

fn any_event() -> impl Strategy<Value = Event> {
    let id = (0_u8..4).prop_map(TryId);
    let repeat = prop_oneof![Just(Repeat::Unsent), Just(Repeat::Never)];
    prop_oneof![
        1 => id.clone().prop_map(Event::Head),
        6 => (id, repeat).prop_map(|(id, repeat)| Event::Failed(id, Failure { kind: FailureKind::Connect, repeat })),
        3 => Just(Event::Due),
        1 => Just(Event::Gone),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]
    #[test]
    fn at_most_one_answer_and_every_try_ends(events in prop::collection::vec(any_event(), 0..24)) {
        let mut bench = bench(&[1.0, 1.0, 1.0, 1.0, 1.0]);
        let mut attempt = Attempt::new(at(0), AttemptConfig::default(), None);
        let (mut ends, mut open, mut slots) = (0, 0_i32, Vec::new());
        let mut now = at(0);
        for event in core::iter::once(Event::Start).chain(events) {
            now = if event == Event::Due { attempt.deadline().unwrap_or(now) } else { now + Span::from_millis(1) };
            let failed = matches!((attempt.state, event), (State::Trying(run), Event::Failed(id, _)) if run == id);
            open -= i32::from(failed);
            for effect in bench.on(&mut attempt, now, event) {
                match effect {
                    Effect::Send(_, pick) => {
                        prop_assert!(!slots.contains(&pick.slot), "a worker was tried twice");
                        slots.push(pick.slot);
                        open += 1;
                    }
                    Effect::Cancel(_) => open -= 1,
                    Effect::Answer(_) => { open -= 1; ends += 1; }
                    Effect::Refuse(_) => ends += 1,
                }
            }
            prop_assert!(open == i32::from(matches!(attempt.state, State::Trying(_))));
        }
        prop_assert!(ends <= 1);
        prop_assert!(slots.len() <= 3);
    }
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
        let mut attempt = Attempt::new(at(millis), AttemptConfig::default(), None);
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
    let mut attempt = Attempt::new(at(12_200), AttemptConfig::default(), None);
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
