//! Ends under load, asked for and not, and what the next start finds.

use std::fs;
use std::path::{Path, PathBuf};

use ambidex_lab::worker::Worker;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Running, until};
use crate::scene::{config_of, metric, served_on, trickle, workers};

/// The worker of this name, as the gateway sees it.
fn worker(running: &Running, name: &str) -> Value {
    let pools = running.ask_json(&["workers"]);
    let workers = pools["pools"][0]["workers"].as_array().expect("a list");
    workers.iter().find(|worker| worker["name"] == name).expect("it is in the pool").clone()
}

/// Waits until what was ordered up to now is on the disk: records are written in their order.
fn written_on(running: &Running) {
    let before = metric(running, "ambidex_journal_written_total");
    // Two group commits: the first may have begun before the order.
    until(|| (metric(running, "ambidex_journal_written_total") > before + 8).then_some(()));
}

/// Orders of each kind, and a second configuration.
fn ordered(running: &Running, workers: &[Worker]) {
    fs::write(running.file(), config_of(workers, "log: {level: warn}\n")).expect("written");
    until(|| (history(running) == 2).then_some(()));
    running.ask(&["pin", "0.5", "a", "--yes"]);
    running.ask(&["drain", "b", "--yes"]);
    running.ask(&["freeze", "api", "--yes"]);
    written_on(running);
}

fn history(running: &Running) -> usize {
    running.ask_json(&["config", "history"])["history"].as_array().expect("a list").len()
}

/// Another process on the data of one that has ended.
fn again(mut ended: Running) -> Running {
    let folder = std::mem::replace(&mut ended.folder, TempDir::new().expect("a folder"));
    let file = folder.path().join("gw.yaml").to_str().expect("UTF-8").to_owned();
    Running::start(folder, &["run", &file])
}

/// Orders, history and journal are as they were left; the journal's decisions come out the same.
fn assert_kept(running: &Running) {
    until(|| (worker(running, "a")["pinned"] == 0.5).then_some(()));
    assert_eq!(worker(running, "b")["drained"], true);
    until(|| (running.ask_json(&["workers"])["pools"][0]["frozen"] == true).then_some(()));
    assert_eq!(history(running), 2);
    let verified = running.ask_json(&["decisions", "verify"]);
    assert_eq!(verified["differences"], Value::Array(Vec::new()), "{verified}");
    assert!(verified["inputs"].as_u64() > Some(0), "{verified}");
}

#[test]
fn what_was_ordered_outlives_being_killed_again_and_again() {
    let workers = workers(&["a", "b", "c"]);
    let mut running = Running::run(&config_of(&workers, ""));
    let load = trickle(&running);
    ordered(&running, &workers);
    let inputs = running.ask_json(&["decisions", "verify"])["inputs"].as_u64();
    drop(load);
    for _ in 0..3 {
        let load = trickle(&running);
        served_on(&load, 30);
        running.signal("KILL");
        running.end();
        drop(load);
        running = again(running);
        assert_kept(&running);
    }
    assert!(running.ask_json(&["decisions", "verify"])["inputs"].as_u64() > inputs, "the history goes on");
    assert!(running.ask(&["decisions", "--worker", "a"]).contains("api: a "));
}

#[test]
fn a_record_that_was_torn_by_the_end_is_passed_over() {
    let workers = workers(&["a", "b", "c"]);
    let mut running = Running::run(&config_of(&workers, ""));
    ordered(&running, &workers);
    // What comes now may be torn; what was ordered lies before it.
    written_on(&running);
    running.signal("KILL");
    running.end();
    let log = newest_log(&running.folder.path().join("data"));
    let bytes = fs::read(&log).expect("the store's log");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("something was written");
    let torn = fs::File::options().write(true).open(&log).expect("ours");
    torn.set_len(u64::try_from(end - 10).expect("small")).expect("cut");
    let running = again(running);
    assert_kept(&running);
}

/// The file that the store appends to.
fn newest_log(folder: &Path) -> PathBuf {
    let mut found = Vec::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).expect("a folder").filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|end| end == "jnl") {
                found.push(path);
            }
        }
    }
    found.into_iter().max().expect("the store has a log")
}

#[test]
fn a_signal_to_end_under_load_breaks_no_answer_off() {
    let workers = workers(&["a", "b", "c"]);
    let mut running = Running::run(&config_of(&workers, ""));
    let load = trickle(&running);
    ordered(&running, &workers);
    served_on(&load, 50);
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", running.log());
    let outcome = load.stop();
    let failures = outcome.failures;
    let broken = failures.truncated + failures.garbled + failures.status_4xx + failures.status_5xx + failures.timeout;
    assert_eq!((broken, failures.reset), (0, 0), "{outcome}");
    assert_kept(&again(running));
}

#[test]
fn weights_and_files_that_change_under_load_cost_no_request_and_no_connection() {
    let workers = workers(&["a", "b"]);
    let running = Running::run(&config_of(&workers, ""));
    let load = trickle(&running);
    for round in 0..20 {
        let level = ["info", "warn"][round % 2];
        fs::write(running.file(), config_of(&workers, &format!("log: {{level: {level}}}\n"))).expect("written");
        for weight in ["0.3", "0.7", "1", "0.1", "2"] {
            running.ask(&["pin", weight, "a", "--yes"]);
            running.ask(&["unpin", "a", "--yes"]);
        }
        served_on(&load, 5);
    }
    let outcome = load.stop();
    assert_eq!((outcome.failures.total(), outcome.closed_idle), (0, 0), "{outcome}");
    assert!(outcome.ok > 100, "{outcome}");
}
