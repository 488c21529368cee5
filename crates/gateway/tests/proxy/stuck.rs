//! Uploads and answers that do not move: how much of them the gateway holds, and that slow ones end in their time.

use std::fs;
use std::io::{Read as _, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;

use crate::common::{OK, Wanted, connect, eventually, head, read_all, worker};
use crate::hostile::{before, refused, refused_in_time};

/// Size of the upload: more than a kernel takes that may grow a queue to 32 MiB, as some do.
const UPLOAD: u64 = 96 << 20;
/// What the gateway may hold of it. Source: reliability.md row 7, with retries on.
const HELD: u64 = 64 << 10;

/// Bytes that the kernel holds for one end of a connection: written and not yet at the other end, come and not yet read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Queues {
    sending: u64,
    received: u64,
}

/// Those of every loopback connection between `here` and `there`, at `here`'s end; summed.
fn queues(here: Option<SocketAddr>, there: Option<SocketAddr>) -> Queues {
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux");
    let mut sum = Queues::default();
    for line in table.lines().skip(1) {
        let words: Vec<_> = line.split_whitespace().collect();
        let is = |word: &str, wanted: Option<SocketAddr>| wanted.is_none_or(|wanted| hex(wanted) == word);
        if is(words[1], here) && is(words[2], there) {
            let (sending, received) = words[4].split_once(':').expect("two queues");
            sum.sending += u64::from_str_radix(sending, 16).expect("hexadecimal");
            sum.received += u64::from_str_radix(received, 16).expect("hexadecimal");
        }
    }
    sum
}

/// An address as the kernel's table has it.
fn hex(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else { unreachable!("tests are on 127.0.0.1") };
    format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
}

/// Writes until nothing has been taken for a while; how much was.
fn write_until_stuck(client: &mut TcpStream) -> u64 {
    client.set_write_timeout(Some(Duration::from_millis(700))).expect("a timeout");
    let block = [7; 16 << 10];
    let mut sent = 0;
    while sent < UPLOAD {
        match client.write(&block) {
            Ok(count) => sent += count as u64,
            Err(_) => return sent,
        }
    }
    panic!("all of it was taken");
}

#[test]
fn of_an_upload_that_is_stuck_the_gateway_holds_64_kib_at_most_with_retries_on() {
    stuck_upload(1);
}

#[test]
fn of_two_uploads_that_are_stuck_two_gateways_of_two_threads_hold_64_kib_each() {
    std::thread::scope(|scope| {
        (0..2).for_each(|_| drop(scope.spawn(|| stuck_upload(2))));
    });
}

/// An upload through a gateway of so many threads, with every second try on, to a worker that stops reading.
fn stuck_upload(threads: usize) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    // Small, so that the kernel holds little of the upload; those that are accepted inherit it.
    socket2::SockRef::from(&listener).set_recv_buffer_size(64 << 10).expect("a size");
    let worker = listener.local_addr().expect("an address");
    let (asked, is_asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut held: Vec<TcpStream> = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            head(&mut stream);
            let _ = asked.send(());
            held.push(stream);
        }
    });
    let route = json!({"deadline": "15s", "retries": 2, "retry": {}, "repeat": "idempotent"});
    let mut wanted = Wanted::before(&[worker]).route(route);
    wanted.threads = threads;
    let setup = wanted.start();
    let mut client = setup.connect();
    socket2::SockRef::from(&client).set_send_buffer_size(64 << 10).expect("a size");
    write!(client, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {UPLOAD}\r\n\r\n").expect("sent");
    is_asked.recv_timeout(Duration::from_secs(60)).expect("the worker is asked");
    let sent = write_until_stuck(&mut client);
    let own = client.local_addr().expect("an address");
    // Between the client's write and the worker's read there are four queues of the kernel, and what the gateway holds.
    let in_kernel = || {
        let ends = [
            queues(Some(own), Some(setup.address)).sending,
            queues(Some(setup.address), Some(own)).received,
            queues(None, Some(worker)).sending,
            queues(Some(worker), None).received,
        ];
        ends.iter().sum::<u64>()
    };
    // On a busy machine bytes are on their way between two queues for a while; what the gateway holds, it holds on.
    let mut held = u64::MAX;
    eventually(&format!("of {sent} bytes the gateway holds {HELD} at most"), || {
        held = sent.saturating_sub(in_kernel()).min(held);
        held <= HELD
    });
    client.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
    let told = read_all(&mut client);
    assert!(told.starts_with("HTTP/1.1 504 ") && told.contains("ambidex-error: deadline\r\n"), "{told}");
    assert!(is_asked.try_recv().is_err(), "what a worker may have begun with is not sent again");
    drop(client);
    eventually("nothing is in flight", || setup.in_flight() == 0);
}

#[test]
fn a_worker_whose_head_comes_byte_by_byte_is_a_504_in_time() {
    let setup = before(|stream| {
        for byte in b"HTTP/1.1 200 OK\r\nx: ".iter().chain(std::iter::repeat(&b'y')) {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            let _ = std::sync::mpsc::channel::<()>().1.recv_timeout(Duration::from_millis(20));
        }
    });
    refused_in_time(&setup);
}

#[test]
fn an_answer_that_comes_byte_by_byte_is_whole() {
    let setup = before(|stream| {
        for byte in b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nslow\r\n0\r\n\r\n" {
            let _ = stream.write_all(&[*byte]);
            let _ = std::sync::mpsc::channel::<()>().1.recv_timeout(Duration::from_millis(1));
        }
        read_all(stream);
    });
    let answer = setup.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n0\r\n\r\n"), "{answer}");
    let body: String = answer.split_once("\r\n\r\n").expect("a head").1.lines().skip(1).step_by(2).collect();
    assert_eq!(body, "slow");
}

#[test]
fn a_client_that_leaves_an_answer_without_end_frees_the_worker() {
    let (told, ended) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    let address = worker(move |_, mut stream| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        while stream.write_all(b"4\r\nmore\r\n").is_ok() {
            let _ = std::sync::mpsc::channel::<()>().1.recv_timeout(Duration::from_millis(5));
        }
        let _ = told.lock().expect("unpoisoned").send(());
    });
    let setup = Wanted::before(&[address]).start();
    let mut client = connect(setup.address);
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
    assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
    client.read_exact(&mut [0; 100]).expect("it streams");
    drop(client);
    ended.recv_timeout(Duration::from_secs(60)).expect("the worker is let go");
    eventually("nothing is in flight", || setup.in_flight() == 0);
    let totals = setup.view.load().pools()[0].workers[0].cells.totals();
    assert_eq!((totals.failed, totals.broken), (0, 0), "the worker has done nothing wrong");
}

#[test]
fn a_worker_that_falls_silent_within_its_answer_is_given_up_in_time() {
    for answer in ["content-length: 1000000\r\n\r\nhalf", "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n"] {
        let address = worker(move |_, mut stream| {
            head(&mut stream);
            let _ = write!(stream, "HTTP/1.1 200 OK\r\n{answer}");
            read_all(&mut stream);
        });
        let setup = Wanted::before(&[address]).listener(json!({"tunnel_timeout": "300ms"})).start();
        let mut client = setup.connect();
        client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").expect("sent");
        assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
        let rest = client.read_to_end(&mut Vec::new());
        assert_eq!(rest.map_err(|error| error.kind()), Err(std::io::ErrorKind::ConnectionReset));
        eventually("nothing is in flight", || setup.in_flight() == 0);
    }
}

/// Reads an answer of `LENGTH` bytes `z` so slowly that it takes longer than `idle_timeout`; how many came.
fn read_slowly(gateway: SocketAddr, path: &str) -> usize {
    // Small buffers, and segments as small as those of a network: the gateway waits for this client most of the time.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(16 << 10).expect("a size");
    socket.set_tcp_mss(1_400).expect("a size");
    socket.connect(&gateway.into()).expect("connects");
    let mut client = TcpStream::from(socket);
    write!(client, "GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").expect("sent");
    head(&mut client);
    let (mut bytes, mut block) = (0, vec![0; 16 << 10]);
    loop {
        match client.read(&mut block).expect("it goes on") {
            0 => return bytes,
            count => bytes += block[..count].iter().filter(|byte| **byte == b'z').count(),
        }
        let _ = std::sync::mpsc::channel::<()>().1.recv_timeout(Duration::from_millis(20));
    }
}

#[test]
fn an_answer_that_is_read_slowly_is_whole() {
    let address = worker(|_, mut stream| {
        let chunked = head(&mut stream).starts_with("GET /chunked ");
        let framing =
            if chunked { "transfer-encoding: chunked".to_owned() } else { format!("content-length: {}", LENGTH) };
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\n{framing}\r\n\r\n");
        let block = "z".repeat(LENGTH / 64);
        for _ in 0..64 {
            let chunk = if chunked { format!("{:x}\r\n{block}\r\n", block.len()) } else { block.clone() };
            let _ = stream.write_all(chunk.as_bytes());
        }
        let _ = stream.write_all(if chunked { b"0\r\n\r\n" } else { b"" });
    });
    let setup = Wanted::before(&[address]).listener(json!({"idle_timeout": "2s"})).start();
    let gateway = setup.address;
    let readers = ["/", "/chunked"].map(|path| std::thread::spawn(move || read_slowly(gateway, path)));
    assert_eq!(readers.map(|reader| reader.join().expect("it reads to the end")), [LENGTH, LENGTH]);
}

/// Bytes of an answer that is read slowly.
const LENGTH: usize = 3 << 20;

#[test]
fn half_an_answer_to_a_client_that_does_not_read_ends_with_a_reset() {
    let address = worker(|_, mut stream| {
        head(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[7; 65_536]).is_ok() {}
    });
    let setup = Wanted::before(&[address]).listener(json!({"idle_timeout": "300ms"})).start();
    let mut client = setup.connect();
    // To HTTP/1.0 an answer of unknown length ends with its connection.
    client.write_all(b"GET / HTTP/1.0\r\nhost: a\r\n\r\n").expect("sent");
    assert!(head(&mut client).starts_with("HTTP/1.1 200 "));
    eventually("it is given up", || setup.in_flight() == 0 && setup.gateway.stats().listeners[0].open == 0);
    let own = client.local_addr().expect("an address");
    assert_eq!(queues(Some(setup.address), Some(own)), Queues::default(), "the kernel keeps none of it");
    let ended = client.read_to_end(&mut Vec::new());
    assert_eq!(ended.map_err(|error| error.kind()), Err(std::io::ErrorKind::ConnectionReset));
}

#[test]
fn a_worker_that_closes_its_side_after_a_request_is_answered_from_or_is_a_502() {
    let setup = before(|stream| {
        let _ = stream.shutdown(std::net::Shutdown::Write);
        read_all(stream);
    });
    refused(&setup, "502", "upstream-reset");
    let setup = before(|stream| {
        let _ = stream.write_all(OK.as_bytes());
        let _ = stream.shutdown(std::net::Shutdown::Write);
        read_all(stream);
    });
    let answer = setup.ask("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("hi"), "{answer}");
}
