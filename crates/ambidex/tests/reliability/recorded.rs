//! Traffic recorded by a running gateway, and replayed to it: the same answers; and recordings that cannot be written,
//! which stop nothing.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;

use ambidex_lab::worker::Worker;
use serde_json::Value;

use crate::process::{Running, get, until};
use crate::scene::{answer, config_of, metric, workers};

/// A gateway before these workers that records all, with these settings beside that.
fn recording(workers: &[Worker], settings: &str) -> Running {
    Running::run(&config_of(workers, &format!("record: {{sample: 100%, {settings}}}\n")))
}

fn recorded(running: &Running, outcome: &str) -> u64 {
    metric(running, &format!("ambidex_gateway_recorded_total{{outcome=\"{outcome}\"}}"))
}

/// Waits until so many requests are in the file; their lines.
fn lines(running: &Running, count: u64) -> Vec<Value> {
    until(|| (recorded(running, "written") >= count).then_some(()));
    let text = fs::read_to_string(running.folder.path().join("traffic.jsonl")).expect("a file");
    text.lines().skip(1).map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Requests of every form: two on one connection, a body of known length, one in chunks, and over HTTP/2 with and
/// without one.
fn ask(running: &Running) {
    let mut stream = TcpStream::connect(&running.listener).expect("it listens");
    let posts = "POST /a HTTP/1.1\r\nhost: a.example\r\ncontent-length: 5\r\n\r\nhello";
    let chunks =
        "POST /b HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
    for request in ["GET /c?x=1 HTTP/1.1\r\nhost: a.example\r\naccept: */*\r\n\r\n", posts, chunks] {
        stream.write_all(request.as_bytes()).expect("sent");
        assert!(answer(&mut stream).starts_with("HTTP/1.1 200"));
    }
    let url = format!("http://{}/d", running.listener);
    for body in [&[][..], &["-d", "hello"]] {
        let words = [&["-sS", "--http2-prior-knowledge", &url], body].concat();
        let output = Command::new("curl").args(words).output().expect("curl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn what_was_recorded_is_answered_the_same_when_it_is_replayed() {
    let workers = workers(&["a", "b"]);
    let running = recording(&workers, "path: traffic.jsonl, bodies: 64KiB");
    ask(&running);
    let recorded = lines(&running, 5);
    assert!(recorded.iter().all(|line| line["answer"]["body"]["length"] == 200), "{recorded:?}");
    let file = running.folder.path().join("traffic.jsonl");
    let target = format!("http://{}", running.listener);
    let replay = ["replay", file.to_str().expect("UTF-8"), "--to", &target, "--speed", "20x", "--compare"];
    let outcome = running.ask_json(&[&replay[..], &["--unsafe", "--yes"]].concat());
    assert_eq!((&outcome["sent"], &outcome["compared"]["same"]), (&5.into(), &5.into()), "{outcome}");
    let shares: f64 =
        outcome["workers"].as_array().expect("a list").iter().filter_map(|one| one["share"].as_f64()).sum();
    assert!((shares - 1.0).abs() < 1e-9, "{outcome}");
    // Without leave, what may change something stays here, and that is said.
    let careful = running.ask(&replay);
    assert!(careful.contains(": their method may change something; --unsafe sends them"), "{careful}");
}

#[test]
fn answers_that_differ_are_counted_and_listed() {
    let workers = workers(&["a"]);
    let running = recording(&workers, "path: traffic.jsonl");
    assert!(get(&running.listener, "/a").contains("200 OK") && get(&running.listener, "/b").contains("200 OK"));
    lines(&running, 2);
    let change = "{\"answer_bytes\": 7}";
    let mut admin = TcpStream::connect(workers[0].address).expect("it listens");
    let order = format!("POST /admin HTTP/1.1\r\nhost: w\r\ncontent-length: {}\r\n\r\n{change}", change.len());
    admin.write_all(order.as_bytes()).expect("sent");
    assert!(answer(&mut admin).starts_with("HTTP/1.1 200"));
    let file = running.folder.path().join("traffic.jsonl");
    let target = format!("http://{}", running.listener);
    let replayed = running.asked(&["replay", file.to_str().expect("UTF-8"), "--to", &target, "--compare"]);
    let said = String::from_utf8(replayed.stdout).expect("UTF-8");
    assert_eq!(replayed.status.code(), Some(1), "{said}");
    assert!(said.contains("compared  2: 0 the same, 0 of another status, 2 of another body"), "{said}");
    assert!(said.contains("GET /a: then 200, 200 bytes ") && said.contains("; now 200, 7 bytes "), "{said}");
}

#[test]
fn a_request_is_recorded_with_its_route_its_worker_and_what_it_was_sent() {
    let workers = workers(&["a"]);
    let running = recording(&workers, "path: traffic.jsonl, bodies: 64KiB, redact: [x-mine]");
    let mut stream = TcpStream::connect(&running.listener).expect("it listens");
    let fields = "host: a.example\r\nx-mine: canary\r\ncookie: canary\r\nx-other: kept\r\ncontent-length: 5\r\n";
    stream.write_all(format!("POST /a?token=canary&x=1 HTTP/1.1\r\n{fields}\r\nhello").as_bytes()).expect("sent");
    assert!(answer(&mut stream).starts_with("HTTP/1.1 200"));
    let lines = lines(&running, 1);
    let text = fs::read_to_string(running.folder.path().join("traffic.jsonl")).expect("a file");
    assert!(!text.contains("canary"), "{text}");
    for (key, wanted) in [
        ("/method", "POST"),
        ("/host", "a.example"),
        ("/target", "/a?token=redacted&x=1"),
        ("/version", "HTTP/1.1"),
        ("/route", "/*"),
        ("/body/base64", "aGVsbG8="),
        ("/answer/worker", "a"),
    ] {
        assert_eq!(lines[0].pointer(key).and_then(Value::as_str), Some(wanted), "{key}: {text}");
    }
    assert_eq!(
        lines[0]["fields"],
        serde_json::json!([["x-mine", null], ["cookie", null], ["x-other", "kept"]]),
        "{text}"
    );
    assert_eq!((&lines[0]["answer"]["status"], &lines[0]["answer"]["attempts"]), (&200.into(), &1.into()), "{text}");
}

#[test]
fn a_route_says_how_much_of_its_requests_is_recorded() {
    let workers = workers(&["a"]);
    let routes = "routes: [{match: {path: /never}, pool: api, record: {sample: 0%}}, \
                  {match: {path: /whole}, pool: api, record: {sample: 100%, bodies: 1KiB}}, {pool: api}]";
    let running =
        Running::run(&config_of(&workers, &format!("record: {{path: traffic.jsonl, sample: 0%}}\n{routes}\n")));
    let mut stream = TcpStream::connect(&running.listener).expect("it listens");
    for path in ["/never", "/other", "/whole"] {
        let request = format!("POST {path} HTTP/1.1\r\nhost: a.example\r\ncontent-length: 5\r\n\r\nhello");
        stream.write_all(request.as_bytes()).expect("sent");
        assert!(answer(&mut stream).starts_with("HTTP/1.1 200"));
    }
    let lines = lines(&running, 1);
    let told = |key| lines[0].pointer(key).cloned().unwrap_or_default();
    assert_eq!((lines.len(), told("/target"), told("/body/base64")), (1, "/whole".into(), "aGVsbG8=".into()));
    // Not the header's share, so the line says its own.
    assert_eq!(told("/sample"), 1.0, "{lines:?}");
}

#[test]
fn a_recording_that_cannot_be_written_stops_no_request_and_says_so() {
    let workers = workers(&["a"]);
    for path in ["/dev/full", "missing/traffic.jsonl"] {
        let running = recording(&workers, &format!("path: {path}"));
        for _ in 0..20 {
            assert!(get(&running.listener, "/a").starts_with("HTTP/1.1 200"), "{path}");
        }
        until(|| (recorded(&running, "failed") == 20).then_some(()));
        until(|| running.log().contains("recording: requests are missing in the file; they were served").then_some(()));
        assert_eq!(recorded(&running, "written"), 0, "{path}");
    }
}

#[test]
fn a_recording_becomes_a_load_model() {
    let workers = workers(&["a"]);
    let running = recording(&workers, "path: traffic.jsonl");
    for at in 0..40 {
        assert!(get(&running.listener, &format!("/items/{at}")).starts_with("HTTP/1.1 200"));
    }
    lines(&running, 40);
    let file = running.folder.path().join("traffic.jsonl");
    let section = running.ask(&["lab", "fit", file.to_str().expect("UTF-8")]);
    assert!(section.contains("- {name: get-items, share: 100%, path: \"/items/"), "{section}");
    let model = running.ask_json(&["lab", "fit", file.to_str().expect("UTF-8")]);
    assert_eq!((&model["schema_version"], &model["recorded"]), (&1.into(), &40.into()), "{model}");
}
