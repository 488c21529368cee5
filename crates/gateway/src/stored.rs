//! Answers kept in memory, whole: what a cache, a deduplication store, a snapshot or the configuration answers with.
//!
//! One is kept as a worker's would come: status line and the field lines that go on, then the body. So it is read by the
//! codec like any other, and goes to either HTTP, to HEAD and to `Range`-less clients, by the code that relays workers'
//! answers.

use ambidex_core::time::Mono;
use ambidex_http1::write::Edits;
use ambidex_http1::{Asked, Fields, HeadReader, ResponseHead};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::StatusCode;

use crate::head::OURS;
use crate::head::text::{line, start};
use crate::upstream::PROFILE;

/// An answer in memory.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// Status line and field lines, each with its line end; neither framing nor the empty line.
    head: Bytes,
    body: Bytes,
    /// When it was made, or heard.
    pub(crate) at: Mono,
}

impl Stored {
    /// What of a worker's answer goes on, without its body.
    pub(crate) fn of(head: &ResponseHead, at: Mono) -> Self {
        let edits = Edits { drop: OURS, ..Edits::default() };
        let mut text = start(head.status(), head.reason(), head.head().bytes().len());
        for (name, value) in head.head().kept(&edits) {
            line(&mut text, name, value.as_bytes());
        }
        Self { head: text.freeze(), body: Bytes::new(), at }
    }

    /// An answer of our own. Names and values are ours, and right.
    pub(crate) fn made(status: StatusCode, fields: &[(&str, &str)], body: Bytes, at: Mono) -> Self {
        let mut text = start(status, status.canonical_reason().unwrap_or("").as_bytes(), 64);
        for (name, value) in fields {
            line(&mut text, name, value.as_bytes());
        }
        Self { head: text.freeze(), body, at }
    }

    /// The same answer with this body.
    pub(crate) fn with_body(self, body: Bytes) -> Self {
        Self { body, ..self }
    }

    /// Status line and field lines.
    pub(crate) const fn head(&self) -> &Bytes {
        &self.head
    }

    /// The body.
    pub(crate) const fn body(&self) -> &Bytes {
        &self.body
    }

    /// Head and body as they were kept elsewhere. What is no head is found by [`read`](Self::read).
    pub(crate) const fn from_parts(head: Bytes, body: Bytes, at: Mono) -> Self {
        Self { head, body, at }
    }

    /// The head as an answer to what was `asked`; `None` if it is none.
    pub(crate) fn read(&self, asked: Asked) -> Option<ResponseHead> {
        let length = self.body.len().to_string();
        let mut text = BytesMut::with_capacity(self.head.len() + length.len() + 20);
        text.put_slice(&self.head);
        if !is_bare(&self.head) {
            line(&mut text, b"content-length", length.as_bytes());
        }
        text.put_slice(b"\r\n");
        let asked = Asked { upgrade: false, connect: false, ..asked };
        HeadReader::default().response(&mut text, &mut Fields::default(), &PROFILE, asked).ok().flatten()
    }
}

/// 204 and 304 have no body, and of 204 no length may be said.
fn is_bare(head: &[u8]) -> bool {
    matches!(head.get(b"HTTP/1.1 ".len()..b"HTTP/1.1 204".len()), Some(b"204" | b"304"))
}

#[cfg(test)]
mod tests {
    use ambidex_http1::{Framing, Profile};

    use super::*;

    const GET: Asked = Asked { head: false, connect: false, upgrade: false };

    fn worker_says(text: &str, asked: Asked) -> ResponseHead {
        let mut text = BytesMut::from(text);
        let read = HeadReader::default().response(&mut text, &mut Fields::default(), &Profile::default(), asked);
        read.expect("a head").expect("whole")
    }

    #[test]
    fn what_belongs_to_a_connection_or_to_us_is_not_kept_and_the_rest_is() {
        let head = worker_says(
            "HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nConnection: x-hop\r\nX-Hop: 1\r\nServer-Load: in_flight=1\r\n\
             ETag: \"a\"\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n",
            GET,
        );
        let stored = Stored::of(&head, Mono::default()).with_body(Bytes::from_static(b"hello"));
        assert_eq!(stored.head(), "HTTP/1.1 200 Fine\r\nETag: \"a\"\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n");
        let read = stored.read(GET).expect("a head");
        assert_eq!((read.head().framing(), read.status()), (Framing::Length(5), StatusCode::OK));
    }

    #[test]
    fn an_answer_to_head_says_the_length_and_has_no_body() {
        let stored = Stored::made(StatusCode::OK, &[("content-type", "text/plain")], "abc".into(), Mono::default());
        let read = stored.read(Asked { head: true, ..GET }).expect("a head");
        assert_eq!((read.head().framing(), read.head().announced()), (Framing::None, Some(3)));
    }

    #[test]
    fn what_can_have_no_body_is_read_back() {
        for status in [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED] {
            let stored = Stored::made(status, &[], Bytes::new(), Mono::default());
            assert_eq!(stored.read(GET).expect("a head").head().framing(), Framing::None, "{status}");
        }
    }
}
