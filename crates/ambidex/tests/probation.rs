//! Configurations on probation, with processes: one that sends most requests to a slow worker is gone back from, one that
//! does not stays, and the file is nobody's but its author's.

mod process;

use std::fs;

use ambidex_core::time::Span;
use ambidex_lab::load::{self, Load, LoadOptions};
use ambidex_lab::worker::{self, Worker, WorkerOptions};
use ambidex_lab::{Service, undisturbed};
use process::{Running, get, until};
use serde_json::Value;
use tempfile::TempDir;

/// A worker that takes 0.1 s, and one that takes 0.4 s: both sleep, so that a busy machine makes neither much slower.
fn workers() -> Vec<Worker> {
    let like = |name: &str, millis| WorkerOptions {
        name: name.to_owned(),
        slots: 1_000,
        service: Service::constant(Span::from_millis(millis)),
        ..WorkerOptions::default()
    };
    worker::start_all(vec![like("fast", 100), like("slow", 400)]).expect("they start")
}

/// The pool, with the slow worker's weight beside the fast one's 9.
fn pool(workers: &[Worker], slow: u32) -> String {
    format!(
        "pools: {{api: {{balance: weighted-round-robin, weights: static, workers: [{{url: \"http://{}\", name: fast, weight: 9}}, \
         {{url: \"http://{}\", name: slow, weight: {slow}}}]}}}}\n\
         probation: {{window: 1s, lasts: 12s, baseline: 12s, latency_over: 100%}}\nadmin: {{address: \"127.0.0.1:0\"}}\n",
        workers[0].address, workers[1].address
    )
}

fn gateway(workers: &[Worker], slow: u32) -> String {
    format!("listeners: [{{address: \"127.0.0.1:0\"}}]\nthreads: 1\n{}", pool(workers, slow))
}

fn load_on(running: &Running) -> Load {
    let target = running.listener.parse().expect("an address");
    let options = LoadOptions::beside(target, 150.0);
    load::start(options).expect("load")
}

fn probation(running: &Running) -> Value {
    running.ask_json(&["config", "probation"])["probation"].clone()
}

/// Waits until the time before is long enough to be compared with.
fn known(running: &Running) {
    until(|| (probation(running)["pools"][0]["windows_before"].as_u64()? >= 12).then_some(()));
}

fn told(running: &Running, what: &str) -> Value {
    until(|| {
        let probation = probation(running);
        let told = &probation["told"]["told"];
        // One that has passed is never gone back from.
        assert!(what != "returned" || told != "passed", "{probation:#}");
        (told == what).then_some(probation)
    })
}

/// The share of the requests that the slow worker is to get.
fn slow_share(running: &Running) -> f64 {
    let pools = running.ask_json(&["workers"]);
    let workers = pools["pools"][0]["workers"].as_array().expect("a list");
    workers.iter().find(|worker| worker["name"] == "slow").and_then(|worker| worker["share"].as_f64()).expect("a share")
}

/// Waits until this share of the requests goes to the slow worker: weights move by steps.
fn goes(running: &Running, share: f64) {
    until(|| ((slow_share(running) - share).abs() < 0.02).then_some(()));
}

fn page(running: &Running, path: &str) -> String {
    get(running.admin.trim_start_matches("http://").trim_end_matches('/'), path)
}

#[test]
fn a_configuration_that_sends_most_to_a_slow_worker_is_gone_back_from_and_its_file_is_left_alone() {
    undisturbed(gone_back);
}

fn gone_back() {
    let workers = workers();
    let running = Running::run(&gateway(&workers, 1));
    let _load = load_on(&running);
    known(&running);
    let bad = gateway(&workers, 27);
    fs::write(running.file(), &bad).expect("written");
    let returned = told(&running, "returned");
    let because = returned["because"].as_str().expect("why");
    assert!(because.contains("in pool api latency at p"), "{because}");
    goes(&running, 0.1);
    assert_eq!(fs::read_to_string(running.file()).expect("there"), bad, "the file is not ours");
    assert!(running.ask(&["config", "history"]).contains("gone back from, because in pool api latency"));
    assert!(page(&running, "/api/v1/decisions?all=true").contains("the new configuration is gone back from, because"));
    let metrics = page(&running, "/metrics");
    assert!(metrics.contains("ambidex_config_returns_total 1") && metrics.contains("ambidex_config_refused 1"));
    assert!(page(&running, "/").contains("It was gone back from, because in pool api latency"));
    let again = running.asked(&["config", "reload", "--yes"]);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains("this configuration was gone back from") && said.contains("ambidex config accept"), "{said}");
    goes(&running, 0.1);
    running.ask(&["config", "accept", "--yes"]);
    goes(&running, 0.75);
    assert!(page(&running, "/metrics").contains("ambidex_config_refused 0"));
}

#[test]
fn a_configuration_that_is_as_good_passes_and_another_one_can_be_accepted_before_it_has() {
    undisturbed(passed_and_accepted);
}

fn passed_and_accepted() {
    let workers = workers();
    let running = Running::run(&gateway(&workers, 1));
    let _load = load_on(&running);
    known(&running);
    fs::write(running.file(), gateway(&workers, 2)).expect("written");
    told(&running, "began");
    assert!(running.ask(&["config", "probation"]).contains("is on probation: "));
    told(&running, "passed");
    goes(&running, 2.0 / 11.0);
    fs::write(running.file(), gateway(&workers, 27)).expect("written");
    told(&running, "began");
    running.ask(&["config", "accept", "--yes"]);
    told(&running, "accepted");
    let refused = running.asked(&["config", "accept", "--yes"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no configuration is on probation"));
    goes(&running, 0.75);
}

#[test]
fn a_coordinators_configuration_is_gone_back_from_by_what_its_gateways_count() {
    undisturbed(coordinators_gone_back);
}

fn coordinators_gone_back() {
    let workers = workers();
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("coordinator.yaml");
    let config = |slow| format!("gateways: {{address: \"127.0.0.1:0\"}}\n{}", pool(&workers, slow));
    fs::write(&file, config(1)).expect("written");
    let coordinator = Running::start(folder, &["coordinator", file.to_str().expect("UTF-8")]);
    let gateway = Running::run(&format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\nthreads: 1\npools: {{api: {{}}}}\nadmin: {{address: \"127.0.0.1:0\"}}\n\
         coordinator: {{url: \"{}\", token_file: {}}}\n",
        coordinator.gateways,
        coordinator.folder.path().join("data/gateways-token").display()
    ));
    until(|| page(&gateway, "/readyz").starts_with("HTTP/1.1 200").then_some(()));
    let _load = load_on(&gateway);
    known(&coordinator);
    fs::write(&file, config(27)).expect("written");
    told(&coordinator, "returned");
    goes(&gateway, 0.1);
}
