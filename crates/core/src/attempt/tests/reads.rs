//! Quorum reads: how many are asked, who wins, and what happens when some fail.

use super::bench::{SAFE, at, bench, reset, sends, with};
use super::*;
use crate::again::hedge::{HedgeAfter, HedgeConfig};
use crate::again::quorum::{Mark, QuorumConfig, QuorumRule};

fn quorum(mode: Mode, ask: u8, need: u8, most: u8, rule: QuorumRule) -> AttemptConfig {
    let quorum = QuorumConfig::new(mode, ask, need, most, rule, Share::ALL).expect("valid");
    let hedge = HedgeConfig { after: HedgeAfter::Fixed(Span::from_millis(50)), ..HedgeConfig::default() };
    with(Chances { quorum: Some(quorum), hedge, ..Chances::default() })
}

fn good(id: u8) -> Event {
    Event::Head(TryId(id), Head::Good)
}

#[test]
fn two_of_three_answer_with_the_first_and_the_third_is_given_up() {
    let (mut bench, config) = (bench(&[1.0; 4]), quorum(Mode::On, 3, 2, 3, QuorumRule::First));
    let (mut attempt, effects) = bench.start(&config, SAFE);
    assert_eq!(sends(&effects), [0, 1, 2]);
    assert!(bench.on(&mut attempt, at(1), good(2)).is_empty());
    let effects = bench.on(&mut attempt, at(2), good(0));
    let lost = |id| Effect::Cancel(TryId(id), GivenUp::Lost);
    assert_eq!(effects, [lost(0), lost(1), Effect::Answer(TryId(2))]);
}

#[test]
fn answers_are_compared_and_the_newest_wins_with_the_disagreement_told() {
    let (mut bench, config) = (bench(&[1.0; 3]), quorum(Mode::On, 2, 2, 2, QuorumRule::Newest));
    let (mut attempt, _) = bench.start(&config, SAFE);
    assert_eq!(bench.on(&mut attempt, at(1), good(0)), [Effect::Compare(TryId(0))]);
    assert_eq!(bench.on(&mut attempt, at(2), good(1)), [Effect::Compare(TryId(1))]);
    assert!(bench.on(&mut attempt, at(3), Event::Mark(TryId(0), Some(Mark(4)))).is_empty());
    let effects = bench.on(&mut attempt, at(4), Event::Mark(TryId(1), Some(Mark(5))));
    let disagree = Effect::Disagree { winner: TryId(1), agreeing: 1, of: 2 };
    assert_eq!(effects, [disagree, Effect::Cancel(TryId(0), GivenUp::Lost), Effect::Answer(TryId(1))]);
    assert_eq!(bench.count(Chance::Quorum, Came::Mattered), 1);
}

#[test]
fn equal_answers_are_no_disagreement() {
    let (mut bench, config) = (bench(&[1.0; 3]), quorum(Mode::On, 2, 2, 2, QuorumRule::Majority));
    let (mut attempt, _) = bench.start(&config, SAFE);
    for id in 0..2 {
        bench.on(&mut attempt, at(1), good(id));
    }
    bench.on(&mut attempt, at(3), Event::Mark(TryId(1), Some(Mark(9))));
    let effects = bench.on(&mut attempt, at(4), Event::Mark(TryId(0), Some(Mark(9))));
    assert_eq!(effects, [Effect::Cancel(TryId(0), GivenUp::Lost), Effect::Answer(TryId(1))]);
}

#[test]
fn one_that_fails_is_replaced_at_once_while_there_are_others() {
    let (mut bench, config) = (bench(&[1.0; 4]), quorum(Mode::On, 2, 2, 3, QuorumRule::First));
    let (mut attempt, _) = bench.start(&config, SAFE);
    assert_eq!(sends(&bench.on(&mut attempt, at(1), Event::Failed(TryId(0), reset()))), [2]);
    let effects = bench.on(&mut attempt, at(2), Event::Failed(TryId(1), reset()));
    let refused = Effect::Refuse(Refusal::Failed(FailureKind::Reset));
    assert_eq!(effects, [Effect::Cancel(TryId(2), GivenUp::Lost), refused], "three of three were asked");
}

#[test]
fn one_more_is_asked_when_the_quorum_takes_long() {
    let (mut bench, config) = (bench(&[1.0; 4]), quorum(Mode::On, 2, 2, 3, QuorumRule::First));
    let (mut attempt, _) = bench.start(&config, SAFE);
    bench.on(&mut attempt, at(10), good(0));
    assert_eq!(attempt.deadline(), Some(at(50)));
    assert_eq!(sends(&bench.on(&mut attempt, at(50), Event::Due)), [2]);
    let effects = bench.on(&mut attempt, at(60), good(2));
    let lost = |id| Effect::Cancel(TryId(id), GivenUp::Lost);
    assert_eq!(effects, [lost(1), lost(2), Effect::Answer(TryId(0))]);
}

#[test]
fn a_quorum_that_cannot_be_met_is_refused_at_once() {
    let (mut bench, config) = (bench(&[1.0, 0.0, 0.0]), quorum(Mode::On, 2, 2, 3, QuorumRule::First));
    let (_, effects) = bench.start(&config, SAFE);
    assert_eq!(effects[1..], [Effect::Cancel(TryId(0), GivenUp::Lost), Effect::Refuse(Refusal::NobodyReady)]);
}

#[test]
fn a_request_that_may_not_run_twice_and_a_busy_pool_ask_one() {
    let config = quorum(Mode::On, 3, 2, 3, QuorumRule::First);
    let mut bench = bench(&[1.0; 4]);
    assert_eq!(sends(&bench.start(&config, Asked::default()).1), [0]);
    bench.pool.budget.hear_utilization(at(0), Share::percent(85));
    let (mut attempt, effects) = bench.start(&config, SAFE);
    assert_eq!(sends(&effects), [0]);
    assert_eq!(bench.on(&mut attempt, at(1), good(0)), [Effect::Answer(TryId(0))]);
}

#[test]
fn a_watched_quorum_asks_one_and_is_counted() {
    let (mut bench, config) = (bench(&[1.0; 4]), quorum(Mode::Observe, 3, 2, 3, QuorumRule::First));
    assert_eq!(sends(&bench.start(&config, SAFE).1), [0]);
    assert_eq!(bench.count(Chance::Quorum, Came::Watched), 1);
}
