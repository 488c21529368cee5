//! Towards the workers: connections, kept for each thread, and the tries that use them.
//!
//! ```text
//! try ── pool.take ── live connection ──────────── exchange ── head ── UpstreamBody ── end: pool.keep
//!                └─── none: connect (1 s) ─ TLS ──┘     └── dropped, failed, odd: closed
//! ```

mod body;
mod compare;
mod connect;
mod drilled;
mod h1;
mod h2;
mod io;
mod pool;
mod tls;
mod upload;

use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use ambidex_core::again::fallback::Tier;
use ambidex_core::attempt::{Copies, FailureKind, Refusal};
use ambidex_core::balance::Pick;
use ambidex_core::view::WorkerView;
use ambidex_core::worker::WorkerId;
use ambidex_http1::{Asked, ResponseHead, write};
use ambidex_tower::{AnswerHead, Awaits, Disagreement, Fallen, Marked, SendError, Transport};
use http::{HeaderName, StatusCode, header};
use http_body::Body as _;
use hyper_util::rt::TokioIo;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) use body::{AnswerError, Switched, UpstreamBody};
pub(crate) use pool::Pool;
pub use tls::{Tls as UpstreamTls, UpstreamTlsError};

use body::Home;
pub(crate) use h1::PROFILE;
use h1::{Answering, H1};
use h2::{H2, Stream};
use pool::Ready;
use tls::Tls;
use upload::Upload;

use crate::config::{CostClasses, PoolTransport, UpstreamTransport};
use crate::differ::Watch;
use crate::head::path_of;
use crate::pieces::Pieces;
use crate::request::{Request, Saying};
use crate::thread::Thread;
use crate::trace::context::Context;
use crate::trace::sampled::Sampled;
use crate::turn::Turn;
use crate::{forms, websocket};

/// How one pool's workers are reached: the settings, with their files read.
#[derive(Debug)]
pub(crate) struct Way {
    /// The pool's name.
    pub(crate) pool: Arc<str>,
    /// Whether its workers' reports are believed.
    pub(crate) hears_reports: bool,
    pub(crate) transport: UpstreamTransport,
    /// What its requests are told apart by, if what they cost is minded.
    pub(crate) costs: Option<CostClasses>,
    tls: OnceLock<Option<Tls>>,
}

impl Way {
    /// Reads the files that the settings name.
    pub(crate) fn load(pool: &PoolTransport) -> Result<Self, UpstreamTlsError> {
        let transport = pool.transport.clone();
        let tls = match transport.tls {
            Some(_) => OnceLock::from(Some(Tls::load(&transport)?)),
            None => OnceLock::new(),
        };
        let (name, costs) = (pool.name.as_str().into(), pool.costs.clone());
        Ok(Self { pool: name, hears_reports: pool.hears_reports, transport, costs, tls })
    }

    /// What TLS needs. Without settings for it, the system's authorities are read when the first worker with an
    /// `https` URL is met: most gateways never need them.
    fn tls(&self) -> Option<&Tls> {
        let system = || match Tls::load(&self.transport) {
            Ok(tls) => Some(tls),
            Err(why) => {
                tracing::error!(pool = %self.pool, %why, "workers with https URLs cannot be reached");
                None
            }
        };
        self.tls.get_or_init(system).as_ref()
    }
}

/// The transport of one request.
pub(crate) struct Upstreams<'a> {
    pub(crate) thread: &'a Rc<Thread>,
    /// How its own pool's workers are reached.
    pub(crate) home: &'a Arc<Way>,
    pub(crate) request: &'a Request,
    pub(crate) saying: Saying<'a>,
    /// Where interim answers go, if the client takes any.
    pub(crate) interim: Option<&'a dyn Fn(&ResponseHead)>,
    /// Where its tries are recorded, if they are.
    pub(crate) sampled: Option<Rc<Sampled>>,
}

/// A worker's answer.
pub(crate) struct Answer {
    pub(crate) head: ResponseHead,
    pub(crate) body: UpstreamBody,
    /// Whose it is.
    pub(crate) worker: WorkerId,
}

impl AnswerHead for Box<Answer> {
    fn status(&self) -> StatusCode {
        self.head.status()
    }

    fn field(&self, name: &HeaderName) -> Option<&[u8]> {
        self.head.head().get(name.as_str().as_bytes()).map(|value| value.as_bytes())
    }
}

impl Awaits for Upstreams<'_> {
    fn waits_for_client(&self) -> bool {
        self.request.progress.as_ref().is_some_and(|progress| progress.is_starved())
    }
}

impl Transport for Upstreams<'_> {
    /// The right to send the request, which stays where it is.
    type Request = ();
    /// In a box, because it passes several futures on its way, and each copies it.
    type Answer = Box<Answer>;

    async fn send(&self, worker: &WorkerView, pick: Pick, (): ()) -> Result<Box<Answer>, SendError<()>> {
        let begun = self.sampled.as_ref().map(|sampled| sampled.begin(self.thread.span_id(), worker, pick));
        let (trace, running) = begun.unzip();
        let ended = match &worker.drill {
            None => self.ask(worker, trace.as_ref()).await,
            // Boxed, as all that is rare.
            Some(drill) => Box::pin(self.drilled(drill, worker, trace.as_ref())).await,
        };
        if let Some(running) = running {
            running.ended(&ended);
        }
        ended
    }

    fn copies(&self, (): &()) -> Copies {
        self.copies_of_kept(self.request.is_held())
    }

    fn copies_later(&self, (): &()) -> Copies {
        self.copies_of_kept(self.request.is_held() || self.request.is_being_kept())
    }

    fn is_kept(&self) -> bool {
        self.request.is_held()
    }

    fn again(&self, (): &()) -> Option<()> {
        (self.request.is_held() || self.request.is_being_kept()).then_some(())
    }

    /// Its path: what a request costs depends on that first.
    fn class(&self, (): &()) -> Option<u64> {
        Some(xxh3_64(path_of(&self.request.head).as_bytes()))
    }

    async fn mark(&self, answer: Box<Answer>) -> Marked<Box<Answer>, ()> {
        match self.saying.turn.and_then(|turn| turn.extras.quorum.as_ref()) {
            Some(quorum) => compare::mark(answer, &quorum.compare, |worker| self.watch(worker)).await,
            None => Ok((answer, None)),
        }
    }

    fn disagree(&self, disagreement: &Disagreement) {
        let Some(turn) = self.saying.turn else { return };
        let Disagreement { winner, agreeing, of, said } = disagreement;
        let question = turn.question(self.thread, self.request, self.saying.id.as_ref());
        question.tell(*winner, (usize::from(*agreeing), usize::from(*of)), said);
    }

    async fn fall(&self, place: u8, _: Tier, _: Refusal) -> Fallen {
        self.saying.turn.map_or(Fallen::Missing, |turn| turn.fall(place, self.thread, self.request))
    }
}

impl<'a> Upstreams<'a> {
    fn copies_of_kept(&self, kept: bool) -> Copies {
        let by_method = || self.saying.turn.is_some_and(|turn| turn.extras.repeat.allows(self.request.head.method()));
        let may_run_twice = self.request.may_run_twice.unwrap_or_else(by_method);
        match (kept && !self.saying.upgrade, may_run_twice) {
            (false, _) => Copies::One,
            (true, false) => Copies::IfUnbegun,
            (true, true) => Copies::Any,
        }
    }

    /// Has a long answer of a quorum compared to its end.
    fn watch(&self, worker: WorkerId) -> Option<Watch> {
        let turn = self.saying.turn?;
        let question = || turn.question(self.thread, self.request, self.saying.id.as_ref());
        Some(turn.comparison(question).watch(worker))
    }

    /// How the workers are reached that are asked now.
    fn way(&self) -> &'a Arc<Way> {
        self.saying.turn.map_or(self.home, Turn::way)
    }

    async fn ask(&self, worker: &WorkerView, trace: Option<&Context>) -> Result<Box<Answer>, SendError<()>> {
        let thread = self.thread;
        // A kept connection may turn out to be dead before anything came on it, because the worker closed it as idle or
        // was killed: then a fresh one is asked, once, which finds out whether the worker is still there.
        let mut repeats = false;
        while !repeats {
            let now = thread.clock.now();
            let Some(ready) = thread.pool.take(worker, self.way(), now) else { break };
            thread.stats.reuses.add(1);
            let sent = match ready {
                Ready::H1(connection) => {
                    repeats = self.request.is_harmless();
                    self.by_h1(connection, worker, trace, repeats).await
                }
                Ready::H2(stream) => {
                    repeats = stream.is_cold && self.request.is_harmless();
                    Box::pin(self.by_h2(stream, worker, trace, repeats)).await
                }
            };
            match sent {
                Err(SendError { unsent: Some(()), .. }) => {}
                ended => return ended,
            }
        }
        // Boxed, as all that is rare: a future is as large as its largest part, and copied where it is made.
        Box::pin(self.by_new(worker, trace)).await
    }

    /// On a new connection.
    async fn by_new(&self, worker: &WorkerView, trace: Option<&Context>) -> Result<Box<Answer>, SendError<()>> {
        let thread = self.thread;
        let opened = match connect::open(thread, self.way(), worker).await {
            Ok(opened) => opened,
            Err(error) => return Err(SendError::unsent(error.kind, (), error.detail)),
        };
        let now = thread.clock.now();
        if !opened.h2 {
            let connection = Box::new(H1::new(opened.wire, worker.address.clone(), now));
            return self.by_h1(connection, worker, trace, false).await;
        }
        match H2::handshake(opened.wire, worker.address.clone(), now).await {
            Ok(connection) => {
                let stream = connection.stream(now);
                thread.pool.share(worker.id, connection, self.way());
                self.by_h2(stream, worker, trace, false).await
            }
            Err(error) => {
                let detail = format!("no HTTP with {}: {}", worker.url, h2::chain(&error));
                Err(SendError::unsent(FailureKind::Connect, (), detail))
            }
        }
    }

    /// `repeats` says that a connection which proves dead is no failure of the worker's yet: another one is tried.
    async fn by_h1(
        &self,
        mut connection: Box<H1>,
        worker: &WorkerView,
        trace: Option<&Context>,
        repeats: bool,
    ) -> Result<Box<Answer>, SendError<()>> {
        let (thread, request) = (self.thread, self.request);
        let mut pieces = Pieces::with(thread.texts.take());
        let written = request
            .planned(&self.saying, &worker.url, trace, |plan| write::request(&mut pieces.text, &request.head, plan));
        if let Err(why) = written {
            return Err(SendError::sent(FailureKind::RequestBody, why));
        }
        let mut upload = Upload::new(pieces, request.take_body(), request.framing());
        let asked = Asked::of(request.head.method(), self.saying.upgrade);
        let mut fields = thread.lists.take();
        let interim = |head: &ResponseHead| self.interim.iter().for_each(|tell| tell(head));
        let answered =
            connection.exchange((&thread.buffers, &thread.pipes), &mut upload, &mut fields, asked, interim).await;
        let head = match answered {
            Ok(head) => head,
            Err(failed) => {
                // What changes nothing may be asked twice (RFC 9110, 9.2.2).
                if failed.unsent || (repeats && failed.unheard) {
                    request.give_back(upload.into_body());
                    return Err(SendError::unsent(failed.kind, (), failed.detail));
                }
                return Err(SendError::sent(failed.kind, failed.detail));
            }
        };
        if upload.is_done() {
            thread.texts.give(upload.pieces.take_text());
        }
        connection.heed(&head, thread.clock.now());
        if head.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Box::new(Answer {
                head,
                body: UpstreamBody::switched(connection.switched()),
                worker: worker.id,
            }));
        }
        let home = Home { thread: Rc::clone(thread), way: Arc::clone(self.way()), worker: worker.id };
        let body = UpstreamBody::h1(Box::new(Answering::new(connection, &head, upload, home)));
        Ok(Box::new(Answer { head, body, worker: worker.id }))
    }

    async fn by_h2(
        &self,
        mut stream: Stream,
        worker: &WorkerView,
        trace: Option<&Context>,
        repeats: bool,
    ) -> Result<Box<Answer>, SendError<()>> {
        let (thread, request) = (self.thread, self.request);
        let https = worker.url.starts_with("https://");
        let head = request
            .planned(&self.saying, &worker.url, trace, |plan| forms::request::request_out(&request.head, plan, https));
        let head = head.map_err(|why| SendError::sent(FailureKind::RequestBody, why))?;
        let mut sent = head.map(|()| request.take_body());
        let key = if self.saying.upgrade && stream.takes_connect(thread).await {
            websocket::connect(&mut sent)
        } else {
            sent.headers_mut().remove(header::UPGRADE);
            None
        };
        let mut response = match stream.exchange(sent).await {
            Ok(response) => response,
            Err(failed) => {
                // As for HTTP/1. The second time nothing is cold.
                let (kind, detail) = (failed.kind(), h2::chain(&failed.error));
                let unsent = failed.unsent.is_some() || repeats;
                request.give_back(failed.unsent.map(http::Request::into_body).unwrap_or_default());
                return Err(if unsent { SendError::unsent(kind, (), detail) } else { SendError::sent(kind, detail) });
            }
        };
        let switches = key.is_some() && response.status() == StatusCode::OK;
        let upgraded = if switches { Some(hyper::upgrade::on(&mut response)) } else { None };
        if let Some(key) = key.filter(|_| switches) {
            websocket::agreed(&mut response, &key);
        }
        let asked = Asked::of(request.head.method(), switches);
        let (parts, incoming) = response.into_parts();
        let mut fields = thread.lists.take();
        let head = forms::response::response_in(&parts, asked, incoming.is_end_stream(), &mut fields, &h1::PROFILE);
        let head = head.map_err(|why| SendError::sent(FailureKind::Garbage, why))?;
        let Some(upgraded) = upgraded else {
            return Ok(Box::new(Answer { head, body: UpstreamBody::h2(incoming, stream), worker: worker.id }));
        };
        let upgraded = upgraded.await.map_err(|error| SendError::sent(FailureKind::Reset, h2::chain(&error)))?;
        let wire = Box::new(TokioIo::new(upgraded));
        let body = UpstreamBody::switched(Switched { wire, first: bytes::Bytes::new(), _stream: Some(stream) });
        Ok(Box::new(Answer { head, body, worker: worker.id }))
    }
}
