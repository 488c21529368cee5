//! Two coordinators that stand for election, and a gateway that follows whoever leads, under load.

use std::fs;
use std::path::{Path, PathBuf};

use ambidex_core::time::Span;
use ambidex_lab::Service;
use ambidex_lab::load::{self, Load, LoadOptions};
use ambidex_lab::worker::{self, ReportStyle, Worker, WorkerOptions};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Running, get, until};

/// A worker of so many slots.
fn like(name: &str, slots: u32) -> WorkerOptions {
    WorkerOptions {
        name: name.to_owned(),
        slots,
        service: Service::constant(Span::from_millis(10)),
        report: ReportStyle::ServerLoad,
        ..WorkerOptions::default()
    }
}

/// What all coordinators of a scene have in common.
pub(crate) struct Cast {
    pub(crate) workers: Vec<Worker>,
    /// `election`'s place, such as `etcd: {..}`.
    place: String,
    /// More keys of the last worker, of the pool, and of the file.
    more: [String; 3],
    shared: TempDir,
}

impl Cast {
    /// A worker of eight slots, and one of two: the one can carry a fifth.
    pub(crate) fn of(place: &str) -> Self {
        let workers = worker::start_all(vec![like("wide", 8), like("narrow", 2)]).expect("they start");
        Self::new(place, workers, Default::default())
    }

    /// The same with one more, `third`, of which these keys say more; and more keys of the pool and of the file.
    pub(crate) fn of_three(place: &str, third: &str, pool: &str, file: &str) -> Self {
        let options = vec![like("wide", 8), like("narrow", 2), like("third", 8)];
        Self::new(place, worker::start_all(options).expect("they start"), [third, pool, file].map(str::to_owned))
    }

    fn new(place: &str, workers: Vec<Worker>, more: [String; 3]) -> Self {
        let shared = TempDir::new().expect("a folder");
        let token = shared.path().join("token");
        fs::write(&token, "0123456789012345678901234567890123456789\n").expect("written");
        fs::set_permissions(&token, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("ours");
        Self { workers, place: place.to_owned(), more, shared }
    }

    fn token(&self) -> PathBuf {
        self.shared.path().join("token")
    }

    /// A file of a coordinator that is called so.
    pub(crate) fn file(&self, name: &str) -> String {
        let [third, pool, file] = &self.more;
        let member = |worker: &Worker| {
            let more = if worker.name == "third" { third } else { "" };
            format!("{{url: \"http://{}\", name: {}{more}}}", worker.address, worker.name)
        };
        let members: Vec<String> = self.workers.iter().map(member).collect();
        format!(
            "{file}pools: {{api: {{workers: [{}], weights: {{tick: 200ms}}{pool}}}}}\nadmin: {{address: \"127.0.0.1:0\"}}\n\
             gateways: {{address: \"127.0.0.1:0\", token_file: {}}}\nelection: {{name: {name}, {}}}\n",
            members.join(", "),
            self.token().display(),
            self.place,
        )
    }

    pub(crate) fn coordinator(&self, name: &str) -> Running {
        coordinator(&self.file(name))
    }

    /// A gateway that follows whichever of these leads.
    pub(crate) fn gateway(&self, coordinators: &[&Running]) -> Running {
        let urls: Vec<String> = coordinators.iter().map(|one| format!("\"{}\"", one.gateways)).collect();
        Running::run(&format!(
            "listeners: [{{address: \"127.0.0.1:0\"}}]\npools: {{api: {{}}}}\nadmin: {{address: \"127.0.0.1:0\"}}\n\
             threads: 1\ncoordinator: {{urls: [{}], token_file: {}}}\n",
            urls.join(", "),
            self.token().display()
        ))
    }

    pub(crate) fn end(self) {
        self.workers.into_iter().for_each(Worker::stop);
    }
}

pub(crate) fn coordinator(config: &str) -> Running {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("coordinator.yaml");
    fs::write(&file, config).expect("written");
    start(folder, &file)
}

pub(crate) fn start(folder: TempDir, file: &Path) -> Running {
    Running::start(folder, &["coordinator", file.to_str().expect("UTF-8")])
}

/// Requests at a steady rate for as long as it is kept.
pub(crate) fn load(gateway: &Running) -> Load {
    let target = gateway.listener.parse().expect("an address");
    // Longer than any test here.
    load::start(LoadOptions::beside(target, 100.0)).expect("load")
}

fn page(running: &Running, path: &str) -> String {
    get(running.admin.trim_start_matches("http://").trim_end_matches('/'), path)
}

pub(crate) fn ready(running: &Running) -> String {
    page(running, "/readyz")
}

pub(crate) fn wait_ready(running: &Running) {
    until(|| ready(running).starts_with("HTTP/1.1 200").then_some(()));
}

fn json(running: &Running, path: &str) -> Value {
    let page = page(running, path);
    serde_json::from_str(page.split("\r\n\r\n").nth(1).unwrap_or_default()).unwrap_or_default()
}

pub(crate) fn status(running: &Running) -> Value {
    json(running, "/api/v1/status")
}

pub(crate) fn leads(running: &Running) -> bool {
    status(running)["election"]["leads"] == true
}

pub(crate) fn term(running: &Running) -> u64 {
    status(running)["election"]["term"].as_u64().unwrap_or_default()
}

/// The term that a gateway follows, while it hears its leader.
pub(crate) fn followed(gateway: &Running) -> Option<u64> {
    let following = &status(gateway)["following"];
    (following["stage"] == "heard" && following["fault"].is_null()).then(|| following["term"].as_u64()).flatten()
}

/// Learned weights by the workers' names.
pub(crate) fn weights(running: &Running) -> Vec<(String, f64)> {
    let pools = json(running, "/api/v1/pools");
    let workers = pools["pools"][0]["workers"].as_array().cloned().unwrap_or_default();
    let weight = |worker: &Value| Some((worker["name"].as_str()?.to_owned(), worker["learned"].as_f64()?));
    workers.iter().filter_map(weight).collect()
}

/// Waits until the narrow worker gets what it can carry, as far as the gateway goes by it.
pub(crate) fn learned(gateway: &Running) {
    until(|| {
        let weights = weights(gateway);
        let narrow = weights.iter().find(|(name, _)| name == "narrow").map_or(9.0, |(_, weight)| *weight);
        (narrow < 0.6).then_some(())
    });
}

/// By which part any weight is another.
pub(crate) fn moved(before: &[(String, f64)], after: &[(String, f64)]) -> f64 {
    let of = |name: &str| after.iter().find(|(known, _)| known == name).map_or(0.0, |(_, weight)| *weight);
    before.iter().map(|(name, weight)| (of(name) / weight - 1.0).abs()).fold(0.0, f64::max)
}
