//! The feed over real sockets: now, when it has changed, and as a stream.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::{ask, started};

/// The feed as data.
fn feed(address: SocketAddr, query: &str) -> Value {
    let (status, answer) = ask(address, "GET", &format!("/api/v1/feed{query}"), "", "");
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON")
}

fn revision(feed: &Value) -> u64 {
    feed["revision"].as_u64().expect("a number")
}

/// Freezes the weights, so that nothing but orders changes the picture; what is in force then.
fn frozen(address: SocketAddr, token: &str) -> Value {
    assert_eq!(ask(address, "POST", "/api/v1/pools/api/freeze", token, "").0, 200);
    feed(address, "")
}

#[test]
fn the_feed_tells_of_each_worker_what_it_is_to_get_and_why() {
    let (_process, address, token) = started();
    assert_eq!(ask(address, "POST", "/api/v1/pools/api/workers/a/pin", &token, r#"{"weight":0.5}"#).0, 200);
    let feed = feed(address, "?pool=api");
    let worker = &feed["pools"][0]["workers"][0];
    assert_eq!((worker["name"].as_str(), worker["address"].as_str()), (Some("a"), Some("10.0.0.1:1")));
    assert_eq!((worker["health"].as_str(), feed["schema_version"].as_u64()), (Some("serving"), Some(1)));
    let share = worker["share"].as_f64().expect("a number");
    assert!(share > 0.0 && share < 0.5, "{worker}");
    assert!(worker["why"].as_str().is_some_and(|why| why.contains("pinned")), "{worker}");
}

#[test]
fn who_waits_is_answered_with_the_next_change() {
    let (_process, address, token) = started();
    let known = revision(&frozen(address, &token));
    let waiting = thread::spawn(move || feed(address, &format!("?after={known}&wait=20s")));
    assert_eq!(ask(address, "POST", "/api/v1/pools/api/workers/a/drain", &token, "").0, 200);
    let changed = waiting.join().expect("answered");
    assert!(revision(&changed) != known, "{changed}");
}

#[test]
fn who_has_another_revision_is_answered_at_once_and_the_wait_has_an_end() {
    let (_process, address, token) = started();
    let known = revision(&frozen(address, &token));
    assert_eq!(revision(&feed(address, &format!("?after={}&wait=50s", known + 7))), known);
    assert_eq!(revision(&feed(address, &format!("?after={known}&wait=1ms"))), known);
}

#[test]
fn what_cannot_be_waited_for_is_refused() {
    let (_process, address, _) = started();
    for (query, wanted, words) in [
        ("?after=1&wait=2h", 400, "at most 55s"),
        ("?wait=5s", 400, "after=41"),
        ("?pool=nobody", 404, "api"),
        ("?after=x", 400, "after"),
    ] {
        let (status, answer) = ask(address, "GET", &format!("/api/v1/feed{query}"), "", "");
        assert!(status == wanted && answer.contains(words), "{query}: {answer}");
    }
    assert_eq!(ask(address, "GET", "/api/v1/feed/stream?pool=nobody", "", "").0, 404);
}

#[test]
fn the_stream_begins_with_what_is_in_force_and_tells_each_change() {
    let (_process, address, token) = started();
    let mut stream = TcpStream::connect(address).expect("listens");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    let request = format!("GET /api/v1/feed/stream HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("takes it");
    let (mut text, mut buffer, mut drained) = (String::new(), [0_u8; 4096], false);
    while !text.contains(r#""health":"draining""#) {
        let length = stream.read(&mut buffer).expect("goes on");
        assert!(length > 0, "ended: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
        if !drained && text.contains("event: feed") {
            drained = ask(address, "POST", "/api/v1/pools/api/workers/a/drain", &token, "").0 == 200;
        }
    }
    assert!(text.contains("text/event-stream") && text.contains("id: "), "{text}");
}
