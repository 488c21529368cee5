//! One gRPC call to a worker, on a connection that lives as long as the call.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::Place;

/// What is called.
pub(crate) struct Call {
    /// `/package.Service/Method`.
    pub(crate) method: &'static str,
    /// The one message, in its frame.
    pub(crate) message: Bytes,
    /// How long the connection, the handshake and the head of the answer may take, each.
    pub(crate) patience: Duration,
}

impl Place {
    /// Calls, and has `read` take the answer: for as long as that takes.
    pub(crate) async fn call<T>(
        &self,
        call: Call,
        read: impl AsyncFnOnce(http::Response<Incoming>) -> Result<T, String>,
    ) -> Result<T, String> {
        let Call { method, message, patience } = call;
        let late = |_| format!("no answer within {patience:?}");
        let no_answer = |error: hyper::Error| format!("no HTTP/2 answer: {error}");
        let stream = tokio::time::timeout(patience, self.connect(true)).await.map_err(late)??;
        let handshake = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .max_header_list_size(MOST_HEAD_BYTES)
            .handshake::<_, Full<Bytes>>(TokioIo::new(stream));
        let (mut sender, connection) =
            tokio::time::timeout(patience, handshake).await.map_err(late)?.map_err(no_answer)?;
        let scheme = if self.url.starts_with("https:") && self.port.is_none() { "https" } else { "http" };
        let request = http::Request::post(format!("{scheme}://{}{method}", self.authority()))
            .header(http::header::CONTENT_TYPE, "application/grpc")
            .header(http::header::TE, "trailers")
            .header(http::header::USER_AGENT, concat!("ambidex/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(message))
            .map_err(|error| format!("no request: {error}"))?;
        let mut answer = pin!(async move {
            let response = tokio::time::timeout(patience, sender.send_request(request)).await.map_err(late)?;
            read(response.map_err(no_answer)?).await
        });
        // Driven here, so that it ends with this future.
        let mut connection = pin!(connection);
        let mut over = false;
        poll_fn(|cx| {
            if !over {
                over = connection.as_mut().poll(cx).is_ready();
            }
            answer.as_mut().poll(cx)
        })
        .await
    }
}

/// Most bytes of an answer's head. Source: as for polls.
const MOST_HEAD_BYTES: u32 = 16 << 10;
