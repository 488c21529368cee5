//! Heartbeats of real processes to a coordinator by itself: most of a pool that falls silent at once, and a worker that
//! claims to be another one [reliability.md rows 1, 9].

use std::fs;
use std::path::Path;

use ambidex_lab::worker::Worker;
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Running, until};
use crate::scene::{metric, page, workers};

/// A coordinator with a key for each worker that speaks for it alone, and what it listens at.
struct Scene {
    coordinator: Running,
    to: String,
    folder: TempDir,
    behind: Vec<Worker>,
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

impl Scene {
    /// With one agent for each name, heard by all of them.
    fn start() -> (Self, Vec<Running>) {
        let folder = TempDir::new().expect("a folder");
        for name in NAMES {
            fs::write(key(folder.path(), name), format!("the key of worker {name}, which is long enough"))
                .expect("written");
        }
        let path = folder.path().join("coordinator.yaml");
        fs::write(&path, file(folder.path(), &[])).expect("written");
        let data = TempDir::new().expect("a folder");
        let coordinator = Running::start(data, &["coordinator", path.to_str().expect("UTF-8")]);
        let to = status(&coordinator)["heartbeats"]["listen"].as_str().expect("it hears").to_owned();
        let scene = Self { coordinator, to, folder, behind: workers(&NAMES) };
        let agents: Vec<Running> = NAMES.iter().map(|name| scene.agent(name, name, 1 + at(name))).collect();
        let listeners: Vec<&str> = agents.iter().map(|agent| agent.listener.as_str()).collect();
        fs::write(&path, file(scene.folder.path(), &listeners)).expect("written");
        (scene, agents)
    }

    /// An agent that calls itself `name` and signs by the key of `signs`.
    fn agent(&self, name: &str, signs: &str, id: usize) -> Running {
        let url = format!("http://{}", self.behind[at(signs)].address);
        let (key, id) = (key(self.folder.path(), signs), id.to_string());
        let mut arguments = vec!["agent", "--for", &url, "--listen", "127.0.0.1:0", "--endpoint", "off"];
        arguments.extend(["--heartbeat-to", &self.to, "--heartbeat-name", name, "--heartbeat-key-id", &id]);
        arguments.extend(["--heartbeat-key-file", key.to_str().expect("UTF-8")]);
        Running::start(TempDir::new().expect("a folder"), &arguments)
    }

    fn workers(&self) -> Vec<Value> {
        let pools = self.coordinator.ask_json(&["workers"]);
        pools["pools"][0]["workers"].as_array().cloned().unwrap_or_default()
    }

    fn weights(&self) -> Vec<f64> {
        self.workers().iter().map(|worker| worker["learned"].as_f64().expect("a weight")).collect()
    }

    /// Waits until all were heard, and all have their whole weight.
    fn hears_all(&self) {
        let heard = |worker: &Value| worker["report"].is_object() && worker["learned"].as_f64() > Some(0.9);
        until(|| (self.workers().len() == NAMES.len() && self.workers().iter().all(heard)).then_some(()));
    }
}

fn at(name: &str) -> usize {
    NAMES.iter().position(|known| *known == name).expect("one of them")
}

fn key(folder: &Path, name: &str) -> std::path::PathBuf {
    folder.join(format!("{name}.key"))
}

fn file(folder: &Path, listeners: &[&str]) -> String {
    let member = |(at, name): (usize, &&str)| {
        // Nobody is there before its agent has said where.
        let listener = listeners.get(at).map_or_else(|| format!("127.0.0.1:{}", at + 1), |known| (*known).to_owned());
        format!("{{url: \"http://{listener}\", name: {name}}}")
    };
    let members: Vec<String> = NAMES.iter().enumerate().map(member).collect();
    let key =
        |(at, name): (usize, &&str)| format!("{{id: {}, file: {:?}, workers: [{name}]}}", at + 1, key(folder, name));
    let keys: Vec<String> = NAMES.iter().enumerate().map(key).collect();
    format!(
        "admin: {{address: \"127.0.0.1:0\"}}\npools: {{api: {{weights: {{tick: 200ms}}, workers: [{}]}}}}\n\
         heartbeats: {{listen: \"127.0.0.1:0\", every: 1s, keys: [{}]}}\n",
        members.join(", "),
        keys.join(", ")
    )
}

fn status(running: &Running) -> Value {
    let answer = page(running, "/api/v1/status");
    serde_json::from_str(answer.split_once("\r\n\r\n").expect("a head").1).expect("JSON")
}

#[test]
fn most_of_a_pool_that_falls_silent_at_once_moves_no_weight_and_is_told() {
    let (scene, agents) = Scene::start();
    scene.hears_all();
    let before = scene.weights();
    agents[..3].iter().for_each(|agent| agent.signal("STOP"));
    until(|| scene.coordinator.log().contains("all weights stand still").then_some(()));
    // One that is alone in its silence has nothing by now.
    let missed = || metric(&scene.coordinator, "ambidex_heartbeats_total{came=\"heard\"}");
    let heard = missed();
    until(|| (missed() > heard + 6).then_some(()));
    let after = scene.weights();
    let same = before.iter().zip(&after).all(|(before, after)| (before - after).abs() < 1e-9);
    assert!(same, "{before:?} became {after:?}");
}

#[test]
fn a_worker_that_claims_to_be_another_one_moves_nothing_and_is_counted() {
    let (scene, mut agents) = Scene::start();
    scene.hears_all();
    // Of `b` nobody speaks any more but `a`, who calls itself so, by its own key.
    drop(agents.remove(1));
    let _impostor = scene.agent("b", "a", 1);
    let refused = || metric(&scene.coordinator, "ambidex_heartbeats_refused_total{why=\"impostor\"}");
    until(|| (refused() > 4).then_some(()));
    until(|| (scene.weights()[1] == 0.0).then_some(()));
    assert!([0, 2, 3].iter().all(|at| scene.weights()[*at] > 0.9), "{:?}", scene.weights());
}
