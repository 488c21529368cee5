//! What is to be written of a message: head and framing as text, small data among it, and large data as it came.
//!
//! A small message goes out by one `write`. Data over [`SMALL`] is not copied: it goes out between text before and after
//! it by one `writev`, which costs more in the kernel than a `write` of a few hundred bytes, and less than copying more.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ambidex_http1::{BodyEncoder, Mismatch, Name, Value};
use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use tokio::io::AsyncWrite;

/// Text, then data, then what closes its chunk.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    pub(crate) text: Vec<u8>,
    written: usize,
    /// Bytes written since the beginning.
    total: u64,
    data: Bytes,
    tail: &'static [u8],
}

impl Pieces {
    /// Nothing yet, with an empty text to write in.
    pub(crate) fn with(text: Vec<u8>) -> Self {
        Self { text, ..Self::default() }
    }

    /// The text, to be used again; only when nothing is left to write.
    pub(crate) fn take_text(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text)
    }

    /// Nothing is left to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.written == self.text.len() && self.data.is_empty() && self.tail.is_empty()
    }

    /// No more should be added before some of it is written.
    pub(crate) fn is_full(&self) -> bool {
        !self.data.is_empty() || !self.tail.is_empty() || self.text.len() - self.written >= MOST_TEXT
    }

    /// Adds data of a body; not to be called when [`is_full`](Self::is_full).
    pub(crate) fn data(&mut self, encoder: &mut BodyEncoder, data: Bytes) -> Result<(), Mismatch> {
        let (prefix, suffix) = encoder.data(data.len())?;
        self.text.extend_from_slice(prefix.as_bytes());
        if data.len() <= SMALL {
            self.text.extend_from_slice(&data);
            self.text.extend_from_slice(suffix);
        } else {
            (self.data, self.tail) = (data, suffix);
        }
        Ok(())
    }

    /// Adds the end of a body, with its trailers where they can be said.
    pub(crate) fn end(&mut self, encoder: &BodyEncoder, trailers: Option<&HeaderMap>) -> Result<(), Mismatch> {
        debug_assert!(!self.is_full(), "the end would come before data");
        // Where no chunks are, trailers are dropped (RFC 9112, 7.1.2).
        let Some(trailers) = trailers.filter(|_| encoder.takes_trailers()) else {
            self.text.extend_from_slice(encoder.end()?);
            return Ok(());
        };
        let fields: Vec<_> = trailers
            .iter()
            .filter_map(|(name, value)| {
                Some((Name::checked(name.as_str().as_bytes())?, Value::checked(value.as_bytes())?))
            })
            .collect();
        encoder.end_with(fields.into_iter(), &mut self.text)
    }

    /// Writes until nothing is left.
    pub(crate) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            let count = ready!(self.write(cx, Pin::new(io)))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.wrote(count);
        }
        Poll::Ready(Ok(()))
    }

    fn write<W: AsyncWrite>(&self, cx: &mut Context<'_>, io: Pin<&mut W>) -> Poll<io::Result<usize>> {
        let text = &self.text[self.written..];
        if self.data.is_empty() && self.tail.is_empty() {
            return io.poll_write(cx, text);
        }
        if text.is_empty() && self.tail.is_empty() {
            return io.poll_write(cx, &self.data);
        }
        io.poll_write_vectored(cx, &[IoSlice::new(text), IoSlice::new(&self.data), IoSlice::new(self.tail)])
    }

    fn wrote(&mut self, mut count: usize) {
        self.total += count as u64;
        let text = count.min(self.text.len() - self.written);
        self.written += text;
        count -= text;
        let data = count.min(self.data.len());
        self.data.advance(data);
        self.tail = &self.tail[(count - data).min(self.tail.len())..];
        if self.written == self.text.len() {
            self.text.clear();
            self.written = 0;
        }
        if self.data.is_empty() {
            self.data = Bytes::new();
        }
    }

    /// Whether anything was ever written.
    pub(crate) fn has_begun(&self) -> bool {
        self.total > 0
    }
}

/// Data up to this size is copied. Source: measured, see the module's first lines; a page.
const SMALL: usize = 4 << 10;
/// Text that is gathered at most. Source: HAProxy's buffer.
const MOST_TEXT: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use ambidex_http1::Framing;

    use super::*;

    /// Takes a few bytes at a time.
    struct Slow(Vec<u8>, usize);

    impl AsyncWrite for Slow {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
            let count = buf.len().min(self.1);
            self.0.extend_from_slice(&buf[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.to_vec()).collect();
            let count = all.len().min(self.1);
            self.0.extend_from_slice(&all[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn small_and_large_data_comes_out_in_order_whatever_is_taken_at_a_time() {
        for step in [1, 7, 5_000, 100_000] {
            let (mut pieces, mut io) = (Pieces::default(), Slow(Vec::new(), step));
            let mut cx = Context::from_waker(Waker::noop());
            let mut encoder = BodyEncoder::new(Framing::Chunked);
            pieces.text.extend_from_slice(b"head ");
            for size in [3, 9_000, 1] {
                pieces.data(&mut encoder, Bytes::from(vec![b'x'; size])).expect("fits");
                assert!(pieces.poll_flush(&mut cx, &mut io).is_ready());
            }
            pieces.end(&encoder, None).expect("may end");
            assert!(pieces.poll_flush(&mut cx, &mut io).is_ready());
            let expected = format!("head 3\r\nxxx\r\n2328\r\n{}\r\n1\r\nx\r\n0\r\n\r\n", "x".repeat(9_000));
            assert!(io.0 == expected.as_bytes() && pieces.is_empty(), "{step} bytes at a time");
        }
    }
}
