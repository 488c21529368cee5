//! What is sent: the codec's corpus, what attackers are known to write, and mutations of both, the same at every run.

use std::path::Path;

use crate::mutation::mutated;

/// Mutations of each seed: about half a minute for all in a debug build on two cores.
const ROUNDS: u64 = 40;

/// What clients send.
pub(crate) fn requests() -> Vec<Vec<u8>> {
    let mut seeds = corpus("requests");
    seeds.extend(written_requests());
    let mut all = all(seeds);
    // What begins so is HTTP/2 on all three.
    all.retain(|case| !case.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM"));
    all
}

/// What workers send.
pub(crate) fn responses() -> Vec<Vec<u8>> {
    let mut seeds = corpus("responses");
    seeds.extend(written_responses());
    all(seeds)
}

fn all(seeds: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let rounds = rounds();
    let mut all = Vec::new();
    for (number, seed) in seeds.iter().enumerate() {
        let draw = |round: u64| (number as u64 + 1) << 32 | round;
        let times = |round: u64| 1 + usize::try_from(round % 3).unwrap_or(0);
        all.push(seed.clone());
        all.extend((1..=rounds).map(|round| mutated(seed, draw(round), times(round))));
    }
    all
}

#[expect(clippy::disallowed_methods, reason = "a longer run by hand")]
fn rounds() -> u64 {
    std::env::var("AMBIDEX_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS)
}

fn corpus(side: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../http1/fuzz/corpus").join(side);
    let entries = std::fs::read_dir(&folder).expect("the corpus is checked in");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("readable")).collect()
}

/// Every form of a length, a coding, a chunk, a line and a target that hops are known to differ on.
fn written_requests() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let post = |lines: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}").into_bytes();
    seeds.extend(LENGTHS.iter().map(|length| post(&format!("Content-Length:{length}\r\n"), "abc")));
    seeds.extend(CODINGS.iter().map(|lines| post(lines, "3\r\nabc\r\n0\r\n\r\n")));
    seeds.extend(CHUNKS.iter().map(|chunks| post("Transfer-Encoding: chunked\r\n", chunks)));
    seeds.extend(LINES.iter().map(|line| format!("GET / HTTP/1.1\r\nHost: a\r\n{line}\r\n").into_bytes()));
    seeds.extend(FIRST.iter().map(|line| format!("{line}\r\nHost: a\r\n\r\n").into_bytes()));
    seeds.extend(WHOLE.iter().map(|text| text.as_bytes().to_vec()));
    seeds
}

fn written_responses() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    let answer = |lines: &str, body: &str| format!("HTTP/1.1 200 OK\r\n{lines}\r\n{body}").into_bytes();
    seeds.extend(LENGTHS.iter().map(|length| answer(&format!("Content-Length:{length}\r\n"), "abc")));
    seeds.extend(CODINGS.iter().map(|lines| answer(lines, "3\r\nabc\r\n0\r\n\r\n")));
    seeds.extend(CHUNKS.iter().map(|chunks| answer("Transfer-Encoding: chunked\r\n", chunks)));
    seeds.extend(LINES.iter().map(|line| answer(&format!("{line}Content-Length: 3\r\n"), "abc")));
    seeds.push(answer("Content-Length:\t3\r\n", "a"));
    seeds.push(b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n".to_vec());
    seeds.extend(STATUS.iter().map(|line| format!("{line}\r\nContent-Length: 3\r\n\r\nabc").into_bytes()));
    seeds
}

const LENGTHS: [&str; 17] = [
    " 1844674407370955619",
    " +3",
    " -3",
    " 3,3",
    " 3, 4",
    " 03",
    " 0x3",
    " 3 ",
    "3",
    "\t3",
    " 3 3",
    " ",
    " 3.0",
    " 18446744073709551619",
    " 99999999999999999999999",
    " 3\r\nContent-Length: 3",
    " 3\r\nContent-Length: 4",
];

const CODINGS: [&str; 22] = [
    "Transfer-Encoding: chunked,\r\n",
    "Transfer-Encoding:\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "Content-Length: 18\r\nTransfer-Encoding: chunked\r\n",
    "Content-Length: 3\r\nTransfer-Encoding: identity\r\n",
    "Transfer-Encoding: xchunked\r\nContent-Length: 18\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n",
    "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: chunked, gzip\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: ,chunked\r\n",
    "Transfer-Encoding: CHUNKED\r\n",
    "Transfer-Encoding: \x0bchunked\r\n",
    "Transfer-Encoding:\tchunked\r\n",
    "Transfer-Encoding: chunked;x=y\r\n",
    "Transfer-Encoding: \"chunked\"\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding\t: chunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    "Transfer_Encoding: chunked\r\nContent-Length: 18\r\n",
];

const CHUNKS: [&str; 25] = [
    "3\r\nabc\r\n0\r\n folded\r\n\r\n",
    "3\r\nabc\r\n0\r\n\r\n",
    "03\r\nabc\r\n000\r\n\r\n",
    "+3\r\nabc\r\n0\r\n\r\n",
    "-3\r\nabc\r\n0\r\n\r\n",
    "0x3\r\nabc\r\n0\r\n\r\n",
    "3 \r\nabc\r\n0\r\n\r\n",
    " 3\r\nabc\r\n0\r\n\r\n",
    "3_\r\nabc\r\n0\r\n\r\n",
    "3;a\r\nabc\r\n0\r\n\r\n",
    "3;a=\"b\r\n\"\r\nabc\r\n0\r\n\r\n",
    "3;\r\nabc\r\n0\r\n\r\n",
    "3; a = b\r\nabc\r\n0\r\n\r\n",
    "3;a\nb\r\nabc\r\n0\r\n\r\n",
    "3\nabc\n0\n\n",
    "3\r\nabcX\r\n0\r\n\r\n",
    "3\r\nabc0\r\n\r\n",
    "3\r\nabc\n0\r\n\r\n",
    "10000000000000003\r\nabc\r\n0\r\n\r\n",
    "fffffffffffffffd\r\nabc\r\n0\r\n\r\n",
    "\r\nabc\r\n0\r\n\r\n",
    "3\r\nabc\r\n0\r\nX: y\r\n\r\n",
    "3\r\nabc\r\n0\r\nContent-Length: 5\r\n\r\n",
    "3\r\nabc\r\n0\r\nX : y\r\n\r\n",
    "3\r\nabc\r\n0\r\nbad\r\n\r\n",
];

const LINES: [&str; 24] = [
    "Connection:close0\r\n",
    "Expect: 100-continue\r\nExpect: 100-continue\r\n",
    "X: a\r\n b\r\n",
    "X: a\n",
    "X: a\rY: b\r\n",
    "X: a\0b\r\n",
    "X: a\x01b\r\n",
    "X: \u{e9}\r\n",
    "X : a\r\n",
    " X: a\r\n",
    ": a\r\n",
    "X\r\n",
    "X@: a\r\n",
    "X_Y: a\r\n",
    "X.Y: a\r\n",
    "\u{e9}: a\r\n",
    "X:\r\n",
    "X: a\r\nx: b\r\nX: a\r\n",
    "Host: b\r\n",
    "Host: a\r\n",
    "Connection: x, content-type\r\nX: a\r\nContent-Type: b\r\n",
    "Connection: close, a b\r\n",
    "Expect: 100-continue\r\n",
    "Expect: x\r\n",
];

const FIRST: [&str; 36] = [
    "OPTIONS http://a: HTTP/1.1",
    "GET a \tHTTP/1.1",
    "GET  / HTTP/1.1",
    "GET\t/ HTTP/1.1",
    "GET / HTTP/1.1 ",
    " GET / HTTP/1.1",
    "get / HTTP/1.1",
    "G@T / HTTP/1.1",
    "X-Y.Z!~ / HTTP/1.1",
    "TRACE / HTTP/1.1",
    "CONNECT a:80 HTTP/1.1",
    "CONNECT / HTTP/1.1",
    "OPTIONS * HTTP/1.1",
    "GET * HTTP/1.1",
    "GET a HTTP/1.1",
    "GET http://a/x HTTP/1.1",
    "GET HTTP://A/x HTTP/1.1",
    "GET http://b/x HTTP/1.1",
    "GET http://a:80/x HTTP/1.1",
    "GET http://u@a/x HTTP/1.1",
    "GET http://a?x HTTP/1.1",
    "GET ftp://a/ HTTP/1.1",
    "GET /a b HTTP/1.1",
    "GET /#x HTTP/1.1",
    "GET /\u{e9} HTTP/1.1",
    "GET /\0 HTTP/1.1",
    "GET /%00%c0%af/../%2e//?a=%zz HTTP/1.1",
    "GET /\"<>\\^`{|} HTTP/1.1",
    "GET / HTTP/1.0",
    "GET / HTTP/1.2",
    "GET / HTTP/2.0",
    "GET / HTTP/0.9",
    "GET / http/1.1",
    "GET / HTTP/1.01",
    "GET / HTTP/1",
    "GET /",
];

const WHOLE: [&str; 29] = [
    "POST /\" HTTP/1.1\r\nHost: a\r\nContent-Length: 1844674407370955619\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\t\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nHost: b\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nX@: b\r\nContent-Length: 100\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nX\r\nContent-Length: 100\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\nContent-Length: 100\r\n\r\nabc",
    "POST / HTTP/1.1\r\nHost: a\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabc",
    "TRACE / HTTP/1.1\nHost: a\r\n\r\n",
    "GET / HTTP/2.0\nHost: a\r\n\r\n",
    "GET  \r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX@: y\r\nY: a\rb\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\nX: G",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc",
];

const STATUS: [&str; 16] = [
    "HTTP/1.1 200",
    "HTTP/1.1 200 ",
    "HTTP/1.1  200 OK",
    "HTTP/1.1 20 OK",
    "HTTP/1.1 2000 OK",
    "HTTP/1.1 099 OK",
    "HTTP/1.1 600 OK",
    "HTTP/1.1 999 OK",
    "HTTP/1.0 200 OK",
    "HTTP/1.2 200 OK",
    "HTTP/2.0 200 OK",
    "http/1.1 200 OK",
    "HTTP/1.1 204 No",
    "HTTP/1.1 304 Not",
    "HTTP/1.1 205 Reset",
    "HTTP/1.1 200 O\rK",
];
