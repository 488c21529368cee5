//! A connection of the coordinator's own over which somebody is asked by HTTP/1: an admin API, an API server.

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use crate::reach::Stream;

/// An open connection; closed when it is dropped.
pub(crate) struct Line {
    sender: SendRequest<Full<Bytes>>,
    _driver: JoinSet<()>,
}

/// A whole answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Those of its head, and those that came after its body.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Line {
    pub(crate) async fn over(stream: impl Stream + 'static) -> Result<Self, String> {
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MOST_HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let mut driver = JoinSet::new();
        // What breaks a connection is told to who asks over it.
        driver.spawn(async move { drop(connection.await) });
        Ok(Self { sender, _driver: driver })
    }

    /// Whether it may be asked over once more, now or in a moment.
    pub(crate) async fn is_open(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Asks, and returns once the head of the answer is there.
    pub(crate) async fn ask(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, String> {
        self.sender.send_request(request).await.map_err(broken)
    }
}

impl Answer {
    /// The answer with its body, of at most so many bytes.
    pub(crate) async fn whole(response: Response<Incoming>, most: usize) -> Result<Self, String> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, most).collect().await;
        let body = body.map_err(|error| format!("no whole answer of at most {most} bytes: {error}"))?;
        let mut headers = head.headers;
        headers.extend(body.trailers().cloned().unwrap_or_default());
        Ok(Self { status: head.status, headers, body: body.to_bytes() })
    }
}

fn broken(error: hyper::Error) -> String {
    format!("no HTTP answer: {error}")
}

/// Most bytes of an answer's head. Source: nginx's `proxy_buffer_size` is of this order.
const MOST_HEAD_BYTES: usize = 16 << 10;
