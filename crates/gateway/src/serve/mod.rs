//! Serves one connection: finds out which HTTP it speaks, answers its requests, ends it when it is to end.
//!
//! ```text
//! Io ── first bytes ──┬─ HTTP/1: one request at a time, in this task ── 101 ── tunnel
//!  (ALPN says, or 24) └─ HTTP/2: a task of this thread for each stream (hyper)
//! ```
//! The connection ends by itself, at the word of its listener (the next answer says `Connection: close`, GOAWAY), or
//! when its pulse stops.

pub(crate) mod answer;
mod cached;
pub(crate) mod client_wire;
pub(crate) mod exchange;
mod gated;
mod h1;
mod h2;
mod kept;
mod keyed;
mod mirrored;
mod once;
pub(crate) mod pulse;
mod refresh;
mod sending;
mod stages;
pub(crate) mod stream;
pub(crate) mod tunnel;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ambidex_tower::Timer as _;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use self::client_wire::ClientWire;
use self::exchange::Client;
use self::h1::Connection1;
use self::pulse::{Dead, Pulse, Watchdog};
use self::stream::{Patience, Streams};
use self::tunnel::Tunnel;
use crate::config::Lenient;
use crate::listen::bell::Ear;
use crate::listen::io::Io;
use crate::listen::peer::{Peer, Protocol};
pub(crate) use crate::thread::Thread;

/// Serves a connection until it ends.
pub(crate) fn connection(io: Io, peer: Peer, thread: Rc<Thread>) -> impl Future<Output = ()> {
    thread.stats.connections.add(1);
    let pulse = Rc::new(Pulse::default());
    let leaving = peer.leaving.again();
    let settings = Arc::clone(&peer.settings);
    let half_closes = settings.listener.lenient.contains(&Lenient::HalfClose);
    let agreed = peer.tls.as_ref().map(|tls| tls.protocol == Protocol::Http2);
    let wire = ClientWire::new(io, Rc::clone(&pulse), Rc::clone(&thread), settings.profile, half_closes);
    let client = Rc::new(Client::new(thread, peer, pulse));
    // All else was made before, so that what waits with an idle connection is small.
    async move {
        let kind = match agreed {
            Some(h2) => Some(h2),
            None => kind(&wire, &client).await,
        };
        match kind {
            // Boxed, so that a connection of HTTP/1 is no larger for it.
            Some(true) => Box::pin(serve_h2(wire, client, leaving)).await,
            Some(false) => serve_h1(wire, client, leaving).await,
            None => {}
        }
    }
}

/// Whether HTTP/2 is spoken; `None` when nothing comes that tells.
async fn kind(wire: &ClientWire, client: &Client) -> Option<bool> {
    let thread = &client.thread;
    let limit = client.peer.settings.listener.header_timeout;
    let mut late = pin!(thread.alarms.at(thread.clock.now() + limit));
    poll_fn(|cx| match wire.poll_kind(cx) {
        Poll::Ready(kind) => Poll::Ready(kind),
        Poll::Pending => late.as_mut().poll(cx).map(|()| None),
    })
    .await
}

async fn serve_h1(wire: Rc<ClientWire>, client: Rc<Client>, leaving: Ear) {
    let connection = Rc::new(Connection1::new(client, wire));
    let ended = {
        let mut serving = pin!(connection.serve());
        attend(
            &connection.client,
            leaving,
            |dead| connection.cut(dead),
            |cx, leave| {
                if leave {
                    connection.leave();
                }
                serving.as_mut().poll(cx)
            },
        )
        .await
    };
    match ended {
        Some(h1::Ended::Tunnel(tunnel)) => Box::pin(join(connection, tunnel)).await,
        Some(h1::Ended::Abort) => connection.wire.abort(),
        Some(h1::Ended::Closed) | None => {}
    }
}

async fn join(connection: Rc<Connection1>, tunnel: Box<Tunnel>) {
    if let Some(Connection1 { wire, client, .. }) = Rc::into_inner(connection)
        && let Some(wire) = Rc::into_inner(wire)
    {
        let (io, first) = wire.into_parts();
        tunnel.join(io, first, &client.thread).await;
    }
}

async fn serve_h2(wire: Rc<ClientWire>, client: Rc<Client>, leaving: Ear) {
    let Some((io, first)) = Rc::into_inner(wire).map(ClientWire::into_parts) else { return };
    let io = TokioIo::new(io.again(first));
    let listener = &client.peer.settings.listener;
    let patience = Patience { idle: listener.idle_timeout, silence: listener.tunnel_timeout };
    let streams = Streams::new(Rc::clone(&client.thread), patience);
    let mut builder = http2::Builder::new(streams.clone());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_pending_accept_reset_streams(MOST_RESETS)
        .max_local_error_reset_streams(MOST_OWN_RESETS)
        .max_header_list_size(u32::try_from(listener.max_header_bytes.get()).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WAIT);
    if listener.upgrades.iter().any(|name| name == "websocket") {
        builder.enable_connect_protocol();
    }
    let serving = Rc::clone(&client);
    let service = service_fn(move |request: http::Request<Incoming>| {
        let asked = h2::Asking::new(&serving, request);
        streams.next_is(&asked.pulse);
        // hyper and the runtime move a stream's future some ten times before it runs.
        serving.thread.streams.put(|| h2::answer(Rc::clone(&serving), asked))
    });
    let mut connection = pin!(builder.serve_connection(io, service));
    let ended = attend(
        &client,
        leaving,
        |_| {},
        |cx, leave| {
            if leave {
                connection.as_mut().graceful_shutdown();
            }
            connection.as_mut().poll(cx)
        },
    )
    .await;
    if let Some(Err(error)) = &ended {
        tracing::debug!(client = ?client.peer.client, %error, "a connection broke");
    }
}

/// Serves a connection until it ends, is dead, or was told to leave and has left. `None` when it is dead: then it was
/// `cut`.
async fn attend<P, T>(client: &Client, mut leaving: Ear, cut: impl Fn(Dead), mut run: P) -> Option<T>
where
    P: FnMut(&mut Context<'_>, bool) -> Poll<T>,
{
    let thread = &client.thread;
    let listener = &client.peer.settings.listener;
    let (head, idle, silence) = (listener.header_timeout, listener.idle_timeout, listener.tunnel_timeout);
    let mut dog = Watchdog::new(head, idle, silence, thread.clock.now());
    let mut alarm = pin!(thread.alarms.at(dog.due));
    let mut told = false;
    poll_fn(|cx| {
        let leave = !told && Pin::new(&mut leaving).poll(cx).is_ready();
        told |= leave;
        // A request that has come already is answered: leaving closes a connection that has read nothing yet.
        if leave && let Poll::Ready(ended) = run(cx, false) {
            return Poll::Ready(Some(ended));
        }
        if let Poll::Ready(ended) = run(cx, leave) {
            return Poll::Ready(Some(ended));
        }
        while alarm.as_mut().poll(cx).is_ready() {
            if let Some(dead) = dog.look(&client.pulse, thread.clock.now()) {
                tracing::debug!(client = ?client.peer.client, ?dead, "a connection is closed");
                cut(dead);
                return Poll::Ready(None);
            }
            alarm.set(thread.alarms.at(dog.due));
        }
        Poll::Pending
    })
    .await
}

/// Streams at once. Source: nginx's `http2_max_concurrent_streams`, nghttp2's default.
const MOST_STREAMS: u32 = 128;
/// Streams reset by the client before we took them. Source: reliability.md row 8; hyper's default, fixed here.
const MOST_RESETS: usize = 20;
/// Streams that we reset for the client's errors. Source: half of hyper's default of 1,024 is more than honest use.
const MOST_OWN_RESETS: usize = 512;
/// What a client may send on a stream before we took any of it. Source: Envoy's and nginx's 64 KiB; with retries on,
/// reliability.md's bound of memory for a stuck upload.
const STREAM_WINDOW: u32 = 64 << 10;
/// The same for all streams of a connection. Source: four streams at full speed.
const CONNECTION_WINDOW: u32 = 256 << 10;
/// Bytes buffered for a stream towards the client. Source: as for HTTP/1.
const SEND_BUFFER: usize = 64 << 10;
/// A silent connection is asked whether it lives. Source: under the 60 s of common middle boxes.
const PING_EVERY: Duration = Duration::from_secs(30);
/// How long it may take to say so.
const PING_WAIT: Duration = Duration::from_secs(10);
