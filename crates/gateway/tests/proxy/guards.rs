//! What keeps requests from workers that have enough: bulkheads and the throttle.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::channel;

use ambidex_core::guard::pool::{Kept, PoolGuards};
use serde_json::json;

use crate::common::{OK, Setup, Wanted, connect, eventually, head, read_all, worker};

const ASK: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// A gateway before a worker that answers a request when it is told to, and the hand that tells it.
fn before_a_patient_worker(guards: serde_json::Value) -> (Setup, std::sync::mpsc::Sender<()>) {
    let (go, told) = channel::<()>();
    let told = Mutex::new(told);
    let address = worker(move |_, mut stream| {
        head(&mut stream);
        if told.lock().expect("whole").recv().is_ok() {
            let _ = stream.write_all(OK.as_bytes());
        }
    });
    let setup = Wanted::before(&[address]).start();
    setup.guard(&[format!("http://{address}")], guarded(guards));
    (setup, go)
}

fn guarded(json: serde_json::Value) -> PoolGuards {
    let read = |name: &str| json.get(name).cloned();
    PoolGuards {
        bulkhead: read("bulkhead").map(|json| serde_json::from_value(json).expect("a bulkhead")),
        throttle: read("throttle").map(|json| serde_json::from_value(json).expect("a throttle")),
        ..PoolGuards::default()
    }
}

fn asked(setup: &Setup) -> TcpStream {
    let mut stream = connect(setup.address);
    stream.write_all(ASK.as_bytes()).expect("sent");
    stream
}

fn counted(setup: &Setup, kept: Kept) -> u64 {
    setup.view.load().pools()[0].guards.counts.of(kept)
}

#[test]
fn a_full_worker_gets_no_more_and_the_client_is_told_at_once() {
    let (setup, go) = before_a_patient_worker(json!({"bulkhead": {"per_worker": 1}}));
    let mut first = asked(&setup);
    eventually("the first is in flight", || setup.in_flight() == 1);
    let refused = setup.ask(ASK);
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("ambidex-error: full\r\n"), "{refused}");
    assert_eq!(counted(&setup, Kept::Full), 1);
    go.send(()).expect("it waits");
    assert!(read_all(&mut first).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_request_waits_for_room_and_is_answered_when_there_is_some() {
    let bulkhead = json!({"bulkhead": {"per_worker": 1, "waiting": 1, "wait": "10s"}});
    let (setup, go) = before_a_patient_worker(bulkhead);
    let mut first = asked(&setup);
    eventually("the first is in flight", || setup.in_flight() == 1);
    let mut second = asked(&setup);
    let waiting = || setup.view.load().pools()[0].guards.anteroom.waiting();
    eventually("the second waits", || waiting() == 1);
    let refused = setup.ask(ASK);
    assert!(refused.contains("ambidex-error: full\r\n"), "one place only: {refused}");
    go.send(()).expect("it waits");
    go.send(()).expect("it waits");
    assert!(read_all(&mut first).starts_with("HTTP/1.1 200 "));
    assert!(read_all(&mut second).starts_with("HTTP/1.1 200 "));
    assert_eq!(waiting(), 0);
}

#[test]
fn clients_that_leave_while_they_wait_free_their_places() {
    let bulkhead = json!({"bulkhead": {"per_worker": 1, "waiting": 5, "wait": "10s"}});
    let (setup, _go) = before_a_patient_worker(bulkhead);
    let _first = asked(&setup);
    eventually("the first is in flight", || setup.in_flight() == 1);
    let waiting: Vec<_> = (0..5).map(|_| asked(&setup)).collect();
    let count = || setup.view.load().pools()[0].guards.anteroom.waiting();
    eventually("all wait", || count() == 5);
    drop(waiting);
    eventually("nobody waits", || count() == 0);
}

#[test]
fn a_pool_that_accepts_nothing_is_spared_most_of_its_requests() {
    let address = worker(|_, mut stream| drop(head(&mut stream)));
    let setup = Wanted::before(&[address]).start();
    setup.guard(&[format!("http://{address}")], guarded(json!({"throttle": {}})));
    let answers: Vec<String> = (0..60).map(|_| setup.ask(ASK)).collect();
    let throttled = answers.iter().filter(|answer| answer.contains("ambidex-error: throttled\r\n")).count();
    assert!((20..=58).contains(&throttled), "{throttled}");
    assert!(answers.iter().all(|answer| answer.starts_with("HTTP/1.1 50")), "{answers:?}");
    assert_eq!(counted(&setup, Kept::Throttled), throttled as u64);
}
