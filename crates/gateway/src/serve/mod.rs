//! Serves one connection: finds out which HTTP it speaks, answers its requests, ends it when it is to end.
//!
//! ```text
//! Io ── first bytes ──┬─ HTTP/1: one request at a time, in this task ── 101 ── tunnel
//!  (ALPN says, or 24) └─ HTTP/2: a task of this thread for each stream (hyper)
//! ```
//! The connection ends by itself, at the word of its listener (the next answer says `Connection: close`, GOAWAY), or
//! when its pulse stops.

pub(crate) mod answer;
pub(crate) mod client_wire;
pub(crate) mod exchange;
mod h1;
mod h2;
#[allow(dead_code)]
mod kept;
pub(crate) mod pulse;
mod sending;
mod stages;
pub(crate) mod stream;
pub(crate) mod tunnel;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use ambidex_tower::Timer as _;
use bytes::BytesMut;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncReadExt as _;

use self::client_wire::ClientWire;
use self::exchange::Client;
use self::h1::Connection1;
use self::pulse::{Counted, Dead, Pulse, Watchdog};
use self::stream::{Patience, Streams};
use crate::config::Lenient;
use crate::listen::bell::Ear;
use crate::listen::io::Io;
use crate::listen::peer::{Peer, Protocol};
pub(crate) use crate::thread::Thread;

/// Serves a connection until it ends.
pub(crate) async fn connection(mut io: Io, mut peer: Peer, thread: Rc<Thread>) {
    thread.stats.connections.add(1);
    let agreed = peer.tls.as_ref().map(|tls| tls.protocol);
    let (first, h2) = match agreed {
        Some(protocol) => (BytesMut::new(), protocol == Protocol::Http2),
        None => match first_bytes(&mut io, &mut peer, &thread).await {
            Some(first) => {
                let h2 = first.starts_with(PREFACE);
                (first, h2)
            }
            None => return,
        },
    };
    let pulse = Rc::new(Pulse::default());
    let leaving = peer.leaving.again();
    let client = Rc::new(Client::new(thread, peer, Rc::clone(&pulse)));
    if h2 {
        // Boxed, so that a connection of HTTP/1 is no larger for it.
        Box::pin(serve_h2(TokioIo::new(Counted::after(first.freeze(), io, pulse)), client, leaving)).await;
    } else {
        serve_h1(io, first, client, leaving).await;
    }
}

/// Reads until it is clear which HTTP is spoken: one read, unless the first bytes are the beginning of the preface.
async fn first_bytes(io: &mut Io, peer: &mut Peer, thread: &Thread) -> Option<BytesMut> {
    let mut first = BytesMut::with_capacity(FIRST_READ);
    let limit = peer.settings.listener.header_timeout;
    let mut late = pin!(thread.alarms.at(thread.clock.now() + limit));
    loop {
        let mut read = pin!(io.read_buf(&mut first));
        let count = poll_fn(|cx| match read.as_mut().poll(cx) {
            Poll::Ready(count) => Poll::Ready(count.unwrap_or(0)),
            Poll::Pending => late.as_mut().poll(cx).map(|()| 0),
        });
        if count.await == 0 {
            return None;
        }
        if first.len() >= PREFACE.len() || !PREFACE.starts_with(&first) {
            return Some(first);
        }
    }
}

async fn serve_h1(io: Io, first: BytesMut, client: Rc<Client>, leaving: Ear) {
    let settings = &client.peer.settings;
    let half_closes = settings.listener.lenient.contains(&Lenient::HalfClose);
    let wire = ClientWire::new(io, first, Rc::clone(&client.pulse), settings.profile, half_closes);
    let connection = Connection1::new(Rc::clone(&client), Rc::clone(&wire));
    let ended = {
        let mut serving = pin!(connection.serve());
        attend(&client, leaving, &connection, |cx, leave| {
            if leave {
                connection.leave();
            }
            serving.as_mut().poll(cx)
        })
        .await
    };
    match ended {
        Some(h1::Ended::Tunnel(tunnel)) => {
            drop(connection);
            if let Some(wire) = Rc::into_inner(wire) {
                let (io, first) = wire.into_parts();
                Box::pin(tunnel.join(io, first, &client.thread)).await;
            }
        }
        Some(h1::Ended::Abort) => wire.abort(),
        Some(h1::Ended::Closed) | None => {}
    }
}

async fn serve_h2(io: TokioIo<Counted>, client: Rc<Client>, leaving: Ear) {
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
        h2::answer(Rc::clone(&serving), asked)
    });
    let mut connection = pin!(builder.serve_connection(io, service));
    let ended = attend(&client, leaving, &(), |cx, leave| {
        if leave {
            connection.as_mut().graceful_shutdown();
        }
        connection.as_mut().poll(cx)
    })
    .await;
    if let Some(Err(error)) = &ended {
        tracing::debug!(client = ?client.peer.client, %error, "a connection broke");
    }
}

/// What is done with a connection from outside of its serving.
trait Attended {
    /// It is idle.
    fn rest(&self);
    /// It is cut.
    fn cut(&self, dead: Dead);
}

impl Attended for Connection1 {
    fn rest(&self) {
        self.rest();
    }

    fn cut(&self, dead: Dead) {
        self.cut(dead);
    }
}

/// HTTP/2 has its streams, with pulses of their own.
impl Attended for () {
    fn rest(&self) {}

    fn cut(&self, _: Dead) {}
}

/// Serves a connection until it ends, is dead, or was told to leave and has left. `None` when it is dead.
async fn attend<P, T>(client: &Client, mut leaving: Ear, connection: &impl Attended, mut run: P) -> Option<T>
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
                connection.cut(dead);
                return Poll::Ready(None);
            }
            if !client.pulse.is_active() {
                connection.rest();
            }
            alarm.set(thread.alarms.at(dog.due));
        }
        Poll::Pending
    })
    .await
}

/// What HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of the first read: most heads fit.
const FIRST_READ: usize = 2 << 10;
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
