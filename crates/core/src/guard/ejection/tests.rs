//! A seat's breakers together: how many may be out, panic, probes, views that change, and what is told of it.

use alloc::sync::Arc;
use alloc::vec;
use core::net::SocketAddr;

use super::*;
use crate::again::budget::Budget;
use crate::balance::PickPolicy;
use crate::load::FAILURE_PRICE;
use crate::share::Share;
use crate::time::Span;
use crate::view::{Address, PoolParts, WorkerView};
use crate::worker::{PoolId, Standing};

const FAILED: Outcome = Outcome::Failed { price: FAILURE_PRICE };

struct Bench {
    breakers: Breakers,
    draw: Draw,
    cells: Vec<Arc<Cells>>,
    pool: PoolView,
}

fn view(revision: u64, ids: &[u32], weights: &[f64], cells: &[Arc<Cells>]) -> PoolView {
    let worker = |id: &u32| WorkerView {
        id: WorkerId(*id),
        name: "w".into(),
        url: "http://127.0.0.1:1".into(),
        address: Address::Ip(SocketAddr::from(([127, 0, 0, 1], 1))),
        zone: "".into(),
        standing: Standing::Serving,
        cells: Arc::clone(&cells[*id as usize]),
        drill: None,
    };
    let parts = PoolParts {
        id: PoolId(0),
        name: "api".into(),
        revision,
        workers: ids.iter().map(worker).collect(),
        pick: PickPolicy::RoundRobin,
        learned: weights.to_vec(),
        fixed: vec![1.0; ids.len()],
        learned_share: Share::ALL,
        breaker: BreakerConfig::default(),
        budget: Arc::new(Budget::default()),
    };
    PoolView::new(parts, None)
}

fn bench(count: u32) -> Bench {
    let cells: Vec<Arc<Cells>> = (0..count.max(12)).map(|_| Arc::new(Cells::new(2))).collect();
    let ids: Vec<u32> = (0..count).collect();
    let pool = view(1, &ids, &vec![1.0; ids.len()], &cells);
    Bench { breakers: Breakers::new(1), draw: Draw::seeded(1), cells, pool }
}

fn at(millis: u64) -> Mono {
    Mono::default() + Span::from_millis(millis)
}

impl Bench {
    fn fail(&mut self, now: Mono, slot: usize) {
        self.admit(now, false);
        for _ in 0..5 {
            let worker = self.pool.workers[slot].id;
            self.breakers.outcome(now, slot, worker, None, FAILED, &mut self.draw);
        }
    }

    fn admit(&mut self, now: Mono, may_probe: bool) -> Option<Probe> {
        self.breakers.admit(now, &self.pool, Arm::Learned, may_probe, &mut self.draw)
    }

    fn out(&mut self, now: Mono) -> Vec<usize> {
        self.admit(now, false);
        let words = self.breakers.kept_out();
        (0..self.pool.workers.len())
            .filter(|slot| words.get(slot / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1))
            .collect()
    }

    fn answer(&mut self, now: Mono, probe: Probe, outcome: Outcome) {
        let worker = self.pool.workers[probe.slot].id;
        self.breakers.outcome(now, probe.slot, worker, Some(probe.serial), outcome, &mut self.draw);
    }
}

#[test]
fn a_third_of_the_pool_is_out_at_most() {
    let mut bench = bench(9);
    (0..9).for_each(|slot| bench.fail(at(0), slot));
    assert_eq!(bench.out(at(0)), [0, 1, 2]);
}

#[test]
fn one_of_two_may_be_out() {
    let mut bench = bench(2);
    (0..2).for_each(|slot| bench.fail(at(0), slot));
    assert_eq!(bench.out(at(0)), [0]);
}

#[test]
fn the_only_worker_is_asked_even_with_its_breaker_open() {
    let mut bench = bench(1);
    bench.fail(at(0), 0);
    assert!(bench.out(at(0)).is_empty());
    assert_eq!(bench.cells[0].breaker(), BreakerState::Open);
}

#[test]
fn with_under_half_of_the_pool_usable_nobody_is_kept_out() {
    let mut bench = bench(6);
    bench.fail(at(0), 0);
    bench.fail(at(0), 1);
    assert_eq!(bench.out(at(0)), [0, 1]);
    // The slow loop gives two more no weight: two of six are left.
    bench.pool = view(2, &[0, 1, 2, 3, 4, 5], &[1.0, 1.0, 0.0, 0.0, 1.0, 1.0], &bench.cells);
    assert!(bench.out(at(1)).is_empty());
}

#[test]
fn breakers_follow_their_workers_to_other_slots_of_a_new_view() {
    let mut bench = bench(6);
    bench.fail(at(0), 1);
    bench.pool = view(2, &[5, 4, 1, 7, 8, 9], &[3.0; 6], &bench.cells);
    assert_eq!(bench.out(at(1)), [2]);
}

#[test]
fn an_outcome_is_counted_for_the_worker_it_came_from_though_slots_have_moved() {
    let mut bench = bench(6);
    bench.admit(at(0), false);
    bench.pool = view(2, &[5, 4, 3, 2, 1, 0], &[1.0; 6], &bench.cells);
    bench.admit(at(0), false);
    for _ in 0..5 {
        bench.breakers.outcome(at(0), 0, WorkerId(0), None, FAILED, &mut bench.draw);
    }
    assert_eq!(bench.out(at(0)), [5]);
}

#[test]
fn an_outcome_of_a_worker_that_left_is_ignored() {
    let mut bench = bench(6);
    bench.admit(at(0), false);
    (0..9).for_each(|_| bench.breakers.outcome(at(0), 0, WorkerId(11), None, FAILED, &mut bench.draw));
    assert!(bench.out(at(0)).is_empty());
}

#[test]
fn a_due_probe_is_sent_once_and_only_by_a_request_that_may_carry_it() {
    let mut bench = bench(6);
    bench.fail(at(0), 3);
    assert_eq!(bench.admit(at(12_000), false), None);
    assert_eq!(bench.admit(at(12_000), true).map(|probe| probe.slot), Some(3));
    assert_eq!(bench.admit(at(12_000), true), None);
    assert_eq!(bench.out(at(12_000)), [3]);
}

#[test]
fn a_worker_that_is_to_get_nothing_is_not_probed_either() {
    let mut bench = bench(6);
    bench.fail(at(0), 3);
    bench.pool = view(2, &[0, 1, 2, 3, 4, 5], &[1.0, 1.0, 1.0, 0.0, 1.0, 1.0], &bench.cells);
    assert_eq!(bench.admit(at(12_000), true), None);
}

#[test]
fn three_good_probes_start_the_ramp_and_make_the_worker_new() {
    let mut bench = bench(6);
    // It said that it would be back in a minute: without good probes that would hold.
    bench.cells[3].load.observe(at(0), Span::ZERO, Outcome::Failed { price: Span::from_secs(60) });
    bench.fail(at(0), 3);
    for _ in 0..3 {
        assert!(bench.cells[3].load.latency(at(12_000)).is_some());
        let probe = bench.admit(at(12_000), true).expect("due");
        bench.answer(at(12_001), probe, Outcome::Good);
    }
    assert_eq!(bench.cells[3].breaker(), BreakerState::Ramping);
    assert_eq!(bench.cells[3].load.latency(at(12_001)), None);
}

#[test]
fn during_the_ramp_a_growing_part_of_the_requests_may_go_there() {
    let mut bench = bench(6);
    bench.fail(at(0), 3);
    for _ in 0..3 {
        let probe = bench.admit(at(12_000), true).expect("due");
        bench.answer(at(12_000), probe, Outcome::Good);
    }
    let let_in = |bench: &mut Bench, now| (0..2_000).filter(|_| bench.out(now).is_empty()).count();
    assert!((120..280).contains(&let_in(&mut bench, at(12_000))));
    assert!((1_000..1_200).contains(&let_in(&mut bench, at(27_000))));
    assert_eq!(let_in(&mut bench, at(42_000)), 2_000);
    assert_eq!(bench.cells[3].breaker(), BreakerState::Closed);
}

#[test]
fn who_is_out_by_the_lot_of_a_ramp_serves_when_nobody_else_can() {
    let mut bench = bench(6);
    bench.fail(at(0), 3);
    for _ in 0..3 {
        let probe = bench.admit(at(12_000), true).expect("due");
        bench.answer(at(12_000), probe, Outcome::Good);
    }
    while bench.out(at(12_000)).is_empty() {}
    assert!(bench.breakers.soften());
    assert!(bench.breakers.kept_out().iter().all(|word| *word == 0));
}

#[test]
fn every_change_is_told_once_in_order() {
    let mut bench = bench(6);
    bench.fail(at(0), 3);
    let probe = bench.admit(at(12_000), true).expect("due");
    bench.answer(at(12_500), probe, FAILED);
    let told: Vec<_> = core::iter::from_fn(|| bench.breakers.take_transition())
        .filter_map(|told| match told.what {
            Shift::Breaker { worker, change } => Some((told.at, worker.0, change.from, change.to)),
            Shift::Panic(_) => None,
        })
        .collect();
    assert_eq!(
        told,
        [
            (at(0), 3, BreakerState::Closed, BreakerState::Open),
            (at(12_000), 3, BreakerState::Open, BreakerState::Probing),
            (at(12_500), 3, BreakerState::Probing, BreakerState::Open),
        ]
    );
}

#[test]
fn cells_tell_the_state_of_the_seat_that_keeps_most_out() {
    let mut bench = bench(6);
    bench.fail(at(0), 2);
    bench.cells[2].publish_breaker(0, BreakerState::Ramping);
    assert_eq!(bench.cells[2].breaker(), BreakerState::Open);
}

fn told(bench: &mut Bench) -> Vec<Shift> {
    core::iter::from_fn(|| bench.breakers.take_transition()).map(|told| told.what).collect()
}

#[test]
fn an_ejection_that_the_cap_refuses_is_told_once_a_window_with_its_figures() {
    let mut bench = bench(6);
    (0..3).for_each(|slot| bench.fail(at(0), slot));
    bench.fail(at(14_000), 2);
    let refused = |told: &[Shift]| -> Vec<Cause> {
        let of = |shift: &Shift| match shift {
            Shift::Breaker { worker: WorkerId(2), change } => Some(change.cause),
            Shift::Breaker { .. } | Shift::Panic(_) => None,
        };
        told.iter().filter_map(of).collect()
    };
    let by = Trip::Consecutive { failures: 5, limit: 5 };
    assert_eq!(refused(&told(&mut bench)), [Cause::Refused { by, out: 2, most: 2 }]);
    bench.fail(at(15_000), 2);
    assert_eq!(refused(&told(&mut bench)).len(), 1);
}

#[test]
fn panic_is_told_when_it_begins_and_when_it_is_over() {
    let mut bench = bench(1);
    bench.fail(at(0), 0);
    bench.out(at(1));
    bench.out(at(2));
    let panics = |bench: &mut Bench| -> Vec<Panic> {
        let of = |shift| if let Shift::Panic(panic) = shift { Some(panic) } else { None };
        told(bench).into_iter().filter_map(of).collect()
    };
    let under = Share::percent(50);
    assert_eq!(panics(&mut bench), [Panic { on: true, usable: 0, of: 1, under }]);
    for _ in 0..3 {
        let probe = bench.admit(at(12_000), true).expect("due");
        bench.answer(at(12_000), probe, Outcome::Good);
    }
    bench.out(at(12_001));
    assert_eq!(panics(&mut bench), [Panic { on: false, usable: 1, of: 1, under }]);
}

#[test]
fn panic_is_over_when_the_worker_that_brought_it_leaves() {
    let mut bench = bench(1);
    bench.fail(at(0), 0);
    bench.out(at(1));
    bench.pool = view(2, &[3], &[1.0], &bench.cells);
    bench.out(at(2));
    let last = told(&mut bench).pop().expect("told");
    assert!(matches!(last, Shift::Panic(Panic { on: false, .. })), "{last:?}");
}

#[test]
fn who_comes_too_late_is_told_how_much_was_missed() {
    let mut bench = bench(1);
    for round in 0..u64::try_from(RECENT).expect("small") {
        bench.fail(at(round * 80_000), 0);
        let probe = bench.admit(at(round * 80_000 + 75_000), true).expect("due");
        bench.answer(at(round * 80_000 + 75_000), probe, Outcome::Cancelled);
        let probe = bench.admit(at(round * 80_000 + 76_000), true).expect("due");
        bench.answer(at(round * 80_000 + 76_000), probe, FAILED);
    }
    let all: Vec<_> = core::iter::from_fn(|| bench.breakers.take_transition()).collect();
    assert_eq!(all.len(), RECENT);
    assert!(all[0].lost > 0 && all[1..].iter().all(|later| later.lost == 0), "{:?}", all[0]);
}
