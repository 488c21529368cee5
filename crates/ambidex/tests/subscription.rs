//! A coordinator and the gateways that follow it, as processes: what they learn together, and what stays when one of
//! them is gone.

mod process;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

use ambidex_core::time::Span;
use ambidex_lab::Service;
use ambidex_lab::worker::{self, ReportStyle, Worker, WorkerOptions};
use process::authority::Authority;
use process::{Running, get, until};
use serde_json::Value;
use tempfile::TempDir;

/// A worker of eight slots, and one of two.
fn workers() -> Vec<Worker> {
    let like = |name: &str, slots| WorkerOptions {
        name: name.to_owned(),
        slots,
        service: Service::constant(Span::from_millis(10)),
        report: ReportStyle::ServerLoad,
        ..WorkerOptions::default()
    };
    worker::start_all(vec![like("wide", 8), like("narrow", 2)]).expect("they start")
}

fn coordinator_at(workers: &[Worker], gateways: &str) -> String {
    let member = |worker: &Worker| format!("{{url: \"http://{}\", name: {}}}", worker.address, worker.name);
    let members: Vec<String> = workers.iter().map(member).collect();
    format!(
        "pools: {{api: {{workers: [{}], weights: {{tick: 200ms}}}}}}\nadmin: {{address: \"127.0.0.1:0\"}}\n\
         gateways: {{address: \"{gateways}\"}}\n",
        members.join(", ")
    )
}

fn start_coordinator(folder: TempDir, config: &str) -> Running {
    let file = folder.path().join("coordinator.yaml");
    fs::write(&file, config).expect("written");
    Running::start(folder, &["coordinator", file.to_str().expect("UTF-8")])
}

fn token_of(coordinator: &Running) -> std::path::PathBuf {
    coordinator.folder.path().join("data/gateways-token")
}

fn following(url: &str, token: &Path) -> String {
    following_by(url, token, "")
}

/// The same with more about the coordinator, after a comma.
fn following_by(url: &str, token: &Path, more: &str) -> String {
    format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\npools: {{api: {{}}}}\nadmin: {{address: \"127.0.0.1:0\"}}\nthreads: 1\n\
         coordinator: {{url: \"{url}\", token_file: {}{more}}}\n",
        token.display()
    )
}

fn ready(running: &Running) -> String {
    get(running.admin.trim_start_matches("http://").trim_end_matches('/'), "/readyz")
}

fn wait_ready(running: &Running) {
    until(|| ready(running).starts_with("HTTP/1.1 200").then_some(()));
}

/// A coordinator that knows nothing would say a half. What is learned on a busy machine swings under it.
const NOTHING_KNOWN: f64 = 0.49;

/// What requests of a process go by: the share of the narrow worker.
fn narrow(running: &Running) -> f64 {
    let pools = running.ask_json(&["workers"]);
    let workers = pools["pools"][0]["workers"].as_array().expect("a list");
    let worker = workers.iter().find(|worker| worker["name"] == "narrow").expect("it is in the pool");
    worker["share"].as_f64().expect("a number")
}

fn stage(running: &Running) -> Value {
    let page = get(running.admin.trim_start_matches("http://").trim_end_matches('/'), "/api/v1/status");
    let body = page.split("\r\n\r\n").nth(1).unwrap_or_default();
    let status: Value = serde_json::from_str(body).unwrap_or_default();
    status["following"]["stage"].clone()
}

/// Requests, one after the other on each of two threads, until it is dropped.
struct Asking {
    over: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Asking {
    fn of(gateways: &[&Running]) -> Self {
        let (over, asked, failed) = (Arc::new(AtomicBool::new(false)), Arc::default(), Arc::default());
        let threads = gateways
            .iter()
            .flat_map(|gateway| [gateway.listener.clone(), gateway.listener.clone()])
            .map(|listener| {
                let (over, asked, failed) = (Arc::clone(&over), Arc::clone(&asked), Arc::clone(&failed));
                thread::spawn(move || {
                    while !over.load(Relaxed) {
                        let good = get(&listener, "/").starts_with("HTTP/1.1 200");
                        AtomicU64::fetch_add(&asked, 1, Relaxed);
                        AtomicU64::fetch_add(&failed, u64::from(!good), Relaxed);
                    }
                })
            })
            .collect();
        Self { over, asked, failed, threads }
    }

    /// Waits until this many more were asked.
    fn more(&self, count: u64) {
        let wanted = self.asked.load(Relaxed) + count;
        until(|| (self.asked.load(Relaxed) >= wanted).then_some(()));
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        self.threads.drain(..).for_each(|thread| drop(thread.join()));
    }
}

/// The narrow worker can carry a fifth. What both gateways see goes into one weight, and both go by it.
#[test]
fn what_two_gateways_count_becomes_one_weight_that_outlives_the_coordinator() {
    let workers = workers();
    let mut coordinator =
        start_coordinator(TempDir::new().expect("a folder"), &coordinator_at(&workers, "127.0.0.1:0"));
    let gateway = || Running::run(&following(&coordinator.gateways, &token_of(&coordinator)));
    let (first, second) = (gateway(), gateway());
    [&first, &second].into_iter().for_each(wait_ready);
    let asking = Asking::of(&[&first, &second]);
    let learned = || until(|| (narrow(&first) < 0.35 && narrow(&second) < 0.35).then_some(()));
    learned();
    assert!(narrow(&coordinator) < NOTHING_KNOWN);

    // Killed, and back at the same address.
    let address = coordinator.gateways.trim_start_matches("http://").to_owned();
    let folder = std::mem::replace(&mut coordinator.folder, TempDir::new().expect("a folder"));
    drop(coordinator);
    until(|| (stage(&first) == "held" && stage(&second) == "held").then_some(()));
    assert!(narrow(&first) < NOTHING_KNOWN, "the last weights stay");
    asking.more(20);
    let again = start_coordinator(folder, &coordinator_at(&workers, &address));
    let mut most: f64 = 0.0;
    until(|| {
        most = most.max(narrow(&first)).max(narrow(&second));
        (stage(&first) == "heard" && stage(&second) == "heard").then_some(())
    });
    assert!(most < NOTHING_KNOWN, "a share of {most} is a jump");
    // It goes on learning from there.
    asking.more(50);
    learned();
    assert!(narrow(&again) < NOTHING_KNOWN);
    assert_eq!(asking.failed.load(Relaxed), 0, "of {}", asking.asked.load(Relaxed));
    drop(asking);
    workers.into_iter().for_each(Worker::stop);
}

#[test]
fn a_gateway_with_a_bad_token_is_refused_and_says_so_until_it_has_the_right_one() {
    let workers = workers();
    let coordinator = start_coordinator(TempDir::new().expect("a folder"), &coordinator_at(&workers, "127.0.0.1:0"));
    let folder = TempDir::new().expect("a folder");
    let token = folder.path().join("token");
    fs::write(&token, "0123456789012345678901234567890123456789\n").expect("written");
    let gateway = Running::run(&following(&coordinator.gateways, &token));
    until(|| ready(&gateway).contains("the token is not the one of this coordinator").then_some(()));
    assert!(ready(&gateway).starts_with("HTTP/1.1 503"));
    assert!(get(&gateway.listener, "/").starts_with("HTTP/1.1 503"));
    fs::copy(token_of(&coordinator), &token).expect("copied");
    wait_ready(&gateway);
    assert!(get(&gateway.listener, "/").starts_with("HTTP/1.1 200"));
    workers.into_iter().for_each(Worker::stop);
}

/// The name first, then the gateway's own certificate: each fault is told, and is gone once the files are right.
#[test]
fn a_subscription_over_tls_says_whose_certificate_is_wrong_and_goes_on_when_the_files_are_right() {
    let workers = workers();
    let (folder, files) = (TempDir::new().expect("a folder"), TempDir::new().expect("a folder"));
    let [ours, gateways, others] = ["ours", "gateways", "others"].map(Authority::called);
    let at = files.path();
    let (cert, key) = ours.issue(at, "coordinator", "coordinator.test");
    ours.write(&at.join("ca.pem"));
    others.write(&at.join("gateways-ca.pem"));
    let (client_cert, client_key) = gateways.issue(at, "gateway", "gateway-1");
    let config = coordinator_at(&workers, "127.0.0.1:0").replace(
        "gateways: {",
        &format!(
            "gateways: {{tls: {{certificates: [{{cert: {}, key: {}}}], client_ca: {}}}, ",
            cert.display(),
            key.display(),
            at.join("gateways-ca.pem").display()
        ),
    );
    let coordinator = start_coordinator(folder, &config);
    assert!(coordinator.gateways.starts_with("https://127.0.0.1:"), "{}", coordinator.gateways);
    let tls = format!(
        ", tls: {{ca: {}, client_cert: {}, client_key: {}}}",
        at.join("ca.pem").display(),
        client_cert.display(),
        client_key.display()
    );
    let gateway = Running::run(&following_by(&coordinator.gateways, &token_of(&coordinator), &tls));
    until(|| ready(&gateway).contains("is not made out to `127.0.0.1`").then_some(()));
    ours.issue(at, "coordinator", "127.0.0.1");
    until(|| ready(&gateway).contains("the coordinator does not believe our certificate").then_some(()));
    let refused = || {
        let page = get(coordinator.admin.trim_start_matches("http://").trim_end_matches('/'), "/api/v1/status");
        page.contains("its certificate is of no authority of `tls.client_ca`").then_some(())
    };
    until(refused);
    gateways.write(&at.join("gateways-ca.pem"));
    wait_ready(&gateway);
    assert!(get(&gateway.listener, "/").starts_with("HTTP/1.1 200"));
    workers.into_iter().for_each(Worker::stop);
}

#[test]
fn a_gateway_that_starts_without_its_coordinator_goes_by_the_picture_that_it_kept() {
    let workers = workers();
    let coordinator = start_coordinator(TempDir::new().expect("a folder"), &coordinator_at(&workers, "127.0.0.1:0"));
    let token = token_of(&coordinator);
    let text = fs::read_to_string(&token).expect("made");
    let mut gateway = Running::run(&following(&coordinator.gateways, &token));
    wait_ready(&gateway);
    gateway.signal("TERM");
    assert_eq!(gateway.end(), Some(0));
    let folder = std::mem::replace(&mut gateway.folder, TempDir::new().expect("a folder"));
    drop(coordinator);
    let kept = folder.path().join("token");
    fs::write(&kept, text).expect("written");
    let file = folder.path().join("gw.yaml");
    let gone = "http://127.0.0.1:1";
    fs::write(&file, following(gone, &kept)).expect("written");
    let again = Running::start(folder, &["run", file.to_str().expect("UTF-8")]);
    assert!(get(&again.listener, "/").starts_with("HTTP/1.1 200"));
    assert!(ready(&again).starts_with("HTTP/1.1 200"));
    assert_eq!(stage(&again), "held");
    let fresh = Running::run(&following(gone, &again.folder.path().join("token")));
    until(|| ready(&fresh).contains("the coordinator at http://127.0.0.1:1: no connection").then_some(()));
    let refused = fresh.asked(&["drain", "wide", "--yes"]);
    assert!(!refused.status.success());
    let refused = again.asked(&["drain", "wide", "--yes"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("decides about pool `api`: order it there"), "{said}");
    workers.into_iter().for_each(Worker::stop);
}
