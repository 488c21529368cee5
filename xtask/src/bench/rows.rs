//! A bench's rows: printed as a table, written as JSON.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::env;

/// One figure of ours beside the peers'.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) metric: String,
    pub(super) unit: &'static str,
    /// The goal, a bound from above; without one the row is for information.
    pub(super) goal: Option<f64>,
    pub(super) ours: Samples,
    pub(super) peers: Vec<(String, Samples)>,
    /// Goals as shares of peers' figures.
    pub(super) bounds: Vec<Bound>,
    /// Arms whose requests failed, and how many: their figures are worth nothing.
    pub(super) failed: Vec<(String, f64)>,
}

/// The most that ours may be of a peer's figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bound {
    /// How the peer's name begins.
    pub(super) peer: &'static str,
    pub(super) most: f64,
    /// What would be better still.
    pub(super) stretch: Option<f64>,
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

    /// Ours to a peer's, round by round: what slows a whole round down slows both.
    fn over(&self, peer: &Self) -> Self {
        Self(self.0.iter().zip(&peer.0).map(|(ours, theirs)| ours / theirs).collect())
    }

    pub(super) fn range(&self) -> (f64, f64) {
        (self.0.iter().copied().fold(f64::INFINITY, f64::min), self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    }
}

impl Row {
    pub(super) fn met(&self) -> Option<bool> {
        let compared = self.peers.iter().filter_map(|(name, samples)| {
            let bound = self.bound_to(name)?;
            Some(self.ours.over(samples).median() <= bound.most)
        });
        let all: Vec<bool> = self.goal.iter().map(|goal| self.ours.median() <= *goal).chain(compared).collect();
        if all.is_empty() { None } else { Some(all.iter().all(|met| *met) && self.failed.is_empty()) }
    }

    fn bound_to(&self, peer: &str) -> Option<&Bound> {
        self.bounds.iter().find(|bound| peer.starts_with(bound.peer))
    }

    /// The strictest of the goals, in the row's unit.
    fn least_goal(&self) -> Option<f64> {
        let bounds = self.peers.iter().filter_map(|(name, samples)| Some(self.bound_to(name)?.most * samples.median()));
        self.goal.into_iter().chain(bounds).min_by(f64::total_cmp)
    }

    fn json(&self) -> Value {
        let peers: Map<String, Value> =
            self.peers.iter().map(|(name, samples)| (name.clone(), rounded(samples.median()))).collect();
        let ratios: Map<String, Value> =
            self.peers.iter().map(|(name, samples)| (name.clone(), self.ratio_json(name, samples))).collect();
        let failed: Map<String, Value> = self.failed.iter().map(|(name, count)| (name.clone(), json!(count))).collect();
        let (least, most) = self.ours.range();
        let goal = self.least_goal();
        json!({
            "metric": self.metric,
            "value": rounded(self.ours.median()),
            "unit": self.unit,
            "op": goal.map(|_| "<="),
            "goal": goal.map(rounded),
            "met": self.met(),
            "peers": peers,
            "ratios": ratios,
            "failed": failed,
            "spread": [rounded(least), rounded(most)],
        })
    }

    fn ratio_json(&self, name: &str, samples: &Samples) -> Value {
        let ratio = self.ours.over(samples);
        let (least, most) = ratio.range();
        let bound = self.bound_to(name);
        json!({
            "value": rounded(ratio.median()),
            "spread": [rounded(least), rounded(most)],
            "goal": bound.map(|bound| bound.most),
            "met": bound.map(|bound| ratio.median() <= bound.most && self.failed.is_empty()),
        })
    }

    /// `ratio 0.79 (0.78 .. 0.81), goal <= 0.80: met`.
    fn against(&self, name: &str, samples: &Samples) -> String {
        let ratio = self.ours.over(samples);
        let (middle, (least, most)) = (ratio.median(), ratio.range());
        let text = format!("ratio {middle:.3} ({least:.3} .. {most:.3})");
        let Some(bound) = self.bound_to(name) else { return text };
        let met = if middle <= bound.most && self.failed.is_empty() { "met" } else { "MISSED" };
        let stretch = bound.stretch.map_or_else(String::new, |stretch| {
            format!(" (stretch {stretch:.2}: {})", if middle <= stretch { "met" } else { "not yet" })
        });
        format!("{text}, goal <= {:.2}: {met}{stretch}", bound.most)
    }

    pub(super) fn print(&self) {
        let verdict = match (self.goal, self.met()) {
            (Some(goal), Some(met)) => format!("goal <= {goal:.3}: {}", if met { "met" } else { "MISSED" }),
            _ => String::new(),
        };
        println!("\n{} [{}]  {verdict}", self.metric, self.unit);
        let ours = ("ambidex".to_owned(), self.ours.clone());
        for (name, samples) in std::iter::once(&ours).chain(&self.peers) {
            let (least, most) = samples.range();
            let ratio =
                if self.bounds.is_empty() || name == "ambidex" { String::new() } else { self.against(name, samples) };
            println!("  {name:<34} {:>12.3}   ({least:.3} .. {most:.3})   {ratio}", samples.median());
        }
        for (name, count) in &self.failed {
            println!("  FAILED: {count} requests of {name}; the row says nothing");
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
            ..Row::default()
        };
        let json = row.json();
        assert_eq!((&json["met"], &json["op"], &json["peers"]["other"]), (&json!(true), &json!("<="), &json!(3.5)));
    }

    fn compared() -> Row {
        Row {
            metric: "cpu".into(),
            ours: Samples(vec![8.0, 16.0, 9.0]),
            peers: vec![
                ("haproxy roundrobin".into(), Samples(vec![10.0, 20.0, 10.0])),
                ("envoy".into(), Samples(vec![16.0, 32.0, 17.0])),
            ],
            bounds: vec![
                Bound { peer: "haproxy", most: 0.8, stretch: Some(0.75) },
                Bound { peer: "envoy", most: 0.4, stretch: None },
            ],
            ..Row::default()
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round_and_each_is_held_against_its_own_goal() {
        let row = compared();
        let (haproxy, envoy) = (&row.json()["ratios"]["haproxy roundrobin"], &row.json()["ratios"]["envoy"]);
        assert_eq!((&haproxy["value"], &haproxy["met"]), (&json!(0.8), &json!(true)));
        assert_eq!(haproxy["spread"], json!([0.8, 0.9]));
        assert_eq!((&envoy["value"], &envoy["met"]), (&json!(0.5), &json!(false)));
        assert_eq!(row.met(), Some(false), "one goal of two is missed");
        let line = row.against("haproxy roundrobin", &row.peers[0].1);
        assert_eq!(line, "ratio 0.800 (0.800 .. 0.900), goal <= 0.80: met (stretch 0.75: not yet)");
    }

    #[test]
    fn a_row_with_failures_meets_no_goal() {
        let mut row = compared();
        row.bounds.pop();
        assert_eq!(row.met(), Some(true));
        row.failed.push(("haproxy roundrobin".into(), 1.0));
        assert_eq!(row.met(), Some(false));
    }

    #[test]
    fn a_peer_that_did_not_run_leaves_no_verdict() {
        let row = Row { peers: Vec::new(), ..compared() };
        assert_eq!((row.met(), row.least_goal()), (None, None));
    }
}
