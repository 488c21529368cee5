//! OpenTelemetry's own SDK, in Python: its exporters by gRPC and by HTTP send to our receiver.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use ambidex_insight::history::{History, Metric};
use ambidex_insight::sources::receive::{Options, Receiver};

use crate::process::{Process, poll};

#[tokio::test]
async fn what_an_sdk_tells_by_grpc_and_by_http_is_received() {
    let options = Options { window: 5, ..Options::new(vec![SocketAddr::from(([127, 0, 0, 1], 0))]) };
    let receiver = Receiver::open(&options).await.expect("a free port");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("python3");
    command.arg(here.join("tests/peers/otel_shop.py")).arg(receiver.addresses()[0].to_string());
    command.env("PYTHONPATH", here.join("../../target/peers/opentelemetry"));
    let mut sdk = Process::start(command, tempfile::tempdir().expect("a folder"));
    let mut last = String::new();
    let came = poll(async || {
        let history = receiver.history();
        last = format!("{:?} {:?}", history.nodes, history.remarks);
        sdk.has_ended() || is_told(&history)
    })
    .await;
    assert!(came && !sdk.has_ended(), "{last}\n{}", sdk.words());
}

fn is_told(history: &History) -> bool {
    let node = |name: &str| history.nodes.iter().position(|node| node.name == name);
    let (Some(a), Some(b)) = (node("a"), node("b")) else { return false };
    // The last window may not be over.
    let rate = |node: usize| {
        let series = history.series.get(&Metric::Requests)?.get(node)?;
        let rates: Vec<f32> =
            series.windows().filter_map(|window| series.at(window)).map(|figure| figure.mean).collect();
        rates.len().checked_sub(2).map(|at| rates[at])
    };
    let spans = |node: usize| {
        let cells = history.traffic.blocks.values().flat_map(|block| &block.cells);
        let of = cells.filter(|((_, at), _)| *at as usize == node).map(|(_, cell)| *cell);
        of.fold((0, 0.0), |(requests, busy), cell| (requests + cell.requests, busy + cell.busy))
    };
    let mean = |(requests, busy): (u64, f64)| busy / requests.max(1) as f64;
    let tenants = history.traffic.attributes.iter().any(|name| name == "tenant");
    let active = history.series.get(&Metric::InFlight).is_some_and(|all| !all[a].is_empty() && !all[b].is_empty());
    rate(a).zip(rate(b)).is_some_and(|(a, b)| b > 0.0 && (2.5..6.5).contains(&(a / b)))
        && (mean(spans(a)) - 0.2).abs() < 0.01
        && (mean(spans(b)) - 0.05).abs() < 0.01
        && tenants
        && active
        && history.nodes[a].peers.service.as_deref() == Some("shop")
        && history.remarks.iter().any(|remark| remark.what.contains("both metrics and spans tell"))
}
