//! The pulse of a client's connection: how many bytes came and went, for whoever decides that it is dead.
//!
//! ```text
//! idle ── a head begins ── header_timeout ── request ── in service: nobody's fault but the worker's ── answer ── idle
//!   \_ idle_timeout: close        \_ close       \_ body stalls, client does not read: idle_timeout: close
//!                                                \_ within an answer nobody says anything: tunnel_timeout: reset
//! ```
//! Requests pay two counters for it. The clock is looked at by an alarm a few times in a timeout, not by requests.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use ambidex_core::time::{Mono, Span};
use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::stream::StreamPulse;
use crate::admission::Permit;
use crate::listen::io::Io;

/// What a connection has done.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    read: Cell<u64>,
    written: Cell<u64>,
    /// The client does not take what we write.
    blocked: Cell<bool>,
    /// Requests in service.
    active: Cell<u32>,
    /// Bytes read when the last service ended: what comes beyond belongs to a new head.
    settled: Cell<u64>,
    /// Services that began.
    begun: Cell<u64>,
    /// A worker waits for more of a request's body; HTTP/1 only, streams have pulses of their own.
    starved: Rc<Cell<bool>>,
    /// A worker's answer is on its way; HTTP/1 only.
    answering: Cell<bool>,
}

impl Pulse {
    /// Bytes that came and went.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.read.get(), self.written.get())
    }

    /// So many bytes came.
    pub(crate) fn came(&self, bytes: u64) {
        self.read.set(self.read.get() + bytes);
    }

    /// Of what came, so many bytes belong to the next head.
    pub(crate) fn ahead(&self, bytes: u64) {
        self.settled.set(self.read.get() - bytes);
    }

    /// A worker's answer has begun: from here on both sides may speak, and either may be silent.
    pub(crate) fn answer_begins(&self) {
        self.answering.set(true);
    }

    /// Set while a request's body is waited for.
    pub(crate) fn starved(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.starved)
    }
}

/// A request in service, until its answer has ended.
pub(crate) struct InService {
    pulse: Rc<Pulse>,
    /// Its stream's pulse, in HTTP/2.
    pub(crate) stream: Option<Rc<StreamPulse>>,
    /// What lets it be served, where that is asked for.
    pub(crate) permit: Option<Box<dyn Permit>>,
}

impl InService {
    pub(crate) fn begin(pulse: &Rc<Pulse>, stream: Option<Rc<StreamPulse>>) -> Self {
        pulse.active.set(pulse.active.get() + 1);
        pulse.begun.set(pulse.begun.get() + 1);
        Self { pulse: Rc::clone(pulse), stream, permit: None }
    }
}

impl Drop for InService {
    fn drop(&mut self) {
        let pulse = &self.pulse;
        pulse.active.set(pulse.active.get() - 1);
        pulse.settled.set(pulse.read.get());
        pulse.starved.set(false);
        pulse.answering.set(false);
    }
}

/// What is wrong with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dead {
    /// A head that does not end.
    SlowHead,
    /// Nothing asked.
    Idle,
    /// It neither sends what it owes nor takes what it is owed.
    Stalled,
    /// Within an answer, neither its worker nor the client said anything.
    Silent,
}

/// Looks at a pulse from time to time.
#[derive(Debug)]
pub(crate) struct Watchdog {
    header_timeout: Span,
    idle_timeout: Span,
    tunnel_timeout: Span,
    /// What was seen last, and since when it has been so.
    last: (Phase, u64),
    since: Mono,
    /// When to look again.
    pub(crate) due: Mono,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Head,
    Idle,
    Stalled,
    Upload,
    Silent,
    Busy,
}

/// Whether so many bytes are too few for an upload.
pub(super) fn too_slow(bytes: u64, lasted: Span) -> bool {
    bytes < (LEAST_RATE * lasted.as_millis() / 1_000).max(1)
}

/// Bytes a second that an upload must make. Source: Apache's `RequestReadTimeout body=20,MinRate=500`.
const LEAST_RATE: u64 = 500;

impl Watchdog {
    /// Begins with a connection: its first head is owed from the start.
    pub(crate) fn new(header_timeout: Span, idle_timeout: Span, tunnel_timeout: Span, now: Mono) -> Self {
        let last = (Phase::Head, 0);
        let mut dog = Self { header_timeout, idle_timeout, tunnel_timeout, last, since: now, due: now };
        dog.due = now + dog.step();
        dog
    }

    /// Says whether the connection is dead at `now`.
    pub(crate) fn look(&mut self, pulse: &Pulse, now: Mono) -> Option<Dead> {
        let begun = pulse.begun.get();
        let seen = if pulse.active.get() > 0 {
            let (read, written) = pulse.bytes();
            match (pulse.blocked.get(), pulse.answering.get(), pulse.starved.get()) {
                (true, _, _) => (Phase::Stalled, read + written),
                (false, true, _) => (Phase::Silent, read + written),
                (false, false, true) => return self.look_at_upload(read, now),
                (false, false, false) => (Phase::Busy, 0),
            }
        } else if begun == 0 || pulse.read.get() > pulse.settled.get() {
            (Phase::Head, begun)
        } else {
            (Phase::Idle, begun)
        };
        if seen != self.last {
            (self.last, self.since) = (seen, now);
        }
        let lasted = now.since(self.since);
        self.due = now + self.step();
        match seen.0 {
            Phase::Head => (lasted >= self.header_timeout).then_some(Dead::SlowHead),
            Phase::Idle => (lasted >= self.idle_timeout).then_some(Dead::Idle),
            Phase::Stalled => (lasted >= self.idle_timeout).then_some(Dead::Stalled),
            Phase::Silent => (lasted >= self.tunnel_timeout).then_some(Dead::Silent),
            Phase::Busy | Phase::Upload => None,
        }
    }

    /// An upload must go on at [`LEAST_RATE`], over each `idle_timeout`.
    fn look_at_upload(&mut self, read: u64, now: Mono) -> Option<Dead> {
        self.due = now + self.step();
        let (phase, before) = self.last;
        let lasted = now.since(self.since);
        if phase != Phase::Upload || lasted >= self.idle_timeout {
            let slow = phase == Phase::Upload && too_slow(read - before, lasted);
            (self.last, self.since) = ((Phase::Upload, read), now);
            return slow.then_some(Dead::Stalled);
        }
        None
    }

    /// An eighth of the shortest timeout: so late at most is a dead connection closed.
    fn step(&self) -> Span {
        let shorter = self.header_timeout.min(self.idle_timeout).min(self.tunnel_timeout);
        Span::from_nanos(shorter.as_nanos() / 8)
    }
}

/// A client's connection with its pulse taken.
#[derive(Debug)]
pub(crate) struct Counted {
    io: Io,
    /// Bytes that were read to see which HTTP is spoken, and are to be read again.
    first: Bytes,
    pulse: Rc<Pulse>,
}

impl Counted {
    pub(crate) fn new(io: Io, pulse: Rc<Pulse>) -> Self {
        Self { io, first: Bytes::new(), pulse }
    }

    /// The same, but that `first`, which was read from it and counted, is read again.
    pub(crate) fn again(self, first: Bytes) -> Self {
        Self { first, ..self }
    }

    /// Makes the end of the connection a reset.
    pub(crate) fn abort(&self) {
        self.io.abort();
    }

    /// The socket, if it is one of TCP, without TLS.
    pub(crate) fn tcp(&self) -> Option<&TcpStream> {
        self.io.tcp()
    }

    /// So many bytes were read past this.
    pub(crate) fn came(&self, bytes: u64) {
        self.pulse.came(bytes);
    }

    /// So many bytes were written past this; `blocked` says that the client takes no more.
    pub(crate) fn pumped(&self, bytes: u64, blocked: bool) {
        self.pulse.blocked.set(blocked);
        self.pulse.written.set(self.pulse.written.get() + bytes);
    }

    fn wrote(&self, polled: &Poll<io::Result<usize>>) {
        self.pulse.blocked.set(polled.is_pending());
        if let Poll::Ready(Ok(count)) = polled {
            self.pulse.written.set(self.pulse.written.get() + *count as u64);
        }
    }
}

impl AsyncRead for Counted {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.first.is_empty() {
            let count = this.first.len().min(buf.remaining());
            buf.put_slice(&this.first[..count]);
            this.first.advance(count);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.io).poll_read(cx, buf);
        this.pulse.read.set(this.pulse.read.get() + (buf.filled().len() - before) as u64);
        polled
    }
}

impl AsyncWrite for Counted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.io).poll_write(cx, buf);
        this.wrote(&polled);
        polled
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = crate::gather::write(Pin::new(&mut this.io), cx, bufs);
        this.wrote(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    fn dog() -> Watchdog {
        Watchdog::new(Span::from_millis(100), Span::from_millis(300), Span::from_secs(2), at(0))
    }

    #[test]
    fn the_first_head_is_owed_from_the_beginning() {
        let (mut dog, pulse) = (dog(), Pulse::default());
        assert_eq!((dog.look(&pulse, at(90)), dog.look(&pulse, at(100))), (None, Some(Dead::SlowHead)));
    }

    #[test]
    fn a_head_may_trickle_no_longer_than_one_that_stops() {
        let (mut dog, pulse) = (dog(), Rc::new(Pulse::default()));
        drop(InService::begin(&pulse, None));
        dog.look(&pulse, at(10));
        for millis in 20..=120 {
            pulse.read.set(millis);
            assert_eq!(dog.look(&pulse, at(millis)), (millis == 120).then_some(Dead::SlowHead));
        }
    }

    #[test]
    fn a_connection_that_asks_again_is_not_idle() {
        let (mut dog, pulse) = (dog(), Rc::new(Pulse::default()));
        for millis in [0, 200, 400] {
            drop(InService::begin(&pulse, None));
            assert_eq!(dog.look(&pulse, at(millis)), None);
        }
        assert_eq!(dog.look(&pulse, at(700)), Some(Dead::Idle));
    }

    #[test]
    fn waiting_for_a_worker_is_not_the_clients_fault() {
        let (mut dog, pulse) = (dog(), Rc::new(Pulse::default()));
        let _service = InService::begin(&pulse, None);
        dog.look(&pulse, at(0));
        assert_eq!(dog.look(&pulse, at(60_000)), None);
    }

    #[test]
    fn an_upload_that_trickles_is_stalled_and_one_that_flows_is_not() {
        for (step, dead) in [(2, Some(Dead::Stalled)), (100, None)] {
            let (mut dog, pulse) = (dog(), Rc::new(Pulse::default()));
            let _service = InService::begin(&pulse, None);
            pulse.starved.set(true);
            let looks = (0..40).map(|look| {
                pulse.read.set(look * step);
                dog.look(&pulse, at(look * 10))
            });
            assert_eq!(looks.flatten().next(), dead, "{step} bytes each 10 ms");
        }
    }

    #[test]
    fn a_client_that_takes_nothing_is_stalled() {
        let (mut dog, pulse) = (dog(), Rc::new(Pulse::default()));
        let _service = InService::begin(&pulse, None);
        pulse.blocked.set(true);
        dog.look(&pulse, at(0));
        assert_eq!(dog.look(&pulse, at(300)), Some(Dead::Stalled));
    }

    #[test]
    fn within_an_answer_silence_is_borne_long_and_not_for_ever() {
        let (mut dog, pulse) = (dog(), Rc::new(Pulse::default()));
        let _service = InService::begin(&pulse, None);
        dog.look(&pulse, at(0));
        assert_eq!(dog.look(&pulse, at(60_000)), None, "a head has its deadline");
        pulse.answer_begins();
        pulse.starved.set(true);
        for seconds in 61..70 {
            pulse.written.set(seconds);
            assert_eq!(dog.look(&pulse, at(seconds * 1_000)), None);
        }
        assert_eq!((dog.look(&pulse, at(70_999)), dog.look(&pulse, at(71_000))), (None, Some(Dead::Silent)));
    }
}
