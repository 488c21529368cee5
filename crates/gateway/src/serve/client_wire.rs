//! A client's connection of HTTP/1: its socket, what was read from it, and where the body under way ends.
//!
//! Its serving task and the body of its request share it, within one task, so each borrows it for a moment and nobody
//! waits. While an answer is awaited it is also what tells that the client has left.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use ambidex_http1::{BodyDecoder, Event, Fields, Framing, HeadReader, Profile, Refusal, RequestHead};
use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::pulse::{Counted, Pulse};
use crate::body::RequestBodyError;
use crate::buffers::{self, Buffers};
use crate::listen::io::Io;
use crate::pieces::Pieces;
use crate::splice::{Moved, Pump, PumpError};
use crate::thread::Thread;

/// One connection.
pub(crate) struct ClientWire {
    io: RefCell<Counted>,
    /// What was read and belongs to nobody yet; without room when there is none.
    input: RefCell<BytesMut>,
    /// The room of `input` is as large as that for bodies.
    wide: Cell<bool>,
    thread: Rc<Thread>,
    body: RefCell<BodyDecoder>,
    profile: Profile,
    /// Bytes of `100 Continue` that the client waits for.
    owed: Cell<&'static [u8]>,
    /// Its clients may end their side and wait for the answer.
    half_closes: bool,
}

impl ClientWire {
    pub(crate) fn new(io: Io, pulse: Rc<Pulse>, thread: Rc<Thread>, profile: Profile, half_closes: bool) -> Rc<Self> {
        Rc::new(Self {
            io: RefCell::new(Counted::new(io, pulse)),
            input: RefCell::default(),
            wide: Cell::new(false),
            thread,
            body: RefCell::new(BodyDecoder::new(Framing::None, &profile)),
            profile,
            owed: Cell::new(b""),
            half_closes,
        })
    }

    /// Reads what has come; a buffer is taken when there is less room than `room`.
    fn poll_read(&self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        let (mut io, mut input) = (self.io.borrow_mut(), self.input.borrow_mut());
        // A head that comes in pieces has its room until that is full.
        let least = if input.is_empty() || room > HEAD_ROOM { room } else { 1 };
        if input.capacity() - input.len() < least {
            if !input.is_empty() {
                input.reserve(room);
            } else {
                self.give_back(&mut input);
                self.wide.set(room > HEAD_ROOM);
                *input = self.buffers().take();
            }
        }
        pin!(io.read_buf(&mut *input)).poll(cx)
    }

    /// The same, and keeps no buffer while nothing has come.
    fn poll_read_or_rest(&self, cx: &mut Context<'_>, room: usize) -> Poll<io::Result<usize>> {
        let read = self.poll_read(cx, room);
        let mut input = self.input.borrow_mut();
        if read.is_pending() && input.is_empty() {
            self.give_back(&mut input);
        }
        read
    }

    fn give_back(&self, input: &mut BytesMut) {
        if input.capacity() > 0 {
            self.buffers().give(std::mem::take(input));
        }
    }

    fn buffers(&self) -> &Buffers {
        if self.wide.get() { &self.thread.buffers } else { &self.thread.heads }
    }

    /// Whether HTTP/2 is spoken, by the first bytes: one read, unless they are the beginning of the preface. `None` when
    /// the client has ended its side.
    pub(crate) fn poll_kind(&self, cx: &mut Context<'_>) -> Poll<Option<bool>> {
        loop {
            if !matches!(ready!(self.poll_read_or_rest(cx, HEAD_ROOM)), Ok(1..)) {
                return Poll::Ready(None);
            }
            let first = self.input.borrow();
            if first.starts_with(PREFACE) || !PREFACE.starts_with(&first) {
                return Poll::Ready(Some(first.starts_with(PREFACE)));
            }
        }
    }

    /// The next request's head; `None` when the client has ended its side, or nothing has come and `leave` says so.
    pub(crate) fn poll_head(
        &self,
        cx: &mut Context<'_>,
        reader: &mut HeadReader,
        fields: &mut Fields,
        leave: bool,
    ) -> Poll<Result<Option<RequestHead>, Refusal>> {
        loop {
            {
                let mut input = self.input.borrow_mut();
                if let Some(head) = reader.request(&mut input, fields, &self.profile)? {
                    return Poll::Ready(Ok(Some(head)));
                }
                if leave && input.is_empty() {
                    return Poll::Ready(Ok(None));
                }
            }
            if !matches!(ready!(self.poll_read_or_rest(cx, HEAD_ROOM)), Ok(1..)) {
                return Poll::Ready(reader.closed(&self.input.borrow()).map(|()| None));
            }
        }
    }

    /// A body begins, of a request that was just read.
    pub(crate) fn begin_body(&self, framing: Framing, expects_continue: bool) {
        if framing != Framing::None {
            self.body.replace(BodyDecoder::new(framing, &self.profile));
            self.owed.set(if expects_continue { CONTINUE } else { b"" });
        }
    }

    /// Whether the body under way has come whole.
    pub(crate) fn body_is_whole(&self) -> bool {
        self.body.borrow().is_done()
    }

    /// What comes next of the body.
    pub(crate) fn poll_body(&self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        loop {
            match self.decode()? {
                Decoded::Frame(frame) => return Poll::Ready(Some(Ok(frame))),
                Decoded::End => return Poll::Ready(None),
                Decoded::More => {}
            }
            ready!(self.poll_continue(cx))?;
            if ready!(self.poll_read_or_rest(cx, BODY_ROOM))? == 0 {
                self.body.borrow_mut().closed()?;
            }
        }
    }

    fn decode(&self) -> Result<Decoded, Refusal> {
        let (mut body, mut input) = (self.body.borrow_mut(), self.input.borrow_mut());
        let was_done = body.is_done();
        let step = body.next(&input)?;
        if let Event::Data(place) = step.event {
            input.advance(place.start);
            let data = input.split_to(place.len()).freeze();
            input.advance(step.used - place.end);
            return Ok(Decoded::Frame(Frame::data(data)));
        }
        input.advance(step.used);
        if step.event == Event::More {
            return Ok(Decoded::More);
        }
        let trailers = if was_done { HeaderMap::new() } else { trailers_of(&body) };
        Ok(if trailers.is_empty() { Decoded::End } else { Decoded::Frame(Frame::trailers(trailers)) })
    }

    /// Takes what has come of a body that nobody wants, so that a small one does not cost the connection.
    pub(crate) fn skip_body(&self) {
        while !self.body_is_whole() && matches!(self.decode(), Ok(Decoded::Frame(_))) {}
    }

    /// Says `100 Continue` to a client that waits for it; an answer takes its place.
    fn poll_continue(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.owed.get().is_empty() {
            let mut io = self.io.borrow_mut();
            let owed = self.owed.get();
            let count = ready!(pin!(io.write(owed)).poll(cx))?;
            self.owed.set(&owed[count..]);
        }
        Poll::Ready(Ok(()))
    }

    /// Nobody waits for `100 Continue` any more. What was said of it in part is to be said first.
    pub(crate) fn answer_begins(&self) -> &'static [u8] {
        let owed = self.owed.replace(b"");
        if owed.len() == CONTINUE.len() { b"" } else { owed }
    }

    /// Ends when the client has left: it ended its side, or the connection broke. A request whose body is on its way is
    /// watched by whoever reads the body.
    pub(crate) fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.half_closes || !self.body_is_whole() {
            return Poll::Pending;
        }
        while self.input.borrow().len() < MOST_AHEAD {
            if !matches!(ready!(self.poll_read(cx, 1)), Ok(1..)) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Writes all of `pieces`.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>, pieces: &mut Pieces) -> Poll<io::Result<()>> {
        pieces.poll_flush(cx, &mut *self.io.borrow_mut())
    }

    /// Whether its socket is one of TCP, without TLS.
    pub(crate) fn is_tcp(&self) -> bool {
        self.io.borrow().tcp().is_some()
    }

    /// Moves bytes from the worker's socket to the client's; `None` when that is not one of TCP.
    pub(crate) fn poll_pump(
        &self,
        cx: &mut Context<'_>,
        pump: &mut Pump,
        from: &TcpStream,
    ) -> Option<Poll<Result<Moved, PumpError>>> {
        let io = self.io.borrow();
        let polled = pump.poll(cx, from, io.tcp()?);
        let sent = if let Poll::Ready(Ok(moved)) = &polled { moved.bytes } else { 0 };
        io.pumped(sent, pump.is_blocked());
        Some(polled)
    }

    /// Bytes of the body under way that can be moved without being looked at: the socket is one of TCP, and nothing of
    /// the body is here, nor does the client wait to send it.
    pub(crate) fn pumpable(&self) -> Option<u64> {
        let plain = self.is_tcp() && self.owed.get().is_empty() && self.input.borrow().is_empty();
        plain.then(|| self.body.borrow().plain())
    }

    /// Moves bytes of the body from the client's socket to the worker's.
    pub(crate) fn poll_pump_in(
        &self,
        cx: &mut Context<'_>,
        pump: &mut Pump,
        to: &TcpStream,
    ) -> Poll<Result<Moved, PumpError>> {
        let io = self.io.borrow();
        let Some(from) = io.tcp() else { unreachable!("a pump is made for two sockets of TCP") };
        let polled = pump.poll(cx, from, to);
        if let Poll::Ready(Ok(moved)) = &polled {
            self.body.borrow_mut().moved(moved.bytes);
            io.came(moved.bytes);
        }
        polled
    }

    /// Ends our side.
    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        pin!(self.io.borrow_mut().shutdown()).poll(cx)
    }

    /// Reads and forgets, until the client ends its side; `Ready` says that it did.
    pub(crate) fn poll_drain(&self, cx: &mut Context<'_>, left: &mut usize) -> Poll<()> {
        while *left > 0 {
            self.input.borrow_mut().clear();
            match ready!(self.poll_read(cx, HEAD_ROOM)) {
                Ok(count @ 1..) => *left = left.saturating_sub(count),
                Ok(0) | Err(_) => break,
            }
        }
        Poll::Ready(())
    }

    /// Bytes that were read and belong to nobody yet.
    pub(crate) fn ahead(&self) -> usize {
        self.input.borrow().len()
    }

    /// Makes the end of the connection a reset.
    pub(crate) fn abort(&self) {
        self.io.borrow().abort();
    }

    /// The bare connection and what was read from it.
    pub(crate) fn into_parts(self) -> (Counted, Bytes) {
        (self.io.into_inner(), self.input.into_inner().freeze())
    }
}

enum Decoded {
    Frame(Frame<Bytes>),
    More,
    End,
}

/// Trailers in the form that all bodies share.
pub(crate) fn trailers_of(body: &BodyDecoder) -> HeaderMap {
    let pair = |(name, value): (&[u8], ambidex_http1::Value<'_>)| {
        let name = HeaderName::from_bytes(name).ok()?;
        Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    };
    let mut trailers = HeaderMap::new();
    for (name, value) in body.trailers().filter_map(pair) {
        trailers.append(name, value);
    }
    trailers
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// What HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Room for a read while a head is awaited.
const HEAD_ROOM: usize = buffers::HEAD;
/// Room for a read while a body is awaited, at least. Source: below it a read costs more than the bytes that it brings.
const BODY_ROOM: usize = 8 << 10;
/// Bytes of later requests that are read while one is answered. Source: a few heads; the rest waits in the kernel.
const MOST_AHEAD: usize = 4 << 10;
