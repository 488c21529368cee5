//! HAProxy by its runtime API: weights, drains, signals, and what is put back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use ambidex_lab::peer::get;
use ambidex_lab::worker::{self, Worker, WorkerOptions};
use tempfile::TempDir;

use crate::process::{Running, ambidex, until};
use crate::scene::{Haproxy, fault, publisher};

/// Nobody listens there, and nobody has to.
const NOBODY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

/// Two workers, one three times as good as the other, and weights that say so.
const PAIR: &str = "  server a 127.0.0.1:9\n  server b 127.0.0.1:9 weight 20\n";
const ONE_TO_THREE: [(&str, SocketAddr); 2] = [("name: a, weight: 1", NOBODY), ("name: b, weight: 3", NOBODY)];
const BY_FILE: &str = "    weights: static\n";
const CARRIES: &str = "backends: {app: api}";

fn pair(haproxy: &Haproxy) -> Running {
    haproxy.coordinated(&ONE_TO_THREE, BY_FILE, CARRIES)
}

fn until_weights(haproxy: &Haproxy, wanted: &[u32]) {
    until(|| (haproxy.weights() == wanted).then_some(()));
}

#[test]
fn the_pools_weights_are_in_force() {
    let haproxy = Haproxy::start(PAIR);
    let running = pair(&haproxy);
    until_weights(&haproxy, &[32, 96]);
    let state = until(|| Some(publisher(&running)).filter(|state| !state["applied"].is_null()));
    assert_eq!((state["kind"].as_str(), state["fault"].as_str()), (Some("haproxy"), None));
    assert_eq!(state["counts"]["changes"], 2);
}

#[test]
fn a_runtime_api_over_tcp_is_as_good_as_a_socket() {
    let mut haproxy = Haproxy::over_tcp(PAIR);
    let running = pair(&haproxy);
    until_weights(&haproxy, &[32, 96]);
    let state = until(|| Some(publisher(&running)).filter(|state| !state["applied"].is_null()));
    assert!(state["target"].as_str().is_some_and(|target| target.starts_with("127.0.0.1:")), "{state}");
    assert!(state["counts"]["reports"].as_u64() > Some(0), "{state}");
    haproxy.stop();
    let told = "does its `global` section say `stats socket 127.0.0.1:";
    until(|| fault(&running).contains(told).then_some(()));
    haproxy.run();
    until(|| publisher(&running)["fault"].is_null().then_some(()));
}

#[test]
fn haproxy_that_started_anew_has_the_weights_again() {
    let mut haproxy = Haproxy::start(PAIR);
    let running = pair(&haproxy);
    until_weights(&haproxy, &[32, 96]);
    haproxy.stop();
    // A connection that broke off in the middle of an answer may be told first.
    let told = |why: String| why.contains("is HAProxy running") && why.contains("level admin`");
    until(|| told(fault(&running)).then_some(()));
    haproxy.run();
    until_weights(&haproxy, &[32, 96]);
    until(|| publisher(&running)["fault"].is_null().then_some(()));
}

#[test]
fn who_is_drained_here_is_drained_there_and_what_was_set_by_hand_stays() {
    let haproxy = Haproxy::start("  server a 127.0.0.1:9\n  server b 127.0.0.1:9\n  server c 127.0.0.1:9\n");
    let workers = [("name: a", NOBODY), ("name: b", NOBODY), ("name: c", NOBODY)];
    haproxy.ask("set server app/c state maint");
    let running = haproxy.coordinated(&workers, BY_FILE, CARRIES);
    until(|| (haproxy.weights()[..2] == [64, 64]).then_some(()));
    running.ask(&["drain", "a", "--yes"]);
    until(|| (haproxy.out() == [8, 0, 1]).then_some(()));
    running.ask(&["undrain", "a", "--yes"]);
    until(|| (haproxy.out() == [0, 0, 1]).then_some(()));
    let remarks = publisher(&running)["remarks"].to_string();
    assert!(remarks.contains("app/c is left alone: it is in maintenance in HAProxy"), "{remarks}");
    assert_eq!(haproxy.weights()[2], 1);
}

#[test]
fn requests_of_one_zone_go_where_its_zones_send_them() {
    let haproxy = Haproxy::start("  server a 127.0.0.1:9\n  server b 127.0.0.1:9\n");
    let workers = [("name: a, zone: east", NOBODY), ("name: b, zone: west", NOBODY)];
    let pool = "    weights: static\n    zones: {probes: 0%}\n";
    let running = haproxy.coordinated(&workers, pool, "backends: {app: api}, zone: east");
    until_weights(&haproxy, &[128, 1]);
    running.ask(&["drain", "a", "--yes"]);
    until(|| (haproxy.out() == [8, 0]).then_some(()));
    until(|| (haproxy.weights()[1] == 64).then_some(()));
}

#[test]
fn release_puts_back_what_was_found() {
    let haproxy = Haproxy::start(PAIR);
    haproxy.ask("set server app/a weight 7");
    let mut running = pair(&haproxy);
    until_weights(&haproxy, &[32, 96]);
    running.ask(&["drain", "b", "--yes"]);
    until(|| (haproxy.out() == [0, 8]).then_some(()));
    let file = running.file().to_str().expect("UTF-8").to_owned();
    let release = |folder: &TempDir| {
        let output = ambidex(folder.path()).args(["coordinator", &file, "--release"]).output().expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (done, said) = release(&running.folder);
    assert!(!done && said.contains("in use by another process"), "{said}");
    running.signal("TERM");
    assert_eq!(running.end(), Some(0));
    let (done, said) = release(&running.folder);
    assert!(done && said.contains("edge: end the drain of app/b"), "{said}");
    assert_eq!((haproxy.weights(), haproxy.out()), (vec![7, 20], vec![0, 0]));
    assert_eq!(release(&running.folder), (true, "edge: there is nothing to put back\n".to_owned()));
}

#[test]
fn observe_changes_nothing_and_says_what_it_would() {
    let haproxy = Haproxy::start(PAIR);
    let running = haproxy.coordinated(&ONE_TO_THREE, BY_FILE, "backends: {app: api}, mode: observe");
    let state = until(|| Some(publisher(&running)).filter(|state| !state["applied"].is_null()));
    let changes = state["changes"].to_string();
    assert!(changes.contains("weight of app/a: 1 to 32") && changes.contains("weight of app/b: 20 to 96"), "{changes}");
    assert_eq!((haproxy.weights(), state["counts"]["changes"].as_u64()), (vec![1, 20], Some(0)));
    assert!(running.ask(&["publishers"]).contains("edge: would: weight of app/a: 1 to 32"));
}

#[test]
fn what_keeps_weights_from_haproxy_is_said_with_what_to_do_and_mends_by_itself() {
    let mut haproxy = Haproxy::stopped(PAIR, "operator");
    let running = pair(&haproxy);
    let why = fault(&running);
    assert!(why.contains("no connection to HAProxy at unix:"), "{why}");
    haproxy.run();
    until(|| fault(&running).contains("its `stats socket` line needs `level admin`").then_some(()));
    haproxy.stop();
    haproxy.configure(&format!("  balance static-rr\n{PAIR}"), "admin");
    haproxy.run();
    until(|| fault(&running).contains("use `balance roundrobin`").then_some(()));
    haproxy.stop();
    haproxy.configure(PAIR, "admin");
    haproxy.run();
    until_weights(&haproxy, &[32, 96]);
}

#[test]
fn a_backend_that_is_not_there_is_said_with_those_that_are() {
    let haproxy = Haproxy::start(PAIR);
    let running = haproxy.coordinated(&ONE_TO_THREE, BY_FILE, "backends: {ap: api, app: api}");
    let why = fault(&running);
    assert!(why.contains("HAProxy has no backend `ap`; it has: app"), "{why}");
    until_weights(&haproxy, &[32, 96]);
}

/// Three workers, the first ten times slower than the others.
fn unlike() -> Vec<Worker> {
    let of = |(name, service): (&str, &str)| WorkerOptions {
        name: name.into(),
        slots: 8,
        service: service.parse().expect("a time"),
        ..WorkerOptions::default()
    };
    worker::start_all([("a", "200ms"), ("b", "20ms"), ("c", "20ms")].map(of).into()).expect("workers")
}

#[test]
fn a_slow_worker_gets_less_by_what_haproxy_alone_says() {
    let workers = unlike();
    let lines: String = workers.iter().map(|worker| format!("  server {} {}\n", worker.name, worker.address)).collect();
    let haproxy = Haproxy::start(&format!("  balance roundrobin\n{lines}"));
    let pool: Vec<(&str, SocketAddr)> =
        workers.iter().zip(["zone: x", "zone: y", "zone: z"]).map(|(worker, key)| (key, worker.address)).collect();
    let _running = haproxy.coordinated(&pool, "    weights: {tick: 200ms}\n", CARRIES);
    let (address, over) = (haproxy.address, Arc::new(AtomicBool::new(false)));
    let clients: Vec<_> = (0..6)
        .map(|_| {
            let over = Arc::clone(&over);
            thread::spawn(move || {
                while !over.load(Relaxed) {
                    // What fails is the business of the weights.
                    drop(get(address, "/"));
                }
            })
        })
        .collect();
    until(|| {
        let weights = haproxy.weights();
        (3 * weights[0] < weights[1] && 3 * weights[0] < weights[2]).then_some(())
    });
    over.store(true, Relaxed);
    clients.into_iter().for_each(|client| client.join().expect("no panic"));
}
