//! The admin API over real sockets: what it answers, whom it refuses, and what it never says.

mod entry;
mod feed;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::draw::Draw;
use ambidex_core::guard::breaker::BreakerState;
use ambidex_core::guard::ejection::{Breakers, Told};
use ambidex_core::load::Outcome;
use ambidex_core::time::Span;
use ambidex_core::view::Arm;

use crate::coordinator::tests::{Process, TWO, pool, process};
use crate::journal::NoJournal;

/// One exchange over a connection of its own: status and the rest as text.
fn ask(address: SocketAddr, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    let length = body.len();
    let host =
        if headers.to_ascii_lowercase().contains("host:") { String::new() } else { format!("host: {address}\r\n") };
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{host}connection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(request.as_bytes()).expect("takes it");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer)
}

fn started() -> (Process, SocketAddr, String) {
    let workers = TWO.replace(r#""name":"b""#, r#""name":"<img onerror=x>""#);
    let process = process(vec![pool("api", &workers)], Arc::new(NoJournal));
    let address = process.coordinator.admin_address().expect("listens");
    let secret = std::fs::read_to_string(process.coordinator.token_path().expect("made")).expect("readable");
    (process, address, format!("authorization: Bearer {}\r\n", secret.trim()))
}

const READS: [&str; 14] = [
    "/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/api/v1/status",
    "/api/v1/pools",
    "/api/v1/series?pool=api",
    "/api/v1/decisions",
    "/api/v1/decisions?since=10m&worker=a&all=true",
    "/api/v1/explain/weight/api/a",
    "/api/v1/explain/weight/api/a?at=1s",
    "/api/v1/config",
    "/api/v1/config/history",
    "/ui/dashboard.js",
];

#[test]
fn foreign_origins_change_nothing_and_foreign_names_read_nothing() {
    let (_process, address, token) = started();
    let path = "/api/v1/pools/api/freeze";
    for header in ["origin: http://evil.test\r\n", "origin: null\r\n", "sec-fetch-site: cross-site\r\n"] {
        assert_eq!(ask(address, "POST", path, &format!("{token}{header}"), "").0, 403, "{header}");
    }
    let own = format!("{token}origin: http://{address}\r\nsec-fetch-site: same-origin\r\n");
    assert_eq!(ask(address, "POST", path, &own, "").0, 200);
    for path in ["/", "/api/v1/pools", "/metrics", "/api/v1/events"] {
        assert_eq!(ask(address, "GET", path, "host: evil.test:9901\r\n", "").0, 421, "{path}");
    }
    assert_eq!(ask(address, "POST", path, &format!("{token}host: evil.test\r\n"), "").0, 421);
    assert_eq!(ask(address, "GET", "/healthz", "host: any.name\r\n", "").0, 200);
    assert_eq!(ask(address, "GET", "/api/v1/status", "host: localhost:1\r\n", "").0, 200);
    assert_eq!(ask(address, "GET", "/api/v1/status", "host: a\r\nhost: b\r\n", "").0, 400);
}

#[test]
fn answers_carry_the_schema_s_version_and_errors_say_what_to_do() {
    let (_process, address, _) = started();
    for path in ["/api/v1/status", "/api/v1/pools", "/api/v1/decisions", "/api/v1/nothing", "/api/v1/series?pool=x"] {
        assert!(ask(address, "GET", path, "", "").1.contains(r#""schema_version":1"#), "{path}");
    }
    let (status, answer) = ask(address, "GET", "/api/v1/explain/weight/api/c", "", "");
    assert!(status == 404 && answer.contains("workers: a, <img onerror=x>"), "{answer}");
    let (status, answer) = ask(address, "GET", "/api/v1/decisions?since=yesterday", "", "");
    assert!(status == 400 && answer.contains("10m") | answer.contains("500ms"), "{answer}");
}

#[test]
fn a_hostile_name_stays_text_everywhere() {
    let (_process, address, _) = started();
    for path in READS {
        let (_, answer) = ask(address, "GET", path, "", "");
        let head = answer.to_ascii_lowercase();
        assert!(
            head.contains("x-content-type-options: nosniff") && head.contains("content-security-policy:"),
            "{path}"
        );
        if head.contains("content-type: text/html") {
            assert!(!answer.contains("<img onerror"), "{path}: {answer}");
        }
    }
}

#[test]
fn a_decision_stream_tells_what_was_decided_and_what_comes() {
    let (process, address, token) = started();
    let mut stream = TcpStream::connect(address).expect("listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    let request = format!("GET /api/v1/decisions/stream?since=0&worker=a HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("takes it");
    process.until("the first tick", |_| process.room().news.newest() >= 4);
    assert_eq!(ask(address, "POST", "/api/v1/pools/api/workers/a/pin", &token, r#"{"weight":0.25}"#).0, 200);
    let (mut text, mut buffer) = (String::new(), [0_u8; 4096]);
    while !text.contains("pinned") {
        let length = stream.read(&mut buffer).expect("goes on");
        assert!(length > 0, "ended: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    assert!(text.contains("event: decision") && text.contains("text/event-stream"), "{text}");
}

#[test]
fn idle_connections_cannot_keep_others_out_for_long() {
    let (_process, address, _) = started();
    // More than there are places: those beyond are hung up on, and the others within ten seconds.
    let mut idle: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(address).expect("listens")).collect();
    let answered = || {
        let mut stream = TcpStream::connect(address).expect("listens");
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a socket");
        let _ = stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer.contains("200 OK")
    };
    let (process, deadline) = (&_process, 20);
    let until = process.clock.now() + ambidex_core::time::Span::from_secs(deadline);
    while !answered() {
        assert!(process.clock.now() < until, "nobody was let in");
        std::thread::park_timeout(Duration::from_millis(100));
    }
    idle.clear();
}

#[test]
fn large_bodies_and_heads_are_refused() {
    let (_process, address, token) = started();
    let body = format!(r#"{{"weight": 1{}}}"#, " ".repeat(20_000));
    assert_eq!(ask(address, "POST", "/api/v1/pools/api/workers/a/pin", &token, &body).0, 413);
    let head = format!("x-long: {}\r\n", "x".repeat(20_000));
    let (status, _) = ask(address, "GET", "/api/v1/status", &head, "");
    assert!(status == 431 || status == 0, "{status}");
}

#[test]
fn metrics_are_open_metrics_and_every_family_is_typed() {
    let (process, address, _) = started();
    let worker = process.view.load().pools()[0].workers[0].clone();
    worker.cells.tally(0).start();
    worker.cells.tally(0).answer(ambidex_core::time::Span::from_millis(7));
    let (_, answer) = ask(address, "GET", "/metrics", "", "");
    let (head, page) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains("application/openmetrics-text; version=1.0.0"), "{head}");
    assert!(page.trim_end().ends_with("# EOF"), "{page}");
    let mut typed: Vec<&str> = Vec::new();
    for line in page.lines().filter(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            typed.push(rest.split(' ').next().expect("a name"));
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().expect("a name");
            assert!(typed.last().is_some_and(|family| name.starts_with(family)), "{line} is not of {:?}", typed.last());
            let value = line.rsplit(' ').next().expect("a value");
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    for wanted in [
        r#"ambidex_worker_latency_seconds_bucket{le="0.01",pool="api",worker="a"} 1"#,
        r#"ambidex_worker_latency_seconds_bucket{le="0.005",pool="api",worker="a"} 0"#,
        r#"ambidex_worker_requests_total{pool="api",worker="a"} 1"#,
        r#"ambidex_pool_workers{pool="api",standing="serving"} 2"#,
        "ambidex_journal_degraded 1",
    ] {
        assert!(page.contains(wanted), "{wanted} is not in\n{page}");
    }
}

#[test]
fn workers_beyond_the_cap_share_one_label() {
    let workers: Vec<String> = (0..350).map(|i| format!("\"http://10.1.{}.{}:1\"", i / 250, i % 250 + 1)).collect();
    let process = process(vec![pool("big", &format!("[{}]", workers.join(",")))], Arc::new(NoJournal));
    let last = process.view.load().pools()[0].workers[349].clone();
    last.cells.tally(0).start();
    process.view.load().pools()[0].workers[310].cells.tally(1).start();
    let (_, page) = ask(process.coordinator.admin_address().expect("listens"), "GET", "/metrics", "", "");
    assert!(page.contains(r#"ambidex_worker_requests_total{pool="big",worker="other"} 2"#));
    assert_eq!(page.matches("ambidex_worker_requests_total{").count(), 271);
}

#[test]
fn an_event_stream_draws_the_pools_each_second() {
    let (_process, address, _) = started();
    let mut stream = TcpStream::connect(address).expect("listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    let request = format!("GET /api/v1/events HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("takes it");
    let (mut text, mut buffer) = (String::new(), [0_u8; 4096]);
    while text.matches("event: pools").count() < 2 {
        let length = stream.read(&mut buffer).expect("goes on");
        assert!(length > 0, "ended: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    assert!(text.contains(r#""name":"<img onerror=x>""#), "{text}");
}

/// As many failures in a row on one thread as open the worker's breaker there.
fn trip(process: &Process, name: &str) {
    let view = process.view.load();
    let pool = &view.pools()[0];
    let slot = pool.workers.iter().position(|worker| &*worker.name == name).expect("there");
    let (mut breakers, mut draw) = (Breakers::new(1), Draw::seeded(1));
    let _ = breakers.admit(process.clock.now(), pool, Arm::Learned, false, &mut draw);
    for _ in 0..20 {
        if pool.workers[slot].cells.breaker() == BreakerState::Open {
            let transition = breakers.take_transition().expect("it opened");
            return process.teller.try_send(Told { pool: pool.id, seat: 1, transition }).expect("there is room");
        }
        let failed = Outcome::Failed { price: Span::from_secs(1) };
        breakers.outcome(process.clock.now(), slot, pool.workers[slot].id, None, failed, &mut draw);
    }
}

#[test]
fn a_breaker_that_opens_is_seen_at_every_place_that_shows_workers() {
    let (process, address, _) = started();
    let read = |path: &str| ask(address, "GET", path, "", "").1;
    assert!(read("/metrics").contains(r#"ambidex_worker_breaker_state{pool="api",worker="a",state="closed"} 1"#));
    trip(&process, "a");
    let metrics = read("/metrics");
    for wanted in [
        r#"ambidex_worker_breaker_state{pool="api",worker="a",state="open"} 1"#,
        r#"ambidex_worker_breaker_state{pool="api",worker="a",state="closed"} 0"#,
        r#"ambidex_worker_breaker_openings_total{pool="api",worker="a"} 1"#,
    ] {
        assert!(metrics.contains(wanted), "{wanted} is not in {metrics}");
    }
    let pools = read("/api/v1/pools");
    let told = r#""breakers":{"state":"open","open":1,"probing":0,"ramping":0,"of":2,"opened":1}"#;
    assert!(pools.contains(told), "{pools}");
    assert!(read("/").contains("breaker open"));
    let deadline = process.clock.now() + Span::from_secs(20);
    while !read("/api/v1/decisions").contains("the breaker of a opened") {
        assert!(process.clock.now() < deadline, "nobody tells that it opened");
    }
}
