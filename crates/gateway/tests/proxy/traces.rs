//! Spans of sampled requests, as a collector gets them: the request's own, and one for each try.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::json;

use crate::common::{OK, Setup, Wanted, answering, head, next, worker};

/// One span, as far as tests look at it.
#[derive(Debug, Default)]
struct Span {
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    kind: u64,
    start: u64,
    end: u64,
    failed: bool,
    attributes: BTreeMap<String, String>,
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a protobuf message, by their numbers.
fn fields(mut bytes: &[u8]) -> Vec<(u64, Field<'_>)> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let field = match key & 7 {
            0 => Field::Number(varint(&mut bytes)),
            1 => {
                let (number, rest) = bytes.split_first_chunk().expect("eight bytes");
                bytes = rest;
                Field::Number(u64::from_le_bytes(*number))
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)).expect("short");
                let (inside, rest) = bytes.split_at(length);
                bytes = rest;
                Field::Bytes(inside)
            }
            other => panic!("OTLP has no wire type {other}"),
        };
        fields.push((key >> 3, field));
    }
    fields
}

/// What is inside of messages at `path`.
fn inside<'a>(bytes: &'a [u8], path: &[u64]) -> Vec<&'a [u8]> {
    let Some((number, rest)) = path.split_first() else { return vec![bytes] };
    let mut found = Vec::new();
    for (at, field) in fields(bytes) {
        if let (true, Field::Bytes(more)) = (at == *number, field) {
            found.extend(inside(more, rest));
        }
    }
    found
}

fn span(bytes: &[u8]) -> Span {
    let mut span = Span::default();
    for (number, field) in fields(bytes) {
        match (number, field) {
            (1, Field::Bytes(id)) => span.trace = id.into(),
            (2, Field::Bytes(id)) => span.id = id.into(),
            (4, Field::Bytes(id)) => span.parent = id.into(),
            (6, Field::Number(kind)) => span.kind = kind,
            (7, Field::Number(at)) => span.start = at,
            (8, Field::Number(at)) => span.end = at,
            (9, Field::Bytes(pair)) => {
                let name = String::from_utf8_lossy(inside(pair, &[1])[0]).into_owned();
                let value = match fields(inside(pair, &[2])[0]).pop() {
                    Some((_, Field::Number(number))) => number.to_string(),
                    Some((_, Field::Bytes(text))) => String::from_utf8_lossy(text).into_owned(),
                    None => String::new(),
                };
                span.attributes.insert(name, value);
            }
            (15, Field::Bytes(status)) => {
                span.failed =
                    fields(status).iter().any(|(number, field)| *number == 3 && matches!(field, Field::Number(2)));
            }
            _ => {}
        }
    }
    span
}

/// A collector, and what comes to it.
fn collector() -> (String, Receiver<Span>) {
    let (tell, spans) = channel();
    let tell = std::sync::Mutex::new(tell);
    let address = worker(move |_, mut stream| {
        loop {
            let post = head(&mut stream).to_ascii_lowercase();
            let Some(length) = post.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()) else {
                return;
            };
            let mut bytes = vec![0; length.parse().expect("a number")];
            stream.read_exact(&mut bytes).expect("spans");
            for bytes in inside(&bytes, &[1, 2, 2]) {
                let _ = tell.lock().expect("unpoisoned").send(span(bytes));
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("answered");
        }
    });
    (format!("http://{address}"), spans)
}

fn traced(workers: &[SocketAddr], sample: &str) -> (Setup, Receiver<Span>) {
    let (otlp, spans) = collector();
    let mut wanted = Wanted::before(workers);
    wanted.tracing = json!({"otlp": otlp, "sample": sample});
    (wanted.start(), spans)
}

/// All spans of the next request: its own comes first.
fn request(spans: &Receiver<Span>, tries: usize) -> (Span, Vec<Span>) {
    let next = || spans.recv_timeout(Duration::from_secs(60)).expect("a span comes");
    (next(), (0..tries).map(|_| next()).collect())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const ASK: &str = "GET /a?token=canary HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address")
}

#[test]
fn a_retried_request_shows_both_tries_below_it_the_first_with_its_error() {
    let ((live, heads), dead) = (answering(OK), nobody());
    let (setup, spans) = traced(&[dead, live], "100%");
    // Whose turn is first is drawn, so one of two requests begins with the dead one.
    let retried = (0..2).find_map(|_| {
        let answer = setup.ask(ASK);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        let told = next(&heads);
        if answer.contains("ambidex-attempts: 2") {
            return Some((told, request(&spans, 2)));
        }
        request(&spans, 1);
        None
    });
    let (told, (own, tries)) = retried.expect("one was retried");
    assert!(told.contains(&format!("traceparent: 00-{}-{}-01\r\n", hex(&own.trace), hex(&tries[1].id))), "{told}");
    assert_eq!((own.kind, own.failed, own.attributes["ambidex.attempts"].as_str()), (2, false, "2"));
    for one in &tries {
        assert_eq!((one.kind, &one.trace, &one.parent), (3, &own.trace, &own.id));
        assert!(own.start <= one.start && one.start <= one.end && one.end <= own.end, "{one:?} within {own:?}");
        assert_eq!(
            (one.attributes["http.request.method"].as_str(), one.attributes["ambidex.pick"].as_str()),
            ("GET", "its turn came")
        );
        assert_eq!(one.attributes["server.address"], "127.0.0.1");
    }
    let [first, second] = &tries[..] else { panic!("two tries: {tries:?}") };
    assert_ne!(first.id, second.id);
    assert_eq!((first.failed, second.failed), (true, false));
    assert_eq!((first.attributes["error.type"].as_str(), second.attributes.get("error.type")), ("connect", None));
    assert_eq!(first.attributes["server.port"], dead.port().to_string());
    assert_eq!(second.attributes["server.port"], live.port().to_string());
    assert_eq!(second.attributes["ambidex.worker"], format!("http://{live}"));
    assert_eq!(second.attributes["http.response.status_code"], "200");
    assert_eq!(
        (first.attributes.get("http.request.resend_count"), second.attributes["http.request.resend_count"].as_str()),
        (None, "1")
    );
    assert!(!format!("{own:?}{tries:?}").contains("canary"), "queries may hold secrets: {tries:?}");
}

#[test]
fn a_try_that_the_deadline_ended_says_so_and_one_that_broke_off_too() {
    let silent = worker(|_, mut stream| while !head(&mut stream).is_empty() {});
    let (otlp, spans) = collector();
    let mut wanted = Wanted::before(&[silent]).route(json!({"deadline": "100ms"}));
    wanted.tracing = json!({"otlp": otlp, "sample": "100%"});
    assert!(wanted.start().ask(ASK).starts_with("HTTP/1.1 504 "));
    let (own, tries) = request(&spans, 1);
    assert_eq!(
        (own.attributes["error.type"].as_str(), tries[0].attributes["error.type"].as_str()),
        ("deadline", "deadline")
    );
    let breaking = worker(|_, mut stream| {
        head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").expect("sent");
    });
    let (setup, spans) = traced(&[breaking], "100%");
    setup.ask(ASK);
    let (own, tries) = request(&spans, 1);
    assert_eq!(
        (own.failed, tries[0].failed, tries[0].attributes["error.type"].as_str()),
        (true, true, "upstream-reset")
    );
}

#[test]
fn a_request_that_is_not_sampled_has_no_span_and_its_context_is_passed_on_as_it_came() {
    let (live, heads) = answering(OK);
    let (setup, spans) = traced(&[live], "100%");
    let context = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
    setup.ask(&ASK.replace("\r\n\r\n", &format!("\r\n{context}-00\r\n\r\n")));
    assert!(next(&heads).contains(&format!("{context}-00\r\n")));
    setup.ask(&ASK.replace("\r\n\r\n", &format!("\r\n{context}-01\r\n\r\n")));
    // The first span that comes is of the second request.
    let (own, tries) = request(&spans, 1);
    assert_eq!(
        (hex(&own.trace).as_str(), hex(&own.parent).as_str()),
        ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
    );
    assert!(next(&heads).contains(&format!("traceparent: 00-{}-{}-01\r\n", hex(&own.trace), hex(&tries[0].id))));
}
