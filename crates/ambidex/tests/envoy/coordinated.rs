//! An Envoy that is steered by a coordinator of its own process, as people would run the two.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use ambidex_lab::load::{LoadOptions, start};
use ambidex_lab::poll;
use ambidex_lab::worker::{Change, Worker};
use serde_json::Value;
use tempfile::TempDir;

use crate::peer::{Envoy, PATIENCE};
use crate::process::{Running, ambidex};
use crate::served::workers;

/// A coordinator, with its file and what is to outlive it in one folder.
struct Scene {
    folder: TempDir,
    xds: SocketAddr,
    coordinator: Option<Running>,
}

impl Scene {
    fn new(workers: &[Worker], more: &str) -> Self {
        // An address that no client's own port is ever at.
        let xds = TcpListener::bind("127.0.0.2:0").and_then(|free| free.local_addr()).expect("a port");
        let mut scene = Self { folder: TempDir::new().expect("a folder"), xds, coordinator: None };
        scene.write(&listed(workers), more);
        scene.start();
        scene
    }

    /// Writes its file, with this list of workers.
    fn write(&self, workers: &str, more: &str) {
        let text = format!(
            "pools:\n  api:\n    workers: [{workers}]\n    {more}\npublish:\n  mesh:\n    envoy: {{listen: \"{}\", pick: round-robin, \
             load_reports: 200ms}}\nadmin: {{address: \"127.0.0.1:0\"}}\njournal: {{path: \"{}\"}}\n",
            self.xds,
            self.folder.path().join("journal").display()
        );
        fs::write(self.file(), text).expect("written");
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("coordinator.yaml")
    }

    fn start(&mut self) {
        let file = self.file();
        let arguments = ["coordinator", file.to_str().expect("UTF-8")];
        self.coordinator = Some(Running::start(TempDir::new().expect("a folder"), &arguments));
    }

    /// Kills it, as the machine would.
    fn kill(&mut self) {
        drop(self.coordinator.take());
    }

    fn coordinator(&self) -> &Running {
        self.coordinator.as_ref().expect("it runs")
    }

    /// An Envoy that starts with what `ambidex envoy bootstrap` prints, ports aside.
    fn envoy(&self) -> Envoy {
        Envoy::with(&bootstrap(&self.file(), &[]))
    }

    fn publisher(&self) -> Value {
        self.coordinator().ask_json(&["publishers"])["publishers"][0].clone()
    }
}

/// Workers, as a pool's list has them.
fn listed(workers: &[Worker]) -> String {
    let one = |worker: &Worker| format!("{{url: \"http://{}\", name: {}, limit: 8}}", worker.address, worker.name);
    workers.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What `ambidex envoy bootstrap` prints of a file, with ports that are free.
pub(crate) fn bootstrap(file: &Path, more: &[&str]) -> String {
    let folder = file.parent().expect("a folder");
    let any = ["--admin", "127.0.0.1:0", "--listen", "api=127.0.0.1:0"];
    let output =
        ambidex(folder).args(["envoy", "bootstrap"]).arg(file).args(any).args(more).output().expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn load(target: SocketAddr) -> LoadOptions {
    LoadOptions::beside(target, 100.0)
}

#[test]
fn a_slow_workers_share_falls_by_load_reports_alone() {
    let workers = workers(2);
    let scene = Scene::new(&workers, "weights: {tick: 100ms}");
    let envoy = scene.envoy();
    workers[1].change(Change { slowdown: Some(6.0), ..Change::default() }).expect("a change");
    let load = start(load(envoy.listener())).expect("load");
    let [good, slow] = [0, 1].map(|at: usize| workers[at].address.port());
    envoy.until("the slow worker gets much less", |envoy| {
        let weights = envoy.weights("api");
        weights.get(&slow).zip(weights.get(&good)).is_some_and(|(slow, good)| slow * 2 < *good)
    });
    let outcome = load.stop();
    assert_eq!(outcome.failures.total(), 0, "{outcome:?}");
    let publisher = scene.publisher();
    assert!(publisher["counts"]["reports"].as_u64() > Some(0), "{publisher}");
    let why = scene.coordinator().ask(&["explain", "weight", "w1"]);
    assert!(why.contains("utilization="), "{why}");
}

#[test]
fn nothing_fails_while_the_coordinator_is_killed_and_started_again() {
    let workers = workers(2);
    let mut scene = Scene::new(&workers, "weights: static");
    let envoy = scene.envoy();
    let load = start(load(envoy.listener())).expect("load");
    scene.kill();
    assert!(poll(PATIENCE, || load.so_far().ok > 50), "nothing is served: {:?}", load.so_far());
    // What it is to say when it is back: only the first worker is left.
    scene.write(&listed(&workers[..1]), "weights: static");
    scene.start();
    envoy.until("what the new coordinator says", |envoy| envoy.weights("api").len() == 1);
    let outcome = load.stop();
    assert_eq!(outcome.failures.total(), 0, "{outcome:?}");
    assert!(poll(PATIENCE, || scene.publisher()["fault"].is_null()), "{}", scene.publisher());
}

#[test]
fn what_an_envoy_refuses_is_told_in_its_words_until_it_takes_what_comes() {
    let workers = workers(2);
    let scene = Scene::new(&workers, "weights: static");
    let envoy = scene.envoy();
    let before = envoy.weights("api");
    let fault = || scene.publisher()["fault"].as_str().map(str::to_owned);
    assert!(poll(PATIENCE, || fault().is_none()), "{:?}", fault());
    // No system takes such a path, and only who connects finds out.
    scene.write(&format!("\"unix:/{}\"", "x".repeat(300)), "weights: static");
    assert!(poll(PATIENCE, || fault().is_some_and(|why| why.contains("refuses eds of api"))), "{:?}", fault());
    assert_eq!(envoy.weights("api"), before);
    scene.write(&listed(&workers[..1]), "weights: static");
    envoy.until("what it takes", |envoy| envoy.weights("api").len() == 1);
    assert!(poll(PATIENCE, || fault().is_none()), "{:?}", fault());
}
