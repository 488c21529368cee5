//! Streams of real sockets, and what is made of them.

use std::convert::Infallible;
use std::net::SocketAddr;

use ambidex_core::signal::Report;
use ambidex_core::view::Address;
use http_body::Frame;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

/// What a worker says on one stream: pieces of bytes, and the status at its end; without one it stays open.
type Script = (&'static [&'static [u8]], Option<&'static str>);

struct Said(mpsc::Receiver<Frame<Bytes>>);

impl http_body::Body for Said {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

/// A gRPC worker that says the same to whoever asks.
async fn streaming(script: Script) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(move |request: http::Request<Incoming>| async move {
                assert_eq!(request.uri().path(), orca::METHOD);
                let asked = request.into_body().collect().await.expect("a question").to_bytes();
                // Every 500 ms: field 1, a message of 6 bytes, whose field 2 is 500,000,000 nanoseconds.
                assert_eq!(&asked[..], b"\0\0\0\0\x08\x0a\x06\x10\x80\xca\xb5\xee\x01");
                let (send, receive) = mpsc::channel(64);
                tokio::spawn(async move {
                    let (pieces, status) = script;
                    for piece in pieces {
                        let _ = send.send(Frame::data(Bytes::from_static(piece))).await;
                    }
                    match status {
                        Some(status) => {
                            let trailers = [("grpc-status", status)].map(|(name, value)| {
                                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
                            });
                            let _ = send.send(Frame::trailers(trailers.into_iter().collect())).await;
                        }
                        None => send.closed().await,
                    }
                });
                Ok::<_, Infallible>(http::Response::new(Said(receive)))
            });
            let serve = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(serve.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// The first words of a stream.
async fn told(script: Script, count: usize) -> Vec<Result<(Report, Span), String>> {
    let address = streaming(script).await;
    let place = Place { address: Address::Ip(address), url: "http://worker.test:1".into(), port: None, tls: None };
    let (send, mut receive) = mpsc::unbounded_channel();
    let tell: Tell = Arc::new(move |heard| {
        let _ = send.send(match heard {
            Heard::Report(arrived, period) => {
                assert_eq!((arrived.worker, arrived.source), (WorkerId(7), Source::Heartbeat));
                Ok((arrived.report, period))
            }
            Heard::Fault(_, why) => Err(why),
        });
    });
    let mut streams = Streams::new(Clock::starting_at(tokio::time::Instant::now().into_std()), tell);
    streams.reconcile(vec![(WorkerId(7), Target { place, interval: Span::from_millis(500) })]);
    let mut words = Vec::new();
    while words.len() < count {
        let word = tokio::time::timeout(Duration::from_secs(60), receive.recv()).await;
        words.push(word.expect("in time").expect("it runs"));
    }
    words
}

/// `cpu_utilization = 0.5`, as a message in its frame.
const HALF: &[u8] = b"\0\0\0\0\x09\x09\0\0\0\0\0\0\xe0\x3f";

const COMPRESSED: &[&[u8]] = &[&[1, 0, 0, 0, 0]];
const ENDLESS: &[&[u8]] = &[&[0, 0xff, 0, 0, 0]];

#[tokio::test]
async fn reports_are_heard_as_they_come_however_they_are_cut() {
    let words = told((&[HALF, &[0, 0, 0], &[0, 9, 9, 0, 0, 0, 0], &[0, 0, 0xe0, 0x3f]], None), 2).await;
    for word in words {
        let (report, period) = word.expect("a report");
        assert_eq!(report.cpu, Some(0.5));
        assert!(period >= Span::from_millis(500));
    }
}

#[tokio::test]
async fn what_is_no_report_is_told_and_the_stream_goes_on() {
    // `cpu_utilization` of NaN, then half.
    let words = told((&[b"\0\0\0\0\x09\x09\0\0\0\0\0\0\xf8\x7f", HALF], None), 2).await;
    assert!(words[0].as_ref().is_err_and(|why| why.starts_with("ORCA: ")), "{words:?}");
    assert!(words[1].is_ok(), "{words:?}");
}

#[tokio::test]
async fn a_stream_that_cannot_be_read_or_ends_says_why() {
    for (script, why) in [
        ((&[][..], Some("12")), "no OpenRcaService"),
        ((&[][..], Some("7")), "grpc-status \"7\""),
        ((COMPRESSED, None), "a compressed message"),
        ((ENDLESS, None), "at most 65536 are read"),
        ((&[][..], Some("0")), "ended the stream"),
    ] {
        let words = told(script, 1).await;
        assert!(words[0].as_ref().is_err_and(|told| told.contains(why)), "{why}: {words:?}");
    }
}

#[tokio::test]
async fn a_flood_of_reports_ends_the_stream() {
    let words = told((&[HALF; 60], None), 21).await;
    assert!(words[20].as_ref().is_err_and(|why| why.contains("more than 20 reports came within 500ms")), "{words:?}");
}

#[tokio::test]
async fn a_worker_that_is_not_there_is_asked_again() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound");
    let place = Place { address: Address::Ip(closed), url: "http://worker.test:1".into(), port: None, tls: None };
    let target = Target { place, interval: Span::from_millis(500) };
    let tell: Tell = Arc::new(|_| {});
    let clock = Clock::starting_at(tokio::time::Instant::now().into_std());
    let mut heard = Hearing::of(WorkerId(1), clock, &tell, target.interval);
    let why = hold(&target, &mut heard).await.expect_err("nobody there");
    assert!(why.contains("no connection"), "{why}");
}
