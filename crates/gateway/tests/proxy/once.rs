//! Requests with an idempotency key: a worker that counts what it ran, and ends in every way.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;

use crate::common::{OK, Setup, Wanted, answering, connect, eventually, head, read_all, worker};

/// A worker that counts the requests that it got whole, by path, and answers as the path says.
struct Counting {
    address: SocketAddr,
    ran: Arc<Mutex<HashMap<String, usize>>>,
    /// Lets one waiting request go on.
    go: Sender<()>,
}

impl Counting {
    fn start() -> Self {
        let ran = Arc::<Mutex<HashMap<String, usize>>>::default();
        let (go, wait) = channel();
        let wait = Arc::new(Mutex::new(wait));
        let counted = Arc::clone(&ran);
        let address = worker(move |_, mut stream| while serve(&mut stream, &counted, &wait) {});
        Self { address, ran, go }
    }

    fn ran(&self, path: &str) -> usize {
        self.ran.lock().expect("unpoisoned").get(path).copied().unwrap_or(0)
    }
}

fn serve(stream: &mut TcpStream, ran: &Mutex<HashMap<String, usize>>, wait: &Mutex<Receiver<()>>) -> bool {
    let head = head(stream);
    let Some(path) = head.split(' ').nth(1).map(str::to_owned) else { return false };
    let lower = head.to_lowercase();
    let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    if stream.read_exact(&mut body).is_err() {
        return false;
    }
    let count = {
        let mut ran = ran.lock().expect("unpoisoned");
        let count = ran.entry(path.clone()).or_default();
        *count += 1;
        *count
    };
    let mut say = |text: &str| stream.write_all(text.as_bytes()).is_ok();
    let number = count.to_string();
    match path.as_str() {
        "/wait" => {
            let _ = wait.lock().expect("unpoisoned").recv_timeout(Duration::from_secs(60));
            say(&format!("HTTP/1.1 201 Created\r\ncontent-length: 1\r\nx-run: {number}\r\n\r\n{number}"))
        }
        "/before" => false,
        "/within-head" => last(say("HTTP/1.1 200 OK\r\ncontent-le")),
        "/within-body" => last(say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")),
        "/after" => last(say("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: close\r\n\r\n1")),
        "/garbage" => last(say("what?\r\n\r\n")),
        "/large" => say(&format!("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n{}", "x".repeat(100_000))),
        "/shed" if count == 1 => {
            say("HTTP/1.1 503 Full\r\nambidex-shed: none\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n")
        }
        "/401" if count == 1 => say("HTTP/1.1 401 Who\r\ncontent-length: 0\r\n\r\n"),
        "/500" if count == 1 => say("HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\noh"),
        "/404" => say("HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n"),
        "/hints" => say(&["HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n", OK].concat()),
        "/204" => say("HTTP/1.1 204 Done\r\netag: \"a\"\r\n\r\n"),
        "/events" => {
            let begun = say("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n");
            let _ = wait.lock().expect("unpoisoned").recv_timeout(Duration::from_secs(60));
            last(begun)
        }
        _ => say(&format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nx-run: {number}\r\n\r\n{number}", number.len())),
    }
}

/// Closes the connection, whether the answer could be written or not.
const fn last(_: bool) -> bool {
    false
}

fn gateway(worker: &Counting, settings: serde_json::Value) -> Setup {
    Wanted::before(&[worker.address]).route(json!({"deduplicate": settings})).start()
}

fn post(path: &str, key: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: a.example\r\nidempotency-key: {key}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n{body}"
    )
}

/// Status, head in small letters, and body of an answer.
fn parts(answer: &str) -> (u16, String, String) {
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head[9..12].parse().expect("a status"), head.to_lowercase(), body.to_owned())
}

#[test]
fn early_hints_of_a_covered_request_go_on_to_its_client_and_its_repeat_has_none() {
    let worker = Counting::start();
    let gateway = gateway(&worker, json!({}));
    let mut client = gateway.connect();
    client.write_all(post("/hints", "k", "").as_bytes()).expect("sent");
    assert_eq!(head(&mut client), "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n");
    assert!(read_all(&mut client).starts_with("HTTP/1.1 200 "));
    let (status, head, _) = asked(&gateway, "/hints", "k", "");
    assert!(status == 200 && head.contains("ambidex-replayed: true"), "{head}");
    assert_eq!(worker.ran("/hints"), 1);
}

fn asked(gateway: &Setup, path: &str, key: &str, body: &str) -> (u16, String, String) {
    parts(&gateway.ask(&post(path, key, body)))
}

/// Status and the word of an answer of the gateway's own.
fn own(gateway: &Setup, path: &str, key: &str, body: &str) -> (u16, String) {
    let (status, head, _) = asked(gateway, path, key, body);
    let word = head.split("ambidex-error: ").nth(1).and_then(|rest| rest.split("\r\n").next());
    (status, word.unwrap_or_default().to_owned())
}

#[test]
fn a_repeat_gets_the_answer_of_the_first_and_does_not_run() {
    let worker = Counting::start();
    let gateway = gateway(&worker, json!({}));
    let (status, head, body) = asked(&gateway, "/a", "\"k\"", "b");
    assert!(status == 200 && body == "1" && !head.contains("ambidex-replayed"), "{head}");
    for key in ["\"k\"", "k"] {
        let (status, head, body) = asked(&gateway, "/a", key, "b");
        assert!(status == 200 && body == "1" && head.contains("x-run: 1") && head.contains("ambidex-replayed: true"));
    }
    assert_eq!(asked(&gateway, "/a", "other", "b").2, "2");
    for (path, status) in [("/404", 404), ("/204", 204), ("/after", 200)] {
        for _ in 0..3 {
            assert_eq!(asked(&gateway, path, path, "b").0, status);
        }
        assert_eq!(worker.ran(path), 1, "{path}");
    }
}

#[test]
fn a_repeat_of_a_running_request_is_told_to_come_again() {
    let worker = Counting::start();
    let gateway = gateway(&worker, json!({}));
    let mut first = gateway.connect();
    first.write_all(post("/wait", "k", "b").as_bytes()).expect("sent");
    eventually("it runs", || worker.ran("/wait") == 1);
    let (status, head, _) = asked(&gateway, "/wait", "k", "b");
    assert!(status == 409 && head.contains("ambidex-error: in-progress") && head.contains("retry-after: 1"), "{head}");
    assert_eq!(own(&gateway, "/wait", "k", "c"), (422, "idempotency-key-reused".to_owned()));
    worker.go.send(()).expect("it waits");
    assert_eq!(parts(&read_all(&mut first)).0, 201);
    let (status, head, body) = asked(&gateway, "/wait", "k", "b");
    assert!(status == 201 && body == "1" && head.contains("ambidex-replayed: true"));
    assert_eq!(worker.ran("/wait"), 1);
}

#[test]
fn a_request_whose_client_left_goes_on_and_its_repeat_gets_the_answer() {
    let worker = Counting::start();
    let gateway = gateway(&worker, json!({}));
    let mut first = gateway.connect();
    first.write_all(post("/wait", "k", "b").as_bytes()).expect("sent");
    eventually("it runs", || worker.ran("/wait") == 1);
    first.shutdown(Shutdown::Both).expect("open");
    drop(first);
    worker.go.send(()).expect("it waits");
    eventually("its answer is kept", || asked(&gateway, "/wait", "k", "b").0 == 201);
    assert_eq!((worker.ran("/wait"), gateway.in_flight()), (1, 0));
}

#[test]
fn a_request_that_may_have_run_is_never_run_again_whatever_became_of_its_worker() {
    let worker = Counting::start();
    let gateway = gateway(&worker, json!({}));
    for path in ["/before", "/within-head", "/within-body", "/garbage"] {
        let (status, word) = own(&gateway, path, path, "b");
        assert_eq!(status, 502, "{path}: {word}");
        for _ in 0..3 {
            assert_eq!(own(&gateway, path, path, "b"), (409, "answer-lost".to_owned()), "{path}");
        }
        assert_eq!(worker.ran(path), 1, "{path}");
    }
    assert_eq!(asked(&gateway, "/500", "k", "b").0, 500);
    let (status, head, body) = asked(&gateway, "/500", "k", "b");
    assert!(status == 500 && body == "oh" && head.contains("ambidex-replayed: true"), "what it said, it said");
    assert_eq!(worker.ran("/500"), 1);
}

#[test]
fn where_workers_know_keys_what_may_have_run_is_theirs_to_decide() {
    let worker = Counting::start();
    let gateway = gateway(&worker, json!({"worker_knows_keys": true}));
    for path in ["/before", "/within-body"] {
        for _ in 0..2 {
            assert_eq!(own(&gateway, path, path, "b").0, 502);
        }
        assert!(worker.ran(path) >= 2, "{path}");
    }
    assert_eq!(asked(&gateway, "/500", "k", "b").0, 500);
    assert_eq!(asked(&gateway, "/500", "k", "b").0, 200);
}

#[test]
fn what_a_worker_says_it_did_not_begin_may_come_again() {
    let worker = Counting::start();
    let gateway = gateway(&worker, json!({}));
    for (path, status) in [("/shed", 503), ("/401", 401)] {
        assert_eq!(asked(&gateway, path, path, "b").0, status);
        let (status, head, body) = asked(&gateway, path, path, "b");
        assert!(status == 200 && body == "2" && !head.contains("replayed"), "{path}: {head}");
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let gateway = Wanted::before(&[nobody]).route(json!({"deduplicate": {}, "retries": 0})).start();
    for _ in 0..2 {
        let (status, word) = own(&gateway, "/a", "k", "b");
        assert!([502, 503].contains(&status) && word != "answer-lost", "{status} {word}");
    }
}

#[test]
fn an_answer_that_is_too_large_or_streams_passes_and_its_repeat_is_a_conflict() {
    let worker = Counting::start();
    let gateway = gateway(&worker, json!({}));
    let (status, _, body) = asked(&gateway, "/large", "k", "b");
    assert!(status == 200 && body == "x".repeat(100_000), "{} bytes", body.len());
    assert_eq!(own(&gateway, "/large", "k", "b"), (409, "answer-too-large".to_owned()));
    let mut events = gateway.connect();
    events.write_all(post("/events", "k2", "b").as_bytes()).expect("sent");
    assert!(head(&mut events).contains("text/event-stream"));
    let mut first = [0; 5];
    events.read_exact(&mut first).expect("an event comes while its worker still answers");
    assert_eq!(own(&gateway, "/events", "k2", "b"), (409, "answer-too-large".to_owned()));
    worker.go.send(()).expect("it waits");
    assert_eq!((worker.ran("/large"), worker.ran("/events")), (1, 1));
}

#[test]
fn keys_are_demanded_read_and_bounded_as_configured() {
    let worker = Counting::start();
    let gateway = gateway(&worker, json!({"required": true, "max_body": 10}));
    let without = "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let (status, head, _) = parts(&gateway.ask(without));
    assert!(status == 400 && head.contains("ambidex-error: no-idempotency-key"), "{head}");
    assert_eq!(own(&gateway, "/a", "a, b", ""), (400, "bad-idempotency-key".to_owned()));
    assert_eq!(own(&gateway, "/a", "k", "more than ten bytes"), (413, "body-too-large".to_owned()));
    let chunked = "POST /a HTTP/1.1\r\nhost: a\r\nidempotency-key: k\r\ntransfer-encoding: chunked\r\n\
                   connection: close\r\n\r\n14\r\nmore than ten bytes!\r\n0\r\n\r\n";
    assert_eq!(parts(&gateway.ask(chunked)).0, 413);
    assert_eq!(worker.ran("/a"), 0);
    let get = "GET /a HTTP/1.1\r\nhost: a\r\nidempotency-key: k\r\nconnection: close\r\n\r\n";
    assert_eq!((parts(&gateway.ask(get)).2, parts(&gateway.ask(get)).2), ("1".to_owned(), "2".to_owned()));
    assert_eq!(asked(&gateway, "/b", "k", "ten bytes!").0, 200);
}

#[test]
fn a_request_without_a_key_is_refused_before_its_body_comes() {
    let worker = Counting::start();
    let route = json!({"deduplicate": {"required": true}, "retry": {}, "repeat": "idempotent", "deadline": "2s"});
    let gateway = Wanted::before(&[worker.address]).route(route).start();
    let announced = "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\nconnection: close\r\n\r\n";
    let (status, head, _) = parts(&gateway.ask(announced));
    assert!(status == 400 && head.contains("ambidex-error: no-idempotency-key"), "{head}");
}

#[test]
fn a_body_without_a_key_is_sent_again_where_its_route_says_so() {
    let (down, _) = answering("HTTP/1.1 503 Down\r\ncontent-length: 4\r\n\r\ndown");
    let (fine, _heads) = answering(OK);
    for mode in ["on", "observe", "off"] {
        let route = json!({"deduplicate": {"mode": mode}, "retry": {}, "repeat": "idempotent"});
        let gateway = Wanted::before(&[down, fine]).route(route).start();
        let put = "PUT /a HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nconnection: close\r\n\r\nab";
        let answers = [gateway.ask(put), gateway.ask(put)];
        assert!(answers.iter().all(|answer| answer.ends_with("hi")), "{mode}: {answers:?}");
    }
}

#[test]
fn a_route_may_know_requests_by_their_ids_and_tell_tenants_apart() {
    let worker = Counting::start();
    let gateway = gateway(&worker, json!({"header": "X-Request-Id", "tenant": "x-tenant"}));
    let of = |tenant: &str| {
        let request = format!(
            "DELETE /a HTTP/1.1\r\nhost: a\r\nx-request-id: 1-2\r\nx-tenant: {tenant}\r\nconnection: close\r\n\r\n"
        );
        parts(&gateway.ask(&request)).2
    };
    assert_eq!([of("a"), of("b"), of("a")], ["1", "2", "1"]);
}

#[test]
fn a_route_that_observes_counts_and_lets_everything_run() {
    let worker = Counting::start();
    let gateway = gateway(&worker, json!({"mode": "observe"}));
    assert_eq!(asked(&gateway, "/a", "k", "b").2, "1");
    assert_eq!(asked(&gateway, "/a", "k", "b").2, "2");
    assert_eq!(asked(&gateway, "/a", "k", "c").2, "3");
    let [acted, observed] = gateway.gateway.stats().keys.outcomes;
    assert_eq!((acted.iter().sum::<u64>(), observed.iter().sum::<u64>(), observed[0]), (0, 3, 1));
}

#[test]
fn a_connection_goes_on_after_a_repeat() {
    let worker = Counting::start();
    let gateway = gateway(&worker, json!({}));
    let mut stream = connect(gateway.address);
    for key in ["k", "k", "l", "k"] {
        stream.write_all(post("/a", key, "b").replace("connection: close\r\n", "").as_bytes()).expect("sent");
        let head = head(&mut stream);
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let mut body = [0];
        stream.read_exact(&mut body).expect("a body");
        assert_eq!(body[0], if key == "k" { b'1' } else { b'2' });
    }
}

#[tokio::test]
async fn streams_of_http2_are_known_again_too() {
    let worker = Counting::start();
    let gateway = gateway(&worker, json!({}));
    let stream = tokio::net::TcpStream::connect(gateway.address).await.expect("connects");
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    for (path, replayed, status, length) in
        [("/a", false, 200, 1), ("/a", true, 200, 1), ("/large", false, 200, 100_000), ("/large", false, 409, 84)]
    {
        let request = http::Request::post(format!("http://a.example{path}")).header("idempotency-key", path);
        let request = request.body(Full::<Bytes>::from(&b"b"[..])).expect("valid");
        let answer = client.send_request(request).await.expect("an answer");
        assert_eq!((answer.status().as_u16(), answer.headers().contains_key("ambidex-replayed")), (status, replayed));
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        assert_eq!(body.len(), length, "{path}: {body:?}");
    }
    assert_eq!((worker.ran("/a"), worker.ran("/large")), (1, 1));
}
