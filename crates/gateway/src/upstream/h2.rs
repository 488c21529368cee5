//! HTTP/2 towards a worker: many exchanges on one connection, which a task of this thread drives.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use ambidex_core::attempt::FailureKind;
use ambidex_core::time::{Mono, Span};
use ambidex_core::view::Address;
use ambidex_tower::Timer as _;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::io::Wire;
use crate::body::RequestBody;
use crate::local::Local;
use crate::thread::Thread;

/// A connection that speaks HTTP/2. Clones share it.
#[derive(Clone)]
pub(crate) struct H2 {
    sender: http2::SendRequest<RequestBody>,
    streams: Rc<Cell<usize>>,
    task: Rc<Task>,
    /// Driven by the task; it knows what the worker announced. Gone when it has ended, and with it what waits in it.
    connection: Rc<RefCell<Option<Connection>>>,
    /// Where it leads.
    pub(crate) address: Address,
    /// When it was opened.
    pub(crate) opened: Mono,
    /// When its last stream was taken.
    used: Rc<Cell<Mono>>,
}

type Connection = http2::Connection<TokioIo<Wire>, RequestBody, Local>;

/// Ends the driving task with the last clone, when no stream is left.
struct Task(tokio::task::AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Counts one stream of a connection, and keeps the connection alive.
pub(crate) struct Stream {
    connection: H2,
    /// The connection was unused for so long that the worker may be closing it at this moment.
    pub(crate) is_cold: bool,
}

impl Drop for Stream {
    fn drop(&mut self) {
        let streams = &self.connection.streams;
        streams.set(streams.get() - 1);
    }
}

impl H2 {
    /// Speaks HTTP/2 on `wire`.
    pub(crate) async fn handshake(wire: Wire, address: Address, now: Mono) -> Result<Self, hyper::Error> {
        let mut builder = http2::Builder::new(Local);
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MOST_HEAD_BYTES)
            .max_send_buf_size(SEND_BUFFER)
            .max_concurrent_reset_streams(MOST_RESETS)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_WAIT);
        let (sender, connection) = builder.handshake(TokioIo::new(wire)).await?;
        let connection = Rc::new(RefCell::new(Some(connection)));
        let driven = Rc::clone(&connection);
        let task = tokio::task::spawn_local(async move {
            let ended = poll_fn(|cx| match &mut *driven.borrow_mut() {
                Some(connection) => Pin::new(connection).poll(cx),
                None => Poll::Ready(Ok(())),
            })
            .await;
            driven.take();
            if let Err(error) = ended {
                tracing::debug!(%error, "an HTTP/2 connection to a worker ended");
            }
        });
        let task = Rc::new(Task(task.abort_handle()));
        Ok(Self {
            sender,
            streams: Rc::default(),
            task,
            connection,
            address,
            opened: now,
            used: Rc::new(Cell::new(now)),
        })
    }

    /// Whether another stream may be opened.
    pub(crate) fn has_room(&self) -> bool {
        !self.sender.is_closed() && self.streams.get() < MOST_STREAMS
    }

    /// Whether it may serve more requests at `now`: it is not too old, and not unused for too long.
    pub(crate) fn lasts(&self, idle_timeout: Span, max_age: Span, now: Mono) -> bool {
        let in_use = self.streams.get() > 0 || now.since(self.used.get()) < idle_timeout;
        in_use && now.since(self.opened) < max_age
    }

    /// Whether it has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed() || self.task.0.is_finished()
    }

    /// Takes a stream.
    pub(crate) fn stream(&self, now: Mono) -> Stream {
        let is_cold = now.since(self.used.replace(now)) > COLD && self.streams.get() == 0;
        self.streams.set(self.streams.get() + 1);
        Stream { connection: self.clone(), is_cold }
    }
}

impl Stream {
    /// Whether the worker announces extended CONNECT (RFC 8441). Its settings are the first that it sends; on a new
    /// connection they may be on their way yet.
    pub(crate) async fn takes_connect(&self, thread: &Thread) -> bool {
        loop {
            let now = thread.clock.now();
            if self
                .connection
                .connection
                .borrow()
                .as_ref()
                .is_some_and(Connection::is_extended_connect_protocol_enabled)
            {
                return true;
            }
            if now.since(self.connection.opened) > MOST_SETTINGS_WAIT || self.connection.is_closed() {
                return false;
            }
            thread.alarms.at(now + SETTINGS_LOOK).await;
        }
    }

    /// Sends `request` and waits for the head of its answer.
    pub(crate) async fn exchange(&mut self, request: Request<RequestBody>) -> Result<Response<Incoming>, Unanswered> {
        if let Err(error) = self.connection.sender.ready().await {
            return Err(Unanswered { unsent: Some(request), error });
        }
        self.connection.sender.try_send_request(request).await.map_err(|mut failed| {
            let unsent = failed.take_message();
            Unanswered { unsent, error: failed.into_error() }
        })
    }
}

/// An exchange that ended without a head.
pub(crate) struct Unanswered {
    /// The request, when the worker got nothing of it.
    pub(crate) unsent: Option<Request<RequestBody>>,
    pub(crate) error: hyper::Error,
}

impl Unanswered {
    /// What went wrong.
    pub(crate) fn kind(&self) -> FailureKind {
        let error = &self.error;
        if self.unsent.is_some() {
            FailureKind::Reset
        } else if error.is_user() {
            FailureKind::RequestBody
        } else if error.is_parse() || error.is_parse_too_large() || error.is_parse_status() {
            FailureKind::Garbage
        } else {
            FailureKind::Reset
        }
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

/// Shorter than any server's idle timeout (Node's is 5 s), longer than what a busy connection waits.
const COLD: Span = Span::from_secs(1);
/// What hyper takes by default for a stream, made explicit. Source: hyper's default for clients, 2 MiB, halved.
const STREAM_WINDOW: u32 = 1 << 20;
/// Enough for four stalled streams beside a live one. Source: hyper's default for clients, 5 MiB, rounded down.
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Source: as for HTTP/1.
const MOST_HEAD_BYTES: u32 = 128 << 10;
/// Bytes buffered for one stream before back-pressure. Source: nginx's and HAProxy's buffers of 16 KiB, times four.
const SEND_BUFFER: usize = 64 << 10;
/// Streams that we reset and still remember. Source: hyper's default.
const MOST_RESETS: usize = 10;
/// Streams at once on one connection before another one is opened. Source: the least that RFC 9113, 6.5.2 recommends a
/// server to allow.
const MOST_STREAMS: usize = 100;
/// How long a new connection's settings may be on their way. Source: the longest round trip of common networks.
const MOST_SETTINGS_WAIT: Span = Span::from_millis(300);
/// How often they are looked for.
const SETTINGS_LOOK: Span = Span::from_millis(5);
/// A connection in use that is silent this long is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(10);
/// How long it may take to say so.
const PING_WAIT: Duration = Duration::from_secs(5);
