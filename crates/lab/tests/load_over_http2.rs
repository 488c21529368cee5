//! Load over HTTP/2, on a server that counts its connections and says what it was asked.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use ambidex_core::time::Span;
use ambidex_lab::load::{self, Http, LoadOptions, Outcome, Skew};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

#[derive(Default)]
struct Seen {
    connections: usize,
    keys: BTreeSet<String>,
    paths: BTreeSet<String>,
}

/// A server of HTTP/2 by prior knowledge, for as long as the test lasts.
fn server() -> (SocketAddr, Arc<Mutex<Seen>>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("nonblocking");
    let address = listener.local_addr().expect("an address");
    let seen = Arc::<Mutex<Seen>>::default();
    let noted = Arc::clone(&seen);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                noted.lock().expect("sound").connections += 1;
                let noted = Arc::clone(&noted);
                let service = service_fn(move |request| answer(Arc::clone(&noted), request));
                tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service));
            }
        });
    });
    (address, seen)
}

async fn answer(seen: Arc<Mutex<Seen>>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut seen = seen.lock().expect("sound");
    seen.paths.insert(request.uri().path().to_owned());
    seen.keys.extend(request.headers().get("x-key").and_then(|key| key.to_str().ok()).map(str::to_owned));
    let mut response = Response::new(Full::new(Bytes::from_static(b"well")));
    response.headers_mut().insert("x-worker", http::HeaderValue::from_static("two"));
    Ok(response)
}

fn load(options: LoadOptions) -> Outcome {
    load::start(LoadOptions { http: Http::Two, warm_up: Span::ZERO, rate: 400.0, ..options }).expect("load").finish()
}

#[test]
fn many_requests_share_few_connections_and_all_are_answered() {
    let (target, seen) = server();
    let duration = Span::from_millis(300);
    let outcome = load(LoadOptions { target, connections: 2, streams: 20, duration, ..LoadOptions::default() });
    assert_eq!((outcome.failures.total(), outcome.ok), (0, outcome.offered), "{outcome}");
    assert!(outcome.ok > 0 && outcome.workers[0].name == "two", "{outcome}");
    assert!((1..=2).contains(&seen.lock().expect("sound").connections));
}

#[test]
fn keys_are_in_their_field_and_in_the_path() {
    let (target, seen) = server();
    let keys = Some(Skew { count: 5, zipf: 0.0, header: None });
    let outcome = load(LoadOptions { target, keys, path: "/of/{key}".into(), requests: 60, ..LoadOptions::default() });
    assert_eq!(outcome.ok, 60, "{outcome}");
    let seen = seen.lock().expect("sound");
    // Of 60 draws a fifth misses with a chance of one in a million; the seed is fixed besides.
    assert_eq!(seen.keys, ["0", "1", "2", "3", "4"].map(String::from).into());
    assert_eq!(seen.paths, ["0", "1", "2", "3", "4"].map(|key| format!("/of/{key}")).into());
}

#[test]
fn a_target_that_is_not_there_fails_to_connect() {
    // Bound, so that nobody else takes the port, and not listening.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port");
    let gone = socket.local_addr().expect("an address");
    let outcome = load(LoadOptions { target: gone, connections: 1, requests: 5, ..LoadOptions::default() });
    assert_eq!(outcome.failures.connect, 5, "{outcome}");
}
