//! One request as the access log and the trace export are told of it, when it is over, however it ends.
//!
//! Without an observer no record is made, and nothing is paid.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use ambidex_core::time::{Mono, Span};
use ambidex_tower::Clock;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, header};

use crate::access_log::line::Line;
use crate::clock::Wall;
use crate::head::X_REQUEST_ID;
use crate::reason::Reason;
use crate::trace::otlp::{ERROR, KeyValue, Span as OtlpSpan, Status};
use crate::trace::sampled::Sampled;
use crate::watch::Observer;

/// What is told of a request.
pub(crate) struct Record {
    arrived: Mono,
    time: Wall,
    client: Option<SocketAddr>,
    method: Method,
    target: Uri,
    version: Version,
    host: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    referer: Option<HeaderValue>,
    id: Option<HeaderValue>,
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
    record: Record,
}

impl Entry {
    /// Begins the record of a request.
    pub(crate) fn begin<B>(
        observer: Rc<Observer>,
        clock: Clock,
        arrived: Mono,
        head: &Request<B>,
        client: Option<SocketAddr>,
    ) -> Self {
        let copy = |name: HeaderName| head.headers().get(name).cloned();
        let record = Record {
            arrived,
            time: Wall::now(),
            client,
            method: head.method().clone(),
            target: head.uri().clone(),
            version: head.version(),
            host: copy(header::HOST),
            user_agent: copy(header::USER_AGENT),
            referer: copy(header::REFERER),
            id: None,
            sampled: None,
            status: None,
            reason: None,
            detail: String::new(),
            complete: false,
            route: None,
            pool: None,
            worker: None,
            tries: 0,
            upstream: None,
            bytes: 0,
        };
        Self(Some(Box::new(Open { observer, clock, record })))
    }

    /// Writes into the record, if there is one.
    pub(crate) fn note(&mut self, write: impl FnOnce(&mut Record)) {
        if let Some(open) = &mut self.0 {
            write(&mut open.record);
        }
    }

    /// Takes note of the id that the request goes by.
    pub(crate) fn note_id(&mut self, headers: &HeaderMap) {
        self.note(|record| record.id = headers.get(&X_REQUEST_ID).cloned());
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            let took = open.clock.now().since(open.record.arrived);
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
            id: bytes(self.id.as_ref()),
            client: self.client,
            method: self.method.as_str(),
            host: self.target.authority().map_or_else(|| bytes(self.host.as_ref()), |host| host.as_str().as_bytes()),
            path: self.target.path(),
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
            tier: "",
            complete: self.complete,
            referer: bytes(self.referer.as_ref()),
            user_agent: bytes(self.user_agent.as_ref()),
        }
    }

    fn tries(&self, sampled: &Sampled, took: Span) -> Vec<OtlpSpan> {
        let at = |point: Mono| self.time.0 + point.since(self.arrived).as_nanos();
        sampled.spans(&self.method, self.target.path(), self.arrived + took, at)
    }

    fn otlp(&self, sampled: &Sampled, took: Span) -> OtlpSpan {
        let Sampled { context, parent, .. } = sampled;
        let status = self.status.map(|status| u64::from(status.as_u16()));
        let mut attributes = vec![
            KeyValue::text("http.request.method", self.method.as_str()),
            KeyValue::text("url.path", self.target.path()),
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
            name: self
                .route
                .as_deref()
                .map_or_else(|| self.method.to_string(), |route| format!("{} {route}", self.method)),
            kind: SERVER,
            start_time_unix_nano: self.time.0,
            end_time_unix_nano: self.time.0 + took.as_nanos(),
            attributes,
            status: failed.then(|| Status { message: String::new(), code: ERROR }),
        }
    }
}

fn bytes(value: Option<&HeaderValue>) -> &[u8] {
    value.map_or(b"", HeaderValue::as_bytes)
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

/// `SPAN_KIND_SERVER` of OTLP.
const SERVER: i32 = 2;
