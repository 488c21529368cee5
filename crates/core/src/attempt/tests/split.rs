//! Requests while a trial goes on: who goes the new way, and what is counted of it.

use alloc::sync::Arc;
use alloc::vec;

use super::bench::*;
use super::*;
use crate::again::Mode;
use crate::again::hedge::{HedgeAfter, HedgeConfig};
use crate::trial::{Group, Groups, Kind, Split, Sums};

/// Workers 0 and 1 are the stable path, worker 2 is on trial with this share; as many are in the control group.
fn tried(kind: Kind, share: u8) -> Bench {
    let Bench { pool, seat } = bench(&[1.0, 1.0, 0.0]);
    let share = Share::percent(share);
    let weights = if kind.is_of_path() { vec![0.0, 0.0, 1.0] } else { vec![] };
    let split = Split::new(kind, 1, (share, share), Arc::new(Groups::new(1)), weights);
    Bench { pool: pool.tried(Some(split), None), seat }
}

impl Bench {
    fn sums(&self, group: Group) -> Sums {
        self.pool.split.as_ref().expect("on trial").groups.sums(group)
    }
}

fn first(effects: &[Effect]) -> usize {
    let Effect::Send(_, pick) = effects[0] else { panic!("{effects:?}") };
    pick.slot
}

#[test]
fn the_path_gets_its_share_of_the_requests_and_the_control_group_is_as_big() {
    let mut bench = tried(Kind::Canary, 20);
    let mut on_path = 0;
    for _ in 0..10_000 {
        on_path += u32::from(first(&bench.start(plain(), SAFE).1) == 2);
    }
    let begun = [Group::Candidate, Group::Control].map(|group| bench.sums(group).begun);
    assert_eq!(u64::from(on_path), begun[0]);
    assert!(begun.iter().all(|begun| begun.abs_diff(2_000) < 200), "{begun:?}");
}

#[test]
fn a_key_stays_on_its_path() {
    let mut bench = tried(Kind::Canary, 50);
    for key in 0..100 {
        let asked = Asked { key: Some(key), ..SAFE };
        let on_path = first(&bench.start(plain(), asked).1) == 2;
        for _ in 0..5 {
            assert_eq!(first(&bench.start(plain(), asked).1) == 2, on_path);
        }
    }
}

#[test]
fn an_experiment_sends_its_share_by_learned_weights_and_the_rest_by_fixed_ones() {
    let mut bench = tried(Kind::Experiment, 20);
    let mut learned = 0_u32;
    for _ in 0..10_000 {
        let drawn = bench.pool.assign(&mut bench.seat.draw, None);
        assert_eq!(drawn.arm == Arm::Learned, drawn.group == Some(Group::Candidate));
        learned += u32::from(drawn.arm == Arm::Learned);
    }
    assert!(learned.abs_diff(2_000) < 200, "{learned}");
}

#[test]
fn a_retry_of_the_path_goes_the_stable_way_and_hides_nothing() {
    let chances = Chances { resend: Mode::On, ..Chances::default() };
    let (config, mut bench) = (with(chances), tried(Kind::Canary, 50));
    bench.pool.split.as_mut().expect("on trial").share = Share::ALL;
    let (mut attempt, effects) = bench.start(&config, SAFE);
    assert_eq!(first(&effects), 2);
    bench.on(&mut attempt, at(1), Event::Failed(TryId(0), reset()));
    let due = attempt.deadline().expect("it waits");
    let effects = bench.on(&mut attempt, due, Event::Due);
    assert_ne!(first(&effects), 2);
    bench.on(&mut attempt, due, Event::Head(TryId(1), Head::Good));
    let sums = bench.sums(Group::Candidate);
    assert_eq!((sums.begun, sums.failed, sums.judged()), (1, 1, 1));
}

#[test]
fn a_try_that_lost_to_its_hedge_took_at_least_this_long() {
    let after = HedgeAfter::Fixed(Span::from_millis(10));
    let hedge = HedgeConfig { mode: Mode::On, after, extra: Share::ALL, ..HedgeConfig::default() };
    let config = with(Chances { hedge, ..Chances::default() });
    let mut bench = tried(Kind::Canary, 50);
    bench.pool.split.as_mut().expect("on trial").share = Share::ALL;
    let (mut attempt, _) = bench.start(&config, SAFE);
    let effects = bench.on(&mut attempt, at(10), Event::Due);
    assert_ne!(first(&effects), 2, "a hedge goes the stable way");
    bench.on(&mut attempt, at(30), Event::Head(TryId(1), Head::Good));
    let took = bench.sums(Group::Candidate).latency.quantile(Share::percent(50)).expect("one");
    assert!((took.as_secs_f64() / 0.030 - 1.0).abs() < 0.02, "{took}");
}

#[test]
fn a_path_without_anybody_counts_as_failed_and_its_requests_are_served_all_the_same() {
    let mut bench = tried(Kind::Canary, 100);
    bench.pool.split.as_mut().expect("on trial").weights = crate::view::Weights::new([0.0, 0.0, 0.0]);
    let (_, effects) = bench.start(plain(), SAFE);
    assert_ne!(first(&effects), 2);
    let sums = bench.sums(Group::Candidate);
    assert_eq!((sums.begun, sums.failed), (1, 1));
}

#[test]
fn clients_that_leave_and_deadlines_are_told_apart() {
    let mut bench = tried(Kind::Canary, 100);
    let (mut attempt, _) = bench.start(plain(), SAFE);
    bench.on(&mut attempt, at(5), Event::Gone);
    let (mut attempt, _) = bench.start(plain(), SAFE);
    let due = attempt.deadline().expect("it runs");
    bench.on(&mut attempt, due, Event::Due);
    let sums = bench.sums(Group::Candidate);
    assert_eq!((sums.begun, sums.gone, sums.failed), (2, 1, 1));
}

#[test]
fn what_publishers_are_told_is_the_share_of_both_paths() {
    let bench = tried(Kind::Canary, 20);
    let shares: alloc::vec::Vec<f64> = (0..3).map(|slot| bench.pool.share(slot)).collect();
    for (share, wanted) in shares.iter().zip([0.4, 0.4, 0.2]) {
        assert!((share - wanted).abs() < 1e-9, "{shares:?}");
    }
}
