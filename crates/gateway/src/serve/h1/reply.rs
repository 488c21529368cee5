//! Writes answers to a client's connection of HTTP/1: head and first data at once, then data as it comes.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use ambidex_http1::write::{self, Connection, Edits, ResponsePlan};
use ambidex_http1::{BodyEncoder, Framing, Name, ResponseHead, Version};
use http::StatusCode;

use super::{Connection1, Ended, Terms, Written};
use crate::head::OURS;
use crate::pieces::Pieces;
use crate::relay::Relay;
use crate::serve::client_wire::ClientWire;
use crate::serve::exchange::{Own, Relayed};
use crate::serve::pulse::InService;
use crate::serve::tunnel::Tunnel;
use crate::splice::{Pump, PumpError};
use crate::upstream::AnswerError;

/// An answer on its way.
struct Writing {
    pieces: Pieces,
    encoder: BodyEncoder,
    ended: bool,
    /// The connection ends with it.
    last: bool,
    /// The client takes trailers.
    trailers: bool,
    /// Moves what is left of a long plain body.
    pump: Option<Pump>,
}

/// An answer that has not ended: dropped with its connection, it makes the connection's end a reset. A client that takes
/// the end for the answer's would take half of it for the whole, and the kernel would keep what one that never reads did
/// not take, some megabytes, for minutes.
struct Unfinished<'w>(&'w ClientWire);

impl Unfinished<'_> {
    fn has_ended(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Connection1 {
    /// Writes a worker's answer as it comes.
    pub(super) async fn relayed(&self, relayed: Relayed, terms: Terms) -> Written {
        let mut pieces = self.begun();
        let connection = terms.connection(!terms.persists || self.leaving.get());
        let written = relayed.planned(terms.asked, terms.version, connection, |plan| {
            write::response(&mut pieces.text, &relayed.head, plan).map(|()| (plan.framing, plan.connection.close))
        });
        let Ok((framing, last)) = written else { return Written::Broken };
        let Relayed { head, mut relay, .. } = relayed;
        let silent = head.head().framing() == Framing::None;
        // Its bytes are the worker's buffer, which can be used again now.
        self.client.thread.lists.give(head.recycle());
        let encoder = BodyEncoder::new(if silent { Framing::None } else { framing });
        let mut writing = Writing { pieces, encoder, ended: false, last, trailers: terms.trailers, pump: None };
        self.client.pulse.answer_begins();
        let unfinished = Unfinished(&self.wire);
        let written = poll_fn(|cx| self.poll_relay(cx, &mut writing, &mut relay)).await;
        unfinished.has_ended();
        self.client.thread.texts.give(writing.pieces.take_text());
        written
    }

    fn poll_relay(&self, cx: &mut Context<'_>, writing: &mut Writing, relay: &mut Relay) -> Poll<Written> {
        loop {
            if let Some(pump) = &mut writing.pump {
                if let Some(failed) = ready!(self.poll_pump(cx, pump, &mut writing.encoder, relay)) {
                    return Poll::Ready(failed);
                }
                writing.pump = None;
            }
            let Ok(waits) = writing.fill(cx, relay) else { return Poll::Ready(Written::Broken) };
            if ready!(self.wire.poll_flush(cx, &mut writing.pieces)).is_err() {
                return Poll::Ready(Written::Last);
            }
            if writing.ended {
                return Poll::Ready(if writing.last { Written::Last } else { Written::Whole });
            }
            if self.wire.is_tcp()
                && let Some(length) = relay.pumpable()
            {
                // Without a pipe it is copied.
                writing.pump = Pump::new(&self.client.thread.pipes, length).ok();
                if writing.pump.is_some() {
                    continue;
                }
            }
            if waits {
                // Between two pieces of an answer the client may leave as well as before it.
                return self.wire.poll_left(cx).map(|()| Written::Last);
            }
        }
    }

    /// Moves the rest of a long body from socket to socket; ends with what went wrong, if anything did.
    fn poll_pump(
        &self,
        cx: &mut Context<'_>,
        pump: &mut Pump,
        encoder: &mut BodyEncoder,
        relay: &mut Relay,
    ) -> Poll<Option<Written>> {
        loop {
            let Some(polled) = relay.body.tcp().and_then(|from| self.wire.poll_pump(cx, pump, from)) else {
                unreachable!("a pump is made for two sockets of TCP");
            };
            match polled {
                Poll::Ready(Ok(moved)) => {
                    let announced = usize::try_from(moved.bytes).map(|bytes| encoder.data(bytes));
                    debug_assert!(matches!(announced, Ok(Ok(_))), "a pump moves what was announced");
                    relay.moved(moved.bytes);
                    if moved.done {
                        return Poll::Ready(None);
                    }
                }
                Poll::Ready(Err(PumpError::To(_))) => return Poll::Ready(Some(Written::Last)),
                Poll::Ready(Err(error @ (PumpError::Early { .. } | PumpError::From(_)))) => {
                    relay.broke_off(&AnswerError::Pump(error));
                    return Poll::Ready(Some(Written::Broken));
                }
                Poll::Pending => return self.wire.poll_left(cx).map(|()| Some(Written::Last)),
            }
        }
    }

    /// Writes an answer of our own.
    pub(super) async fn own(&self, own: Own, terms: Terms, closes: bool) -> Written {
        self.wire.skip_body();
        let last = closes || !terms.persists || self.leaving.get() || !self.wire.body_is_whole();
        let mut pieces = self.own_pieces(&own, terms, last);
        let written = poll_fn(|cx| self.wire.poll_flush(cx, &mut pieces)).await;
        if last || written.is_err() { Written::Last } else { Written::Whole }
    }

    pub(super) fn own_pieces(&self, own: &Own, terms: Terms, last: bool) -> Pieces {
        let mut pieces = self.begun();
        let status = own.reason.status();
        let written = own.planned(terms.asked, terms.version, terms.connection(last), |plan| {
            write::answer(&mut pieces.text, status, plan)
        });
        if written.is_ok() && !terms.asked.head {
            pieces.text.extend_from_slice(own.reason.sentence().as_bytes());
        }
        pieces
    }

    /// Tells the client that the worker agreed to change the protocol.
    pub(super) async fn switched(
        &self,
        head: &ResponseHead,
        tunnel: Box<Tunnel>,
        service: InService,
        terms: Terms,
    ) -> Ended {
        let mut pieces = self.begun();
        let named = head.head().first(ambidex_http1::Known::Upgrade);
        let upgrade = named.and_then(|name| Name::checked(name.as_bytes()));
        let connection = Connection { upgrade, ..Connection::default() };
        let edits = Edits { drop: OURS, ..Edits::default() };
        let plan = ResponsePlan { edits, connection, framing: Framing::Tunnel, asked: terms.asked, to: terms.version };
        let told = write::response(&mut pieces.text, head, &plan).is_ok() && self.wire.body_is_whole();
        if !told || poll_fn(|cx| self.wire.poll_flush(cx, &mut pieces)).await.is_err() {
            return Ended::Abort;
        }
        drop(service);
        Ended::Tunnel(tunnel)
    }

    /// Takes an interim answer on. 100 is between us and the worker: the client got it, or did not wait for it.
    pub(super) fn take_interim(&self, head: &ResponseHead, terms: Terms) {
        let mut pieces = self.interim.borrow_mut();
        if head.status() == StatusCode::CONTINUE || pieces.is_full() {
            return;
        }
        let edits = Edits { drop: OURS, ..Edits::default() };
        let connection = Connection::default();
        let plan = ResponsePlan { edits, connection, framing: Framing::None, asked: terms.asked, to: terms.version };
        // What cannot be written is left out: nothing depends on an interim answer.
        let _ = write::response(&mut pieces.text, head, &plan);
    }

    /// What was begun before the answer, and must come out whole.
    fn begun(&self) -> Pieces {
        let mut pieces = self.interim.take();
        if pieces.is_empty() {
            pieces = Pieces::with(self.client.thread.texts.take());
        }
        pieces.text.extend_from_slice(self.wire.answer_begins());
        pieces
    }
}

impl Writing {
    /// Takes as much of the answer as fits; says whether there is nothing more for now. `Err`: it broke off.
    fn fill(&mut self, cx: &mut Context<'_>, relay: &mut Relay) -> Result<bool, ()> {
        while !self.ended && !self.pieces.is_full() {
            let Poll::Ready(frame) = relay.poll_next(cx) else { return Ok(true) };
            let filled = match frame.transpose().map_err(|_| ())?.map(http_body::Frame::into_data) {
                Some(Ok(data)) => self.pieces.data(&mut self.encoder, data),
                Some(Err(frame)) => {
                    self.ended = true;
                    self.pieces.end(&self.encoder, frame.trailers_ref().filter(|_| self.trailers))
                }
                None => {
                    self.ended = true;
                    self.pieces.end(&self.encoder, None)
                }
            };
            filled.map_err(|_| ())?;
        }
        Ok(false)
    }
}

impl Terms {
    fn connection(self, close: bool) -> Connection<'static> {
        Connection { close, keep_alive: !close && self.version == Version::Http10, ..Connection::default() }
    }
}
