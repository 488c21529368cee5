//! HTTP/1.1 towards a worker: one exchange at a time on a connection that no task of its own drives.
//!
//! hyper wants a connection to be polled by somebody. Here that is whoever uses it: the try until the head, the
//! answer's body after it, nobody while it is idle. So one event of the socket wakes one task, the client
//! connection's, and there is no channel between tasks and no wake-up between them.
//!
//! What the connection hands over (head, body) can change only while it is polled, and that happens here alone; so
//! these are polled with a waker that does nothing, and the connection with one ([`BellWire`]) that hears of nothing
//! but its socket: no task wakes itself.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use ambidex_core::attempt::FailureKind;
use ambidex_core::time::{Mono, Span};
use ambidex_core::view::Address;
use ambidex_tower::SendError;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::bell_wire::BellWire;
use super::body::Switched;
use super::io::{Allowance, Metered, Wire};
use crate::body::RequestBody;

/// A connection that speaks HTTP/1.1.
pub(crate) struct H1 {
    sender: http1::SendRequest<RequestBody>,
    connection: http1::Connection<TokioIo<Metered>, RequestBody>,
    allowance: Allowance,
    wire: BellWire,
    over: bool,
    heard: bool,
    /// Where it leads.
    pub(crate) address: Address,
    /// When it was opened.
    pub(crate) opened: Mono,
    /// When it was used last.
    pub(crate) used: Mono,
    /// When the worker will close it, if it said so.
    pub(crate) until: Option<Mono>,
}

impl H1 {
    /// Speaks HTTP/1.1 on `wire`.
    pub(crate) async fn handshake(wire: Wire, address: Address, now: Mono) -> Result<Self, hyper::Error> {
        let mut builder = http1::Builder::new();
        builder.max_header_size(MOST_HEAD_BYTES).max_buf_size(BUFFER).max_headers(MOST_HEADERS);
        let (metered, allowance) = Metered::new(wire);
        let (sender, connection) = builder.handshake(TokioIo::new(metered)).await?;
        let wire = BellWire::new();
        Ok(Self {
            sender,
            connection,
            allowance,
            wire,
            address,
            over: false,
            heard: false,
            opened: now,
            used: now,
            until: None,
        })
    }

    /// Drives the connection; to be called by whoever waits for something from it.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) {
        if !self.over {
            self.over = self.connection.poll_without_shutdown(&mut self.wire.lead_to(cx)).is_ready();
        }
    }

    /// Whether another request may be sent: the last exchange has ended on both sides, nothing odd came, and the
    /// worker has not closed, as far as can be seen.
    pub(crate) fn is_ready(&mut self) -> bool {
        !self.over && self.sender.is_ready()
    }

    /// [`is_ready`](Self::is_ready) after a look at the socket.
    pub(crate) fn is_alive(&mut self) -> bool {
        if !self.over {
            self.over = self.connection.poll_without_shutdown(&mut self.wire.mute()).is_ready();
        }
        self.is_ready()
    }

    /// Sends `request` and waits for the head of its answer.
    pub(crate) async fn exchange(
        &mut self,
        request: Box<Request<RequestBody>>,
    ) -> Result<Response<Incoming>, SendError<Box<Request<RequestBody>>>> {
        self.allowance.set(MOST_HEAD_BYTES as u64);
        let mut answer = pin!(self.sender.try_send_request(*request));
        let (connection, over, wire) = (&mut self.connection, &mut self.over, &self.wire);
        let answered = std::future::poll_fn(|cx| {
            if !*over {
                *over = connection.poll_without_shutdown(&mut wire.lead_to(cx)).is_ready();
            }
            answer.as_mut().poll(&mut Context::from_waker(Waker::noop()))
        })
        .await;
        let heard = self.allowance.left() < MOST_HEAD_BYTES as u64;
        self.allowance.set(u64::MAX);
        self.heard = heard;
        answered.map_err(|mut failed| {
            let request = failed.take_message();
            let error = failed.into_error();
            match request {
                Some(request) => SendError::unsent(FailureKind::Reset, Box::new(request), chain(&error)),
                None => SendError::sent(kind_of(&error), chain(&error)),
            }
        })
    }

    /// Whether the last exchange ended before a single byte of its answer came.
    pub(crate) fn heard_nothing(&self) -> bool {
        !self.heard
    }

    /// The bare connection, after the worker agreed to another protocol.
    pub(crate) fn switched(self) -> Switched {
        let parts = self.connection.into_parts();
        Switched { wire: Box::new(parts.io.into_inner().into_wire()), first: parts.read_buf, _stream: None }
    }

    /// Nobody uses it any more.
    pub(crate) fn rest(&self) {
        self.wire.mute();
    }

    /// Takes note of what the head says of the connection's future.
    pub(crate) fn heed(&mut self, head: &Response<Incoming>, now: Mono) {
        if let Some(said) = head.headers().get(&KEEP_ALIVE) {
            self.until = promised(said).map(|seconds| now + Span::from_secs(seconds));
        }
    }
}

/// `timeout=N` of `Keep-Alive`, less a second for the way.
fn promised(said: &HeaderValue) -> Option<u64> {
    let said = said.to_str().ok()?;
    let seconds = said.split(',').find_map(|part| part.trim().strip_prefix("timeout="))?;
    Some(seconds.trim().parse::<u64>().ok()?.min(86_400).saturating_sub(1))
}

static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// What a failed exchange was.
pub(super) fn kind_of(error: &hyper::Error) -> FailureKind {
    if error.is_user() {
        FailureKind::RequestBody
    } else if error.is_parse() || error.is_parse_too_large() || error.is_parse_status() {
        FailureKind::Garbage
    } else {
        FailureKind::Reset
    }
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Makes a request what HTTP/1.1 wants: origin form with its `Host`. It may come in HTTP/2's form from another worker
/// that gave it back.
pub(super) fn adapt(request: &mut Request<RequestBody>) {
    *request.version_mut() = http::Version::HTTP_11;
    if let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        let path = request.uri().path_and_query().cloned();
        request.headers_mut().insert(header::HOST, host);
        *request.uri_mut() = path.map_or_else(Uri::default, Uri::from);
    }
    if request.headers().contains_key(header::TE) {
        // RFC 9110, 10.1.4: who sends TE names it in Connection.
        request.headers_mut().append(header::CONNECTION, HeaderValue::from_static("te"));
    }
}

/// Whether a head is of an upgrade that nobody asked for, or that is not the one that was asked for.
pub(super) fn unasked(head: &Response<Incoming>, asked: bool) -> bool {
    head.status() == StatusCode::SWITCHING_PROTOCOLS && !asked
}

/// Most bytes of an answer's head. Source: twice what the largest of the peers bears by default (Envoy, 60 KiB).
const MOST_HEAD_BYTES: usize = 128 << 10;
/// Bytes of one read, and of what is written at once. A head must fit. Source: the pipe size of the kernel, doubled.
const BUFFER: usize = MOST_HEAD_BYTES;
/// Most header lines of an answer. Source: hyper's default.
const MOST_HEADERS: usize = 100;

/// A body that is read by driving its connection.
pub(crate) fn poll_body(
    connection: &mut H1,
    mut body: Pin<&mut Incoming>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, hyper::Error>>> {
    use http_body::Body as _;
    let mut quiet = Context::from_waker(Waker::noop());
    if let Poll::Ready(frame) = connection.wire.muted(|| body.as_mut().poll_frame(&mut quiet)) {
        return Poll::Ready(frame);
    }
    connection.poll(cx);
    connection.wire.muted(|| body.poll_frame(&mut quiet))
}
