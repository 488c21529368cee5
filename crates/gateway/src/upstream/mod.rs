//! Towards the workers: connections, kept for each thread, and the tries that use them.
//!
//! ```text
//! try ── pool.take ── live connection ──────────── exchange ── head ── UpstreamBody ── end: pool.keep
//!                └─── none: connect (1 s) ─ TLS ──┘     └── dropped, failed, odd: closed
//! ```

mod bell_wire;
mod body;
mod connect;
mod h1;
mod h2;
mod io;
mod pool;
mod tls;

use std::rc::Rc;
use std::sync::{Arc, OnceLock};

use ambidex_core::attempt::FailureKind;
use ambidex_core::balance::Pick;
use ambidex_core::view::WorkerView;
use ambidex_tower::{Awaits, SendError, Transport};
use http::{Method, Request, Response, Version, header};
use http_body::Body as _;
use hyper_util::rt::TokioIo;

pub(crate) use body::{Switched, UpstreamBody};
pub(crate) use pool::Pool;
pub use tls::{Tls as UpstreamTls, UpstreamTlsError};

use body::Home;
use h1::H1;
use h2::{H2, Stream};
use pool::Ready;
use tls::Tls;

use crate::body::{Progress, RequestBody};
use crate::config::{PoolTransport, UpstreamTransport};
use crate::thread::Thread;
use crate::trace::sampled::Sampled;
use crate::websocket;

/// How one pool's workers are reached: the settings, with their files read.
#[derive(Debug)]
pub(crate) struct Way {
    /// The pool's name.
    pub(crate) pool: Arc<str>,
    /// Whether its workers' reports are believed.
    pub(crate) hears_reports: bool,
    pub(crate) transport: UpstreamTransport,
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
        Ok(Self { pool: pool.name.as_str().into(), hears_reports: pool.hears_reports, transport, tls })
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
    pub(crate) way: &'a Arc<Way>,
    /// Whether the client asked for another protocol.
    pub(crate) upgrade: bool,
    /// How its body goes on, if it has one.
    pub(crate) progress: Option<Rc<Progress>>,
    /// Where its tries are recorded, if they are.
    pub(crate) sampled: Option<Rc<Sampled>>,
}

impl Awaits for Upstreams<'_> {
    fn waits_for_client(&self) -> bool {
        self.progress.as_ref().is_some_and(|progress| progress.is_starved())
    }
}

impl Transport for Upstreams<'_> {
    type Request = Box<Request<RequestBody>>;
    type Answer = Response<UpstreamBody>;

    async fn send(
        &self,
        worker: &WorkerView,
        pick: Pick,
        mut request: Box<Request<RequestBody>>,
    ) -> Result<Response<UpstreamBody>, SendError<Box<Request<RequestBody>>>> {
        let running = self.sampled.as_ref().map(|sampled| {
            let (context, running) = sampled.begin(self.thread.span_id(), worker, pick);
            crate::head::set_trace(request.headers_mut(), &context);
            running
        });
        let ended = self.ask(worker, request).await;
        if let Some(running) = running {
            running.ended(&ended);
        }
        ended
    }
}

impl Upstreams<'_> {
    async fn ask(
        &self,
        worker: &WorkerView,
        mut request: Box<Request<RequestBody>>,
    ) -> Result<Response<UpstreamBody>, SendError<Box<Request<RequestBody>>>> {
        let thread = self.thread;
        if request.version() < Version::HTTP_11 && !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, crate::head::worker_host(&worker.url));
        }
        // A kept connection may turn out to be dead before anything came on it, because the worker closed it as idle or
        // was killed: then a fresh one is asked, once, which finds out whether the worker is still there.
        let mut repeated = false;
        while !repeated {
            let now = thread.clock.now();
            let Some(ready) = thread.pool.take(worker, self.way, now) else { break };
            thread.stats.reuses.add(1);
            let sent = match ready {
                Ready::H1(connection) => {
                    let copy = copy_of(&request);
                    repeated = copy.is_some();
                    self.by_h1(connection, worker, request, copy).await
                }
                Ready::H2(stream) => {
                    let copy = if stream.is_cold { copy_of(&request) } else { None };
                    repeated = copy.is_some();
                    self.by_h2(stream, worker, request, copy).await
                }
            };
            match sent {
                Err(SendError { unsent: Some(unsent), .. }) => request = unsent,
                ended => return ended,
            }
        }
        let opened = match connect::open(thread, self.way, worker).await {
            Ok(opened) => opened,
            Err(error) => return Err(SendError::unsent(error.kind, request, error.detail)),
        };
        let now = thread.clock.now();
        let failed = |error: hyper::Error| format!("no HTTP with {}: {}", worker.url, h1::chain(&error));
        if opened.h2 {
            match H2::handshake(opened.wire, worker.address.clone(), now).await {
                Ok(connection) => {
                    let stream = connection.stream(now);
                    thread.pool.share(worker.id, connection, self.way);
                    self.by_h2(stream, worker, request, None).await
                }
                Err(error) => Err(SendError::unsent(FailureKind::Connect, request, failed(error))),
            }
        } else {
            match H1::handshake(opened.wire, worker.address.clone(), now).await {
                Ok(connection) => self.by_h1(Box::new(connection), worker, request, None).await,
                Err(error) => Err(SendError::unsent(FailureKind::Connect, request, failed(error))),
            }
        }
    }

    async fn by_h1(
        &self,
        mut connection: Box<H1>,
        worker: &WorkerView,
        mut request: Box<Request<RequestBody>>,
        copy: Option<Box<Request<RequestBody>>>,
    ) -> Result<Response<UpstreamBody>, SendError<Box<Request<RequestBody>>>> {
        h1::adapt(&mut request);
        let response = connection.exchange(request).await.map_err(|error| match copy {
            // What changes nothing may be asked twice (RFC 9110, 9.2.2).
            Some(copy) if connection.heard_nothing() => SendError::unsent(error.kind, copy, error.detail),
            Some(_) | None => error,
        })?;
        if h1::unasked(&response, self.upgrade) {
            return Err(SendError::sent(FailureKind::Garbage, "101 that nobody asked for"));
        }
        let now = self.thread.clock.now();
        connection.used = now;
        connection.heed(&response, now);
        let home = || Home { thread: Rc::clone(self.thread), way: Arc::clone(self.way), worker: worker.id };
        let (head, incoming) = response.into_parts();
        let body = if head.status == http::StatusCode::SWITCHING_PROTOCOLS {
            UpstreamBody::switched(incoming, connection.switched())
        } else {
            UpstreamBody::h1(incoming, connection, home())
        };
        Ok(Response::from_parts(head, body))
    }

    async fn by_h2(
        &self,
        mut stream: Stream,
        worker: &WorkerView,
        mut request: Box<Request<RequestBody>>,
        copy: Option<Box<Request<RequestBody>>>,
    ) -> Result<Response<UpstreamBody>, SendError<Box<Request<RequestBody>>>> {
        if !h2::adapt(&mut request, worker.url.starts_with("https://")) {
            return Err(SendError::sent(FailureKind::RequestBody, "the target cannot be written as HTTP/2"));
        }
        let websocket = if self.upgrade && stream.takes_connect(self.thread).await {
            websocket::connect(&mut request)
        } else {
            None
        };
        let Some(key) = websocket else {
            let response = stream.exchange(request).await.map_err(|error| match copy {
                // As for HTTP/1; what changes nothing may be asked twice (RFC 9110, 9.2.2). The second time nothing is cold.
                Some(copy) => SendError::unsent(error.kind, copy, error.detail),
                None => error,
            })?;
            return Ok(response.map(|incoming| UpstreamBody::h2(incoming, stream)));
        };
        let mut response = match stream.exchange(request).await {
            Ok(response) => response,
            Err(mut error) => {
                error.unsent.iter_mut().for_each(|unsent| websocket::unconnect(unsent, key.clone()));
                return Err(error);
            }
        };
        if response.status() != http::StatusCode::OK {
            return Ok(response.map(|incoming| UpstreamBody::h2(incoming, stream)));
        }
        let upgraded = hyper::upgrade::on(&mut response).await;
        let upgraded = upgraded.map_err(|error| SendError::sent(FailureKind::Reset, h1::chain(&error)))?;
        websocket::agreed(&mut response, &key);
        let wire = Box::new(TokioIo::new(upgraded));
        let switched = Switched { wire, first: bytes::Bytes::new(), _stream: Some(stream) };
        Ok(response.map(|incoming| UpstreamBody::switched(incoming, switched)))
    }
}

/// A second copy of a request that may be sent twice: it changes nothing at the worker (RFC 9110, 9.2.1), and it has no
/// body.
fn copy_of(request: &Request<RequestBody>) -> Option<Box<Request<RequestBody>>> {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !safe || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(RequestBody::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    Some(Box::new(copy))
}
