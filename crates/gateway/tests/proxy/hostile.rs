//! Workers that do not do as they should: each request ends in its time, with a reason, and nothing of one answer ever
//! becomes another's.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use ambidex_core::time::Span;
use ambidex_tower::Clock;

use serde_json::json;

use crate::common::{OK, Setup, Wanted, eventually, exactly, head, read_all, worker};

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// Before a worker that treats its first connections with `hostile`, then answers as it should.
pub(crate) fn before(hostile: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Setup {
    before_within("30s", hostile)
}

/// The same with another deadline: for workers that go silent, as nothing else ends such a request.
pub(crate) fn before_within(deadline: &str, hostile: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Setup {
    let address = worker(move |number, mut stream| {
        if number == 0 {
            head(&mut stream);
            return hostile(&mut stream);
        }
        while !head(&mut stream).is_empty() {
            let _ = stream.write_all(OK.as_bytes());
        }
    });
    Wanted::before(&[address]).route(json!({"deadline": deadline, "retries": 0, "pass_deadline": true})).start()
}

pub(crate) fn sending(bytes: &'static [u8]) -> Setup {
    before(move |stream| {
        let _ = stream.write_all(bytes);
        let _ = stream.read(&mut [0]);
    })
}

fn linger_off(stream: &TcpStream) {
    // A close with unread bytes is a reset; here there are none, so both directions are shut.
    let _ = stream.shutdown(Shutdown::Both);
}

/// Asks once, expects `status` with `reason`; asks again on the same client connection, and is answered by a new one.
pub(crate) fn refused(setup: &Setup, status: &str, reason: &str) {
    refused_when_asked(setup, GET, status, reason);
}

/// The same where nothing but the deadline ends the first request: it has one of its own, the second has time.
pub(crate) fn refused_in_time(setup: &Setup) {
    let hasty = b"GET / HTTP/1.1\r\nhost: a\r\nambidex-deadline-ms: 1500\r\n\r\n";
    refused_when_asked(setup, hasty, "504", "deadline");
}

fn refused_when_asked(setup: &Setup, first: &[u8], status: &str, reason: &str) {
    let mut client = setup.connect();
    client.write_all(first).expect("sent");
    let mut answer = head(&mut client);
    while answer.starts_with("HTTP/1.1 102 ") {
        answer = head(&mut client); // Interim ones go on as they come.
    }
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(answer.contains(&format!("ambidex-error: {reason}\r\n")), "{answer}");
    let length = answer.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    exactly(&mut client, length.parse().expect("a number"));
    client.write_all(GET).expect("sent");
    assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
    assert_eq!(exactly(&mut client, 2), "hi");
    assert_eq!(setup.gateway.stats().traffic.connects, 2, "the odd connection is not used again");
    let totals = setup.view.load().pools()[0].workers[0].cells.totals();
    assert_eq!((totals.started, totals.failed, totals.broken), (2, 1, 0), "one failed, one was answered");
    eventually("nothing is in flight", || setup.in_flight() == 0);
}

#[test]
fn a_worker_that_refuses_connections_is_a_502() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let setup = Setup::before(free);
    let answer = setup.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("ambidex-error: connect\r\n"), "{answer}");
    assert!(!answer.contains("127.0.0.1"), "nothing of what is behind is told: {answer}");
}

#[test]
fn a_worker_that_closes_without_an_answer_is_a_502() {
    refused(&before(|stream| linger_off(stream)), "502", "upstream-reset");
}

#[test]
fn a_worker_that_breaks_off_in_its_head_is_a_502() {
    refused(
        &before(|stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nx-a: ");
            linger_off(stream);
        }),
        "502",
        "upstream-reset",
    );
}

#[test]
fn a_worker_that_never_answers_is_a_504_in_time() {
    let setup = sending(b"");
    let clock = Clock::starting_now();
    refused_in_time(&setup);
    let took = clock.now().since(Default::default());
    assert!((Span::from_millis(1_450)..Span::from_secs(29)).contains(&took), "{took:?}");
}

#[test]
fn a_worker_that_speaks_no_http_is_a_502() {
    for garbage in [
        &b"SSH-2.0-OpenSSH_9.2\r\n\r\n"[..],
        b"HTTP/1.1 000 No\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-\0a: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-a: b\rc\r\n\r\n",
        b"HTTP/9.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2, 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, gzip\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\nhi",
        b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-a : b\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nx-a: b\r\n folded\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\ncontent-length: 2\n\nhi",
        b"HTTP/1.1 600 No\r\ncontent-length: 2\r\n\r\nhi",
        b"HTTP/0.9 200 OK\r\n\r\nhi",
        b"ICY 200 OK\r\n\r\nhi",
        b"\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"HTTP/1.1 200 OK\r\n: b\r\n\r\n",
    ] {
        refused(&sending(garbage), "502", "upstream-garbage");
    }
}

#[test]
fn a_101_that_nobody_asked_for_is_a_502() {
    let answer = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nGARBAGE";
    refused(&sending(answer), "502", "upstream-garbage");
}

#[test]
fn a_head_without_end_is_cut() {
    let setup = before(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n");
        while stream.write_all(b"x-more: and more and more and more and more and more and more\r\n").is_ok() {}
    });
    refused(&setup, "502", "upstream-garbage");
}

#[test]
fn informational_answers_without_end_are_cut() {
    let setup = before(|stream| while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").is_ok() {});
    refused(&setup, "502", "upstream-garbage");
}

/// Asks, reads the head of a 200 if it was under way already, and returns all else that comes until the client's
/// connection ends.
fn broken_off(setup: &Setup) -> String {
    let mut client = setup.connect();
    client.write_all(GET).expect("sent");
    let answer = head(&mut client);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let rest = read_all(&mut client);
    eventually("nothing is in flight", || setup.in_flight() == 0);
    assert_eq!(setup.gateway.stats().traffic.broken, 1);
    let totals = setup.view.load().pools()[0].workers[0].cells.totals();
    assert_eq!((totals.started, totals.latency.count(), totals.failed, totals.broken), (1, 1, 1, 1));
    rest
}

#[test]
fn a_body_that_breaks_off_never_looks_complete() {
    let setup = before(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhal");
        linger_off(stream);
    });
    assert!("hal".starts_with(&broken_off(&setup)));
    let setup = before(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhal\r\n");
        linger_off(stream);
    });
    let rest = broken_off(&setup);
    assert!(!rest.ends_with("0\r\n\r\n"), "{rest}");
    let setup = before(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhal\r\n0\r\n");
        linger_off(stream);
    });
    let rest = broken_off(&setup);
    assert!(!rest.ends_with("0\r\n\r\n"), "an end without its last line: {rest}");
}

#[test]
fn chunks_that_are_none_break_the_answer_off() {
    for chunks in [
        &b"zz\r\nhal"[..],
        b"fffffffffffffffff\r\nhal",
        b"3\r\nhalf\r\n0\r\n\r\n",
        b"-3\r\nhal\r\n",
        b"0x3\r\nhal\r\n0\r\n\r\n",
        b"3 \r\nhal\r\n0\r\n\r\n",
        b"3;\r\nhal\r\n0\r\n\r\n",
        b"3\nhal\n0\n\n",
        b"3\r\nhal0\r\n\r\n",
        b"3\r\nhal\r\n0\r\ncontent-length: 7\r\n\r\n",
        b"3\r\nhal\r\n0\r\nbad trailer: 7\r\n\r\n",
    ] {
        let setup = before(move |stream| {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
            let _ = stream.write_all(chunks);
            let _ = stream.read(&mut [0]);
        });
        assert!(!broken_off(&setup).ends_with("0\r\n\r\n"));
    }
}

/// What a worker sends beyond its answer must never become the answer to another request.
fn nothing_beyond(answer: &'static [u8], status: &str, body: usize) {
    let setup = sending(answer);
    let mut client = setup.connect();
    client.write_all(GET).expect("sent");
    let first = head(&mut client);
    assert!(first.starts_with(&format!("HTTP/1.1 {status} ")), "{first}");
    exactly(&mut client, body);
    client.write_all(GET).expect("sent");
    let second = head(&mut client);
    assert!(second.starts_with("HTTP/1.1 200 ") && !second.contains("poison"), "{second}");
    assert_eq!(exactly(&mut client, 2), "hi");
}

#[test]
fn what_follows_an_answer_is_never_taken_for_another() {
    nothing_beyond(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\npoison: 1\r\n\r\n", "200", 2);
    nothing_beyond(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\npoison: 1\r\n\r\n", "204", 0);
    nothing_beyond(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\npoisoned!", "304", 0);
}

#[test]
fn a_connection_that_the_worker_closed_while_idle_fails_no_request() {
    let address = worker(|_, mut stream| {
        head(&mut stream);
        let _ = stream.write_all(OK.as_bytes());
        linger_off(&stream);
    });
    let setup = Setup::before(address);
    let mut client = setup.connect();
    for _ in 0..5 {
        client.write_all(GET).expect("sent");
        assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
        assert_eq!(exactly(&mut client, 2), "hi");
        // The close is on its way; the gateway's sweep or the next request meets it.
        let _ = std::sync::mpsc::channel::<()>().1.recv_timeout(Duration::from_millis(30));
    }
}

#[test]
fn a_client_of_http_1_0_gets_a_reset_instead_of_half_an_answer() {
    let setup = before(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhal\r\n");
        let _ = std::sync::mpsc::channel::<()>().1.recv_timeout(Duration::from_millis(100));
        linger_off(stream);
    });
    let mut client = setup.connect();
    client.write_all(b"GET / HTTP/1.0\r\nhost: a\r\n\r\n").expect("sent");
    let ended = client.read_to_end(&mut Vec::new());
    assert_eq!(ended.map_err(|error| error.kind()), Err(std::io::ErrorKind::ConnectionReset));
}

#[test]
fn a_worker_that_did_not_get_the_request_is_followed_by_another() {
    let dead = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let (alive, _heads) = crate::common::answering(OK);
    let setup = Wanted::before(&[dead, alive]).start();
    let answers: Vec<_> = (0..4).map(|_| setup.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")).collect();
    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 200 ")), "{answers:?}");
    assert!(answers.iter().any(|answer| answer.contains("ambidex-attempts: 2\r\n")), "{answers:?}");
}

#[test]
fn a_client_that_leaves_frees_the_worker() {
    let (told, closed) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let address = worker(move |_, mut stream| {
        head(&mut stream);
        // The gateway closes the connection of the try that was given up.
        let ended = stream.read(&mut [0]).is_ok_and(|count| count == 0);
        let _ = told.lock().expect("unpoisoned").send(ended);
    });
    let setup = Setup::before(address);
    let mut client = setup.connect();
    client.write_all(GET).expect("sent");
    eventually("the worker is asked", || setup.in_flight() == 1);
    drop(client);
    assert!(closed.recv_timeout(Duration::from_secs(60)).expect("the worker is let go"));
    eventually("nothing is in flight", || setup.in_flight() == 0);
    eventually("the request is counted", || setup.gateway.stats().traffic.answers[0] == 1);
}
