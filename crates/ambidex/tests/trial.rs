//! Canaries, switches and experiments of a running gateway, through its command line.

mod process;

use ambidex_lab::load::{self, Load, LoadOptions};
use ambidex_lab::worker::{self, Worker, WorkerOptions};
use process::{Running, until};
use serde_json::Value;

/// A gateway before two stable workers and one on the path `green`, and load on it.
struct Scene {
    running: Running,
    workers: Vec<Worker>,
    _load: Load,
}

impl Scene {
    /// `green` are the options of the worker on that path.
    fn new(green: WorkerOptions) -> Self {
        let named = |name: &str, options: WorkerOptions| worker::start(WorkerOptions { name: name.into(), ..options });
        let workers: Vec<Worker> = [("a", WorkerOptions::default()), ("b", WorkerOptions::default()), ("c", green)]
            .into_iter()
            .map(|(name, options)| named(name, options).expect("it listens"))
            .collect();
        let urls: Vec<String> = workers.iter().map(|worker| format!("http://{}", worker.address)).collect();
        let running = Running::run(&format!(
            "listeners: [{{address: \"127.0.0.1:0\"}}]\npools:\n  api:\n    workers: [{}, {}, {{url: \"{}\", path: green}}]\n    \
             canary: {{warm_up: 0s}}\nadmin: {{address: \"127.0.0.1:0\"}}\nthreads: 2\n",
            urls[0], urls[1], urls[2]
        ));
        let target = running.listener.parse().expect("an address");
        let options = LoadOptions::beside(target, 150.0);
        let load = load::start(options).expect("load");
        until(|| (load.so_far().ok > 10).then_some(()));
        Self { running, workers, _load: load }
    }

    fn trial(&self, kind: &str) -> Value {
        self.running.ask_json(&[kind, "status"])["trials"][0].clone()
    }

    fn candidate(&self, kind: &str) -> u64 {
        self.trial(kind)["figures"]["candidate"]["requests"].as_u64().unwrap_or_default()
    }
}

#[test]
fn a_canary_that_fails_is_taken_back_by_itself_and_its_clients_were_few() {
    let failing: WorkerOptions = serde_json::from_str(r#"{"error_share": "100%"}"#).expect("options");
    let scene = Scene::new(failing);
    let path = ["canary", "start", "green", "--yes"];
    assert!(scene.running.ask(&path).contains("to the path `green`"));
    // At 1 % of 150 requests a second the twentieth comes late: the next steps are ordered.
    for _ in 0..2 {
        scene.running.ask(&["canary", "promote", "--yes"]);
    }
    let trial = until(|| Some(scene.trial("canary")).filter(|trial| trial["stage"] == "aborted"));
    assert_eq!(trial["share"], 0.0, "{trial}");
    assert!(scene.running.log().contains("is aborted at 25% of the requests, because"), "{}", scene.running.log());
    let workers = scene.running.ask_json(&["workers"]);
    assert_eq!(workers["pools"][0]["path"], "stable");
    assert_eq!(scene.workers.len(), 3);
}

#[test]
fn a_canary_says_what_it_will_do_waits_for_its_floors_and_obeys_orders() {
    let scene = Scene::new(WorkerOptions::default());
    let asked = scene.running.asked(&["canary", "start"]);
    let said = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert!(said.contains("a growing share of the requests of pool `api` to the path `green`"), "{said}");
    assert!(said.contains("add --yes") && asked.status.code() == Some(2), "{said}");
    scene.running.ask(&["canary", "start", "--yes"]);
    scene.running.ask(&["canary", "promote", "--yes"]);
    scene.running.ask(&["canary", "promote", "--yes"]);
    until(|| (scene.candidate("canary") > 20).then_some(()));
    let status = scene.running.ask(&["canary", "status"]);
    for part in ["step 3 of 5: 25% of the requests, control group 25%", "the step has lasted", "latency at p99"] {
        assert!(status.contains(part), "{part}: {status}");
    }
    scene.running.ask(&["canary", "pause", "--yes"]);
    assert_eq!(scene.trial("canary")["stage"], "paused");
    let admin = scene.running.admin.trim_start_matches("http://").trim_end_matches('/').to_owned();
    assert!(process::get(&admin, "/").contains("canary of green"));
    assert!(process::get(&admin, "/metrics").contains("ambidex_trial_share{pool=\"api\",kind=\"canary\"} 0.25"));
    scene.running.ask(&["canary", "abort", "--yes"]);
    let trial = scene.trial("canary");
    assert_eq!((&trial["stage"], &trial["share"]), (&"aborted".into(), &0.0.into()));
    let twice = scene.running.asked(&["canary", "abort", "--yes"]);
    assert_eq!(twice.status.code(), Some(1));
}

#[test]
fn a_switch_moves_all_requests_but_those_that_keep_the_old_path_warm_and_comes_back_at_once() {
    let scene = Scene::new(WorkerOptions::default());
    scene.running.ask(&["switch", "to", "green", "--yes"]);
    until(|| (scene.candidate("switch") > 100).then_some(()));
    let trial = scene.trial("switch");
    assert_eq!((&trial["share"], &trial["stage"]), (&0.99.into(), &"running".into()), "{trial}");
    scene.running.ask(&["switch", "back", "--yes"]);
    assert_eq!(scene.trial("switch")["share"], 0.0);
}

#[test]
fn an_experiment_runs_on_a_tenth_and_one_command_rolls_it_back() {
    let scene = Scene::new(WorkerOptions::default());
    scene.running.ask(&["experiment", "start", "--yes"]);
    until(|| (scene.candidate("experiment") > 20).then_some(()));
    let trial = scene.trial("experiment");
    assert_eq!((&trial["share"], &trial["candidate"]), (&0.1.into(), &"learned weights".into()), "{trial}");
    scene.running.ask(&["experiment", "rollback", "--yes"]);
    assert_eq!(scene.trial("experiment")["stage"], "aborted");
}
