//! Mirrors over sockets: a second pool gets copies, and whatever it does, the client sees nothing of it.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::json;

use crate::common::{OK, Setup, Wanted, answering, eventually, exactly, head, next, worker};

const GET: &str = "GET /a?q=1 HTTP/1.1\r\nhost: a\r\nx-user: 7\r\nambidex-mirror: 9\r\nconnection: close\r\n\r\n";
const POST: &str = "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";

/// An address where nobody listens.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port")
}

fn count(setup: &Setup, word: &str) -> u64 {
    let outcomes = setup.gateway.stats().mirrors.outcomes();
    outcomes.iter().find(|(known, _)| *known == word).map_or(0, |(_, count)| *count)
}

fn mirrored(worker: SocketAddr, dark: SocketAddr, more: serde_json::Value) -> Setup {
    let mut mirror = json!({"pool": "spare"});
    more.as_object().into_iter().flatten().for_each(|(key, value)| mirror[key] = value.clone());
    Wanted::before(&[worker]).spare(&[dark]).route(json!({"mirror": mirror})).start()
}

#[test]
fn a_copy_is_the_request_with_a_mark_and_its_answer_goes_nowhere() {
    let ((worker, heads), (dark, copies)) =
        (answering(OK), answering("HTTP/1.1 500 Dark\r\ncontent-length: 4\r\n\r\ndark"));
    let setup = mirrored(worker, dark, json!({}));
    let answer = setup.ask(GET);
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hi"), "{answer}");
    let (real, copy) = (next(&heads), next(&copies));
    assert!(!real.contains("ambidex-mirror"), "what a client says of copies goes nowhere: {real}");
    assert!(copy.starts_with("GET /a?q=1 ") && copy.contains("x-user: 7\r\n"), "{copy}");
    assert!(copy.contains("ambidex-mirror: 1\r\n") && !copy.contains("ambidex-mirror: 9"), "{copy}");
    eventually("the answer is counted", || count(&setup, "5xx") == 1);
    assert_eq!(setup.gateway.stats().mirrors.in_flight, 0);
}

#[test]
fn what_may_change_something_is_not_copied_unless_that_is_said() {
    let ((live, _heads), (dark, copies)) = (answering(OK), answering(OK));
    let setup = mirrored(live, dark, json!({}));
    setup.ask(POST);
    setup.ask(GET);
    assert!(next(&copies).starts_with("GET "), "the first copy is of the request that came second");
    let reading = |_, mut stream: std::net::TcpStream| {
        let asked = head(&mut stream);
        if asked.starts_with("POST") {
            let body = exactly(&mut stream, 5);
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{body}").as_bytes());
        }
    };
    let (told, bodies) = channel();
    let told = std::sync::Mutex::new(told);
    let dark = worker(move |_, mut stream| {
        let asked = head(&mut stream);
        let _ = told.lock().expect("unpoisoned").send((asked, exactly(&mut stream, 5)));
        let _ = stream.write_all(OK.as_bytes());
    });
    let setup = mirrored(worker(reading), dark, json!({"unsafe_methods": true}));
    assert!(setup.ask(POST).ends_with("hello"));
    let (asked, body) = bodies.recv_timeout(Duration::from_secs(60)).expect("a copy comes");
    assert!(asked.starts_with("POST /a ") && asked.contains("ambidex-mirror: 1") && body == "hello", "{asked} {body}");
}

#[test]
fn a_body_beyond_what_is_kept_is_not_copied_and_counted() {
    let live = worker(|_, mut stream| {
        head(&mut stream);
        exactly(&mut stream, 5);
        let _ = stream.write_all(OK.as_bytes());
    });
    let (dark, _copies) = answering(OK);
    let route = json!({"mirror": {"pool": "spare", "unsafe_methods": true}, "keep_body": "4B"});
    let setup = Wanted::before(&[live]).spare(&[dark]).route(route).start();
    assert!(setup.ask(POST).ends_with("hi"));
    eventually("it is counted", || count(&setup, "dropped_body") == 1);
}

#[test]
fn a_mirror_that_is_not_there_or_never_answers_neither_delays_nor_fails_a_request() {
    let (live, _heads) = answering(OK);
    let setup = mirrored(live, nobody(), json!({}));
    assert!(setup.ask(GET).ends_with("hi"));
    eventually("the copy is counted as lost", || count(&setup, "lost") == 1);
    let (_keep, silence) = channel::<()>();
    let silence = std::sync::Mutex::new(silence);
    let frozen = worker(move |_, mut stream| {
        head(&mut stream);
        let _ = silence.lock().expect("unpoisoned").recv();
    });
    let (live, _heads) = answering(OK);
    let setup = mirrored(live, frozen, json!({"most": 1, "deadline": "5m"}));
    for _ in 0..3 {
        // It would take five minutes, were it waited for.
        assert!(setup.ask(GET).ends_with("hi"));
    }
    eventually("what is over the bound is not copied", || count(&setup, "dropped_full") == 2);
    assert_eq!(setup.gateway.stats().mirrors.in_flight, 1);
}

#[test]
fn a_copy_that_takes_longer_than_its_deadline_is_given_up() {
    let (live, _heads) = answering(OK);
    let slow = worker(|_, mut stream| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nthe rest never comes");
        // Until the gateway closes.
        head(&mut stream);
    });
    let setup = mirrored(live, slow, json!({"deadline": "100ms"}));
    assert!(setup.ask(GET).ends_with("hi"));
    eventually("it is counted as lost", || count(&setup, "lost") == 1);
    eventually("its try has ended", || setup.in_flight() == 0);
}
