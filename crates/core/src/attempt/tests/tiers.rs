//! The fallback chain: which tier has its turn when, and which requests none may serve.

use super::bench::{Bench, SAFE, at, bench, pool, reset, sends, unsent, with};
use super::*;
use crate::again::fallback::{Fallback, Tier};

fn chain(tiers: &[Tier], after: Option<Span>) -> AttemptConfig {
    with(Chances { fallback: Fallback::on(tiers, after), ..Chances::default() })
}

fn fall(place: u8, tier: Tier, why: Refusal) -> Effect {
    Effect::Fall { place, tier, why }
}

/// Plays an event with another pool on the desk, as a shell does once a tier is ready.
fn in_pool(bench: &mut Bench, id: u32, attempt: &mut Attempt<'_>, now: Mono, event: Event) -> Vec<Effect> {
    bench.pool = pool(id, &[1.0, 1.0]);
    bench.on(attempt, now, event)
}

const RESET: Refusal = Refusal::Failed(FailureKind::Reset);

#[test]
fn tiers_have_their_turn_in_order_until_one_serves() {
    let config = chain(&[Tier::Pool, Tier::Snapshot, Tier::Static], None);
    let mut bench = bench(&[1.0]);
    let (mut attempt, _) = bench.start(&config, SAFE);
    let effects = bench.on(&mut attempt, at(1), Event::Failed(TryId(0), reset()));
    assert_eq!(effects, [fall(0, Tier::Pool, RESET)]);
    assert_eq!(sends(&in_pool(&mut bench, 1, &mut attempt, at(2), Event::Tier(TierNews::Ready))), [1]);
    let effects = bench.on(&mut attempt, at(3), Event::Failed(TryId(1), reset()));
    assert_eq!(effects, [fall(1, Tier::Snapshot, RESET)]);
    let effects = bench.on(&mut attempt, at(3), Event::Tier(TierNews::Missing));
    assert_eq!(effects, [fall(2, Tier::Static, RESET)]);
    assert!(bench.on(&mut attempt, at(3), Event::Tier(TierNews::Served)).is_empty());
    assert!(bench.on(&mut attempt, at(3), Event::Gone).is_empty());
}

#[test]
fn what_may_have_run_goes_to_no_worker_and_may_get_a_static_answer() {
    let config = chain(&[Tier::Zone, Tier::Pool, Tier::Simpler, Tier::Static], None);
    let mut bench = bench(&[1.0, 1.0]);
    let (mut attempt, _) = bench.start(&config, Asked::default());
    let effects = bench.on(&mut attempt, at(1), Event::Failed(TryId(0), reset()));
    assert_eq!(effects, [fall(3, Tier::Static, RESET)]);
}

#[test]
fn retries_come_before_the_first_tier() {
    let config = chain(&[Tier::Pool], None);
    let mut bench = bench(&[1.0, 1.0]);
    let (mut attempt, _) = bench.start(&config, Asked::default());
    assert!(bench.on(&mut attempt, at(1), Event::Failed(TryId(0), unsent())).is_empty());
    let due = attempt.deadline().expect("waiting");
    bench.on(&mut attempt, due, Event::Due);
    let effects = bench.on(&mut attempt, due, Event::Failed(TryId(1), unsent()));
    assert_eq!(effects, [fall(0, Tier::Pool, Refusal::Failed(FailureKind::Connect))]);
}

#[test]
fn a_failing_answer_falls_too_and_is_passed_on_when_the_chain_is_empty() {
    let config = chain(&[Tier::Snapshot], None);
    let mut bench = bench(&[1.0]);
    let (mut attempt, _) = bench.start(&config, SAFE);
    let effects = bench.on(&mut attempt, at(1), Event::Head(TryId(0), Head::Failing));
    assert!(matches!(effects[..], [Effect::Fall { tier: Tier::Snapshot, .. }]), "{effects:?}");
    let effects = bench.on(&mut attempt, at(2), Event::Tier(TierNews::Missing));
    assert_eq!(effects, [Effect::Answer(TryId(0))]);
}

#[test]
fn a_tier_has_its_turn_before_the_deadline_where_the_chain_says_so() {
    let config = chain(&[Tier::Pool], Some(Span::from_secs(2)));
    let mut bench = bench(&[1.0]);
    let (mut attempt, _) = bench.start(&config, SAFE);
    assert_eq!(attempt.deadline(), Some(at(2_000)));
    let effects = bench.on(&mut attempt, at(2_000), Event::Due);
    assert_eq!(effects, [Effect::Cancel(TryId(0), GivenUp::Late), fall(0, Tier::Pool, Refusal::Deadline)]);
    assert_eq!(sends(&in_pool(&mut bench, 1, &mut attempt, at(2_001), Event::Tier(TierNews::Ready))), [1]);
    assert_eq!(attempt.deadline(), Some(at(60_000)), "there is no other tier");
}

#[test]
fn what_must_not_run_twice_is_not_given_up_early_for_a_tier_that_it_may_not_use() {
    let config = chain(&[Tier::Pool], Some(Span::from_secs(2)));
    let mut bench = bench(&[1.0]);
    let (attempt, _) = bench.start(&config, Asked::default());
    assert_eq!(attempt.deadline(), Some(at(60_000)));
}

#[test]
fn at_the_deadline_only_what_answers_from_here_has_a_turn() {
    let config = chain(&[Tier::Pool, Tier::Static], None);
    let mut bench = bench(&[1.0]);
    let (mut attempt, _) = bench.start(&config, SAFE);
    let effects = bench.on(&mut attempt, at(60_000), Event::Due);
    assert_eq!(effects[1], fall(1, Tier::Static, Refusal::Deadline));
}

#[test]
fn the_same_pool_under_a_simpler_path_is_paid_from_the_budget() {
    let config = chain(&[Tier::Simpler], None);
    let mut bench = bench(&[1.0]);
    let (mut attempt, _) = bench.start(&config, SAFE);
    bench.on(&mut attempt, at(1), Event::Failed(TryId(0), reset()));
    while bench.pool.budget.take(at(1)) {}
    assert_eq!(bench.on(&mut attempt, at(1), Event::Tier(TierNews::Ready)), [Effect::Refuse(RESET)]);
}

#[test]
fn a_watched_chain_is_counted_and_refuses() {
    let mut config = chain(&[Tier::Static], None);
    config.chances.fallback.mode = Mode::Observe;
    let mut bench = bench(&[0.0]);
    assert_eq!(bench.start(&config, SAFE).1, [Effect::Refuse(Refusal::NobodyReady)]);
    assert_eq!(bench.count(Chance::Fallback, Came::Watched), 1);
}
