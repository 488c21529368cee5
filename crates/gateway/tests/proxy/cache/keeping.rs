//! What is kept, for whom, and in which shapes it is answered with.

use serde_json::json;

use super::{Scripted, answer, on};
use crate::common::eventually;

const MINUTE: &str = "cache-control: max-age=60\r\netag: \"a\"";

#[test]
fn a_route_without_a_cache_keeps_nothing() {
    let worker = Scripted::numbering(MINUTE);
    let setup = crate::common::Setup::before(worker.address);
    for number in 0..2 {
        let got = setup.get("/", "");
        assert_eq!((&*got.body, got.cache()), (&*format!("answer {number}"), ""));
    }
}

#[test]
fn what_was_answered_once_is_answered_again_without_a_worker() {
    let worker = Scripted::numbering(MINUTE);
    let setup = worker.behind(on());
    let first = setup.get("/a", "");
    assert_eq!(
        (first.body.as_str(), first.cache(), first.field("age")),
        ("answer 0", "ambidex; fwd=uri-miss; stored", None)
    );
    let mut client = setup.connect();
    for _ in 0..3 {
        let again = super::ask_on(&mut client, "GET", "/a", "");
        assert_eq!((again.status(), again.body.as_str(), again.field("age")), ("200", "answer 0", Some("0")));
        assert!(again.cache().starts_with("ambidex; hit; ttl="), "{}", again.head);
        assert_eq!(again.field("etag"), Some("\"a\""));
    }
    assert_eq!(setup.get("/a?b", "").body, "answer 1");
    let stats = setup.gateway.stats().cache;
    assert_eq!((stats.hits, stats.misses, stats.stored, worker.asked()), (3, 2, 2, 2));
    assert!(stats.bytes > 0 && stats.resources == 2, "{stats:?}");
}

#[test]
fn head_conditions_and_ranges_are_answered_from_what_get_brought() {
    let worker = Scripted::new(|_, _| answer(MINUTE, "0123456789"));
    let setup = worker.behind(on());
    setup.get("/", "");
    let head = setup.by("HEAD", "/", "");
    assert_eq!((head.status(), head.field("content-length"), head.field("etag")), ("200", Some("10"), Some("\"a\"")));
    let known = setup.get("/", "if-none-match: \"a\"");
    assert_eq!((known.status(), known.body.as_str(), known.field("etag")), ("304", "", Some("\"a\"")));
    let part = setup.get("/", "range: bytes=2-4");
    assert_eq!((part.status(), part.body.as_str(), part.field("content-range")), ("206", "234", Some("bytes 2-4/10")));
    let none = setup.get("/", "range: bytes=10-");
    assert_eq!((none.status(), none.field("content-range")), ("416", Some("bytes */10")));
    assert_eq!(setup.get("/", "range: bytes=2-4\r\nif-range: \"b\"").body, "0123456789");
    assert_eq!((worker.asked(), setup.gateway.stats().cache.hits), (1, 5));
}

#[test]
fn an_answer_is_for_requests_that_say_the_same_of_what_it_varies_by() {
    let worker = Scripted::numbering("cache-control: max-age=60\r\nvary: Accept-Language");
    let setup = worker.behind(json!({"key": {"cookies": ["tenant"]}}));
    let get = |lines: &str| setup.get("/", lines).body;
    assert_eq!(get("accept-language: de"), "answer 0");
    assert_eq!(get("accept-language: fr"), "answer 1");
    assert_eq!(get("accept-language: de\r\naccept: x"), "answer 0");
    assert_eq!(get("accept-language: de\r\ncookie: tenant=b"), "answer 2");
    assert_eq!(get("accept-language: de\r\ncookie: a=1; tenant=b"), "answer 2");
    assert_eq!(setup.get("/", "accept-language: it").cache(), "ambidex; fwd=vary-miss; stored");
}

#[test]
fn what_is_for_one_user_is_for_no_other() {
    for (lines, request) in [
        ("cache-control: private, max-age=60", ""),
        ("cache-control: no-store, max-age=60", ""),
        ("cache-control: max-age=60\r\nset-cookie: session=1", ""),
        ("cache-control: max-age=60\r\nvary: *", ""),
        ("cache-control: max-age=60", "authorization: Basic eA=="),
        ("cache-control: max-age=60", "cache-control: no-store"),
        ("", ""),
    ] {
        let worker = Scripted::numbering(lines);
        let setup = worker.behind(on());
        setup.get("/", request);
        assert_eq!(setup.get("/", "").body, "answer 1", "{lines} {request}");
    }
    let worker = Scripted::numbering("cache-control: max-age=60");
    let setup = worker.behind(on());
    assert_eq!(setup.get("/", "").body, "answer 0");
    assert_eq!(setup.get("/", "authorization: Basic eA==").body, "answer 1");
}

#[test]
fn who_wants_only_what_is_kept_gets_that_or_is_told_that_there_is_nothing() {
    let worker = Scripted::numbering(MINUTE);
    let setup = worker.behind(on());
    let none = setup.get("/", "cache-control: only-if-cached");
    assert_eq!((none.status(), none.field("ambidex-error")), ("504", Some("not-cached")));
    setup.get("/", "");
    assert_eq!(setup.get("/", "cache-control: only-if-cached").body, "answer 0");
    assert_eq!(worker.asked(), 1);
}

#[test]
fn whether_it_is_still_the_same_is_the_workers_to_say() {
    let worker = Scripted::numbering(MINUTE);
    let setup = worker.behind(on());
    setup.get("/", "");
    for (line, body) in
        [("if-match: \"a\"", "answer 1"), ("if-unmodified-since: Wed, 01 Jan 2020 00:00:00 GMT", "answer 2")]
    {
        let got = setup.get("/", line);
        assert_eq!((got.body.as_str(), got.cache()), (body, "ambidex; fwd=bypass"), "{line}");
    }
    assert_eq!(setup.get("/", "").body, "answer 0");
}

#[test]
fn a_second_best_answer_is_not_kept() {
    let spare = Scripted::numbering(MINUTE);
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let route = json!({"cache": on(), "fallback": [{"pool": "spare"}]});
    let setup = crate::common::Wanted::before(&[nobody]).spare(&[spare.address]).route(route).start();
    for number in 0..2 {
        let got = setup.get("/", "");
        assert_eq!((got.body, got.head.contains("ambidex-tier: pool=spare")), (format!("answer {number}"), true));
    }
}

#[test]
fn a_route_that_only_observes_counts_hits_and_asks_workers() {
    let worker = Scripted::numbering(MINUTE);
    let setup = worker.behind(json!({"mode": "observe"}));
    for number in 0..3 {
        let got = setup.get("/", "");
        assert_eq!((got.body.as_str(), got.cache()), (&*format!("answer {number}"), ""));
    }
    let stats = setup.gateway.stats().cache;
    assert_eq!((stats.observed, stats.hits, worker.asked()), (2, 0, 3));
}

#[test]
fn what_broke_off_has_no_end_or_is_too_long_is_not_kept() {
    for (first, lines) in [
        ("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ncontent-length: 100\r\n\r\nhalf", "too few bytes"),
        ("HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\n\r\nuntil it closes", "no end"),
        (
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
            "no last chunk",
        ),
    ] {
        let address = crate::common::worker(move |number, mut stream| {
            use std::io::Write as _;
            crate::common::head(&mut stream);
            let text = if number == 0 { first.to_owned() } else { super::answer("", "whole") };
            let _ = stream.write_all(text.as_bytes());
        });
        let setup = crate::common::Wanted::before(&[address]).route(json!({"cache": on(), "retries": 0})).start();
        setup.ask("GET / HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n");
        assert_eq!(setup.get("/", "").body, "whole", "{lines}");
        eventually("its end was seen", || setup.gateway.stats().cache.refused == 2);
    }
    let long = Scripted::new(|_, _| answer(MINUTE, &"x".repeat(2_000)));
    let setup = long.behind(json!({"max_body": "1KiB"}));
    assert_eq!(setup.get("/", "").cache(), "ambidex; fwd=uri-miss; detail=too-large");
    setup.get("/", "");
    assert_eq!((long.asked(), setup.gateway.stats().cache.bytes < 2_000), (2, true));
}

#[test]
fn an_answer_in_chunks_is_kept_and_its_trailers_keep_it_out() {
    let chunks = |trailer: &str| {
        format!(
            "HTTP/1.1 200 OK\r\ncache-control: max-age=60\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n{trailer}\r\n"
        )
    };
    let worker =
        Scripted::new(move |_, request| chunks(if request.starts_with("GET /t") { "x-sum: 1\r\n" } else { "" }));
    let setup = worker.behind(on());
    for path in ["/", "/", "/t", "/t"] {
        let got = setup.ask(&format!("GET {path} HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n"));
        assert!(got.contains("abc"), "{got}");
    }
    assert_eq!(worker.asked(), 3);
}

#[test]
fn a_reload_keeps_what_is_kept_as_long_as_a_route_wants_a_cache() {
    let worker = Scripted::numbering(MINUTE);
    let setup = worker.behind(on());
    setup.get("/", "");
    let config = |route: serde_json::Value| ambidex_gateway::config::GatewayConfig {
        threads: 1,
        listeners: vec![serde_json::from_value(json!({"address": "127.0.0.1:0"})).expect("a listener")],
        routes: vec![serde_json::from_value(route).expect("a route")],
        keyspaces: std::collections::BTreeMap::new(),
        homes: None,
        pools: vec![ambidex_gateway::config::PoolTransport {
            name: "api".into(),
            id: ambidex_core::worker::PoolId(0),
            hears_reports: true,
            transport: serde_json::from_value(json!({})).expect("a transport"),
            costs: None,
        }],
        cache: Default::default(),
        deduplication: Default::default(),
        redis: None,
        access_log: None,
        record: None,
        tracing: None,
    };
    setup.gateway.reload(config(json!({"pool": "api", "cache": {"max_body": "2MiB"}}))).expect("taken");
    assert_eq!((setup.get("/", "").body.as_str(), worker.asked()), ("answer 0", 1));
    setup.gateway.reload(config(json!({"pool": "api"}))).expect("taken");
    assert_eq!(setup.get("/", "").body, "answer 1");
    assert_eq!(setup.gateway.stats().cache.bytes, 0);
}
