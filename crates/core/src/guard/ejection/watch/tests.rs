//! Each trigger opens by what it is for and by nothing less, and says why.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::*;
use crate::again::budget::Budget;
use crate::balance::PickPolicy;
use crate::guard::breaker::BreakerState;
use crate::guard::ejection::Shift;
use crate::load::{Cells, FAILURE_PRICE};
use crate::view::{Address, Arm, PoolParts, PoolView, WorkerView};
use crate::worker::{PoolId, Standing, WorkerId};

struct Bench {
    breakers: Breakers,
    draw: Draw,
    pool: PoolView,
}

fn bench(workers: u32, config: &str) -> Bench {
    let worker = |id: u32| WorkerView {
        id: WorkerId(id),
        name: "w".into(),
        url: "http://127.0.0.1:1".into(),
        address: Address::Ip(SocketAddr::from(([127, 0, 0, 1], 1))),
        zone: "".into(),
        standing: Standing::Serving,
        cells: Arc::new(Cells::new(1)),
        drill: None,
    };
    let parts = PoolParts {
        id: PoolId(0),
        name: "api".into(),
        revision: 1,
        workers: (0..workers).map(worker).collect(),
        pick: PickPolicy::RoundRobin,
        learned: vec![1.0; workers as usize],
        fixed: vec![1.0; workers as usize],
        learned_share: Share::ALL,
        breaker: serde_json::from_str(config).expect("valid"),
        budget: Arc::new(Budget::default()),
    };
    let mut bench = Bench { breakers: Breakers::new(0), draw: Draw::seeded(1), pool: PoolView::new(parts, None) };
    bench.out(at(0));
    bench
}

fn at(millis: u64) -> Mono {
    Mono::default() + Span::from_millis(millis)
}

impl Bench {
    /// One try of a worker, as a driver tells of it.
    fn ended(&mut self, now: Mono, slot: usize, probe: Option<u16>, ended: Ended) {
        let worker = &self.pool.workers[slot];
        worker.cells.load.observe(now, ended.took, ended.outcome);
        self.breakers.outcome(now, slot, worker.id, probe, ended, &mut self.draw);
    }

    fn took(&mut self, now: Mono, slot: usize, group: u32, millis: u64) {
        let ended = Ended { outcome: Outcome::Good, took: Span::from_millis(millis), group };
        self.ended(now, slot, None, ended);
    }

    /// Fifty rounds of answers over ten seconds each, `millis` by slot.
    fn rounds(&mut self, from: u64, rounds: u64, millis: &[u64]) {
        for round in 0..rounds * 50 {
            for (slot, millis) in millis.iter().enumerate() {
                self.took(at(from + round * 200), slot, 0, *millis);
            }
        }
    }

    fn out(&mut self, now: Mono) -> Vec<usize> {
        let _ = self.breakers.admit(now, &self.pool, Arm::Learned, false, &mut self.draw);
        let words = self.breakers.kept_out();
        (0..self.pool.workers.len()).filter(|slot| words.first().is_some_and(|word| word >> slot & 1 == 1)).collect()
    }

    fn causes(&mut self) -> Vec<(u32, Cause)> {
        let cause = |what| match what {
            Shift::Breaker { worker, change } => Some((worker.0, change.cause)),
            Shift::Panic(_) => None,
        };
        core::iter::from_fn(|| self.breakers.take_transition()).filter_map(|told| cause(told.what)).collect()
    }
}

fn failed() -> Ended {
    Ended { outcome: Outcome::Failed { price: FAILURE_PRICE }, took: Span::from_millis(1), group: 0 }
}

#[test]
fn one_failure_in_ten_is_proven_by_a_hundred_requests_and_not_by_twenty() {
    let mut bench = bench(3, r#"{"errors": "on"}"#);
    let mut opened = None;
    for request in 0..300_u32 {
        let ended = if request % 10 == 9 { failed() } else { Outcome::Good.into() };
        bench.ended(at(u64::from(request)), 1, None, ended);
        opened = opened.or((!bench.out(at(u64::from(request))).is_empty()).then_some(request));
    }
    assert!((40..200).contains(&opened.expect("opens")), "{opened:?}");
    let told = bench.causes();
    assert!(
        matches!(told[..], [(1, Cause::Tripped { by: Trip::Errors { failed: 5.., of: 40.., .. }, .. })]),
        "{told:?}"
    );
}

#[test]
fn a_share_of_failures_under_the_limit_never_opens() {
    let mut bench = bench(3, r#"{"errors": "on"}"#);
    for request in 0..5_000_u64 {
        let ended = if request % 25 == 24 { failed() } else { Outcome::Good.into() };
        bench.ended(at(request * 5), 1, None, ended);
    }
    assert_eq!(bench.causes(), []);
}

/// A fault behind all of them: who keeps a third out gives its load to those who fail as often.
#[test]
fn a_worker_that_fails_as_often_as_the_others_is_not_to_blame() {
    let mut bench = bench(3, r#"{"consecutive": 1000}"#);
    for request in 0..3_000_u64 {
        for slot in 0..3 {
            let ended = if request % 10 == 9 { failed() } else { Outcome::Good.into() };
            bench.ended(at(request * 5), slot, None, ended);
        }
    }
    assert_eq!(bench.causes(), []);
}

#[test]
fn a_worker_that_fails_three_times_as_often_as_the_others_is_out_with_both_shares() {
    let mut bench = bench(3, r#"{"consecutive": 1000}"#);
    for request in 0..1_500_u64 {
        for (slot, tenths) in [1, 5, 1].into_iter().enumerate() {
            let ended = if request % 10 < tenths { failed() } else { Outcome::Good.into() };
            bench.ended(at(request * 5), slot, None, ended);
        }
    }
    let told = bench.causes();
    let [(1, Cause::Tripped { by: Trip::Errors { proven, others, .. }, .. }), ..] = told[..] else {
        panic!("{told:?}")
    };
    assert!(proven.get() > 2.0 * others.get() && others > Share::NONE, "{proven} {others}");
}

#[test]
fn the_plain_quotient_opens_at_the_first_failure_after_enough_requests() {
    let mut bench = bench(3, r#"{"errors": "on", "error_bound": "plain", "samples": 10}"#);
    (0..8).for_each(|_| bench.ended(at(0), 1, None, Outcome::Good.into()));
    bench.ended(at(0), 1, None, failed());
    assert_eq!(bench.causes(), [], "one of nine is no verdict yet");
    bench.ended(at(0), 1, None, failed());
    assert_eq!(bench.out(at(0)), [1]);
}

#[test]
fn a_worker_at_three_times_the_others_is_out_after_two_windows() {
    let mut bench = bench(4, r#"{"latency": "on"}"#);
    bench.rounds(0, 2, &[30, 90, 30, 30]);
    assert!(bench.out(at(20_000)).is_empty(), "one window is no verdict");
    bench.rounds(20_000, 2, &[30, 90, 30, 30]);
    assert_eq!(bench.out(at(40_000)), [1]);
    let told = bench.causes();
    let [(1, Cause::Tripped { by: Trip::Slow { latency, others, .. }, .. })] = told[..] else { panic!("{told:?}") };
    assert!((88..92).contains(&latency.as_millis()) && (28..32).contains(&others.as_millis()), "{latency} {others}");
}

#[test]
fn in_a_pool_of_two_the_slower_one_is_out_unless_it_counts_itself() {
    for (config, wanted) in [(r#"{"latency": "on"}"#, vec![1]), (r#"{"latency": "on", "include_self": true}"#, vec![])]
    {
        let mut bench = bench(2, config);
        bench.rounds(0, 5, &[30, 90]);
        assert_eq!(bench.out(at(50_000)), wanted, "{config}");
    }
}

#[test]
fn what_is_slow_by_less_than_five_milliseconds_is_not_slow() {
    let mut bench = bench(4, r#"{"latency": "on"}"#);
    bench.rounds(0, 5, &[1, 5, 1, 1]);
    assert!(bench.causes().is_empty());
}

#[test]
fn too_few_answers_say_nothing() {
    let mut bench = bench(4, r#"{"latency": "on", "samples": 80}"#);
    bench.rounds(0, 5, &[30, 90, 30, 30]);
    assert!(bench.causes().is_empty());
}

#[test]
fn a_worker_that_serves_the_dear_route_is_not_slow() {
    let mut bench = bench(3, r#"{"latency": "on"}"#);
    for round in 0..400 {
        let now = at(round * 100);
        // Everybody takes 10 ms for group 0 and 200 ms for group 1; worker 1 gets most of group 1.
        (0..3).for_each(|slot| bench.took(now, slot, u32::from(slot == 1), if slot == 1 { 200 } else { 10 }));
        if round % 4 == 0 {
            (0..3).for_each(|slot| bench.took(now, slot, 1, 200));
        }
    }
    assert_eq!(bench.causes(), []);
}

#[test]
fn a_worker_whose_tries_are_given_up_is_seen_to_be_slow() {
    let mut bench = bench(3, r#"{"latency": "on"}"#);
    for round in 0..250 {
        let now = at(round * 200);
        bench.took(now, 0, 0, 20);
        bench.took(now, 2, 0, 20);
        let lost = Ended { outcome: Outcome::Cancelled, took: Span::from_millis(80), group: 0 };
        bench.ended(now, 1, None, lost);
    }
    assert_eq!(bench.out(at(50_000)), [1]);
}

#[test]
fn the_slowest_goes_first_where_only_one_may() {
    let mut bench = bench(5, r#"{"latency": "on"}"#);
    bench.rounds(0, 4, &[30, 90, 200, 30, 30]);
    assert_eq!(bench.out(at(40_000)), [2]);
}

#[test]
fn a_probe_that_is_good_but_slow_opens_it_again_and_a_fast_one_does_not() {
    let mut bench = bench(4, r#"{"latency": "on"}"#);
    bench.rounds(0, 4, &[30, 90, 30, 30]);
    assert_eq!(bench.out(at(40_000)), [1]);
    let mut now = at(60_000);
    for (millis, wanted) in [(60, BreakerState::Open), (35, BreakerState::Probing)] {
        let probe = bench.breakers.admit(now, &bench.pool, Arm::Learned, true, &mut bench.draw).expect("due");
        let ended = Ended { outcome: Outcome::Good, took: Span::from_millis(millis), group: 0 };
        bench.ended(now, 1, Some(probe.serial), ended);
        assert_eq!(bench.pool.workers[1].cells.breaker(), wanted, "{millis}");
        now = now + Span::from_secs(60);
    }
    let told = bench.causes();
    let slow = |cause: &Cause| matches!(cause, Cause::Tripped { by: Trip::SlowProbe { .. }, .. });
    assert_eq!(told.iter().filter(|(_, cause)| slow(cause)).count(), 1, "{told:?}");
}

#[test]
fn the_only_worker_is_kept_out_by_an_absolute_latency_and_by_nothing_else() {
    let mut slow = bench(1, r#"{"slow_over": "1s"}"#);
    slow.rounds(0, 4, &[1_500]);
    assert_eq!(slow.out(at(40_000)), [0]);
    let mut failing = bench(1, r#"{"slow_over": "1s"}"#);
    (0..5).for_each(|_| failing.ended(at(0), 0, None, failed()));
    assert!(failing.out(at(0)).is_empty());
    assert_eq!(failing.pool.workers[0].cells.breaker(), BreakerState::Open);
}

#[test]
fn a_worker_that_says_its_queue_is_too_long_is_believed_for_a_second() {
    let mut bench = bench(3, r#"{"queue_most": 10}"#);
    bench.pool.workers[2].cells.load.hear_queue(at(0), 11);
    bench.ended(at(1_500), 2, None, Outcome::Good.into());
    assert!(bench.out(at(1_500)).is_empty());
    bench.pool.workers[2].cells.load.hear_queue(at(1_600), 11);
    bench.ended(at(1_700), 2, None, Outcome::Good.into());
    assert_eq!(bench.out(at(1_700)), [2]);
}

#[test]
fn a_watched_trigger_says_what_it_would_have_done_and_keeps_nobody_out() {
    let mut bench = bench(4, r#"{"latency": "observe", "errors": "observe"}"#);
    bench.rounds(0, 4, &[30, 90, 30, 30]);
    assert!(bench.out(at(40_000)).is_empty());
    let told = bench.causes();
    assert!(matches!(told[0], (1, Cause::Observed { by: Trip::Slow { .. } })), "{told:?}");
    assert_eq!(bench.pool.workers[1].cells.breakers().opened, 0);
}

#[test]
fn with_every_trigger_off_only_failures_in_a_row_open() {
    let mut bench = bench(4, r#"{"errors": "off"}"#);
    bench.pool.workers[1].cells.load.hear_queue(at(0), 1_000);
    bench.rounds(0, 5, &[30, 9_000, 30, 30]);
    for request in 0..400_u64 {
        let ended = if request % 2 == 1 { failed() } else { Outcome::Good.into() };
        bench.ended(at(60_000 + request), 1, None, ended);
    }
    assert_eq!(bench.causes(), []);
}
