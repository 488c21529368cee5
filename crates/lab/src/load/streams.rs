//! One connection of HTTP/2, with many requests on it at once.
//!
//! hyper speaks it: streams, windows and settings are more than a generator should have a reader of its own for. A request
//! costs several times what one of HTTP/1 does here.

use std::net::SocketAddr;

use ambidex_core::time::Span;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::record::{Answer, Failure};

/// A connection that is made when needed and made anew when lost; its streams share it.
pub(super) struct Stem {
    target: SocketAddr,
    sender: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

impl Stem {
    pub(super) fn new(target: SocketAddr) -> Self {
        Self { target, sender: Mutex::new(None) }
    }

    /// Sends one request on a stream of its own and reads its answer to the end.
    pub(super) async fn ask(&self, request: Option<Request<Full<Bytes>>>, timeout: Span) -> Answer {
        let Some(request) = request else { return Answer::failed(Failure::Garbled) };
        match tokio::time::timeout(timeout.into(), self.exchange(request)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(failure)) => Answer::failed(failure),
            Err(_) => Answer::failed(Failure::Timeout),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failure> {
        let mut sender = self.sender().await?;
        let answer = sender.send_request(request).await.map_err(|_| Failure::Reset)?;
        let status = answer.status().as_u16();
        let worker = answer.headers().get("x-worker").and_then(|name| name.to_str().ok()).map(str::to_owned);
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            frame.map_err(|_| Failure::Truncated)?;
        }
        Ok(Answer { status: Some(status), failure: None, worker, closes: false })
    }

    async fn sender(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        let mut kept = self.sender.lock().await;
        if let Some(sender) = kept.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        let stream = TcpStream::connect(self.target).await.map_err(|_| Failure::Connect)?;
        drop(stream.set_nodelay(true));
        let (sender, connection) = handshake(OnThisThread, TokioIo::new(stream)).await.map_err(|_| Failure::Reset)?;
        // Ends with the connection; what its streams meet, each of them says.
        tokio::task::spawn_local(connection);
        *kept = Some(sender.clone());
        Ok(sender)
    }
}

/// Runs what hyper spawns on the load's one thread.
#[derive(Clone, Copy)]
struct OnThisThread;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for OnThisThread {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
