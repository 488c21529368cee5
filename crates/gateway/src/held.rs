//! Bodies of requests that are read before they are sent: for another try, or for a digest.
//!
//! Only a body that was held whole can be sent again, so a route with second chances holds those whose announced length is
//! within its bound, before the first try. One of unknown length may be half of a conversation: its worker must see it as
//! it comes.

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
