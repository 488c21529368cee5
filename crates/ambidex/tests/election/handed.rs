//! What goes on when another coordinator leads: a canary at its step, weights in another proxy, what a runbook holds back.

use ambidex_lab::load::Load;
use ambidex_lab::undisturbed;
use serde_json::Value;

use crate::haproxy::{Haproxy, publisher};
use crate::peers::Etcd;
use crate::process::{Running, until};
use crate::scene::{Cast, followed, leads, load, status, wait_ready};

/// Two coordinators of which the first leads, and a gateway under load that follows it.
struct Scene {
    first: Running,
    second: Running,
    gateway: Running,
    load: Load,
    cast: Cast,
    _etcd: Etcd,
}

impl Scene {
    fn of(third: &str, pool: &str, file: &str) -> Self {
        let etcd = Etcd::start();
        let cast = Cast::of_three(&format!("etcd: {}", etcd.section()), third, pool, file);
        let first = cast.coordinator("first");
        until(|| leads(&first).then_some(()));
        let second = cast.coordinator("second");
        let gateway = cast.gateway(&[&first, &second]);
        wait_ready(&gateway);
        let load = load(&gateway);
        until(|| (load.so_far().ok > 50).then_some(()));
        until(|| (status(&second)["election"]["leader"]["name"] == "first").then_some(()));
        Self { first, second, gateway, load, cast, _etcd: etcd }
    }

    /// Waits until the second leads, and the gateway follows it.
    fn taken_over(&self) {
        until(|| leads(&self.second).then_some(()));
        until(|| (followed(&self.gateway)? > 1).then_some(()));
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

fn canary(running: &Running) -> Value {
    running.ask_json(&["canary", "status"])["trials"][0].clone()
}

fn candidates(trial: &Value) -> u64 {
    trial["figures"]["candidate"]["requests"].as_u64().unwrap_or_default()
}

#[test]
fn a_canary_goes_on_at_its_step_with_its_proof_so_far() {
    undisturbed(canary_goes_on);
}

fn canary_goes_on() {
    let scene = Scene::of(", path: green", ", canary: {warm_up: 0s}", "");
    scene.first.ask(&["canary", "start", "green", "--yes"]);
    // Each order is carried out at a tick: two within one would be one step, and a step of few requests takes long.
    for share in [0.05, 0.25] {
        scene.first.ask(&["canary", "promote", "--yes"]);
        until(|| (canary(&scene.first)["share"] == share).then_some(()));
    }
    let before = until(|| Some(canary(&scene.first)).filter(|trial| candidates(trial) > 100));
    let at = |trial: &Value| (trial["step"].clone(), trial["share"].clone(), trial["stage"].clone());
    scene.first.signal("KILL");
    scene.taken_over();
    let after = canary(&scene.second);
    assert_eq!(at(&after), at(&before));
    assert_eq!(after["share"], 0.25, "{after}");
    // The step goes on, and so does the proof; what was counted beside it is each coordinator's own.
    let lasted = |trial: &Value| trial["lasted_ms"].as_f64().unwrap_or_default();
    assert!(lasted(&after) > lasted(&before) * 0.4, "{after} after {before}");
    let exposed = |trial: &Value| trial["figures"]["exposed"].as_u64().unwrap_or_default();
    assert!(exposed(&after) > exposed(&before) / 4, "{after} after {before}");
    until(|| (candidates(&canary(&scene.second)) > candidates(&after) + 50).then_some(()));
    assert_eq!(scene.load.so_far().failures.total(), 0, "{:?}", scene.load.so_far());
    scene.second.ask(&["canary", "abort", "--yes"]);
    assert_eq!(canary(&scene.second)["share"], 0.0);
    scene.end();
}

/// A HAProxy that is steered by a pool of its own, whose workers nobody asks.
fn steered() -> (Haproxy, Scene) {
    let haproxy = Haproxy::start("  server left 127.0.0.1:9\n  server right 127.0.0.1:9\n");
    let edge = format!(
        "publish: {{edge: {{haproxy: {{address: \"unix:{}\", every: 100ms, backends: {{app: edge}}}}}}}}\n",
        haproxy.socket().display()
    );
    let pool =
        "}, edge: {workers: [{url: \"http://127.0.0.1:9\", name: left}, {url: \"http://127.0.0.1:9\", name: right}]";
    let scene = Scene::of("", pool, &edge);
    scene.first.ask(&["pin", "0.25", "left", "--yes"]);
    until(|| (haproxy.weights()[0] * 3 < haproxy.weights()[1]).then_some(()));
    (haproxy, scene)
}

fn changes(running: &Running) -> u64 {
    publisher(running)["counts"]["changes"].as_u64().unwrap_or_default()
}

#[test]
fn another_proxy_has_the_same_weights_from_the_next_leader_and_goes_by_what_it_is_told_then() {
    let (haproxy, scene) = steered();
    let before = haproxy.weights();
    assert_eq!(changes(&scene.second), 0, "who stands by looks, and changes nothing");
    scene.first.signal("KILL");
    scene.taken_over();
    until(|| Some(publisher(&scene.second)).filter(|state| state["fault"].is_null() && !state["applied"].is_null()));
    assert_eq!((haproxy.weights(), changes(&scene.second)), (before, 0), "there is nothing to change");
    scene.second.ask(&["pin", "0.25", "right", "--yes"]);
    scene.second.ask(&["unpin", "left", "--yes"]);
    until(|| (haproxy.weights()[1] * 3 < haproxy.weights()[0]).then_some(()));
    scene.end();
}

#[test]
fn a_deposed_leader_that_wakes_up_changes_nothing_in_another_proxy() {
    let (haproxy, scene) = steered();
    let by_first = changes(&scene.first);
    scene.first.signal("STOP");
    scene.taken_over();
    scene.second.ask(&["pin", "0.25", "right", "--yes"]);
    scene.second.ask(&["unpin", "left", "--yes"]);
    until(|| (haproxy.weights()[1] * 3 < haproxy.weights()[0]).then_some(()));
    scene.first.signal("CONT");
    until(|| (!leads(&scene.first)).then_some(()));
    until(|| (status(&scene.first)["election"]["leader"]["name"] == "second").then_some(()));
    scene.more(200);
    assert!(haproxy.weights()[1] * 3 < haproxy.weights()[0], "{:?}", haproxy.weights());
    assert_eq!(changes(&scene.first), by_first);
    scene.end();
}

#[test]
fn what_a_runbook_holds_back_is_held_back_by_the_next_leader() {
    undisturbed(held_back);
}

fn held_back() {
    let mut scene = Scene::of("", "", "");
    scene.cast.workers.pop().expect("the third").stop();
    let in_force = "in force for stale_metadata: quarantine third";
    until(|| scene.first.ask(&["modes"]).contains(in_force).then_some(()));
    // It is written down with the next picture, or the next beat of the election.
    until(|| scene.second.ask(&["modes"]).contains(in_force).then_some(()));
    scene.first.signal("KILL");
    until(|| leads(&scene.second).then_some(()));
    let modes = scene.second.ask(&["modes"]);
    assert!(modes.contains(in_force), "{modes}");
    until(|| (followed(&scene.gateway)? > 1).then_some(()));
    // While it is not asked, nobody waits for it.
    let failed = scene.load.so_far().failures.total();
    scene.more(200);
    let more = scene.load.so_far().failures.total() - failed;
    assert!(more <= 2, "{more} of 200 failed");
    scene.end();
}
