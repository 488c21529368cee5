//! Answers that come before the request was read, with cache, deduplication, shedding and fallback on: what is left of the
//! request is never taken for another one, and what is malformed reaches no worker [reliability.md row 4].

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

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
        for (fields, status) in [
            ("content-length: 5\r\ntransfer-encoding: chunked\r\n", 400),
            ("content-length: 5\r\ncontent-length: 6\r\n", 400),
            ("content-length: +5\r\n", 400),
            ("transfer-encoding: chunked, identity\r\n", 400),
            ("transfer-encoding: gzip\r\n", 501),
            ("x-a : b\r\n", 400),
            ("x-a: b\r\n folded\r\n", 400),
            ("host: b\r\n", 400),
        ] {
            let key = "idempotency-key: \"k\"\r\n";
            let answer =
                say(&running, &format!("POST {path} HTTP/1.1\r\nhost: a\r\n{key}{fields}\r\n0\r\n\r\n{WITHIN}"));
            let told: u16 = answer.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
            assert!(told == status || (status == 501 && told == 400), "{path} {fields:?}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{path} {fields:?}: {answer}");
        }
    }
    assert_eq!(worker.asked(), 0);
}
