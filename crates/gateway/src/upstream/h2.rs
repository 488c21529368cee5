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
use ambidex_tower::{SendError, Timer as _};
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri, Version, header};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::h1::{chain, kind_of};
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
    pub(crate) async fn exchange(
        &mut self,
        request: Box<Request<RequestBody>>,
    ) -> Result<Response<Incoming>, SendError<Box<Request<RequestBody>>>> {
        if let Err(error) = self.connection.sender.ready().await {
            return Err(SendError::unsent(FailureKind::Reset, request, chain(&error)));
        }
        self.connection.sender.try_send_request(*request).await.map_err(|mut failed| {
            let request = failed.take_message();
            let error = failed.into_error();
            match request {
                Some(request) => SendError::unsent(FailureKind::Reset, Box::new(request), chain(&error)),
                None => SendError::sent(kind_of(&error), chain(&error)),
            }
        })
    }
}

/// Makes a request what HTTP/2 wants: authority in the target, no `Host`. It comes in origin form with its `Host`, or in
/// this one already, from another worker that gave it back. Says whether it could.
pub(super) fn adapt(request: &mut Request<RequestBody>, tls: bool) -> bool {
    let host = request.headers_mut().remove(header::HOST);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
    if let Some(host) = host {
        parts.authority = Authority::try_from(host.as_bytes()).ok();
    }
    if parts.authority.is_none() {
        return false;
    }
    let Ok(uri) = Uri::from_parts(parts) else { return false };
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    true
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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::upstream::h1;

    #[test]
    fn a_request_that_was_given_back_has_the_form_that_the_next_worker_speaks() {
        let mut request = Request::new(RequestBody::empty());
        *request.uri_mut() = Uri::from_static("/a?b");
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("a.example:80"));
        for _ in 0..2 {
            assert!(adapt(&mut request, true));
            assert_eq!((request.uri().to_string().as_str(), request.headers().len()), ("https://a.example:80/a?b", 0));
        }
        assert!(adapt(&mut request, false));
        assert_eq!(request.uri(), "http://a.example:80/a?b");
        h1::adapt(&mut request);
        assert_eq!(request.uri(), "/a?b");
        assert_eq!(request.headers()["host"], "a.example:80");
    }
}
