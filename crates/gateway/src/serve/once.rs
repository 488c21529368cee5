//! Requests with an idempotency key: run once, answered as often as they come.
//!
//! ```text
//! key ── body held ── begin ──┬── Run ── send, on a task of its own ── whole answer kept ── finish ── answer
//!    \ 400        \ 413       │                                    \ too large, streaming: passed on as it comes
//!                             ├── Replay ── the first one's answer, `Ambidex-Replayed: true`
//!                             ├── 409 in progress (`Retry-After`), 409 no answer to give, 422 another request
//!                             └── no room, store away: uncovered, `Ambidex-Uncovered: full | away`; or 503
//! ```
//! **Why on a task of its own.** A client that gives up is the very one that comes again. What it began goes on without
//! it, and its repeat gets the answer. The task holds the request's body and at most `max_answer` of its answer.
//!
//! **When a request is sent again.** A covered request is sent once, unless its worker never got any of it, or the
//! route says that its workers know the keys themselves (`worker_knows_keys`): only then does running it twice no
//! harm, and retries and hedges may send it again. How it ended is decided by one rule: what provably never began
//! leaves no trace; what was answered whole is kept; of everything else nobody knows whether it ran, so its key stays
//! used and repeats get a conflict, or, where the worker knows keys, the key is free and the worker decides.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use ambidex_core::again::dedup::{End, Gone, Keyed, Terms, Verdict};
use ambidex_core::time::{Mono, Span};
use ambidex_http1::{Known, Name, ResponseHead};
use ambidex_tower::Timer as _;
use ambidex_tower::outcome::SHED;
use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use http_body::Frame;
use tokio::sync::{mpsc, oneshot};

use super::answer::Notes;
use super::exchange::{Client, Errand, Own, Ready, Relayed, Reply};
use super::pulse::InService;
use crate::config::{Deduplicate, WhenAway};
use crate::extras::Extras;
use crate::keys::{Begun, Named, Outcome, Ticket, Unnamed};
use crate::reason::Reason;
use crate::record::Entry;
use crate::relay::Relay;
use crate::request::Request;
use crate::stored::Stored;

impl Client {
    /// Answers a request that [`may_have_key`], if its repeats are to be known; else it is to be sent as any other.
    pub(super) async fn once(
        &self,
        settings: &Deduplicate,
        request: &Request,
        ready: &Ready,
        errand: Errand,
        interim: Option<&dyn Fn(&ResponseHead)>,
    ) -> ControlFlow<Result<Reply, Own>, Errand> {
        match self.keyed(settings, request, ready).await {
            Err(reason) => return ControlFlow::Break(Err(errand.own(reason))),
            Ok(Some(keyed)) if settings.mode.acts() => {
                return ControlFlow::Break(self.on_a_task(request, ready.clone(), errand, interim, keyed).await);
            }
            Ok(Some((keyed, terms))) => {
                let keys = self.thread.stores().keys();
                keys.counts.add(Outcome::of(&keys.watch(self.thread.clock.now(), keyed, terms)), false);
            }
            Ok(None) => {}
        }
        ControlFlow::Continue(errand)
    }

    /// What a request is known by, its body held for that; `None` where its repeats are not to be known.
    async fn keyed(
        &self,
        settings: &Deduplicate,
        request: &Request,
        ready: &Ready,
    ) -> Result<Option<(Keyed, Terms)>, Reason> {
        let acts = settings.mode.acts();
        let named = match Named::read(&request.head, &settings.header) {
            Ok(named) => named,
            Err(Unnamed::Bad) if acts => return Err(Reason::BadKey),
            Err(Unnamed::Missing) if acts && settings.required => return Err(Reason::NoKey),
            Err(Unnamed::Bad | Unnamed::Missing) => return Ok(None),
        };
        if !self.hold(request, settings.max_body, ready).await? {
            return if acts { Err(Reason::BodyTooLarge) } else { Ok(None) };
        }
        let label = ready.picture.front.routes.label(ready.target.route);
        let keyed = named.bind(settings, &label, &request.head, request.held());
        Ok(Some((keyed, settings.terms(ready.plan.config.deadline))))
    }

    /// Has a task of its own answer, and waits for it.
    async fn on_a_task(
        &self,
        request: &Request,
        ready: Ready,
        errand: Errand,
        interim: Option<&dyn Fn(&ResponseHead)>,
        keyed: (Keyed, Terms),
    ) -> Result<Reply, Own> {
        let Errand { entry, service } = errand;
        let ((tell, mut told), (hint, mut hints)) = (oneshot::channel(), mpsc::channel::<ResponseHead>(MOST_HINTS));
        let takes_hints = interim.is_some();
        let (client, request_alone) = (self.alone(), request.alone());
        let task = Alone { client, request: request_alone, extras: Arc::clone(ready.extras()), keyed };
        tokio::task::spawn_local(async move {
            // Nobody misses what finds no place.
            let pass = |head: &ResponseHead| drop(hint.try_send(head.clone()));
            let interim: Option<&dyn Fn(&ResponseHead)> = if takes_hints { Some(&pass) } else { None };
            // A client that is gone needs no answer; then what it got is dropped here, recorded as not complete.
            let _ = tell.send(task.answer(ready, entry, interim).await);
        });
        let answered = poll_fn(|cx| {
            while let Poll::Ready(Some(head)) = hints.poll_recv(cx) {
                interim.iter().for_each(|tell| tell(&head));
            }
            pin!(&mut told).poll(cx)
        });
        let Ok(answered) = answered.await else {
            return Err(Errand { entry: Entry::default(), service }.own(Reason::UpstreamReset));
        };
        match answered {
            Answered::Kept { stored, notes, entry } => Errand { entry, service }.kept(self, request, &stored, notes),
            Answered::Going { mut relayed, ahead } => {
                relayed.relay.hand_over(ahead, service);
                Ok(Reply::Relayed(*relayed))
            }
            Answered::Own(own) => Err(Own { service, ..*own }),
        }
    }

    /// The same client for a task that may outlive its connection.
    fn alone(&self) -> Self {
        Self::new(std::rc::Rc::clone(&self.thread), self.peer.again(), std::rc::Rc::default())
    }
}

/// A request whose answer does not depend on its client.
struct Alone {
    client: Client,
    request: Request,
    extras: Arc<Extras>,
    keyed: (Keyed, Terms),
}

/// What a task came to.
enum Answered {
    /// An answer in memory.
    Kept { stored: Stored, notes: Notes, entry: Entry },
    /// An answer that is on its way, and what was read of it.
    Going { relayed: Box<Relayed>, ahead: VecDeque<Frame<Bytes>> },
    /// An answer of our own; its service is the task's.
    Own(Box<Own>),
}

/// What came of reading an answer.
enum Read {
    Whole(Bytes),
    /// It is larger than may be kept, or takes too long.
    Beyond(VecDeque<Frame<Bytes>>),
    Broken,
}

impl Alone {
    async fn answer(mut self, ready: Ready, entry: Entry, interim: Option<&dyn Fn(&ResponseHead)>) -> Answered {
        let extras = Arc::clone(&self.extras);
        let Some(settings) = &extras.deduplicate else { unreachable!("the stage is of this route") };
        self.request.may_run_twice = Some(false);
        let thread = &self.client.thread;
        let (stores, claim) = (thread.stores(), thread.id());
        let keys = stores.keys();
        let begun = keys.begin(settings.store, stores.remote(), self.keyed, thread.clock, claim).await;
        let count = |outcome| keys.counts.add(outcome, true);
        match begun {
            Begun::Run(ticket) => {
                count(Outcome::Ran);
                self.request.may_run_twice = Some(settings.worker_knows_keys);
                self.run(settings, ready, entry, interim, Some(ticket), None).await
            }
            Begun::Not(verdict) => {
                count(Outcome::of(&verdict));
                match verdict {
                    Verdict::Replay(stored) => {
                        let mut notes = Notes::default();
                        notes.add(const { Name::literal("ambidex-replayed") }, "true");
                        Answered::Kept { stored, notes, entry }
                    }
                    Verdict::Conflict { retry_after } => self.own(entry, Reason::InProgress, Some(retry_after)),
                    Verdict::Lost(Gone::Unknown) => self.own(entry, Reason::AnswerLost, None),
                    Verdict::Lost(Gone::TooLarge) => self.own(entry, Reason::AnswerTooLarge, None),
                    Verdict::Lost(Gone::Dropped) => self.own(entry, Reason::AnswerDropped, None),
                    Verdict::Mismatch => self.own(entry, Reason::KeyReused, None),
                    Verdict::Full(_) | Verdict::Run(_) => {
                        self.run(settings, ready, entry, interim, None, Some("full")).await
                    }
                }
            }
            Begun::Away(ticket) => match settings.when_store_is_away {
                WhenAway::Run => {
                    count(Outcome::AwayRan);
                    self.run(settings, ready, entry, interim, ticket, Some("away")).await
                }
                WhenAway::Refuse => {
                    count(Outcome::AwayRefused);
                    if let Some(ticket) = ticket {
                        // It may have been granted: given back, or every repeat would meet a request that never ran.
                        tokio::task::spawn_local(ticket.finish(End::Never));
                    }
                    self.own(entry, Reason::StoreAway, Some(Span::from_secs(1)))
                }
            },
        }
    }

    /// Sends it, keeps its answer, and says how it ended.
    async fn run(
        &self,
        settings: &Deduplicate,
        ready: Ready,
        entry: Entry,
        interim: Option<&dyn Fn(&ResponseHead)>,
        ticket: Option<Ticket>,
        uncovered: Option<&'static str>,
    ) -> Answered {
        let service = InService::begin(&self.client.pulse, None);
        let errand = Errand { entry, service };
        let late = ready.plan.arrived + ready.plan.config.deadline.times(2);
        let sent = Box::pin(self.client.send(&self.request, &ready, errand, interim)).await;
        let unsure = ticket.as_ref().map_or(End::Never, Ticket::unsure);
        let (mut answered, end) = match sent {
            Ok(Reply::Relayed(relayed)) => self.read(settings, relayed, late, unsure).await,
            Ok(Reply::Own(own)) | Err(own) => {
                let end = if never_began(own.reason) { End::Never } else { unsure };
                (Answered::Own(Box::new(own)), end)
            }
            Ok(Reply::Switched(..)) => unreachable!("nothing was asked to be switched"),
        };
        if let Some(why) = uncovered {
            answered.note(const { Name::literal("ambidex-uncovered") }, why);
        }
        if let Some(ticket) = ticket {
            ticket.finish(end).await;
        }
        answered
    }

    /// Reads a worker's answer as far as it may be kept.
    async fn read(
        &self,
        settings: &Deduplicate,
        mut relayed: Relayed,
        late: Mono,
        unsure: End<Stored>,
    ) -> (Answered, End<Stored>) {
        let head = &relayed.head;
        let status = head.status();
        // What is kept as its own answer is the worker's; a second best one says nothing of the request.
        let second_best = relayed.relay.is_kept();
        let not_begun = settings.not_begun.contains(&status.as_u16())
            || (status == StatusCode::SERVICE_UNAVAILABLE && head.head().get(SHED.as_str().as_bytes()).is_some());
        let failed = second_best || (status.is_server_error() && settings.worker_knows_keys);
        let most = if streams(head) { 0 } else { settings.max_answer };
        let read = self.read_body(&mut relayed.relay, most, late).await;
        let (answered, end) = match read {
            Read::Broken => {
                let Relayed { relay, notes, .. } = relayed;
                let (entry, service) = relay.part();
                let own = Own { notes, ..Errand { entry, service }.own(Reason::UpstreamReset) };
                return (Answered::Own(Box::new(own)), unsure);
            }
            Read::Beyond(ahead) => {
                (Answered::Going { relayed: Box::new(relayed), ahead }, End::Without(Gone::TooLarge))
            }
            Read::Whole(body) => {
                let stored = Stored::of(&relayed.head, self.client.thread.clock.now()).with_body(body);
                let Relayed { relay, notes, .. } = relayed;
                let (entry, _) = relay.part();
                let bytes = (stored.head().len() + stored.body().len()) as u64;
                (Answered::Kept { stored: stored.clone(), notes, entry }, End::Answer(stored, bytes))
            }
        };
        let end = if not_begun {
            End::Never
        } else if failed {
            unsure
        } else {
            end
        };
        (answered, end)
    }

    async fn read_body(&self, relay: &mut Relay, most: usize, late: Mono) -> Read {
        let mut late = pin!(self.client.thread.alarms.at(late));
        let (mut ahead, mut bytes) = (VecDeque::new(), 0);
        loop {
            let next = poll_fn(|cx| match relay.poll_next(cx) {
                Poll::Ready(next) => Poll::Ready(Some(next)),
                Poll::Pending => late.as_mut().poll(cx).map(|()| None),
            });
            let frame = match next.await {
                None => return Read::Beyond(ahead),
                Some(None) => break,
                Some(Some(Err(_))) => return Read::Broken,
                Some(Some(Ok(frame))) => frame,
            };
            bytes += frame.data_ref().map_or(0, Bytes::len);
            ahead.push_back(frame);
            if bytes > most {
                return Read::Beyond(ahead);
            }
        }
        let mut whole = BytesMut::with_capacity(bytes);
        // Trailers of an answer that is kept are left out (RFC 9110, 6.5.1).
        ahead.iter().filter_map(Frame::data_ref).for_each(|data| whole.extend_from_slice(data));
        Read::Whole(whole.freeze())
    }

    fn own(&self, entry: Entry, reason: Reason, retry_after: Option<Span>) -> Answered {
        let service = InService::begin(&self.client.pulse, None);
        let mut own = Errand { entry, service }.own(reason);
        if let Some(after) = retry_after {
            let seconds = after.as_millis().div_ceil(1_000).max(1).to_string();
            own.notes.add(const { Name::literal("retry-after") }, &seconds);
        }
        Answered::Own(Box::new(own))
    }
}

impl Answered {
    fn note(&mut self, name: Name<'static>, text: &'static str) {
        match self {
            Self::Kept { notes, .. } => notes.add(name, text),
            Self::Going { relayed, .. } => relayed.notes.add(name, text),
            Self::Own(own) => own.notes.add(name, text),
        }
    }
}

/// Whether a request is one whose repeats may be known.
pub(super) fn may_have_key(request: &Request, ready: &Ready) -> bool {
    let changes = ready.upgrade || request.websocket.is_some();
    !changes && !is_safe(request.head.method())
}

/// Methods that change nothing (RFC 9110, 9.2.1): a repeat of theirs may run.
fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE)
}

/// Whether a refusal says that no worker got the request.
const fn never_began(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::NoPool
            | Reason::NobodyReady
            | Reason::Connect
            | Reason::UpstreamTls
            | Reason::Shed
            | Reason::Full
            | Reason::Throttled
    )
}

/// Whether an answer is read while it is made, so that it cannot wait until it is whole.
fn streams(head: &ResponseHead) -> bool {
    let kind = head.head().first(Known::ContentType).map_or(&[][..], |kind| kind.as_bytes());
    [&b"text/event-stream"[..], b"application/grpc", b"multipart/x-mixed-replace"]
        .iter()
        .any(|streaming| kind.get(..streaming.len()).is_some_and(|start| start.eq_ignore_ascii_case(streaming)))
}

/// Interim answers on their way from the task to its client. Source: ours; more than one is rare.
const MOST_HINTS: usize = 8;
