//! Checks of real sockets, and what a coordinator makes of them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::Duration;

use ambidex_core::decision::Reason;
use ambidex_core::view::Address;
use ambidex_core::worker::Standing;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use super::*;
use crate::coordinator::tests::{Process, pool, process};
use crate::journal::NoJournal;
use crate::news::What;
use crate::reach::tests::saying;

/// A gRPC worker that answers the health service with this message and this `grpc-status`.
async fn speaking_grpc(message: &'static [u8], status: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(move |request: http::Request<hyper::body::Incoming>| async move {
                assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                assert_eq!(request.headers()["content-type"], "application/grpc");
                let asked = request.into_body().collect().await.expect("a question").to_bytes();
                assert_eq!(&asked[..], b"\0\0\0\0\x08\x0a\x06orders");
                let trailers = [("grpc-status", status)]
                    .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)));
                let body = Full::new(Bytes::from_static(message))
                    .with_trailers(std::future::ready(Some(Ok(trailers.into_iter().collect()))));
                Ok::<_, Infallible>(http::Response::new(body))
            });
            let serve = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(serve.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn checked(address: SocketAddr, checks: &str) -> Result<(), String> {
    let place = Place { address: Address::Ip(address), url: "http://worker.test:1".into(), port: None, tls: None };
    let checks: HealthChecks = serde_json::from_str(checks).expect("checks");
    let timeout = duration(checks.timeout);
    tokio::time::timeout(timeout, check(&Target { place, checks })).await.unwrap_or_else(|_| Err("late".into()))
}

#[tokio::test]
async fn a_status_says_whether_a_worker_is_well_and_redirects_are_not_followed() {
    for (answer, asked, wanted) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", r#"{"path":"/h"}"#, None),
        ("HTTP/1.1 204 None\r\n\r\n", r#"{"path":"/h"}"#, None),
        ("HTTP/1.1 204 None\r\n\r\n", r#"{"path":"/h","status":200}"#, Some("status 204")),
        ("HTTP/1.1 503 Oops\r\ncontent-length: 0\r\n\r\n", r#"{"path":"/h"}"#, Some("status 503")),
        ("HTTP/1.1 418 I\r\ncontent-length: 0\r\n\r\n", r#"{"path":"/h","status":418}"#, None),
        ("HTTP/1.1 302 Found\r\nlocation: /ok\r\ncontent-length: 0\r\n\r\n", r#"{"path":"/h"}"#, Some("not followed")),
        ("SSH-2.0-OpenSSH\r\n\r\n", r#"{"path":"/h"}"#, Some("no HTTP answer")),
        ("", r#"{"path":"/h"}"#, Some("late")),
    ] {
        let checks = format!(r#"{{"http":{asked},"every":"1s","timeout":"500ms"}}"#);
        let ended = checked(saying(answer, None).await, &checks).await;
        match wanted {
            None => assert_eq!(ended, Ok(()), "{answer:?}"),
            Some(why) => assert!(ended.as_ref().is_err_and(|error| error.contains(why)), "{answer:?}: {ended:?}"),
        }
    }
}

#[tokio::test]
async fn the_health_service_of_grpc_is_asked_and_its_word_is_taken() {
    for (message, status, wanted) in [
        (&[0, 0, 0, 0, 2, 8, 1][..], "0", None),
        (&[0, 0, 0, 0, 2, 8, 2], "0", Some("NOT_SERVING")),
        (&[0, 0, 0, 0, 2, 8, 3], "0", Some("SERVICE_UNKNOWN")),
        (&[0, 0, 0, 0, 2, 8, 1], "14", Some("grpc-status")),
        (&[], "5", Some("does not know that service")),
        (&[], "12", Some("no health service")),
        (&[9, 9], "0", Some("no HealthCheckResponse")),
    ] {
        let address = speaking_grpc(message, status).await;
        let ended = checked(address, r#"{"grpc":{"service":"orders"}}"#).await;
        match wanted {
            None => assert_eq!(ended, Ok(()), "{message:?} {status}"),
            Some(why) => assert!(ended.as_ref().is_err_and(|error| error.contains(why)), "{status}: {ended:?}"),
        }
    }
    let http1 = saying("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", None).await;
    let ended = checked(http1, r#"{"grpc":{}}"#).await;
    assert!(ended.as_ref().is_err_and(|error| error.contains("no HTTP/2 answer")), "{ended:?}");
}

#[tokio::test]
async fn a_connection_that_is_taken_is_enough_for_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    assert_eq!(checked(address, r#"{"tcp":{}}"#).await, Ok(()));
    drop(listener);
    assert!(checked(address, r#"{"tcp":{}}"#).await.is_err_and(|why| why.contains("no connection")));
}

/// Workers on a thread of their own, each with the status that it answers with.
fn workers<const N: usize>() -> [(SocketAddr, Arc<AtomicU16>); N] {
    std::array::from_fn(|_| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let status = Arc::new(AtomicU16::new(200));
        let says = Arc::clone(&status);
        std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
                let _ = stream.read(&mut [0_u8; 4096]);
                let _ = write!(stream, "HTTP/1.1 {} X\r\ncontent-length: 0\r\n\r\n", says.load(Relaxed));
            }
        });
        (address, status)
    })
}

fn checking<const N: usize>(workers: &[(SocketAddr, Arc<AtomicU16>); N], mode: &str) -> Process {
    let urls: Vec<String> = workers.iter().map(|(address, _)| format!(r#""http://{address}""#)).collect();
    let mut config = pool("api", &format!("[{}]", urls.join(",")));
    let checks =
        format!(r#"{{"http":{{"path":"/healthz"}},"every":"100ms","unhealthy":{{"within":"15s"}},"mode":"{mode}"}}"#);
    config.health = Some(serde_json::from_str(&checks).expect("checks"));
    process(vec![config], Arc::new(NoJournal))
}

fn standing(view: &ambidex_core::view::View) -> Vec<Standing> {
    view.pools()[0].workers.iter().map(|worker| worker.standing).collect()
}

#[test]
fn a_worker_that_fails_its_checks_is_taken_out_with_a_decision_and_comes_back() {
    use Standing::{Serving, Unhealthy};
    let workers = workers::<2>();
    let process = checking(&workers, "on");
    workers[1].1.store(503, Relaxed);
    process.until("taken out", |view| standing(view) == [Serving, Unhealthy] && view.pools()[0].fixed.at(1) == 0.0);
    let told = |what: &dyn Fn(&What) -> bool| process.room().news.since(0).any(|item| what(&item.what));
    let decided = |what: &What| matches!(what, What::Decision { decision } if decision.reason == Reason::Unhealthy);
    process.until("a decision", |_| told(&decided));
    assert!(told(&|what| *what == What::Health { well: false }));
    let fault = process.room().pool_statuses(process.clock.now())[0].workers[1].health.clone();
    assert!(fault.is_some_and(|health| !health.well && health.fault.is_some_and(|why| why.contains("503"))));
    workers[1].1.store(200, Relaxed);
    process.until("back", |view| standing(view) == [Serving, Serving] && view.pools()[0].learned.at(1) > 0.0);
    assert!(told(&|what| *what == What::Health { well: true }));
}

#[test]
fn nobody_is_taken_out_while_the_checks_of_most_fail_and_that_is_an_alert() {
    let workers = workers::<3>();
    let process = checking(&workers, "on");
    for (_, status) in &workers[1..] {
        status.store(503, Relaxed);
    }
    let alert = || process.room().news.since(0).any(|item| matches!(item.what, What::Pool { alert: true, .. }));
    process.until("an alert", |_| alert());
    assert_eq!(standing(&process.view.load()), [Standing::Serving; 3]);
    workers[1].1.store(200, Relaxed);
    process.until("one is out", |view| standing(view)[2] == Standing::Unhealthy);
    assert!(!process.room().pools[0].checks_doubted);
}

#[test]
fn checks_that_are_only_observed_are_told_and_take_nobody_out() {
    let workers = workers::<3>();
    let process = checking(&workers, "observe");
    workers[0].1.store(503, Relaxed);
    let told = || process.room().news.since(0).any(|item| item.what == What::Health { well: false });
    process.until("told", |_| told());
    assert_eq!(standing(&process.view.load()), [Standing::Serving; 3]);
}
