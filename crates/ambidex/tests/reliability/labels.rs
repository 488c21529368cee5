//! Names that come from traffic and from files that change all the time: neither series nor memory may follow them, and
//! a line of the access log stays one line.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Running, get, until};
use crate::scene::{config, metric, page, resident_kib, series, served_on, trickle};

/// A worker that answers at once, as often as asked; it lives as long as the test's process.
fn worker() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut bytes = vec![0; 1 << 14];
                let mut asked = Vec::new();
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    asked.extend_from_slice(&bytes[..count]);
                    // One request at a time comes on a connection of HTTP/1.
                    if asked.ends_with(b"\r\n\r\n") {
                        asked.clear();
                        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n~").is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

/// A request in which everything is named after its number; now and then with what a log must escape or shorten.
fn request(number: u32) -> Vec<u8> {
    let method = format!("M{number}");
    let method = if number.is_multiple_of(2) { "GET" } else { method.as_str() };
    let head = format!(
        "{method} /p{number}/x?q{number}={number} HTTP/1.1\r\nhost: h{number}.example\r\nx-request-id: id{number}\r\n\
         referer: http://r{number}.example/\r\ntraceparent: 00-{number:032x}-{number:016x}-00\r\nuser-agent: a{number}"
    );
    let mut request = head.into_bytes();
    match number % 100 {
        3 => request.extend_from_slice(b" \"\\\t\xff\xfe\",\"status\":999,\"x\":\"\x80 \xe2\x80\xa8 \xc3"),
        5 => request.resize(request.len() + 20_000, b'"'),
        _ => {}
    }
    request.extend_from_slice(b"\r\n\r\n");
    request
}

/// Sends these requests on a few connections, many at a time, and waits for all answers.
fn flood(address: &str, numbers: std::ops::Range<u32>) {
    let share = (numbers.end - numbers.start) / CONNECTIONS;
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|at| {
            let first = numbers.start + at * share;
            let stream = TcpStream::connect(address).expect("it listens");
            thread::spawn(move || converse(&stream, first..first + share))
        })
        .collect();
    for connection in connections {
        connection.join().expect("all were answered");
    }
}

fn converse(mut stream: &TcpStream, mut numbers: std::ops::Range<u32>) {
    let mut bytes = vec![0; 1 << 16];
    while !numbers.is_empty() {
        let burst: Vec<u8> = numbers.by_ref().take(BURST).flat_map(request).collect();
        let wanted = burst.windows(12).filter(|window| *window == b"x-request-id").count();
        let mut writing = stream.try_clone().expect("a socket");
        let written = thread::spawn(move || writing.write_all(&burst));
        let mut answered = 0;
        while answered < wanted {
            let count = stream.read(&mut bytes).expect("it answers");
            assert!(count > 0, "closed after {answered} of {wanted} answers");
            answered += bytes[..count].iter().filter(|byte| **byte == b'~').count();
        }
        written.join().expect("no panic").expect("sent");
    }
}

const CONNECTIONS: u32 = 4;
const BURST: usize = 500;
/// Seven new names each. A leak of 500 bytes a request would be seen.
const REQUESTS: u32 = 100_000;

#[test]
fn names_that_traffic_invents_make_no_series_and_take_no_memory() {
    let more = "access_log: {path: access.log}\n";
    let running = Running::run(&config(&format!("[\"http://{}\"]", worker()), more));
    flood(&running.listener, 0..4_000);
    let (series_before, memory_before) = (series(&running), resident_kib(&running));
    flood(&running.listener, 4_000..4_000 + REQUESTS);
    let (series_after, memory_after) = (series(&running), resident_kib(&running));
    assert_eq!(series_before, series_after, "{}", page(&running, "/metrics"));
    assert!(series_after < 10_000, "{series_after}");
    assert!(memory_after < memory_before + (50 << 10), "{memory_before} KiB grew to {memory_after} KiB");
    for target in ["/a\"b", "/a\\b", "/\u{e9}\u{2028}", "/%00%0a%22", "/a\u{1}b", "/a\u{7f}b"] {
        get(&running.listener, target);
    }
    assert_lines(&running);
}

/// Each line of the access log is one object with the fields of a line, and short; all of them are accounted for.
fn assert_lines(running: &Running) {
    let count =
        |outcome: &str| metric(running, &format!("ambidex_gateway_access_log_lines_total{{outcome=\"{outcome}\"}}"));
    let sent = u64::from(REQUESTS) + 4_000;
    until(|| (count("written") + count("dropped") >= sent).then_some(()));
    let text = fs::read_to_string(running.folder.path().join("access.log")).expect("UTF-8");
    assert!(text.lines().count() as u64 + count("dropped") >= sent);
    let mut hostile = 0;
    for (at, line) in text.lines().enumerate() {
        assert!(line.len() < 8_192, "{line}");
        let odd = line.contains('\\') || !line.is_ascii();
        if at % 10 > 0 && !odd {
            continue;
        }
        let said: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        hostile += u32::from(odd);
        assert!(said["status"] == 200 || said["status"] == 400, "{line}");
        assert!(said["path"].as_str().is_none_or(|path| !path.contains('?')), "{line}");
    }
    assert!(hostile > REQUESTS / 100, "{hostile}");
}

#[test]
fn workers_that_come_and_go_leave_neither_series_nor_memory_behind() {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("workers.yaml");
    // Names are identities: others at one address are other workers.
    let address = worker();
    let generation = |number: u32| {
        let one = |at: u32| format!("- {{url: \"http://{address}\", name: g{number}-{at}}}\n");
        (1..=20).map(one).collect::<String>()
    };
    fs::write(&file, generation(0)).expect("written");
    fs::write(folder.path().join("gw.yaml"), config("[\"file:workers.yaml\"]", "")).expect("written");
    let whole = folder.path().join("gw.yaml").to_str().expect("UTF-8").to_owned();
    let running = Running::start(folder, &["run", &whole]);
    until(|| page(&running, "/readyz").starts_with("HTTP/1.1 200").then_some(()));
    let load = trickle(&running);
    let shown = |name: &str| page(&running, "/metrics").contains(name);
    let came = |number: u32| {
        until(|| (shown(&format!("\"g{number}-1\"")) && !shown(&format!("\"g{}-", number - 1))).then_some(()))
    };
    for number in 1..=20 {
        fs::write(&file, generation(number)).expect("written");
        if number % 5 == 0 {
            came(number);
        }
    }
    served_on(&load, 20);
    let (series_before, memory_before) = (series(&running), resident_kib(&running));
    for number in 21..=200 {
        fs::write(&file, generation(number)).expect("written");
        if number % 5 == 0 {
            came(number);
        }
    }
    served_on(&load, 20);
    let names = page(&running, "/metrics");
    let old = |number: u32| names.contains(&format!("\"g{number}-"));
    assert!(!(0..200).any(old) && old(200), "{names}");
    let memory_after = resident_kib(&running);
    assert_eq!(series(&running), series_before);
    assert!(memory_after < memory_before + (50 << 10), "{memory_before} KiB grew to {memory_after} KiB");
    assert_eq!(load.stop().failures.total(), 0);
}
