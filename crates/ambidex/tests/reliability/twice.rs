//! Requests that must not run twice, with every second chance switched on, before workers that break in each phase:
//! counted where they run [reliability.md row 5].

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use ambidex_lab::{Span, rest};

use crate::process::Running;

/// How often each operation ran, by its number and method, at all workers together.
pub(crate) type Effects = Arc<Mutex<HashMap<(String, usize), usize>>>;

/// A worker that runs what it has read, and then breaks in a way that the operation's number says.
pub(crate) fn breaking(effects: &Effects) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let effects = Arc::clone(effects);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let effects = Arc::clone(&effects);
            thread::spawn(move || drop(converse(stream, &effects)));
        }
    });
    address
}

fn converse(mut stream: TcpStream, effects: &Effects) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let method = head.split(' ').next().expect("a method").to_owned();
        let number = head.split('/').nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("a number");
        if head.contains("content-length: 5") {
            stream.read_exact(&mut [0; 5])?;
        }
        *effects.lock().expect("unpoisoned").entry((method, number)).or_default() += 1;
        match number % WAYS {
            0 => return Ok(()),
            1 => return stream.write_all(b"HTTP/1.1 200 O"),
            2 => return stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"),
            3 => stream.write_all(b"HTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nno")?,
            4 => {
                rest(Span::from_millis(150));
                stream.write_all(OK)?;
            }
            5 => return stream.write_all(b"\x00 no HTTP\r\n\r\n"),
            _ => stream.write_all(OK)?,
        }
    }
}

/// Everything that sends a request again, eager to do so.
fn config(workers: &[SocketAddr], spare: SocketAddr) -> String {
    let listed: Vec<_> = workers.iter().map(|worker| format!("\"http://{worker}\"")).collect();
    format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\nadmin: off\nthreads: 2\npools:\n  api:\n    workers: [{}]\n    balance: \
         round-robin\n    breaker: {{consecutive: 1000, errors: off}}\n  spare: {{workers: [\"http://{spare}\"]}}\nroutes:\n  - pool: api\n    \
         deadline: 5s\n    retry: {{sent: on, answers: on}}\n    first_try: {{after: 50ms}}\n    hedge: {{after: 30ms, budget: \
         100%}}\n    fallback: [{{pool: spare}}, {{static: {{body: sorry}}}}]\n    fallback_after: 2s\n",
        listed.join(", ")
    )
}

fn ask(gateway: &str, method: &str, number: usize) -> String {
    let mut stream = TcpStream::connect(gateway).expect("connects");
    let body = if method == "POST" { "content-length: 5\r\n\r\nhello" } else { "\r\n" };
    let request = format!("{method} /{number} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{body}");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    // What breaks off breaks off.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn no_unsafe_request_runs_twice_whatever_its_worker_does_by_two_gateways_of_two_threads() {
    let effects = Effects::default();
    let workers: Vec<_> = (0..3).map(|_| breaking(&effects)).collect();
    let config = config(&workers, breaking(&effects));
    let gateways = [Running::run(&config), Running::run(&config)];
    let (next, good) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for client in 0..8 {
            let (gateways, next, good) = (&gateways, &next, &good);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, SeqCst);
                    if number >= OPERATIONS {
                        return;
                    }
                    let method = if number % 4 == 3 { "GET" } else { "POST" };
                    let answer = ask(&gateways[client % 2].listener, method, number);
                    good.fetch_add(usize::from(answer.starts_with("HTTP/1.1 200 ")), SeqCst);
                }
            });
        }
    });
    let effects = effects.lock().expect("unpoisoned");
    let twice: Vec<_> = effects.iter().filter(|((method, _), times)| method == "POST" && **times > 1).collect();
    assert!(twice.is_empty(), "they ran more than once: {twice:?}");
    let posts = effects.keys().filter(|(method, _)| method == "POST").count();
    assert_eq!(posts, OPERATIONS - OPERATIONS / 4, "each ran");
    let again = effects.iter().filter(|((method, _), times)| method == "GET" && **times > 1).count();
    assert!(again > OPERATIONS / 20, "what may run twice is tried again, or nothing is proved: {again}");
    assert!(good.load(SeqCst) > OPERATIONS / 3, "{}", good.load(SeqCst));
}

/// In how many ways a worker answers.
const WAYS: usize = 9;
/// How much is asked for.
const OPERATIONS: usize = 720;
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
