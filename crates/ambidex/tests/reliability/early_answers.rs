//! Answers that come before the request was read, with cache, deduplication, shedding and fallback on: what is left of the
//! request is never taken for another one, and what is malformed reaches no worker [reliability.md row 4].

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;

use crate::process::Running;
use crate::rogue::{Manner, Rogue};

/// Everything that answers by itself, on one gateway with two threads; `api` works, `gone` does not.
fn config(worker: &Rogue) -> String {
    format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\nadmin: off\nthreads: 2\npools:\n  api: {{workers: [{}]}}\n  gone: \
         {{workers: [\"http://127.0.0.1:9\"]}}\n  limited: {{workers: [{}]}}\nroutes:\n  - match: {{path_prefix: /cached}}\n    \
         pool: api\n    cache: {{}}\n    fallback: [{{static: {{body: sorry}}}}]\n  - match: {{path_prefix: /orders}}\n    pool: \
         api\n    deduplicate: {{required: true}}\n  - match: {{path_prefix: /limited}}\n    pool: limited\n    \
         rate_limit: {{per: route, requests: 1, in: 1h}}\n  - pool: gone\n    fallback: [{{static: {{body: sorry}}}}]\n",
        worker.member(),
        worker.member(),
    )
}

/// A request within a request's body.
const WITHIN: &str = "GET /cached/evil HTTP/1.1\r\nhost: evil\r\n\r\n";

/// All of it on one route, before one worker, whose agent the gateway is.
fn all_at_once(worker: &Rogue) -> String {
    format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\nadmin: off\nthreads: 2\nagent: {{}}\npools: {{api: {{workers: [{}]}}}}\n\
         routes:\n  - pool: api\n    cache: {{}}\n    deduplicate: {{required: true, max_body: 1KiB}}\n    retry: {{sent: on, \
         answers: on}}\n    fallback: [{{static: {{status: 203, body: sorry}}}}]\n",
        worker.member(),
    )
}

fn say(running: &Running, text: &str) -> String {
    let mut stream = TcpStream::connect(&running.listener).expect("connects");
    stream.write_all(text.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    // What is closed over unread bytes may be reset.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// With a body that announces more than comes, and more than is kept for another try: whoever answers early must not take
/// it for the next request.
fn with_body(head: &str) -> String {
    format!("{head}\r\nhost: a\r\ncontent-length: 100000\r\n\r\n{WITHIN}")
}

#[test]
fn what_is_left_of_a_request_that_was_answered_early_is_no_request() {
    let worker = Rogue::start("a", Manner::Says("cache-control: max-age=60\r\n".into(), ambidex_lab::Span::ZERO));
    let running = Running::run(&config(&worker));
    let first = say(&running, "GET /cached/page HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(first.ends_with("good"), "{first}");
    say(&running, "GET /limited HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let asked = worker.asked();
    for (head, status) in [
        ("POST /orders/1 HTTP/1.1", "HTTP/1.1 400 "),
        ("POST /limited HTTP/1.1", "HTTP/1.1 429 "),
        ("POST /elsewhere HTTP/1.1", "HTTP/1.1 503 "),
    ] {
        let answers = say(&running, &with_body(head));
        assert!(answers.starts_with(status), "{head}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{head} has one answer: {answers}");
    }
    assert_eq!(worker.asked(), asked, "nothing of it reached a worker");
    assert!(!running.log().contains("panic"), "{}", running.log());
}

#[test]
fn what_is_malformed_reaches_no_worker_whatever_its_route_wants() {
    let worker = Rogue::start("a", Manner::Well);
    let running = Running::run(&config(&worker));
    for path in ["/cached/x", "/orders/x", "/limited", "/elsewhere"] {
        for (fields, status) in MALFORMED {
            refused(&running, path, fields, status);
        }
    }
    assert_eq!(worker.asked(), 0);
}

/// A request with these fields gets one answer of this status, though what stands in its body looks like another one.
fn refused(running: &Running, path: &str, fields: &str, status: u16) {
    let key = "idempotency-key: \"k\"\r\n";
    let answer = say(running, &format!("POST {path} HTTP/1.1\r\nhost: a\r\n{key}{fields}\r\n0\r\n\r\n{WITHIN}"));
    let told: u16 = answer.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
    assert!(told == status || (status == 501 && told == 400), "{path} {fields:?}: {answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{path} {fields:?}: {answer}");
}

#[test]
fn with_all_of_it_on_one_route_two_gateways_of_two_threads_take_no_rest_for_a_request() {
    let worker = Rogue::start("a", Manner::Says("cache-control: max-age=60\r\n".into(), ambidex_lab::Span::ZERO));
    let config = all_at_once(&worker);
    let gateways = [Running::run(&config), Running::run(&config)];
    let page = "GET /page HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    gateways.iter().for_each(|gateway| assert!(say(gateway, page).ends_with("good")));
    let asked = worker.asked();
    thread::scope(|scope| gateways.iter().for_each(|gateway| drop(scope.spawn(|| take_no_rest(gateway, page)))));
    assert_eq!(worker.asked(), asked, "nothing of it reached the worker");
    worker.turn(Manner::ResetAtOnce);
    for gateway in &gateways {
        let answers = say(gateway, &with_body("GET /page HTTP/1.1"));
        assert!(answers.starts_with("HTTP/1.1 203 ") && answers.ends_with("sorry"), "{answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{answers}");
        assert!(!gateway.log().contains("panic"), "{}", gateway.log());
    }
    assert_eq!(worker.asked(), asked + 2, "and nothing that came after it");
}

/// Answers of the cache, of deduplication and of the agent, before the request's body has come.
fn take_no_rest(gateway: &Running, page: &str) {
    let kept = say(gateway, page);
    assert!(kept.contains("\r\nage: ") && kept.ends_with("good"), "{kept}");
    for (head, status) in [
        ("POST /orders HTTP/1.1", "HTTP/1.1 400 "),
        ("POST /orders HTTP/1.1\r\nidempotency-key: a, b", "HTTP/1.1 400 "),
        ("POST /orders HTTP/1.1\r\nidempotency-key: k", "HTTP/1.1 413 "),
        ("POST /orders HTTP/1.1\r\nidempotency-key: k\r\nambidex-deadline-ms: 0", "HTTP/1.1 503 "),
    ] {
        // More than is kept of a body with a key.
        let answers = say(gateway, &format!("{}{}", with_body(head), WITHIN.repeat(40)));
        assert!(answers.starts_with(status), "{head}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 ").count(), 1, "{head} has one answer: {answers}");
    }
    for (fields, status) in MALFORMED {
        refused(gateway, "/orders", fields, status);
    }
}

/// Fields after which nobody can be sure where a request ends, and the status that it is refused with.
const MALFORMED: [(&str, u16); 8] = [
    ("content-length: 5\r\ntransfer-encoding: chunked\r\n", 400),
    ("content-length: 5\r\ncontent-length: 6\r\n", 400),
    ("content-length: +5\r\n", 400),
    ("transfer-encoding: chunked, identity\r\n", 400),
    ("transfer-encoding: gzip\r\n", 501),
    ("x-a : b\r\n", 400),
    ("x-a: b\r\n folded\r\n", 400),
    ("host: b\r\n", 400),
];
