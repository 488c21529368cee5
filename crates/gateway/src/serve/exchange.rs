//! One request, from its head to the head of its answer, whichever HTTP it came by.
//!
//! ```text
//! admission (gated.rs), where there is one
//! head ── host ── route ── id, trace ──┬── what the route wants beside that (stages.rs) ──┬── send (sending.rs)
//!     \ 405 421      \ 404             └── nothing: most routes ────────────────────────┘
//! ```

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use ambidex_core::attempt::AttemptConfig;
use ambidex_core::time::{Mono, Span};
use ambidex_core::zone::Home;
use ambidex_http1::{Framing, Head, Known, RequestHead, ResponseHead};
use ambidex_tower::{Clock, Flight, Plan};
use http::{Method, StatusCode};

use super::answer::Notes;
use super::pulse::{InService, Pulse};
use super::tunnel::Tunnel;
use crate::deadline;
use crate::extras::Extras;
use crate::front::Front;
use crate::head;
use crate::introduction::Introduction;
use crate::key;
use crate::limits;
use crate::listen::peer::Peer;
use crate::reason::Reason;
use crate::record::Entry;
use crate::recording::Take;
use crate::relay::Relay;
use crate::request::Request;
use crate::routes::Target;
use crate::thread::{Picture, Thread};
use crate::trace::context::Context;
use crate::trace::sampled::Sampled;
use crate::upstream::Switched;
use crate::watch::Observer;

/// What the requests of one connection share.
pub(crate) struct Client {
    pub(crate) thread: Rc<Thread>,
    pub(crate) peer: Peer,
    pub(crate) pulse: Rc<Pulse>,
    /// Which of its thread's connections it is.
    pub(crate) number: u64,
    pub(super) trusted: bool,
    pub(super) introduction: RefCell<Introduction>,
    /// The zone that it is in, by this table.
    home: Cell<Option<(Edition, Option<Home>)>>,
}

/// Of the table of zones: the front's revision, and which database of places is in force.
type Edition = (u64, u64);

/// What is known of a request that is ready to be sent. Lent to whoever has a part in sending it: it is large.
#[derive(Clone)]
pub(super) struct Ready {
    pub(super) plan: Plan,
    pub(super) target: Target,
    pub(super) picture: Rc<Picture>,
    pub(super) id: Option<[u8; 32]>,
    pub(super) upgrade: bool,
    /// In which field a worker is told the time that is left.
    pub(super) tell: Option<deadline::Field>,
    pub(super) sampled: Option<Rc<Sampled>>,
}

/// What goes with a request until its answer is over: its record, and its place in the connection's service.
pub(crate) struct Errand {
    pub(super) entry: Entry,
    pub(super) service: InService,
}

/// The answer to a request.
pub(crate) enum Reply {
    /// A worker's.
    Relayed(Relayed),
    /// Our own.
    Own(Own),
    /// The worker changes the protocol: what remains of both connections is to be joined after its answer.
    Switched(ResponseHead, Box<Tunnel>, InService),
}

/// A worker's answer that goes on to the client.
pub(crate) struct Relayed {
    pub(crate) head: ResponseHead,
    pub(crate) notes: Notes,
    pub(crate) relay: Box<Relay>,
}

/// An answer of our own, and what ends with it.
pub(crate) struct Own {
    pub(crate) reason: Reason,
    pub(crate) notes: Notes,
    pub(crate) entry: Entry,
    pub(crate) service: InService,
}

impl Ready {
    /// What its worker is told of the time that is left.
    pub(super) fn told<'a>(&self, clock: &'a Clock) -> Option<deadline::Told<'a>> {
        let until = self.plan.arrived + self.plan.config.deadline;
        self.tell.map(|field| deadline::Told { until, clock, field })
    }

    /// What the request's route wants done beside sending it.
    pub(super) fn extras(&self) -> &Arc<Extras> {
        self.picture.front.routes.extras(self.target.route)
    }
}

impl Errand {
    /// Ends when the connection does that the worker changed the protocol of.
    pub(super) fn switched(self, head: ResponseHead, worker: Switched, silence: Span, flight: Flight) -> Reply {
        let Self { entry, service } = self;
        Reply::Switched(head, Box::new(Tunnel { worker, entry, silence, flight }), service)
    }

    /// Of a request whose record is kept elsewhere.
    pub(super) fn unrecorded(service: InService) -> Self {
        Self { entry: Entry::default(), service }
    }

    /// Ends with an answer of our own.
    pub(crate) fn own(self, reason: Reason) -> Own {
        let Self { entry, service } = self;
        Own { reason, notes: Notes::default(), entry, service }
    }
}

impl Reply {
    /// Its status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Relayed(relayed) => relayed.head.status(),
            Self::Own(own) => own.reason.status(),
            Self::Switched(head, _, _) => head.status(),
        }
    }
}

impl Client {
    pub(crate) fn new(thread: Rc<Thread>, peer: Peer, pulse: Rc<Pulse>) -> Self {
        let trusted = |client: std::net::SocketAddr| {
            let ip = client.ip().to_canonical();
            peer.settings.listener.trusted.iter().any(|network| network.contains(&ip))
        };
        let trusted = peer.client.is_some_and(trusted);
        let introduction = RefCell::new(Introduction::new(peer.client, peer.tls.is_some(), trusted));
        let number = thread.stats.connections.get();
        Self { thread, peer, pulse, number, trusted, introduction, home: Cell::default() }
    }

    /// Answers one request. `interim` is told of interim answers.
    pub(crate) async fn answer(
        &self,
        request: &Request,
        service: InService,
        interim: Option<&dyn Fn(&ResponseHead)>,
    ) -> Reply {
        match self.thread.admission() {
            None => self.admitted(request, service, interim).await,
            Some(admission) => Box::pin(self.gated(admission, request, service, interim)).await,
        }
    }

    /// Answers one request that is to be served.
    pub(super) async fn admitted(
        &self,
        request: &Request,
        service: InService,
        interim: Option<&dyn Fn(&ResponseHead)>,
    ) -> Reply {
        let thread = &self.thread;
        let (arrived, mut entry) = self.begin(Some(request));
        let track = entry.track();
        let mut unanswered = Unanswered(Some(thread));
        let answered = match self.prepare(request, arrived, &mut entry) {
            Ok(mut ready) => {
                let errand = Errand { entry, service };
                if ready.extras().is_plain() {
                    self.send(request, &ready, errand, interim).await
                } else {
                    self.staged(request, &mut ready, errand, interim).await
                }
            }
            Err(reason) => Err(Errand { entry, service }.own(reason)),
        };
        unanswered.0 = None;
        let mut reply = match answered {
            Ok(reply) => reply,
            Err(own) => own.told(thread, *request.head.method() == Method::HEAD),
        };
        if let (Some(track), Reply::Relayed(relayed)) = (track, &mut reply) {
            relayed.relay.tap(Box::new(track));
        }
        thread.stats.answered(reply.status());
        reply
    }

    /// Answers what could not be read as a request.
    pub(crate) fn refuse(&self, reason: Reason, detail: &dyn std::fmt::Display, service: InService) -> Reply {
        let (_, mut entry) = self.begin(None);
        entry.note(|record| record.detail = detail.to_string());
        let reply = Errand { entry, service }.own(reason).told(&self.thread, false);
        self.thread.stats.answered(reply.status());
        reply
    }

    pub(super) fn begin(&self, request: Option<&Request>) -> (Mono, Entry) {
        let thread = &self.thread;
        thread.stats.requests.add(1);
        let arrived = thread.clock.now();
        let observer = thread.observer.borrow().clone();
        (arrived, observer.map_or_else(Entry::default, |observer| self.record(observer, request, arrived)))
    }

    /// Begins the record of a request, if anybody is to be told of it.
    fn record(&self, observer: Rc<Observer>, request: Option<&Request>, arrived: Mono) -> Entry {
        let take = request.zip(observer.reel.as_ref()).and_then(|(request, reel)| {
            let head = &request.head;
            let apart = self.thread.picture().front.routes.recording(head::host_of(head), head);
            reel.take(apart, request, self, arrived)
        });
        if take.is_none() && observer.pen.is_none() && observer.exporter.is_none() {
            return Entry::default();
        }
        if let Some((request, track)) = request.zip(take.as_ref().and_then(Take::upload)) {
            request.read_along(track);
        }
        let version = request.map_or(http::Version::HTTP_11, |request| request.version);
        let head = request.map(|request| &request.head);
        Entry::begin(observer, self.thread.clock, arrived, head, version, self.peer.client, take)
    }

    fn prepare(&self, request: &Request, arrived: Mono, entry: &mut Entry) -> Result<Ready, Reason> {
        let head = &request.head;
        let listener = &self.peer.settings.listener;
        if matches!(*head.method(), Method::CONNECT | Method::TRACE) || request.is_for_us() {
            return Err(Reason::BadMethod);
        }
        let host = head::host_of(head);
        if self.peer.is_misdirected(host) {
            return Err(Reason::Misdirected);
        }
        let picture = self.thread.picture();
        let (target, key) = picture.front.routes.find(host, head).ok_or(Reason::NoRoute)?;
        let key = key.and_then(|key| key::of(key, head, self.peer.client));
        entry.note(|record| {
            record.route = Some(picture.front.routes.label(target.route));
            record.pool = Some(Arc::clone(&picture.front.ways[target.way].pool));
        });
        if let (Framing::Length(length), Some(most)) = (request.framing(), listener.max_body)
            && length > most.get()
        {
            return Err(Reason::BodyTooLarge);
        }
        let upgrade = head::allowed_upgrade(head.head(), &listener.upgrades).is_some();
        let given = head.head().first(Known::XRequestId).filter(|_| self.trusted);
        let id = given.is_none().then(|| head::id_text(self.thread.id()));
        entry.note_id(id.as_ref().map_or_else(|| given.map_or(&[][..], |given| given.as_bytes()), |id| &id[..]));
        let sampled = self.sample(head.head());
        entry.note(|record| record.sampled.clone_from(&sampled));
        let config: AttemptConfig = target.config;
        let home = self.home(&picture.front, head);
        Ok(Ready {
            plan: Plan { arrived, config, key, home, costing: None },
            target,
            picture,
            id,
            upgrade,
            tell: None,
            sampled,
        })
    }

    /// The zone that a request comes from, if zones matter: its client's, whom a trusted peer may name.
    fn home(&self, front: &Front, head: &RequestHead) -> Option<Home> {
        let table = front.homes.as_ref()?;
        let peer = self.peer.client.map(|client| client.ip());
        if self.trusted {
            return table.of(limits::client_of(head, peer, &self.peer.settings.listener.trusted));
        }
        let edition = (front.revision, table.edition());
        match self.home.get() {
            Some((known, home)) if known == edition => home,
            Some(_) | None => {
                let home = table.of(peer);
                self.home.set(Some((edition, home)));
                home
            }
        }
    }

    /// Says whether the request's spans are recorded. When they are not, its trace context is passed on as it came.
    fn sample(&self, head: &Head) -> Option<Rc<Sampled>> {
        let observer = self.thread.observer.borrow();
        let exporter = observer.as_ref()?.exporter.as_ref()?;
        let came = head::trace(head);
        let sampled = match came {
            Some(context) => context.sampled,
            None => self.thread.unit() < exporter.config().sample().get(),
        };
        if !sampled {
            return None;
        }
        let (id, span) = (self.thread.id().to_be_bytes(), self.thread.span_id());
        let trace = came.map_or(id, |context| context.trace);
        let context = Context { trace, span, sampled };
        Some(Sampled::new(context, came.map(|context| context.span), self.thread.clock))
    }
}

/// Counts a request whose client left before its answer.
struct Unanswered<'a>(Option<&'a Thread>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(thread) = self.0 {
            thread.stats.answers[0].add(1);
        }
    }
}

impl Own {
    /// The answer, counted and recorded.
    pub(super) fn told(mut self, thread: &Thread, is_head: bool) -> Reply {
        let reason = self.reason;
        thread.stats.refused(reason);
        self.entry.note(|record| {
            (record.status, record.reason, record.complete) = (Some(reason.status()), Some(reason), true);
            record.bytes = if is_head { 0 } else { reason.sentence().len() as u64 };
        });
        Reply::Own(self)
    }
}
