//! Serves the requests of one connection.

use std::rc::Rc;
use std::sync::Arc;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};

use crate::front::Front;
use crate::gateway::Shared;
use crate::listen::io::Io;
use crate::listen::peer::Peer;
use crate::watch::Observer;

/// What the request path keeps in its thread.
#[derive(Debug)]
#[allow(dead_code, reason = "the request path follows")]
pub(crate) struct Thread {
    pub(crate) seat: usize,
    pub(crate) shared: Shared,
    pub(crate) front: Arc<arc_swap::ArcSwap<Front>>,
    pub(crate) observer: std::cell::RefCell<Option<Rc<Observer>>>,
}

impl Thread {
    pub(crate) fn watch(&self, observer: Option<Rc<Observer>>) {
        self.observer.replace(observer);
    }
}

/// Serves a connection until it ends.
pub(crate) async fn connection(io: Io, mut peer: Peer, thread: Rc<Thread>) {
    let service = service_fn(|_request| async {
        let _ = (thread.seat, peer.client, peer.local);
        let answer = http::Response::builder().status(404).body(Empty::<Bytes>::new());
        Ok::<_, std::convert::Infallible>(answer.unwrap_or_default())
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .max_buf_size(usize::try_from(peer.settings.listener.max_header_bytes.get()).unwrap_or(usize::MAX))
        .timer(TokioTimer::new())
        .header_read_timeout(std::time::Duration::from(peer.settings.listener.header_timeout))
        .serve_connection(TokioIo::new(io), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = &mut connection => return,
        () = &mut peer.leaving => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
