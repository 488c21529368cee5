//! The PROXY protocol, on a listener that demands it.

use std::io::Write;

use serde_json::json;

use crate::common::{address, closed, config, connect, eventually, get, listener, start};

fn demanding() -> ambidex_gateway::config::Listener {
    listener(json!({"address": "127.0.0.1:0", "proxy_protocol": true, "handshake_timeout": "300ms"}))
}

#[test]
fn a_request_after_either_header_is_answered() {
    let gateway = start(config(vec![demanding()]));
    let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x13\x88\x01\xbb";
    for header in [&b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n"[..], b"PROXY UNKNOWN\r\n", v2] {
        let mut stream = connect(address(&gateway, 0));
        stream.write_all(header).expect("sent");
        assert!(get(&mut stream, "/").expect("an answer").starts_with("HTTP/1.1 "));
    }
}

#[test]
fn without_a_right_header_a_connection_is_closed_unanswered_and_counted() {
    let gateway = start(config(vec![demanding()]));
    for bytes in [
        &b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"[..],
        b"PROXY TCP4 192.0.2.1 nowhere 5000 443\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        b"PROXY TC",
        b"",
    ] {
        let mut stream = connect(address(&gateway, 0));
        stream.write_all(bytes).expect("sent");
        assert!(closed(&mut stream), "{}", bytes.escape_ascii());
    }
    eventually("all are counted", || gateway.stats().listeners[0].failed_proxy_header == 5);
    eventually("all are gone", || gateway.stats().listeners[0].open == 0);
}
