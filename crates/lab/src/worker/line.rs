//! A worker's end of a connection, which can break in the ways that a dying process or a bad path make it break.
//!
//! A reset is a socket closed with its linger time at zero: the client reads ECONNRESET, not a quiet end.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Why a connection ends, for hyper to pass on: it was told to.
#[derive(Debug, thiserror::Error)]
#[error("reset, as told")]
pub(super) struct Broken;

/// Whether a connection is to be reset when it is dropped.
pub(super) type Reset = Rc<Cell<bool>>;

/// A connection that is reset at its end if so told.
pub(super) struct Line {
    stream: TcpStream,
    reset: Reset,
}

impl Line {
    pub(super) fn new(stream: TcpStream, reset: Reset) -> Self {
        Self { stream, reset }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.reset.get() {
            // Where the system refuses, the end is a quiet one.
            drop(self.stream.set_zero_linger());
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Line {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let line = self.get_mut();
        if line.reset.get() {
            // An end announced first would be a quiet one.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut line.stream).poll_shutdown(cx)
    }
}

/// An answer's body: whole, or broken off in the middle.
pub(super) enum Answer {
    Whole(Full<Bytes>),
    BrokenOff { body: Bytes, sent: Sent, reset: Reset },
}

/// How far a body that breaks off is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Nothing,
    Half,
    /// hyper has had its turn to write what it was given.
    HalfAndWritten,
}

impl Answer {
    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }

    /// Half of `body`, and then nothing but a reset.
    pub(super) fn broken_off(body: Bytes, reset: Reset) -> Self {
        Self::BrokenOff { body, sent: Sent::Nothing, reset }
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole).poll_frame(cx).map_err(|never| match never {}),
            Self::BrokenOff { body, sent, reset } => match sent {
                Sent::Nothing => {
                    *sent = Sent::Half;
                    Poll::Ready(Some(Ok(Frame::data(body.slice(..body.len() / 2)))))
                }
                Sent::Half => {
                    *sent = Sent::HalfAndWritten;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Sent::HalfAndWritten => {
                    reset.set(true);
                    Poll::Ready(Some(Err(Broken)))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::BrokenOff { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::BrokenOff { body, .. } => SizeHint::with_exact(body.len() as u64),
        }
    }
}
