//! A gateway with a mover of its own: each key goes to the worker that the map says, by a table that nobody had to bring.

mod process;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};

use process::{Running, until};

/// A worker that says its name, and what it was told of the slice.
fn worker(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
            let line = |field: &str| head.lines().find(|line| line.starts_with(field)).unwrap_or("").to_owned();
            let body = format!("{name} {} {}", line("ambidex-slice:"), line("ambidex-epoch:"));
            let answer =
                format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            // A client that is gone needs none.
            _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

/// What a gateway answers to a request with this key.
fn ask(gateway: &str, key: &str) -> String {
    let mut stream = TcpStream::connect(gateway).expect("it listens");
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\ncart-id: {key}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("all of it");
    answer
}

#[test]
fn each_key_goes_to_the_owner_that_the_map_names() {
    let (a, b) = (worker("a"), worker("b"));
    let running = Running::run(&format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\n\
         pools: {{carts: {{workers: [{{url: \"http://{a}\", name: a}}, {{url: \"http://{b}\", name: b}}]}}}}\n\
         keyspaces: {{carts: {{pool: carts, slices: 4, key: {{header: Cart-Id}}}}}}\n\
         routes: [{{keyspace: carts}}]\n\
         admin: {{address: \"127.0.0.1:0\"}}\n"
    ));
    let mut owners = std::collections::BTreeSet::new();
    for key in ["ann", "bob", "cat", "dan", "eve", "fay", "guy", "hal"] {
        // Until the map is made there is no table: 503.
        let answer = until(|| {
            let answer = ask(&running.listener, key);
            answer.starts_with("HTTP/1.1 200 ").then_some(answer)
        });
        let body = answer.split("\r\n\r\n").nth(1).expect("a body");
        let (name, told) = body.split_once(' ').expect("a name");
        let explained = running.ask_json(&["shard", "explain", "--key", key]);
        assert_eq!(explained["owner"], name, "{explained}");
        assert!(told.contains(&format!("ambidex-slice: {}", explained["slice"].as_str().expect("a number"))), "{told}");
        owners.insert(name.to_owned());
    }
    assert_eq!(owners.len(), 2, "eight keys of four slices at two workers");
}

/// A worker that breaks the first write off, and says of all others that they were not run. What else is asked (how hot it is) gets no answer.
fn doubtful() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let mut writes = 0;
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
                head.push(byte[0]);
            }
            writes += usize::from(head.starts_with(b"POST / "));
            if writes > 1 {
                // A client that is gone needs none.
                _ = stream.write_all(
                    b"HTTP/1.1 503 Service Unavailable\r\nambidex-shard: refused\r\nretry-after: 1\r\nconnection: close\r\n\
                      content-length: 0\r\n\r\n",
                );
            }
        }
    });
    address
}

#[test]
fn a_write_whose_first_try_may_have_run_is_not_told_as_not_run() {
    let worker = doubtful();
    let running = Running::run(&format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\n\
         pools: {{carts: {{workers: [{{url: \"http://{worker}\", name: a}}]}}}}\n\
         keyspaces: {{carts: {{pool: carts, slices: 1, key: {{header: Cart-Id}}}}}}\n\
         routes: [{{keyspace: carts}}]\n\
         admin: {{address: \"127.0.0.1:0\"}}\n"
    ));
    let explained = || running.ask_json(&["shard", "status"])["keyspaces"][0].clone();
    until(|| (explained()["slices"] == 1).then_some(()));
    let answer = until(|| {
        let mut stream = TcpStream::connect(&running.listener).expect("it listens");
        let head = "POST / HTTP/1.1\r\nhost: a\r\ncart-id: ann\r\nambidex-op-id: 7:1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("all of it");
        (!answer.contains("no-table")).then_some(answer)
    });
    assert!(
        answer.starts_with("HTTP/1.1 504 ") && answer.to_ascii_lowercase().contains("ambidex-error: slice-unknown"),
        "{answer}"
    );
}
