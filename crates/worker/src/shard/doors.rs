//! Where requests come in: of coordinators to the contract, of gateways through admission to the application.
//!
//! | a request | |
//! |---|---|
//! | under `/.ambidex/v1/` | the contract, with its token |
//! | under the application's prefix | 403: only this agent asks that |
//! | with the fields of a slice | admitted by its machine |
//! | without them, GET, HEAD or OPTIONS | to the application: probes of its health, and pages that are no keyspace's |
//! | without them, any other | 421: a write that no machine has admitted would be lost in a move |
//!
//! Before an instance of Redis, gateways speak RESP at the same port, which the first byte tells (`redis::serve`); of HTTP there are only
//! the contract and a probe of the instance's health.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::shard::holder::{Access, Ticket, Verdict};
use ambidex_core::shard::seen::OpId;
use ambidex_core::shard::space::Point;
use ambidex_core::time::Span;
use ambidex_wire::shard::headers::{self, Tag, Told, Word};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::contract::{self, Token};
use super::heat::Measured;
use super::keyspace::{End, Keyspace};
use super::redis::{self, Instance};
use super::relay::{Body, Relay, refused, said, word};

/// Who is behind the doors.
#[derive(Debug)]
pub(super) struct Doors {
    pub(super) keyspaces: BTreeMap<String, Arc<Keyspace>>,
    pub(super) token: Token,
    pub(super) relay: Relay,
    /// The application's own endpoints.
    pub(super) prefix: String,
    /// The instance of Redis that is the application, if it is one.
    pub(super) instance: Option<Instance>,
}

/// Serves, for ever.
pub(super) async fn serve(listener: TcpListener, doors: Arc<Doors>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // The system is out of something; what it is short of comes back by itself.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let doors = Arc::clone(&doors);
        tokio::spawn(async move {
            if let Some(instance) = &doors.instance
                && redis::speaks(&stream).await
            {
                redis::serve(stream, instance, &doors.keyspaces).await;
                return drop(place);
            }
            let answer = service_fn(|request| {
                let doors = Arc::clone(&doors);
                async move { Ok::<_, Infallible>(doors.answer(request).await) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
            // How a connection ends is up to whoever asked.
            let _ = builder.serve_connection(TokioIo::new(stream), answer).await;
            drop(place);
        });
    }
}

impl Doors {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path();
        if contract::is_of(path) {
            return said(contract::answer(&self.keyspaces, &self.token, request).await);
        }
        if path.strip_prefix(&*self.prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            return refused(StatusCode::FORBIDDEN, "Only the agent asks the application that.");
        }
        if let Some(instance) = &self.instance {
            return said(instance.answer_for_itself(&request).await);
        }
        let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let tag = Tag::read(&|name| request.headers().get(name).map(HeaderValue::as_bytes));
        match tag {
            Ok(Some(tag)) => {
                let access = match (reads, tag.stale) {
                    (false, _) => Access::Write,
                    (true, false) => Access::Read,
                    (true, true) => Access::StaleRead,
                };
                self.admitted(tag, access, request).await
            }
            Ok(None) if reads => self.relay.send(request, None).await.0,
            Ok(None) => misdirected(
                Told::default(),
                "This worker takes writes of its keyspaces only, through a gateway that knows them.",
            ),
            Err(fault) => refused(StatusCode::BAD_REQUEST, &fault.to_string()),
        }
    }

    async fn admitted(&self, tag: Tag, access: Access, request: Request<Incoming>) -> Response<Body> {
        let Some(keyspace) = self.keyspaces.get(&tag.keyspace) else {
            return misdirected(Told::default(), "This worker has no such keyspace: see agent.shards.keyspaces.");
        };
        let point = Point::of(&tag.key);
        match keyspace.admit(&tag, access) {
            Err(trouble) => refused(StatusCode::SERVICE_UNAVAILABLE, &trouble),
            Ok((verdict @ (Verdict::Run | Verdict::RunStale), ticket)) => {
                let measured = Measured::begins(keyspace, tag.slice, &tag.key, length(&request));
                if access == Access::Write {
                    return self.run((Arc::clone(keyspace), measured), ticket, point, tag.op, request).await;
                }
                let mut response = self.relay.send(request, Some(point)).await.0;
                drop(measured);
                if verdict == Verdict::RunStale && !response.headers().contains_key(headers::SHARD) {
                    word(&mut response, Word::Stale);
                }
                response
            }
            Ok((Verdict::Answered(answer), _)) => answered(answer),
            Ok((Verdict::Running, _)) => {
                known(StatusCode::CONFLICT, Word::Running, "The same write runs now: ask again.")
            }
            Ok((Verdict::Forgotten, _)) => known(
                StatusCode::CONFLICT,
                Word::Forgotten,
                "The same write may have been run before, and nobody knows: it is not run.",
            ),
            Ok((Verdict::Crowded, _)) => {
                let mut full = refused(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "Too many producers number their writes here: it is not run.",
                );
                word(&mut full, Word::Crowded);
                full
            }
            Ok((Verdict::Misdirected(hint), _)) => {
                let told = Told { retry_after: Some(SOON), ..hint.map(Told::from).unwrap_or_default() };
                misdirected(told, "This worker does not serve that slice in that epoch. Nothing was run.")
            }
        }
    }

    /// Runs a write to its end, whether or not its client stays: what was begun is never a guess.
    async fn run(
        &self,
        (keyspace, measured): (Arc<Keyspace>, Measured),
        ticket: Ticket,
        point: Point,
        op: Option<OpId>,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let relay = self.relay.clone();
        let running = tokio::spawn(async move {
            // It ends with this task, however that ends.
            let _measured = measured;
            // Dropped with this task, however it ends: then nobody knows.
            let mut end = Ends { keyspace, ticket, point, op, end: End::NotRun };
            if let Some(op) = op
                && let Err(why) = end.keyspace.begin(point, op).await
            {
                return refused(
                    StatusCode::SERVICE_UNAVAILABLE,
                    &format!("That this write was begun cannot be written down, so it is not: {why}"),
                );
            }
            end.end = End::Unknown;
            let (response, known) = relay.send(request, Some(point)).await;
            end.end = known;
            drop(end);
            response
        });
        running.await.unwrap_or_else(|_| said(contract::text(StatusCode::BAD_GATEWAY, "The write may have been run.")))
    }
}

/// Tells the machine of a write's end.
struct Ends {
    keyspace: Arc<Keyspace>,
    ticket: Ticket,
    point: Point,
    op: Option<OpId>,
    end: End,
}

impl Drop for Ends {
    fn drop(&mut self) {
        self.keyspace.ended(self.ticket, self.point, self.op, self.end);
    }
}

/// Bytes of a request's body, where it says so.
fn length(request: &Request<Incoming>) -> u64 {
    let said = request.headers().get(http::header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    said.and_then(|length| length.parse().ok()).unwrap_or(0)
}

/// The first answer's status; its body is gone.
fn answered(answer: u64) -> Response<Body> {
    let status = u16::try_from(answer).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let mut response = said(contract::text(status.unwrap_or(StatusCode::OK), "This write was run before."));
    word(&mut response, Word::Answered);
    response
}

fn known(status: StatusCode, said_so: Word, words: &str) -> Response<Body> {
    let mut response = said(contract::text(status, words));
    word(&mut response, said_so);
    response
}

fn misdirected(told: Told, words: &str) -> Response<Body> {
    let mut response = said(contract::text(StatusCode::MISDIRECTED_REQUEST, words));
    if let Ok(hint) = HeaderValue::try_from(told.text()) {
        response.headers_mut().insert(HeaderName::from_static(headers::HINT), hint);
    }
    response
}

/// When a router may ask again. Source: shards.md "Worker contract": 2 ms, doubling.
const SOON: Span = Span::from_millis(2);
/// Connections at once. Source: ours; as many as the gateway before it has.
const MOST_CONNECTIONS: usize = 4_096;
/// How long a head may take. Source: ours; who asks sends it at once.
const PATIENCE: Duration = Duration::from_secs(30);
