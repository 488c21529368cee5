//! Clients that leave, by halves or at once: what was done for them is given up, and their worker is let go.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::json;

use crate::common::{Setup, Wanted, eventually, head, read_all, worker};

/// A worker that reads for as long as anything comes, never answers, and tells when the gateway let it go.
fn patient() -> (SocketAddr, Receiver<String>) {
    let (told, ended) = channel();
    let told = Mutex::new(told);
    let address = worker(move |_, mut stream| {
        head(&mut stream);
        let rest = read_all(&mut stream);
        let _ = told.lock().expect("unpoisoned").send(rest);
    });
    (address, ended)
}

/// Sends `request`, leaves by `leave` once its worker has it, and sees that all ends.
fn gone(request: &str, leave: fn(TcpStream) -> Option<TcpStream>) {
    let (address, ended) = patient();
    let setup = Setup::before(address);
    let mut client = setup.connect();
    client.write_all(request.as_bytes()).expect("sent");
    eventually("the worker is asked", || setup.in_flight() == 1);
    let left = leave(client);
    ended.recv_timeout(Duration::from_secs(60)).expect("the worker is let go");
    eventually("nothing is in flight", || setup.in_flight() == 0);
    let told = left.map(|mut client| read_all(&mut client)).unwrap_or_default();
    // Who cut an upload off may be told that it was no request.
    assert!(told.is_empty() || (request.starts_with("POST") && told.starts_with("HTTP/1.1 400 ")), "{told}");
    eventually("its connection is closed", || setup.gateway.stats().listeners[0].open == 0);
    let totals = setup.view.load().pools()[0].workers[0].cells.totals();
    assert_eq!((totals.failed, totals.broken), (0, 0), "the worker has done nothing wrong");
    let [left, .., refused, _] = setup.gateway.stats().traffic.answers;
    assert_eq!(left + refused, 1, "counted as one whose client left, or cut its upload off");
}

/// Ends its side, and still listens.
fn half(client: TcpStream) -> Option<TcpStream> {
    client.shutdown(Shutdown::Write).expect("open");
    Some(client)
}

fn reset(client: TcpStream) -> Option<TcpStream> {
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("a reset at its end");
    None
}

#[test]
fn a_client_that_ends_its_side_after_its_request_is_gone() {
    gone("GET / HTTP/1.1\r\nhost: a\r\n\r\n", half);
}

#[test]
fn a_client_that_ends_its_side_within_its_upload_is_gone() {
    gone("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nhalf", half);
    gone("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n", half);
    gone("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n4\r\nha", half);
}

#[test]
fn a_client_that_resets_its_connection_is_gone() {
    gone("GET / HTTP/1.1\r\nhost: a\r\n\r\n", reset);
    gone("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nhalf", reset);
}

#[test]
fn a_client_that_ends_its_side_is_answered_where_the_listener_bears_it() {
    let (go, may_go) = channel();
    let may_go = Mutex::new(may_go);
    let address = worker(move |_, mut stream| {
        head(&mut stream);
        let _ = may_go.lock().expect("unpoisoned").recv_timeout(Duration::from_secs(60));
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi");
        let _ = stream.shutdown(Shutdown::Write);
        read_all(&mut stream);
    });
    let setup = Wanted::before(&[address]).listener(json!({"lenient": ["half_close"]})).start();
    for request in ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nbody"]
    {
        let mut client = setup.connect();
        client.write_all(request.as_bytes()).expect("sent");
        client.shutdown(Shutdown::Write).expect("open");
        eventually("the worker is asked", || setup.in_flight() == 1);
        go.send(()).expect("it waits");
        let answer = read_all(&mut client);
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nhi"), "{answer}");
        eventually("its connection is closed", || setup.gateway.stats().listeners[0].open == 0);
    }
}
