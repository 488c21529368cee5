//! A connection to a worker, whatever carries it.

use std::io;
use std::pin::Pin;
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

impl Wire {
    /// The socket, if it is one of TCP, without TLS.
    pub(crate) fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(stream) => Some(stream),
            Self::Unix(_) | Self::Tls(_) => None,
        }
    }
}

impl From<Plain> for Wire {
    fn from(plain: Plain) -> Self {
        match plain {
            Plain::Tcp(stream) => Self::Tcp(stream),
            Plain::Unix(stream) => Self::Unix(stream),
        }
    }
}
