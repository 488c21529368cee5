//! What requests make of the table: whom a seat picks for a request that came from a zone.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::super::table::{Plan, ZoneTable};
use super::super::{Flows, Home};
use crate::again::budget::Budget;
use crate::attempt::{Asked, Attempt, AttemptConfig, Desk, Effect, Effects, Event, Failure, FailureKind, Repeat, Seat};
use crate::balance::PickPolicy;
use crate::guard::breaker::BreakerConfig;
use crate::load::Cells;
use crate::share::Share;
use crate::time::Mono;
use crate::view::{Address, PoolParts, PoolView, WorkerView};
use crate::worker::{PoolId, Standing, WorkerId};

/// Workers 0 and 1 in zone a, 2 and 3 in zone b; `out` takes nothing. Home a goes by `shares`.
fn pool(pick: PickPolicy, out: &[u32], shares: [f64; 2], acts: bool) -> (PoolView, Arc<Flows>) {
    let worker = |id: u32| WorkerView {
        id: WorkerId(id),
        name: alloc::format!("w-{id}").into(),
        url: "http://127.0.0.1:1".into(),
        address: Address::Ip(SocketAddr::from(([127, 0, 0, 1], 1))),
        zone: if id < 2 { "a" } else { "b" }.into(),
        standing: if out.contains(&id) { Standing::Draining } else { Standing::Serving },
        cells: Arc::new(Cells::new(1)),
        drill: None,
    };
    let parts = PoolParts {
        id: PoolId(0),
        name: "api".into(),
        revision: 1,
        workers: (0..4).map(worker).collect(),
        pick,
        learned: [1.0; 4].into(),
        fixed: [1.0; 4].into(),
        learned_share: Share::ALL,
        breaker: BreakerConfig::default(),
        budget: Arc::new(Budget::default()),
    };
    let flows: Arc<Flows> = Arc::default();
    let plans: Vec<Plan> = [
        Plan { name: "a".into(), shares: shares.into(), part: 0.5 },
        Plan { name: "b".into(), shares: [0.0, 1.0].into(), part: 0.5 },
    ]
    .into();
    (PoolView::new(parts, None).zoned(ZoneTable::new(acts, plans, Arc::clone(&flows))), flows)
}

/// How many of 1,000 requests from `home` each worker gets.
fn picked(pool: &PoolView, home: Option<&str>) -> [u32; 4] {
    let mut seat = Seat::new(0, pool.pick, 7);
    let config = AttemptConfig::default();
    let mut counts = [0; 4];
    for _ in 0..1_000 {
        let asked = Asked { home: home.map(Home::of), ..Asked::default() };
        let mut attempt = Attempt::new(Mono::default(), &config, asked);
        let mut effects = Effects::new();
        attempt.on(Mono::default(), Event::Start, &mut Desk { pool, seat: &mut seat }, &mut effects);
        for effect in effects {
            if let Effect::Send(_, pick) = effect {
                counts[pick.slot] += 1;
            }
        }
    }
    counts
}

#[test]
fn every_pick_serves_requests_in_their_zone_by_its_shares() {
    for pick in PickPolicy::ALL.into_iter().filter(|pick| *pick != PickPolicy::Ring) {
        let (pool, flows) = pool(pick, &[], [0.75, 0.25], true);
        let counts = picked(&pool, Some("a"));
        assert!((700..800).contains(&(counts[0] + counts[1])), "{pick:?}: {counts:?}");
        assert!(counts.iter().all(|count| *count > 80), "{pick:?}: {counts:?}");
        assert_eq!((flows.of(0, 0) + flows.of(0, 1), flows.from(1)), (1_000, 0), "{pick:?}");
    }
}

#[test]
fn a_zone_that_nobody_is_left_in_is_passed_over_at_once() {
    let (pool, flows) = pool(PickPolicy::LeastRequest, &[0, 1], [1.0, 0.0], true);
    let counts = picked(&pool, Some("a"));
    assert_eq!((counts[0] + counts[1], counts[2] + counts[3]), (0, 1_000));
    assert_eq!(flows.of(0, 1), 1_000);
}

#[test]
fn a_request_that_failed_twice_at_home_is_tried_elsewhere() {
    let (pool, _) = pool(PickPolicy::LeastRequest, &[], [1.0, 0.0], true);
    let mut seat = Seat::new(0, pool.pick, 7);
    let config = AttemptConfig::default();
    let asked = Asked { home: Some(Home::of("a")), ..Asked::default() };
    let mut attempt = Attempt::new(Mono::default(), &config, asked);
    let refused = Failure { kind: FailureKind::Connect, repeat: Repeat::Unsent };
    let (mut event, mut now, mut slots) = (Event::Start, Mono::default(), Vec::new());
    for _ in 0..6 {
        let mut effects = Effects::new();
        attempt.on(now, event, &mut Desk { pool: &pool, seat: &mut seat }, &mut effects);
        event = match effects.first() {
            Some(Effect::Send(id, pick)) => {
                slots.push(pick.slot);
                Event::Failed(*id, refused)
            }
            Some(_) => break,
            // Its backoff.
            None => {
                now = attempt.deadline().expect("it waits");
                Event::Due
            }
        };
    }
    assert!(slots[0] < 2 && slots[1] < 2 && slots[2] >= 2, "{slots:?}");
}

#[test]
fn requests_of_no_zone_go_to_the_whole_pool() {
    let (pool, _) = pool(PickPolicy::RoundRobin, &[], [1.0, 0.0], true);
    assert_eq!(picked(&pool, None), [250; 4]);
    assert_eq!(picked(&pool, Some("elsewhere")), [250; 4]);
}

#[test]
fn zones_that_are_watched_move_nothing_and_count() {
    let (pool, flows) = pool(PickPolicy::RoundRobin, &[], [1.0, 0.0], false);
    assert_eq!(picked(&pool, Some("a")), [250; 4]);
    assert_eq!(flows.of(0, 1), 500);
}

#[test]
fn the_intended_shares_are_those_that_requests_get() {
    let (pool, _) = pool(PickPolicy::WeightedRandom, &[0], [0.6, 0.4], true);
    let shares: Vec<f64> = (0..4).map(|slot| pool.share(slot)).collect();
    // Half of the requests are of home a: 0.6 of them to its one worker, 0.4 to b; the other half is of home b.
    for (share, wanted) in shares.iter().zip([0.0, 0.3, 0.35, 0.35]) {
        assert!((share - wanted).abs() < 1e-9, "{shares:?}");
    }
}

#[test]
fn the_shares_of_one_home_are_those_that_its_requests_get() {
    let (both, _) = pool(PickPolicy::WeightedRandom, &[0], [0.6, 0.4], true);
    let shares = |pool: &PoolView, home: Option<&str>| -> Vec<f64> {
        (0..4).map(|slot| pool.share_of(slot, home.map(Home::of))).collect()
    };
    let near = |got: Vec<f64>, wanted: [f64; 4]| {
        assert!(got.iter().zip(wanted).all(|(got, wanted)| (got - wanted).abs() < 1e-9), "{got:?} for {wanted:?}");
    };
    near(shares(&both, Some("a")), [0.0, 0.6, 0.2, 0.2]);
    near(shares(&both, Some("b")), [0.0, 0.0, 0.5, 0.5]);
    let third = 1.0 / 3.0;
    near(shares(&both, Some("nowhere")), [0.0, third, third, third]);
    near(shares(&both, None), [0.0, 0.3, 0.35, 0.35]);
    let (nobody_at_home, _) = pool(PickPolicy::WeightedRandom, &[0, 1], [1.0, 0.0], true);
    near(shares(&nobody_at_home, Some("a")), [0.0, 0.0, 0.5, 0.5]);
    let (watched, _) = pool(PickPolicy::WeightedRandom, &[], [1.0, 0.0], false);
    near(shares(&watched, Some("a")), [0.25; 4]);
}
