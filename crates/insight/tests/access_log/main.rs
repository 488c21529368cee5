//! Access logs as products write them, read from begin to end.

mod callers;
mod formats;
mod wrong;

use std::collections::BTreeMap;

use ambidex_insight::history::{History, Metric};
use ambidex_insight::sources::access_log::{AccessLogError, Options, read_from};

/// Reads a log.
fn read(log: impl AsRef<[u8]>, options: &Options) -> Result<History, AccessLogError> {
    read_from("test.log", log.as_ref(), options, &mut |_| {})
}

/// Reads a log that is told by its first lines.
#[track_caller]
fn history(log: impl AsRef<[u8]>) -> History {
    read(log, &Options::default()).expect("a log")
}

/// Options with a format.
fn of_format(format: &str) -> Options {
    Options { format: Some(format.parse().expect("a format")), ..Options::default() }
}

/// Requests, failures and seconds of each route on each node.
fn cells(history: &History) -> BTreeMap<(String, String), (u64, u64, f64)> {
    let mut cells = BTreeMap::new();
    for ((route, node), cell) in history.traffic.blocks.values().flat_map(|block| &block.cells) {
        let key = (history.nodes[*node as usize].name.clone(), history.traffic.routes[*route as usize].clone());
        let sum: &mut (u64, u64, f64) = cells.entry(key).or_default();
        *sum = (sum.0 + cell.requests, sum.1 + cell.failed, sum.2 + cell.busy);
    }
    cells
}

/// The values of an attribute on all nodes, with their weights in whole microseconds or requests.
fn values(history: &History, attribute: &str) -> BTreeMap<String, u64> {
    let Some(number) = history.traffic.attributes.iter().position(|name| name == attribute) else {
        return BTreeMap::new();
    };
    let mut sums: BTreeMap<String, f64> = BTreeMap::new();
    let of = history.traffic.blocks.values().flat_map(|block| &block.values);
    for (_, heavy) in of.filter(|((name, _), _)| *name as usize == number) {
        for (value, weight, _) in heavy.values() {
            *sums.entry(value.to_owned()).or_default() += weight;
        }
    }
    let scale = if history.series.contains_key(&Metric::Busy) { 1e6 } else { 1.0 };
    sums.into_iter()
        .map(|(value, sum)| (value, format!("{:.0}", sum * scale).parse().expect("a whole number")))
        .collect()
}

fn names(history: &History) -> Vec<&str> {
    history.nodes.iter().map(|node| node.name.as_str()).collect()
}

/// How often a remark that holds `part` was made.
fn said(history: &History, part: &str) -> u64 {
    history.remarks.iter().filter(|remark| remark.what.contains(part)).map(|remark| remark.times).sum()
}

#[track_caller]
fn assert_cell(history: &History, node: &str, route: &str, requests: u64, failed: u64, busy: f64) {
    let cells = cells(history);
    let cell =
        cells.get(&(node.to_owned(), route.to_owned())).unwrap_or_else(|| panic!("no {node} {route} in {cells:?}"));
    assert_eq!((cell.0, cell.1), (requests, failed), "{node} {route}");
    assert!((cell.2 - busy).abs() < 1e-9, "{node} {route}: {} s, not {busy}", cell.2);
}
