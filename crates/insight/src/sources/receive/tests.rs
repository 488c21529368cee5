//! Senders of every kind, over real sockets.

use std::io::Write as _;

use prost::Message;
use reqwest::{Client, RequestBuilder, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Code;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::answer::Details;
use super::*;
use crate::sources::otlp::messages::{Metrics, Taken as Nothing, Traces};
use crate::sources::remote_write::messages::{Label, Sample, TimeSeries, WriteRequest};

const TRACES: &[u8] = include_bytes!("../../../tests/otlp/traces.bin");
const TRACES_JSON: &str = include_str!("../../../tests/otlp/traces.json");
const METRICS: &[u8] = include_bytes!("../../../tests/otlp/metrics.bin");

async fn open(change: impl FnOnce(&mut Options)) -> Receiver {
    // What the binary does at its start.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut options = Options::new(vec![SocketAddr::from(([127, 0, 0, 1], 0))]);
    change(&mut options);
    Receiver::open(&options).await.expect("a free port")
}

fn post(receiver: &Receiver, path: &str, kind: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    let url = format!("http://{}{path}", receiver.addresses()[0]);
    Client::builder().no_proxy().build().expect("a client").post(url).header("content-type", kind).body(body)
}

async fn told(request: RequestBuilder) -> (StatusCode, String) {
    let response = request.send().await.expect("an answer");
    (response.status(), response.text().await.expect("a body"))
}

async fn channel(receiver: &Receiver) -> Grpc<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", receiver.addresses()[0])).expect("an address");
    let mut grpc = Grpc::new(endpoint.connect().await.expect("a connection"));
    grpc.ready().await.expect("a connection");
    grpc
}

async fn call<M: Message + Default + 'static>(
    grpc: &mut Grpc<Channel>,
    path: &'static str,
    message: M,
) -> Result<(), tonic::Status> {
    let codec = ProstCodec::<M, Nothing>::default();
    grpc.unary(tonic::Request::new(message), ::http::uri::PathAndQuery::from_static(path), codec).await.map(drop)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn requests(history: &History) -> u64 {
    history.traffic.blocks.values().flat_map(|block| block.cells.values()).map(|cell| cell.requests).sum()
}

#[tokio::test]
async fn spans_come_by_http_and_by_grpc_plain_and_packed() {
    let receiver = open(|_| {}).await;
    let (protobuf, json) = ("application/x-protobuf", "application/json; charset=utf-8");
    assert_eq!(told(post(&receiver, "/v1/traces", protobuf, TRACES)).await, (StatusCode::OK, String::new()));
    assert_eq!(told(post(&receiver, "/v1/traces", json, TRACES_JSON)).await, (StatusCode::OK, "{}".into()));
    let packed = post(&receiver, "/v1/traces", protobuf, gzip(TRACES)).header("content-encoding", "gzip");
    assert_eq!(told(packed).await.0, StatusCode::OK);
    let packed = zstd::encode_all(TRACES, 1).expect("memory");
    let packed = post(&receiver, "/v1/traces", protobuf, packed).header("content-encoding", "zstd");
    assert_eq!(told(packed).await.0, StatusCode::OK);
    let traces = Traces::decode(TRACES).expect("an export");
    let mut plain = channel(&receiver).await;
    let mut packed = channel(&receiver).await.send_compressed(CompressionEncoding::Gzip);
    for grpc in [&mut plain, &mut packed] {
        call(grpc, grpc::TRACES, traces.clone()).await.expect("taken");
    }
    let history = receiver.history();
    assert_eq!((receiver.exports(), requests(&history)), (6, 18), "three of four spans are requests");
    assert_eq!((history.nodes[0].name.as_str(), history.nodes[0].zone.as_deref()), ("a", Some("eu-1a")));
    assert!(!history.partial, "{:?}", history.remarks);
}

#[tokio::test]
async fn metrics_and_remote_write_make_one_history() {
    let receiver = open(|_| {}).await;
    assert_eq!(told(post(&receiver, "/v1/metrics", "application/x-protobuf", METRICS)).await.0, StatusCode::OK);
    call(&mut channel(&receiver).await, grpc::METRICS, Metrics::decode(METRICS).expect("an export"))
        .await
        .expect("taken");
    let label = |name: &str, value: &str| Label { name: name.into(), value: value.into() };
    let labels = vec![label("__name__", "node_load1"), label("instance", "h1"), label("job", "node")];
    let samples = vec![Sample { value: 2.0, timestamp: 1_795_341_610_000 }];
    let write = WriteRequest { timeseries: vec![TimeSeries { labels, samples, histograms: Vec::new() }] };
    let body = snap::raw::Encoder::new().compress_vec(&write.encode_to_vec()).expect("memory");
    let sent = post(&receiver, "/api/v1/write", "application/x-protobuf", body).header("content-encoding", "snappy");
    assert_eq!(told(sent).await, (StatusCode::NO_CONTENT, String::new()));
    let history = receiver.history();
    let names: Vec<_> = history.nodes.iter().map(|node| (node.name.as_str(), node.peers.service.as_deref())).collect();
    assert_eq!(names, [("a", Some("eu/shop")), ("h1", Some("node"))]);
    assert!(history.series.contains_key(&crate::history::Metric::Memory));
}

/// As a Prometheus says it, and as others may write it.
const SECOND: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

fn snapped_text(text: &str) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(text.as_bytes()).expect("memory")
}

#[tokio::test]
async fn remote_write_2_is_answered_with_how_much_was_written() {
    use crate::sources::remote_write::second::{Request, Series};
    let receiver = open(|_| {}).await;
    let symbols = ["", "__name__", "node_load1", "instance", "h1"].map(str::to_owned).to_vec();
    let samples = vec![Sample { value: 2.0, timestamp: 1_795_341_610_000 }];
    let right = Series { labels_refs: vec![1, 2, 3, 4], samples, histograms: Vec::new() };
    let wrong = Series { labels_refs: vec![1, 9], ..right.clone() };
    for (kind, timeseries, status, written) in [
        (SECOND, vec![right.clone(), right.clone()], 204, "2"),
        ("application/x-protobuf; Proto=\"io.prometheus.write.v2.Request\"", vec![right.clone()], 204, "1"),
        (SECOND, vec![wrong, right], 400, "1"),
        (SECOND, Vec::new(), 204, "0"),
    ] {
        let request = Request { symbols: symbols.clone(), timeseries };
        let body = snap::raw::Encoder::new().compress_vec(&request.encode_to_vec()).expect("memory");
        let sent = post(&receiver, "/api/v1/write", kind, body).header("content-encoding", "snappy");
        let answer = sent.header("x-prometheus-remote-write-version", "2.0.0").send().await.expect("an answer");
        let of =
            |name: &str| answer.headers()[&format!("x-prometheus-remote-write-{name}-written")].to_str().expect("text");
        assert_eq!(
            (answer.status().as_u16(), of("samples"), of("histograms"), of("exemplars")),
            (status, written, "0", "0")
        );
        let words = answer.text().await.expect("a body");
        assert_eq!(
            words.contains("series 0 (counted from 0): reference 9 is beyond the 5 symbols"),
            status == 400,
            "{words}"
        );
    }
    let history = receiver.history();
    assert_eq!(history.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["h1"]);
}

#[tokio::test]
async fn what_is_not_taken_is_told_with_what_would_be() {
    let receiver = open(|options| options.limits.unpacked = 100_000).await;
    let protobuf = "application/x-protobuf";
    let bomb = gzip(&vec![0; 1 << 20]);
    let snapped = snap::raw::Encoder::new().compress_vec(&vec![0; 1 << 20]).expect("memory");
    let table = [
        (post(&receiver, "/v1/traces", "text/plain", "x"), 415, "`text/plain` is not taken: application/x-protobuf or"),
        (post(&receiver, "/v1/traces", protobuf, "what is this"), 400, "it is no message of OTLP"),
        (post(&receiver, "/v1/traces", "application/json", "{\"resourceSpans\": 7}"), 400, "expected a sequence"),
        (post(&receiver, "/v1/traces", protobuf, "x").header("content-encoding", "br"), 415, "`br` is not known here"),
        (post(&receiver, "/v1/traces", protobuf, "x").header("content-encoding", "gzip"), 400, "its gzip is broken"),
        (
            post(&receiver, "/v1/traces", protobuf, bomb).header("content-encoding", "gzip"),
            413,
            "larger than 100000 bytes",
        ),
        (post(&receiver, "/v1/traces", protobuf, vec![0; 9 << 20]), 413, "larger than 8388608 bytes"),
        (
            post(&receiver, "/v1/logs", protobuf, "x"),
            404,
            "only POST of /v1/traces, /v1/metrics (OTLP) and /api/v1/write",
        ),
        (post(&receiver, "/api/v1/write", protobuf, "x"), 415, "remote write is application/x-protobuf with snappy"),
        (
            post(&receiver, "/api/v1/write", "application/x-protobuf;proto=io.prometheus.write.v3.Request", "x")
                .header("content-encoding", "snappy"),
            415,
            "the message `io.prometheus.write.v3.Request` is not taken: prometheus.WriteRequest or",
        ),
        (
            post(&receiver, "/api/v1/write", SECOND, snapped_text("what is this")).header("content-encoding", "snappy"),
            400,
            "it is no io.prometheus.write.v2.Request",
        ),
        (
            post(&receiver, "/api/v1/write", SECOND, snapped_text("\x22\x01x")).header("content-encoding", "snappy"),
            400,
            "its first symbol is not empty",
        ),
        (post(&receiver, "/api/v1/write", SECOND, "x"), 415, "remote write is application/x-protobuf with snappy"),
        (
            post(&receiver, "/api/v1/write", protobuf, "what is this").header("content-encoding", "snappy"),
            400,
            "it is no block of snappy",
        ),
        (post(&receiver, "/api/v1/write", protobuf, snapped).header("content-encoding", "snappy"), 413, "100000 bytes"),
    ];
    let many = table.len();
    for (request, status, part) in table {
        let (said, words) = told(request).await;
        assert!(said == status && words.contains(part), "{part}: {said} {words}");
    }
    let history = receiver.history();
    assert!(history.partial && history.remarks[0].what.starts_with(&format!("{many} exports were refused")));
}

#[tokio::test]
async fn senders_are_sent_away_for_a_moment_when_too_many_come_at_once() {
    let receiver = open(|options| options.limits.at_once = 0).await;
    let busy = post(&receiver, "/v1/traces", "application/x-protobuf", TRACES).send().await.expect("an answer");
    assert_eq!((busy.status(), busy.headers()["retry-after"].as_bytes()), (StatusCode::SERVICE_UNAVAILABLE, &b"1"[..]));
    let refused = call(&mut channel(&receiver).await, grpc::TRACES, Traces::default()).await.expect_err("busy");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let details = Details::decode(refused.details()).expect("details");
    assert_eq!(details.details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");
    assert_eq!(receiver.exports(), 0);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let receiver = open(|options| options.limits.within = Span::from_millis(100)).await;
    let mut stream = TcpStream::connect(receiver.addresses()[0]).await.expect("a connection");
    let head = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 10\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 408");
}

#[tokio::test]
async fn who_shows_no_token_is_refused_where_one_is_needed() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, "0123456789abcdef\n").expect("written");
    let receiver = open(|options| options.token = Some(file.clone())).await;
    let with = |token: &str| {
        post(&receiver, "/v1/traces", "application/x-protobuf", TRACES)
            .header("authorization", format!("Bearer {token}"))
    };
    assert_eq!(told(post(&receiver, "/v1/traces", "application/x-protobuf", TRACES)).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(told(with("0123456789abcdeg")).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(told(with("0123456789abcdef")).await.0, StatusCode::OK);
    let refused = call(&mut channel(&receiver).await, grpc::TRACES, Traces::default()).await.expect_err("no token");
    assert_eq!(refused.code(), Code::Unauthenticated);
    std::fs::write(&file, "short").expect("written");
    for (addresses, token, part) in [
        (vec![SocketAddr::from(([0, 0, 0, 0], 0))], None, "`--listen-token FILE`"),
        (receiver.addresses().to_vec(), None, "cannot be listened on"),
        (Vec::new(), Some(file.clone()), "holds no token of at least 16 characters"),
        (Vec::new(), Some(folder.path().join("none")), "cannot be read"),
    ] {
        let options = Options { token, ..Options::new(addresses) };
        let said = Receiver::open(&options).await.expect_err(part).to_string();
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn what_is_older_than_two_spans_goes() {
    let mut otlp = Otlp::new(pushed::Options::default()).expect("options");
    let traces = Traces::decode(TRACES).expect("an export");
    let counts = (0..4).map(|_| {
        otlp.traces(&traces);
        let now = requests(&otlp.clone().into_recorder().finish("x".into()));
        otlp.turn(At(0));
        now
    });
    assert_eq!(counts.collect::<Vec<_>>(), [3, 6, 6, 6]);
}
