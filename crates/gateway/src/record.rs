//! One request as access log, recording and trace export are told of it, when it is over, however it ends.
//!
//! Without an observer no record is made, and nothing is paid.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use ambidex_core::time::{Mono, Span};
use ambidex_http1::{Known, RequestHead, Value};
use ambidex_tower::Clock;
use http::{Method, StatusCode, Version};

use crate::access_log::line::Line;
use crate::clock::Wall;
use crate::head::path_of;
use crate::reason::Reason;
use crate::recording::{Outcome, Take, Track};
use crate::shard::tables::Place;
use crate::trace::otlp::{ERROR, KeyValue, Span as OtlpSpan, Status};
use crate::trace::sampled::Sampled;
use crate::watch::Observer;

/// What is told of a request.
pub(crate) struct Record {
    arrived: Mono,
    time: Wall,
    client: Option<SocketAddr>,
    /// Of a head that could not be read there is none.
    method: Option<Method>,
    path: String,
    version: Version,
    host: Vec<u8>,
    user_agent: Vec<u8>,
    referer: Vec<u8>,
    id: Vec<u8>,
    /// The spans that are recorded, if any are.
    pub(crate) sampled: Option<Rc<Sampled>>,
    /// Status of the answer.
    pub(crate) status: Option<StatusCode>,
    /// Why the gateway answered itself.
    pub(crate) reason: Option<Reason>,
    /// What the system said of a failure.
    pub(crate) detail: String,
    /// Whether request and answer came to their ends.
    pub(crate) complete: bool,
    /// What the route matches.
    pub(crate) route: Option<Arc<str>>,
    /// The pool.
    pub(crate) pool: Option<Arc<str>>,
    /// The worker that was asked last.
    pub(crate) worker: Option<Arc<str>>,
    /// How many workers were tried.
    pub(crate) tries: usize,
    /// The tier of the fallback chain that answered.
    pub(crate) tier: String,
    /// What the cache did, in a word.
    pub(crate) cache: &'static str,
    /// The keyspace that it belongs to.
    pub(crate) keyspace: Option<Arc<Place>>,
    /// From the arrival to its first try, where it has one owner.
    pub(crate) waited: Option<Span>,
    /// From the arrival to the head of the worker's answer.
    pub(crate) upstream: Option<Span>,
    /// Bytes of the answer's body.
    pub(crate) bytes: u64,
}

/// A record that is told when it is dropped. Empty without an observer.
#[derive(Default)]
pub(crate) struct Entry(Option<Box<Open>>);

struct Open {
    observer: Rc<Observer>,
    clock: Clock,
    take: Option<Take>,
    record: Record,
}

impl Entry {
    /// Begins the record of a request; without a head when that could not be read.
    pub(crate) fn begin(
        observer: Rc<Observer>,
        clock: Clock,
        arrived: Mono,
        head: Option<&RequestHead>,
        version: Version,
        client: Option<SocketAddr>,
        take: Option<Take>,
    ) -> Self {
        let copy = |value: Option<Value<'_>>| value.map_or_else(Vec::new, |value| value.as_bytes().to_vec());
        let record = Record {
            arrived,
            time: Wall::now(),
            client,
            method: head.map(|head| head.method().clone()),
            path: head.map_or_else(String::new, |head| path_of(head).to_owned()),
            version,
            host: copy(head.and_then(RequestHead::authority)),
            user_agent: copy(head.and_then(|head| head.head().first(Known::UserAgent))),
            referer: copy(head.and_then(|head| head.head().get(b"referer"))),
            id: Vec::new(),
            sampled: None,
            status: None,
            reason: None,
            detail: String::new(),
            complete: false,
            route: None,
            pool: None,
            worker: None,
            tries: 0,
            tier: String::new(),
            cache: "",
            keyspace: None,
            waited: None,
            upstream: None,
            bytes: 0,
        };
        Self(Some(Box::new(Open { observer, clock, take, record })))
    }

    /// Writes into the record, if there is one.
    pub(crate) fn note(&mut self, write: impl FnOnce(&mut Record)) {
        if let Some(open) = &mut self.0 {
            write(&mut open.record);
        }
    }

    /// What is to read the answer's body along, if it is recorded.
    pub(crate) fn track(&self) -> Option<Track> {
        Some(self.0.as_ref()?.take.as_ref()?.answer())
    }

    /// Takes note of the id that the request goes by.
    pub(crate) fn note_id(&mut self, id: &[u8]) {
        self.note(|record| record.id = id.to_vec());
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            let took = open.clock.now().since(open.record.arrived);
            if let Some(take) = open.take {
                take.end(&open.record.outcome(took));
            }
            if let Some(pen) = &open.observer.pen {
                pen.write(&open.record.line(took));
            }
            if let (Some(exporter), Some(sampled)) = (&open.observer.exporter, &open.record.sampled) {
                exporter.send(open.record.otlp(sampled, took));
                open.record.tries(sampled, took).into_iter().for_each(|span| exporter.send(span));
            }
        }
    }
}

impl Record {
    fn line(&self, took: Span) -> Line<'_> {
        Line {
            time: self.time,
            id: &self.id,
            client: self.client,
            method: self.method.as_ref().map_or("", Method::as_str),
            host: &self.host,
            path: &self.path,
            version: version(self.version),
            route: self.route.as_deref().unwrap_or(""),
            pool: self.pool.as_deref().unwrap_or(""),
            status: self.status.map_or(0, |status| status.as_u16()),
            bytes: self.bytes,
            duration: took,
            worker: self.worker.as_deref().unwrap_or(""),
            attempts: self.tries,
            upstream: self.upstream,
            reason: self.reason.map_or("", Reason::word),
            detail: &self.detail,
            tier: &self.tier,
            cache: self.cache,
            keyspace: self.keyspace.as_ref().map_or("", |place| place.name().as_str()),
            waited: self.waited,
            complete: self.complete,
            referer: &self.referer,
            user_agent: &self.user_agent,
        }
    }

    fn outcome(&self, took: Span) -> Outcome<'_> {
        Outcome {
            route: self.route.as_deref().unwrap_or(""),
            status: self.status,
            reason: self.reason,
            worker: self.worker.as_deref().unwrap_or(""),
            tries: self.tries,
            took,
        }
    }

    fn tries(&self, sampled: &Sampled, took: Span) -> Vec<OtlpSpan> {
        let at = |point: Mono| self.time.0 + point.since(self.arrived).as_nanos();
        let Some(method) = &self.method else { return Vec::new() };
        sampled.spans(method, &self.path, self.arrived + took, at)
    }

    fn otlp(&self, sampled: &Sampled, took: Span) -> OtlpSpan {
        let Sampled { context, parent, .. } = sampled;
        let method = self.method.as_ref().map_or("", Method::as_str);
        let status = self.status.map(|status| u64::from(status.as_u16()));
        let mut attributes = vec![
            KeyValue::text("http.request.method", method),
            KeyValue::text("url.path", &self.path),
            KeyValue::number("ambidex.attempts", self.tries as u64),
        ];
        attributes.extend(status.map(|status| KeyValue::number("http.response.status_code", status)));
        for (key, text) in [("http.route", &self.route), ("ambidex.pool", &self.pool), ("ambidex.worker", &self.worker)]
        {
            attributes.extend(text.as_deref().map(|text| KeyValue::text(key, text)));
        }
        attributes.extend(self.reason.map(|reason| KeyValue::text("error.type", reason.word())));
        let failed = status.is_some_and(|status| status >= 500) || !self.complete;
        OtlpSpan {
            trace_id: context.trace.to_vec(),
            span_id: context.span.to_vec(),
            parent_span_id: parent.map_or_else(Vec::new, |parent| parent.to_vec()),
            name: self.route.as_deref().map_or_else(|| method.to_owned(), |route| format!("{method} {route}")),
            kind: SERVER,
            start_time_unix_nano: self.time.0,
            end_time_unix_nano: self.time.0 + took.as_nanos(),
            attributes,
            status: failed.then(|| Status { message: String::new(), code: ERROR }),
        }
    }
}

/// A version of HTTP, as logs write it.
pub(crate) fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

/// `SPAN_KIND_SERVER` of OTLP.
const SERVER: i32 = 2;
