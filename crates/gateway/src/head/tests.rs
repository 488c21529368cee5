//! Heads: what of a request is read from them.

use ambidex_http1::{Fields, HeadReader, Profile};
use bytes::BytesMut;

use super::*;

/// A head as it is read from a client.
pub(crate) fn read(method: &str, target: &str, lines: &[(&str, &str)]) -> RequestHead {
    let mut text = format!("{method} {target} HTTP/1.1\r\n");
    if !lines.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str("host: a.example\r\n");
    }
    lines.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    text.push_str("\r\n");
    let mut input = BytesMut::from(text.as_bytes());
    let head = HeadReader::default().request(&mut input, &mut Fields::default(), &Profile::default());
    head.expect("well formed").expect("whole")
}

#[test]
fn the_name_of_a_host_is_without_its_port() {
    for (value, name) in
        [("a.example", "a.example"), ("a:80", "a"), ("[::1]:8080", "[::1]"), ("127.0.0.1", "127.0.0.1")]
    {
        assert_eq!(host_of(&read("GET", "/", &[("host", value)])), name);
    }
    assert_eq!(host_of(&read("GET", "http://b.example:80/x?y", &[("host", "b.example:80")])), "b.example");
}

#[test]
fn path_and_query_are_parted_at_the_first_question_mark() {
    for (target, path, query) in [
        ("/a/b?c?d", "/a/b", Some(&b"c?d"[..])),
        ("/", "/", None),
        ("http://a.example?x", "/", Some(b"x")),
        ("http://a.example/z", "/z", None),
    ] {
        let head = read("GET", target, &[("host", "a.example")]);
        assert_eq!((path_of(&head), query_of(&head)), (path, query), "{target}");
    }
}

#[test]
fn only_listed_protocols_are_let_through_and_only_when_connection_names_them() {
    let allowed = ["websocket".to_owned()];
    let asks = |lines: &[(&str, &str)]| {
        allowed_upgrade(read("GET", "/", lines).head(), &allowed).map(|name| name.as_bytes().to_vec())
    };
    assert_eq!(asks(&[("connection", "Upgrade"), ("upgrade", "WebSocket")]), Some(b"WebSocket".to_vec()));
    assert_eq!(asks(&[("upgrade", "websocket")]), None);
    assert_eq!(asks(&[("connection", "upgrade"), ("upgrade", "h2c")]), None);
}

#[test]
fn an_id_is_32_digits() {
    assert_eq!(&id_text(0x0123_4567_89ab_cdef), b"00000000000000000123456789abcdef");
}

#[test]
fn a_request_without_a_host_goes_by_its_workers() {
    assert_eq!(worker_host("http://10.0.0.1:9000/x"), "10.0.0.1:9000");
    assert_eq!(worker_host("unix:/run/a.sock"), "localhost");
}
