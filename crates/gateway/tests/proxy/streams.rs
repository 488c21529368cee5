//! Streams of HTTP/2 that are slow: cut in their time, while others of the same connection and of others go on.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::common::{Setup, Wanted, head, worker};

/// A body that comes as it is sent, and ends when nobody can send any more.
struct Trickle(mpsc::UnboundedReceiver<Bytes>);

impl Body for Trickle {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(cx).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}

type Client = SendRequest<Trickle>;

async fn client(setup: &Setup) -> Client {
    let stream = TcpStream::connect(setup.address).await.expect("connects");
    let mut builder = Builder::new(TokioExecutor::new());
    builder.initial_stream_window_size(65_535);
    let (client, connection) = builder.handshake(TokioIo::new(stream)).await.expect("a handshake");
    tokio::spawn(connection);
    client
}

type Answered = JoinHandle<hyper::Result<Response<Incoming>>>;

/// Begins a request with a body that is sent by hand.
fn begin(client: &Client, path: &str, kind: &str) -> (mpsc::UnboundedSender<Bytes>, Answered) {
    let (sender, body) = mpsc::unbounded_channel();
    let request = Request::post(format!("http://a.example{path}")).header("content-type", kind);
    let (mut client, request) = (client.clone(), request.body(Trickle(body)).expect("valid"));
    (sender, tokio::spawn(async move { client.send_request(request).await }))
}

/// Sends `part` each 50 ms, so many times or until the stream is gone.
async fn send_each(sender: &mpsc::UnboundedSender<Bytes>, part: &'static [u8], times: usize) {
    for _ in 0..times {
        let _ = sender.send(Bytes::from_static(part));
        sleep(Duration::from_millis(50)).await;
    }
}

/// A worker that reads whole bodies before it answers; but `/early`, whose answer begins at once and goes on when the
/// body does, and `/large`, whose answer is large.
fn reading() -> SocketAddr {
    worker(|_, mut stream| {
        loop {
            let head = head(&mut stream);
            let Some(path) = head.split(' ').nth(1) else { return };
            let early = path == "/early";
            if early {
                stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n!\r\n").expect("sent");
            }
            let mut bytes = Vec::new();
            while !bytes.ends_with(b"0\r\n\r\n") {
                let mut byte = [0];
                if stream.read(&mut byte).unwrap_or(0) == 0 {
                    return;
                }
                bytes.push(byte[0]);
            }
            let large = format!("HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n{}", "x".repeat(10_000_000));
            let answer = match path {
                "/early" => "1\r\n!\r\n0\r\n\r\n",
                "/large" => &large,
                _ => "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
            };
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

fn impatient() -> Setup {
    Wanted::before(&[reading()]).listener(json!({"idle_timeout": "500ms", "tunnel_timeout": "3s"})).start()
}

/// Waits until no worker is busy.
async fn free(setup: &Setup) {
    until("the worker is free", || setup.in_flight() == 0).await;
}

/// Waits until something is so, at most a minute.
async fn until(what: &str, is: impl Fn() -> bool) {
    let so = async {
        while !is() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(60), so).await.expect(what);
}

async fn ended(answered: Answered) -> hyper::Result<Response<Incoming>> {
    timeout(Duration::from_secs(60), answered).await.expect("it ends in its time").expect("no panic")
}

/// A worker of HTTP/2 that reads whole bodies, and answers with this status and what it read.
async fn repeating(status: u16) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = move |request: Request<Incoming>| async move {
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>(Response::builder().status(status).body(Full::new(body)).expect("valid"))
    };
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(server.serve_connection(TokioIo::new(stream), hyper::service::service_fn(answer)));
        }
    });
    address
}

#[tokio::test]
async fn the_body_of_a_stream_is_kept_as_it_comes_and_goes_to_a_second_worker() {
    let workers = [repeating(503).await, repeating(200).await];
    let route = json!({"retry": {}, "repeat": "idempotent"});
    let setup = Wanted::before(&workers).upstream(json!({"protocol": "h2"})).route(route).start();
    let client = client(&setup).await;
    for _ in 0..2 {
        let (sender, body) = mpsc::unbounded_channel();
        let request = Request::put("http://a.example/").body(Trickle(body)).expect("valid");
        let mut ours = client.clone();
        let answered = tokio::spawn(async move { ours.send_request(request).await });
        for part in [&b"first"[..], b" last"] {
            sender.send(Bytes::from_static(part)).expect("it is read");
        }
        drop(sender);
        let answer = ended(answered).await.expect("answered");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.into_body().collect().await.expect("a body").to_bytes(), "first last");
    }
    // From a client of HTTP/1, with trailers.
    for _ in 0..2 {
        let mut stream = TcpStream::connect(setup.address).await.expect("connects");
        let request = "PUT / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n\
                       x-sum: 1\r\n\r\n";
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("first"), "{answer}");
    }
}

#[tokio::test]
async fn a_slow_upload_is_cut_while_others_go_on() {
    let setup = impatient();
    let (slow, other) = (client(&setup).await, client(&setup).await);
    let (trickle, cut) = begin(&slow, "/slow", "text/plain");
    let (beside, here) = begin(&slow, "/flows", "text/plain");
    let (elsewhere, there) = begin(&other, "/flows", "text/plain");
    let part = &[b'x'; 2_000];
    tokio::join!(send_each(&trickle, b"x", 40), send_each(&beside, part, 40), send_each(&elsewhere, part, 40), async {
        assert!(ended(cut).await.is_err(), "the slow one is reset")
    },);
    drop((beside, elsewhere));
    for flowing in [here, there] {
        assert_eq!(ended(flowing).await.expect("answered").status(), 200);
    }
    free(&setup).await;
    until("one client was never answered", || setup.gateway.stats().traffic.answers[0] == 1).await;
}

#[tokio::test]
async fn who_may_be_silent_is_not_cut_by_the_idle_timeout() {
    let setup = impatient();
    let client = client(&setup).await;
    let (grpc, first) = begin(&client, "/pkg.Service/Watch", "application/grpc+proto");
    let (early, second) = begin(&client, "/early", "text/plain");
    let mut answer = ended(second).await.expect("answered").into_body();
    let part = timeout(Duration::from_secs(60), answer.frame()).await.expect("in time");
    assert!(part.is_some_and(|frame| frame.is_ok()));
    sleep(Duration::from_millis(1_500)).await;
    drop((grpc, early));
    assert_eq!(ended(first).await.expect("answered").status(), 200);
    assert_eq!(answer.collect().await.expect("the rest").to_bytes(), "!");
}

#[tokio::test]
async fn streams_on_which_nobody_speaks_are_cut_in_the_end() {
    let setup = impatient();
    let client = client(&setup).await;
    let (_grpc, first) = begin(&client, "/pkg.Service/Watch", "application/grpc");
    let (_early, second) = begin(&client, "/early", "text/plain");
    let answer = ended(second).await.expect("answered").into_body();
    assert!(ended(first).await.is_err());
    assert!(timeout(Duration::from_secs(60), answer.collect()).await.expect("in time").is_err());
    free(&setup).await;
}

#[tokio::test]
async fn an_answer_that_its_client_does_not_take_is_cut() {
    let setup = impatient();
    let client = client(&setup).await;
    let (body, answered) = begin(&client, "/large", "text/plain");
    drop(body);
    let stuck = ended(answered).await.expect("answered").into_body();
    // The window is full; the connection is in use beside it.
    free(&setup).await;
    let (body, answered) = begin(&client, "/flows", "text/plain");
    drop(body);
    assert_eq!(ended(answered).await.expect("answered").status(), 200);
    assert!(stuck.collect().await.is_err(), "what was cut does not look complete");
}
