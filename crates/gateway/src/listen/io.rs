//! What a connection is read from and written to: TCP or a Unix socket, bare or under TLS, as one type.
//!
//! One type, because everything above it is generic code of hyper's: a type per kind would compile all of it four times.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use ambidex_tower::Clock;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::Open;
use super::frames::Frames;

/// An accepted socket.
#[derive(Debug)]
pub(crate) enum Socket {
    /// TCP.
    Tcp(TcpStream),
    /// Unix.
    Unix(UnixStream),
}

/// A connection, ready for HTTP.
#[derive(Debug)]
pub(crate) struct Io {
    stream: Stream,
    watched: Option<Box<Watched>>,
}

/// What is under HTTP.
#[derive(Debug)]
enum Stream {
    /// The socket, as it came.
    Plain(Socket),
    /// TLS.
    Tls(Box<TlsStream<Socket>>),
}

/// What it takes to cut a flood.
#[derive(Debug)]
struct Watched {
    frames: Frames,
    clock: Clock,
    open: Arc<Open>,
}

impl Io {
    /// A connection without TLS; its first bytes tell which HTTP it speaks.
    pub(crate) fn plain(socket: Socket, clock: Clock, open: Arc<Open>) -> Self {
        let watched = Watched { frames: Frames::new(clock.now(), false), clock, open };
        Self { stream: Stream::Plain(socket), watched: Some(Box::new(watched)) }
    }

    /// A connection under TLS that has agreed on HTTP/2 or not.
    pub(crate) fn tls(stream: TlsStream<Socket>, http2: bool, clock: Clock, open: Arc<Open>) -> Self {
        let watched = || Box::new(Watched { frames: Frames::new(clock.now(), true), clock, open });
        Self { stream: Stream::Tls(Box::new(stream)), watched: http2.then(watched) }
    }
}

impl Io {
    /// The socket, if it is one of TCP, without TLS.
    pub(crate) fn tcp(&self) -> Option<&TcpStream> {
        match &self.stream {
            Stream::Plain(Socket::Tcp(socket)) => Some(socket),
            Stream::Plain(Socket::Unix(_)) | Stream::Tls(_) => None,
        }
    }

    /// Makes the end of the connection a reset: an answer that broke off must not look complete to a client that takes
    /// the connection's end for the answer's.
    pub(crate) fn abort(&self) {
        let socket = match &self.stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => stream.get_ref().0,
        };
        if let Socket::Tcp(socket) = socket {
            // A socket that cannot be reset is closed.
            let _ = socket2::SockRef::from(socket).set_linger(Some(std::time::Duration::ZERO));
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        if let (Some(watched), Poll::Ready(Ok(()))) = (&mut this.watched, &read) {
            let Watched { frames, clock, open } = &mut **watched;
            if let Err(flood) = frames.see(|| clock.now(), &buf.filled()[before..]) {
                open.counters.flood.fetch_add(1, Relaxed);
                return Poll::Ready(Err(io::Error::other(flood)));
            }
            if frames.idle() {
                this.watched = None;
            }
        }
        read
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl Socket {
    /// Whether there is something to read, or the other side has closed.
    pub(crate) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(socket) => socket.poll_read_ready(cx),
            Self::Unix(socket) => socket.poll_read_ready(cx),
        }
    }
}

/// Hands every call to the one inside.
macro_rules! each {
    ($type:ty, $($variant:ident),+) => {
        impl AsyncRead for $type {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(io) => Pin::new(io).poll_read(cx, buf)),+ }
            }
        }

        impl AsyncWrite for $type {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                match self.get_mut() { $(Self::$variant(io) => Pin::new(io).poll_write(cx, buf)),+ }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() { $(Self::$variant(io) => Pin::new(io).poll_write_vectored(cx, bufs)),+ }
            }

            fn is_write_vectored(&self) -> bool {
                match self { $(Self::$variant(io) => io.is_write_vectored()),+ }
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(io) => Pin::new(io).poll_flush(cx)),+ }
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $(Self::$variant(io) => Pin::new(io).poll_shutdown(cx)),+ }
            }
        }
    };
}

each!(Socket, Tcp, Unix);
each!(Stream, Plain, Tls);
