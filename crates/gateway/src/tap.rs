//! Taps: who reads along while an answer goes to its client: the cache, deduplication, snapshots, digests.
//!
//! An answer that is tapped is not moved from socket to socket, because nobody would see it then. A tap never holds the
//! answer up: what it does not want to keep it forgets.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use crate::stored::Stored;

/// Reads an answer's body along.
pub(crate) trait Tap {
    /// More of the body.
    fn data(&mut self, data: &Bytes);

    /// Its trailers, cleaned. Comes after the last data.
    fn trailers(&mut self, trailers: &HeaderMap) {
        let _ = trailers;
    }

    /// The answer is over: `whole`, or broken off by either side.
    fn ended(self: Box<Self>, whole: bool);
}

/// Two taps on one answer.
pub(crate) struct Both(pub(crate) Box<dyn Tap>, pub(crate) Box<dyn Tap>);

impl Tap for Both {
    fn data(&mut self, data: &Bytes) {
        self.0.data(data);
        self.1.data(data);
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        self.0.trailers(trailers);
        self.1.trailers(trailers);
    }

    fn ended(self: Box<Self>, whole: bool) {
        self.0.ended(whole);
        self.1.ended(whole);
    }
}

/// Keeps an answer of at most so many bytes, and hands it over when it is over; `None` when it was longer, had
/// trailers, or broke off.
pub(crate) struct Keep<F: FnOnce(Option<Stored>)> {
    stored: Option<Stored>,
    body: BytesMut,
    most: usize,
    then: F,
}

impl<F: FnOnce(Option<Stored>)> Keep<F> {
    /// Keeps the answer whose head is `stored`, with a body of at most `most` bytes.
    pub(crate) fn new(stored: Stored, most: usize, then: F) -> Self {
        Self { stored: Some(stored), body: BytesMut::new(), most, then }
    }
}

impl<F: FnOnce(Option<Stored>)> Tap for Keep<F> {
    fn data(&mut self, data: &Bytes) {
        if self.body.len() + data.len() > self.most {
            (self.stored, self.body) = (None, BytesMut::new());
        }
        if self.stored.is_some() {
            self.body.extend_from_slice(data);
        }
    }

    fn trailers(&mut self, _: &HeaderMap) {
        self.stored = None;
    }

    fn ended(self: Box<Self>, whole: bool) {
        let Self { stored, body, then, .. } = *self;
        then(stored.filter(|_| whole).map(|stored| stored.with_body(body.freeze())));
    }
}
