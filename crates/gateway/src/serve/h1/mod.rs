//! Serves a client's connection of HTTP/1: one request at a time, in the order in which they came.
//!
//! ```text
//!          head                        reply                     both persist, body has come
//! Idle ----------> Answering (a try) ----------> Writing ---------------------------------------> Idle
//!   |  \ refused: 400 413 414 417 431 501 505       |  \ answer broke off: reset
//!   |                 |                             |   \ 101: tunnel
//!   |                 \ client left: try dropped     \ else: half close, a second for the client to read, close
//!   \ told to leave, ended, idle_timeout: close; header_timeout: 408, close
//! ```
//! While an answer is awaited the socket is watched, so that a client that leaves frees its worker at once. What it
//! sends ahead waits, a few heads here and the rest in the kernel.

mod reply;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use ambidex_core::time::Span;
use ambidex_http1::{Asked, Framing, HeadReader, Refusal, RequestHead, ResponseHead, Version};
use ambidex_tower::Timer as _;

use super::client_wire::ClientWire;
use super::exchange::{Client, Errand, Reply};
use super::pulse::{Dead, InService};
use super::tunnel::Tunnel;
use crate::body::RequestBody;
use crate::pieces::Pieces;
use crate::reason::Reason;
use crate::request::Request;

/// How a connection ended.
pub(crate) enum Ended {
    /// Nothing more will be read or written.
    Closed,
    /// An answer broke off: the client must see that.
    Abort,
    /// It is another protocol's now.
    Tunnel(Box<Tunnel>),
}

/// One connection.
pub(crate) struct Connection1 {
    pub(super) client: Rc<Client>,
    pub(super) wire: Rc<ClientWire>,
    /// It was told to finish.
    leaving: Cell<bool>,
    /// Interim answers that wait to be written.
    interim: RefCell<Pieces>,
    /// The answer to the present request has begun.
    answered: Cell<bool>,
}

/// What of a request its answer must know.
#[derive(Clone, Copy)]
struct Terms {
    asked: Asked,
    version: Version,
    /// The client keeps the connection open.
    persists: bool,
    trailers: bool,
}

/// How an answer ended.
enum Written {
    /// The client may ask again.
    Whole,
    /// The connection must end.
    Last,
    /// The answer broke off.
    Broken,
}

impl Connection1 {
    pub(crate) fn new(client: Rc<Client>, wire: Rc<ClientWire>) -> Self {
        Self { client, wire, leaving: Cell::new(false), interim: RefCell::default(), answered: Cell::new(false) }
    }

    /// Ends the connection after the request under way.
    pub(crate) fn leave(&self) {
        self.leaving.set(true);
    }

    /// What a client hears whose connection is cut: 408 where it owes us something and was told nothing yet.
    pub(crate) fn cut(&self, dead: Dead) {
        let owes = match dead {
            Dead::SlowHead => self.wire.ahead() > 0,
            Dead::Stalled => !self.wire.body_is_whole() && !self.answered.get(),
            Dead::Idle | Dead::Silent => false,
        };
        if owes {
            let service = InService::begin(&self.client.pulse, None);
            let own = if dead == Dead::SlowHead {
                let Reply::Own(own) = self.client.refuse(Reason::SlowHead, &"cut", service) else { return };
                own
            } else {
                // The request under way is counted and recorded as what it is: one that got no answer of a worker's.
                self.client.thread.stats.refused(Reason::SlowBody);
                Errand::unrecorded(service).own(Reason::SlowBody)
            };
            let mut pieces = self.own_pieces(&own, Terms::UNKNOWN, true);
            let mut cx = Context::from_waker(std::task::Waker::noop());
            // One look: a client that does not even take this is closed all the same.
            if self.wire.poll_flush(&mut cx, &mut pieces).is_ready() {
                let _ = self.wire.poll_shutdown(&mut cx);
            }
        }
    }

    /// Serves until the connection ends.
    pub(crate) async fn serve(self: &Rc<Self>) -> Ended {
        loop {
            let mut reader = HeadReader::default();
            let head = match poll_fn(|cx| self.poll_head(cx, &mut reader)).await {
                Ok(Some(head)) => head,
                Ok(None) => return Ended::Closed,
                Err(refusal) => {
                    if refusal.may_answer() {
                        Box::pin(self.refuse(refusal)).await;
                    }
                    return Ended::Closed;
                }
            };
            if let Some(ended) = self.client.thread.places.put(|| Rc::clone(self).exchange(head)).await {
                return ended;
            }
        }
    }

    fn poll_head(&self, cx: &mut Context<'_>, reader: &mut HeadReader) -> Poll<Result<Option<RequestHead>, Refusal>> {
        let lists = &self.client.thread.lists;
        let mut fields = lists.take();
        let polled = self.wire.poll_head(cx, reader, &mut fields, self.leaving.get());
        if !matches!(polled, Poll::Ready(Ok(Some(_)))) {
            lists.give(fields);
        }
        polled
    }

    /// Answers what could not be read as a request.
    async fn refuse(&self, refusal: Refusal) {
        let service = InService::begin(&self.client.pulse, None);
        if let Reply::Own(own) = self.client.refuse(Reason::of_message(refusal), &refusal, service) {
            self.own(own, Terms::UNKNOWN, true).await;
            self.linger(true).await;
        }
    }

    /// Serves one request; says how the connection ended, if it did.
    async fn exchange(self: Rc<Self>, head: RequestHead) -> Option<Ended> {
        let client = &self.client;
        let terms = Terms::of(&head);
        self.answered.set(false);
        let framing = head.head().framing();
        self.wire.begin_body(framing, head.expects_continue());
        let body = match framing {
            Framing::None => RequestBody::default(),
            Framing::Length(_) | Framing::Chunked | Framing::UntilClose | Framing::Tunnel => {
                let most = client.peer.settings.listener.max_body.map_or(u64::MAX, |most| most.get());
                RequestBody::of_connection(&self.wire, client.pulse.starved(), most)
            }
        };
        let version = if terms.version == Version::Http11 { http::Version::HTTP_11 } else { http::Version::HTTP_10 };
        let request = Request::new(head, version, body);
        let reply = self.reply(&request, terms).await;
        client.thread.lists.give(request.head.recycle());
        let Some(reply) = reply else { return Some(Ended::Closed) };
        self.answered.set(true);
        let written = match reply {
            Reply::Relayed(relayed) => self.relayed(relayed, terms).await,
            Reply::Own(own) => {
                let closes = own.reason.closes();
                self.own(own, terms, closes).await
            }
            Reply::Switched(head, tunnel, service) => return Some(self.switched(&head, tunnel, service, terms).await),
        };
        client.pulse.ahead(self.wire.ahead() as u64);
        match written {
            Written::Whole if self.wire.body_is_whole() => None,
            Written::Whole | Written::Last => {
                self.linger(!self.wire.body_is_whole() || self.wire.ahead() > 0).await;
                Some(Ended::Closed)
            }
            Written::Broken => Some(Ended::Abort),
        }
    }

    /// Has the request answered; `None` when its client left first.
    async fn reply(&self, request: &Request, terms: Terms) -> Option<Reply> {
        let service = InService::begin(&self.client.pulse, None);
        let take = |head: &ResponseHead| self.take_interim(head, terms);
        let interim: Option<&dyn Fn(&ResponseHead)> = if terms.version == Version::Http11 { Some(&take) } else { None };
        let mut answer = pin!(self.client.answer(request, service, interim));
        poll_fn(|cx| {
            if let Poll::Ready(reply) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(reply));
            }
            let mut interim = self.interim.borrow_mut();
            if !interim.is_empty() && matches!(self.wire.poll_flush(cx, &mut interim), Poll::Ready(Err(_))) {
                return Poll::Ready(None);
            }
            self.wire.poll_left(cx).map(|()| None)
        })
        .await
    }

    /// Ends our side, and lets the client read what it was told: closing over unread bytes would reset the connection,
    /// and the answer with it (RFC 9112, 9.6).
    async fn linger(&self, unread: bool) {
        if !unread && !self.client.peer.is_tls() {
            return;
        }
        let alarms = &self.client.thread.alarms;
        let mut late = pin!(alarms.at(self.client.thread.clock.now() + LINGER));
        let (mut shut, mut left) = (false, MOST_DRAINED);
        poll_fn(|cx| {
            if !shut {
                match self.wire.poll_shutdown(cx) {
                    Poll::Ready(Ok(())) => shut = true,
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Pending => return late.as_mut().poll(cx),
                }
            }
            if !unread || self.wire.poll_drain(cx, &mut left).is_ready() {
                return Poll::Ready(());
            }
            late.as_mut().poll(cx)
        })
        .await;
    }
}

impl Terms {
    /// Of a head that could not be read.
    const UNKNOWN: Self = Self {
        asked: Asked { head: false, connect: false, upgrade: false },
        version: Version::Http11,
        persists: false,
        trailers: false,
    };

    fn of(head: &RequestHead) -> Self {
        Self {
            asked: Asked::of(head.method(), head.head().wants_upgrade()),
            version: head.head().version(),
            persists: head.head().persists(),
            trailers: head.takes_trailers(),
        }
    }
}

/// How long a client may take to read an answer after which its connection is closed. Source: Apache's lingering close
/// waits 2 s for each read; a round trip or two are enough.
const LINGER: Span = Span::from_secs(1);
/// Bytes that are read and forgotten meanwhile. Source: a second at 8 Mbit/s.
const MOST_DRAINED: usize = 1 << 20;
