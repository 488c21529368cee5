//! Workers that were told to go wrong do so, as their clients see it.

use std::net::UdpSocket;
use std::time::Duration;

use ambidex_core::time::Span;
use ambidex_lab::load::{self, LoadOptions, Outcome};
use ambidex_lab::peer::{get, post};
use ambidex_lab::poll;
use ambidex_lab::worker::{self, Change, HeartbeatOptions, ReportStyle, Worker, WorkerError, WorkerOptions};
use ambidex_wire::heartbeat::key::Key;
use ambidex_wire::heartbeat::{Claim, Receiver, Verdict};

fn worker(options: &str) -> Worker {
    worker::start(serde_json::from_str(options).expect("options")).expect("a worker on a free port")
}

fn load(worker: &Worker, timeout: Span) -> Outcome {
    let options = LoadOptions {
        target: worker.address,
        rate: 200.0,
        connections: 64,
        warm_up: Span::ZERO,
        duration: Span::from_millis(300),
        timeout,
        ..LoadOptions::default()
    };
    load::start(options).expect("load").finish()
}

const PATIENT: Span = Span::from_secs(60);

#[test]
fn a_reset_comes_before_the_answer() {
    let worker = worker(r#"{"reset_share": "100%"}"#);
    let outcome = load(&worker, PATIENT);
    assert_eq!((outcome.ok, outcome.failures.reset), (0, outcome.offered), "{outcome}");
}

#[test]
fn a_truncated_answer_breaks_off_in_its_middle() {
    let worker = worker(r#"{"slots": 64, "truncate_share": "100%", "answer_bytes": 4000}"#);
    let outcome = load(&worker, PATIENT);
    assert_eq!((outcome.ok, outcome.failures.truncated), (0, outcome.offered), "{outcome}");
}

#[test]
fn a_worker_that_refuses_comes_back_at_its_port() {
    let worker = worker(r#"{"slots": 64, "faults": [{"what": "refuse"}]}"#);
    assert!(poll(PATIENT, || get(worker.address, "/").is_err()), "it goes on answering");
    let outcome = load(&worker, PATIENT);
    assert_eq!((outcome.ok, outcome.failures.connect), (0, outcome.offered), "{outcome}");
    worker.change(Change { faults: Some(Vec::new()), ..Change::default() }).expect("a sound change");
    assert!(poll(PATIENT, || get(worker.address, "/").is_ok_and(|(status, _)| status == 200)), "it stays away");
}

#[test]
fn a_worker_that_goes_breaks_what_is_under_way() {
    let worker =
        worker(r#"{"service": "1h", "faults": [{"what": "refuse", "curve": {"step": {"at": "200ms"}}}], "slots": 64}"#);
    let outcome = load(&worker, PATIENT);
    let broken = outcome.failures.reset + outcome.failures.connect;
    assert_eq!((outcome.ok, broken), (0, outcome.offered), "{outcome}");
}

#[test]
fn a_blackhole_takes_everything_and_answers_nothing_but_its_admin() {
    let worker = worker(r#"{"faults": [{"what": "blackhole"}]}"#);
    let outcome = load(&worker, Span::from_millis(50));
    assert_eq!((outcome.ok, outcome.failures.timeout), (0, outcome.offered), "{outcome}");
    assert!(get(worker.address, "/admin").is_ok_and(|(status, _)| status == 200));
}

#[test]
fn a_paused_worker_answers_when_it_goes_on() {
    let worker = worker(r#"{"slots": 64, "service": "1ms", "faults": [{"what": "pause"}]}"#);
    let options = LoadOptions { target: worker.address, requests: 20, warm_up: Span::ZERO, ..LoadOptions::default() };
    let load = load::start(options).expect("load");
    assert!(poll(PATIENT, || worker.came() > 0));
    assert_eq!(worker.served(), 0);
    worker.change(Change { faults: Some(Vec::new()), ..Change::default() }).expect("a sound change");
    let outcome = load.finish();
    assert_eq!((outcome.ok, outcome.offered), (20, 20), "{outcome}");
}

#[test]
fn a_silent_worker_works_and_does_not_report() {
    let worker = worker(r#"{"report": "server-load", "faults": [{"what": "silence"}]}"#);
    let (status, answer) = get(worker.address, "/").expect("an answer");
    let head = String::from_utf8_lossy(&answer).to_ascii_lowercase();
    assert!(status == 200 && !head.contains("server-load"), "{head}");
    assert!(get(worker.address, "/load").is_ok_and(|(status, _)| status == 503));
    worker.change(Change { faults: Some(Vec::new()), ..Change::default() }).expect("a sound change");
    assert!(poll(PATIENT, || get(worker.address, "/load").is_ok_and(|(status, _)| status == 200)));
}

#[test]
fn a_dear_route_takes_longer_than_a_cheap_one() {
    let worker = worker(r#"{"slots": 64, "service": "10ms", "costs": {"/dear": 20}}"#);
    let options = LoadOptions { path: "/dear/1".into(), ..LoadOptions::default() };
    let options = LoadOptions { target: worker.address, requests: 5, warm_up: Span::ZERO, ..options };
    let dear = load::start(options.clone()).expect("load").finish();
    assert!(dear.latency.p50_ms >= 199.0, "{dear}");
}

/// A worker that sends heartbeats here, and who listens.
fn heart() -> (Worker, UdpSocket, Key, tempfile::TempDir) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let folder = tempfile::tempdir().expect("a folder");
    let key_file = folder.path().join("key");
    let secret = "0123456789abcdef0123456789abcdef";
    std::fs::write(&key_file, format!("{secret}\n")).expect("a key");
    let to = socket.local_addr().expect("an address");
    let heartbeat = HeartbeatOptions { to: vec![to], key_file, key_id: 7, every: Span::from_millis(20) };
    let options = WorkerOptions {
        name: "w-1".into(),
        report: ReportStyle::Heartbeat,
        heartbeat: Some(heartbeat),
        ..WorkerOptions::default()
    };
    let worker = worker::start(options).expect("a worker");
    (worker, socket, Key::of(secret.as_bytes()).expect("32 bytes"), folder)
}

#[test]
fn heartbeats_are_believed_once_the_worker_was_greeted() {
    let (_worker, socket, key, _folder) = heart();
    let mut receiver = Receiver::new(1);
    let mut buffer = [0; 2_000];
    // The first asks for a session, one of the next carries it; those that a slow machine piled up are answered in vain.
    for _ in 0..10_000 {
        let (length, from) = socket.recv_from(&mut buffer).expect("a heartbeat");
        let granted = |_: u32, worker: &str| if worker == "w-1" { Claim::Granted } else { Claim::Denied };
        let is_signed = |id: u32, bytes: &[u8], tag: &[u8]| id == 7 && key.signs(bytes, tag);
        match receiver.on(&buffer[..length], is_signed, granted, || Some([9; 16])).expect("a sound heartbeat") {
            Verdict::Heard { heartbeat, .. } => {
                assert_eq!((heartbeat.worker.as_str(), heartbeat.report.limit), ("w-1", Some(4)));
                return;
            }
            Verdict::Greet(welcome) => {
                let bytes = welcome.encode(|_, bytes| key.sign(bytes)).expect("fits");
                socket.send_to(&bytes, from).expect("sent");
            }
        }
    }
    panic!("never believed");
}

#[test]
fn heartbeats_off_loopback_or_with_a_short_key_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, "short").expect("a key");
    let start = |to: &str| {
        let to = to.parse().expect("an address");
        let heartbeat =
            HeartbeatOptions { to: vec![to], key_file: key_file.clone(), key_id: 1, every: Span::from_secs(1) };
        let report = ReportStyle::Heartbeat;
        worker::start(WorkerOptions { report, heartbeat: Some(heartbeat), ..WorkerOptions::default() })
    };
    assert!(matches!(start("192.0.2.1:7000"), Err(WorkerError::Remote { .. })));
    let short = start("127.0.0.1:7000").expect_err("too short a key").to_string();
    assert!(short.contains("5 bytes: at least 32"), "{short}");
}

#[test]
fn a_change_by_the_admin_call_holds_and_a_wrong_one_is_refused() {
    let worker = worker(r#"{"slots": 64}"#);
    let change = |json: &str| post(worker.address, "/admin", "none", json).map(|(status, _)| status).ok();
    assert_eq!(change(r#"{"faults": [{"what": "errors"}]}"#), Some(200));
    assert_eq!(get(worker.address, "/").map(|(status, _)| status).ok(), Some(500));
    assert_eq!(change(r#"{"faults": [{"what": "fire"}]}"#), Some(400));
}
