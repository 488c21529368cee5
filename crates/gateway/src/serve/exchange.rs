//! One request, from its head to the head of its answer.
//!
//! ```text
//! head ── target, host ── route ── pool ── strip, introduce, id, trace ── Driver::drive ── strip ── answer
//!            \ 400           \ 404    \ 503                                  \ 502 503 504
//! ```

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use ambidex_core::attempt::Refusal;
use ambidex_tower::{Answer, Driver, Plan};
use ambidex_wire::report;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header, response};
use hyper::body::{Body as _, Incoming};

use super::pulse::{InService, Pulse};
use super::stream::StreamPulse;
use super::tunnel::Tunnel;
use crate::body::{AnswerBody, Progress, Relay, RequestBody};
use crate::head::{self, Introduction, Seen};
use crate::key;
use crate::listen::peer::Peer;
use crate::reason::Reason;
use crate::record::Entry;
use crate::report::hear;
use crate::routes::Target;
use crate::thread::{Picture, Thread};
use crate::trace::context::Context;
use crate::trace::sampled::Sampled;
use crate::upstream::Upstreams;
use crate::websocket::Asked;

/// What the requests of one connection share.
pub(crate) struct Client {
    pub(crate) thread: Rc<Thread>,
    pub(crate) peer: Peer,
    pub(crate) pulse: Rc<Pulse>,
    trusted: bool,
    introduction: RefCell<Introduction>,
    /// What the connection becomes after its answer of 101.
    pub(crate) tunnel: RefCell<Option<Tunnel>>,
}

/// What is known of a request that is ready to be sent.
struct Ready {
    plan: Plan,
    target: Target,
    picture: Rc<Picture>,
    progress: Option<Rc<Progress>>,
    upgrade: bool,
    websocket: Option<Asked>,
    sampled: Option<Rc<Sampled>>,
}

impl Client {
    pub(crate) fn new(thread: Rc<Thread>, peer: Peer, pulse: Rc<Pulse>) -> Self {
        let trusted = |client: std::net::SocketAddr| {
            let ip = client.ip().to_canonical();
            peer.settings.listener.trusted.iter().any(|network| network.contains(&ip))
        };
        let trusted = peer.client.is_some_and(trusted);
        let introduction = RefCell::new(Introduction::new(peer.client, peer.tls.is_some()));
        Self { thread, peer, pulse, trusted, introduction, tunnel: RefCell::new(None) }
    }

    /// What is needed to answer: a request that stays where it is on its way.
    pub(crate) fn take_in(&self, request: Request<Incoming>) -> Box<Request<RequestBody>> {
        Box::new(request.map(|body| RequestBody::streaming(body, || self.pulse.starved())))
    }

    /// The same for a stream of HTTP/2, with its pulse.
    pub(crate) fn take_in_stream(&self, request: Request<Incoming>) -> (Box<Request<RequestBody>>, Rc<StreamPulse>) {
        let grpc = request.headers().get(header::CONTENT_TYPE);
        let grpc = grpc.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        let request = Box::new(request.map(|body| RequestBody::streaming(body, Rc::default)));
        let stream = StreamPulse::new(request.body().progress(), grpc);
        (request, stream)
    }

    /// Answers one request; `stream` is its pulse in HTTP/2.
    pub(crate) async fn answer(
        self: Rc<Self>,
        mut request: Box<Request<RequestBody>>,
        stream: Option<Rc<StreamPulse>>,
    ) -> Result<Response<AnswerBody>, Infallible> {
        let thread = &self.thread;
        let service = InService::begin(&self.pulse, stream);
        thread.stats.requests.add(1);
        let arrived = thread.clock.now();
        let (version, is_head) = (request.version(), *request.method() == Method::HEAD);
        let observer = thread.observer.borrow().clone();
        let mut entry = observer.map_or_else(Entry::default, |observer| {
            Entry::begin(observer, thread.clock, arrived, &request, self.peer.client)
        });
        let mut unanswered = Unanswered(Some(thread));
        let answered = match self.prepare(&mut request, arrived, &mut entry) {
            Ok(ready) => self.send(request, ready, entry, service).await,
            Err(reason) => Err((reason, entry, service)),
        };
        unanswered.0 = None;
        let response = match answered {
            Ok(response) => response,
            Err((reason, entry, service)) => refuse(thread, reason, entry, service, version, is_head),
        };
        thread.stats.answered(response.status());
        Ok(response)
    }

    fn prepare(
        &self,
        request: &mut Request<RequestBody>,
        arrived: ambidex_core::time::Mono,
        entry: &mut Entry,
    ) -> Result<Ready, Reason> {
        let listener = &self.peer.settings.listener;
        let websocket = Asked::take(request, &listener.upgrades, || self.thread.id());
        let seen = Seen::look(request.headers());
        let host = head::settle_target(request, seen)?;
        if self.peer.is_misdirected(host.name()) {
            return Err(Reason::Misdirected);
        }
        let picture = self.thread.picture();
        let (target, key) = picture.front.routes.find(host.name(), request).ok_or(Reason::NoRoute)?;
        let key = key.and_then(|key| key::of(key, request, self.peer.client));
        entry.note(|record| {
            record.route = Some(picture.front.routes.label(target.route));
            record.pool = Some(Arc::clone(&picture.front.ways[target.way].pool));
        });
        let most = listener.max_body.map_or(u64::MAX, |most| most.get());
        if request.body().size_hint().lower() > most {
            return Err(Reason::BodyTooLarge);
        }
        let progress = request.body_mut().bound(most);
        let wanted =
            websocket.is_some() || (request.version() == Version::HTTP_11 && seen.wants_upgrade(request.headers()));
        let protocol = wanted.then(|| head::allowed_upgrade(request.headers(), &listener.upgrades)).flatten();
        let upgrade = protocol.is_some();
        let headers = request.headers_mut();
        head::strip_request(headers, seen, self.trusted, protocol);
        self.introduction.borrow_mut().tell(headers, &host, self.trusted, seen);
        if !(self.trusted && seen.id) {
            head::give_id(headers, self.thread.id());
        }
        entry.note_id(headers);
        let sampled = self.sample(headers, seen);
        entry.note(|record| record.sampled.clone_from(&sampled));
        request.extensions_mut().clear();
        let plan = Plan { arrived, config: target.config, key };
        Ok(Ready { plan, target, picture, progress, upgrade, websocket, sampled })
    }

    /// Says whether the request's spans are recorded. When they are not, its trace context is passed on as it came.
    fn sample(&self, headers: &HeaderMap, seen: Seen) -> Option<Rc<Sampled>> {
        let observer = self.thread.observer.borrow();
        let exporter = observer.as_ref()?.exporter.as_ref()?;
        let came = if seen.trace { head::trace(headers) } else { None };
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
        request: Box<Request<RequestBody>>,
        ready: Ready,
        mut entry: Entry,
        service: InService,
    ) -> Result<Response<AnswerBody>, (Reason, Entry, InService)> {
        let Ready { plan, target, picture, progress, upgrade, websocket, sampled } = ready;
        let thread = &self.thread;
        let Some(pool) = picture.view.pool(target.pool) else { return Err((Reason::NoPool, entry, service)) };
        let way = &picture.front.ways[target.way];
        let seat = thread.seat_at(pool);
        let transport = Upstreams { thread, way, upgrade, progress: progress.clone(), sampled };
        let driver = Driver { transport: &transport, seats: &*seat, timer: &thread.alarms, clock: thread.clock };
        let answer = match driver.drive(pool, plan, request).await {
            Ok(answer) => answer,
            Err(refused) => {
                let reason = match (&progress, refused.why) {
                    (Some(upload), _) if upload.too_large.get() => Reason::BodyTooLarge,
                    (Some(upload), Refusal::Deadline) if upload.is_starved() => Reason::SlowBody,
                    (_, why) => why.into(),
                };
                transport.sampled.iter().for_each(|sampled| sampled.refused(reason));
                entry.note(|record| {
                    record.tries = refused.tries;
                    record.worker = refused.last.map(|pick| Arc::clone(&pool.picked(pick).name));
                    record.detail = refused.detail;
                });
                return Err((reason, entry, service));
            }
        };
        let Answer { mut response, flight, pick, at, tries } = answer;
        entry.note(|record| {
            record.tries = tries;
            record.worker = Some(Arc::clone(&pool.picked(pick).name));
            record.upstream = Some(at.since(plan.arrived));
            record.status = Some(response.status());
        });
        let seen = Seen::look(response.headers());
        let speaker = way.hears_reports.then_some(pick.worker);
        if seen.report
            && let Some(heard) = report::take(response.headers_mut())
            && let Some(worker) = speaker
        {
            hear(thread, worker, flight.cells(), heard);
        }
        let protocol = response.headers().get(header::UPGRADE).cloned();
        head::strip_answer(response.headers_mut(), seen);
        let (mut head, body) = response.into_parts();
        head.version = Version::HTTP_11;
        if tries > 1 {
            head.headers.insert(ATTEMPTS.clone(), HeaderValue::from(tries));
        }
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            let switched = body.into_switched().zip(protocol);
            let Some((worker, protocol)) = switched else { return Err((Reason::UpstreamGarbage, entry, service)) };
            let tunnel = Tunnel { worker, entry, silence: self.peer.settings.listener.tunnel_timeout, flight };
            return self.switch(head, tunnel, protocol, websocket, service);
        }
        if websocket.is_some() && head.status.is_success() {
            // To a CONNECT, success means that the stream is the worker's from here on.
            return Err((Reason::UpstreamGarbage, entry, service));
        }
        let relay = Relay::new(body, flight, speaker, Rc::clone(thread), entry, progress, service);
        Ok(Response::from_parts(head, AnswerBody::Relayed(relay)))
    }

    /// The worker changes the protocol: what remains of both connections is joined after the answer.
    fn switch(
        &self,
        mut head: response::Parts,
        tunnel: Tunnel,
        protocol: HeaderValue,
        websocket: Option<Asked>,
        service: InService,
    ) -> Result<Response<AnswerBody>, (Reason, Entry, InService)> {
        if let Some(asked) = websocket {
            if !asked.is_proved_by(&head.headers) {
                return Err((Reason::UpstreamGarbage, tunnel.entry, service));
            }
            head.headers.remove(header::SEC_WEBSOCKET_ACCEPT);
            head.status = StatusCode::OK;
            let lasting = InService::begin(&self.pulse, None);
            tokio::task::spawn_local(tunnel.join_stream(asked.stream, Rc::clone(&self.thread), lasting));
        } else {
            head.headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            head.headers.insert(header::UPGRADE, protocol);
            self.tunnel.replace(Some(tunnel));
        }
        self.thread.stats.upgrades.add(1);
        Ok(Response::from_parts(head, AnswerBody::own(None, Entry::default(), service)))
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

/// How many workers were tried, said only when it was more than one.
static ATTEMPTS: HeaderName = HeaderName::from_static("ambidex-attempts");

fn refuse(
    thread: &Thread,
    reason: Reason,
    mut entry: Entry,
    service: InService,
    version: Version,
    is_head: bool,
) -> Response<AnswerBody> {
    thread.stats.refused(reason);
    let text = Bytes::from_static(reason.sentence().as_bytes());
    entry.note(|record| {
        (record.status, record.reason, record.complete) = (Some(reason.status()), Some(reason), true);
        record.bytes = if is_head { 0 } else { text.len() as u64 };
    });
    let length = HeaderValue::from(text.len());
    let mut response = Response::new(AnswerBody::own((!is_head).then_some(text), entry, service));
    *response.status_mut() = reason.status();
    let headers = response.headers_mut();
    headers.insert("ambidex-error", HeaderValue::from_static(reason.word()));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CONTENT_LENGTH, length);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if reason == Reason::BadMethod {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
    }
    if reason.closes() && version < Version::HTTP_2 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
