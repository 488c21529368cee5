//! Workers that die, fall silent or break off, and clients that speak badly.

use ambidex_lab::load::{self, LoadOptions};
use ambidex_lab::peer::exchange;
use ambidex_lab::worker::{self, WorkerOptions};
use ambidex_lab::{Span, poll};

use crate::gateway::{Gateway, nginx_workers, upstreams_of};

#[test]
fn a_worker_that_is_killed_costs_no_request() {
    let (mut origins, upstreams) = nginx_workers(&[("a", 0), ("b", 0), ("c", 0)]);
    // Who has a request of ours when it dies takes it along: nothing but another try helps then.
    let gateway = Gateway::start_with(&upstreams, |text| {
        text.replace("  - pool: workers\n", "  - pool: workers\n    retry: {sent: on}\n")
    });
    let options = LoadOptions {
        connections: 64,
        warm_up: Span::from_secs(1),
        duration: Span::from_secs(2),
        ..LoadOptions::beside(gateway.address, 300.0)
    };
    let load = load::start(options).expect("load");
    assert!(poll(Span::from_secs(150), || load.elapsed() > Span::from_millis(500)), "the load begins");
    drop(origins.remove(0));
    let outcome = load.finish();
    assert_eq!((outcome.failures.total(), outcome.ok), (0, outcome.offered), "{outcome}");
}

#[test]
fn a_worker_that_never_answers_is_a_504_by_the_deadline() {
    let stuck = WorkerOptions { name: "stuck".into(), slowdown: 10_000.0, ..WorkerOptions::default() };
    let workers = worker::start_all(vec![WorkerOptions::default(), stuck]).expect("workers");
    let upstreams = upstreams_of(&workers);
    let gateway = Gateway::start_with(&upstreams[..1], |text| {
        let pool = format!("  stuck:\n    workers: [\"http://{}\"]\n", upstreams[1].address);
        let route = "routes:\n  - match: {path: /stuck}\n    pool: stuck\n    deadline: 300ms\n";
        text.replace("routes:\n", &(pool + route))
    });
    let request = format!("GET /stuck HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", gateway.address);
    let (status, answer) = exchange(gateway.address, &request).expect("an answer");
    assert_eq!(status, 504, "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn malformed_requests_are_refused_and_never_forwarded() {
    let workers = worker::start_all(vec![WorkerOptions::default()]).expect("a worker");
    let gateway = Gateway::start(&upstreams_of(&workers));
    let served = workers[0].served();
    for (request, wanted) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n".to_owned(), 400),
        ("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd".to_owned(), 400),
        (format!("GET / HTTP/1.1\r\nhost: a\r\nx: {}\r\n\r\n", "y".repeat(100_000)), 431),
    ] {
        let (status, _) = exchange(gateway.address, &request).expect("an answer, and the connection closed");
        assert_eq!(status, wanted, "{:?}", &request[..request.len().min(80)]);
    }
    assert_eq!(workers[0].served(), served);
}
