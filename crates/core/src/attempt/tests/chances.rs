//! Hedges, retries of answers and of what may run twice, first tries cut short: each alone, and what it must not do.

use super::bench::{SAFE, at, bench, reset, sends, unsent, with};
use super::*;
use crate::again::hedge::{HedgeAfter, HedgeConfig};
use crate::again::retry::{FirstTry, Patience};

const FULL: Head = Head::Shed { elsewhere: true };

fn hedge(mode: Mode) -> HedgeConfig {
    let after = HedgeAfter::Fixed(Span::from_millis(100));
    HedgeConfig { mode, after, extra: Share::ALL, ..HedgeConfig::default() }
}

fn hedging(mode: Mode) -> AttemptConfig {
    with(Chances { hedge: hedge(mode), ..Chances::default() })
}

#[test]
fn a_slow_try_is_hedged_after_the_delay_and_the_loser_is_given_up_without_a_fault() {
    let (mut bench, config) = (bench(&[1.0, 1.0]), hedging(Mode::On));
    let (mut attempt, _) = bench.start(&config, SAFE);
    assert_eq!(attempt.deadline(), Some(at(100)));
    assert_eq!(sends(&bench.on(&mut attempt, at(100), Event::Due)), [1]);
    let effects = bench.on(&mut attempt, at(120), Event::Head(TryId(1), Head::Good));
    assert_eq!(effects, [Effect::Cancel(TryId(0), GivenUp::Lost), Effect::Answer(TryId(1))]);
    assert_eq!([Came::Taken, Came::Mattered].map(|came| bench.count(Chance::Hedge, came)), [1, 1]);
}

#[test]
fn what_may_not_run_twice_is_never_hedged() {
    for copies in [Copies::One, Copies::IfUnbegun] {
        let (mut bench, config) = (bench(&[1.0, 1.0]), hedging(Mode::On));
        let (attempt, _) = bench.start(&config, Asked { copies, ..SAFE });
        assert_eq!(attempt.deadline(), Some(at(60_000)), "{copies:?}");
    }
}

/// A request that may run twice, with its body on its way.
fn coming(config: &AttemptConfig) -> (super::bench::Bench, Attempt<'_>) {
    let mut bench = bench(&[1.0, 1.0]);
    let mut attempt = Attempt::new(at(0), config, Asked { copies: Copies::One, ..SAFE });
    attempt.keeps_later(Copies::Any);
    assert_eq!(sends(&bench.on(&mut attempt, at(0), Event::Start)), [0], "nobody waits for it");
    (bench, attempt)
}

#[test]
fn a_request_whose_body_is_still_on_its_way_is_hedged_once_that_is_kept() {
    let config = hedging(Mode::On);
    let (mut bench, mut attempt) = coming(&config);
    assert_eq!(bench.on(&mut attempt, at(100), Event::Due), []);
    assert_eq!((attempt.deadline(), attempt.awaits_body()), (Some(at(125)), true));
    attempt.kept();
    assert_eq!(sends(&bench.on(&mut attempt, at(125), Event::Due)), [1]);
}

#[test]
fn a_request_whose_body_is_still_on_its_way_is_neither_cut_short_nor_sent_again() {
    let first_try = FirstTry { mode: Mode::On, patience: Patience::Fixed(Span::from_millis(50)) };
    let config = with(Chances { first_try, resend: Mode::On, ..Chances::default() });
    let (mut bench, mut attempt) = coming(&config);
    assert_eq!(bench.on(&mut attempt, at(50), Event::Due), []);
    let effects = bench.on(&mut attempt, at(60), Event::Failed(TryId(0), reset()));
    assert_eq!(effects, [Effect::Refuse(Refusal::Failed(FailureKind::Reset))]);
}

#[test]
fn the_delay_is_the_p95_of_the_route_once_it_is_known() {
    let chances = Chances {
        hedge: HedgeConfig { mode: Mode::On, extra: Share::ALL, ..HedgeConfig::default() },
        ..Chances::default()
    };
    let (mut bench, config) = (bench(&[1.0, 1.0]), with(chances));
    for request in 0..40_u64 {
        let now = at(request * 200);
        let mut attempt = Attempt::new(now, &config, SAFE);
        bench.on(&mut attempt, now, Event::Start);
        if request < 20 {
            assert_eq!(attempt.deadline(), Some(now + config.deadline), "nothing is known yet");
        }
        bench.on(&mut attempt, now + Span::from_millis(10 + request), Event::Head(TryId(0), Head::Good));
    }
    let now = at(9_000);
    let mut attempt = Attempt::new(now, &config, SAFE);
    bench.on(&mut attempt, now, Event::Start);
    let delay = attempt.deadline().expect("running").since(now).as_millis();
    assert!((44..=50).contains(&delay), "{delay}");
}

#[test]
fn tries_that_lose_count_for_the_p95_with_what_they_took_at_least() {
    let (mut bench, config) = (bench(&[1.0, 1.0]), hedging(Mode::On));
    for request in 0..100_u64 {
        let now = at(request * 200);
        let mut attempt = Attempt::new(now, &config, SAFE);
        bench.on(&mut attempt, now, Event::Start);
        bench.on(&mut attempt, now + Span::from_millis(100), Event::Due);
        bench.on(&mut attempt, now + Span::from_millis(110), Event::Head(TryId(1), Head::Good));
    }
    let p95 = bench.seat.memory(RouteId(0)).quantile(at(20_000), Share::percent(95)).expect("known");
    assert!((105..115).contains(&p95.as_millis()), "{p95}");
}

#[test]
fn hedges_stay_under_their_share_of_requests_whatever_happens() {
    let mut config = hedging(Mode::On);
    config.chances.hedge.extra = Share::percent(5);
    let mut bench = bench(&[1.0, 1.0]);
    let mut hedges = 0;
    for request in 1..=2_000_usize {
        let now = at(10 * request as u64);
        let mut attempt = Attempt::new(now, &config, SAFE);
        bench.on(&mut attempt, now, Event::Start);
        for later in [100, 125] {
            hedges += sends(&bench.on(&mut attempt, now + Span::from_millis(later), Event::Due)).len();
        }
        let last = TryId(u8::try_from(attempt.tries() - 1).expect("few"));
        bench.on(&mut attempt, now + Span::from_millis(130), Event::Head(last, Head::Good));
        assert!(hedges * 20 <= request, "{hedges} hedges of {request} requests");
    }
    assert_eq!(hedges, 100);
}

#[test]
fn a_hedge_that_the_bound_refused_is_asked_for_again_a_quarter_later() {
    let mut config = hedging(Mode::On);
    config.chances.hedge.extra = Share::percent(5);
    let mut bench = bench(&[1.0, 1.0]);
    let (mut attempt, _) = bench.start(&config, SAFE);
    assert!(bench.on(&mut attempt, at(100), Event::Due).is_empty());
    assert_eq!(attempt.deadline(), Some(at(125)));
    for _ in 0..19 {
        drop(bench.start(&config, SAFE));
    }
    assert_eq!(sends(&bench.on(&mut attempt, at(125), Event::Due)), [1]);
    assert_eq!(attempt.deadline(), Some(at(60_000)));
}

#[test]
fn a_busy_pool_and_hedges_that_never_win_are_not_hedged() {
    let config = hedging(Mode::On);
    let mut busy = bench(&[1.0, 1.0]);
    busy.pool.budget.hear_utilization(at(0), Share::percent(90));
    let (mut attempt, _) = busy.start(&config, SAFE);
    assert!(busy.on(&mut attempt, at(100), Event::Due).is_empty());
    let mut useless = bench(&[1.0, 1.0]);
    (0..80).for_each(|_| useless.pool.budget.hedge_ended(at(0), false));
    let (mut attempt, _) = useless.start(&config, SAFE);
    assert!(useless.on(&mut attempt, at(100), Event::Due).is_empty());
    assert_eq!(useless.count(Chance::Hedge, Came::Refused), 1);
}

#[test]
fn a_class_remembered_as_dear_is_hedged_at_once() {
    let mut config = hedging(Mode::On);
    config.chances.hedge.dear_at_once = true;
    let (mut bench, dear) = (bench(&[1.0, 1.0, 1.0]), Asked { class: Some(77), ..SAFE });
    for _ in 0..2 {
        let (mut attempt, effects) = bench.start(&config, dear);
        assert_eq!(sends(&effects), [0]);
        bench.on(&mut attempt, at(300), Event::Head(TryId(0), Head::Good));
    }
    let (_, effects) = bench.start(&config, dear);
    assert_eq!(sends(&effects), [0, 1]);
    let (_, effects) = bench.start(&config, Asked { class: Some(78), ..SAFE });
    assert_eq!(sends(&effects), [0]);
}

#[test]
fn a_first_try_that_fails_beside_its_hedge_costs_no_retry() {
    let (mut bench, config) = (bench(&[1.0, 1.0, 1.0]), hedging(Mode::On));
    let (mut attempt, _) = bench.start(&config, SAFE);
    bench.on(&mut attempt, at(100), Event::Due);
    assert!(bench.on(&mut attempt, at(101), Event::Failed(TryId(0), reset())).is_empty());
    let effects = bench.on(&mut attempt, at(102), Event::Head(TryId(1), Head::Good));
    assert_eq!(effects, [Effect::Answer(TryId(1))]);
    assert_eq!(bench.count(Chance::Retry, Came::Taken), 0);
}

#[test]
fn a_failing_answer_waits_for_the_hedge_and_serves_if_that_fails() {
    let (mut bench, config) = (bench(&[1.0, 1.0]), hedging(Mode::On));
    for (last, wanted) in [
        (Event::Failed(TryId(1), reset()), [Effect::Answer(TryId(0))].as_slice()),
        (
            Event::Head(TryId(1), Head::Good),
            [Effect::Cancel(TryId(0), GivenUp::Lost), Effect::Answer(TryId(1))].as_slice(),
        ),
    ] {
        let (mut attempt, _) = bench.start(&config, SAFE);
        bench.on(&mut attempt, at(100), Event::Due);
        assert!(bench.on(&mut attempt, at(101), Event::Head(TryId(0), Head::Failing)).is_empty());
        assert_eq!(bench.on(&mut attempt, at(102), last), wanted);
    }
}

#[test]
fn a_watched_hedge_is_counted_and_not_sent() {
    let (mut bench, config) = (bench(&[1.0, 1.0]), hedging(Mode::Observe));
    let (mut attempt, _) = bench.start(&config, SAFE);
    assert!(bench.on(&mut attempt, at(100), Event::Due).is_empty());
    assert_eq!(bench.count(Chance::Hedge, Came::Watched), 1);
    assert_eq!(attempt.deadline(), Some(at(60_000)));
}

#[test]
fn a_full_worker_is_left_for_another_and_its_answer_kept_in_case() {
    let config = with(Chances { answers: Mode::On, ..Chances::default() });
    let mut bench = bench(&[1.0, 1.0]);
    let (mut attempt, _) = bench.start(&config, Asked { copies: Copies::IfUnbegun, ..SAFE });
    assert!(bench.on(&mut attempt, at(1), Event::Head(TryId(0), FULL)).is_empty());
    let due = attempt.deadline().expect("waiting");
    assert_eq!(sends(&bench.on(&mut attempt, due, Event::Due)), [1]);
    let effects = bench.on(&mut attempt, due, Event::Failed(TryId(1), reset()));
    assert_eq!(effects, [Effect::Answer(TryId(0))]);
}

#[test]
fn a_failing_answer_is_tried_elsewhere_only_if_the_request_may_run_twice() {
    let config = with(Chances { answers: Mode::On, ..Chances::default() });
    for (copies, head, again) in [
        (Copies::Any, Head::Failing, true),
        (Copies::IfUnbegun, Head::Failing, false),
        (Copies::IfUnbegun, FULL, true),
        (Copies::One, FULL, false),
        (Copies::Any, Head::Shed { elsewhere: false }, false),
    ] {
        let mut bench = bench(&[1.0, 1.0]);
        let (mut attempt, _) = bench.start(&config, Asked { copies, ..SAFE });
        let effects = bench.on(&mut attempt, at(1), Event::Head(TryId(0), head));
        assert_eq!(effects.is_empty(), again, "{copies:?} {head:?} {effects:?}");
    }
}

#[test]
fn nothing_is_tried_elsewhere_when_most_of_the_pool_fails() {
    let config = with(Chances { answers: Mode::On, ..Chances::default() });
    let mut bench = bench(&[1.0, 1.0, 1.0]);
    for slot in 0..2 {
        let failed = Outcome::Failed { price: FAILURE_PRICE };
        (0..4).for_each(|_| bench.pool.workers[slot].cells.load.observe(at(0), Span::ZERO, failed));
    }
    let (mut attempt, _) = bench.start(&config, SAFE);
    assert_eq!(bench.on(&mut attempt, at(1), Event::Head(TryId(0), FULL)), [Effect::Answer(TryId(0))]);
}

#[test]
fn what_may_run_twice_is_sent_again_after_a_reset_where_the_route_says_so() {
    for (mode, again) in [(Mode::On, true), (Mode::Observe, false), (Mode::Off, false)] {
        let config = with(Chances { resend: mode, ..Chances::default() });
        let mut bench = bench(&[1.0, 1.0]);
        let (mut attempt, _) = bench.start(&config, SAFE);
        let effects = bench.on(&mut attempt, at(1), Event::Failed(TryId(0), reset()));
        assert_eq!(effects.is_empty(), again, "{mode:?}");
        assert_eq!(bench.count(Chance::Retry, Came::Watched), u64::from(mode == Mode::Observe));
    }
}

#[test]
fn a_retry_that_could_not_be_answered_in_time_is_not_sent() {
    let mut config = with(Chances { resend: Mode::On, hedge: hedge(Mode::Observe), ..Chances::default() });
    config.deadline = Span::from_millis(200);
    let mut bench = bench(&[1.0, 1.0]);
    (0..20).for_each(|_| bench.seat.memory(RouteId(0)).learn(at(0), Span::from_millis(150)));
    let (mut attempt, _) = bench.start(&config, SAFE);
    let effects = bench.on(&mut attempt, at(60), Event::Failed(TryId(0), unsent()));
    assert_eq!(effects, [Effect::Refuse(Refusal::Failed(FailureKind::Connect))]);
}

#[test]
fn a_first_try_is_given_up_early_once_and_its_worker_was_late() {
    let first_try = FirstTry { mode: Mode::On, patience: Patience::default() };
    let config = with(Chances { first_try, ..Chances::default() });
    let mut bench = bench(&[1.0, 1.0, 1.0]);
    let (mut attempt, _) = bench.start(&config, SAFE);
    assert_eq!(attempt.deadline(), Some(at(500)));
    let effects = bench.on(&mut attempt, at(500), Event::Due);
    assert_eq!(effects[0], Effect::Cancel(TryId(0), GivenUp::Late));
    assert_eq!(sends(&effects), [1]);
    assert_eq!(attempt.deadline(), Some(at(60_000)));
}

#[test]
fn a_first_try_goes_on_when_there_is_nobody_else() {
    let first_try = FirstTry { mode: Mode::On, patience: Patience::default() };
    let config = with(Chances { first_try, ..Chances::default() });
    let mut bench = bench(&[1.0]);
    let (mut attempt, _) = bench.start(&config, SAFE);
    assert!(bench.on(&mut attempt, at(500), Event::Due).is_empty());
    let effects = bench.on(&mut attempt, at(900), Event::Head(TryId(0), Head::Good));
    assert_eq!(effects, [Effect::Answer(TryId(0))]);
}
