//! What OpenTelemetry tells, read from begin to end.

mod frames;
mod metrics;
mod spans;
mod wrong;

use ambidex_insight::history::{History, Metric};
use ambidex_insight::sources::otlp::{OtlpError, read_from};
use ambidex_insight::sources::pushed::Options;
use serde_json::{Value, json};

/// 2026-11-22T10:00:00Z, in seconds.
const BEGIN: u64 = 1_795_341_600;

fn read(file: impl AsRef<[u8]>, options: &Options) -> Result<History, OtlpError> {
    read_from("t.json", file.as_ref(), options, &mut |_| {})
}

#[track_caller]
fn history(lines: &[Value]) -> History {
    read(text(lines), &Options::default()).expect("exports")
}

fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Attributes as OTLP has them.
fn attributes(pairs: &[(&str, &str)]) -> Value {
    pairs.iter().map(|(key, value)| json!({"key": key, "value": {"stringValue": value}})).collect()
}

/// Nanoseconds of so many seconds after the begin, as JSON has them.
fn nanos(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a test's own times")]
    (BEGIN * 1_000_000_000 + (seconds * 1e9) as u64).to_string()
}

/// An instance of the shop.
fn shop(instance: &str) -> Value {
    json!({"attributes": attributes(&[("service.name", "shop"), ("service.instance.id", instance)])})
}

fn spans(resource: &Value, spans: &[Value]) -> Value {
    json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": {"name": "x"}, "spans": spans}]}]})
}

fn metrics_of(resource: &Value, metrics: &[Value]) -> Value {
    json!({"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": metrics}]}]})
}

fn node(history: &History, name: &str) -> usize {
    history.nodes.iter().position(|node| node.name == name).unwrap_or_else(|| panic!("{name}: {:?}", history.nodes))
}

/// The mean of a metric of a node in the window that holds a moment.
fn mean(history: &History, metric: &Metric, name: &str, seconds: u64) -> Option<f32> {
    let window = i64::try_from(BEGIN + seconds).expect("a time") / i64::from(history.step);
    history.figure(metric, node(history, name), window).map(|figure| figure.mean)
}

#[track_caller]
fn assert_mean(history: &History, metric: &Metric, name: &str, seconds: u64, expected: f32) {
    let mean = mean(history, metric, name, seconds);
    assert!(
        mean.is_some_and(|mean| (mean - expected).abs() <= 1e-4 * expected.abs().max(1.0)),
        "{metric} of {name}: {mean:?}, not {expected}; {:?}",
        history.remarks
    );
}

/// How often a remark that holds `part` was made.
fn said(history: &History, part: &str) -> u64 {
    history.remarks.iter().filter(|remark| remark.what.contains(part)).map(|remark| remark.times).sum()
}

/// Requests, failures and seconds of a route on a node.
fn cell(history: &History, name: &str, route: &str) -> (u64, u64, f64) {
    let Some(route) = history.traffic.routes.iter().position(|known| known == route) else {
        panic!("{route}: {:?}", history.traffic.routes)
    };
    let at = (u32::try_from(route).expect("few"), u32::try_from(node(history, name)).expect("few"));
    let cells = history.traffic.blocks.values().filter_map(|block| block.cells.get(&at));
    cells.fold((0, 0, 0.0), |sum, cell| (sum.0 + cell.requests, sum.1 + cell.failed, sum.2 + cell.busy))
}
