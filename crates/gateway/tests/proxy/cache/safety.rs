//! What the cache must never do: answer in the wrong place, grow, or hold what it no longer needs.

use std::io::Write as _;

use serde_json::json;

use super::{Scripted, answer, field, on};
use crate::common::{eventually, exactly, head};

#[test]
fn a_read_with_a_body_is_never_answered_from_the_cache_and_its_body_is_no_request() {
    let worker = Scripted::numbering("cache-control: max-age=60");
    let setup = worker.behind(on());
    setup.get("/", "");
    let mut client = setup.connect();
    let smuggled = "GET /smuggled HTTP/1.1\r\nhost: a.example\r\n\r\n";
    let request = format!(
        "GET / HTTP/1.1\r\nhost: a.example\r\ncontent-length: {}\r\n\r\n{smuggled}GET / HTTP/1.1\r\nhost: a.example\r\n\r\n",
        smuggled.len()
    );
    client.write_all(request.as_bytes()).expect("sent");
    for (body, status) in [("answer 1", "ambidex; fwd=bypass"), ("answer 0", "ambidex; hit; ttl=")] {
        let head = head(&mut client);
        assert!(field(&head, "cache-status").is_some_and(|told| told.starts_with(status)), "{head}");
        assert_eq!(exactly(&mut client, body.len()), body);
    }
    assert_eq!(worker.asked(), 2);
}

#[test]
fn an_early_answer_to_a_request_with_a_body_leaves_nothing_of_it_for_the_next() {
    let worker = Scripted::numbering("cache-control: max-age=60");
    let setup = worker.behind(on());
    let mut client = setup.connect();
    let heads = [
        "GET / HTTP/1.1\r\nhost: a.example\r\ncache-control: only-if-cached\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a.example\r\n\r\n",
    ];
    client.write_all(heads.concat().as_bytes()).expect("sent");
    for status in ["504", "200", "200"] {
        let head = head(&mut client);
        assert_eq!(&head[9..12], status, "{head}");
        let length = field(&head, "content-length").and_then(|length| length.parse().ok()).expect("a length");
        exactly(&mut client, length);
    }
    assert_eq!(worker.asked(), 1);
}

#[test]
fn many_keys_leave_the_cache_within_its_bound_and_its_answers_right() {
    let worker = Scripted::new(|_, request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        answer("cache-control: max-age=60", &format!("{path} {}", "x".repeat(4_000)))
    });
    let mut wanted = worker.wanted(on());
    wanted.cache = json!({"max_bytes": "1MiB"});
    let setup = wanted.start();
    let mut client = setup.connect();
    for number in 0..1_000 {
        // One is asked for often, so it stays.
        for path in [format!("/{number}"), "/often".to_owned()] {
            let got = super::ask_on(&mut client, "GET", &path, "");
            assert_eq!(got.body.split(' ').next(), Some(&*path));
        }
        assert!(setup.gateway.stats().cache.bytes <= 1 << 20);
    }
    let stats = setup.gateway.stats().cache;
    assert!(stats.evicted > 500 && stats.resources > 100, "{stats:?}");
    assert_eq!((stats.hits, worker.asked()), (999, 1_001));
}

#[test]
fn hosts_schemes_and_paths_never_share_an_answer() {
    let worker = Scripted::numbering("cache-control: max-age=60");
    let setup = worker.behind(on());
    let ask = |host: &str, path: &str| {
        let got = setup.ask(&format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"));
        got.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned()
    };
    assert_eq!(ask("a.example", "/x"), "answer 0");
    assert_eq!(ask("b.example", "/x"), "answer 1");
    assert_eq!(ask("a.example", "/X"), "answer 2");
    assert_eq!(ask("a.example:8080", "/x"), "answer 3");
    assert_eq!(ask("a.example", "http://a.example/x"), "answer 0");
    assert_eq!(ask("A.EXAMPLE:80", "/x"), "answer 0");
}

#[test]
fn a_client_that_never_reads_its_answer_holds_no_one_else_up() {
    let worker = Scripted::new(|_, _| answer("cache-control: max-age=60", &"x".repeat(900_000)));
    let setup = worker.behind(json!({"collapse_wait": "100ms"}));
    let mut stuck = setup.connect();
    // More of them than the sockets between hold.
    for _ in 0..40 {
        stuck.write_all(b"GET /long HTTP/1.1\r\nhost: a.example\r\n\r\n").expect("sent");
    }
    assert_eq!(setup.get("/long", "").body.len(), 900_000);
    drop(stuck);
    eventually("nothing is in flight", || setup.in_flight() == 0);
}
