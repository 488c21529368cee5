//! A request's body on its way to a worker that speaks HTTP/1: as much at a time as the worker takes. A long one of
//! known length goes from socket to socket (splice.rs).

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use super::io::Wire;
use crate::body::{RequestBody, RequestBodyError};
use crate::pieces::Pieces;
use crate::splice::{Pipes, Pump, PumpError};
use ambidex_http1::{BodyEncoder, Framing, Mismatch, Refusal};
use http_body::Body as _;

/// A head, and the body behind it.
pub(crate) struct Upload {
    body: RequestBody,
    encoder: BodyEncoder,
    /// What is to be written next; the head at first.
    pub(crate) pieces: Pieces,
    ended: bool,
    /// Data that went into the first piece, to be given back if that is never written.
    first: bytes::Bytes,
    has_length: bool,
    pump: Option<Pump>,
}

/// Why a request cannot be written to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UploadError {
    #[error(transparent)]
    Body(#[from] RequestBodyError),
    #[error("the body is not what its head announced: {0}")]
    Announced(#[from] Mismatch),
    #[error("the worker takes no more: {0}")]
    Worker(#[from] std::io::Error),
}

impl From<PumpError> for UploadError {
    fn from(error: PumpError) -> Self {
        match error {
            PumpError::To(why) => Self::Worker(why),
            PumpError::From(why) => Self::Body(why.into()),
            PumpError::Early { .. } => Self::Body(Refusal::Truncated.into()),
        }
    }
}

impl Upload {
    /// A request whose head stands in `pieces`.
    pub(crate) fn new(pieces: Pieces, body: RequestBody, framing: Framing) -> Self {
        let (ended, has_length) = (framing == Framing::None, matches!(framing, Framing::Length(_)));
        let (encoder, first) = (BodyEncoder::new(framing), bytes::Bytes::new());
        Self { body, encoder, pieces, ended, first, has_length, pump: None }
    }

    /// Writes what can be written now; ends when all of it is.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        wire: &mut Wire,
        pipes: &Rc<Pipes>,
    ) -> Poll<Result<(), UploadError>> {
        loop {
            if let (Some(pump), Some(to)) = (&mut self.pump, wire.tcp()) {
                let moved = ready!(self.body.poll_pump(cx, pump, to))?;
                self.encoder.data(usize::try_from(moved.bytes).unwrap_or(usize::MAX))?;
                if moved.done {
                    self.pump = None;
                }
                continue;
            }
            let waits = self.fill(cx)?;
            ready!(self.pieces.poll_flush(cx, wire))?;
            if self.ended {
                return Poll::Ready(Ok(()));
            }
            if self.has_length
                && wire.tcp().is_some()
                && let Some(length) = self.body.pumpable()
            {
                // Without a pipe it is copied.
                self.pump = Pump::new(pipes, length).ok().map(|pump| pump.holding(MOST_HELD));
                if self.pump.is_some() {
                    continue;
                }
            }
            if waits {
                return Poll::Pending;
            }
        }
    }

    /// Takes as much of the body as fits; says whether there is nothing more for now.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<bool, UploadError> {
        while !self.ended && !self.pieces.is_full() {
            if !self.first.is_empty() && !self.pieces.has_begun() {
                break; // Only one piece could be given back.
            }
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else { return Ok(true) };
            match frame.transpose()?.map(http_body::Frame::into_data) {
                Some(Ok(data)) => {
                    if !self.pieces.has_begun() {
                        self.first = data.clone();
                    }
                    self.pieces.data(&mut self.encoder, data)?;
                }
                Some(Err(frame)) => {
                    self.pieces.end(&self.encoder, frame.trailers_ref())?;
                    self.ended = true;
                }
                None => {
                    self.pieces.end(&self.encoder, None)?;
                    self.ended = true;
                }
            }
        }
        Ok(false)
    }

    /// The body, as if nothing had been taken from it. Only while nothing was written.
    pub(crate) fn into_body(self) -> RequestBody {
        let Self { mut body, first, .. } = self;
        body.put_back(first);
        body
    }

    /// Whether all of it was written.
    pub(crate) fn is_done(&self) -> bool {
        self.ended && self.pieces.is_empty()
    }
}

/// Bytes of an upload that wait in a pipe at most. Source: reliability.md row 7, a stuck upload costs 64 KiB at most.
const MOST_HELD: usize = 48 << 10;
