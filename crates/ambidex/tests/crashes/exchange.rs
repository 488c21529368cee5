//! One request over a connection of its own, with a bound on how long its answer is waited for.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What came back. Status 0: nothing, or no whole answer; nobody knows what became of it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// Sends a request; none if nobody took the connection, so that it was not run.
pub(crate) fn exchange(to: SocketAddr, request: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).expect("not zero");
    let mut answer = Vec::new();
    // What came before it broke is judged below.
    drop(stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_end(&mut answer)));
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let whole = length.and_then(|length| length.parse().ok()).is_none_or(|length: usize| body.len() == length);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).filter(|_| whole).unwrap_or(0);
    Some(Answer { status, body: body.to_owned(), head })
}

/// JSON of an admin API.
pub(crate) fn json(
    to: SocketAddr,
    method: &str,
    path: &str,
    token: &str,
    body: &str,
) -> Option<(u16, serde_json::Value)> {
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(to, &request)?;
    Some((answer.status, serde_json::from_str(&answer.body).unwrap_or_default()))
}

/// Longer than a gateway waits for a slice; a process that is stopped answers later, or never.
const PATIENCE: Duration = Duration::from_secs(5);
