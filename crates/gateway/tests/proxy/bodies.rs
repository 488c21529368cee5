//! Bodies: streamed both ways, never held, never cut short in silence.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use ambidex_core::time::Mono;
use serde_json::json;

use crate::common::{OK, Setup, Wanted, answering, eventually, exactly, head, read_all, worker};

const BIG: usize = 64 << 20;
/// What may be between two ends: the buffers of two connections, which the kernel lets grow to 32 MiB where it receives
/// and 4 MiB where it sends, and the gateway's own.
const BETWEEN: u64 = 96 << 20;

#[test]
fn a_big_answer_streams_whole_and_in_order() {
    let address = worker(|_, mut stream| {
        head(&mut stream);
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {BIG}\r\n\r\n");
        let block: Vec<u8> = (0..65_536_u32).map(|at| at.to_le_bytes()[0]).collect();
        for _ in 0..BIG / block.len() {
            if stream.write_all(&block).is_err() {
                return;
            }
        }
    });
    let setup = Setup::before(address);
    let mut client = setup.connect();
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
    head(&mut client);
    let (mut seen, mut buffer) = (0, vec![0; 1 << 16]);
    while seen < BIG {
        let count = client.read(&mut buffer).expect("more comes");
        assert!(count > 0, "cut at {seen}");
        assert_eq!(usize::from(buffer[0]), seen % 256);
        seen += count;
    }
    eventually("it is counted", || setup.gateway.stats().traffic.bytes_out == BIG as u64);
}

#[test]
fn a_client_that_does_not_read_holds_the_worker_back() {
    let sent = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&sent);
    let address = worker(move |_, mut stream| {
        head(&mut stream);
        let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 1_u64 << 40);
        while stream.write_all(&[7; 65_536]).is_ok() {
            counted.fetch_add(65_536, SeqCst);
        }
    });
    let setup = Setup::before(address);
    let mut client = setup.connect();
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
    head(&mut client);
    let mut last = 0;
    eventually("the worker is held back", || {
        let _ = std::sync::mpsc::channel::<()>().1.recv_timeout(Duration::from_millis(100));
        let now = sent.load(SeqCst);
        now > 0 && std::mem::replace(&mut last, now) == now
    });
    assert!(sent.load(SeqCst) < BETWEEN, "{} bytes are under way", sent.load(SeqCst));
}

#[test]
fn a_worker_that_does_not_read_holds_the_client_back() {
    let address = worker(|_, mut stream| {
        head(&mut stream);
        let _ = std::sync::mpsc::channel::<()>().1.recv_timeout(Duration::from_secs(60));
        drop(stream);
    });
    let setup = Setup::before(address);
    let mut client = setup.connect();
    client.set_write_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    write!(client, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", 1_u64 << 40).expect("sent");
    let mut sent = 0;
    while let Ok(count) = client.write(&[7; 65_536]) {
        sent += count as u64;
        assert!(sent < BETWEEN, "{sent} bytes are under way");
    }
}

#[test]
fn a_big_upload_streams_whole_and_in_order() {
    const SIZE: usize = 6 << 20;
    let pattern = |at: usize| u8::try_from(at / 7 % 251).expect("below 251");
    let address = worker(move |_, mut stream| {
        loop {
            if head(&mut stream).is_empty() {
                return;
            }
            let mut body = vec![0; SIZE];
            let whole = stream.read_exact(&mut body).is_ok();
            let right = body.iter().enumerate().all(|(at, byte)| *byte == pattern(at));
            let answer = if whole && right { OK } else { "HTTP/1.1 500 wrong\r\ncontent-length: 0\r\n\r\n" };
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let setup = Setup::before(address);
    let mut client = setup.connect();
    let body: Vec<u8> = (0..SIZE).map(pattern).collect();
    for _ in 0..3 {
        write!(client, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {SIZE}\r\n\r\n").expect("sent");
        client.write_all(&body).expect("sent");
        assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
        assert_eq!(exactly(&mut client, 2), "hi");
    }
    assert_eq!(setup.gateway.stats().traffic.connects, 1, "the worker's connection is used again");
    eventually("all is counted", || setup.gateway.stats().traffic.bytes_in == 3 * SIZE as u64);
}

#[test]
fn an_upload_reaches_the_worker_chunk_by_chunk() {
    let (told, bodies) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let address = worker(move |_, mut stream| {
        let asked = head(&mut stream);
        assert!(asked.contains("transfer-encoding: chunked\r\n"), "{asked}");
        let first = exactly(&mut stream, "3\r\nabc\r\n".len());
        let _ = told.lock().expect("unpoisoned").send(first);
        let rest = exactly(&mut stream, "2\r\nde\r\n0\r\n\r\n".len());
        let _ = told.lock().expect("unpoisoned").send(rest);
        let _ = stream.write_all(OK.as_bytes());
    });
    let setup = Setup::before(address);
    let mut client = setup.connect();
    client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n").expect("sent");
    let next = || bodies.recv_timeout(Duration::from_secs(60)).expect("it comes");
    assert_eq!(next(), "3\r\nabc\r\n");
    client.write_all(b"2\r\nde\r\n0\r\n\r\n").expect("sent");
    assert_eq!(next(), "2\r\nde\r\n0\r\n\r\n");
    assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_client_that_waits_for_100_continue_gets_it() {
    let address = worker(|_, mut stream| {
        let asked = head(&mut stream);
        assert!(!asked.contains("expect"), "{asked}");
        assert_eq!(exactly(&mut stream, 3), "abc");
        let _ = stream.write_all(OK.as_bytes());
    });
    let setup = Setup::before(address);
    let mut client = setup.connect();
    client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n").expect("sent");
    assert_eq!(head(&mut client), "HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"abc").expect("sent");
    assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
}

#[test]
fn an_answer_may_come_before_the_body_has_ended() {
    let address = worker(|_, mut stream| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
        let _ = stream.read(&mut [0; 1024]);
    });
    let setup = Setup::before(address);
    let mut client = setup.connect();
    client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nabc").expect("sent");
    assert!(head(&mut client).starts_with("HTTP/1.1 403 "));
    assert_eq!(exactly(&mut client, 2), "no");
}

#[test]
fn an_upload_that_is_too_large_is_a_413() {
    let (worker, _heads) = answering(OK);
    let setup = Wanted::before(&[worker]).listener(json!({"max_body": "1KiB"})).start();
    let told = setup.ask("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2000\r\n\r\n");
    assert!(told.starts_with("HTTP/1.1 413 ") && told.contains("body-too-large"), "{told}");
    let mut chunked = "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    chunked += &format!("7d0\r\n{}\r\n0\r\n\r\n", "x".repeat(2_000));
    // The worker of this test answers at the head; whichever comes first, no more than the bound goes through.
    let answered = setup.ask(&chunked);
    assert!(answered.starts_with("HTTP/1.1 413 ") || answered.starts_with("HTTP/1.1 200 "), "{answered}");
}

#[test]
fn trailers_reach_a_client_that_takes_them() {
    let (worker, _heads) = answering(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n",
    );
    let setup = Setup::before(worker);
    let answer = setup.ask("GET / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: te, close\r\n\r\n");
    assert!(answer.ends_with("2\r\nhi\r\n0\r\nx-sum: 7\r\n\r\n"), "{answer}");
}

#[test]
fn a_body_that_ends_with_its_connection_is_passed_on_chunked() {
    let address = worker(|_, mut stream| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nuntil the end");
    });
    let setup = Setup::before(address);
    let answer = setup.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(answer.contains("transfer-encoding: chunked") && answer.ends_with("\r\n0\r\n\r\n"), "{answer}");
}

/// A worker that reads on and on, and never answers.
fn insatiable() -> std::net::SocketAddr {
    worker(|_, mut stream| while matches!(stream.read(&mut [0; 1_024]), Ok(1..)) {})
}

#[test]
fn a_client_that_does_not_send_its_body_says_nothing_of_the_worker() {
    let setup = Wanted::before(&[insatiable()]).route(json!({"deadline": "2s", "retries": 0})).start();
    let spoken_of = || {
        let view = setup.view.load();
        let cells = &view.pools()[0].workers[0].cells;
        (cells.totals().failed, cells.load.latency(Mono::default()).is_some())
    };
    let begin = || {
        let mut client = setup.connect();
        client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf").expect("sent");
        eventually("the worker has it", || setup.in_flight() == 1);
        client
    };
    let answer = read_all(&mut begin());
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("ambidex-error: slow-body"), "{answer}");
    assert_eq!(spoken_of(), (0, false), "the deadline");
    drop(begin());
    eventually("it is given up", || setup.in_flight() == 0);
    assert_eq!(spoken_of(), (0, false), "a client that left");
    let mut client = begin();
    client.write_all(b" more").expect("sent");
    assert!(head(&mut client).starts_with("HTTP/1.1 504 "));
    assert_eq!(spoken_of(), (1, true), "a worker that had it all");
}
