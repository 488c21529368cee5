//! A bench's rows: printed as a table, written as JSON.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::env;

/// One figure of ours beside the peers'.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) metric: String,
    pub(super) unit: &'static str,
    /// The goal, a bound from above; without one the row is for information.
    pub(super) goal: Option<f64>,
    pub(super) ours: Samples,
    pub(super) peers: Vec<(String, Samples)>,
}

/// A figure, once for each round.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(pub(super) Vec<f64>);

impl Samples {
    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        }
    }

    fn range(&self) -> (f64, f64) {
        (self.0.iter().copied().fold(f64::INFINITY, f64::min), self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    }
}

impl Row {
    fn met(&self) -> Option<bool> {
        self.goal.map(|goal| self.ours.median() <= goal)
    }

    fn json(&self) -> Value {
        let peers: Map<String, Value> =
            self.peers.iter().map(|(name, samples)| (name.clone(), rounded(samples.median()))).collect();
        let (least, most) = self.ours.range();
        json!({
            "metric": self.metric,
            "value": rounded(self.ours.median()),
            "unit": self.unit,
            "op": self.goal.map(|_| "<="),
            "goal": self.goal.map(rounded),
            "met": self.met(),
            "peers": peers,
            "spread": [rounded(least), rounded(most)],
        })
    }

    fn print(&self) {
        let verdict = match (self.goal, self.met()) {
            (Some(goal), Some(met)) => format!("goal <= {goal:.3}: {}", if met { "met" } else { "MISSED" }),
            _ => String::new(),
        };
        println!("\n{} [{}]  {verdict}", self.metric, self.unit);
        let ours = ("ambidex".to_owned(), self.ours.clone());
        for (name, samples) in std::iter::once(&ours).chain(&self.peers) {
            let (least, most) = samples.range();
            println!("  {name:<34} {:>12.3}   ({least:.3} .. {most:.3})", samples.median());
        }
    }
}

/// Prints the rows and writes them to `target/bench/NAME.json`.
pub(super) fn publish(name: &str, rows: &[Row]) -> Result<()> {
    for row in rows {
        row.print();
    }
    let file = env::workspace().join("target/bench").join(format!("{name}.json"));
    let rows: Vec<Value> = rows.iter().map(Row::json).collect();
    let all = json!({ "machine": machine(), "commit": commit(), "rows": rows });
    fs::create_dir_all(env::workspace().join("target/bench")).context("cannot make target/bench")?;
    fs::write(&file, serde_json::to_string_pretty(&all)?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

fn rounded(value: f64) -> Value {
    if value.is_finite() { json!((value * 1e4).round() / 1e4) } else { Value::Null }
}

fn machine() -> String {
    let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let info = read("/proc/cpuinfo");
    let model =
        info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':')).map_or("", |(_, name)| name);
    format!("{cpus} cores,{model}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}

fn commit() -> String {
    let output = Command::new("git").args(["rev-parse", "HEAD"]).current_dir(env::workspace()).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_met_when_the_median_keeps_the_bound() {
        let row = Row {
            metric: "cpu".into(),
            unit: "us",
            goal: Some(2.0),
            ours: Samples(vec![9.0, 1.0, 2.0]),
            peers: vec![("other".into(), Samples(vec![3.0, 4.0]))],
        };
        let json = row.json();
        assert_eq!((&json["met"], &json["op"], &json["peers"]["other"]), (&json!(true), &json!("<="), &json!(3.5)));
    }
}
