//! Bulkheads and throttle, as they act on a request.

use super::bench::{Bench, at, bench, plain, reset, sends, unsent};
use super::*;
use crate::guard::pool::{Kept, PoolGuards};

/// A pool with this bulkhead, in which each worker has so many requests in flight.
fn walled(bulkhead: &str, in_flight: &[u32]) -> Bench {
    let Bench { pool, seat } = bench(&alloc::vec![1.0; in_flight.len()]);
    for (slot, count) in in_flight.iter().enumerate() {
        (0..*count).for_each(|_| pool.load(slot).begin());
    }
    let bulkhead = Some(serde_json::from_str(bulkhead).expect("sensible"));
    Bench { pool: pool.guarded(PoolGuards { bulkhead, ..PoolGuards::default() }), seat }
}

fn throttled(throttle: &str) -> Bench {
    let Bench { pool, seat } = bench(&[1.0, 1.0]);
    let throttle = Some(serde_json::from_str(throttle).expect("sensible"));
    Bench { pool: pool.guarded(PoolGuards { throttle, ..PoolGuards::default() }), seat }
}

fn counted(bench: &Bench, kept: Kept) -> u64 {
    bench.pool.guards.counts.of(kept)
}

#[test]
fn a_full_worker_is_not_picked_while_another_one_has_room() {
    let mut bench = walled(r#"{"per_worker":2}"#, &[2, 0, 2]);
    for _ in 0..6 {
        let (_, effects) = bench.start(plain(), Asked::default());
        assert!(matches!(effects[..], [Effect::Send(_, Pick { slot: 1, .. })]), "{effects:?}");
    }
    assert!(counted(&bench, Kept::Diverted) > 0);
}

#[test]
fn with_all_workers_full_and_no_place_to_wait_a_request_is_refused_at_once() {
    let mut bench = walled(r#"{"per_worker":1}"#, &[1, 1]);
    let (attempt, effects) = bench.start(plain(), Asked::default());
    assert_eq!(effects, [Effect::Refuse(Refusal::Full)]);
    assert_eq!((attempt.deadline(), counted(&bench, Kept::Full)), (None, 1));
}

#[test]
fn a_request_waits_for_room_and_is_sent_when_there_is_some() {
    let mut bench = walled(r#"{"per_worker":1,"waiting":1,"wait":"50ms"}"#, &[1, 1]);
    let (mut attempt, effects) = bench.start(plain(), Asked::default());
    assert_eq!((effects.len(), attempt.deadline()), (0, Some(at(5))));
    assert_eq!(bench.on(&mut attempt, at(5), Event::Due), []);
    bench.pool.load(1).end();
    let effects = bench.on(&mut attempt, at(10), Event::Due);
    assert!(matches!(effects[..], [Effect::Send(TryId(0), Pick { slot: 1, .. })]), "{effects:?}");
    assert_eq!((bench.pool.guards.anteroom.waiting(), counted(&bench, Kept::Waited)), (0, 1));
}

#[test]
fn who_waited_long_enough_is_refused_and_its_place_is_free() {
    let mut bench = walled(r#"{"per_worker":1,"waiting":1,"wait":"50ms"}"#, &[1]);
    let (mut attempt, _) = bench.start(plain(), Asked::default());
    let (_, refused) = bench.start(plain(), Asked::default());
    assert_eq!(refused, [Effect::Refuse(Refusal::Full)]);
    let mut effects = Vec::new();
    while let Some(due) = attempt.deadline() {
        assert!(due <= at(50));
        effects = bench.on(&mut attempt, due, Event::Due);
    }
    assert_eq!(effects, [Effect::Refuse(Refusal::Full)]);
    assert_eq!(bench.pool.guards.anteroom.waiting(), 0);
}

#[test]
fn a_client_that_leaves_while_it_waits_frees_its_place() {
    let mut bench = walled(r#"{"per_worker":1,"waiting":2}"#, &[1]);
    let (mut told, _) = bench.start(plain(), Asked::default());
    let (dropped, _) = bench.start(plain(), Asked::default());
    assert_eq!(bench.pool.guards.anteroom.waiting(), 2);
    bench.on(&mut told, at(1), Event::Gone);
    drop(dropped);
    assert_eq!(bench.pool.guards.anteroom.waiting(), 0);
}

#[test]
fn a_bulkhead_that_is_only_observed_sends_all_the_same() {
    let mut bench = walled(r#"{"per_worker":1,"mode":"observe"}"#, &[1, 1]);
    let (_, effects) = bench.start(plain(), Asked::default());
    assert_eq!((sends(&effects), counted(&bench, Kept::FullWatched)), (alloc::vec![0], 1));
}

#[test]
fn nobody_retries_on_a_full_worker_and_nothing_is_taken_from_the_budget_for_it() {
    let mut bench = walled(r#"{"per_worker":2,"waiting":9}"#, &[0, 2]);
    let (mut attempt, _) = bench.start(plain(), Asked::default());
    let effects = bench.on(&mut attempt, at(1), Event::Failed(TryId(0), unsent()));
    assert_eq!(effects, [Effect::Refuse(Refusal::Failed(FailureKind::Connect))]);
}

#[test]
fn a_pool_that_refuses_all_is_spared_most_requests_and_a_fifth_still_goes_through() {
    let mut bench = throttled("{}");
    let mut sent = 0;
    for millis in 0..2_000 {
        let mut attempt = Attempt::new(at(millis), plain(), Asked::default());
        match bench.on(&mut attempt, at(millis), Event::Start)[..] {
            [Effect::Send(id, _)] => {
                sent += 1;
                let _ = bench.on(&mut attempt, at(millis), Event::Failed(id, reset()));
            }
            ref refused => assert_eq!(*refused, [Effect::Refuse(Refusal::Throttled)]),
        }
    }
    assert!((300..=600).contains(&sent), "{sent}");
    assert_eq!(counted(&bench, Kept::Throttled), 2_000 - sent);
}

#[test]
fn a_throttle_that_is_only_observed_refuses_nothing() {
    let mut bench = throttled(r#"{"mode":"observe"}"#);
    for millis in 0..200 {
        let mut attempt = Attempt::new(at(millis), plain(), Asked::default());
        let effects = bench.on(&mut attempt, at(millis), Event::Start);
        assert_eq!(sends(&effects), [0]);
        let _ = bench.on(&mut attempt, at(millis), Event::Failed(TryId(0), reset()));
    }
    assert!(counted(&bench, Kept::ThrottleWatched) > 100);
}

#[test]
fn answers_that_fail_and_silence_until_the_deadline_are_no_accepts() {
    let late = |bench: &mut Bench, attempt: &mut Attempt<'_>| bench.on(attempt, at(60_000), Event::Due);
    let failing =
        |bench: &mut Bench, attempt: &mut Attempt<'_>| bench.on(attempt, at(1), Event::Head(TryId(0), Head::Failing));
    let good =
        |bench: &mut Bench, attempt: &mut Attempt<'_>| bench.on(attempt, at(1), Event::Head(TryId(0), Head::Good));
    type End = fn(&mut Bench, &mut Attempt<'_>) -> Vec<Effect>;
    for (end, accepted) in [(late as End, false), (failing as End, false), (good as End, true)] {
        let mut bench = throttled(r#"{"window":"2m"}"#);
        for _ in 0..20 {
            let mut attempt = Attempt::new(at(0), plain(), Asked::default());
            let mut desk = Desk { pool: &bench.pool, seat: &mut bench.seat };
            let _ = attempt.send_one(at(0), &mut desk, &mut Effects::new());
            attempt.state = State::Trying;
            end(&mut bench, &mut attempt);
        }
        let throttle = *bench.pool.guards.throttle().expect("on");
        assert_eq!(bench.seat.throttle.refuses(at(60_001), &throttle) <= 0.0, accepted);
    }
}

#[test]
fn a_request_that_has_no_time_left_is_not_sent() {
    let mut bench = bench(&[1.0]);
    let config = AttemptConfig { deadline: Span::ZERO, ..AttemptConfig::default() };
    let (_, effects) = bench.start(&config, Asked::default());
    assert_eq!(effects, [Effect::Refuse(Refusal::Deadline)]);
}

#[test]
fn a_deadline_that_follows_its_route_learns_from_those_that_missed_it() {
    use crate::again::adaptive::Adaptive;
    let adaptive =
        Adaptive { quantile: Share::percent(99), times: 3.0, least: Span::from_millis(10), most: Span::from_secs(1) };
    let mut bench = bench(&[1.0]);
    let route = RouteId(3);
    let deadline = |bench: &mut Bench, millis| bench.seat.deadline(at(millis), route, &adaptive);
    assert_eq!(deadline(&mut bench, 0), Span::from_secs(1));
    let chances = Chances { route, adaptive: true, ..Chances::default() };
    let config = AttemptConfig { deadline: Span::from_millis(30), chances, ..AttemptConfig::default() };
    for _ in 0..50 {
        let (mut attempt, _) = bench.start(&config, Asked::default());
        bench.on(&mut attempt, at(10), Event::Head(TryId(0), Head::Good));
    }
    let usual = deadline(&mut bench, 1_000).as_millis();
    assert!((28..=33).contains(&usual), "{usual}");
    for _ in 0..5 {
        let (mut attempt, _) = bench.start(&config, Asked::default());
        bench.on(&mut attempt, at(30), Event::Due);
    }
    let longer = deadline(&mut bench, 2_000).as_millis();
    assert!((84..=96).contains(&longer), "{longer}");
}
