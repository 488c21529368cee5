//! X15 live: an agent dies, the network parts, the coordinator dies; each time the workers are well, or others are. Agents,
//! coordinator and two gateways are processes; load comes all the time.

use std::fs;

use ambidex_lab::load::{self, Load, LoadOptions};
use ambidex_lab::worker::{self, Worker, WorkerOptions};
use serde_json::Value;
use tempfile::TempDir;

use super::process::{Running, get, until};

const NAMES: [&str; 3] = ["a", "b", "c"];

struct Scene {
    coordinator: Running,
    agents: Vec<Running>,
    gateways: [Running; 2],
    load: Load,
    _workers: Vec<Worker>,
}

impl Scene {
    fn start() -> Self {
        let like = |name: &&str| WorkerOptions { name: (*name).into(), slots: 8, ..WorkerOptions::default() };
        let workers = worker::start_all(NAMES.iter().map(like).collect()).expect("they start");
        let agent = |worker: &Worker| {
            let url = format!("http://{}", worker.address);
            let arguments = ["agent", "--for", &url, "--listen", "127.0.0.1:0", "--endpoint", "off", "--threads", "1"];
            Running::start(TempDir::new().expect("a folder"), &arguments)
        };
        let agents: Vec<Running> = workers.iter().map(agent).collect();
        let member = |(agent, name): (&Running, &&str)| format!("{{url: \"http://{}\", name: {name}}}", agent.listener);
        let members: Vec<String> = agents.iter().zip(&NAMES).map(member).collect();
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("coordinator.yaml");
        let config = format!(
            "pools: {{api: {{workers: [{}], weights: {{tick: 200ms}}}}}}\ngateways: {{address: \"127.0.0.1:0\"}}\n\
             admin: {{address: \"127.0.0.1:0\"}}\n",
            members.join(", ")
        );
        fs::write(&file, config).expect("written");
        let coordinator = Running::start(folder, &["coordinator", file.to_str().expect("UTF-8")]);
        let gateway = || {
            Running::run(&format!(
                "listeners: [{{address: \"127.0.0.1:0\"}}]\npools: {{api: {{}}}}\nadmin: {{address: \"127.0.0.1:0\"}}\nthreads: 1\n\
                 routes: [{{pool: api, retry: {{sent: on, answers: on}}}}]\n\
                 coordinator: {{url: \"{}\", token_file: {}}}\n",
                coordinator.gateways,
                coordinator.folder.path().join("data/gateways-token").display()
            ))
        };
        let gateways = [gateway(), gateway()];
        for gateway in &gateways {
            until(|| page(gateway, "/readyz").starts_with("HTTP/1.1 200").then_some(()));
        }
        let [target, other] = [0, 1].map(|at: usize| gateways[at].listener.parse().expect("an address"));
        let options = LoadOptions { others: vec![other], ..LoadOptions::beside(target, 100.0) };
        let load = load::start(options).expect("load");
        Self { coordinator, agents, gateways, load, _workers: workers }
    }

    /// The share that each worker is to get, as one gateway goes by it.
    fn shares(&self, gateway: usize) -> Vec<f64> {
        let pools = self.gateways[gateway].ask_json(&["workers"]);
        let workers = pools["pools"][0]["workers"].as_array().expect("a list");
        workers.iter().map(|worker| worker["share"].as_f64().expect("a share")).collect()
    }

    fn all(&self, stage: &str) {
        for gateway in &self.gateways {
            until(|| (status(gateway)["following"]["stage"] == stage).then_some(()));
        }
    }

    /// Waits until so many more requests were answered well.
    fn more(&self, count: u64) {
        let wanted = self.load.so_far().ok + count;
        until(|| (self.load.so_far().ok >= wanted).then_some(()));
    }

    /// Whether shares are what they were, to a hundredth of the requests.
    fn stand(&self, before: &[Vec<f64>]) {
        for (gateway, before) in before.iter().enumerate() {
            let after = self.shares(gateway);
            let same = before.iter().zip(&after).all(|(before, after)| (before - after).abs() < 0.01);
            assert!(same, "gateway {gateway}: {before:?} became {after:?}");
        }
    }
}

fn page(running: &Running, path: &str) -> String {
    get(running.admin.trim_start_matches("http://").trim_end_matches('/'), path)
}

fn status(running: &Running) -> Value {
    let answer = page(running, "/api/v1/status");
    serde_json::from_str(answer.split_once("\r\n\r\n").expect("a head").1).unwrap_or_default()
}

#[test]
fn no_request_fails_while_an_agent_dies_the_network_parts_and_the_coordinator_dies() {
    let mut scene = Scene::start();
    let shared = |shares: Vec<f64>| shares.len() == 3 && shares.iter().all(|share| (share - 1.0 / 3.0).abs() < 0.08);
    until(|| (shared(scene.shares(0)) && shared(scene.shares(1))).then_some(()));
    scene.more(200);

    // The agent of one worker is killed with all that it had under way.
    drop(scene.agents.remove(2));
    until(|| scene.shares(0).get(2).is_none_or(|share| *share < 0.05).then_some(()));
    scene.more(200);

    // The coordinator hears and says nothing, and its connections stand. What it says afterwards is heard again.
    scene.coordinator.signal("STOP");
    scene.all("held");
    let before = [0, 1].map(|gateway| scene.shares(gateway));
    scene.more(300);
    scene.stand(&before);
    scene.coordinator.signal("CONT");
    scene.all("heard");
    scene.more(100);

    // It is killed.
    scene.coordinator.signal("KILL");
    scene.all("held");
    let before = [0, 1].map(|gateway| scene.shares(gateway));
    scene.more(300);
    scene.stand(&before);

    let outcome = scene.load.stop();
    assert_eq!(outcome.failures.total(), 0, "{outcome}");
    assert!(outcome.ok > 1_000, "{outcome}");
}
