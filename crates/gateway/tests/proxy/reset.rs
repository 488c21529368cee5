//! A try that lost, on a stream of HTTP/2: its worker hears that nobody waits any more, and the connection serves on.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::json;

use crate::common::{Wanted, eventually, worker};

const GET: &str = "GET /a HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

/// What happens at a worker of HTTP/2, by connection and stream.
#[derive(Debug, PartialEq, Eq)]
enum Happened {
    Asked { connection: usize, stream: u32 },
    Reset { connection: usize, stream: u32, code: u32 },
}

/// A worker that speaks HTTP/2 and answers nothing.
fn silent() -> (SocketAddr, Receiver<Happened>) {
    let (told, happened) = channel();
    let told = Mutex::new(told);
    let address = worker(move |connection, stream| {
        let told = told.lock().expect("unpoisoned").clone();
        // Whoever closes has nothing more to say.
        let _ = listen(connection, stream, &told);
    });
    (address, happened)
}

fn listen(connection: usize, mut wire: TcpStream, told: &Sender<Happened>) -> std::io::Result<()> {
    wire.read_exact(&mut [0; PREFACE_BYTES])?;
    wire.write_all(&frame(SETTINGS, 0, &[]))?;
    loop {
        let mut head = [0; 9];
        wire.read_exact(&mut head)?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c])).expect("24 bits")];
        wire.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes(stream);
        match (kind, flags & ACK) {
            (HEADERS, _) => drop(told.send(Happened::Asked { connection, stream })),
            (RST_STREAM, _) => {
                let code = u32::from_be_bytes(payload.try_into().expect("four bytes"));
                drop(told.send(Happened::Reset { connection, stream, code }));
            }
            (SETTINGS, 0) => wire.write_all(&frame(SETTINGS, ACK, &[]))?,
            (PING, 0) => wire.write_all(&frame(PING, ACK, &payload))?,
            _ => {}
        }
    }
}

/// A frame of the connection itself.
fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("small");
    [&[0, 0, length, kind, flags, 0, 0, 0, 0], payload].concat()
}

/// A worker that speaks HTTP/2 and answers at once.
async fn quick() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = hyper::service::service_fn(async |_| {
                let body = http_body_util::Full::new(bytes::Bytes::from_static(b"hi"));
                Ok::<_, std::convert::Infallible>(http::Response::new(body))
            });
            let executor = hyper_util::rt::TokioExecutor::new();
            let server = hyper::server::conn::http2::Builder::new(executor);
            tokio::spawn(server.serve_connection(hyper_util::rt::TokioIo::new(stream), service));
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_stream_of_a_hedged_request_that_lost_is_reset_and_its_connection_takes_the_next() {
    let ((slow, happened), fast) = (silent(), quick().await);
    let hedge = json!({"hedge": {"after": "50ms", "budget": "100%"}});
    let setup = Wanted::before(&[slow, fast]).upstream(json!({"protocol": "h2"})).route(hedge).start();
    let next = || happened.recv_timeout(Duration::from_secs(60)).expect("it happens");
    for stream in [1, 3] {
        // Round robin: every second request is the silent worker's, and the hedge the other one's.
        assert!(setup.ask(GET).ends_with("hi"));
        assert_eq!(next(), Happened::Asked { connection: 0, stream });
        assert_eq!(next(), Happened::Reset { connection: 0, stream, code: CANCEL });
    }
    eventually("nothing is in flight", || setup.in_flight() == 0);
}

/// RFC 9113, 3.4.
const PREFACE_BYTES: usize = 24;
/// RFC 9113, 6 and 7.
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;
const CANCEL: u32 = 8;
