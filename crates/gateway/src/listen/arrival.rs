//! The way of a new connection from its socket to HTTP: the PROXY header if demanded, then TLS if spoken.
//!
//! A connection that says nothing costs its socket and a small task here, not an HTTP connection with its buffers.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use ambidex_tower::Clock;

use super::Open;
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
pub(crate) async fn arrive(
    mut socket: Socket,
    mut peer: Peer,
    clock: Clock,
    open: Arc<Open>,
) -> Result<(Io, Peer), Failed> {
    let settings = Arc::clone(&peer.settings);
    let listener = &settings.listener;
    let limit = Duration::from(listener.handshake_timeout);
    // One limit for both steps: the second gets what the first left of it.
    let deadline = tokio::time::sleep(if settings.tls.is_some() || listener.proxy_protocol { limit } else { ZERO });
    let mut deadline = std::pin::pin!(deadline);
    if listener.proxy_protocol {
        let proxied = tokio::select! {
            biased;
            proxied = proxy_protocol::read(&mut socket) => proxied?,
            () = &mut deadline => return Err(Failed::LateHeader(limit)),
        };
        if let Some(proxied) = proxied {
            (peer.client, peer.local) = (Some(proxied.client), Some(proxied.local));
        }
    }
    let Some(tls) = &settings.tls else {
        wait_for_first_byte(&socket, &mut peer).await?;
        return Ok((Io::plain(socket, clock, open), peer));
    };
    // Boxed: a plain connection that says nothing should not be large for it.
    let mut accepted = Box::pin(tls.acceptor.accept(socket));
    let stream = tokio::select! {
        biased;
        stream = &mut accepted => stream.map_err(Failed::Handshake)?,
        () = &mut deadline => return Err(Failed::LateHandshake(limit)),
    };
    let session = stream.get_ref().1;
    let protocol = if session.alpn_protocol() == Some(b"h2") { Protocol::Http2 } else { Protocol::Http1 };
    peer.tls = Some(Agreed { protocol, name: session.server_name().map(Arc::from) });
    Ok((Io::tls(stream, protocol == Protocol::Http2, clock, open), peer))
}

/// A listener that closes lets go of those who said nothing; who has sent a request is answered.
async fn wait_for_first_byte(socket: &Socket, peer: &mut Peer) -> Result<(), Failed> {
    let limit = Duration::from(peer.settings.listener.header_timeout);
    let first = tokio::time::timeout(limit, socket.readable());
    let mut first = std::pin::pin!(first);
    let ready = tokio::select! {
        biased;
        ready = &mut first => ready,
        () = &mut peer.leaving => {
            // The runtime may not have looked at this socket yet.
            tokio::time::timeout(LAST_LOOK, first).await.unwrap_or_else(|late| Ok(Err(late.into())))
        }
    };
    ready.map_err(|_| Failed::Silent)?.map_err(|_| Failed::Silent)
}

/// How long a closing listener looks whether a connection has sent something. Source: several turns of a busy runtime.
const LAST_LOOK: Duration = Duration::from_millis(100);
const ZERO: Duration = Duration::ZERO;
