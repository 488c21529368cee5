//! Wall clocks that are wrong and jump, of real processes: nothing is decided by them [R-S8, reliability.md row 18].
//!
//! `faketime` puts its library before the process's own calls; it reads how far off the clock is from a file, again at each
//! call. Monotonic clocks are left alone: that is what they are for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Running, until};
use crate::scene::{metric, workers};

const NAMES: [&str; 3] = ["a", "b", "c"];

/// A clock that can be put wrong while its process runs.
struct Clock {
    file: PathBuf,
    library: String,
}

impl Clock {
    fn new(folder: &Path, name: &str) -> Self {
        let clock = Self { file: folder.join(format!("{name}.clock")), library: library() };
        clock.put("+0");
        clock
    }

    /// Puts it wrong by so much.
    fn put(&self, offset: &str) {
        // Renamed into its place, so that no half of it is read.
        let new = self.file.with_extension("new");
        fs::write(&new, offset).expect("written");
        fs::rename(new, &self.file).expect("renamed");
    }

    fn environment(&self) -> [(&str, &str); 4] {
        [
            ("LD_PRELOAD", &self.library),
            ("FAKETIME_TIMESTAMP_FILE", self.file.to_str().expect("UTF-8")),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ]
    }
}

/// The library of threads, which the command names by its own search path.
fn library() -> String {
    let output = Command::new("faketime").args(["-m", "-f", "+0", "sh", "-c", "echo $LD_PRELOAD"]).output();
    let output = output.expect("`cargo xtask install` brings faketime");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let found = said.trim().to_owned();
    assert!(found.contains("faketime"), "faketime said {said}");
    found
}

/// A coordinator whose clock can be put wrong, and an agent for each worker, likewise.
struct Scene {
    coordinator: Running,
    clock: Clock,
    agents: Vec<(Running, Clock)>,
    folder: TempDir,
}

impl Scene {
    fn start() -> (Self, Vec<ambidex_lab::worker::Worker>) {
        let folder = TempDir::new().expect("a folder");
        let key = folder.path().join("beats.key");
        fs::write(&key, "the key of all of them, which is long enough").expect("written");
        let path = folder.path().join("coordinator.yaml");
        fs::write(&path, file(&key, &NAMES.map(|_| "127.0.0.1:1".to_owned()))).expect("written");
        let clock = Clock::new(folder.path(), "coordinator");
        let arguments = ["coordinator", path.to_str().expect("UTF-8")];
        let coordinator = Running::start_with(TempDir::new().expect("a folder"), &arguments, &clock.environment());
        let to = status(&coordinator)["heartbeats"]["listen"].as_str().expect("it hears").to_owned();
        let behind = workers(&NAMES);
        let agent = |(name, back): (&&str, &ambidex_lab::worker::Worker)| {
            let clock = Clock::new(folder.path(), name);
            let url = format!("http://{}", back.address);
            let mut arguments = vec!["agent", "--for", &url, "--listen", "127.0.0.1:0", "--endpoint", "off"];
            arguments.extend(["--admin", "127.0.0.1:0", "--heartbeat-to", &to, "--heartbeat-name", name]);
            arguments.extend(["--heartbeat-key-file", key.to_str().expect("UTF-8")]);
            let running = Running::start_with(TempDir::new().expect("a folder"), &arguments, &clock.environment());
            (running, clock)
        };
        let agents: Vec<(Running, Clock)> = NAMES.iter().zip(&behind).map(agent).collect();
        let listeners: Vec<String> = agents.iter().map(|(agent, _)| agent.listener.clone()).collect();
        fs::write(&path, file(&key, &listeners)).expect("written");
        let scene = Self { coordinator, clock, agents, folder };
        until(|| {
            let workers = scene.workers();
            let heard = |worker: &Value| worker["report"].is_object() && worker["learned"].as_f64() > Some(0.9);
            (workers.len() == NAMES.len() && workers.iter().all(heard)).then_some(())
        });
        (scene, behind)
    }

    fn workers(&self) -> Vec<Value> {
        let pools = self.coordinator.ask_json(&["workers"]);
        pools["pools"][0]["workers"].as_array().cloned().unwrap_or_default()
    }

    fn weights(&self) -> Vec<f64> {
        self.workers().iter().map(|worker| worker["learned"].as_f64().expect("a weight")).collect()
    }

    /// Waits until each worker was heard so many times more.
    fn goes_on(&self) {
        let heard = || metric(&self.coordinator, "ambidex_heartbeats_total{came=\"heard\"}");
        let before = heard();
        until(|| (heard() >= before + 5 * NAMES.len() as u64).then_some(()));
    }

    /// Nobody is silent, and no weight moved.
    fn stands(&self, before: &[f64], what: &str) {
        self.goes_on();
        let after = self.weights();
        let same = before.iter().zip(&after).all(|(before, after)| (before - after).abs() < 0.03);
        assert!(same, "{what}: {before:?} became {after:?}");
        let told = self.coordinator.ask_json(&["decisions", "--limit", "1000"]).to_string();
        assert!(!told.contains("silence") && !told.contains("stand still"), "{what}: {told}");
    }
}

fn file(key: &Path, listeners: &[String]) -> String {
    let member = |(name, listener): (&&str, &String)| format!("{{url: \"http://{listener}\", name: {name}}}");
    let members: Vec<String> = NAMES.iter().zip(listeners).map(member).collect();
    format!(
        "admin: {{address: \"127.0.0.1:0\"}}\npools: {{api: {{weights: {{tick: 200ms}}, workers: [{}]}}}}\n\
         heartbeats: {{listen: \"127.0.0.1:0\", keys: [{{id: 1, file: {key:?}, workers: [\"*\"]}}]}}\n",
        members.join(", ")
    )
}

fn status(running: &Running) -> Value {
    let answer = crate::scene::page(running, "/api/v1/status");
    serde_json::from_str(answer.split_once("\r\n\r\n").expect("a head").1).expect("JSON")
}

/// What the coordinator dates the newest decision by: the clock that was put wrong.
fn dated(scene: &Scene) -> i64 {
    let decisions = scene.coordinator.ask_json(&["decisions", "--limit", "1"]);
    decisions["decisions"][0]["wall_ms"].as_i64().expect("a date")
}

#[test]
fn clocks_of_senders_that_are_wrong_and_jump_change_nothing() {
    let (scene, _behind) = Scene::start();
    let before = scene.weights();
    // An hour ahead, a year behind, and one that jumps to and fro.
    scene.agents[0].1.put("+1h");
    scene.agents[1].1.put("-365d");
    scene.stands(&before, "skewed");
    for offset in ["+30d", "-30d", "+1s", "-10s", "+0"] {
        scene.agents[2].1.put(offset);
        scene.stands(&before, offset);
    }
    drop(scene.folder);
}

#[test]
fn a_coordinators_own_wall_clock_that_jumps_changes_nothing_but_dates() {
    let (scene, _behind) = Scene::start();
    let before = scene.weights();
    let dated_before = dated(&scene);
    for offset in ["+2d", "-2d", "+0"] {
        scene.clock.put(offset);
        scene.stands(&before, offset);
    }
    // The library is in force: what is decided from here on is dated by it.
    scene.clock.put("+2d");
    scene.coordinator.ask(&["pin", "0.5", "a", "--yes"]);
    let ahead = dated(&scene) - dated_before;
    assert!(ahead > 47 * 3_600_000, "{ahead} ms: the clock was put two days ahead");
}
