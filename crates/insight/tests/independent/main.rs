//! The measures against an independent implementation, on numbers drawn at random: scipy and pymannkendall, from PyPI.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ambidex_core::draw::Draw;
use ambidex_insight::analysis::attributes::{Excess, Value as Attribute};
use ambidex_insight::analysis::cells::{Affinity, Table};
use ambidex_insight::analysis::chance::{believed, quantile, two_sided};
use ambidex_insight::analysis::ranks::spearman;
use ambidex_insight::analysis::robust::Middle;
use ambidex_insight::analysis::trend::{Point, Trend};
use serde_json::{Value, json};

/// The other implementation, in a process that answers a line with a line.
struct Peer {
    child: Child,
    ask: ChildStdin,
    told: BufReader<ChildStdout>,
}

impl Peer {
    fn start() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new("python3")
            .arg(here.join("tests/independent/peer.py"))
            .env("PYTHONPATH", here.join("../../target/peers/statistics"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let ask = child.stdin.take().expect("piped");
        let told = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, ask, told }
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.ask, "{question}").expect("python3 reads");
        let mut line = String::new();
        self.told.read_line(&mut line).expect("python3 answers");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in `{line}`, asked for {question}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[track_caller]
fn near(ours: f64, theirs: &Value, what: &str) {
    let theirs = theirs.as_f64().unwrap_or_else(|| panic!("{what}: {theirs}"));
    assert!((ours - theirs).abs() <= 1e-9 + 1e-7 * theirs.abs(), "{what}: {ours} for {theirs}");
}

fn values(draw: &mut Draw, count: usize) -> Vec<f64> {
    (0..count).map(|_| draw.unit() * 100.0).collect()
}

/// Whole numbers, of which many are alike.
fn coarse(draw: &mut Draw, count: usize) -> Vec<f64> {
    (0..count).map(|_| draw.below(6) as f64).collect()
}

#[test]
fn trends_are_those_of_theil_sen_and_mann_kendall() {
    let (mut peer, mut draw) = (Peer::start(), Draw::seeded(1));
    for round in 0..60 {
        let count = 8 + draw.below(60);
        let mut points = if round % 2 == 0 { values(&mut draw, count) } else { coarse(&mut draw, count) };
        let slope = draw.unit() - 0.5;
        points
            .iter_mut()
            .zip(0..)
            .for_each(|(value, at)| *value += if round % 3 == 0 { slope * f64::from(at) } else { 0.0 });
        let hours: Vec<f64> = (0..count).map(|at| at as f64 * 0.25).collect();
        let theirs = peer.ask(&json!({"kind": "trend", "hours": hours, "values": points}));
        let line = hours.iter().zip(&points).map(|(hours, value)| Point { hours: *hours, value: *value });
        let ours = Trend::of(&line.collect::<Vec<_>>()).expect("points");
        near(ours.slope, &theirs["slope"], "slope");
        near(ours.bounds.0, &theirs["low"], "low");
        near(ours.bounds.1, &theirs["high"], "high");
        near(ours.s, &theirs["s"], "s");
        near(ours.tau, &theirs["tau"], "tau");
        near(ours.chance, &theirs["chance"], "chance");
    }
}

#[test]
fn ranks_are_those_of_spearman() {
    let (mut peer, mut draw) = (Peer::start(), Draw::seeded(2));
    for _ in 0..40 {
        let count = 8 + draw.below(90);
        let (one, other) = (coarse(&mut draw, count), values(&mut draw, count));
        let theirs = peer.ask(&json!({"kind": "spearman", "one": one, "other": other}));
        let known = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        if let Some(ours) = spearman(&known(&one), &known(&other)) {
            near(ours.rho, &theirs["rho"], "rho");
        } else {
            assert!(one.iter().all(|value| value.total_cmp(&one[0]).is_eq()), "nothing varies: {one:?}");
        }
    }
}

#[test]
fn tables_are_split_as_by_the_likelihood_ratio() {
    let (mut peer, mut draw) = (Peer::start(), Draw::seeded(3));
    for _ in 0..40 {
        let (routes, nodes) = (2 + draw.below(5), 2 + draw.below(8));
        let counts: Vec<Vec<f64>> =
            (0..routes).map(|_| (0..nodes).map(|_| 1.0 + draw.below(900) as f64).collect()).collect();
        let capacity: Vec<f64> = (0..nodes).map(|_| 1.0 + draw.below(8) as f64).collect();
        let theirs = peer.ask(&json!({"kind": "table", "counts": counts, "capacity": capacity}));
        let ours = Affinity::of(&Table { counts, capacity, over_dispersion: 1.0 }).expect("a table");
        near(ours.interaction, &theirs["interaction"], "interaction");
        near(ours.nodes, &theirs["nodes"], "nodes");
        let residuals = theirs["residuals"].as_array().expect("a list");
        ours.cells.iter().zip(residuals).for_each(|(cell, theirs)| near(cell.residual, theirs, "residual"));
    }
}

#[test]
fn many_tests_are_believed_as_by_benjamini_and_hochberg() {
    let (mut peer, mut draw) = (Peer::start(), Draw::seeded(4));
    for _ in 0..40 {
        let count = 1 + draw.below(40);
        let chances: Vec<f64> = (0..count).map(|_| draw.unit().powi(3)).collect();
        let theirs = peer.ask(&json!({"kind": "believed", "chances": chances}));
        let adjusted = theirs["adjusted"].as_array().expect("a list");
        for (ours, theirs) in believed(&chances, 0.05).into_iter().zip(adjusted) {
            assert_eq!(ours, theirs.as_f64().expect("a chance") <= 0.05, "{chances:?}");
        }
    }
}

#[test]
fn middles_divergences_and_the_normal_law() {
    let (mut peer, mut draw) = (Peer::start(), Draw::seeded(5));
    for _ in 0..40 {
        let count = 5 + draw.below(40);
        let some = values(&mut draw, count);
        let theirs = peer.ask(&json!({"kind": "middle", "values": some}));
        let ours = Middle::of(&some).expect("values");
        near(ours.median, &theirs["median"], "median");
        near(ours.deviation, &theirs["deviation"], "deviation");

        let node = values(&mut draw, 6);
        let fleet: Vec<f64> = node.iter().map(|node| node + draw.unit() * 300.0).collect();
        let theirs = peer.ask(&json!({"kind": "divergence", "one": node, "other": fleet}));
        let each = node.iter().zip(&fleet).map(|(node, fleet)| Attribute { node: *node, fleet: *fleet });
        // A fair part of next to nothing: whoever has something has an excess.
        let ours = Excess::of(&each.collect::<Vec<_>>(), 1e-6).expect("an excess");
        near(ours.divergence, &theirs["bits"], "divergence");

        let (chance, z) = (0.5 + draw.unit() * 0.4999, draw.unit() * 6.0);
        let theirs = peer.ask(&json!({"kind": "normal", "chance": chance, "z": z}));
        near(quantile(chance), &theirs["quantile"], "quantile");
        near(two_sided(z), &theirs["two_sided"], "two_sided");
    }
}
