//! The examples against real sockets: one worker serves, one is gone, and nobody notices.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpSocket};

#[expect(dead_code, unreachable_pub, reason = "an example is a program of its own")]
#[path = "../../examples/with_hyper.rs"]
mod with_hyper;
#[expect(dead_code, unreachable_pub, reason = "an example is a program of its own")]
#[path = "../../examples/with_reqwest.rs"]
mod with_reqwest;
#[expect(dead_code, unreachable_pub, reason = "an example is a program of its own")]
#[path = "../../examples/with_tonic.rs"]
mod with_tonic;

#[derive(Clone, Copy)]
enum Speaks {
    Http1,
    Grpc,
}

/// A worker that echoes what it gets, or says hello when it gets nothing.
async fn worker(speaks: Speaks) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let stream = TokioIo::new(stream);
            tokio::spawn(async move {
                match speaks {
                    Speaks::Http1 => {
                        let serving = hyper::server::conn::http1::Builder::new();
                        serving.serve_connection(stream, service_fn(answer)).await
                    }
                    Speaks::Grpc => {
                        let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        serving.serve_connection(stream, service_fn(answer)).await
                    }
                }
            });
        }
    });
    address
}

async fn answer(
    request: Request<Incoming>,
) -> Result<Response<impl http_body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let grpc = request.headers().get("content-type").cloned();
    let said = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let said = if said.is_empty() { Bytes::from_static(b"hello") } else { said };
    let trailers = HeaderMap::from_iter([("grpc-status".parse().expect("a name"), HeaderValue::from_static("0"))]);
    let trailers = grpc.is_some().then_some(Ok(trailers));
    let mut response = Response::new(Full::new(said).with_trailers(std::future::ready(trailers)));
    if let Some(kind) = grpc {
        response.headers_mut().insert("content-type", kind);
    }
    Ok(response)
}

/// A port that is taken, and on which nobody listens.
fn gone() -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
    socket
}

/// The one that serves among two that are gone, and what keeps those two ports.
async fn workers(speaks: Speaks) -> (Vec<String>, [TcpSocket; 2]) {
    let gone = [gone(), gone()];
    let [first, last] = gone.each_ref().map(|socket| socket.local_addr().expect("bound"));
    let all = [first, worker(speaks).await, last];
    (all.map(|address| format!("http://{address}")).into(), gone)
}

#[tokio::test]
async fn hyper_is_answered_though_two_of_three_workers_are_gone() {
    let (workers, _gone) = workers(Speaks::Http1).await;
    for _ in 0..8 {
        assert_eq!(with_hyper::hello(&workers).await.expect("answered"), "hello");
    }
}

#[tokio::test]
async fn reqwest_is_answered_though_two_of_three_workers_are_gone() {
    // With the whole workspace reqwest is built with TLS and without a provider, though nothing here needs one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (workers, _gone) = workers(Speaks::Http1).await;
    for _ in 0..8 {
        assert_eq!(with_reqwest::hello(&workers).await.expect("answered"), "hello");
    }
}

#[tokio::test]
async fn tonic_is_answered_though_two_of_three_workers_are_gone() {
    let (workers, _gone) = workers(Speaks::Grpc).await;
    for _ in 0..8 {
        assert_eq!(with_tonic::greet(&workers).await.expect("answered"), "hello");
    }
}

#[test]
fn the_document_shows_what_the_examples_run() {
    let lines = |text: &'static str| text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>();
    let examples = [
        lines(include_str!("../../examples/with_hyper.rs")),
        lines(include_str!("../../examples/with_reqwest.rs")),
        lines(include_str!("../../examples/with_tonic.rs")),
    ];
    let document = include_str!("../../../../docs/client.md");
    let shown = document.split("```rust\n").skip(1).map(|block| lines(block.split("```").next().unwrap_or_default()));
    for block in shown {
        let runs = examples.iter().any(|example| example.windows(block.len()).any(|run| run == block));
        assert!(runs, "no example runs this: {block:#?}");
    }
}
