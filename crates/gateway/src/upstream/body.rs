//! The body of a worker's answer, with the connection that it comes by.
//!
//! An HTTP/1 connection goes back to the pool when the body has ended; dropped before that, it is closed, because the
//! rest of an answer that nobody reads must never be taken for another one.

use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use ambidex_core::worker::WorkerId;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Way;
use super::h1::{self, H1};
use super::h2::Stream;
use crate::thread::Thread;

/// A streaming answer.
pub(crate) struct UpstreamBody {
    incoming: Incoming,
    from: From,
}

enum From {
    H1 {
        connection: Box<H1>,
        home: Home,
    },
    H2 {
        _stream: Stream,
    },
    /// The connection speaks another protocol now.
    Switched(Box<Switched>),
    /// It has ended, and the connection is where it belongs.
    Over,
    /// It broke off, and the connection is closed.
    Broken,
}

/// What is left of a connection, or of a stream of HTTP/2, that changed its protocol.
pub(crate) struct Switched {
    pub(crate) wire: Box<dyn Duplex>,
    /// Bytes of the new protocol that came with the head.
    pub(crate) first: Bytes,
    pub(super) _stream: Option<Stream>,
}

/// What can be read from and written to.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

/// Where an HTTP/1 connection goes when its exchange is over.
pub(crate) struct Home {
    pub(crate) thread: Rc<Thread>,
    pub(crate) way: Arc<Way>,
    pub(crate) worker: WorkerId,
}

impl UpstreamBody {
    pub(crate) fn h1(incoming: Incoming, connection: Box<H1>, home: Home) -> Self {
        let mut body = Self { incoming, from: From::H1 { connection, home } };
        if body.incoming.is_end_stream() {
            body.close();
        }
        body
    }

    pub(crate) fn h2(incoming: Incoming, stream: Stream) -> Self {
        Self { incoming, from: From::H2 { _stream: stream } }
    }

    pub(crate) fn switched(incoming: Incoming, switched: Switched) -> Self {
        Self { incoming, from: From::Switched(Box::new(switched)) }
    }

    /// The bare connection, if the worker changed the protocol.
    pub(crate) fn into_switched(self) -> Option<Switched> {
        match self.from {
            From::Switched(switched) => Some(*switched),
            From::H1 { .. } | From::H2 { .. } | From::Over | From::Broken => None,
        }
    }

    fn close(&mut self) {
        if let From::H1 { connection, home } = std::mem::replace(&mut self.from, From::Over) {
            let now = connection.used;
            home.thread.pool.keep(home.worker, connection, &home.way, now);
        }
    }
}

impl Body for UpstreamBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let incoming = Pin::new(&mut this.incoming);
        let frame = match &mut this.from {
            From::H1 { connection, .. } => h1::poll_body(connection, incoming, cx),
            From::H2 { .. } => incoming.poll_frame(cx),
            From::Switched(_) | From::Over | From::Broken => return Poll::Ready(None),
        };
        match &frame {
            Poll::Ready(Some(Ok(_))) if this.incoming.is_end_stream() => this.close(),
            Poll::Ready(None) => this.close(),
            Poll::Ready(Some(Err(_))) => this.from = From::Broken,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match self.from {
            From::Over | From::Switched(_) => true,
            From::Broken => false,
            From::H1 { .. } | From::H2 { .. } => self.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
