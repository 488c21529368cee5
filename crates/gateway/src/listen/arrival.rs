//! The way of a new connection from its socket to HTTP: the PROXY header if demanded, then TLS if spoken.
//!
//! A connection that says nothing costs its socket and a small task here, not an HTTP connection with its buffers.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ambidex_core::time::Span;
use ambidex_tower::Timer as _;

use super::Open;
use super::hall::Hall;
use super::io::{Io, Socket};
use super::peer::{Agreed, Peer, Protocol};
use crate::proxy_protocol::{self, HeaderError};

/// Why a connection did not get as far as HTTP.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// No right PROXY header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// No PROXY header in time.
    #[error("no PROXY header came within {0:?}")]
    LateHeader(Duration),
    /// TLS could not be agreed.
    #[error("TLS could not be agreed: {0}")]
    Handshake(io::Error),
    /// TLS was not agreed in time.
    #[error("TLS was not agreed within {0:?}")]
    LateHandshake(Duration),
    /// Nothing came, or the listener closed first; nobody's fault.
    #[error("nothing came")]
    Silent,
}

/// Brings a connection to where HTTP begins.
pub(crate) async fn arrive(socket: Socket, mut peer: Peer, hall: &Hall, open: Arc<Open>) -> Result<(Io, Peer), Failed> {
    if peer.settings.tls.is_some() || peer.settings.listener.proxy_protocol {
        // Boxed: a plain connection that says nothing should not be large for it.
        return Box::pin(introduced(socket, peer, hall, open)).await;
    }
    wait_for_first_byte(&socket, &mut peer, hall).await?;
    Ok((Io::plain(socket, hall.clock, open), peer))
}

/// A connection that has more to say before HTTP.
async fn introduced(mut socket: Socket, mut peer: Peer, hall: &Hall, open: Arc<Open>) -> Result<(Io, Peer), Failed> {
    let settings = Arc::clone(&peer.settings);
    let listener = &settings.listener;
    let limit = Duration::from(listener.handshake_timeout);
    // One limit for both steps: the second gets what the first left of it.
    let mut deadline = std::pin::pin!(tokio::time::sleep(limit));
    if listener.proxy_protocol {
        let proxied = tokio::select! {
            biased;
            proxied = proxy_protocol::read(&mut socket) => proxied?,
            () = &mut deadline => return Err(Failed::LateHeader(limit)),
        };
        if let Some(proxied) = proxied {
            peer.client = Some(proxied.client);
        }
    }
    let Some(tls) = &settings.tls else {
        wait_for_first_byte(&socket, &mut peer, hall).await?;
        return Ok((Io::plain(socket, hall.clock, open), peer));
    };
    let stream = tokio::select! {
        biased;
        stream = tls.acceptor.accept(socket) => stream.map_err(Failed::Handshake)?,
        () = &mut deadline => return Err(Failed::LateHandshake(limit)),
    };
    let session = stream.get_ref().1;
    let protocol = if session.alpn_protocol() == Some(b"h2") { Protocol::Http2 } else { Protocol::Http1 };
    peer.tls = Some(Agreed { protocol, name: session.server_name().map(Arc::from) });
    Ok((Io::tls(stream, protocol == Protocol::Http2, hall.clock, open), peer))
}

/// A listener that closes lets go of those who said nothing; who has sent a request is answered.
async fn wait_for_first_byte(socket: &Socket, peer: &mut Peer, hall: &Hall) -> Result<(), Failed> {
    let alarms = &hall.thread.alarms;
    let mut late = pin!(alarms.at(hall.clock.now() + peer.settings.listener.header_timeout));
    let mut told = false;
    poll_fn(|cx| {
        if let Poll::Ready(ready) = socket.poll_readable(cx) {
            return Poll::Ready(ready.map_err(|_| Failed::Silent));
        }
        if !told && Pin::new(&mut peer.leaving).poll(cx).is_ready() {
            told = true;
            // The runtime may not have looked at this socket yet.
            late.set(alarms.at(hall.clock.now() + LAST_LOOK));
        }
        late.as_mut().poll(cx).map(|()| Err(Failed::Silent))
    })
    .await
}

/// How long a closing listener looks whether a connection has sent something. Source: several turns of a busy runtime.
const LAST_LOOK: Span = Span::from_millis(100);
