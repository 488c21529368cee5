//! Workers that answer before they have the whole request: the answer reaches its client, and what is left of the upload
//! is never taken for a request, on either side.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::common::{OK, Setup, eventually, exactly, head, read_all, worker};

/// Bytes of an upload that is never sent to its end.
const LENGTH: usize = 1 << 20;
const SMUGGLED: &[u8] = b"GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n";

/// A worker that treats its first request, whose head was read, with `early`, and answers all others as it should; and
/// the heads of all.
fn hasty(early: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> (SocketAddr, Receiver<String>) {
    let (told, heads) = channel();
    let told = Mutex::new(told);
    let address = worker(move |number, mut stream| {
        for request in 0.. {
            let head = head(&mut stream);
            if head.is_empty() {
                return;
            }
            let _ = told.lock().expect("unpoisoned").send(head);
            if (number, request) == (0, 0) {
                return early(&mut stream);
            }
            let _ = stream.write_all(OK.as_bytes());
        }
    });
    (address, heads)
}

/// Begins an upload whose bytes are requests, to who reads them in the wrong place.
fn upload(setup: &Setup) -> TcpStream {
    let mut client = setup.connect();
    write!(client, "POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: {LENGTH}\r\n\r\n").expect("sent");
    client.write_all(SMUGGLED).expect("sent");
    client
}

/// Goes on with an upload after its answer, and asks once more on the same connection. It may have been closed; if it is
/// still open, the next answer is the next request's.
fn goes_on(setup: &Setup, mut client: TcpStream, heads: &Receiver<String>) {
    let rest: Vec<u8> = SMUGGLED.iter().copied().cycle().take(LENGTH - SMUGGLED.len()).collect();
    if client.write_all(&rest).is_ok() && client.write_all(b"GET /next HTTP/1.1\r\nhost: a\r\n\r\n").is_ok() {
        let next = head(&mut client);
        assert!(next.is_empty() || next.starts_with("HTTP/1.1 200 "), "{next}");
    }
    drop(client);
    eventually("nothing is in flight", || setup.in_flight() == 0);
    let answer = setup.ask("GET /after HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nhi"), "{answer}");
    for asked in heads.try_iter() {
        assert!(!asked.contains("/smuggled"), "{asked}");
    }
}

#[test]
fn a_refusal_before_the_upload_has_ended_reaches_the_client_and_nothing_of_the_upload_becomes_a_request() {
    let (address, heads) = hasty(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno\n");
        let _ = stream.shutdown(Shutdown::Write);
        read_all(stream);
    });
    let setup = Setup::before(address);
    let mut client = upload(&setup);
    assert!(head(&mut client).starts_with("HTTP/1.1 413 "));
    assert_eq!(exactly(&mut client, 3), "no\n");
    goes_on(&setup, client, &heads);
    assert_eq!(setup.view.load().pools()[0].workers[0].cells.totals().failed, 0, "a refusal is no failure");
}

#[test]
fn an_answer_before_the_upload_has_ended_takes_its_connection_out_of_use_unless_the_upload_ends() {
    let (address, heads) = hasty(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly");
        // It keeps the connection, and takes what comes after the answer for the next request, as a careless one would.
        let next = head(stream);
        if next.starts_with("GET ") {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\npoison: 1\r\ncontent-length: 6\r\n\r\npoison");
        }
        read_all(stream);
    });
    let setup = Setup::before(address);
    let mut client = upload(&setup);
    let answer = head(&mut client);
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("poison"), "{answer}");
    assert_eq!(exactly(&mut client, 5), "early");
    let mut other = setup.connect();
    other.write_all(b"GET /other HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
    let answer = head(&mut other);
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("poison"), "{answer}");
    assert_eq!(exactly(&mut other, 2), "hi");
    goes_on(&setup, client, &heads);
}

#[test]
fn a_reset_after_an_early_answer_leaves_the_client_with_that_answer_or_a_502() {
    let (address, heads) = hasty(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno\n");
        socket2::SockRef::from(&*stream).set_linger(Some(Duration::ZERO)).expect("a reset at its end");
    });
    let setup = Setup::before(address);
    let mut client = upload(&setup);
    // The rest of the upload runs into the reset.
    let rest: Vec<u8> = SMUGGLED.iter().copied().cycle().take(LENGTH / 2).collect();
    let _ = client.write_all(&rest);
    let answer = head(&mut client);
    let told = ["HTTP/1.1 413 ", "HTTP/1.1 502 "].iter().any(|status| answer.starts_with(status));
    assert!(told || answer.is_empty(), "{answer}");
    drop(client);
    eventually("nothing is in flight", || setup.in_flight() == 0);
    assert!(heads.try_iter().all(|asked| !asked.contains("/smuggled")));
}

#[test]
fn an_answer_and_its_upload_may_flow_at_once() {
    let address = worker(|_, mut stream| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        for _ in 0..4 {
            let chunk = exactly(&mut stream, "3\r\nabc\r\n".len());
            let _ = stream.write_all(chunk.as_bytes());
        }
        exactly(&mut stream, "0\r\n\r\n".len());
        let _ = stream.write_all(b"0\r\n\r\n");
        // Kept, as after any other answer.
        let _ = stream.read(&mut [0]);
    });
    let setup = Setup::before(address);
    let mut client = setup.connect();
    client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n").expect("sent");
    assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
    for _ in 0..4 {
        client.write_all(b"3\r\nabc\r\n").expect("sent");
        assert_eq!(exactly(&mut client, 8), "3\r\nabc\r\n");
    }
    client.write_all(b"0\r\n\r\n").expect("sent");
    assert_eq!(exactly(&mut client, 5), "0\r\n\r\n");
    eventually("nothing is in flight", || setup.in_flight() == 0);
}

#[test]
fn a_long_answer_does_not_keep_the_rest_of_its_upload_back() {
    const ANSWER: usize = 2 << 20;
    let address = worker(|_, mut stream| {
        head(&mut stream);
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {ANSWER}\r\n\r\n");
        let _ = stream.write_all(&vec![b'a'; ANSWER / 2]);
        // The second half comes when all of the upload has.
        let mut upload = vec![0; LENGTH];
        if stream.read_exact(&mut upload).is_ok() {
            let _ = stream.write_all(&vec![b'b'; ANSWER / 2]);
        }
        let _ = stream.read(&mut [0]);
    });
    let setup = Setup::before(address);
    let mut client = setup.connect();
    write!(client, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {LENGTH}\r\n\r\n").expect("sent");
    assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
    assert_eq!(exactly(&mut client, ANSWER / 2), "a".repeat(ANSWER / 2));
    client.write_all(&vec![0; LENGTH]).expect("sent");
    assert_eq!(exactly(&mut client, ANSWER / 2), "b".repeat(ANSWER / 2));
    eventually("nothing is in flight", || setup.in_flight() == 0);
}

#[test]
fn a_client_that_waits_for_100_continue_and_is_refused_sends_no_request_by_what_it_sends_next() {
    let (address, heads) = hasty(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 417 No\r\ncontent-length: 3\r\n\r\nno\n");
        read_all(stream);
    });
    let setup = Setup::before(address);
    let mut client = setup.connect();
    let length = SMUGGLED.len();
    write!(client, "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n")
        .expect("sent");
    let mut answer = head(&mut client);
    if answer.starts_with("HTTP/1.1 100 ") {
        answer = head(&mut client);
    }
    assert!(answer.starts_with("HTTP/1.1 417 "), "{answer}");
    assert_eq!(exactly(&mut client, 3), "no\n");
    // Whether it was told to go on or not: the bytes after its head are its body.
    let _ = client.write_all(SMUGGLED);
    assert_eq!(read_all(&mut client), "", "the connection ends");
    eventually("nothing is in flight", || setup.in_flight() == 0);
    assert!(heads.try_iter().all(|asked| !asked.contains("/smuggled")));
}

#[test]
fn requests_that_were_sent_ahead_go_with_the_client_that_leaves() {
    let (told, ended) = channel();
    let told = Mutex::new(told);
    let address = worker(move |_, mut stream| {
        let asked = head(&mut stream);
        let rest = read_all(&mut stream);
        let _ = told.lock().expect("unpoisoned").send(asked + &rest);
    });
    let setup = Setup::before(address);
    let mut client = setup.connect();
    for path in 0..50 {
        write!(client, "GET /{path} HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
    }
    eventually("the worker is asked", || setup.in_flight() == 1);
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("a reset at its end");
    drop(client);
    let asked = ended.recv_timeout(Duration::from_secs(60)).expect("the worker is let go");
    assert!(asked.starts_with("GET /0 ") && !asked.contains("GET /1 "), "{asked}");
    eventually("nothing is in flight", || setup.in_flight() == 0 && setup.gateway.stats().listeners[0].open == 0);
    assert_eq!(setup.gateway.stats().traffic.requests, 1);
}

#[test]
fn a_worker_that_will_close_after_its_answer_still_gets_the_whole_upload() {
    let address = worker(|_, mut stream| {
        head(&mut stream);
        let begun = "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n2\r\ngo\r\n";
        let _ = stream.write_all(begun.as_bytes());
        let upload = exactly(&mut stream, 6);
        let _ = stream.write_all(format!("6\r\n{upload}\r\n0\r\n\r\n").as_bytes());
    });
    let setup = Setup::before(address);
    let mut client = setup.connect();
    client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 6\r\n\r\nabc").expect("sent");
    assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
    assert_eq!(exactly(&mut client, "2\r\ngo\r\n".len()), "2\r\ngo\r\n");
    client.write_all(b"def").expect("sent");
    assert_eq!(exactly(&mut client, "6\r\nabcdef\r\n".len()), "6\r\nabcdef\r\n");
}
