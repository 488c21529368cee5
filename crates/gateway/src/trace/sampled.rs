//! A request whose trace is recorded: its own span, and one span for each try, as its child.
//!
//! ```text
//! client's span ── server span (the request) ─┬─ client span: try 1, worker a, connect            traceparent of try 1
//!                                             └─ client span: try 2, worker b, 200, resend 1      traceparent of try 2
//! ```
//! A worker's parent is the span of the try that asked it, so a trace shows which of two tries a worker's own spans
//! belong to. Shared between the request's record, which outlives it, and its tries; there is none of a request that is
//! not sampled. Tries are as few as retries are (at most four), so what is kept is bounded.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use ambidex_core::balance::{Pick, PickReason};
use ambidex_core::time::Mono;
use ambidex_core::view::{Address, WorkerView};
use ambidex_tower::{AnswerHead, Clock, SendError};
use http::{Method, StatusCode};

use super::context::Context;
use super::otlp::{ERROR, KeyValue, Span as OtlpSpan, Status};
use crate::reason::Reason;

/// What is recorded of a sampled request.
#[derive(Debug)]
pub(crate) struct Sampled {
    /// The request's own span.
    pub(crate) context: Context,
    /// The client's span, if it named one.
    pub(crate) parent: Option<[u8; 8]>,
    clock: Clock,
    tries: RefCell<Vec<Try>>,
}

#[derive(Debug)]
struct Try {
    span: [u8; 8],
    begun: Mono,
    /// `None` as long as its answer lasts.
    ended: Option<Mono>,
    worker: Arc<str>,
    url: Arc<str>,
    address: Address,
    why: PickReason,
    status: Option<StatusCode>,
    error: Option<&'static str>,
}

impl Sampled {
    /// A request that has made no try yet.
    pub(crate) fn new(context: Context, parent: Option<[u8; 8]>, clock: Clock) -> Rc<Self> {
        Rc::new(Self { context, parent, clock, tries: RefCell::default() })
    }

    /// Begins a try, as `span`; the context is what its worker is told.
    pub(crate) fn begin(self: &Rc<Self>, span: [u8; 8], worker: &WorkerView, pick: Pick) -> (Context, Running) {
        self.tries.borrow_mut().push(Try {
            span,
            begun: self.clock.now(),
            ended: None,
            worker: Arc::clone(&worker.name),
            url: Arc::clone(&worker.url),
            address: worker.address.clone(),
            why: pick.why,
            status: None,
            error: Some(CANCELLED),
        });
        (Context { span, ..self.context }, Running(Some(Rc::clone(self))))
    }

    /// Says what the request was refused for, when that is what ended its last try: the deadline came.
    pub(crate) fn refused(&self, reason: Reason) {
        if let Some(last) = self.tries.borrow_mut().last_mut()
            && last.error == Some(CANCELLED)
        {
            last.error = Some(reason.word());
        }
    }

    /// Says that the worker broke its answer off.
    pub(crate) fn broke_off(&self) {
        if let Some(last) = self.tries.borrow_mut().last_mut() {
            last.error = Some(Reason::UpstreamReset.word());
        }
    }

    /// The spans of all tries; `at` is the time of day of a point, `end` the end of the request.
    pub(crate) fn spans(&self, method: &Method, path: &str, end: Mono, at: impl Fn(Mono) -> u64) -> Vec<OtlpSpan> {
        let tries = self.tries.borrow();
        let spans = tries.iter().enumerate().map(|(resend, one)| OtlpSpan {
            trace_id: self.context.trace.to_vec(),
            span_id: one.span.to_vec(),
            parent_span_id: self.context.span.to_vec(),
            name: method.to_string(),
            kind: CLIENT,
            start_time_unix_nano: at(one.begun),
            end_time_unix_nano: at(one.ended.unwrap_or(end)),
            attributes: one.attributes(method, path, resend),
            status: one.error().map(|_| Status { message: String::new(), code: ERROR }),
        });
        spans.collect()
    }

    fn end(&self, status: Option<StatusCode>, error: Option<&'static str>) {
        let now = self.clock.now();
        if let Some(last) = self.tries.borrow_mut().last_mut() {
            (last.status, last.error) = (status, error);
            last.ended = status.is_none().then_some(now);
        }
    }
}

impl Try {
    /// What failed: a word of ours, or the status, as the conventions have it for clients.
    fn error(&self) -> Option<String> {
        let bad = self.status.filter(|status| status.as_u16() >= 400);
        self.error.map(str::to_owned).or_else(|| bad.map(|status| status.as_str().to_owned()))
    }

    /// Names by OpenTelemetry's conventions for HTTP clients, and two of our own. Never the query: it may hold secrets.
    fn attributes(&self, method: &Method, path: &str, resend: usize) -> Vec<KeyValue> {
        let mut attributes = vec![
            KeyValue::text("http.request.method", method.as_str()),
            KeyValue::text("url.full", &format!("{}{path}", self.url.trim_end_matches('/'))),
            KeyValue::text("ambidex.worker", &self.worker),
            KeyValue::text("ambidex.pick", &self.why.to_string()),
        ];
        match &self.address {
            Address::Ip(ip) => {
                let host = self.url.split_once("://").and_then(|(_, rest)| rest.parse::<http::uri::Authority>().ok());
                let host = host.map_or_else(|| ip.ip().to_string(), |known| known.host().to_owned());
                attributes.push(KeyValue::text("server.address", &host));
                attributes.push(KeyValue::number("server.port", u64::from(ip.port())));
            }
            Address::Unix(path) => attributes.push(KeyValue::text("server.address", path)),
        }
        attributes.extend(
            self.status.map(|status| KeyValue::number("http.response.status_code", u64::from(status.as_u16()))),
        );
        attributes.extend(self.error().map(|error| KeyValue::text("error.type", &error)));
        attributes.extend((resend > 0).then(|| KeyValue::number("http.request.resend_count", resend as u64)));
        attributes
    }
}

/// A try that is waited for; dropped before it is told how it ended, it was given up.
#[derive(Debug)]
pub(crate) struct Running(Option<Rc<Sampled>>);

impl Running {
    /// Takes note of how the try ended.
    pub(crate) fn ended<A: AnswerHead, R>(mut self, ended: &Result<A, SendError<R>>) {
        let Some(sampled) = self.0.take() else { return };
        match ended {
            Ok(response) => sampled.end(Some(response.status()), None),
            Err(failed) => sampled.end(None, Some(Reason::from(failed.kind).word())),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(sampled) = self.0.take() {
            sampled.end(None, Some(CANCELLED));
        }
    }
}

/// `SPAN_KIND_CLIENT` of OTLP.
const CLIENT: i32 = 3;
/// A try that was given up because its client left, unless the deadline came.
const CANCELLED: &str = "cancelled";
