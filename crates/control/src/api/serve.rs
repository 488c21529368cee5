//! Accepts admin connections, few and patient ones only.
//!
//! The admin API shares its thread with the loop, so nobody may hold it up: a bounded number of connections, a bounded
//! wait for a request's head (which also ends idle connections), bounded heads. Who comes when all places are taken is
//! hung up on at once.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tower::Service as _;

use super::Api;
use crate::config::AdminConfig;
use crate::coordinator::Shared;
use crate::token::Token;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Serves until the runtime ends.
pub(crate) async fn serve(listener: TcpListener, admin: AdminConfig, token: Token, shared: Arc<Shared>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "the admin API cannot be served"),
    };
    if !admin.address.ip().is_loopback() {
        let address = admin.address;
        tracing::warn!(
            %address,
            "other machines reach the admin API, which speaks no TLS: whoever listens on the way learns its token"
        );
    }
    let places = Arc::new(Semaphore::new(admin.max_connections.max(1)));
    let router = Api::new(shared, token, &admin).router();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                let router = router.clone();
                tokio::spawn(async move {
                    converse(stream, Peer(peer), router).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "an admin connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, peer: Peer, router: Router) {
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let mut router = router.clone();
        async move { Ok::<_, Infallible>(router.call(request.map(Body::new)).await.unwrap_or_else(|never| match never {})) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(MOST_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "an admin connection broke");
    }
}

/// How long a request's head may take, and a connection may be idle. Source: reliability.md row 8.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Source: ours; browsers send 1 KiB.
const MOST_HEAD_BYTES: usize = 16 << 10;
/// When descriptors are short, trying at once again would only burn the processor.
const PAUSE: Duration = Duration::from_millis(100);
