//! HTTP/1.1 towards a worker: one exchange at a time on a connection that no task of its own drives.
//!
//! ```text
//! kept ── head, body written ── interim heads ── head ── Answering: data ── end ── kept   (nothing odd, both persist)
//!   \_ closed, or bytes came: never used           \_ malformed, early end, dropped: closed
//! ```
//! Whoever uses the connection polls it: the try until the head, the answer's body after it, nobody while it is idle.
//! So one event of the socket wakes one task, the client connection's, and there is no channel between tasks.
//!
//! An answer may come before the request has gone out whole: both go on side by side, and when the answer ends first
//! the connection is closed, because the worker would take the rest of the body for a request.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use ambidex_core::attempt::FailureKind;
use ambidex_core::time::{Mono, Span};
use ambidex_core::view::Address;
use ambidex_http1::{Asked, BodyDecoder, Event, Fields, Framing, HeadReader, Known, Limits, Profile, ResponseHead};
use bytes::{Buf as _, Bytes, BytesMut};
use http_body::Frame;
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};
use tokio::net::TcpStream;

use super::body::{AnswerError, Home, Switched};
use super::io::Wire;
use super::upload::{Upload, UploadError};
use crate::buffers::{self, Buffers};
use crate::serve::client_wire::trailers_of;
use crate::splice::Pipes;

/// A connection that speaks HTTP/1.1.
pub(crate) struct H1 {
    wire: Wire,
    input: BytesMut,
    /// Where it leads.
    pub(crate) address: Address,
    /// When it was opened.
    pub(crate) opened: Mono,
    /// When it was used last.
    pub(crate) used: Mono,
    /// When the worker will close it, if it said so.
    pub(crate) until: Option<Mono>,
}

/// An exchange that ended without a head.
pub(crate) struct Failed {
    pub(crate) kind: FailureKind,
    pub(crate) detail: String,
    /// The worker got nothing of the request.
    pub(crate) unsent: bool,
    /// Not a byte of an answer came, nor a word of what is wrong with the request.
    pub(crate) unheard: bool,
}

impl H1 {
    pub(crate) fn new(wire: Wire, address: Address, now: Mono) -> Self {
        Self { wire, input: BytesMut::new(), address, opened: now, used: now, until: None }
    }

    /// Whether another request may be sent: nothing came, and the worker has not closed, as far as can be seen without
    /// asking the kernel.
    pub(crate) fn is_alive(&mut self) -> bool {
        let mut byte = [0];
        let mut cx = Context::from_waker(Waker::noop());
        self.input.is_empty() && Pin::new(&mut self.wire).poll_read(&mut cx, &mut ReadBuf::new(&mut byte)).is_pending()
    }

    /// Sends `upload` and waits for the head of its answer, and hands interim ones to `interim`.
    pub(crate) async fn exchange(
        &mut self,
        (buffers, pipes): (&Buffers, &Rc<Pipes>),
        upload: &mut Upload,
        fields: &mut Fields,
        asked: Asked,
        mut interim: impl FnMut(&ResponseHead),
    ) -> Result<ResponseHead, Failed> {
        let mut reader = HeadReader::default();
        let (mut heard, mut refused) = (false, None);
        let answered = poll_fn(|cx| {
            if refused.is_none() && !upload.is_done() {
                match upload.poll(cx, &mut self.wire, pipes) {
                    // What it says of that may have come.
                    Poll::Ready(Err(UploadError::Worker(why))) => refused = Some(why),
                    Poll::Ready(Err(why)) => return Poll::Ready(Err((FailureKind::RequestBody, why.to_string()))),
                    Poll::Ready(Ok(())) | Poll::Pending => {}
                }
            }
            loop {
                match reader.response(&mut self.input, fields, &PROFILE, asked) {
                    Ok(Some(head)) if head.is_interim() => {
                        interim(&head);
                        *fields = head.recycle();
                        continue;
                    }
                    Ok(Some(head)) => return Poll::Ready(Ok(head)),
                    Ok(None) => {}
                    Err(why) => return Poll::Ready(Err((FailureKind::Garbage, why.to_string()))),
                }
                let why = match ready!(self.poll_fill(cx, buffers)) {
                    Ok(1..) => {
                        heard = true;
                        continue;
                    }
                    Ok(0) => refused.take().map_or_else(|| CLOSED.to_owned(), |why| why.to_string()),
                    Err(why) => why.to_string(),
                };
                return Poll::Ready(Err((FailureKind::Reset, why)));
            }
        });
        answered.await.map_err(|(kind, detail)| Failed {
            kind,
            detail,
            unsent: !upload.pieces.has_begun() && !heard,
            unheard: !heard && kind != FailureKind::RequestBody,
        })
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, buffers: &Buffers) -> Poll<std::io::Result<usize>> {
        if self.input.capacity() == self.input.len() {
            if self.input.is_empty() {
                self.input = buffers.take();
            } else {
                self.input.reserve(buffers::SIZE);
            }
        }
        let read = pin!(self.wire.read_buf(&mut self.input)).poll(cx);
        if read.is_pending() && self.input.is_empty() {
            // Others need it meanwhile.
            self.rest(buffers);
        }
        read
    }

    /// Takes note of what the head says of the connection's future.
    pub(crate) fn heed(&mut self, head: &ResponseHead, now: Mono) {
        self.used = now;
        if head.head().has(Known::KeepAlive)
            && let Some(said) = head.head().first(Known::KeepAlive)
        {
            self.until = promised(said.as_bytes()).map(|seconds| now + Span::from_secs(seconds));
        }
    }

    /// The bare connection, after the worker agreed to another protocol.
    pub(crate) fn switched(self) -> Switched {
        Switched { wire: Box::new(self.wire), first: self.input.freeze(), _stream: None }
    }

    /// Gives its buffer back: nothing is in it.
    pub(crate) fn rest(&mut self, buffers: &Buffers) {
        if self.input.capacity() > 0 {
            buffers.give(std::mem::take(&mut self.input));
        }
    }
}

/// A connection whose answer is on its way.
pub(crate) struct Answering {
    pub(crate) connection: Box<H1>,
    pub(crate) decoder: BodyDecoder,
    upload: Upload,
    /// The worker keeps the connection open, by its head.
    persists: bool,
    /// The request cannot be sent to its end.
    gave_up: bool,
    /// Its body has a known length.
    has_length: bool,
    pub(crate) home: Home,
}

impl Answering {
    pub(crate) fn new(connection: Box<H1>, head: &ResponseHead, upload: Upload, home: Home) -> Self {
        let decoder = BodyDecoder::new(head.head().framing(), &PROFILE);
        let has_length = matches!(head.head().framing(), Framing::Length(_));
        Self { connection, decoder, upload, persists: head.head().persists(), gave_up: false, has_length, home }
    }

    /// What comes next of the answer; sends what is left of the request beside it.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        if !self.upload.is_done()
            && !self.gave_up
            && matches!(self.upload.poll(cx, &mut self.connection.wire, &self.home.thread.pipes), Poll::Ready(Err(_)))
        {
            // What the request lacks is the worker's to judge: its answer is here. The connection is of no use after it.
            self.gave_up = true;
        }
        loop {
            let was_done = self.decoder.is_done();
            let input = &mut self.connection.input;
            let step = self.decoder.next(input)?;
            match step.event {
                Event::Data(place) => {
                    input.advance(place.start);
                    let data = input.split_to(place.len()).freeze();
                    input.advance(step.used - place.end);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Event::End => {
                    input.advance(step.used);
                    let trailers = if was_done { http::HeaderMap::new() } else { trailers_of(&self.decoder) };
                    let frame = (!trailers.is_empty()).then(|| Ok(Frame::trailers(trailers)));
                    return Poll::Ready(frame);
                }
                Event::More => input.advance(step.used),
            }
            if ready!(self.connection.poll_fill(cx, &self.home.thread.buffers))? == 0 {
                self.persists = false;
                self.decoder.closed()?;
            }
        }
    }

    /// Bytes of data that can be moved without being looked at: the rest of a body of known length, once nothing of it is
    /// here, and nothing is sent beside it.
    pub(crate) fn pumpable(&self) -> Option<u64> {
        let plain = self.has_length && self.upload.is_done() && self.connection.input.is_empty();
        plain.then(|| self.decoder.plain())
    }

    /// The worker's socket.
    pub(crate) fn tcp(&self) -> Option<&TcpStream> {
        self.connection.wire.tcp()
    }

    /// Whether the body has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.decoder.is_done()
    }

    /// Keeps the connection, if the exchange has ended on both sides and nothing odd came.
    pub(crate) fn go_home(self) {
        let Self { mut connection, upload, persists, home, .. } = self;
        if persists && upload.is_done() && connection.input.is_empty() {
            connection.rest(&home.thread.buffers);
            let now = connection.used;
            home.thread.pool.keep(home.worker, connection, &home.way, now);
        }
    }
}

/// What is borne of workers: as much as of clients, but longer heads.
pub(crate) static PROFILE: Profile = Profile {
    limits: Limits {
        head_bytes: MOST_HEAD_BYTES,
        fields: 100,
        target_bytes: 8 << 10,
        extension_bytes: 4 << 10,
        trailer_bytes: 8 << 10,
        trailers: 32,
        body_bytes: None,
        interim: 8,
    },
    leniency: ambidex_http1::Leniency {
        bare_line_feed: false,
        chunked_in_any_case: false,
        space_after_chunk_size: false,
        repeated_equal_length: false,
    },
};

/// `timeout=N` of `Keep-Alive`, less a second for the way.
fn promised(said: &[u8]) -> Option<u64> {
    let said = str::from_utf8(said).ok()?;
    let seconds = said.split(',').find_map(|part| part.trim().strip_prefix("timeout="))?;
    Some(seconds.trim().parse::<u64>().ok()?.min(86_400).saturating_sub(1))
}

/// Most bytes of an answer's head. Source: twice what the largest of the peers bears by default (Envoy, 60 KiB).
const MOST_HEAD_BYTES: u32 = 128 << 10;

/// An end without a word.
const CLOSED: &str = "the worker closed the connection before its answer";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_promises_is_believed_a_second_less_and_a_day_at_most() {
        for (said, seconds) in
            [("timeout=5", Some(4)), ("max=3, timeout=60", Some(59)), ("timeout=999999", Some(86_399)), ("max=3", None)]
        {
            assert_eq!(promised(said.as_bytes()), seconds, "{said}");
        }
    }
}
