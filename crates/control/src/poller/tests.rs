//! Polls of real sockets: what is read, what is refused, and within which bounds.

use std::time::{Duration, Instant};

use ambidex_core::time::Span;
use ambidex_core::view::Address;
use tokio::sync::mpsc;

use super::*;
use crate::config::PollTls;
use crate::reach::tests::saying;

mod secure;

async fn heard(address: std::net::SocketAddr, fields: &str) -> Result<Report, String> {
    heard_at("http://worker.test:1", address, fields, None).await
}

#[expect(clippy::disallowed_methods, reason = "a test's origin")]
async fn heard_at(
    url: &str,
    address: std::net::SocketAddr,
    fields: &str,
    tls: Option<PollTls>,
) -> Result<Report, String> {
    let (send, mut heard) = mpsc::unbounded_channel();
    let tell: Tell = Arc::new(move |what| drop(send.send(what)));
    let poll = format!(r#"{{"path":"/load?x=1","interval":"500ms","timeout":"400ms","fields":{fields}}}"#);
    let target = Target {
        place: Place { address: Address::Ip(address), url: url.into(), port: None, tls },
        poll: serde_json::from_str(&poll).expect("a poll"),
    };
    let mut poller = Poller::new(Clock::starting_at(Instant::now()), tell);
    poller.reconcile(vec![(WorkerId(7), target)]);
    let first = tokio::time::timeout(Duration::from_secs(60), heard.recv()).await.expect("in time").expect("running");
    match first {
        Heard::Report(arrived, period) => {
            assert_eq!((arrived.worker, arrived.source, period), (WorkerId(7), Source::Poll, Span::from_millis(500)));
            Ok(arrived.report)
        }
        Heard::Fault(id, why) => {
            assert_eq!(id, WorkerId(7));
            Err(why)
        }
    }
}

#[tokio::test]
async fn the_catalogue_s_fields_are_read() {
    let body = r#"{"current_load":3,"queue_depth":1,"average_latency_ms":12.5,"error_rate":0.01,"max_capacity":32}"#;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).leak();
    let report = heard(saying(answer, None).await, "{}").await.expect("a report");
    assert_eq!((report.in_flight, report.queue, report.limit), (Some(3), Some(1), Some(32)));
}

#[tokio::test]
async fn other_json_is_read_by_a_mapping() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 28\r\n\r\n{\"stats\":{\"running\":[4,5]}}  ";
    let report = heard(saying(answer, None).await, r#"{"in_flight":"/stats/running/1"}"#).await.expect("a report");
    assert_eq!(report.in_flight, Some(5));
}

#[tokio::test]
async fn what_is_no_good_answer_is_a_fault_with_its_reason() {
    for (answer, endless, reason) in [
        ("", None, "no whole answer within 400ms"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", None, "no whole"),
        ("SSH-2.0-OpenSSH\r\n\r\n", None, "no HTTP answer"),
        ("HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n", None, "not followed"),
        ("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n", None, "status 500"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n", Some(&[b'x'; 4096][..]), "no whole body of at most"),
        ("HTTP/1.1 200 OK\r\nx: ", Some(&[b'x'; 4096][..]), "no HTTP answer"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnope", None, "nope"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{\"util\": \"NaN\"}", None, "util"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 14\r\n\r\n{\"util\":-1e99}", None, "util"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{\"x\": 12}", None, "no known field"),
    ] {
        let why = heard(saying(answer, endless).await, "{}").await.expect_err(answer);
        assert!(why.contains(reason), "{answer:?}: {why}");
    }
}
