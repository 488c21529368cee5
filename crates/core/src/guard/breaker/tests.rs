//! Every edge of the drawing in `breaker.rs`, and none besides.

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::load::FAILURE_PRICE;

/// One more may be kept out, and none.
const ROOM: Room = Room { out: 0, most: 1 };
const NO_ROOM: Room = Room { out: 1, most: 1 };
const FAILED: Outcome = Outcome::Failed { price: FAILURE_PRICE };

fn at(millis: u64) -> Mono {
    Mono::default() + Span::from_millis(millis)
}

/// A breaker with the default settings, room in the pool and no jitter.
#[derive(Default)]
struct Bench {
    breaker: Breaker,
    config: BreakerConfig,
}

impl Bench {
    fn on(&mut self, now: Mono, probe: Option<u16>, outcome: Outcome) -> Option<Change> {
        self.breaker.on(now, probe, outcome, &self.config, ROOM, 0.0)
    }

    fn probe(&mut self, now: Mono) -> u16 {
        assert_eq!(self.breaker.admit(now, &self.config), Verdict::Probe);
        self.breaker.probe(now, &self.config).0
    }

    fn admit(&self, now: Mono) -> Verdict {
        self.breaker.admit(now, &self.config)
    }
}

fn open(now: Mono) -> Bench {
    let mut bench = Bench::default();
    for _ in 0..5 {
        bench.on(now, None, FAILED);
    }
    bench
}

fn ramping(now: Mono) -> Bench {
    let mut bench = open(now);
    let now = now + Span::from_secs(10);
    for _ in 0..3 {
        let serial = bench.probe(now);
        bench.on(now, Some(serial), Outcome::Good);
    }
    bench
}

#[test]
fn a_worker_that_is_full_is_no_reason_to_open_and_no_proof_that_it_is_well() {
    let full = Outcome::Full { price: Span::from_secs(1) };
    let mut bench = Bench::default();
    assert!((0..100).all(|_| bench.on(at(0), None, full).is_none()));
    let mut bench = open(at(0));
    for _ in 0..4 {
        let serial = bench.probe(at(10_000));
        assert_eq!(bench.on(at(10_000), Some(serial), full), None);
    }
}

#[test]
fn closed_opens_on_the_fifth_failure_in_a_row_and_says_so() {
    let mut bench = Bench::default();
    for _ in 0..4 {
        assert_eq!(bench.on(at(0), None, FAILED), None);
    }
    let cause = Cause::Tripped { by: Trip::Consecutive { failures: 5, limit: 5 }, cool_down: Span::from_secs(10) };
    let change = Change { from: BreakerState::Closed, to: BreakerState::Open, cause };
    assert_eq!(bench.on(at(0), None, FAILED), Some(change));
}

#[test]
fn a_success_between_begins_the_count_anew_and_a_cancelled_try_does_not() {
    let mut bench = Bench::default();
    for outcome in [FAILED, FAILED, FAILED, FAILED, Outcome::Good, FAILED, Outcome::Cancelled, FAILED, FAILED, FAILED] {
        assert_eq!(bench.on(at(0), None, outcome), None);
    }
    assert!(bench.on(at(0), None, FAILED).is_some());
}

#[test]
fn closed_stays_closed_while_the_pool_has_no_room_says_so_and_opens_when_it_has() {
    let mut bench = Bench::default();
    for failures in 1..=20 {
        let said = bench.breaker.on(at(0), None, FAILED, &bench.config, NO_ROOM, 0.0);
        let cause = Cause::Refused { by: Trip::Consecutive { failures, limit: 5 }, out: 1, most: 1 };
        let refused = Change { from: BreakerState::Closed, to: BreakerState::Closed, cause };
        assert_eq!(said, (failures >= 5).then_some(refused));
    }
    assert_eq!(bench.on(at(0), None, FAILED).map(|change| change.to), Some(BreakerState::Open));
}

#[test]
fn open_refuses_until_its_cool_down_is_over_and_then_wants_a_probe() {
    let bench = open(at(0));
    assert_eq!(bench.admit(at(9_999)), Verdict::Refuse { until: at(10_000) });
    assert_eq!(bench.admit(at(10_000)), Verdict::Probe);
}

#[test]
fn what_was_sent_before_it_opened_changes_nothing() {
    let mut bench = open(at(0));
    assert_eq!([bench.on(at(1), None, Outcome::Good), bench.on(at(1), None, FAILED)], [None, None]);
    assert_eq!(bench.admit(at(1)), Verdict::Refuse { until: at(10_000) });
}

#[test]
fn open_becomes_probing_with_its_first_probe_and_refuses_a_second_beside_it() {
    let mut bench = open(at(0));
    let (_, change) = bench.breaker.probe(at(10_000), &bench.config);
    let wanted = Change { from: BreakerState::Open, to: BreakerState::Probing, cause: Cause::Cooled };
    assert_eq!(change, Some(wanted));
    assert_eq!(bench.admit(at(10_001)), Verdict::Refuse { until: at(20_000) });
}

#[test]
fn a_good_probe_is_followed_by_the_next_and_the_third_starts_the_ramp() {
    let mut bench = open(at(0));
    for _ in 0..2 {
        let serial = bench.probe(at(10_000));
        assert_eq!(bench.on(at(10_000), Some(serial), Outcome::Good), None);
    }
    let serial = bench.probe(at(10_000));
    let cause = Cause::Probed { good: 3 };
    let change = Change { from: BreakerState::Probing, to: BreakerState::Ramping, cause };
    assert_eq!(bench.on(at(10_000), Some(serial), Outcome::Good), Some(change));
}

#[test]
fn a_failed_probe_opens_for_twice_as_long_up_to_a_minute() {
    let mut bench = open(at(0));
    let mut now = at(10_000);
    for cool_down in [20, 40, 60, 60].map(Span::from_secs) {
        let serial = bench.probe(now);
        let change = bench.on(now, Some(serial), FAILED).expect("opens");
        assert_eq!(change.cause, Cause::Tripped { by: Trip::Probe, cool_down });
        now = now + cool_down;
    }
}

#[test]
fn a_silent_probe_is_followed_by_another_one() {
    let mut bench = open(at(0));
    let silent = bench.probe(at(10_000));
    let next = bench.probe(at(20_000));
    assert_ne!(silent, next);
    // The answer of the one given up says nothing any more.
    assert_eq!(bench.on(at(20_001), Some(silent), FAILED), None);
    assert_eq!(bench.breaker.state(), BreakerState::Probing);
}

#[test]
fn a_cancelled_probe_makes_room_for_the_next_at_once() {
    let mut bench = open(at(0));
    let serial = bench.probe(at(10_000));
    assert_eq!(bench.on(at(10_001), Some(serial), Outcome::Cancelled), None);
    assert_eq!(bench.admit(at(10_001)), Verdict::Probe);
}

#[test]
fn an_answer_that_is_not_the_probes_does_not_count_for_it() {
    let mut bench = open(at(0));
    bench.probe(at(10_000));
    for outcome in [Outcome::Good, FAILED, Outcome::Cancelled] {
        assert_eq!(bench.on(at(10_001), None, outcome), None);
    }
    assert_eq!(bench.admit(at(10_001)), Verdict::Refuse { until: at(20_000) });
}

#[test]
fn a_ramp_lets_in_a_tenth_then_half_then_all_and_ends_closed() {
    let mut bench = ramping(at(0));
    let share = |verdict| if let Verdict::Part(share) = verdict { share.get() } else { f64::NAN };
    assert!((share(bench.admit(at(10_000))) - 0.1).abs() < 1e-9);
    assert!((share(bench.admit(at(25_000))) - 0.55).abs() < 1e-9);
    assert_eq!(bench.breaker.settle(at(39_999), &bench.config), None);
    let change = Change { from: BreakerState::Ramping, to: BreakerState::Closed, cause: Cause::Ramped };
    assert_eq!(bench.admit(at(40_000)), Verdict::Pass);
    assert_eq!(bench.breaker.settle(at(40_000), &bench.config), Some(change));
}

#[test]
fn a_worker_that_falls_during_its_ramp_stays_out_twice_as_long() {
    let mut bench = ramping(at(0));
    let changes: Vec<Change> = (0..5).filter_map(|_| bench.on(at(12_000), None, FAILED)).collect();
    let cause = Cause::Tripped { by: Trip::Consecutive { failures: 5, limit: 5 }, cool_down: Span::from_secs(20) };
    assert_eq!(changes, [Change { from: BreakerState::Ramping, to: BreakerState::Open, cause }]);
}

#[test]
fn a_worker_that_was_closed_again_starts_with_the_short_cool_down() {
    let mut bench = ramping(at(0));
    bench.breaker.settle(at(40_000), &bench.config);
    for _ in 0..5 {
        bench.on(at(50_000), None, FAILED);
    }
    assert_eq!(bench.admit(at(50_000)), Verdict::Refuse { until: at(60_000) });
}

#[test]
fn a_cool_down_is_longer_by_lot_by_up_to_a_fifth() {
    let mut breaker = Breaker::default();
    let config = BreakerConfig::default();
    for _ in 0..5 {
        breaker.on(at(0), None, FAILED, &config, ROOM, 0.999_999);
    }
    let Verdict::Refuse { until } = breaker.admit(at(0), &config) else { panic!("open") };
    assert!((at(11_999)..=at(12_000)).contains(&until), "{until:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn only_drawn_edges_are_walked_and_a_worker_that_is_well_always_comes_back(
        steps in prop::collection::vec((0_u8..5, 0_u64..15_000), 0..60)
    ) {
        use BreakerState::{Closed, Open, Probing, Ramping};
        let mut bench = Bench::default();
        let (mut now, mut probe) = (at(0), None);
        for (step, millis) in steps {
            now = now + Span::from_millis(millis);
            let outcome = [Outcome::Good, FAILED, FAILED, FAILED, Outcome::Cancelled][usize::from(step)];
            let mut changes = Vec::from_iter(bench.breaker.settle(now, &bench.config));
            if bench.admit(now) == Verdict::Probe {
                let (serial, change) = bench.breaker.probe(now, &bench.config);
                probe = Some(serial);
                changes.extend(change);
            }
            changes.extend(bench.on(now, probe, outcome));
            for Change { from, to, .. } in changes {
                let drawn = [(Closed, Open), (Open, Probing), (Probing, Open), (Probing, Ramping), (Ramping, Open),
                    (Ramping, Closed)];
                prop_assert!(drawn.contains(&(from, to)), "{:?} -> {:?}", from, to);
            }
        }
        for _ in 0..20 {
            now = now + Span::from_secs(60);
            bench.breaker.settle(now, &bench.config);
            if bench.admit(now) == Verdict::Probe {
                let (serial, _) = bench.breaker.probe(now, &bench.config);
                bench.on(now, Some(serial), Outcome::Good);
            }
        }
        prop_assert_eq!(bench.breaker.state(), Closed);
    }
}
