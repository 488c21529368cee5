//! Traffic of curl, wrk and h2load through the gateway to real, unlike nginx workers.

use ambidex_lab::Span;
use ambidex_lab::load::{self, LoadOptions};
use ambidex_lab::worker::{self, ReportStyle, WorkerOptions};

use crate::gateway::{Gateway, nginx_workers, printed, upstreams_of};

/// No limit, and two that an answer of 16 KiB feels: nginx sends the first second's worth at once.
const UNLIKE: [(&str, u64); 3] = [("fast", 0), ("middling", 15 << 10), ("slow", 12 << 10)];

#[test]
fn curl_gets_every_size_whole_over_both_versions_of_http() {
    let (_origins, upstreams) = nginx_workers(&[("a", 0), ("b", 0)]);
    let gateway = Gateway::start(&upstreams);
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        for (path, bytes) in [("/", "200"), ("/16k", "16384"), ("/1m", "1048576")] {
            let url = format!("http://{}{path}", gateway.address);
            let words =
                ["-sS", "--max-time", "10", version, "-o", "/dev/null", "-w", "%{http_code} %{size_download}", &url];
            assert_eq!(printed("curl", &words), format!("200 {bytes}"), "{version} {path}");
        }
    }
}

#[test]
fn curl_sees_the_workers_headers_and_none_of_its_load() {
    let fleet = WorkerOptions { name: "a".into(), report: ReportStyle::ServerLoad, ..WorkerOptions::default() };
    let workers = worker::start_all(vec![fleet]).expect("a worker");
    let gateway = Gateway::start(&upstreams_of(&workers));
    let head = printed("curl", &["-sS", "-i", &format!("http://{}/", gateway.address)]).to_lowercase();
    assert!(head.contains("x-worker: a") && !head.contains("server-load"), "{head}");
}

#[test]
fn wrk_sees_no_failure_before_unlike_workers() {
    let (_origins, upstreams) = nginx_workers(&UNLIKE);
    let gateway = Gateway::start(&upstreams);
    let text = printed("wrk", &["-t1", "-c32", "-d2s", "--timeout", "10s", &format!("http://{}/16k", gateway.address)]);
    assert!(text.contains("requests in") && !text.contains("Non-2xx") && !text.contains("Socket errors"), "{text}");
}

#[test]
fn h2load_sees_no_failure_on_many_streams() {
    let (_origins, upstreams) = nginx_workers(&[("a", 0), ("b", 0)]);
    let gateway = Gateway::start(&upstreams);
    let text = printed("h2load", &["-n2000", "-c8", "-m16", "-T", "10", &format!("http://{}/", gateway.address)]);
    assert!(text.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{text}");
}

#[test]
fn a_worker_that_sends_slowly_gets_little_of_the_traffic() {
    let (_origins, upstreams) = nginx_workers(&[("fast", 0), ("slow", 8 << 10)]);
    let gateway = Gateway::start(&upstreams);
    let outcome = load::start(LoadOptions {
        path: "/16k".into(),
        warm_up: Span::from_secs(1),
        duration: Span::from_secs(3),
        ..LoadOptions::beside(gateway.address, 200.0)
    })
    .expect("load")
    .finish();
    assert_eq!(outcome.failures.total(), 0, "{outcome}");
    let slow = outcome.workers.iter().find(|worker| worker.name == "slow").map_or(0.0, |worker| worker.share);
    assert!(slow < 0.2, "a fair share would be a half: {outcome}");
}
