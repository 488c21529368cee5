//! Requests that are as they should be.

use std::io::Write;

use crate::common::{OK, Setup, answering, exactly, head, next};

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
