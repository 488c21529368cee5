//! One keep-alive connection of HTTP/1: writes a request's bytes, reads an answer to its end.
//!
//! Its own reader instead of a general client, because the generator shares the machine with what it measures: it
//! needs the status, the length, `x-worker` and `connection`, and copies nothing but that.

use std::io;
use std::net::SocketAddr;

use ambidex_core::time::Span;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::record::{Answer, Failure};

/// A connection that is made when needed and made anew when lost.
pub(super) struct Line {
    target: SocketAddr,
    requests_per_connection: u32,
    stream: Option<TcpStream>,
    asked: u32,
    /// What has been read and not yet used.
    buffer: Vec<u8>,
    used: usize,
}

impl Line {
    pub(super) fn new(target: SocketAddr, requests_per_connection: u32) -> Self {
        Self { target, requests_per_connection, stream: None, asked: 0, buffer: Vec::with_capacity(16 << 10), used: 0 }
    }

    /// Sends one request and reads its answer. The first value says whether the other side had closed the idle
    /// connection without announcing it; then a new one is made and the request is not lost.
    pub(super) async fn ask(&mut self, request: &[u8], timeout: Span) -> (bool, Answer) {
        let closed_idle = self.drop_if_closed();
        let answer = match tokio::time::timeout(timeout.into(), self.exchange(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(failure)) => Answer::failed(failure),
            Err(_) => Answer::failed(Failure::Timeout),
        };
        self.asked += 1;
        let used_up = self.requests_per_connection > 0 && self.asked >= self.requests_per_connection;
        if answer.closes || used_up {
            self.stream = None;
        }
        (closed_idle, answer)
    }

    fn drop_if_closed(&mut self) -> bool {
        let Some(stream) = &self.stream else { return false };
        let idle = matches!(stream.try_read(&mut [0; 1]), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        if !idle {
            self.stream = None;
        }
        !idle
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Answer, Failure> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            empty => {
                let stream = TcpStream::connect(self.target).await.map_err(|_| Failure::Connect)?;
                drop(stream.set_nodelay(true));
                self.asked = 0;
                empty.insert(stream)
            }
        };
        stream.write_all(request).await.map_err(|_| Failure::Reset)?;
        self.buffer.clear();
        self.used = 0;
        let head = self.head().await?;
        self.body(head.length).await.map_err(in_the_middle)?;
        // Bytes after the answer belong to no request of ours.
        let closes = head.closes || self.used != self.buffer.len();
        Ok(Answer { status: Some(head.status), failure: None, worker: head.worker, closes })
    }

    async fn body(&mut self, length: Length) -> Result<(), Failure> {
        match length {
            Length::Known(length) => self.skip(length).await,
            Length::Chunked => self.skip_chunks().await,
            Length::UntilClosed => {
                while self.fill().await? > 0 {}
                Ok(())
            }
        }
    }

    async fn head(&mut self) -> Result<Head, Failure> {
        let mut searched = 0_usize;
        loop {
            let from = searched.saturating_sub(3);
            if let Some(end) = find(&self.buffer[from..], b"\r\n\r\n").map(|at| from + at) {
                self.used = end + 4;
                let head = Head::parse(&self.buffer[..end]).ok_or(Failure::Garbled)?;
                if head.status >= 200 {
                    return Ok(head);
                }
                self.buffer.drain(..self.used);
                self.used = 0;
            }
            searched = self.buffer.len();
            if self.buffer.len() > MOST_HEAD {
                return Err(Failure::Garbled);
            }
            if self.fill().await? == 0 {
                return Err(Failure::Reset);
            }
        }
    }

    /// Reads more; 0 is the end of the stream.
    async fn fill(&mut self) -> Result<usize, Failure> {
        if self.used == self.buffer.len() {
            self.buffer.clear();
            self.used = 0;
        }
        let stream = self.stream.as_mut().ok_or(Failure::Reset)?;
        stream.read_buf(&mut self.buffer).await.map_err(|_| Failure::Reset)
    }

    async fn skip(&mut self, mut length: u64) -> Result<(), Failure> {
        loop {
            let here = (self.buffer.len() - self.used) as u64;
            let taken = here.min(length);
            self.used += usize::try_from(taken).unwrap_or(0);
            length -= taken;
            if length == 0 {
                return Ok(());
            }
            if self.fill().await? == 0 {
                return Err(Failure::Truncated);
            }
        }
    }

    async fn skip_chunks(&mut self) -> Result<(), Failure> {
        loop {
            let line = self.line().await?;
            let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
            let text = std::str::from_utf8(digits).map_err(|_| Failure::Garbled)?;
            let length = u64::from_str_radix(text.trim(), 16).map_err(|_| Failure::Garbled)?;
            if length == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(());
            }
            self.skip(length.saturating_add(2)).await?;
        }
    }

    async fn line(&mut self) -> Result<Vec<u8>, Failure> {
        loop {
            if let Some(end) = find(&self.buffer[self.used..], b"\r\n") {
                let line = self.buffer[self.used..self.used + end].to_vec();
                self.used += end + 2;
                return Ok(line);
            }
            if self.buffer.len() - self.used > MOST_HEAD {
                return Err(Failure::Garbled);
            }
            if self.fill().await? == 0 {
                return Err(Failure::Truncated);
            }
        }
    }
}

/// A connection that breaks after the head breaks in the middle of the answer.
fn in_the_middle(failure: Failure) -> Failure {
    match failure {
        Failure::Reset => Failure::Truncated,
        Failure::Connect | Failure::Truncated | Failure::Garbled | Failure::Timeout => failure,
    }
}

/// What an answer's head says that the generator needs.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    length: Length,
    closes: bool,
    worker: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Known(u64),
    Chunked,
    UntilClosed,
}

impl Head {
    /// Reads a head without its empty line.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.split("\r\n");
        let (version, rest) = lines.next()?.split_once(' ')?;
        let status: u16 = rest.get(..3)?.parse().ok()?;
        let bodiless = status < 200 || status == 204 || status == 304;
        let length = if bodiless { Length::Known(0) } else { Length::UntilClosed };
        let mut head = Self { status, length, closes: version == "HTTP/1.0", worker: None };
        for line in lines {
            let (name, value) = line.split_once(':')?;
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") && !bodiless {
                head.length = Length::Known(value.parse().ok()?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                head.length = Length::Chunked;
            } else if name.eq_ignore_ascii_case("connection") {
                head.closes = value.eq_ignore_ascii_case("close");
            } else if name.eq_ignore_ascii_case("x-worker") {
                head.worker = Some(value.to_owned());
            }
        }
        head.closes |= head.length == Length::UntilClosed;
        Some(head)
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// The longest head or chunk line that an answer may have.
const MOST_HEAD: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_says_how_its_answer_ends() {
        let parse = |text: &str| Head::parse(text.as_bytes()).map(|head| (head.length, head.closes));
        assert_eq!(parse("HTTP/1.1 200 OK\r\nContent-Length: 7"), Some((Length::Known(7), false)));
        assert_eq!(parse("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked"), Some((Length::Chunked, false)));
        assert_eq!(parse("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1"), Some((Length::Known(1), true)));
        assert_eq!(parse("HTTP/1.1 200 OK"), Some((Length::UntilClosed, true)));
        assert_eq!(parse("HTTP/1.1 204 No Content"), Some((Length::Known(0), false)));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for text in ["", "HTTP/1.1", "HTTP/1.1 2", "HTTP/1.1 abc", "HTTP/1.1 200 OK\r\ncontent-length: x"] {
            assert_eq!(Head::parse(text.as_bytes()), None, "{text}");
        }
    }
}
