//! Requests that are as they should be.

use std::io::Write;
use std::time::Duration;

use ambidex_core::worker::Standing;

use crate::common::{OK, Setup, answering, exactly, head, next, worker};

#[test]
fn a_request_reaches_a_worker_and_its_answer_the_client() {
    let (worker, heads) =
        answering("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-own: 1\r\nkeep-alive: timeout=9\r\n\r\nhi");
    let setup = Setup::before(worker);
    let mut stream = setup.connect();
    stream.write_all(b"GET /a?b HTTP/1.1\r\nhost: a.example\r\n\r\n").expect("sent");
    let answer = head(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("x-own: 1"), "{answer}");
    assert!(!answer.contains("keep-alive"), "{answer}");
    assert_eq!(exactly(&mut stream, 2), "hi");
    let asked = next(&heads);
    assert!(asked.starts_with("GET /a?b HTTP/1.1\r\n") && asked.contains("host: a.example\r\n"), "{asked}");
}

#[test]
fn connections_are_kept_on_both_sides() {
    let (worker, heads) = answering(OK);
    let setup = Setup::before(worker);
    let mut stream = setup.connect();
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
        head(&mut stream);
        assert_eq!(exactly(&mut stream, 2), "hi");
        assert_eq!(heads.recv().expect("a request").0, 0, "one connection serves all");
    }
    let traffic = setup.gateway.stats().traffic;
    assert_eq!((traffic.requests, traffic.connects, traffic.reuses, traffic.answers[2]), (3, 1, 2, 3));
}

/// A worker that answers once on each connection, and tells when the gateway closes it.
fn watched() -> (std::net::SocketAddr, std::sync::mpsc::Receiver<()>) {
    let (told, closed) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let address = worker(move |_, mut stream| {
        head(&mut stream);
        let _ = stream.write_all(OK.as_bytes());
        if head(&mut stream).is_empty() {
            let _ = told.lock().expect("unpoisoned").send(());
        }
    });
    (address, closed)
}

#[test]
fn connections_to_a_worker_that_drains_are_closed() {
    let (worker, closed) = watched();
    let setup = Setup::before(worker);
    setup.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    setup.publish(&[format!("http://{worker}")], Standing::Draining);
    closed.recv_timeout(Duration::from_secs(60)).expect("closed");
}

#[test]
fn a_worker_that_moved_is_asked_where_it_is_now() {
    let (before, _closed) = watched();
    let setup = Setup::before(before);
    let mut client = setup.connect();
    let mut ask = || {
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
        assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
        exactly(&mut client, 2);
    };
    ask();
    let (after, heads) = answering(OK);
    setup.publish(&[format!("http://{after}")], Standing::Serving);
    ask();
    next(&heads);
}
