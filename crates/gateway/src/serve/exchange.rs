//! One request, from its head to the head of its answer, whichever HTTP it came by.
//!
//! ```text
//! head ── host ── route ── pool ── id, trace ── Driver::drive ── report ── answer
//!     \ 405 421      \ 404    \ 503                  \ 502 503 504
//! ```

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use ambidex_core::attempt::{self, AttemptConfig};
use ambidex_core::time::Mono;
use ambidex_http1::{Framing, Head, Known, ResponseHead};
use ambidex_tower::{Answer, Driver, Plan};
use http::{Method, StatusCode};

use super::pulse::{InService, Pulse};
use super::tunnel::Tunnel;
use crate::body::Relay;
use crate::head::{self, REPORTS};
use crate::introduction::Introduction;
use crate::key;
use crate::listen::peer::Peer;
use crate::reason::Reason;
use crate::record::Entry;
use crate::report::hear_head;
use crate::request::{Request, Saying};
use crate::routes::Target;
use crate::thread::{Picture, Thread};
use crate::trace::context::Context;
use crate::trace::sampled::Sampled;
use crate::upstream::{self, Upstreams};

/// What the requests of one connection share.
pub(crate) struct Client {
    pub(crate) thread: Rc<Thread>,
    pub(crate) peer: Peer,
    pub(crate) pulse: Rc<Pulse>,
    trusted: bool,
    introduction: RefCell<Introduction>,
}

/// What is known of a request that is ready to be sent.
struct Ready {
    plan: Plan,
    target: Target,
    picture: Rc<Picture>,
    id: Option<[u8; 32]>,
    upgrade: bool,
    sampled: Option<Rc<Sampled>>,
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
    pub(crate) tries: usize,
    pub(crate) relay: Box<Relay>,
}

/// An answer of our own, and what ends with it.
pub(crate) struct Own {
    pub(crate) reason: Reason,
    pub(crate) entry: Entry,
    pub(crate) service: InService,
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
        let introduction = RefCell::new(Introduction::new(peer.client, peer.tls.is_some()));
        Self { thread, peer, pulse, trusted, introduction }
    }

    /// Answers one request. `interim` is told of interim answers.
    pub(crate) async fn answer(
        &self,
        request: &Request,
        service: InService,
        interim: Option<&dyn Fn(&ResponseHead)>,
    ) -> Reply {
        let thread = &self.thread;
        let (arrived, mut entry) = self.begin(Some(request));
        let mut unanswered = Unanswered(Some(thread));
        let answered = match self.prepare(request, arrived, &mut entry) {
            Ok(ready) => self.send(request, ready, entry, service, interim).await,
            Err(reason) => Err(Own { reason, entry, service }),
        };
        unanswered.0 = None;
        let reply = match answered {
            Ok(reply) => reply,
            Err(own) => own.told(thread, *request.head.method() == Method::HEAD),
        };
        thread.stats.answered(reply.status());
        reply
    }

    /// Answers what could not be read as a request.
    pub(crate) fn refuse(&self, reason: Reason, detail: &dyn std::fmt::Display, service: InService) -> Reply {
        let (_, mut entry) = self.begin(None);
        entry.note(|record| record.detail = detail.to_string());
        let reply = Own { reason, entry, service }.told(&self.thread, false);
        self.thread.stats.answered(reply.status());
        reply
    }

    fn begin(&self, request: Option<&Request>) -> (Mono, Entry) {
        let thread = &self.thread;
        thread.stats.requests.add(1);
        let arrived = thread.clock.now();
        let entry = thread.observer.borrow().clone().map_or_else(Entry::default, |observer| {
            let version = request.map_or(http::Version::HTTP_11, |request| request.version);
            let head = request.map(|request| &request.head);
            Entry::begin(observer, thread.clock, arrived, head, version, self.peer.client)
        });
        (arrived, entry)
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
        Ok(Ready { plan: Plan { arrived, config, key }, target, picture, id, upgrade, sampled })
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

    async fn send(
        &self,
        request: &Request,
        ready: Ready,
        mut entry: Entry,
        service: InService,
        interim: Option<&dyn Fn(&ResponseHead)>,
    ) -> Result<Reply, Own> {
        let Ready { plan, target, picture, id, upgrade, sampled } = ready;
        let thread = &self.thread;
        let Some(pool) = picture.view.pool(target.pool) else {
            return Err(Own { reason: Reason::NoPool, entry, service });
        };
        let way = &picture.front.ways[target.way];
        let seat = thread.seat_at(pool);
        let saying = Saying { introduction: &self.introduction, trusted: self.trusted, id, upgrade };
        let transport = Upstreams { thread, way, request, saying, interim, sampled };
        let driver = Driver { transport: &transport, seats: &*seat, timer: &thread.alarms, clock: thread.clock };
        let answer = match driver.drive(pool, plan, ()).await {
            Ok(answer) => answer,
            Err(refused) => {
                let reason = why_refused(request, refused.why);
                transport.sampled.iter().for_each(|sampled| sampled.refused(reason));
                entry.note(|record| {
                    record.tries = refused.tries;
                    record.worker = refused.last.map(|pick| Arc::clone(&pool.picked(pick).name));
                    record.detail = refused.detail;
                });
                return Err(Own { reason, entry, service });
            }
        };
        let Answer { response, flight, pick, at, tries, .. } = answer;
        let upstream::Answer { head, body } = *response;
        entry.note(|record| {
            record.tries = tries;
            record.worker = Some(Arc::clone(&pool.picked(pick).name));
            record.upstream = Some(at.since(plan.arrived));
            record.status = Some(head.status());
        });
        let speaker = way.hears_reports.then_some(pick.worker);
        if let Some(worker) = speaker.filter(|_| head.head().known().meets(REPORTS)) {
            hear_head(thread, worker, flight.cells(), head.head());
        }
        if head.status() == StatusCode::SWITCHING_PROTOCOLS {
            // RFC 9110, 7.8: only to what was asked for.
            let asked = request.head.head().first(Known::Upgrade).map(|name| name.as_bytes());
            let agreed = head.head().first(Known::Upgrade).map(|name| name.as_bytes());
            let agree = asked.zip(agreed).is_some_and(|(asked, agreed)| asked.eq_ignore_ascii_case(agreed));
            // HTTP/2 has no proof of its own that the worker has read the key.
            let proved = request.websocket.as_ref().is_none_or(|asked| asked.is_proved_by(head.head()));
            let Some(worker) = body.into_switched().filter(|_| agree && proved) else {
                return Err(Own { reason: Reason::UpstreamGarbage, entry, service });
            };
            thread.stats.upgrades.add(1);
            let silence = self.peer.settings.listener.tunnel_timeout;
            return Ok(Reply::Switched(head, Box::new(Tunnel { worker, entry, silence, flight }), service));
        }
        if request.websocket.is_some() && head.status().is_success() {
            // To a CONNECT, success means that the stream is the worker's from here on.
            return Err(Own { reason: Reason::UpstreamGarbage, entry, service });
        }
        let relay = Relay::new(body, flight, speaker, Rc::clone(thread), entry, request.progress.clone(), service);
        Ok(Reply::Relayed(Relayed { head, tries, relay: Box::new(relay) }))
    }
}

fn why_refused(request: &Request, why: attempt::Refusal) -> Reason {
    let Some(upload) = &request.progress else { return why.into() };
    if upload.too_large.get() {
        return Reason::BodyTooLarge;
    }
    if let Some(refusal) = upload.refused.get() {
        let reason = Reason::of_message(refusal);
        return if reason == Reason::BadRequest { Reason::BadBody } else { reason };
    }
    if why == attempt::Refusal::Deadline && upload.is_starved() { Reason::SlowBody } else { why.into() }
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
    fn told(mut self, thread: &Thread, is_head: bool) -> Reply {
        let reason = self.reason;
        thread.stats.refused(reason);
        self.entry.note(|record| {
            (record.status, record.reason, record.complete) = (Some(reason.status()), Some(reason), true);
            record.bytes = if is_head { 0 } else { reason.sentence().len() as u64 };
        });
        Reply::Own(self)
    }
}
