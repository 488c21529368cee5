//! A connection to a worker, whatever carries it.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

/// Bytes to and from a worker.
#[derive(Debug)]
pub(crate) enum Wire {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<Plain>>),
}

/// What TLS runs over.
#[derive(Debug)]
pub(crate) enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Calls a method of whichever stream is inside.
macro_rules! each {
    ($self:ident, $kinds:ident { $($kind:ident),+ }, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            $($kinds::$kind($stream) => { let $stream = Pin::new($stream); $call })+
        }
    };
}

macro_rules! stream {
    ($kinds:ident { $($kind:ident),+ }) => {
        impl AsyncRead for $kinds {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                each!(self, $kinds { $($kind),+ }, stream => stream.poll_read(cx, buf))
            }
        }

        impl AsyncWrite for $kinds {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                each!(self, $kinds { $($kind),+ }, stream => stream.poll_write(cx, buf))
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                each!(self, $kinds { $($kind),+ }, stream => stream.poll_write_vectored(cx, bufs))
            }

            fn is_write_vectored(&self) -> bool {
                match self {
                    $($kinds::$kind(stream) => stream.is_write_vectored(),)+
                }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                each!(self, $kinds { $($kind),+ }, stream => stream.poll_flush(cx))
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                each!(self, $kinds { $($kind),+ }, stream => stream.poll_shutdown(cx))
            }
        }
    };
}

stream!(Wire { Tcp, Unix, Tls });
stream!(Plain { Tcp, Unix });

impl From<Plain> for Wire {
    fn from(plain: Plain) -> Self {
        match plain {
            Plain::Tcp(stream) => Self::Tcp(stream),
            Plain::Unix(stream) => Self::Unix(stream),
        }
    }
}

/// A connection of HTTP/1 that reads no more than it is allowed: heads are bounded by hyper, but not how many of them
/// (`102 Processing` without end) come before the one that counts.
#[derive(Debug)]
pub(crate) struct Metered {
    wire: Wire,
    allowance: Allowance,
}

/// How many bytes may be read; shared with whoever waits for them.
#[derive(Clone, Debug)]
pub(crate) struct Allowance(Rc<Cell<u64>>);

impl Allowance {
    /// Sets it.
    pub(crate) fn set(&self, bytes: u64) {
        self.0.set(bytes);
    }

    /// What is left of it.
    pub(crate) fn left(&self) -> u64 {
        self.0.get()
    }
}

impl Metered {
    /// Unbounded at first.
    pub(crate) fn new(wire: Wire) -> (Self, Allowance) {
        let allowance = Allowance(Rc::new(Cell::new(u64::MAX)));
        (Self { wire, allowance: allowance.clone() }, allowance)
    }

    /// The bare connection.
    pub(crate) fn into_wire(self) -> Wire {
        self.wire
    }
}

impl AsyncRead for Metered {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let left = this.allowance.0.get();
        if left == 0 {
            return Poll::Ready(Err(io::Error::other("more bytes than any answer's head has")));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut this.wire).poll_read(cx, buf);
        this.allowance.0.set(left.saturating_sub((buf.filled().len() - before) as u64));
        read
    }
}

impl AsyncWrite for Metered {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().wire).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        crate::gather::write(Pin::new(&mut self.get_mut().wire), cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.wire.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(cx)
    }
}
