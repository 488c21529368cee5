//! Slow clients: closed in their time, and nobody else waits for them (reliability.md row 8).

use std::io::{Read as _, Write as _};
use std::time::Duration;

use serde_json::json;

use crate::common::{address, closed, config, connect, eventually, get, head, listener, start};

fn impatient() -> ambidex_gateway::config::Listener {
    listener(json!({"address": "127.0.0.1:0", "header_timeout": "300ms", "idle_timeout": "300ms"}))
}

#[test]
fn who_says_nothing_is_closed() {
    let gateway = start(config(vec![impatient()]));
    let mut silent: Vec<_> = (0..50).map(|_| connect(address(&gateway, 0))).collect();
    assert!(silent.iter_mut().all(closed));
    eventually("all are gone", || gateway.stats().listeners[0].open == 0);
}

#[test]
fn who_never_ends_a_head_is_closed_while_others_are_answered() {
    let gateway = start(config(vec![impatient()]));
    let mut slow = connect(address(&gateway, 0));
    slow.write_all(b"GET / HTTP/1.1\r\n").expect("sent");
    let (wake, pause) = std::sync::mpsc::channel::<()>();
    let mut lines = 0;
    while slow.write_all(b"x: y\r\n").is_ok() {
        get(&mut connect(address(&gateway, 0)), "/").expect("others are answered");
        let _ = pause.recv_timeout(Duration::from_millis(20));
        lines += 1;
        assert!(lines < 500, "still open after ten seconds");
    }
    drop(wake);
    eventually("it is gone", || gateway.stats().listeners[0].open == 0);
}

#[test]
fn who_stays_without_asking_is_closed() {
    let gateway = start(config(vec![impatient()]));
    let mut idle = connect(address(&gateway, 0));
    get(&mut idle, "/").expect("an answer");
    assert!(closed(&mut idle));
}

#[test]
fn a_head_that_is_too_long_is_told_so() {
    let gateway = start(config(vec![listener(json!({"address": "127.0.0.1:0", "max_header_bytes": "8KiB"}))]));
    let mut stream = connect(address(&gateway, 0));
    write!(stream, "GET / HTTP/1.1\r\nhost: test\r\nx: {}\r\n\r\n", "y".repeat(9_000)).expect("sent");
    let told = head(&mut stream).expect("an answer");
    assert!(told.starts_with("HTTP/1.1 431 "), "{told}");
    let mut sentence = String::new();
    stream.read_to_string(&mut sentence).expect("the sentence, and the end");
    assert!(sentence.contains("too large"), "{sentence}");
}
