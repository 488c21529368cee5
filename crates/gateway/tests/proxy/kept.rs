//! Connections to workers that are kept: for how long, and what becomes of a request that meets a dying one.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use ambidex_core::guard::breaker::BreakerState;
use serde_json::json;

use crate::common::{OK, Setup, Wanted, eventually, exactly, head, worker};

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// Asks on a connection that stays open; the answer's head.
fn ask(client: &mut TcpStream, request: &str) -> String {
    client.write_all(request.as_bytes()).expect("sent");
    let head = head(client);
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    exactly(client, length.expect("a length"));
    head
}

fn pause(millis: u64) {
    let (_wake, sleep) = channel::<()>();
    let _ = sleep.recv_timeout(Duration::from_millis(millis));
}

/// A worker that says `keep-alive: timeout=N`, and tells when the gateway closes a connection.
fn promising(seconds: u64) -> (SocketAddr, Receiver<()>) {
    let (told, closed) = channel();
    let told = Mutex::new(told);
    let address = worker(move |_, mut stream| {
        while !head(&mut stream).is_empty() {
            let answer = format!("HTTP/1.1 200 OK\r\nkeep-alive: timeout={seconds}\r\ncontent-length: 2\r\n\r\nhi");
            let _ = stream.write_all(answer.as_bytes());
        }
        let _ = told.lock().expect("unpoisoned").send(());
    });
    (address, closed)
}

#[test]
fn a_worker_that_says_how_long_it_keeps_a_connection_is_believed() {
    let (short, closed) = promising(2);
    let setup = Setup::before(short);
    let mut client = setup.connect();
    ask(&mut client, GET);
    let answer = ask(&mut client, GET);
    assert!(!answer.contains("keep-alive"), "it is between gateway and worker: {answer}");
    assert_eq!(setup.gateway.stats().traffic.connects, 1);
    closed.recv_timeout(Duration::from_secs(60)).expect("closed before the worker does");
    ask(&mut client, GET);
    assert_eq!(setup.gateway.stats().traffic.connects, 2);
    let (long, closed) = promising(60);
    let setup = Setup::before(long);
    ask(&mut setup.connect(), GET);
    closed.recv_timeout(Duration::from_millis(1_500)).expect_err("a worker that keeps it longer is not left so soon");
}

#[test]
fn a_connection_that_is_too_old_is_not_used_again_however_busy_it_is() {
    let (worker, closed) = promising(60);
    let setup = Wanted::before(&[worker]).upstream(json!({"max_age": "1s"})).start();
    let mut client = setup.connect();
    eventually("another one is opened", || {
        ask(&mut client, GET);
        setup.gateway.stats().traffic.connects == 2
    });
    assert!(setup.gateway.stats().traffic.reuses > 2, "not before its time");
    closed.recv_timeout(Duration::from_secs(60)).expect("the old one is closed");
}

#[test]
fn a_connection_that_nobody_uses_is_closed_and_one_in_use_is_not() {
    let (worker, closed) = promising(60);
    let setup = Wanted::before(&[worker]).upstream(json!({"idle_timeout": "2s"})).start();
    let mut client = setup.connect();
    for _ in 0..20 {
        ask(&mut client, GET);
        pause(150);
    }
    assert_eq!(setup.gateway.stats().traffic.connects, 1);
    closed.recv_timeout(Duration::from_secs(60)).expect("closed");
}

/// A worker that answers one request on each connection, and closes it in the moment that the next one comes.
fn fickle() -> (SocketAddr, Receiver<String>) {
    let (told, heads) = channel();
    let told = Mutex::new(told);
    let address = worker(move |_, mut stream| {
        for answer in [OK, ""] {
            let head = head(&mut stream);
            if !head.is_empty() {
                let _ = told.lock().expect("unpoisoned").send(head);
            }
            let _ = stream.write_all(answer.as_bytes());
        }
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read(&mut [0; 64]);
    });
    (address, heads)
}

#[test]
fn a_connection_that_dies_as_it_is_used_again_costs_neither_a_try_nor_the_workers_standing() {
    let (worker, heads) = fickle();
    let setup = Setup::before(worker);
    let mut client = setup.connect();
    ask(&mut client, GET);
    for _ in 0..2 {
        // Unused for so long that the worker may be closing it.
        pause(1_200);
        let answer = ask(&mut client, GET);
        assert!(answer.starts_with("HTTP/1.1 200 ") && !answer.contains("ambidex-attempts"), "{answer}");
    }
    assert_eq!(heads.try_iter().count(), 5, "each dying connection got the request that a fresh one answered");
    let view = setup.view.load();
    let cells = &view.pools()[0].workers[0].cells;
    let totals = cells.totals();
    assert_eq!((totals.started, totals.latency.count(), totals.failed), (3, 3, 0), "three tries, all of them good");
    assert_eq!(cells.breaker(), BreakerState::Closed);
}

#[test]
fn what_may_have_run_is_not_sent_again_on_a_fresh_connection() {
    let (worker, heads) = fickle();
    let setup = Setup::before(worker);
    let mut client = setup.connect();
    ask(&mut client, GET);
    pause(1_200);
    let answer = ask(&mut client, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("upstream-reset"), "{answer}");
    assert_eq!(heads.try_iter().count(), 2);
    assert_eq!(setup.view.load().pools()[0].workers[0].cells.totals().failed, 1);
}

#[test]
fn a_request_that_kills_connections_kills_one_that_was_kept_and_one_that_is_fresh() {
    let (told, poisons) = channel();
    let told = Mutex::new(told);
    let worker = worker(move |_, mut stream| {
        loop {
            let head = head(&mut stream);
            if head.is_empty() || head.starts_with("GET /poison") {
                let _ = told.lock().expect("unpoisoned").send(head);
                return;
            }
            pause(100);
            let _ = stream.write_all(OK.as_bytes());
        }
    });
    let setup = Setup::before(worker);
    let mut clients: Vec<_> = (0..4).map(|_| setup.connect()).collect();
    clients.iter_mut().for_each(|client| client.write_all(GET.as_bytes()).expect("sent"));
    for client in &mut clients {
        assert!(head(client).starts_with("HTTP/1.1 200 "));
        exactly(client, 2);
    }
    assert!(setup.gateway.stats().traffic.connects > 2, "several are kept");
    pause(1_200);
    let answer = ask(&mut clients[0], "GET /poison HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!(poisons.try_iter().filter(|head| !head.is_empty()).count(), 2);
}
