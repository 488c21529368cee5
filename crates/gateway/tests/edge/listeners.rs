//! Opening, closing and bounding listeners.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use ambidex_gateway::Gateway;
use serde_json::json;

use crate::common::{LONG, address, closed, config, connect, get, listener, plain, shared, start};

#[test]
fn every_listener_answers_and_a_drained_gateway_is_gone() {
    let gateway = start(config(vec![plain(), plain_v6()]));
    let mut kept = connect(address(&gateway, 0));
    assert!(get(&mut kept, "/").expect("an answer").starts_with("HTTP/1.1 "));
    assert!(get(&mut connect(address(&gateway, 1)), "/").expect("an answer").starts_with("HTTP/1.1 "));
    let gone = address(&gateway, 0);
    assert_eq!(gateway.drain(LONG), 0);
    assert!(closed(&mut kept), "an idle connection is closed at once");
    assert!(TcpStream::connect(gone).is_err(), "nobody listens any more");
}

#[test]
fn a_unix_socket_answers_and_its_file_goes_with_the_gateway() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gate.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a leftover"));
    let gateway = start(config(vec![listener(json!({"address": format!("unix:{}", path.display())}))]));
    let mut stream = UnixStream::connect(&path).expect("connects");
    assert!(get(&mut stream, "/").expect("an answer").starts_with("HTTP/1.1 "));
    gateway.drain(LONG);
    assert!(!path.exists());
}

#[test]
fn an_address_in_use_is_told_and_nothing_is_left_behind() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("gate.sock");
    let wanted = taken.local_addr().expect("an address");
    let listeners = vec![
        listener(json!({"address": format!("unix:{}", path.display())})),
        listener(json!({"address": wanted.to_string()})),
    ];
    let error = Gateway::start(config(listeners), shared()).expect_err("the port is taken").to_string();
    assert!(error.contains(&wanted.to_string()) && error.contains("another process listens there"), "{error}");
    assert!(!path.exists());
}

#[test]
fn one_connection_too_many_is_told_so() {
    let gateway = start(config(vec![listener(json!({"address": "127.0.0.1:0", "max_connections": 1}))]));
    let mut first = connect(address(&gateway, 0));
    get(&mut first, "/").expect("an answer");
    let mut second = connect(address(&gateway, 0));
    assert!(get(&mut second, "/").expect("an answer").starts_with("HTTP/1.1 503 "));
    assert!(closed(&mut second));
    assert_eq!(gateway.stats().listeners[0].refused_full, 1);
    assert!(get(&mut first, "/").is_ok(), "the first one goes on");
}

fn plain_v6() -> ambidex_gateway::config::Listener {
    listener(json!({"address": "[::1]:0"}))
}
