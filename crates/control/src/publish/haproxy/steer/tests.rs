//! What is set at a HAProxy, and what is left alone, from one look at it.

use std::sync::Arc;

use ambidex_core::share::Share;
use ambidex_core::view::PoolParts;
use ambidex_core::zone::{Plan, ZoneTable};
use proptest::prelude::*;

use super::super::super::sample::pool;
use super::super::told::Counters;
use super::*;

/// Server w{number}, at the address of that worker.
pub(crate) fn server(number: u16, weight: u32) -> Server {
    Server {
        name: format!("w{number}"),
        address: Some(([10, 0, 0, 1], 8000 + number).into()),
        weight,
        configured: 1,
        out: Out::No,
        backup: false,
        up: true,
        slow_start: false,
        counters: Counters::default(),
    }
}

pub(crate) fn backend(servers: Vec<Server>) -> Backend {
    Backend { algorithm: "roundrobin".into(), servers }
}

fn steered(pool: &PoolView, servers: Vec<Server>, kept: &Servers) -> Steering {
    let backend = backend(servers);
    steer("app", pool, &backend, &matches(pool, &backend), kept, None)
}

fn told(steering: &Steering) -> Vec<String> {
    steering.changes.iter().map(Change::to_string).collect()
}

fn drained_by_us() -> Servers {
    [("w1".to_owned(), Found { weight: 1, drained: true })].into()
}

#[test]
fn an_average_worker_has_64_and_the_others_in_proportion() {
    let steering = steered(&pool(&[1.5, 0.5]), vec![server(1, 1), server(2, 1)], &Servers::new());
    assert_eq!(told(&steering), ["weight of app/w1: 1 to 96", "weight of app/w2: 1 to 32"]);
    assert_eq!(steering.changes[0].command(), "set server app/w1 weight 96");
    assert_eq!(steering.remarks, Vec::<String>::new());
}

#[test]
fn what_hardly_differs_is_not_changed() {
    let steering = steered(&pool(&[1.0, 1.0]), vec![server(1, 65), server(2, 63)], &Servers::new());
    assert_eq!(told(&steering), Vec::<String>::new());
    let steering = steered(&pool(&[0.05, 1.95]), vec![server(1, 4), server(2, 125)], &Servers::new());
    assert_eq!(told(&steering), ["weight of app/w1: 4 to 3"], "of small weights a step is much");
}

#[test]
fn workers_are_found_by_name_and_else_by_address_and_strangers_are_told() {
    let other = |number, name: &str| Server { name: name.into(), ..server(number, 64) };
    let backend = backend(vec![other(2, "old"), other(7, "w3"), other(9, "else")]);
    let pool = pool(&[1.0, 1.0, 1.0]);
    assert_eq!(matches(&pool, &backend), [Some(1), Some(2), None]);
    let remarks = steer("app", &pool, &backend, &matches(&pool, &backend), &Servers::new(), None).remarks;
    assert!(remarks[0].contains("no workers of pool api, by name or address: else (10.0.0.1:8009)"), "{remarks:?}");
    assert!(remarks[1].contains("no servers of app, by name or address: w1"), "{remarks:?}");
}

#[test]
fn two_servers_of_one_address_are_one_worker_and_a_stranger() {
    let twin = Server { name: "twin".into(), ..server(1, 64) };
    let backend = backend(vec![twin, server(1, 64)]);
    assert_eq!(matches(&pool(&[1.0]), &backend), [None, Some(0)]);
}

#[test]
fn beside_servers_that_are_no_workers_ours_keep_their_sum() {
    let stranger = Server { name: "else".into(), address: None, configured: 10, ..server(9, 10) };
    let ten = |number| Server { configured: 10, ..server(number, 10) };
    let steering = steered(&pool(&[1.5, 0.5]), vec![ten(1), ten(2), stranger], &Servers::new());
    assert_eq!(told(&steering), ["weight of app/w1: 10 to 15", "weight of app/w2: 10 to 5"]);
}

#[test]
fn who_is_drained_here_is_drained_there_and_comes_back() {
    let steering = steered(&pool(&[-1.0, 1.0]), vec![server(1, 64), server(2, 64)], &Servers::new());
    assert_eq!(told(&steering), ["drain app/w1"]);
    let out = Server { out: Out::Drain, ..server(1, 64) };
    let steering = steered(&pool(&[-1.0, 1.0]), vec![out.clone(), server(2, 64)], &drained_by_us());
    assert_eq!(told(&steering), Vec::<String>::new());
    let steering = steered(&pool(&[1.0, 1.0]), vec![out, server(2, 64)], &drained_by_us());
    assert_eq!(told(&steering), ["end the drain of app/w1"]);
}

#[test]
fn what_was_set_by_hand_in_haproxy_stays() {
    let by_hand = [
        (Server { out: Out::Maintenance, ..server(1, 1) }, "in maintenance"),
        (Server { out: Out::Drain, ..server(1, 1) }, "not from here"),
        (server(1, 0), "is 0"),
    ];
    for (server_by_hand, why) in by_hand {
        for weight in [1.0, -1.0] {
            let steering = steered(&pool(&[weight, 1.0]), vec![server_by_hand.clone(), server(2, 64)], &Servers::new());
            assert_eq!(told(&steering), Vec::<String>::new());
            assert!(steering.remarks.iter().any(|remark| remark.contains(why)), "{:?}", steering.remarks);
        }
    }
    let maintained = Server { out: Out::Maintenance, ..server(1, 1) };
    assert_eq!(
        told(&steered(&pool(&[1.0, 1.0]), vec![maintained, server(2, 64)], &drained_by_us())),
        Vec::<String>::new()
    );
}

#[test]
fn a_server_that_haproxy_brings_back_slowly_is_cut_and_not_pushed() {
    let slow = |weight| Server { slow_start: true, ..server(1, weight) };
    assert_eq!(
        told(&steered(&pool(&[1.0, 1.0]), vec![slow(10), server(2, 64)], &Servers::new())),
        Vec::<String>::new()
    );
    let cut = steered(&pool(&[0.5, 1.5]), vec![slow(64), server(2, 96)], &Servers::new());
    assert_eq!(told(&cut), ["weight of app/w1: 64 to 32"]);
}

#[test]
fn a_pool_that_is_out_as_a_whole_changes_nothing() {
    let steering = steered(&pool(&[-1.0, -1.0]), vec![server(1, 64), server(2, 64)], &Servers::new());
    assert_eq!(steering.changes, []);
    assert!(steering.remarks[0].contains("left as it is"), "{:?}", steering.remarks);
}

proptest! {
    #[test]
    fn weights_are_within_haproxys_and_in_proportion(weights in prop::collection::vec(0.05_f64..50.0, 2..40)) {
        let pool = pool(&weights);
        let servers = (1..).zip(&weights).map(|(number, _)| server(number, 1_000)).collect();
        let steering = steered(&pool, servers, &Servers::new());
        prop_assert_eq!(steering.changes.len(), weights.len());
        let largest = weights.iter().copied().fold(0.0, f64::max);
        let to: Vec<f64> = steering.changes.iter().map(|change| match change.what {
            What::Weight(to) => f64::from(to),
            What::Drain | What::Ready => f64::NAN,
        }).collect();
        let most = to.iter().copied().fold(0.0, f64::max);
        prop_assert!(to.iter().all(|to| (1.0..=256.0).contains(to)));
        for (weight, to) in weights.iter().zip(&to) {
            prop_assert!((to - weight / largest * most).abs() <= 1.01, "{} of {}: {}", weight, largest, to);
        }
    }
}

/// Workers w1 and w2 in zone a, the others in zone b; requests of a go by these shares.
fn zoned(workers: usize, shares: [f64; 2]) -> PoolView {
    let known = pool(&vec![1.0; workers]);
    let mut members = known.workers.clone();
    members.iter_mut().enumerate().for_each(|(at, worker)| worker.zone = if at < 2 { "a" } else { "b" }.into());
    let parts = PoolParts {
        id: known.id,
        name: Arc::clone(&known.name),
        revision: 1,
        workers: members,
        pick: known.pick,
        learned: vec![1.0; workers],
        fixed: vec![1.0; workers],
        learned_share: Share::ALL,
        breaker: known.breaker,
        budget: Arc::clone(&known.budget),
    };
    let plan = |name: &str, shares: [f64; 2]| Plan { name: name.into(), shares: shares.into(), part: 0.5 };
    let plans = vec![plan("a", shares), plan("b", [0.0, 1.0])];
    PoolView::new(parts, None).zoned(ZoneTable::new(true, plans, Arc::default()))
}

fn weights(pool: &PoolView, zone: &str) -> (Vec<u32>, Vec<String>) {
    let backend = backend((1..).take(pool.workers.len()).map(|number| server(number, 10)).collect());
    let steering = steer("app", pool, &backend, &matches(pool, &backend), &Servers::new(), Some(Home::of(zone)));
    let weight = |change: &Change| if let What::Weight(to) = change.what { to } else { panic!("{change}") };
    (steering.changes.iter().map(weight).collect(), steering.remarks)
}

#[test]
fn requests_of_one_zone_go_by_its_shares_and_those_of_no_known_one_by_the_pool_s() {
    let pool = zoned(4, [0.75, 0.25]);
    assert_eq!(weights(&pool, "a"), (vec![96, 96, 32, 32], Vec::new()));
    assert_eq!(weights(&pool, "nowhere").0, [64; 4]);
}

#[test]
fn a_zone_that_is_to_get_nothing_keeps_the_least_weight_and_much_of_that_is_told() {
    assert_eq!(weights(&zoned(4, [1.0, 0.0]), "a"), (vec![128, 128, 1, 1], Vec::new()));
    let (weights, remarks) = weights(&zoned(102, [1.0, 0.0]), "a");
    assert_eq!((weights[0], weights[2]), (204, 1));
    assert!(remarks.iter().any(|remark| remark.contains("20 % go to other zones")), "{remarks:?}");
}
