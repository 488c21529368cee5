//! A store that is away, slow, started anew, brought back from an older state, or guarded: who leads then, and what is told.

use std::fs;

use crate::peers::{Etcd, Redis};
use crate::process::{Running, until};
use crate::scene::{Cast, followed, leads, learned, load, moved, status, term, wait_ready, weights};

fn fault(running: &Running) -> String {
    status(running)["election"]["fault"].as_str().unwrap_or_default().to_owned()
}

fn in_etcd(etcd: &Etcd) -> String {
    format!("etcd: {}", etcd.section())
}

#[test]
fn without_its_store_a_leader_leads_for_as_long_as_its_lease_lasts_and_requests_go_by_the_last_weights() {
    let mut etcd = Etcd::start();
    let cast = Cast::of(&in_etcd(&etcd));
    let first = cast.coordinator("first");
    until(|| leads(&first).then_some(()));
    let gateway = cast.gateway(&[&first]);
    wait_ready(&gateway);
    let load = load(&gateway);
    learned(&gateway);
    etcd.stop();
    until(|| (!leads(&first)).then_some(()));
    assert!(fault(&first).contains("etcd is away"), "{}", fault(&first));
    until(|| followed(&gateway).is_none().then_some(()));
    let before = weights(&gateway);
    let sent = load.so_far().ok;
    until(|| (load.so_far().ok > sent + 100).then_some(()));
    etcd.begin();
    until(|| leads(&first).then_some(()));
    until(|| followed(&gateway).filter(|term| *term > 1));
    let by = moved(&before, &weights(&gateway));
    assert!(by <= 0.01, "moved by {by}");
    until(|| fault(&first).is_empty().then_some(()));
    assert_eq!(load.so_far().failures.total(), 0);
    drop((load, gateway, first));
    cast.end();
}

/// What it wrote down then is older than what it knows, and so is the term.
#[test]
fn a_store_that_was_brought_back_from_an_older_state_moves_no_weight() {
    let mut etcd = Etcd::start();
    let cast = Cast::of(&in_etcd(&etcd));
    let first = cast.coordinator("first");
    until(|| leads(&first).then_some(()));
    let second = cast.coordinator("second");
    let gateway = cast.gateway(&[&first, &second]);
    wait_ready(&gateway);
    // As it is now, before anything was learned; the leader goes on, or another one does.
    let kept = etcd.snapshot();
    let load = load(&gateway);
    learned(&gateway);
    // Beyond the steps of the first seconds.
    let sent = load.so_far().ok;
    until(|| (load.so_far().ok > sent + 600).then_some(()));
    let then = until(|| followed(&gateway));
    etcd.stop();
    until(|| followed(&gateway).is_none().then_some(()));
    let before = weights(&gateway);
    etcd.restore(&kept);
    until(|| followed(&gateway).filter(|term| *term > then));
    let by = moved(&before, &weights(&gateway));
    // Who stood by knows what it has read last, up to half a second ago. In what came back the two were alike: 1, and not 0.4.
    assert!(by <= 0.15, "moved by {by}: {before:?}");
    assert_eq!(load.so_far().failures.total(), 0);
    drop((load, gateway, first, second));
    cast.end();
}

#[test]
fn a_store_that_is_slow_for_less_than_the_lease_changes_nothing() {
    let etcd = Etcd::start();
    let cast = Cast::of(&format!("lease: 10s, {}", in_etcd(&etcd)));
    let first = cast.coordinator("first");
    until(|| leads(&first).then_some(()));
    etcd.signal("STOP");
    until(|| fault(&first).contains("etcd is away").then_some(()));
    etcd.signal("CONT");
    until(|| fault(&first).is_empty().then_some(()));
    assert!(leads(&first) && term(&first) == 1);
    drop(first);
    cast.end();
}

#[test]
fn a_redis_that_forgets_everything_is_asked_anew_under_a_later_term() {
    let redis = Redis::start();
    let cast = Cast::of(&format!("redis: {}", redis.section().replace("2s", "500ms")));
    let first = cast.coordinator("first");
    until(|| leads(&first).then_some(()));
    redis.flush();
    until(|| (leads(&first) && term(&first) > 1).then_some(()));
    drop(redis);
    until(|| (!leads(&first)).then_some(()));
    assert!(fault(&first).contains("the shared store"), "{}", fault(&first));
    drop(first);
    cast.end();
}

#[test]
fn two_coordinators_of_one_name_are_told_of() {
    let etcd = Etcd::start();
    let cast = Cast::of(&in_etcd(&etcd));
    let first = cast.coordinator("same");
    until(|| leads(&first).then_some(()));
    let second = cast.coordinator("same");
    until(|| fault(&second).contains("another coordinator is called `same`, too").then_some(()));
    assert!(leads(&first) && !leads(&second));
    drop((first, second));
    cast.end();
}

#[test]
fn a_guarded_etcd_is_spoken_to_over_tls_with_user_and_password() {
    let etcd = Etcd::guarded("canary-of-the-password");
    let cast = Cast::of(&in_etcd(&etcd));
    let first = cast.coordinator("first");
    until(|| leads(&first).then_some(()));
    assert!(!first.log().contains("canary-of-the-password"));
    // The same with a password that is not the user's.
    fs::write(etcd.password(), "another").expect("written");
    let second = cast.coordinator("second");
    until(|| fault(&second).contains("authentication failed").then_some(()));
    assert!(!leads(&second));
    drop((first, second));
    cast.end();
}
