//! Requests that want the same at the same time: one is sent.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use serde_json::json;

use super::{Scripted, answer, ask_on, on};
use crate::common::{Setup, eventually};

/// A worker whose first answer waits for `go`.
fn slow_first(lines: &'static str) -> (Scripted, Arc<AtomicBool>) {
    let go = Arc::new(AtomicBool::new(false));
    let goes = Arc::clone(&go);
    let worker = Scripted::new(move |number, _| {
        if number == 0 {
            eventually("it may go on", || goes.load(SeqCst));
        }
        answer(lines, &format!("answer {number}"))
    });
    (worker, go)
}

/// Asks by so many clients at once; lets the worker go on when all but one wait. The bodies that they got.
fn crowd(setup: &Setup, clients: usize, go: &AtomicBool) -> Vec<String> {
    thread::scope(|scope| {
        let asking: Vec<_> = (0..clients).map(|_| scope.spawn(|| setup.get("/", "").body)).collect();
        eventually("all but one wait", || setup.gateway.stats().cache.collapsed == clients as u64 - 1);
        go.store(true, SeqCst);
        asking.into_iter().map(|asking| asking.join().expect("answered")).collect()
    })
}

#[test]
fn a_hundred_clients_that_want_the_same_cost_one_request() {
    for threads in [1, 2] {
        let (worker, go) = slow_first("cache-control: max-age=60");
        let mut wanted = worker.wanted(json!({"collapse_wait": "30s"}));
        wanted.threads = threads;
        let setup = wanted.start();
        assert_eq!(crowd(&setup, 100, &go), vec!["answer 0"; 100]);
        assert_eq!((worker.asked(), setup.gateway.stats().cache.hits), (1, 99));
    }
}

#[test]
fn when_the_answer_is_for_one_the_others_ask_by_themselves() {
    let (worker, go) = slow_first("cache-control: private, max-age=60");
    let setup = worker.behind(json!({"collapse_wait": "30s"}));
    let mut bodies = crowd(&setup, 10, &go);
    bodies.sort();
    bodies.dedup();
    assert_eq!((bodies.len(), worker.asked()), (10, 10));
    // And who comes next does not wait at all.
    setup.get("/", "");
    assert_eq!(setup.gateway.stats().cache.collapsed, 9);
}

#[test]
fn when_the_one_that_was_sent_leaves_another_is_sent() {
    let (worker, go) = slow_first("cache-control: max-age=60");
    let setup = worker.behind(json!({"collapse_wait": "30s"}));
    let mut leader = setup.connect();
    leader.write_all(b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n").expect("sent");
    eventually("it was sent", || worker.asked() == 1);
    thread::scope(|scope| {
        let asking: Vec<_> = (0..10).map(|_| scope.spawn(|| setup.get("/", "").body)).collect();
        eventually("all wait", || setup.gateway.stats().cache.collapsed == 10);
        drop(leader);
        for asking in asking {
            assert_eq!(asking.join().expect("answered"), "answer 1");
        }
    });
    go.store(true, SeqCst);
    assert_eq!(worker.asked(), 2);
}

#[test]
fn when_the_one_that_was_sent_fails_the_others_ask_by_themselves() {
    let go = Arc::new(AtomicBool::new(false));
    let goes = Arc::clone(&go);
    let worker = Scripted::new(move |number, _| {
        if number == 0 {
            eventually("it may go on", || goes.load(SeqCst));
            return String::new();
        }
        answer("cache-control: max-age=60", "good")
    });
    let setup = worker.behind(json!({"collapse_wait": "30s"}));
    let bodies = crowd(&setup, 10, &go);
    assert_eq!(bodies.iter().filter(|body| *body == "good").count(), 9, "{bodies:?}");
}

#[test]
fn nobody_waits_longer_than_the_route_says() {
    let (worker, go) = slow_first("cache-control: max-age=60");
    let setup = worker.behind(json!({"collapse_wait": "50ms"}));
    thread::scope(|scope| {
        let first = scope.spawn(|| setup.get("/", "").body);
        eventually("it was sent", || worker.asked() == 1);
        assert_eq!(setup.get("/", "").body, "answer 1");
        go.store(true, SeqCst);
        assert_eq!(first.join().expect("answered"), "answer 0");
    });
}

#[test]
fn whose_answer_may_be_its_own_alone_does_not_wait_for_another_one() {
    for line in ["authorization: Basic eA==", "cache-control: no-store", "if-none-match: \"b\"", "range: bytes=0-0"] {
        let (worker, go) = slow_first("cache-control: max-age=60");
        let setup = worker.behind(json!({"collapse_wait": "30s"}));
        thread::scope(|scope| {
            let first = scope.spawn(|| setup.get("/", "").body);
            eventually("it was sent", || worker.asked() == 1);
            assert_eq!(setup.get("/", line).body, "answer 1", "{line}");
            go.store(true, SeqCst);
            assert_eq!(first.join().expect("answered"), "answer 0");
        });
    }
}

#[test]
fn after_a_failure_requests_wait_for_one_another_as_before() {
    let go = Arc::new(AtomicBool::new(false));
    let goes = Arc::clone(&go);
    let worker = Scripted::new(move |number, _| {
        if number == 0 {
            return "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned();
        }
        eventually("it may go on", || goes.load(SeqCst));
        answer("cache-control: max-age=60", "good")
    });
    let setup = worker.behind(json!({"collapse_wait": "30s"}));
    assert_eq!(setup.get("/", "").status(), "500");
    assert_eq!(crowd(&setup, 10, &go), vec!["good"; 10]);
    assert_eq!(worker.asked(), 2);
}

#[test]
fn a_route_can_have_each_request_sent() {
    let (worker, go) = slow_first("cache-control: max-age=60");
    let setup = worker.behind(json!({"collapse": false}));
    thread::scope(|scope| {
        let first = scope.spawn(|| setup.get("/", "").body);
        eventually("it was sent", || worker.asked() == 1);
        assert_eq!(setup.get("/", "").body, "answer 1");
        go.store(true, SeqCst);
        first.join().expect("answered");
    });
    assert_eq!(setup.gateway.stats().cache.collapsed, 0);
}

#[test]
fn those_who_wait_for_a_stale_answer_get_it_when_it_was_found_right() {
    let go = Arc::new(AtomicBool::new(false));
    let goes = Arc::clone(&go);
    let worker = Scripted::new(move |number, request| {
        if number == 0 {
            return answer("cache-control: max-age=0\r\netag: \"a\"", "kept");
        }
        assert!(request.contains("if-none-match: \"a\""), "{request}");
        eventually("it may go on", || goes.load(SeqCst));
        "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\ncache-control: max-age=60\r\n\r\n".to_owned()
    });
    let setup = worker.behind(json!({"collapse_wait": "30s"}));
    ask_on(&mut setup.connect(), "GET", "/", "");
    assert_eq!(crowd(&setup, 20, &go), vec!["kept"; 20]);
    assert_eq!(worker.asked(), 2);
    let _ = on();
}
