//! Connections that become something else after their first request.

use std::io::{Read, Write};

use crate::common::{Setup, eventually, exactly, head, worker};

const ASK: &[u8] = b"GET /chat HTTP/1.1\r\nhost: a\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";

/// A worker that agrees to WebSocket and then echoes bytes, the first of them with its head.
fn echoing() -> std::net::SocketAddr {
    worker(|_, mut stream| {
        let asked = head(&mut stream);
        assert!(asked.contains("connection: upgrade\r\n") && asked.contains("upgrade: websocket\r\n"), "{asked}");
        assert!(asked.contains("sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), "{asked}");
        let agreed = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
            sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello";
        stream.write_all(agreed).expect("sent");
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            stream.write_all(&buffer[..count]).expect("sent");
        }
    })
}

#[test]
fn a_websocket_carries_bytes_both_ways_until_one_end_closes() {
    let setup = Setup::before(echoing());
    let mut client = setup.connect();
    client.write_all(ASK).expect("sent");
    // Bytes of the new protocol may follow the request at once.
    client.write_all(b"early").expect("sent");
    let answer = head(&mut client);
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.contains("sec-websocket-accept: s3pPLMBi"), "{answer}");
    assert!(answer.contains("connection: upgrade\r\n") && answer.contains("upgrade: websocket\r\n"), "{answer}");
    assert_eq!(exactly(&mut client, 10), "helloearly");
    for _ in 0..3 {
        client.write_all(b"ping").expect("sent");
        assert_eq!(exactly(&mut client, 4), "ping");
    }
    assert_eq!(setup.in_flight(), 1, "the worker is busy as long as the socket is open");
    drop(client);
    eventually("the worker is free", || setup.in_flight() == 0);
    assert_eq!(setup.gateway.stats().traffic.upgrades, 1);
}

#[test]
fn a_worker_that_does_not_agree_answers_as_ever() {
    let (worker, _heads) = crate::common::answering("HTTP/1.1 426 Upgrade Required\r\ncontent-length: 2\r\n\r\nno");
    let setup = Setup::before(worker);
    let mut client = setup.connect();
    client.write_all(ASK).expect("sent");
    assert!(head(&mut client).starts_with("HTTP/1.1 426 "));
    assert_eq!(exactly(&mut client, 2), "no");
}
