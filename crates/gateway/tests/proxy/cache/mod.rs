//! The response cache over real sockets: what is answered from it, what goes into it, and what never may.

mod collapsing;
mod keeping;
mod safety;
mod shared;
mod stale;
mod versions;
mod writes;

use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use serde_json::{Value, json};

use crate::common::{Setup, Wanted, exactly, head, worker};

/// A worker that answers by a script, and counts what it was asked.
pub(crate) struct Scripted {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Scripted {
    /// `answer` gets the number of the request, from 0, and its head with the body.
    pub(crate) fn new(answer: impl Fn(usize, &str) -> String + Send + Sync + 'static) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        let address = worker(move |_, mut stream| {
            loop {
                let mut request = head(&mut stream);
                if request.is_empty() {
                    return;
                }
                let length = field(&request, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
                request.push_str(&exactly(&mut stream, length));
                let answer = answer(counted.fetch_add(1, SeqCst), &request);
                // An empty answer is a connection that ends.
                if answer.is_empty() || stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        });
        Self { address, asked }
    }

    /// One that answers each request with these lines and its number.
    pub(crate) fn numbering(lines: &'static str) -> Self {
        Self::new(move |number, _| answer(lines, &format!("answer {number}")))
    }

    /// How many requests came.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    /// A gateway before it, whose route has this cache.
    pub(crate) fn behind(&self, cache: Value) -> Setup {
        self.wanted(cache).start()
    }

    pub(crate) fn wanted(&self, cache: Value) -> Wanted {
        Wanted::before(&[self.address]).route(json!({"cache": cache, "retries": 0}))
    }
}

/// An answer with these lines.
pub(crate) fn answer(lines: &str, body: &str) -> String {
    let lines = if lines.is_empty() { String::new() } else { format!("{lines}\r\n") };
    format!("HTTP/1.1 200 OK\r\n{lines}content-length: {}\r\n\r\n{body}", body.len())
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn status(&self) -> &str {
        &self.head[9..12]
    }

    /// What `Cache-Status` says.
    pub(crate) fn cache(&self) -> &str {
        field(&self.head, "cache-status").unwrap_or("")
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }
}

/// The value of the first field of a name.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Asks on a connection that stays open.
pub(crate) fn ask_on(stream: &mut TcpStream, method: &str, path: &str, lines: &str) -> Got {
    let lines = if lines.is_empty() { String::new() } else { format!("{lines}\r\n") };
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: a.example\r\n{lines}\r\n").expect("sent");
    let head = head(stream);
    let bare = method == "HEAD" || [" 204 ", " 304 "].iter().any(|status| head[..14].contains(status));
    let length = field(&head, "content-length").filter(|_| !bare).and_then(|length| length.parse().ok()).unwrap_or(0);
    let body = exactly(stream, length);
    Got { head, body }
}

impl Setup {
    /// Asks with GET.
    pub(crate) fn get(&self, path: &str, lines: &str) -> Got {
        ask_on(&mut self.connect(), "GET", path, lines)
    }

    pub(crate) fn by(&self, method: &str, path: &str, lines: &str) -> Got {
        ask_on(&mut self.connect(), method, path, lines)
    }
}

/// A cache with everything by default.
pub(crate) fn on() -> Value {
    json!({})
}
