//! The cache between clients and workers that speak HTTP/2.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

use super::on;
use crate::common::{Setup, Wanted};

/// A worker that speaks HTTP/2, and how often it was asked.
async fn worker() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            let answer = move |request: Request<Incoming>| {
                let number = count.fetch_add(1, SeqCst);
                async move { Ok::<_, Infallible>(answer(&request, number)) }
            };
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), hyper::service::service_fn(answer)));
        }
    });
    (address, asked)
}

fn answer(request: &Request<Incoming>, number: usize) -> Response<Full<Bytes>> {
    let knows = request.headers().contains_key("if-none-match");
    let age = if request.uri().path() == "/stale" && !knows { 0 } else { 60 };
    let response = Response::builder().header("cache-control", format!("max-age={age}")).header("etag", "\"a\"");
    let status = if knows { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let body = if knows { String::new() } else { format!("answer {number}") };
    response.status(status).body(Full::from(body)).expect("valid")
}

async fn get(setup: &Setup, method: &str, path: &str, range: bool) -> (u16, HeaderMap, String) {
    let stream = TcpStream::connect(setup.address).await.expect("connects");
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut client, connection) = handshake.expect("a handshake");
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(format!("http://a.example{path}"));
    if range {
        request = request.header("range", "bytes=0-2");
    }
    let response = client.send_request(request.body(Full::<Bytes>::default()).expect("valid")).await.expect("answered");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    (parts.status.as_u16(), parts.headers, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn streams_are_answered_with_what_a_stream_brought_and_so_are_connections() {
    let (address, asked) = worker().await;
    let setup = Wanted::before(&[address]).route(json!({"cache": on()})).upstream(json!({"protocol": "h2"})).start();
    for _ in 0..2 {
        let (status, headers, body) = get(&setup, "GET", "/", false).await;
        assert_eq!((status, &*body, &headers["etag"]), (200, "answer 0", &http::HeaderValue::from_static("\"a\"")));
    }
    let (status, headers, body) = get(&setup, "GET", "/", true).await;
    assert_eq!((status, &*body, headers["content-range"].to_str().ok()), (206, "ans", Some("bytes 0-2/8")));
    let (status, headers, body) = get(&setup, "HEAD", "/", false).await;
    assert_eq!(
        (status, &*body, headers["content-length"].to_str().ok(), headers.contains_key("age")),
        (200, "", Some("8"), true)
    );
    // The worker runs beside: this test may wait for the gateway.
    assert_eq!((setup.get("/", "").body.as_str(), asked.load(SeqCst)), ("answer 0", 1));
}

#[tokio::test]
async fn streams_are_asked_about_what_is_kept() {
    let (address, asked) = worker().await;
    let setup = Wanted::before(&[address]).route(json!({"cache": on()})).upstream(json!({"protocol": "h2"})).start();
    for _ in 0..3 {
        assert_eq!(get(&setup, "GET", "/stale", false).await.2, "answer 0");
    }
    let stats = setup.gateway.stats().cache;
    assert_eq!((stats.validated, stats.hits, asked.load(SeqCst)), (1, 1, 2));
}
