//! A worker that is drilled: what its tries meet, and that nobody else notices.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use ambidex_core::drill::{Drill, Order, Sums};
use ambidex_core::time::{Mono, Span};
use ambidex_tower::Clock;
use serde_json::json;

use crate::common::{OK, Setup, Wanted, answering, connect, exactly, head, next, read_all};

const ASK: &str = "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// A drill that acts from the beginning of all time.
fn drill(fault: serde_json::Value) -> Arc<Drill> {
    let order: Order = serde_json::from_value(json!({"fault": fault})).expect("an order");
    Arc::new(order.begin(Mono::default()))
}

/// A gateway before one worker that is drilled, and the heads that the worker got.
fn before_a_drilled_worker(fault: serde_json::Value) -> (Setup, Arc<Drill>, Receiver<(usize, String)>) {
    let (address, heads) = answering(OK);
    let setup = Wanted::before(&[address]).start();
    let drill = drill(fault);
    setup.drill(&[address], 0, &drill);
    (setup, drill, heads)
}

fn sums(requests: u64, failed: u64, injected: u64) -> Sums {
    Sums { requests, failed, injected }
}

#[test]
fn an_injected_error_is_a_503_that_the_worker_knows_nothing_of() {
    let (setup, drill, heads) = before_a_drilled_worker(json!({"errors": "100%"}));
    let answer = setup.ask(ASK);
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.ends_with("This is a drill.\n"), "{answer}");
    assert_eq!((drill.toll.sums(), heads.try_recv().ok()), (sums(1, 1, 1), None));
}

#[test]
fn an_injected_reset_is_a_failed_try() {
    let (setup, drill, heads) = before_a_drilled_worker(json!({"resets": "100%"}));
    let answer = setup.ask(ASK);
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert_eq!((drill.toll.sums(), heads.try_recv().ok()), (sums(1, 1, 1), None));
}

#[test]
fn a_delayed_try_reaches_the_worker_all_the_same() {
    let (setup, drill, heads) = before_a_drilled_worker(json!({"delay": "150ms"}));
    let clock = Clock::starting_now();
    assert!(setup.ask(ASK).ends_with("hi"));
    assert!(clock.now().since(Mono::default()) >= Span::from_millis(150));
    assert!(next(&heads).starts_with("GET / "));
    assert_eq!(drill.toll.sums(), sums(1, 0, 1));
}

#[test]
fn a_body_that_nobody_took_does_not_become_the_next_request() {
    let (setup, ..) = before_a_drilled_worker(json!({"errors": "100%"}));
    let mut stream = connect(setup.address);
    let request = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 26\r\n\r\nGET /no HTTP/1.1\r\nhost: a\r\n";
    stream.write_all(request.as_bytes()).expect("sent");
    let answer = head(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    exactly(&mut stream, "This is a drill.\n".len());
    // The connection may end here; a second answer must not come.
    let _ = stream.write_all(ASK.as_bytes());
    let rest = read_all(&mut stream);
    assert!(rest.matches("HTTP/1.1 ").count() <= 1, "{rest}");
}

#[test]
fn what_meets_a_fault_goes_to_another_worker_and_no_client_sees_it() {
    let (first, _first) = answering(OK);
    let (second, _second) = answering(OK);
    let addresses: [SocketAddr; 2] = [first, second];
    for fault in [json!({"errors": "100%"}), json!({"resets": "100%"})] {
        let setup = Wanted::before(&addresses).route(json!({"retry": {}})).start();
        let drill = drill(fault);
        setup.drill(&addresses, 0, &drill);
        (0..4).for_each(|_| assert!(setup.ask(ASK).ends_with("hi")));
        let Sums { requests, failed, injected } = drill.toll.sums();
        assert!((requests, failed) == (4, 0) && injected >= 1, "{injected}");
    }
}

#[test]
fn a_drill_that_is_over_does_nothing_more_in_the_same_view() {
    let (address, _heads) = answering(OK);
    let setup = Wanted::before(&[address]).start();
    let order: Order = serde_json::from_value(json!({"fault": {"errors": "100%"}, "for": "1s"})).expect("an order");
    // The gateway's clock began before this one.
    let clock = Clock::starting_now();
    let drill = Arc::new(order.begin(Mono::default()));
    setup.drill(&[address], 0, &drill);
    crate::common::eventually("its end", || clock.now() > drill.until());
    assert!(setup.ask(ASK).ends_with("hi"));
    assert_eq!(drill.toll.sums(), sums(1, 0, 0));
}
