//! A leader that dies, ends, or stands still: who leads then, how soon, and what becomes of requests and weights.

use std::time::{Duration, Instant};

use ambidex_lab::load::Load;
use ambidex_lab::{Standstill, undisturbed};

use crate::lease::Cluster;
use crate::peers::{Etcd, Redis};
use crate::process::{Running, until};
use crate::scene::{Cast, followed, leads, learned, load, moved, ready, status, term, wait_ready, weights};

/// Two coordinators of which the first leads, a gateway that has learned by it, and load.
struct Scene {
    first: Running,
    second: Running,
    gateway: Running,
    load: Load,
    cast: Cast,
    standstill: Standstill,
}

/// Coordinators, gateway, store and this test wait for the processors one after another when the machine stands still.
const WAITS: u32 = 4;

impl Scene {
    fn of(place: &str) -> Self {
        let cast = Cast::of(place);
        let first = cast.coordinator("first");
        until(|| leads(&first).then_some(()));
        let second = cast.coordinator("second");
        let gateway = cast.gateway(&[&first, &second]);
        wait_ready(&gateway);
        let load = load(&gateway);
        learned(&gateway);
        until(|| (status(&second)["election"]["leader"]["name"] == "first").then_some(()));
        Self { first, second, gateway, load, cast, standstill: Standstill::watch() }
    }

    /// What goes on when the first is gone: the second leads in time, nothing fails, no weight jumps. The
    /// time in which the machine stood still does not count.
    fn is_taken_over(&self, what: &str, since: Instant, before: &[(String, f64)], within: Duration) {
        until(|| leads(&self.second).then_some(()));
        let led = since.elapsed();
        until(|| (followed(&self.gateway)? > 1).then_some(()));
        let (heard, still) = (since.elapsed(), Duration::from(self.standstill.so_far()));
        let mut most = moved(before, &weights(&self.gateway));
        let first_words = most;
        let sent = self.load.so_far().ok;
        until(|| {
            most = most.max(moved(before, &weights(&self.gateway)));
            (self.load.so_far().ok > sent + 200).then_some(())
        });
        println!(
            "{what}: another leads after {:.1} s, the gateway follows it after {:.1} s; weights moved by {:.2} % with its first \
             picture, by {:.1} % at most in the next 200 requests; {} requests, {} failed",
            led.as_secs_f64(),
            heard.as_secs_f64(),
            first_words * 100.0,
            most * 100.0,
            self.load.so_far().ok,
            self.load.so_far().failures.total(),
        );
        assert!(heard < within + still * WAITS, "{heard:?}, and the machine stood still for {still:?}");
        assert!(first_words <= 0.01, "moved by {first_words}");
        assert_eq!(self.load.so_far().failures.total(), 0, "{:?}", self.load.so_far());
    }

    /// Waits for so many more answers.
    fn more(&self, requests: u64) {
        let sent = self.load.so_far().ok;
        until(|| (self.load.so_far().ok > sent + requests).then_some(()));
    }

    fn end(self) {
        drop((self.load, self.gateway, self.first, self.second));
        self.cast.end();
    }
}

fn killed(place: &str, what: &str) {
    undisturbed(|| killed_once(place, what));
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn killed_once(place: &str, what: &str) {
    let scene = Scene::of(place);
    // It goes on learning; then what weights move by anyhow is seen.
    scene.more(600);
    let (then, mut wandered) = (weights(&scene.gateway), 0.0_f64);
    let sent = scene.load.so_far().ok;
    until(|| {
        wandered = wandered.max(moved(&then, &weights(&scene.gateway)));
        (scene.load.so_far().ok > sent + 200).then_some(())
    });
    println!("{what}: before it, weights moved by {:.1} % at most in 200 requests", wandered * 100.0);
    // What the gateway goes by stands still from here on: nobody tells it anything else.
    scene.first.signal("KILL");
    let since = Instant::now();
    until(|| followed(&scene.gateway).is_none().then_some(()));
    let before = weights(&scene.gateway);
    scene.is_taken_over(what, since, &before, Duration::from_secs(5));
    assert!(ready(&scene.second).contains("ready; second leads, as term 2"), "{}", ready(&scene.second));
    scene.end();
}

#[test]
fn a_leader_that_is_killed_is_followed_by_another_within_five_seconds_by_etcd() {
    let etcd = Etcd::start();
    killed(&format!("etcd: {}", etcd.section()), "etcd, leader killed");
}

#[test]
fn a_leader_that_is_killed_is_followed_by_another_within_five_seconds_by_redis() {
    let redis = Redis::start();
    killed(&format!("redis: {}", redis.section().replace("2s", "500ms")), "Redis, leader killed");
}

#[test]
fn a_leader_that_is_killed_is_followed_by_another_within_five_seconds_by_a_lease() {
    let cluster = Cluster::start();
    killed(&cluster.section(), "Kubernetes, leader killed");
}

/// It wakes up with a lease that is over, and finds another one in its place.
#[test]
fn a_leader_that_stands_still_for_longer_than_its_lease_has_nothing_to_say_any_more() {
    undisturbed(stopped);
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn stopped() {
    let etcd = Etcd::start();
    let scene = Scene::of(&format!("etcd: {}", etcd.section()));
    scene.first.signal("STOP");
    let since = Instant::now();
    until(|| followed(&scene.gateway).is_none().then_some(()));
    let before = weights(&scene.gateway);
    scene.is_taken_over("etcd, leader stopped", since, &before, Duration::from_secs(7));
    scene.first.signal("CONT");
    until(|| (!leads(&scene.first)).then_some(()));
    until(|| (status(&scene.first)["election"]["leader"]["name"] == "second").then_some(()));
    assert!(scene.first.log().contains("first leads no more, which it did as term 1"), "{}", scene.first.log());
    scene.more(100);
    assert_eq!((followed(&scene.gateway), term(&scene.first)), (Some(2), 2));
    assert_eq!(scene.load.so_far().failures.total(), 0);
    scene.end();
}

#[test]
fn a_leader_that_ends_gives_its_lease_back_and_its_orders_go_on() {
    undisturbed(ended);
}

#[expect(clippy::disallowed_methods, reason = "a measurement")]
fn ended() {
    let etcd = Etcd::start();
    let mut scene = Scene::of(&format!("etcd: {}", etcd.section()));
    // Whoever stands by takes no orders, and says who does.
    let refused = scene.second.asked(&["pin", "1", "wide", "--yes"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("first leads, at http://127.0.0.1:"), "{said}");
    assert!(ready(&scene.second).contains("second stands by; first at http://127.0.0.1:"), "{}", ready(&scene.second));
    scene.first.ask(&["pin", "0.4", "narrow", "--yes"]);
    let narrow =
        |running: &Running| weights(running).into_iter().find(|(name, _)| name == "narrow").map(|found| found.1);
    let is_pinned = |running: &Running| narrow(running).is_some_and(|weight| (weight - 0.4).abs() < 1e-6);
    until(|| is_pinned(&scene.gateway).then_some(()));
    let before = weights(&scene.gateway);
    scene.first.signal("TERM");
    let since = Instant::now();
    assert_eq!(scene.first.end(), Some(0));
    // Sooner than its lease would have been over.
    scene.is_taken_over("etcd, leader ended", since, &before, Duration::from_millis(2_900));
    assert!(is_pinned(&scene.second) && is_pinned(&scene.gateway));
    assert!(!scene.first.log().contains("draining"), "{}", scene.first.log());
    scene.second.ask(&["unpin", "narrow", "--yes"]);
    let history = scene.second.ask(&["decisions"]);
    let told = scene.second.log();
    assert!(told.contains("second leads, as term 2"), "{history}{told}");
    scene.end();
}
