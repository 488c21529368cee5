//! What RFC 9112 and 9110 ask of whoever moves messages between connections; docs/http1.md names these tests.

use std::io::{Read as _, Write as _};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use serde_json::json;

use crate::common::{OK, Setup, Wanted, answering, exactly, head, next, read_all, worker};

#[test]
fn interim_answers_go_on_to_clients_of_http_1_1_and_none_to_http_1_0() {
    let address = worker(|_, mut stream| {
        head(&mut stream);
        let early = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nserver-load: in_flight=1\r\n\r\n";
        let _ = stream.write_all(["HTTP/1.1 100 Continue\r\n\r\n", early, OK].concat().as_bytes());
    });
    let setup = Setup::before(address);
    let mut client = setup.connect();
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
    assert_eq!(head(&mut client), "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n");
    assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
    let old = setup.ask("GET / HTTP/1.0\r\nhost: a\r\n\r\n");
    assert!(old.starts_with("HTTP/1.1 200 ") && old.ends_with("hi"), "{old}");
}

#[test]
fn answers_come_in_the_order_of_pipelined_requests_and_one_is_under_way_at_a_time() {
    let (under_way, most) = (AtomicUsize::new(0), std::sync::Arc::new(AtomicUsize::new(0)));
    let seen = std::sync::Arc::clone(&most);
    let address = worker(move |_, mut stream| {
        loop {
            let asked = head(&mut stream);
            let Some(path) = asked.split(' ').nth(1) else { return };
            seen.fetch_max(under_way.fetch_add(1, SeqCst) + 1, SeqCst);
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{path}", path.len());
            under_way.fetch_sub(1, SeqCst);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let setup = Setup::before(address);
    let asks: String = (0..50).map(|at| format!("GET /{at} HTTP/1.1\r\nhost: a\r\n\r\n")).collect();
    let mut client = setup.connect();
    client.write_all(asks.as_bytes()).expect("sent");
    for at in 0..50 {
        assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
        let path = format!("/{at}");
        assert_eq!(exactly(&mut client, path.len()), path);
    }
    assert_eq!(most.load(SeqCst), 1);
}

#[test]
fn a_change_to_another_protocol_than_asked_is_refused() {
    let address = worker(|_, mut stream| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n");
        let _ = stream.read(&mut [0]);
    });
    let setup = Setup::before(address);
    let answer = setup.ask(
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-key: k\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains("upstream-garbage"), "{answer}");
}

#[test]
fn a_refused_client_reads_its_answer_though_it_goes_on_sending() {
    let (address, _heads) = answering(OK);
    let setup = Wanted::before(&[address]).listener(json!({"max_body": "1KiB"})).start();
    let mut client = setup.connect();
    client.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 400000\r\n\r\n").expect("sent");
    // More than is read at once, less than what is read and forgotten.
    client.write_all(&vec![b'x'; 400_000]).expect("the gateway reads on for a while");
    let answer = read_all(&mut client);
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("connection: close\r\n"), "{answer}");
}

#[test]
fn options_stops_where_max_forwards_says() {
    let (address, heads) = answering(OK);
    let setup = Setup::before(address);
    let ask = |hops: u32| {
        setup.ask(&format!("OPTIONS / HTTP/1.1\r\nhost: a\r\nmax-forwards: {hops}\r\nconnection: close\r\n\r\n"))
    };
    assert!(ask(3).starts_with("HTTP/1.1 200 "));
    assert!(next(&heads).contains("max-forwards: 2\r\n"));
    let ours = ask(0);
    assert!(ours.contains("\r\nallow: GET,") && heads.try_recv().is_err(), "{ours}");
}

#[test]
fn each_leniency_of_a_listener_bears_its_own_fault_and_what_goes_on_is_well_formed() {
    let cases = [
        ("bare_line_feed", "GET / HTTP/1.1\nhost: a\nconnection: close\n\n"),
        (
            "chunked_in_any_case",
            "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "space_after_chunk_size",
            "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n0 \r\n\r\n",
        ),
        (
            "repeated_equal_length",
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n",
        ),
    ];
    let (address, heads) = answering(OK);
    for (name, request) in cases {
        let strict = Setup::before(address);
        let refused = strict.ask(request);
        assert!(refused.starts_with("HTTP/1.1 400 "), "{name}: {refused}");
        let lenient = Wanted::before(&[address]).listener(json!({"lenient": [name]})).start();
        let borne = lenient.ask(request);
        assert!(borne.starts_with("HTTP/1.1 200 "), "{name}: {borne}");
        // A body is refused when it is read, after its head may have gone on.
        let passed = std::iter::from_fn(|| heads.try_recv().ok()).last().expect("it went on").1;
        let lines = passed.trim_end_matches("\r\n").split("\r\n");
        assert!(lines.clone().all(|line| !line.contains('\n')) && !passed.contains("Chunked"), "{name}: {passed}");
        assert!(lines.filter(|line| line.starts_with("content-length")).count() <= 1, "{name}: {passed}");
    }
}
