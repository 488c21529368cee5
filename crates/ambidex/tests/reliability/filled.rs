//! The table of idempotency keys, filled by more keys than it may have: it stays within its bounds, no tenant takes the
//! room of another, what runs is never forgotten, and what it could not cover is never sent twice [reliability.md row 6].

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::process::Running;
use crate::scene::{page, value};
use crate::twice::{Effects, breaking};

/// A worker that says that it was asked, and answers when it is let go.
fn held() -> (SocketAddr, Receiver<Sender<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let (told, asked) = channel();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let told = told.clone();
            thread::spawn(move || {
                let mut request = Vec::new();
                while !request.ends_with(b"hello") {
                    let mut byte = [0];
                    if stream.read_exact(&mut byte).is_err() {
                        return;
                    }
                    request.push(byte[0]);
                }
                let (go, goes) = channel();
                let _ = told.send(go);
                let _ = goes.recv();
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\ndone");
            });
        }
    });
    (address, asked)
}

/// Everything that sends a request again, eager to do so, and little room for keys.
fn config(workers: &[SocketAddr], slow: SocketAddr) -> String {
    let listed: Vec<_> = workers.iter().map(|worker| format!("\"http://{worker}\"")).collect();
    let chances = "retry: {sent: on, answers: on}, hedge: {after: 30ms, budget: 100%}, deduplicate: {tenant: x-tenant}";
    format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\nadmin: {{address: \"127.0.0.1:0\"}}\nthreads: 2\ndeduplication: \
         {{max_keys: {KEYS}, max_bytes: {BYTES}B, tenant_share: 25%, persist: false}}\npools:\n  api:\n    workers: [{}]\n    \
         balance: round-robin\n    breaker: {{consecutive: 100000, errors: off}}\n  slow: {{workers: [\"http://{slow}\"]}}\nroutes:\n  - \
         {{match: {{path_prefix: /held}}, pool: slow, deadline: 60s, {chances}}}\n  - {{pool: api, deadline: 5s, {chances}}}\n",
        listed.join(", ")
    )
}

/// Posts to a path, which is its key as well.
fn post(gateway: &Running, tenant: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(&gateway.listener).expect("connects");
    let request = format!(
        "POST /{path} HTTP/1.1\r\nhost: a\r\nx-tenant: {tenant}\r\nidempotency-key: {path}\r\nconnection: close\r\n\
         content-length: 5\r\n\r\nhello"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    // What breaks off breaks off.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn is_uncovered(answer: &str) -> bool {
    answer.contains("ambidex-uncovered: full")
}

fn is_within_bounds(gateway: &Running) -> bool {
    let page = page(gateway, "/metrics");
    value(&page, "ambidex_idempotency_keys") <= KEYS && value(&page, "ambidex_idempotency_bytes") <= BYTES
}

#[test]
fn a_flood_of_keys_fills_two_gateways_of_two_threads_to_their_bounds_and_nothing_runs_twice() {
    let effects = Effects::default();
    let workers: Vec<_> = (0..3).map(|_| breaking(&effects)).collect();
    let (slow, asked) = held();
    let config = config(&workers, slow);
    let gateways = [Running::run(&config), Running::run(&config)];
    thread::scope(|scope| {
        let waiting = [0, 1].map(|at: usize| {
            let gateway = &gateways[at];
            let waits = scope.spawn(move || post(gateway, "calm", "held"));
            (waits, asked.recv().expect("it is asked"))
        });
        // One tenant alone: it has its share, and the next one still finds room.
        let flooded: Vec<_> =
            (0..ONE_TENANT).map(|number| post(&gateways[number % 2], "flood", &number.to_string())).collect();
        let refused = flooded.iter().filter(|answer| is_uncovered(answer)).count();
        assert!(refused >= ONE_TENANT - 2 * QUARTER, "{refused} of {ONE_TENANT} found no room");
        // 6 of nine is answered well.
        let calm = ONE_TENANT - ONE_TENANT % 9 + 6 + 9;
        let first = post(&gateways[0], "calm", &calm.to_string());
        assert!(first.starts_with("HTTP/1.1 200 ") && !is_uncovered(&first), "{first}");
        // Then all of them, from all sides.
        let (next, uncovered) = (AtomicUsize::new(calm + 1), AtomicUsize::new(0));
        thread::scope(|scope| {
            for client in 0..8 {
                let (gateway, next, uncovered) = (&gateways[client % 2], &next, &uncovered);
                scope.spawn(move || {
                    loop {
                        let number = next.fetch_add(1, SeqCst);
                        if number > calm + MANY_TENANTS {
                            return;
                        }
                        let answer = post(gateway, &format!("tenant-{}", number % 40), &number.to_string());
                        uncovered.fetch_add(usize::from(is_uncovered(&answer)), SeqCst);
                        assert!(number % 50 > 0 || is_within_bounds(gateway), "at {number}");
                    }
                });
            }
        });
        assert!(uncovered.load(SeqCst) > 0, "the tables were never full");
        assert!(gateways.iter().all(is_within_bounds));
        // What runs was not forgotten for all that, nor what has run.
        for (gateway, (waits, go)) in gateways.iter().zip(waiting) {
            let early = post(gateway, "calm", "held");
            assert!(early.starts_with("HTTP/1.1 409 ") && early.contains("retry-after"), "{early}");
            go.send(()).expect("it waits");
            let answer = waits.join().expect("no panic");
            assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("done"), "{answer}");
        }
        asked.try_recv().expect_err("it ran once by each gateway");
        let again = post(&gateways[0], "calm", &calm.to_string());
        assert!(again.contains("ambidex-replayed: true") || again.starts_with("HTTP/1.1 409 "), "{again}");
    });
    let effects = effects.lock().expect("unpoisoned");
    let twice: Vec<_> = effects.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "they ran more than once: {twice:?}");
    assert!(effects.len() > MANY_TENANTS, "{}", effects.len());
}

/// Bounds of each gateway's table.
const KEYS: u64 = 200;
/// What one tenant may have of them.
const QUARTER: usize = 50;
const BYTES: u64 = 128 << 10;
/// How many come of one tenant, and then of forty.
const ONE_TENANT: usize = 180;
const MANY_TENANTS: usize = 720;
