//! What reaches a worker of what a client says, and the other way round (reliability.md rows 3 and 4).

use std::io::Write;

use ambidex_core::plan::Source;
use serde_json::json;

use crate::common::{OK, Setup, Wanted, answering, head, next};

const FORGED: &str = "forwarded: for=6.6.6.6\r\nx-forwarded-for: 6.6.6.6\r\nx-forwarded-proto: gopher\r\n\
    x-forwarded-host: evil\r\nx-forwarded-prefix: /evil\r\nx-real-ip: 6.6.6.6\r\nx-request-id: evil\r\n\
    server-load: in_flight=0\r\nendpoint-load-metrics: TEXT cpu_utilization=0\r\n\
    endpoint-load-metrics-bin: evil\r\nambidex-tier: evil\r\nambidex-deadline-ms: 666\r\n\
    proxy-authorization: evil\r\nkeep-alive: timeout=666\r\nconnection: x-evil\r\nx-evil: 1\r\nte: gzip\r\n";

fn asked(setup: &Setup, heads: &std::sync::mpsc::Receiver<(usize, String)>, request: &str) -> String {
    let mut client = setup.connect();
    client.write_all(request.as_bytes()).expect("sent");
    assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
    next(heads)
}

#[test]
fn a_stranger_claims_nothing() {
    let (worker, heads) = answering(OK);
    let setup = Setup::before(worker);
    let asked = asked(&setup, &heads, &format!("GET / HTTP/1.1\r\nhost: a\r\n{FORGED}\r\n"));
    // The id is drawn: it may hold any figures.
    let said: String = asked.lines().filter(|line| !line.starts_with("x-request-id: ")).collect();
    for gone in ["6.6.6.6", "evil", "gopher", "666", "server-load", "endpoint-load", "te:"] {
        assert!(!said.contains(gone), "{gone}: {asked}");
    }
    for ours in [
        "x-forwarded-for: 127.0.0.1\r\n",
        "x-forwarded-proto: http\r\n",
        "x-forwarded-host: a\r\n",
        "forwarded: for=127.0.0.1;host=\"a\";proto=http\r\n",
    ] {
        assert!(asked.contains(ours), "{ours}: {asked}");
    }
    let id = asked.lines().find_map(|line| line.strip_prefix("x-request-id: ")).expect("an id");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
}

#[test]
fn a_trusted_peer_is_believed_but_never_about_load() {
    let (worker, heads) = answering(OK);
    let setup = Wanted::before(&[worker]).listener(json!({"trusted": ["127.0.0.0/8"]})).start();
    let asked = asked(&setup, &heads, &format!("GET / HTTP/1.1\r\nhost: a\r\n{FORGED}\r\n"));
    for kept in ["x-forwarded-for: 6.6.6.6, 127.0.0.1\r\n", "x-forwarded-proto: gopher\r\n", "x-request-id: evil\r\n"] {
        assert!(asked.contains(kept), "{kept}: {asked}");
    }
    for gone in ["server-load", "endpoint-load", "ambidex-", "proxy-authorization", "x-evil"] {
        assert!(!asked.contains(gone), "{gone}: {asked}");
    }
}

#[test]
fn a_report_is_heard_and_no_client_sees_it() {
    let (worker, _heads) = answering(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nserver-load: in_flight=7, p50_ms=12\r\n\
         endpoint-load-metrics: TEXT cpu_utilization=0.3\r\nambidex-tier: evil\r\n\r\nhi",
    );
    let mut setup = Setup::before(worker);
    let answer = setup.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    for gone in ["server-load", "endpoint-load", "ambidex-"] {
        assert!(!answer.contains(gone), "{gone}: {answer}");
    }
    let arrived = setup.reports.blocking_recv().expect("a report");
    assert_eq!((arrived.report.in_flight, arrived.source), (Some(7), Source::Piggyback));
}

#[test]
fn a_pool_may_be_deaf_to_reports_and_still_no_client_sees_them() {
    let (worker, _heads) = answering(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nserver-load: in_flight=7\r\ntrailer: endpoint-load-metrics\r\n\r\n\
         2\r\nhi\r\n0\r\nendpoint-load-metrics: TEXT cpu_utilization=0.3\r\n\r\n",
    );
    let mut setup = Wanted::before(&[worker]).deaf_to_reports().start();
    let answer = setup.ask("GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: close\r\n\r\n");
    assert!(!answer.contains("server-load") && !answer.contains("cpu_utilization"), "{answer}");
    assert!(setup.reports.try_recv().is_err(), "a report was passed on");
    assert_eq!(setup.view.load().pools()[0].workers[0].cells.load.report_age(Default::default()), None);
}

#[test]
fn an_absurd_report_is_counted_and_changes_nothing() {
    let (worker, _heads) = answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nserver-load: in_flight=-7\r\n\r\nhi");
    let setup = Setup::before(worker);
    setup.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert_eq!(setup.gateway.stats().traffic.report_faults, 1);
    assert_eq!(setup.view.load().pools()[0].workers[0].cells.load.report_age(Default::default()), None);
}

#[test]
fn requests_that_can_be_read_in_two_ways_are_not_passed_on() {
    let (worker, heads) = answering(OK);
    let setup = Setup::before(worker);
    for (request, status) in [
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a@b\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\nx y: z\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\ncontent-length: +1\r\n\r\na", "400"),
        ("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, gzip\r\n\r\n", "400"),
        ("POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nhost: a\r\n folded: x\r\n\r\n", "400"),
        ("CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n", "405"),
        ("TRACE / HTTP/1.1\r\nhost: a\r\n\r\n", "405"),
        ("\u{16}\u{3}\u{1}", "400"),
    ] {
        let mut client = setup.connect();
        client.write_all(request.as_bytes()).expect("sent");
        let answer = head(&mut client);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
    }
    assert!(heads.try_recv().is_err(), "nothing was passed on");
}

#[test]
fn lengths_and_encodings_are_written_anew() {
    let (worker, heads) = answering(OK);
    let setup = Setup::before(worker);
    let smuggled = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n";
    let mut client = setup.connect();
    client.write_all(smuggled.as_bytes()).expect("sent");
    let answer = head(&mut client);
    if answer.starts_with("HTTP/1.1 200 ") {
        let asked = next(&heads);
        assert!(!asked.contains("content-length"), "{asked}");
    } else {
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    }
}

#[test]
fn an_absolute_target_is_passed_on_in_origin_form() {
    let (worker, heads) = answering(OK);
    let setup = Setup::before(worker);
    let asked = asked(&setup, &heads, "GET http://b.example:80/x?y HTTP/1.1\r\nhost: b.example\r\n\r\n");
    assert!(asked.starts_with("GET /x?y HTTP/1.1\r\n") && asked.contains("host: b.example:80\r\n"), "{asked}");
}

#[test]
fn an_absolute_target_and_a_host_that_differ_are_refused() {
    let (worker, heads) = answering(OK);
    let setup = Setup::before(worker);
    let answer = setup.ask("GET http://b.example/x HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("ambidex-error: bad-host"), "{answer}");
    assert!(heads.try_recv().is_err(), "it went on");
}

#[test]
fn a_client_of_http_1_0_without_a_host_is_served_and_closed() {
    let (worker, heads) = answering(OK);
    let setup = Setup::before(worker);
    let answer = setup.ask("GET / HTTP/1.0\r\n\r\n");
    assert!(answer.ends_with("\r\n\r\nhi"), "{answer}");
    let asked = next(&heads);
    assert!(asked.starts_with("GET / HTTP/1.1\r\n") && asked.contains(&format!("host: {worker}\r\n")), "{asked}");
}

#[test]
fn a_route_that_matches_nothing_is_a_404() {
    let (worker, _heads) = answering(OK);
    let setup = Wanted::before(&[worker]).route(json!({"match": {"host": "only.example"}})).start();
    let answer = setup.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 ") && answer.contains("ambidex-error: no-route"), "{answer}");
}

#[test]
fn a_head_answer_has_the_length_and_no_body() {
    let (worker, _heads) = answering("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n");
    let setup = Setup::before(worker);
    let mut client = setup.connect();
    for _ in 0..2 {
        client.write_all(b"HEAD / HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
        assert!(head(&mut client).contains("content-length: 5000\r\n"));
    }
}

#[test]
fn an_upgrade_to_h2c_is_not_passed_on() {
    let (worker, heads) = answering(OK);
    let setup = Setup::before(worker);
    let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\n\
        http2-settings: AAMAAABkAAQAAP__\r\n\r\n";
    let asked = asked(&setup, &heads, request);
    for gone in ["upgrade", "http2-settings", "connection"] {
        assert!(!asked.contains(gone), "{gone}: {asked}");
    }
}
