//! Fallback chains over sockets: each tier in its turn, what the client is told of it, and what is never shown.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::json;

use crate::common::{OK, Wanted, answering, head, next, worker};

const GET: &str = "GET /a?q=1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
const DOWN: &str = "HTTP/1.1 503 Down\r\ncontent-length: 4\r\n\r\ndown";

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

#[test]
fn another_pool_answers_and_the_client_is_told_which() {
    let (spare, _heads) = answering(OK);
    let route = json!({"fallback": [{"pool": "spare"}]});
    let setup = Wanted::before(&[nobody()]).spare(&[spare]).route(route).start();
    let answer = setup.ask(GET);
    assert!(answer.contains("ambidex-tier: pool=spare") && answer.ends_with("hi"), "{answer}");
}

#[test]
fn a_failing_answer_is_replaced_by_a_tier_and_shown_when_there_is_none_better() {
    let ((down, _), (spare, _heads)) = (answering(DOWN), answering(OK));
    let route = json!({"fallback": [{"pool": "spare"}]});
    let setup = Wanted::before(&[down]).spare(&[spare]).route(route.clone()).start();
    assert!(setup.ask(GET).ends_with("hi"));
    let setup = Wanted::before(&[down]).spare(&[nobody()]).route(route).start();
    let answer = setup.ask(GET);
    assert!(answer.starts_with("HTTP/1.1 503 Down") && answer.ends_with("down"), "{answer}");
}

#[test]
fn a_failing_answer_that_is_shown_says_which_tier_it_is_of_whatever_was_tried_after_it() {
    let (spare, _heads) = answering(DOWN);
    let route = json!({"fallback": [{"pool": "spare"}, {"path": "/simple"}]});
    let setup = Wanted::before(&[nobody()]).spare(&[spare]).route(route).start();
    let answer = setup.ask(GET);
    assert!(answer.starts_with("HTTP/1.1 503 Down") && answer.contains("ambidex-tier: pool=spare\r\n"), "{answer}");
    let picky = worker(|_, mut stream| {
        if head(&mut stream).starts_with("GET /one?") {
            let _ = stream.write_all(DOWN.as_bytes());
        }
    });
    let route = json!({"fallback": [{"path": "/one"}, {"path": "/two"}]});
    let setup = Wanted::before(&[picky]).route(route).start();
    let answer = setup.ask(GET);
    assert!(answer.starts_with("HTTP/1.1 503 Down") && answer.contains("ambidex-tier: path=/one\r\n"), "{answer}");
}

#[test]
fn the_workers_of_one_zone_are_asked_when_the_pool_has_failed() {
    let ((far, heads), dead) = (answering(OK), nobody());
    let route = json!({"retries": 0, "fallback": [{"zone": "b"}]});
    let setup = Wanted::before(&[dead, far]).zones(&["a", "b"]).route(route).start();
    let answer = setup.ask(GET);
    assert!(answer.contains("ambidex-tier: zone=b") && answer.ends_with("hi"), "{answer}");
    assert!(next(&heads).starts_with("GET /a?q=1 "));
}

#[test]
fn a_simpler_endpoint_is_asked_with_the_same_query() {
    let picky = worker(|_, mut stream| {
        loop {
            let head = head(&mut stream);
            if head.is_empty() {
                return;
            }
            let _ = stream.write_all(if head.starts_with("GET /simple?q=1 ") { OK } else { DOWN }.as_bytes());
        }
    });
    let route = json!({"fallback": [{"path": "/simple"}]});
    let setup = Wanted::before(&[picky]).route(route).start();
    let answer = setup.ask(GET);
    assert!(answer.contains("ambidex-tier: path=/simple") && answer.ends_with("hi"), "{answer}");
}

#[test]
fn a_fixed_answer_comes_last_with_its_status_and_type() {
    let fixed = json!({"status": 503, "body": "{\"busy\":true}", "type": "application/json"});
    let route = json!({"fallback": [{"pool": "spare"}, {"static": fixed}]});
    let setup = Wanted::before(&[nobody()]).spare(&[nobody()]).route(route).start();
    let answer = setup.ask(GET);
    for line in ["HTTP/1.1 503", "content-type: application/json", "ambidex-tier: static", "{\"busy\":true}"] {
        assert!(answer.contains(line), "{line}: {answer}");
    }
    let head = setup.ask("HEAD /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(head.contains("content-length: 13\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn a_post_whose_worker_broke_off_is_asked_of_no_one_else_but_gets_the_fixed_answer() {
    let broken = worker(|_, mut stream| _ = head(&mut stream));
    let (spare, heads) = answering(OK);
    let route = json!({"fallback": [{"pool": "spare"}, {"static": {"body": "sorry"}}]});
    let setup = Wanted::before(&[broken]).spare(&[spare]).route(route).start();
    let answer = setup.ask("POST /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    assert!(answer.ends_with("sorry"), "{answer}");
    heads.try_recv().expect_err("it may have run");
}

/// A worker that answers with `good` while it is up, and breaks off after.
fn failing(good: &'static str) -> (SocketAddr, Arc<AtomicBool>) {
    let up = Arc::new(AtomicBool::new(true));
    let is_up = Arc::clone(&up);
    let address = worker(move |_, mut stream| {
        while !head(&mut stream).is_empty() && is_up.load(Relaxed) {
            let _ = stream.write_all(good.as_bytes());
        }
    });
    (address, up)
}

#[test]
fn the_last_good_answer_is_shown_with_its_age() {
    let (worker, up) = failing("HTTP/1.1 200 OK\r\netag: \"a\"\r\ncontent-length: 4\r\n\r\ngood");
    let setup = Wanted::before(&[worker]).route(json!({"fallback": [{"snapshot": {}}]})).start();
    assert!(!setup.ask(GET).contains("ambidex-tier"));
    up.store(false, Relaxed);
    let answer = setup.ask(GET);
    for line in ["HTTP/1.1 200 OK", "etag: \"a\"", "age: 0", "ambidex-tier: snapshot; age=0", "\r\n\r\ngood"] {
        assert!(answer.contains(line), "{line}: {answer}");
    }
    let other = setup.ask("GET /b HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(other.starts_with("HTTP/1.1 502"), "of another question nothing is kept: {other}");
}

#[test]
fn an_answer_for_one_client_is_never_shown_to_another() {
    let (worker, up) = failing("HTTP/1.1 200 OK\r\nset-cookie: a=1\r\ncontent-length: 4\r\n\r\nmine");
    let setup = Wanted::before(&[worker]).route(json!({"fallback": [{"snapshot": {}}]})).start();
    setup.ask(GET);
    up.store(false, Relaxed);
    assert!(setup.ask(GET).starts_with("HTTP/1.1 502"));
}

#[test]
fn a_tier_has_its_turn_though_nothing_failed_when_the_answer_takes_too_long() {
    let silent = worker(|_, mut stream| {
        head(&mut stream);
        head(&mut stream);
    });
    let route = json!({"fallback": [{"static": {"body": "soon"}}], "fallback_after": "50ms"});
    let setup = Wanted::before(&[silent]).route(route).start();
    assert!(setup.ask(GET).ends_with("soon"));
}

#[test]
fn a_chain_that_only_watches_counts_and_changes_nothing() {
    let (spare, heads) = answering(OK);
    let route = json!({"fallback": [{"pool": "spare"}], "fallback_mode": "observe"});
    let setup = Wanted::before(&[nobody()]).spare(&[spare]).route(route).start();
    assert!(setup.ask(GET).starts_with("HTTP/1.1 502"));
    heads.try_recv().expect_err("nobody was asked");
}
