//! Drills of a running gateway, through its command line: traffic shifts, the end comes by itself, harm ends it at once.

mod process;

use std::fs;

use ambidex_lab::load::{self, Load, LoadOptions};
use ambidex_lab::worker::{self, Worker, WorkerOptions};
use process::{Running, until};
use serde_json::Value;

/// A gateway before workers alike, and load on it.
struct Scene {
    running: Running,
    _workers: Vec<Worker>,
    _load: Load,
}

impl Scene {
    fn new(names: &[&str], balance: &str) -> Self {
        let worker = |name: &&str| worker::start(WorkerOptions { name: (*name).into(), ..WorkerOptions::default() });
        let workers: Vec<Worker> = names.iter().map(|name| worker(name).expect("it listens")).collect();
        let url = |(name, worker): (&&str, &Worker)| format!("{{url: \"http://{}\", name: {name}}}", worker.address);
        let urls: Vec<String> = names.iter().zip(&workers).map(url).collect();
        let running = Running::run(&format!(
            "listeners: [{{address: \"127.0.0.1:0\"}}]\npools: {{api: {{balance: {balance}, workers: [{}]}}}}\n\
             admin: {{address: \"127.0.0.1:0\"}}\nthreads: 1\n",
            urls.join(", ")
        ));
        let target = running.listener.parse().expect("an address");
        // Longer than any drill here.
        let options = LoadOptions::beside(target, 150.0);
        let load = load::start(options).expect("load");
        until(|| (load.so_far().ok > 10).then_some(()));
        Self { running, _workers: workers, _load: load }
    }

    fn drills(&self) -> Vec<Value> {
        self.running.ask_json(&["drill", "list"])["drills"].as_array().expect("a list").clone()
    }

    /// What a command says on its error way, and how it ends.
    fn refused(&self, arguments: &[&str]) -> (String, Option<i32>) {
        let output = self.running.asked(arguments);
        (String::from_utf8_lossy(&output.stderr).into_owned(), output.status.code())
    }

    /// What the admin address shows.
    fn page(&self, path: &str) -> String {
        let address = self.running.admin.trim_start_matches("http://").trim_end_matches('/');
        process::get(address, path)
    }

    fn drilled_by_metrics(&self) -> bool {
        self.page("/metrics").contains("ambidex_pool_drilled{pool=\"api\"} 1")
    }
}

#[test]
fn a_slow_path_loses_its_traffic_and_the_drill_ends_by_itself() {
    let scene = Scene::new(&["a", "b", "c", "d"], "peak-ewma");
    let start = ["drill", "start", "--worker", "b", "--inject", "delay=400ms", "--for", "4s", "--yes", "--watch"];
    let drill = scene.running.ask_json(&start);
    let measured = &drill["measured"];
    let share = |key: &str| measured[key].as_f64().expect("a share");
    assert_eq!((&drill["ending"], &drill["worker"]), (&"over".into(), &"b".into()), "{drill}");
    assert!(share("after") < share("before") * 0.7, "{drill}");
    assert!(measured["injected"].as_u64() > Some(0) && measured["requests"].as_u64() > Some(20), "{drill}");
    assert_eq!(measured["failed"], 0, "{drill}");
    assert!(!scene.drilled_by_metrics());
    assert!(
        scene
            .running
            .ask(&["drill", "list"])
            .contains("api: the drill (delay=400ms on 100% of the tries of b) is over")
    );
    assert!(scene.running.log().contains("a drill begins"));
}

#[test]
fn a_drill_that_hurts_clients_is_broken_off() {
    // By turn, and without second chances: half of the requests meet the fault whatever the loop learns.
    let scene = Scene::new(&["a", "b"], "round-robin");
    let start = ["drill", "start", "--worker", "a", "--inject", "errors=30%", "--for", "5m", "--yes", "--watch"];
    let (said, code) = {
        let output = scene.running.asked(&start);
        (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
    };
    assert!(said.contains("was aborted") && said.contains("more than 5%") && code == Some(1), "{code:?}: {said}");
    assert!(scene.drills()[0]["ending"]["too_many_failed"]["failed"].as_f64() > Some(0.05));
}

#[test]
fn a_drill_is_shown_while_it_goes_on_and_stopped_by_an_order() {
    let scene = Scene::new(&["a", "b", "c"], "peak-ewma");
    let start = ["drill", "start", "--pool", "api", "--worker", "a", "--inject", "delay=10ms", "--for", "5m"];
    let (said, code) = scene.refused(&start);
    assert!(said.contains("will drill worker `a` of pool `api`: delay=10ms on 100% of its tries for 5m"), "{said}");
    assert!(said.contains("add --yes") && code == Some(2) && scene.drills().is_empty(), "{said}");
    scene.running.ask(&[&start[..], &["--yes"]].concat());
    assert!(scene.drilled_by_metrics());
    assert!(scene.running.ask(&["workers"]).contains("serving, drill delay=10ms"));
    assert!(scene.page("/").contains("is drilled by an operator: delay=10ms"));
    let again = ["drill", "start", "--worker", "b", "--inject", "errors=1%", "--yes"];
    let (said, code) = scene.refused(&again);
    assert!(said.contains("409 Conflict: pool `api` is drilled already: worker `a`") && code == Some(1), "{said}");
    scene.running.ask(&["drill", "stop", "--pool", "api", "--yes"]);
    assert_eq!(scene.drills()[0]["ending"], "stopped");
    let (said, code) = scene.refused(&["drill", "stop", "--pool", "api", "--yes"]);
    assert!(said.contains("pool `api` is not drilled") && code == Some(1), "{said}");
}

#[test]
fn a_drill_that_cannot_be_is_refused_with_its_reason() {
    let scene = Scene::new(&["a"], "round-robin");
    let start = |more: &[&str]| scene.refused(&[&["drill", "start", "--yes"], more].concat());
    for (more, said, ended) in [
        (&["--worker", "a", "--inject", "delay=1s"][..], "409 Conflict: pool `api` has no other worker", 1),
        (&["--worker", "aa", "--inject", "delay=1s"], "unknown worker `aa`; did you mean `a`?", 2),
        (&["--worker", "a", "--inject", "delay=1h"], "30s is the most", 1),
        (&["--worker", "a", "--inject", "delay=1s", "--for", "1h"], "not between 1s and 10m", 1),
        (&["--worker", "a", "--inject", "fire=1s"], "write `delay=200ms`, `errors=50%` or `resets=10%`", 2),
        (&["--worker", "a", "--inject", "delay=1s", "--curve", "ramp: {from: 2s, until: 1s}"], "over at 1s", 2),
    ] {
        let (text, code) = start(more);
        assert!(text.contains(said) && code == Some(ended), "{more:?}: {code:?} {text}");
    }
    // Without its token nobody drills.
    fs::remove_file(scene.running.folder.path().join("data/token")).expect("it was made");
    let (text, code) = start(&["--worker", "a", "--inject", "delay=1s"]);
    assert!(text.contains("the token cannot be read") && code == Some(1), "{text}");
}
