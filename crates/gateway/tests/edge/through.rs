//! Requests that go through to a worker: what the edges do around them.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use ambidex_core::again::budget::Budget;
use ambidex_core::balance::PickPolicy;
use ambidex_core::load::Cells;
use ambidex_core::share::Share;
use ambidex_core::view::{Address, PoolParts, PoolView, View, WorkerView};
use ambidex_core::worker::{PoolId, Standing, WorkerId};
use ambidex_gateway::config::{GatewayConfig, Listener, PoolTransport, Route, UpstreamTransport};
use ambidex_gateway::{Gateway, Shared};
use serde_json::{Value, json};

use crate::common::{LONG, address, config, connect, eventually, get, head, listener, plain, shared};

/// A worker that tells each head it gets, and answers when it is told to.
struct Worker {
    heads: Receiver<String>,
    go: Sender<()>,
    shared: Shared,
}

impl Worker {
    fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let shared = Shared { view: Arc::new(arc_swap::ArcSwap::from_pointee(view(&socket))), ..shared() };
        let ((tell, heads), (go, gone)) = (channel(), channel());
        let gone = Arc::new(std::sync::Mutex::new(gone));
        std::thread::spawn(move || {
            for stream in socket.incoming() {
                let (mut stream, tell, gone) = (stream.expect("a connection"), tell.clone(), Arc::clone(&gone));
                std::thread::spawn(move || {
                    while let Ok(head) = head(&mut stream) {
                        let _ = tell.send(head);
                        let _ = gone.lock().expect("no panic").recv();
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
                    }
                });
            }
        });
        Self { heads, go, shared }
    }

    fn gateway(&self, change: impl FnOnce(&mut GatewayConfig)) -> Gateway {
        let mut config = through(vec![plain()]);
        change(&mut config);
        Gateway::start(config, self.shared.clone()).expect("the gateway starts")
    }

    /// Lets `count` requests be answered.
    fn answer(&self, count: usize) {
        (0..count).for_each(|_| self.go.send(()).expect("the worker lives"));
    }
}

fn through(listeners: Vec<Listener>) -> GatewayConfig {
    let routes = json!([{"match": {"path_prefix": "/api"}, "pool": "api"}]);
    let routes: Vec<Route> = serde_json::from_value(routes).expect("routes");
    let transport = UpstreamTransport::default();
    let pools = vec![PoolTransport { name: "api".into(), id: PoolId(1), hears_reports: true, transport, costs: None }];
    GatewayConfig { routes, pools, ..config(listeners) }
}

fn view(worker: &TcpListener) -> View {
    let at = worker.local_addr().expect("an address");
    let worker = WorkerView {
        id: WorkerId(1),
        name: "w".into(),
        url: format!("http://{at}").into(),
        address: Address::Ip(at),
        zone: "".into(),
        standing: Standing::Serving,
        cells: Arc::new(Cells::new(2)),
        drill: None,
    };
    let parts = PoolParts {
        id: PoolId(1),
        name: "api".into(),
        revision: 1,
        workers: vec![worker],
        pick: PickPolicy::RoundRobin,
        learned: vec![1.0],
        fixed: vec![1.0],
        learned_share: Share::ALL,
        breaker: serde_json::from_value(json!({})).expect("defaults"),
        budget: Arc::new(Budget::new(Default::default())),
    };
    View::new(1, vec![Arc::new(PoolView::new(parts, None))])
}

#[test]
fn a_drain_finishes_what_is_under_way_and_takes_nothing_new() {
    let worker = Worker::start();
    let gateway = worker.gateway(|_| {});
    let at = address(&gateway, 0);
    let mut stream = connect(at);
    write!(stream, "GET /api HTTP/1.1\r\nhost: test\r\n\r\n").expect("sent");
    worker.heads.recv().expect("the worker has it");
    std::thread::scope(|scope| {
        let drained = scope.spawn(|| gateway.drain(LONG));
        eventually("nobody listens", || TcpStream::connect(at).is_err());
        worker.answer(1);
        let told = head(&mut stream).expect("an answer").to_ascii_lowercase();
        assert!(told.starts_with("http/1.1 200 ") && told.contains("connection: close"), "{told}");
        let mut body = String::new();
        stream.read_to_string(&mut body).expect("the body, then the end");
        assert_eq!((body.as_str(), drained.join().expect("no panic")), ("hello", 0));
    });
}

#[test]
fn a_drain_cuts_at_the_end_of_its_grace() {
    let worker = Worker::start();
    let gateway = worker.gateway(|_| {});
    let mut stream = connect(address(&gateway, 0));
    write!(stream, "GET /api HTTP/1.1\r\nhost: test\r\n\r\n").expect("sent");
    worker.heads.recv().expect("the worker has it");
    assert_eq!(gateway.drain(ambidex_core::time::Span::from_millis(50)), 1);
}

#[test]
fn every_request_has_its_line_and_no_secret_is_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("access.log");
    let worker = Worker::start();
    let log = serde_json::from_value(json!({"path": path})).expect("right");
    let gateway = worker.gateway(|config| config.access_log = Some(log));
    worker.answer(1);
    let mut stream = connect(address(&gateway, 0));
    let request = "GET /api/a?token=canary HTTP/1.1\r\nhost: a.test\r\nuser-agent: it \"is\"\r\n\
        authorization: Bearer canary\r\ncookie: id=canary\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("sent");
    head(&mut stream).expect("an answer");
    stream.read_exact(&mut [0; 5]).expect("the body");
    get(&mut stream, "/elsewhere").expect("an answer");
    gateway.drain(LONG);
    let text = fs::read_to_string(&path).expect("a log");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(!text.contains("canary"), "{text}");
    assert_eq!(lines.len(), 2, "{text}");
    for (field, value) in [
        ("client", json!("127.0.0.1")),
        ("method", json!("GET")),
        ("host", json!("a.test")),
        ("path", json!("/api/a")),
        ("route", json!("/api/*")),
        ("pool", json!("api")),
        ("status", json!(200)),
        ("bytes", json!(5)),
        ("worker", json!("w")),
        ("attempts", json!(1)),
        ("user_agent", json!("it \"is\"")),
    ] {
        assert_eq!(lines[0][field], value, "{field}: {text}");
    }
    assert_eq!((&lines[1]["status"], &lines[1]["reason"]), (&json!(404), &json!("no-route")), "{text}");
}

#[test]
fn a_log_that_nobody_reads_does_not_hold_requests() {
    let (_reader, pipe) = std::io::pipe().expect("a pipe");
    let worker = Worker::start();
    let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    let log = serde_json::from_value(json!({"path": path})).expect("right");
    let gateway = worker.gateway(|config| config.access_log = Some(log));
    let path = format!("/elsewhere{}", "x".repeat(2_000));
    let mut stream = connect(address(&gateway, 0));
    eventually("lines are dropped", || {
        (0..200).for_each(|_| drop(get(&mut stream, &path).expect("an answer")));
        gateway.stats().access_log.dropped > 0
    });
}

#[test]
fn a_worker_hears_who_the_client_behind_a_balancer_is() {
    let worker = Worker::start();
    let demanding = listener(json!({"address": "127.0.0.1:0", "proxy_protocol": true}));
    let gateway = worker.gateway(|config| config.listeners = vec![demanding]);
    worker.answer(1);
    let mut stream = connect(address(&gateway, 0));
    stream.write_all(b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n").expect("sent");
    get(&mut stream, "/api").expect("an answer");
    let told = worker.heads.recv().expect("the worker has it").to_ascii_lowercase();
    assert!(told.contains("x-forwarded-for: 192.0.2.1\r\n"), "{told}");
}

#[test]
fn a_flood_of_pings_is_cut_while_others_are_answered() {
    let worker = Worker::start();
    let gateway = worker.gateway(|_| {});
    let mut flood = connect(address(&gateway, 0));
    flood.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").expect("sent");
    let mut answers = flood.try_clone().expect("a second handle");
    let reading = std::thread::spawn(move || while matches!(answers.read(&mut [0; 4_096]), Ok(1..)) {});
    let ping = b"\0\0\x08\x06\0\0\0\0\0pingpong";
    let sent = (0..10_000).take_while(|_| flood.write_all(ping).is_ok()).count();
    eventually("it is cut", || gateway.stats().listeners[0].cut_for_flood == 1);
    reading.join().expect("no panic");
    assert!(sent <= 10_000);
    get(&mut connect(address(&gateway, 0)), "/elsewhere").expect("others are answered");
}

#[test]
fn a_sampled_request_comes_to_the_collector_as_a_span() {
    let collector = TcpListener::bind("127.0.0.1:0").expect("a port");
    let worker = Worker::start();
    let otlp = format!("http://{}", collector.local_addr().expect("an address"));
    let tracing = serde_json::from_value(json!({"otlp": otlp, "sample": "100%"})).expect("right");
    let gateway = worker.gateway(|config| config.tracing = Some(tracing));
    worker.answer(1);
    get(&mut connect(address(&gateway, 0)), "/api").expect("an answer");
    let told = worker.heads.recv().expect("the worker has it").to_ascii_lowercase();
    let parent = told.split("traceparent: 00-").nth(1).expect("a context");
    let (mut stream, _) = collector.accept().expect("a post");
    let post = head(&mut stream).expect("a head").to_ascii_lowercase();
    assert!(post.starts_with("post /v1/traces "), "{post}");
    let length = post.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()).expect("a length");
    let mut spans = vec![0; length.parse().expect("a number")];
    stream.read_exact(&mut spans).expect("spans");
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("answered");
    let trace: Vec<u8> = (0..16).map(|at| u8::from_str_radix(&parent[2 * at..2 * at + 2], 16).expect("hex")).collect();
    for known in [&trace[..], b"http.route", b"/api/*", b"http.response.status_code"] {
        assert!(spans.windows(known.len()).any(|window| window == known), "{}", known.escape_ascii());
    }
    eventually("it is counted", || gateway.stats().tracing.sent >= 1);
}
