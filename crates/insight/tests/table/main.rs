//! Tables of every form, read from begin to end.

mod csv;
#[cfg(feature = "parquet")]
mod parquet;

use ambidex_insight::history::{History, Metric};
use ambidex_insight::sources::table::Options;

fn names(history: &History) -> Vec<&str> {
    history.nodes.iter().map(|node| node.name.as_str()).collect()
}

/// The mean of a metric of a node in the window that holds a moment.
fn mean(history: &History, metric: &Metric, node: usize, second: i64) -> Option<f32> {
    history.figure(metric, node, second.div_euclid(i64::from(history.step))).map(|figure| figure.mean)
}

#[track_caller]
fn assert_mean(history: &History, metric: &Metric, node: usize, second: i64, expected: f32) {
    let mean = mean(history, metric, node, second);
    assert!(
        mean.is_some_and(|mean| (mean - expected).abs() <= 1e-5 * expected.abs().max(1.0)),
        "{metric}: {mean:?}, not {expected}"
    );
}

/// How often a remark that holds `part` was made.
fn said(history: &History, part: &str) -> u64 {
    history.remarks.iter().filter(|remark| remark.what.contains(part)).map(|remark| remark.times).sum()
}

fn held(roles: &[&str]) -> Options {
    let mut options = Options::default();
    options.columns.roles = roles.iter().map(|text| text.parse().expect("a mapping")).collect();
    options
}

fn mapped(metrics: &[&str]) -> Options {
    let mut options = Options::default();
    options.columns.metrics = metrics.iter().map(|text| text.parse().expect("a mapping")).collect();
    options
}
