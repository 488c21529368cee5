//! Sends spans of sampled requests to a collector, from a thread of its own.
//!
//! ```text
//! serving threads ── try_send ──> channel (4,096 spans) ──> exporter: each second, or 512 spans ──> POST /v1/traces
//! ```
//! Nothing waits for the collector: a full channel drops spans, a post that fails or takes over 10 s drops its batch;
//! both are counted, and said once a minute at most.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, channel, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};

use super::otlp::{Export, KeyValue, Resource, ResourceSpans, Scope, ScopeSpans, Span};
use crate::config::Tracing;

/// Where spans go.
#[derive(Clone, Debug)]
pub(crate) struct Exporter {
    config: Tracing,
    spans: SyncSender<Span>,
    counters: Arc<Counters>,
}

/// What became of spans.
#[derive(Debug, Default)]
struct Counters {
    sent: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

/// Numbers of the trace export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceStats {
    /// Spans that the collector took.
    pub sent: u64,
    /// Spans dropped because the exporter was behind.
    pub dropped: u64,
    /// Spans that could not be sent, or that the collector refused.
    pub failed: u64,
}

/// Ends when the exporter has ended; all copies of it must be gone for that.
pub(crate) type Ended = Receiver<()>;

impl Exporter {
    /// Starts the thread. The collector need not be there.
    pub(crate) fn start(config: &Tracing) -> std::io::Result<(Self, Ended)> {
        let (spans, arriving) = sync_channel(MOST_WAITING);
        let (done, ended) = channel();
        let counters = Arc::new(Counters::default());
        let post = Post { url: config.otlp.clone(), counters: Arc::clone(&counters), connection: None, told: 0 };
        std::thread::Builder::new().name("trace-export".into()).spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            match runtime {
                Ok(runtime) => runtime.block_on(post.run(&arriving)),
                Err(cause) => tracing::error!(%cause, "traces are not exported"),
            }
            drop(done);
        })?;
        Ok((Self { config: config.clone(), spans, counters }, ended))
    }

    /// What it was started by.
    pub(crate) fn config(&self) -> &Tracing {
        &self.config
    }

    /// Sends a span, unless too many wait.
    pub(crate) fn send(&self, span: Span) {
        if self.spans.try_send(span).is_err() {
            self.counters.dropped.fetch_add(1, Relaxed);
        }
    }

    /// The numbers of now.
    pub(crate) fn stats(&self) -> TraceStats {
        let Counters { sent, dropped, failed } = &*self.counters;
        TraceStats { sent: sent.load(Relaxed), dropped: dropped.load(Relaxed), failed: failed.load(Relaxed) }
    }
}

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
enum PostError {
    #[error("cannot connect: {0}")]
    Connect(#[from] std::io::Error),
    #[error("cannot post: {0}")]
    Http(#[from] hyper::Error),
    #[error("the URL cannot be posted to: {0}")]
    Url(#[from] http::Error),
    #[error("it answered {0}")]
    Status(StatusCode),
    #[error("no answer within {0:?}")]
    Late(#[from] tokio::time::error::Elapsed),
}

struct Post {
    url: String,
    counters: Arc<Counters>,
    connection: Option<SendRequest<Full<Bytes>>>,
    told: u64,
}

impl Post {
    async fn run(mut self, arriving: &Receiver<Span>) {
        loop {
            let (batch, more) = collect(arriving).await;
            if !batch.is_empty() {
                let count = batch.len() as u64;
                match tokio::time::timeout(MOST_WAIT, self.post(batch)).await.map_err(PostError::from).flatten() {
                    Ok(()) => _ = self.counters.sent.fetch_add(count, Relaxed),
                    Err(cause) => self.failed(count, &cause),
                }
            }
            if !more {
                return;
            }
        }
    }

    async fn post(&mut self, batch: Vec<Span>) -> Result<(), PostError> {
        let authority = self.url.trim_start_matches("http://");
        let mut connection = match self.connection.take() {
            Some(connection) if connection.is_ready() => connection,
            Some(_) | None => {
                let at = if authority.rsplit(']').next().is_some_and(|end| end.contains(':')) {
                    authority.to_owned()
                } else {
                    format!("{authority}:80")
                };
                let (connection, io) = handshake(TokioIo::new(TcpStream::connect(at).await?)).await?;
                tokio::task::spawn_local(io);
                connection
            }
        };
        let request = Request::post("/v1/traces")
            .header(header::HOST, authority)
            .header(header::CONTENT_TYPE, "application/x-protobuf")
            .header(header::USER_AGENT, concat!("ambidex/", env!("CARGO_PKG_VERSION")))
            .body(Full::from(export(batch).encode_to_vec()))?;
        let answer = connection.send_request(request).await?;
        let status = answer.status();
        answer.into_body().collect().await?;
        self.connection = Some(connection);
        if status.is_success() { Ok(()) } else { Err(PostError::Status(status)) }
    }

    fn failed(&mut self, count: u64, cause: &PostError) {
        let failed = self.counters.failed.fetch_add(count, Relaxed) + count;
        // At one batch a second: the first one, then one line a minute.
        if self.told == 0 || failed - self.told >= 60 * count {
            tracing::warn!(collector = self.url, %cause, failed, "spans could not be exported");
            self.told = failed;
        }
    }
}

/// Waits for spans until there are enough or a second is over; says whether more may come.
async fn collect(arriving: &Receiver<Span>) -> (Vec<Span>, bool) {
    let mut batch = Vec::new();
    // A blocking wait would be a wake-up for each span; a look each tenth costs senders nothing.
    for _ in 0..LOOKS {
        while batch.len() < FULL {
            match arriving.try_recv() {
                Ok(span) => batch.push(span),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return (batch, false),
            }
        }
        if batch.len() >= FULL {
            break;
        }
        tokio::time::sleep(LOOK_EACH).await;
    }
    (batch, true)
}

fn export(spans: Vec<Span>) -> Export {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let attributes = vec![KeyValue::text("service.name", "ambidex"), KeyValue::text("service.version", &version)];
    let scope = Some(Scope { name: "ambidex-gateway".into(), version });
    let resource = Some(Resource { attributes });
    Export { resource_spans: vec![ResourceSpans { resource, scope_spans: vec![ScopeSpans { scope, spans }] }] }
}

/// How many spans wait for the exporter. Source: at a few hundred bytes each under 2 MiB.
const MOST_WAITING: usize = 4_096;
/// How many are sent at once. Source: OpenTelemetry's `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`.
const FULL: usize = 512;
/// How long the collector may take. Source: OpenTelemetry's `OTEL_EXPORTER_OTLP_TIMEOUT`.
const MOST_WAIT: Duration = Duration::from_secs(10);
const LOOK_EACH: Duration = Duration::from_millis(100);
/// Looks until a batch is sent, full or not: a second.
const LOOKS: usize = 10;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use std::sync::mpsc::RecvTimeoutError;

    use ambidex_core::share::Share;

    use super::*;

    fn span(id: u8) -> Span {
        Span {
            trace_id: vec![1; 16],
            span_id: vec![id; 8],
            name: "GET /a".into(),
            kind: 2,
            start_time_unix_nano: 1,
            end_time_unix_nano: 2,
            attributes: vec![KeyValue::number("http.response.status_code", 200)],
            ..Span::default()
        }
    }

    fn exporter(collector: &TcpListener) -> (Exporter, Ended) {
        let address = collector.local_addr().expect("an address");
        Exporter::start(&Tracing { otlp: format!("http://{address}"), sample: Share::ALL }).expect("starts")
    }

    /// Takes one post and answers it.
    fn take(collector: &TcpListener, answer: &str) -> (String, Export) {
        let (mut stream, _) = collector.accept().expect("a connection");
        let (mut got, mut part) = (Vec::new(), [0; 4_096]);
        loop {
            let read = stream.read(&mut part).expect("readable");
            got.extend_from_slice(&part[..read]);
            let Some(end) = got.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let head = String::from_utf8_lossy(&got[..end]).to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
            let length: usize = length.expect("a length").parse().expect("a number");
            if got.len() >= end + 4 + length {
                stream.write_all(answer.as_bytes()).expect("answered");
                return (head, Export::decode(&got[end + 4..]).expect("OTLP"));
            }
        }
    }

    #[test]
    fn spans_come_to_the_collector_as_otlp() {
        let collector = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (exporter, ended) = exporter(&collector);
        exporter.send(span(1));
        exporter.send(span(2));
        let counters = Arc::clone(&exporter.counters);
        drop(exporter);
        let (head, export) = take(&collector, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        assert!(head.starts_with("post /v1/traces http/1.1") && head.contains("application/x-protobuf"), "{head}");
        assert_eq!(export.resource_spans[0].scope_spans[0].spans, [span(1), span(2)]);
        assert_eq!(ended.recv_timeout(MOST_WAIT), Err(RecvTimeoutError::Disconnected));
        assert_eq!(counters.sent.load(Relaxed), 2);
    }

    #[test]
    fn a_collector_that_refuses_is_counted_and_nobody_waits_for_it() {
        let collector = TcpListener::bind("127.0.0.1:0").expect("a port");
        let (exporter, ended) = exporter(&collector);
        for _ in 0..MOST_WAITING + FULL + 10 {
            exporter.send(span(1));
        }
        assert!(exporter.stats().dropped > 0);
        take(&collector, "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        drop(collector);
        let counters = Arc::clone(&exporter.counters);
        drop(exporter);
        assert_eq!(ended.recv_timeout(MOST_WAIT), Err(RecvTimeoutError::Disconnected));
        let (failed, dropped) = (counters.failed.load(Relaxed), counters.dropped.load(Relaxed));
        assert_eq!(failed + dropped, (MOST_WAITING + FULL + 10) as u64);
    }
}
