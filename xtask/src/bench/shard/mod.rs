//! `bench shard`: what a move of a slice costs those who write, and how fast it goes, beside a reshard of a Redis Cluster of the machine's
//! version, with the same writers and the same judge.
//!
//! ```text
//! writers ──> gateway with coordinator ──> agent a ──> worker in memory        writers ──> node 1
//!                                     \──> agent b ──> worker in memory               \──> node 2
//!             `move` of the one slice, a to b                            `redis-cli --cluster reshard` of all slots, 1 to 2
//! ```
//! - **pause**: 100,000 keys of 1,000 bytes, 5,000 writes a second, 3,200 of them to 64 probe keys with a connection each. One write of each
//!   probe key in each millisecond would be 64,000 a second, more than two cores can send; so each is written every 20 ms, and the longest
//!   time in which none of them was answered stands beside.
//! - **speed**: 100,000 keys of 100 bytes, and nobody writes.
//! - **throughput**: as pause, with 70 % of what came through before; what comes through while the slice moves.
//!
//! All writes of all runs are judged: an acknowledged write that is lost, doubled or reordered makes the bench fail.

mod cluster;
mod http;
mod load;
mod ours;
mod resp;

use std::path::PathBuf;
use std::sync::Arc;

use ambidex_lab::{Clock, Span, rest};
use anyhow::{Result, bail};

use self::cluster::Cluster;
use self::load::{Judged, Rate, Seen, Size, Target, Writers, fill};
use self::ours::Ours;
use super::rows::{Row, Samples, publish};
use super::{Extent, built};
use crate::run;

/// What is run.
pub(super) struct Programs {
    ambidex: PathBuf,
    worker: PathBuf,
}

/// How much of everything.
#[derive(Clone, Copy)]
struct Scale {
    keys: u32,
    writes: f64,
    probes: u32,
    /// Between two writes of a probe, in milliseconds.
    every_ms: u64,
    /// Before and after a move.
    around: Span,
}

/// Source: shards.md "Goals".
const WHOLE: Scale = Scale { keys: 100_000, writes: 5_000.0, probes: 64, every_ms: 20, around: Span::from_secs(3) };
/// `--only small`: whether the bench itself works, with programs that are not optimized; nothing is written down of it.
const SMALL: Scale = Scale { keys: 5_000, writes: 400.0, probes: 16, every_ms: 80, around: Span::from_secs(2) };
/// Bytes of values that are written meanwhile, and of those whose speed is measured.
const VALUE: usize = 1_000;
const SHORT: usize = 100;
/// Of what comes through, while slices move. Source: shards.md "Goals".
const LOAD: f64 = 0.7;
/// Connections of the other writers.
const LINES: u32 = 64;

/// One of the two.
enum Arm {
    Ours(Ours),
    Redis(Cluster),
}

impl Arm {
    fn target(&self) -> Target {
        match self {
            Self::Ours(ours) => Target::Gateway(ours.listener),
            Self::Redis(cluster) => Target::Cluster(Arc::new(resp::Slots::of(cluster.nodes))),
        }
    }

    fn move_all(&mut self, clock: Clock) -> Result<(u64, u64)> {
        match self {
            Self::Ours(ours) => ours.move_all(clock),
            Self::Redis(cluster) => cluster.move_all(clock),
        }
    }
}

/// What a run with writers saw.
struct Run {
    seen: Seen,
    before: (u64, u64),
    moved: (u64, u64),
    judged: Judged,
}

/// Figures of one arm, by metric, one for each round.
#[derive(Default)]
struct Figures(Vec<(&'static str, Vec<f64>)>);

impl Figures {
    fn add(&mut self, metric: &'static str, figure: f64) {
        match self.0.iter_mut().find(|(known, _)| *known == metric) {
            Some((_, figures)) => figures.push(figure),
            None => self.0.push((metric, vec![figure])),
        }
    }

    fn of(&self, metric: &str) -> Samples {
        Samples(self.0.iter().find(|(known, _)| *known == metric).map_or_else(Vec::new, |(_, figures)| figures.clone()))
    }
}

pub(super) fn run(extent: &Extent) -> Result<()> {
    let is_small = extent.only.as_deref() == Some("small");
    let (scale, profile) = if is_small { (SMALL, "dev") } else { (WHOLE, extent.profile.as_str()) };
    let scale = Scale { around: extent.measured.map_or(scale.around, Span::from_secs), ..scale };
    let worker = ["--package", "ambidex-worker", "--example", "memory_worker"];
    let packages = [&["--package", "ambidex", "--bin", "ambidex"], &worker[..]].concat();
    run::run(&[&["cargo", "build", "--quiet", "--profile", profile], &packages[..]].concat())?;
    let programs =
        Programs { ambidex: built(profile).join("ambidex"), worker: built(profile).join("examples/memory_worker") };
    let peer = cluster::version().filter(|_| extent.peers != "none");
    let (mut ours, mut redis) = (Figures::default(), Figures::default());
    for round in 0..extent.repeats {
        for part in PARTS {
            if !is_small && !extent.covers(part.name) {
                continue;
            }
            println!("round {} of {}: {}", round + 1, extent.repeats, part.name);
            (part.run)(&mut Arm::Ours(Ours::start(&programs)?), scale, &mut ours)?;
            if peer.is_some() {
                (part.run)(&mut Arm::Redis(Cluster::start()?), scale, &mut redis)?;
            }
        }
    }
    let rows = rows(&ours, peer.map(|version| (format!("redis-cli reshard {version}"), redis)));
    markdown(&rows);
    if is_small {
        rows.iter().for_each(Row::print);
    } else {
        publish("shard", &rows)?;
    }
    let broken: f64 = BROKEN.iter().flat_map(|metric| ours.of(metric).0).sum();
    if broken > 0.0 { bail!("{broken} acknowledged writes were lost, doubled or reordered") } else { Ok(()) }
}

/// One part of the bench.
struct Part {
    name: &'static str,
    run: fn(&mut Arm, Scale, &mut Figures) -> Result<()>,
}

const PARTS: [Part; 3] = [
    Part { name: "pause", run: pause },
    Part { name: "speed", run: speed },
    Part { name: "throughput", run: throughput },
];

fn pause(arm: &mut Arm, scale: Scale, figures: &mut Figures) -> Result<()> {
    let size = Size { keys: scale.keys, value: VALUE };
    fill(&arm.target(), size)?;
    let of_probes = 1_000.0 * f64::from(scale.probes) / scale.every_ms as f64;
    let rate = Rate {
        probes: scale.probes,
        every: scale.every_ms * 1_000_000,
        lines: LINES,
        writes: Some((scale.writes - of_probes).max(1.0)),
    };
    let run = with_writers(arm, size, rate, scale)?;
    let at = |percent: usize, sorted: &[f64]| sorted[(sorted.len() - 1) * percent / 100];
    let (pauses, usual) = (run.seen.pauses(run.moved)?, run.seen.pauses(run.before)?);
    figures.add(PAUSE_P50, at(50, &pauses));
    figures.add(PAUSE_P99, at(99, &pauses));
    figures.add(PAUSE_MOST, at(100, &pauses));
    figures.add(USUAL_P50, at(50, &usual));
    figures.add(USUAL_MOST, at(100, &usual));
    figures.add(SILENCE, run.seen.silence(run.moved)?);
    let (failed, example) = run.seen.failed();
    if let Some(example) = example {
        println!("  a write that failed: {example}");
    }
    figures.add(FAILED, failed as f64);
    judge(figures, run.judged);
    Ok(())
}

fn speed(arm: &mut Arm, scale: Scale, figures: &mut Figures) -> Result<()> {
    fill(&arm.target(), Size { keys: scale.keys, value: SHORT })?;
    let (began, over) = arm.move_all(Clock::starting_now())?;
    figures.add(SECONDS, (over - began) as f64 / 1e9 * 100_000.0 / f64::from(scale.keys));
    Ok(())
}

fn throughput(arm: &mut Arm, scale: Scale, figures: &mut Figures) -> Result<()> {
    let size = Size { keys: scale.keys, value: VALUE };
    fill(&arm.target(), size)?;
    let all = Rate { probes: 0, every: 1, lines: LINES, writes: None };
    let clock = Clock::starting_now();
    let writers = Writers::start(&arm.target(), size, all, clock)?;
    rest(scale.around);
    let most = writers.end()?.per_second((0, clock.now().as_nanos()));
    let run = with_writers(arm, size, Rate { writes: Some(LOAD * most), ..all }, scale)?;
    figures.add(OFFERED, LOAD * most);
    figures.add(MISSING, (1.0 - run.seen.per_second(run.moved) / run.seen.per_second(run.before)).max(0.0));
    judge(figures, run.judged);
    Ok(())
}

/// A move under writers.
fn with_writers(arm: &mut Arm, size: Size, rate: Rate, scale: Scale) -> Result<Run> {
    let (clock, target) = (Clock::starting_now(), arm.target());
    let writers = Writers::start(&target, size, rate, clock)?;
    // Connections are made, and caches are warm.
    rest(scale.around);
    let began = clock.now().as_nanos();
    rest(scale.around);
    let before = (began, clock.now().as_nanos());
    let moved = arm.move_all(clock)?;
    rest(scale.around);
    let seen = writers.end()?;
    let judged = seen.judged(&target)?;
    println!("  moved in {:.3} s", (moved.1 - moved.0) as f64 / 1e9);
    Ok(Run { seen, before, moved, judged })
}

fn judge(figures: &mut Figures, judged: Judged) {
    for (metric, count) in BROKEN.into_iter().zip([judged.lost, judged.doubled, judged.reordered]) {
        figures.add(metric, count as f64);
    }
}

fn rows(ours: &Figures, peer: Option<(String, Figures)>) -> Vec<Row> {
    let row = |(metric, unit, goal): (&'static str, &'static str, Option<f64>)| Row {
        metric: metric.to_owned(),
        unit,
        goal,
        ours: ours.of(metric),
        peers: peer.iter().map(|(name, figures)| (name.clone(), figures.of(metric))).collect(),
        ..Row::default()
    };
    METRICS.into_iter().map(row).filter(|row| !row.ours.0.is_empty()).collect()
}

/// For docs: a line for each row.
fn markdown(rows: &[Row]) {
    let peer = rows.iter().find_map(|row| row.peers.first()).map_or("", |(name, _)| name);
    println!("\n| metric | goal | ambidex | {peer} |\n|---|---|---|---|");
    for row in rows {
        let shown = |samples: &Samples| {
            let (least, most) = samples.range();
            if samples.0.is_empty() {
                String::new()
            } else {
                format!("{:.3} ({least:.3} to {most:.3})", samples.median())
            }
        };
        let goal = row.goal.map_or_else(String::new, |goal| format!("<= {goal}"));
        let peer = row.peers.first().map_or_else(String::new, |(_, samples)| shown(samples));
        println!("| {} [{}] | {goal} | {} | {peer} |", row.metric, row.unit, shown(&row.ours));
    }
}

const PAUSE_P50: &str = "longest write of a probe key while its slice moves, p50 of keys";
const PAUSE_P99: &str = "the same, p99 of keys";
const PAUSE_MOST: &str = "the same, longest of all";
const SILENCE: &str = "longest time in which no probe key was answered";
const USUAL_P50: &str = "longest write of a probe key before the move, p50 of keys";
const USUAL_MOST: &str = "the same, longest of all before the move";
const FAILED: &str = "writes that failed";
const SECONDS: &str = "time to move 100,000 keys of 100 bytes";
const OFFERED: &str = "offered while a slice moves: 70 % of what comes through";
const MISSING: &str = "share of it that did not come through while the slice moved";
const BROKEN: [&str; 3] = ["acknowledged writes lost", "acknowledged writes doubled", "acknowledged writes reordered"];

/// Name, unit and goal. Source: shards.md "Goals"; 100,000 keys a second are one second.
const METRICS: [(&str, &str, Option<f64>); 13] = [
    (PAUSE_P50, "ms", Some(5.0)),
    (PAUSE_P99, "ms", Some(25.0)),
    (PAUSE_MOST, "ms", Some(100.0)),
    (SILENCE, "ms", None),
    (USUAL_P50, "ms", None),
    (USUAL_MOST, "ms", None),
    (FAILED, "", Some(0.0)),
    (SECONDS, "s", Some(1.0)),
    (OFFERED, "1/s", None),
    (MISSING, "share", Some(0.1)),
    (BROKEN[0], "", Some(0.0)),
    (BROKEN[1], "", Some(0.0)),
    (BROKEN[2], "", Some(0.0)),
];
