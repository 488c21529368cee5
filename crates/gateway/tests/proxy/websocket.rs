//! WebSocket over HTTP/2 (RFC 8441): streams that become something else, before workers of either HTTP.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::ext::Protocol;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::agreed::agreed;
use crate::common::{Setup, Wanted, eventually, exactly, head, worker};

type Client = SendRequest<Empty<Bytes>>;

async fn speak(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Client {
    let (client, connection) = handshake(TokioExecutor::new(), TokioIo::new(io)).await.expect("a handshake");
    tokio::spawn(connection);
    client
}

/// A client by prior knowledge.
async fn plain(setup: &Setup) -> Client {
    speak(TcpStream::connect(setup.address).await.expect("connects")).await
}

/// A client by TLS and ALPN, before a listener of its own.
async fn secure(wanted: Wanted) -> (Setup, Client) {
    let (setup, stream) = agreed(wanted).await;
    (setup, speak(stream).await)
}

fn connect(path: &str) -> Request<Empty<Bytes>> {
    let request = Request::connect(format!("http://a.example{path}"))
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat");
    request.body(Empty::new()).expect("valid")
}

/// Opens a stream that the worker has agreed to.
async fn open(client: &mut Client) -> (HeaderMap, TokioIo<Upgraded>) {
    let mut response = client.send_request(connect("/chat?room=1")).await.expect("answered");
    assert_eq!(response.status(), 200);
    let stream = hyper::upgrade::on(&mut response).await.expect("a stream");
    (response.headers().clone(), TokioIo::new(stream))
}

async fn echoes(stream: &mut TokioIo<Upgraded>, text: &str) {
    stream.write_all(text.as_bytes()).await.expect("sent");
    let mut back = vec![0; text.len()];
    stream.read_exact(&mut back).await.expect("echoed");
    assert_eq!(String::from_utf8_lossy(&back), text);
}

/// What a server must say to prove that it read a key.
fn accept(head: &str) -> String {
    let key = head.split("sec-websocket-key: ").nth(1).and_then(|rest| rest.lines().next()).expect("a key");
    let proof = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes());
    let bits: String = proof.as_ref().iter().map(|byte| format!("{byte:08b}")).collect::<String>() + "00";
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: &[u8]| bits.iter().fold(0, |number, bit| 2 * number + usize::from(bit - b'0'));
    bits.as_bytes().chunks(6).map(|six| char::from(digits[digit(six)])).chain(['=']).collect()
}

/// A worker of HTTP/1.1 that agrees, proves it as `prove` says, and echoes.
fn upgrading(prove: impl Fn(&str) -> String + Send + Sync + 'static) -> SocketAddr {
    worker(move |_, mut stream| {
        let asked = head(&mut stream);
        assert!(asked.starts_with("GET /chat?room=1 HTTP/1.1\r\n") && asked.contains("host: a.example\r\n"), "{asked}");
        assert!(asked.contains("connection: upgrade\r\n") && asked.contains("upgrade: websocket\r\n"), "{asked}");
        assert!(asked.contains("sec-websocket-version: 13\r\n"), "{asked}");
        let agreed = format!(
            "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-protocol: chat\r\nsec-websocket-accept: {}\r\n\r\nhello",
            prove(&asked)
        );
        stream.write_all(agreed.as_bytes()).expect("sent");
        let mut buffer = [0; 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            stream.write_all(&buffer[..count]).expect("sent");
        }
    })
}

/// A worker of HTTP/2 that takes extended CONNECT, if it announces so, and echoes.
fn connecting(announces: bool) -> SocketAddr {
    async fn serve(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, hyper::Error> {
        let mut response = Response::new(Empty::new());
        if request.method() != Method::CONNECT {
            *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
            return Ok(response);
        }
        assert_eq!(request.extensions().get::<Protocol>().map(Protocol::as_str), Some("websocket"));
        assert_eq!(request.uri().path_and_query().map(ToString::to_string), Some("/chat?room=1".into()));
        assert!(!request.headers().contains_key("sec-websocket-key") && request.headers().contains_key("forwarded"));
        tokio::spawn(async move {
            let stream = hyper::upgrade::on(&mut request).await.expect("a stream");
            let (mut from, mut to) = tokio::io::split(TokioIo::new(stream));
            to.write_all(b"hello").await.expect("sent");
            let _ = tokio::io::copy(&mut from, &mut to).await;
            let _ = to.shutdown().await;
        });
        Ok(response)
    }
    // A thread of its own, so that tests may wait in theirs.
    let (tell, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            tell.send(listener.local_addr().expect("an address")).expect("the test waits");
            while let Ok((stream, _)) = listener.accept().await {
                let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                if announces {
                    server.enable_connect_protocol();
                }
                tokio::spawn(server.serve_connection(TokioIo::new(stream), hyper::service::service_fn(serve)));
            }
        });
    });
    address.recv().expect("it listens")
}

/// Waits until no worker is busy.
async fn free(setup: &Setup) {
    let idle = async {
        while setup.in_flight() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), idle).await.expect("the worker is free");
}

/// Talks both ways, beside another stream, until the client closes.
async fn talk(setup: &Setup, mut client: Client) {
    let (head, mut stream) = open(&mut client).await;
    assert!(!head.contains_key("sec-websocket-accept") && !head.contains_key("upgrade"), "{head:?}");
    let mut hello = [0; 5];
    stream.read_exact(&mut hello).await.expect("the worker speaks first");
    assert_eq!(&hello, b"hello");
    let (_, mut other) = open(&mut client).await;
    other.read_exact(&mut hello).await.expect("the worker speaks first");
    for _ in 0..3 {
        echoes(&mut stream, "ping").await;
        echoes(&mut other, &"p".repeat(100_000)[..10_000]).await;
    }
    assert_eq!((setup.in_flight(), setup.gateway.stats().traffic.upgrades), (2, 2));
    stream.shutdown().await.expect("closed");
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("the worker closes, too");
    assert!(rest.is_empty());
    drop(other);
    free(setup).await;
}

#[tokio::test]
async fn a_stream_becomes_an_upgrade_before_a_worker_of_http_1() {
    let setup = Setup::before(upgrading(accept));
    let client = plain(&setup).await;
    talk(&setup, client).await;
    let (setup, client) = secure(Wanted::before(&[upgrading(accept)])).await;
    talk(&setup, client).await;
}

#[tokio::test]
async fn a_stream_stays_a_stream_before_a_worker_of_http_2() {
    let upstream = json!({"protocol": "h2"});
    let setup = Wanted::before(&[connecting(true)]).upstream(upstream.clone()).start();
    let client = plain(&setup).await;
    talk(&setup, client).await;
    assert_eq!(setup.gateway.stats().traffic.connects, 1, "both streams on one connection");
    let (setup, client) = secure(Wanted::before(&[connecting(true)]).upstream(upstream)).await;
    talk(&setup, client).await;
}

const ASK: &[u8] = b"GET /chat?room=1 HTTP/1.1\r\nhost: a.example\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";

#[tokio::test]
async fn an_upgrade_becomes_a_stream_before_a_worker_of_http_2() {
    let setup = Wanted::before(&[connecting(true)]).upstream(json!({"protocol": "h2"})).start();
    let mut client = setup.connect();
    client.write_all(ASK).expect("sent");
    let answer = head(&mut client);
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.contains("upgrade: websocket\r\n"), "{answer}");
    assert!(answer.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
    client.write_all(b"ping").expect("sent");
    assert_eq!(exactly(&mut client, 9), "helloping");
    drop(client);
    eventually("the worker is free", || setup.in_flight() == 0);
}

#[tokio::test]
async fn a_worker_that_does_not_announce_it_is_asked_plainly() {
    let setup = Wanted::before(&[connecting(false)]).upstream(json!({"protocol": "h2"})).start();
    let response = plain(&setup).await.send_request(connect("/chat")).await.expect("answered");
    assert_eq!(response.status(), 426);
    let mut client = setup.connect();
    client.write_all(ASK).expect("sent");
    assert!(head(&mut client).starts_with("HTTP/1.1 426 "));
}

#[tokio::test]
async fn a_worker_that_only_seems_to_agree_is_a_502() {
    let unproved = upgrading(|_| "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".into());
    let (ordinary, _heads) = crate::common::answering(crate::common::OK);
    for worker in [unproved, ordinary] {
        let setup = Setup::before(worker);
        let response = plain(&setup).await.send_request(connect("/chat?room=1")).await.expect("answered");
        assert_eq!(
            (response.status(), &response.headers()["ambidex-error"]),
            (StatusCode::BAD_GATEWAY, &"upstream-garbage".parse().expect("text"))
        );
        free(&setup).await;
    }
}

#[tokio::test]
async fn what_the_listener_does_not_list_is_refused() {
    let (worker, heads) = crate::common::answering(crate::common::OK);
    let setup = Setup::before(worker);
    let mut client = plain(&setup).await;
    let bare = Request::connect("a.example:443").body(Empty::new()).expect("valid");
    assert_eq!(client.send_request(bare).await.expect("answered").status(), 405);
    let mut other = connect("/");
    other.extensions_mut().insert(Protocol::from_static("connect-udp"));
    assert_eq!(client.send_request(other).await.expect("answered").status(), 405);
    let none = Wanted::before(&[worker]).listener(json!({"upgrades": []})).start();
    plain(&none).await.send_request(connect("/")).await.expect_err("it was not announced");
    assert!(heads.try_recv().is_err(), "no worker was asked");
}

#[tokio::test]
async fn a_silent_tunnel_is_closed_in_its_time_and_a_talking_one_is_not() {
    let patient =
        || Wanted::before(&[upgrading(accept)]).listener(json!({"tunnel_timeout": "1s", "idle_timeout": "100ms"}));
    let setup = patient().start();
    let (_, mut stream) = open(&mut plain(&setup).await).await;
    stream.read_exact(&mut [0; 5]).await.expect("hello");
    for _ in 0..20 {
        echoes(&mut stream, "ping").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let ended = tokio::time::timeout(Duration::from_secs(60), stream.read(&mut [0])).await.expect("it is closed");
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    let setup = patient().start();
    let mut client = setup.connect();
    client.write_all(ASK).expect("sent");
    assert!(head(&mut client).starts_with("HTTP/1.1 101 "));
    assert_eq!(exactly(&mut client, 5), "hello");
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)), "it is closed");
    eventually("the worker is free", || setup.in_flight() == 0);
}

#[tokio::test]
async fn an_ordinary_body_still_comes_after_a_refusal() {
    let (worker, _heads) = crate::common::answering("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno");
    let setup = Setup::before(worker);
    let response = plain(&setup).await.send_request(connect("/chat")).await.expect("answered");
    assert_eq!(response.status(), 403);
    assert_eq!(response.into_body().collect().await.expect("a body").to_bytes(), "no");
}
