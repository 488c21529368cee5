//! HTTP/2 on either side, in clear text by prior knowledge.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::agreed::agreed;
use crate::common::{OK, Setup, Wanted, answering, next};

type Client = SendRequest<Full<Bytes>>;

async fn client(address: SocketAddr) -> Client {
    let stream = TcpStream::connect(address).await.expect("connects");
    let (client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    client
}

fn request(path: &str, body: &'static [u8]) -> Request<Full<Bytes>> {
    let request = Request::post(format!("http://a.example{path}"));
    request.header("te", "trailers").body(Full::from(body)).expect("valid")
}

/// A worker that speaks HTTP/2 and echoes bodies, with a trailer as gRPC has it.
async fn echoing() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(echo);
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

type Echo = StreamBody<std::pin::Pin<Box<dyn futures_core::Stream<Item = Result<Frame<Bytes>, hyper::Error>> + Send>>>;

struct Frames(Vec<Frame<Bytes>>);

impl futures_core::Stream for Frames {
    type Item = Result<Frame<Bytes>, hyper::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.pop().map(Ok))
    }
}

async fn echo(request: Request<Incoming>) -> Result<Response<Echo>, hyper::Error> {
    assert_eq!(request.version(), Version::HTTP_2);
    assert_eq!(request.uri().authority().map(ToString::to_string), Some("a.example".into()));
    assert_eq!(request.headers().get("te"), Some(&HeaderValue::from_static("trailers")));
    let body = request.into_body().collect().await?.to_bytes();
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.insert("server-load", HeaderValue::from_static("in_flight=5"));
    let frames = Frames(vec![Frame::trailers(trailers), Frame::data(body)]);
    let response = Response::builder().header("content-type", "application/grpc");
    Ok(response.body(StreamBody::new(Box::pin(frames) as _)).expect("valid"))
}

#[tokio::test]
async fn http_2_before_http_2_carries_grpc_with_its_trailers() {
    let mut setup = Wanted::before(&[echoing().await]).upstream(json!({"protocol": "h2"})).start();
    let mut client = client(setup.address).await;
    for _ in 0..3 {
        let response = client.send_request(request("/pkg.Service/Call", b"message")).await.expect("answered");
        assert_eq!(response.headers()["content-type"], "application/grpc");
        let body = response.into_body().collect().await.expect("a body");
        let trailers = body.trailers().expect("trailers");
        assert_eq!(trailers["grpc-status"], "0");
        assert!(!trailers.contains_key("server-load"), "reports in trailers are not for clients");
        assert_eq!(body.to_bytes(), "message");
    }
    let traffic = setup.gateway.stats().traffic;
    assert_eq!((traffic.connects, traffic.reuses), (1, 2));
    assert_eq!(setup.reports.recv().await.expect("a report").report.in_flight, Some(5));
}

/// A call of 100,000 bytes each way; how many came back, before its status.
async fn large_call(mut client: Client) -> usize {
    let mut request = request("", &[b'x'; 100_000]);
    *request.uri_mut() = "https://a.example/pkg.Service/Call".parse().expect("a URI");
    let response = client.send_request(request).await.expect("answered");
    let body = response.into_body().collect().await.expect("a body");
    assert_eq!(body.trailers().expect("trailers")["grpc-status"], "0");
    body.to_bytes().len()
}

#[tokio::test]
async fn streams_that_were_agreed_by_tls_carry_grpc_all_at_once() {
    let wanted = Wanted::before(&[echoing().await]).upstream(json!({"protocol": "h2"}));
    let (setup, stream) = agreed(wanted).await;
    let (client, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    let calls: Vec<_> = (0..50).map(|_| tokio::spawn(large_call(client.clone()))).collect();
    for call in calls {
        assert_eq!(call.await.expect("no panic"), 100_000);
    }
    let traffic = setup.gateway.stats().traffic;
    assert_eq!((traffic.connections, traffic.requests, traffic.answers[2]), (1, 50, 50));
}

#[tokio::test]
async fn http_2_before_http_1_translates() {
    let (worker, heads) = answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    let setup = Setup::before(worker);
    let mut client = client(setup.address).await;
    let request = Request::get("http://a.example/x").body(Full::default()).expect("valid");
    let response = client.send_request(request).await.expect("answered");
    assert!(!response.headers().contains_key("transfer-encoding"));
    assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), "hi");
    let asked = next(&heads);
    assert!(asked.starts_with("GET /x HTTP/1.1\r\n") && asked.contains("host: a.example\r\n"), "{asked}");
}

#[tokio::test]
async fn http_1_before_http_2_translates() {
    let setup = Wanted::before(&[echoing().await]).upstream(json!({"protocol": "h2"})).start();
    let mut stream = TcpStream::connect(setup.address).await.expect("connects");
    let request =
        "POST / HTTP/1.1\r\nhost: a.example\r\nte: trailers\r\nconnection: te, close\r\ncontent-length: 3\r\n\r\nabc";
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("3\r\nabc\r\n0\r\n"), "{answer}");
}

#[tokio::test]
async fn streams_of_one_connection_do_not_wait_for_each_other() {
    let slow = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = slow.local_addr().expect("an address");
    let (go, mut wait) = tokio::sync::watch::channel(false);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = slow.accept().await {
            let mut wait = wait.clone();
            tokio::spawn(async move {
                let mut head = vec![0; 4_096];
                let count = stream.read(&mut head).await.unwrap_or(0);
                if head[..count].starts_with(b"GET /slow") {
                    let _ = wait.wait_for(|go| *go).await;
                }
                let _ = stream.write_all(OK.as_bytes()).await;
            });
        }
        let _ = wait.changed().await;
    });
    let setup = Setup::before(address);
    let client = client(setup.address).await;
    let get = |path: &str| {
        let request = Request::get(format!("http://a.example{path}")).body(Full::default()).expect("valid");
        let mut client = client.clone();
        async move { client.send_request(request).await.expect("answered").status().as_u16() }
    };
    let slow = tokio::spawn(get("/slow"));
    for _ in 0..10 {
        assert_eq!(get("/fast").await, 200);
    }
    assert!(!slow.is_finished());
    go.send_replace(true);
    assert_eq!(slow.await.expect("no panic"), 200);
}

#[tokio::test]
async fn streams_that_are_reset_at_once_and_again_end_the_connection() {
    let (worker, _heads) = answering(OK);
    let setup = Setup::before(worker);
    let mut stream = TcpStream::connect(setup.address).await.expect("connects");
    let mut flood = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00".to_vec();
    for id in (1_u32..20_000).step_by(2) {
        // HEADERS of `GET http / host a` by the static table, then RST_STREAM(CANCEL).
        flood.extend_from_slice(&[0, 0, 6, 1, 5]);
        flood.extend_from_slice(&id.to_be_bytes());
        flood.extend_from_slice(&[0x82, 0x86, 0x84, 0x41, 0x01, b'a']);
        flood.extend_from_slice(&[0, 0, 4, 3, 0]);
        flood.extend_from_slice(&id.to_be_bytes());
        flood.extend_from_slice(&[0, 0, 0, 8]);
    }
    let sent = tokio::time::timeout(Duration::from_secs(60), async {
        let _ = stream.write_all(&flood).await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    });
    sent.await.expect("the connection is ended by the gateway");
    let mut honest = client(setup.address).await;
    let response = honest.send_request(Request::get("http://a/").body(Full::default()).expect("valid")).await;
    assert_eq!(response.expect("answered").status(), 200);
    assert!(setup.gateway.stats().traffic.requests < 10_000);
}

#[tokio::test]
async fn a_connection_to_a_worker_is_replaced_when_it_is_too_old_or_unused() {
    for upstream in [json!({"protocol": "h2", "max_age": "1s"}), json!({"protocol": "h2", "idle_timeout": "1s"})] {
        let setup = Wanted::before(&[echoing().await]).upstream(upstream.clone()).start();
        let mut client = client(setup.address).await;
        let mut call = async || {
            let response = client.send_request(request("/pkg.Service/Call", b"message")).await.expect("answered");
            response.into_body().collect().await.expect("a body");
            setup.gateway.stats().traffic.connects
        };
        for _ in 0..5 {
            assert_eq!(call().await, 1, "{upstream}");
        }
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        assert_eq!(call().await, 2, "{upstream}");
    }
}

/// A worker that answers one request on each connection, and closes it in the moment that the next one comes.
async fn fickle() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let end = Arc::new(Notify::new());
            let (tell, served) = (Arc::clone(&end), Arc::new(AtomicBool::new(false)));
            let service = hyper::service::service_fn(move |_: Request<Incoming>| {
                let (tell, second) = (Arc::clone(&tell), served.swap(true, SeqCst));
                async move {
                    if second {
                        tell.notify_one();
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from_static(b"hi"))))
                }
            });
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            let serving = server.serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move {
                tokio::select! {
                    _ = serving => {}
                    () = end.notified() => {}
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn a_connection_that_dies_as_it_is_used_again_costs_neither_a_try_nor_the_workers_standing() {
    let setup = Wanted::before(&[fickle().await]).upstream(json!({"protocol": "h2"})).start();
    let mut client = client(setup.address).await;
    let mut ask = async |method: &str| {
        let request = Request::builder().method(method).uri("http://a.example/").body(Full::default());
        let response = client.send_request(request.expect("valid")).await.expect("answered");
        assert!(!response.headers().contains_key("ambidex-attempts"));
        response.status().as_u16()
    };
    assert_eq!(ask("GET").await, 200);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(ask("GET").await, 200);
    let totals = setup.view.load().pools()[0].workers[0].cells.totals();
    assert_eq!((totals.started, totals.failed, setup.gateway.stats().traffic.connects), (2, 0, 2));
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(ask("POST").await, 502, "what may have run is not sent again");
}
