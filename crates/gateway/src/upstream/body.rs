//! The body of a worker's answer, with the connection that it comes by.
//!
//! An HTTP/1 connection goes back to the pool when the body has ended; dropped before that, it is closed, because the
//! rest of an answer that nobody reads must never be taken for another one.

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};

use ambidex_core::worker::WorkerId;
use ambidex_http1::Refusal;
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::Way;
use super::h1::Answering;
use super::h2::Stream;
use crate::differ::Watch;
use crate::splice::{LEAST_PUMPED, PumpError};
use crate::thread::Thread;

/// A streaming answer.
pub(crate) struct UpstreamBody(From);

enum From {
    H1(Box<Answering>),
    H2 {
        incoming: Incoming,
        _stream: Stream,
    },
    /// What was read ahead, or kept, before what is left.
    Ahead(Box<Ahead>),
    /// The connection speaks another protocol now.
    Switched(Box<Switched>),
    /// It has ended, and the connection is where it belongs.
    Over,
    /// It broke off, and the connection is closed.
    Broken,
}

/// What has come, and the rest.
struct Ahead {
    came: VecDeque<Frame<Bytes>>,
    rest: UpstreamBody,
    /// Compares it to its end with other answers.
    watch: Option<Watch>,
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

/// Why an answer broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    #[error(transparent)]
    Stream(#[from] hyper::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Pump(PumpError),
}

impl UpstreamBody {
    pub(crate) fn h1(answering: Box<Answering>) -> Self {
        let mut body = Self(From::H1(answering));
        body.settle();
        body
    }

    pub(crate) fn h2(incoming: Incoming, stream: Stream) -> Self {
        Self(From::H2 { incoming, _stream: stream })
    }

    /// A body in memory.
    pub(crate) fn kept(data: Bytes) -> Self {
        let came = if data.is_empty() { VecDeque::new() } else { VecDeque::from([Frame::data(data)]) };
        Self(From::Over).behind(came)
    }

    /// This body with what came of it before it.
    pub(crate) fn behind(self, came: VecDeque<Frame<Bytes>>) -> Self {
        if came.is_empty() { self } else { Self(From::Ahead(Box::new(Ahead { came, rest: self, watch: None }))) }
    }

    /// Has a body of which something was read ahead compared to its end: as the client reads it, or when it is dropped.
    pub(crate) fn watched(mut self, watch: Watch) -> Self {
        if let From::Ahead(ahead) = &mut self.0 {
            ahead.watch = Some(watch);
        }
        self
    }

    /// The watch of a body that goes to the client.
    pub(crate) fn take_watch(&mut self) -> Option<Watch> {
        if let From::Ahead(ahead) = &mut self.0 { ahead.watch.take() } else { None }
    }

    pub(crate) fn switched(switched: Switched) -> Self {
        Self(From::Switched(Box::new(switched)))
    }

    /// The bare connection, if the worker changed the protocol.
    pub(crate) fn into_switched(self) -> Option<Switched> {
        match self.0 {
            From::Switched(switched) => Some(*switched),
            From::H1(_) | From::H2 { .. } | From::Ahead(_) | From::Over | From::Broken => None,
        }
    }

    /// What comes next.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let frame = match &mut self.0 {
            From::H1(answering) => answering.poll_next(cx),
            From::H2 { incoming, .. } => Pin::new(incoming).poll_frame(cx).map_err(AnswerError::from),
            From::Ahead(ahead) => return ahead.poll_next(cx),
            From::Switched(_) | From::Over => return Poll::Ready(None),
            From::Broken => return Poll::Ready(Some(Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()))),
        };
        match &frame {
            Poll::Ready(Some(Ok(_))) => self.settle(),
            Poll::Ready(None) => self.0 = self.ended(),
            Poll::Ready(Some(Err(_))) => self.0 = From::Broken,
            Poll::Pending => {}
        }
        frame
    }

    /// Lets the connection go as soon as the body has ended.
    fn settle(&mut self) {
        let over = match &self.0 {
            From::H1(answering) => answering.is_done(),
            From::H2 { incoming, .. } => incoming.is_end_stream(),
            From::Ahead(_) | From::Switched(_) | From::Over | From::Broken => false,
        };
        if over {
            self.0 = self.ended();
        }
    }

    fn ended(&mut self) -> From {
        if let From::H1(answering) = std::mem::replace(&mut self.0, From::Over) {
            answering.go_home();
        }
        From::Over
    }

    /// How many bytes of data follow that can be moved without being looked at, if that pays.
    pub(crate) fn pumpable(&self) -> Option<u64> {
        let From::H1(answering) = &self.0 else { return None };
        answering.tcp()?;
        answering.pumpable().filter(|length| *length >= LEAST_PUMPED)
    }

    /// The socket that it comes by.
    pub(crate) fn tcp(&self) -> Option<&TcpStream> {
        let From::H1(answering) = &self.0 else { return None };
        answering.tcp()
    }

    /// So many bytes were moved.
    pub(crate) fn moved(&mut self, bytes: u64) {
        if let From::H1(answering) = &mut self.0 {
            answering.decoder.moved(bytes);
        }
        self.settle();
    }

    /// Whether all of it has come.
    pub(crate) fn is_over(&self) -> bool {
        match &self.0 {
            From::Over | From::Switched(_) => true,
            From::Ahead(ahead) => ahead.came.is_empty() && ahead.rest.is_over(),
            From::Broken | From::H1(_) => false,
            From::H2 { incoming, .. } => incoming.is_end_stream(),
        }
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        match &self.0 {
            From::H2 { incoming, .. } => incoming.size_hint(),
            From::Ahead(ahead) => ahead.size_hint(),
            From::Over => SizeHint::with_exact(0),
            From::H1(_) | From::Switched(_) | From::Broken => SizeHint::default(),
        }
    }
}

impl Ahead {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        match self.came.pop_front() {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None => self.rest.poll_next(cx),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let came: usize = self.came.iter().filter_map(Frame::data_ref).map(Bytes::len).sum();
        self.rest.size_hint().exact().map_or_else(SizeHint::default, |left| SizeHint::with_exact(came as u64 + left))
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.drain(std::mem::take(&mut self.came), std::mem::replace(&mut self.rest, UpstreamBody(From::Over)));
        }
    }
}
