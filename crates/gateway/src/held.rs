//! Bodies of requests in memory: for another try, or for a digest.
//!
//! Only a body that was held whole can be sent again, so a route with second chances holds those whose announced length is
//! within its bound, before the first try. One of unknown length may be half of a conversation: its worker must see it as
//! it comes, so it is kept while it is sent. What came is let go as soon as it is more than the bound.
//!
//! ```text
//! client ── frame ──> worker             sent at once, as without this
//!              └────> Keeping ── the end came, within the bound ──> Held: may be sent again
//!                           └─── beyond the bound ──> nothing: sent once
//! ```

use std::cell::{OnceCell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body as _;

use crate::body::{RequestBody, RequestBodyError};

/// A body in memory, whole. Clones share its bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) data: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl RequestBody {
    /// Reads the body to its end, if that comes within `most` bytes. Else `None`, and the body is as if nothing had been
    /// taken from it.
    ///
    /// # Errors
    /// Why it could not be read.
    pub(crate) async fn hold(&mut self, most: usize) -> Result<Option<Held>, RequestBodyError> {
        let (mut data, mut trailers) = (BytesMut::new(), None);
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await.transpose()? {
            match frame.into_data() {
                Ok(more) => data.extend_from_slice(&more),
                Err(frame) => trailers = frame.into_trailers().ok(),
            }
            if data.len() > most {
                self.put_back(data.freeze());
                return Ok(None);
            }
        }
        Ok(Some(Held { data: data.freeze(), trailers }))
    }
}

/// A body that is kept while it is sent.
#[derive(Debug)]
pub(crate) struct Keeping {
    most: usize,
    /// What came so far; nothing once that was too much.
    came: RefCell<Option<BytesMut>>,
    whole: OnceCell<Held>,
}

impl Keeping {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, came: RefCell::new(Some(BytesMut::new())), whole: OnceCell::new() }
    }

    /// More of the body came.
    pub(crate) fn data(&self, data: &[u8]) {
        let mut came = self.came.borrow_mut();
        let fits = came.as_ref().is_some_and(|came| came.len() + data.len() <= self.most);
        match &mut *came {
            // Copied: a piece of a buffer would keep all of that buffer.
            Some(came) if fits => came.extend_from_slice(data),
            Some(_) | None => *came = None,
        }
    }

    /// The body has ended.
    pub(crate) fn end(&self, trailers: Option<&HeaderMap>) {
        if let Some(came) = self.came.take() {
            _ = self.whole.set(Held { data: came.freeze(), trailers: trailers.cloned() });
        }
    }

    /// All of it, once it has ended.
    pub(crate) fn whole(&self) -> Option<&Held> {
        self.whole.get()
    }

    /// Whether there was more than may be kept.
    pub(crate) fn is_beyond(&self) -> bool {
        self.whole.get().is_none() && self.came.borrow().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_within_the_bound_is_whole() {
        let keeping = Keeping::new(6);
        keeping.data(b"abc");
        keeping.data(b"def");
        assert!(keeping.whole().is_none() && !keeping.is_beyond());
        keeping.end(None);
        assert_eq!(&keeping.whole().expect("whole").data[..], b"abcdef");
    }

    #[test]
    fn what_is_beyond_the_bound_is_let_go_and_never_whole() {
        let keeping = Keeping::new(5);
        keeping.data(b"abc");
        keeping.data(b"def");
        assert!(keeping.is_beyond() && keeping.came.borrow().is_none());
        keeping.data(b"g");
        keeping.end(None);
        assert!(keeping.is_beyond() && keeping.whole().is_none());
    }
}
