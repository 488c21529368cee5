//! `bench coordinator` [R-C6]: one core, 10,000 workers that send heartbeats twice a second, 1,000 gateways that follow.
//!
//! The coordinator runs on the first core alone, the fleet (`crates/control/examples/fleet`) on the second. Measured are
//! how much of its core the coordinator takes, how soon after its tick each gateway has what moved, which heartbeats were
//! lost, and how much memory it held at most. Then the heartbeats are doubled until the core is full or some are lost: the
//! knee.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use ambidex_lab::peer::{Process, free_port, free_udp_port, get};
use ambidex_lab::{Clock, Span, rest};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::rows::{Row, Samples, publish};
use super::{Extent, built};
use crate::run;

/// How many there are.
#[derive(Clone, Copy, Debug)]
struct Size {
    workers: u32,
    gateways: u32,
}

/// Source: R-C6.
const WHOLE: Size = Size { workers: 10_000, gateways: 1_000 };
/// `--only small`: whether the bench itself works, with programs that are not optimized; nothing is written down of it.
const SMALL: Size = Size { workers: 500, gateways: 20 };
/// Before anything is measured: sessions, first pictures, weights that settle.
const WARM: u64 = 15;
/// More than this of a core, and the next tick waits for this one. Source: ours.
const FULL: f64 = 0.95;
/// Between two ticks of the pool, in milliseconds: a change that comes later than that comes after the next one was due.
const TICK_MS: f64 = 1_000.0;

pub(super) fn run(extent: &Extent) -> Result<()> {
    let is_small = extent.only.as_deref() == Some("small");
    let (size, profile) = if is_small { (SMALL, "dev") } else { (WHOLE, extent.profile.as_str()) };
    let packages = ["--package", "ambidex", "--bin", "ambidex", "--package", "ambidex-control", "--example", "fleet"];
    run::run(&[&["cargo", "build", "--quiet", "--profile", profile], &packages[..]].concat())?;
    let ours = built(profile).join("ambidex");
    let fleet = built(profile).join("examples/fleet");
    let mut rows: Vec<Row> = Vec::new();
    let mut knee = None;
    for doubled in 0..4 {
        let per_second = f64::from(2_u32 << doubled);
        let repeats = if doubled == 0 { extent.repeats } else { 1 };
        let mut seen = Vec::new();
        for _ in 0..repeats {
            seen.push(measure(&ours, &fleet, size, per_second, extent.seconds)?);
        }
        let is_full = seen.iter().any(|seen| seen.is_too_much(size));
        if doubled == 0 {
            rows = rows_of(&seen, size);
        }
        for seen in &seen {
            println!("{:>6.0} heartbeats/s: {seen:?}", per_second * f64::from(size.workers));
        }
        if is_full {
            break;
        }
        knee = Some(per_second * f64::from(size.workers));
    }
    rows.push(Row {
        metric: "heartbeats a second that one core still takes (doubled until full or lost)".to_owned(),
        unit: "1/s",
        ours: Samples(vec![knee.unwrap_or(0.0)]),
        ..Row::default()
    });
    if is_small {
        rows.iter().for_each(Row::print);
        return Ok(());
    }
    publish("coordinator", &rows)
}

/// One run.
#[derive(Debug)]
struct Seen {
    /// Of one core.
    core: f64,
    /// Heartbeats that the fleet sent, and that came to be heard.
    sent: f64,
    heard: f64,
    /// The share of heartbeats that was sent and lost. By what was dropped and given up, not by the difference of the two
    /// above: they are read one after the other, and between them some more are sent.
    lost: f64,
    /// Those that the system dropped before they were read, and those that were given up while ticks took too long.
    dropped: f64,
    overflow: f64,
    /// How far the fleet was behind its own plan at most: then it is the fleet that cannot.
    behind_ms: f64,
    peak_mib: f64,
    /// From the tick to a gateway that has it.
    p50_ms: f64,
    p99_ms: f64,
    /// From the first gateway to the last but one percent.
    spread_ms: f64,
    /// From the tick to the first gateway: deciding and encoding.
    decide_ms: f64,
    /// Workers whose weight moved in a tick.
    moved: f64,
    /// Whole pictures sent while measuring: nobody should have needed one.
    pictures: f64,
}

impl Seen {
    /// Whether the coordinator cannot carry so much: its core is full, heartbeats are lost, or gateways wait for pictures or changes.
    fn is_too_much(&self, size: Size) -> bool {
        self.core > FULL || self.lost > 0.001 || self.pictures < f64::from(size.gateways) || self.p99_ms > TICK_MS
    }
}

fn rows_of(seen: &[Seen], size: Size) -> Vec<Row> {
    let row = |metric: &str, unit, goal, of: fn(&Seen) -> f64| Row {
        metric: metric.to_owned(),
        unit,
        goal,
        ours: Samples(seen.iter().map(of).collect()),
        ..Row::default()
    };
    vec![
        row("share of one core", "", Some(FULL), |seen| seen.core),
        row("heartbeats sent", "", None, |seen| seen.sent),
        row("heartbeats heard", "", None, |seen| seen.heard),
        row("heartbeats lost", "share", Some(0.001), |seen| seen.lost),
        row("heartbeats that the system dropped", "", Some(0.0), |seen| seen.dropped),
        row("heartbeats given up while a tick took too long", "", Some(0.0), |seen| seen.overflow),
        row("the fleet behind its own plan at most", "ms", None, |seen| seen.behind_ms),
        row("memory at most", "MiB", Some(500.0), |seen| seen.peak_mib),
        row("from the tick to the first gateway", "ms", Some(1_000.0), |seen| seen.decide_ms),
        row("from the tick to a gateway, p50", "ms", None, |seen| seen.p50_ms),
        row("from the tick to a gateway, p99", "ms", None, |seen| seen.p99_ms),
        row("from the first gateway to each, p99", "ms", Some(50.0), |seen| seen.spread_ms),
        row("weights that moved in a tick", "workers", None, |seen| seen.moved),
        Row {
            metric: "whole pictures for each gateway".to_owned(),
            ours: Samples(seen.iter().map(|seen| seen.pictures / f64::from(size.gateways)).collect()),
            ..Row::default()
        },
    ]
}

fn measure(ours: &Path, fleet: &Path, size: Size, per_second: f64, seconds: u64) -> Result<Seen> {
    let dir = TempDir::new()?;
    let (admin, gateways, beats) = (free_port()?, free_port()?, free_udp_port()?);
    let (file, key) = (dir.path().join("coordinator.yaml"), dir.path().join("beats.key"));
    std::fs::write(&key, "0123456789abcdef0123456789abcdef0123456789abcdef")?;
    let member = |at: u32| {
        let [_, _, high, low] = at.to_be_bytes();
        format!("{{url: \"http://127.1.{high}.{low}:9000\", name: w-{at}}}")
    };
    let members: Vec<String> = (0..size.workers).map(member).collect();
    let text = format!(
        "pools:\n  api:\n    workers: [{}]\nadmin: {{address: \"{admin}\"}}\ngateways: {{address: \"{gateways}\"}}\n\
         heartbeats: {{listen: \"{beats}\", keys: [{{id: 1, file: beats.key, workers: [\"w-*\"]}}]}}\n",
        members.join(", ")
    );
    std::fs::write(&file, text)?;
    let token = dir.path().join("data/gateways-token");
    let mut command = pinned(0, ours);
    command.arg("coordinator").arg(&file).env("AMBIDEX_DATA", dir.path().join("data"));
    let mut coordinator = Process::start("coordinator", command, dir)?;
    coordinator.wait_until_it_answers(admin, "/healthz")?;
    let mut command = pinned(1, fleet);
    command.arg("--beats-to").arg(beats.to_string()).arg("--key").arg(&key).arg("--token").arg(&token);
    command.arg("--gateways").arg(format!("http://{gateways}")).arg("--workers").arg(size.workers.to_string());
    command.arg("--subscribers").arg(size.gateways.to_string()).arg("--per-second").arg(per_second.to_string());
    command.arg("--seconds").arg(seconds.to_string()).arg("--warm").arg(WARM.to_string());
    let mut load = Process::start("fleet", command, TempDir::new()?)?;
    if !ambidex_lab::poll(Span::from_secs(2 * WARM + 30), || load.stdout().ends_with('\n')) {
        bail!("the fleet does not begin: {}{}", load.stdout(), load.stderr());
    }
    let before = load.stdout();
    let before = before.split_whitespace().last().and_then(|word| word.parse::<f64>().ok());
    let before = before.context("the fleet does not say what it sent")?;
    let came_before = Came::at(admin)?;
    let clock = Clock::starting_now();
    let (cpu, began) = (coordinator.cpu(), clock.now());
    rest(Span::from_secs(seconds));
    let core = (coordinator.cpu() - cpu).as_secs_f64() / clock.now().since(began).as_secs_f64();
    let peak_mib = coordinator.peak_kib() as f64 / 1024.0;
    load.wait_for_end(Span::from_secs(60))?;
    let out = load.stdout();
    let last = out.lines().last().context("the fleet said nothing")?;
    let said: Value = serde_json::from_str(last).with_context(|| format!("{out}{}", load.stderr()))?;
    let number = |at: &str| said.pointer(at).and_then(Value::as_f64).with_context(|| format!("no {at} in {said}"));
    // Nothing came of what nothing is told of.
    let came_after = |at: &str| said.pointer(at).and_then(Value::as_f64).unwrap_or(f64::INFINITY);
    if number("/gateways/ended")? > 0.0 || number("/gateways/subscribed")? < f64::from(size.gateways) {
        bail!("not all gateways followed to the end: {said}\n{}", load.stderr());
    }
    // What the system dropped is looked at once a second.
    rest(Span::from_millis(1_500));
    let came = Came::at(admin)?;
    let (dropped, overflow) = (came.dropped - came_before.dropped, came.overflow - came_before.overflow);
    let (sent, heard) = (number("/heartbeats/sent")? - before, came.heard - came_before.heard);
    Ok(Seen {
        core,
        sent,
        heard,
        lost: (dropped + overflow) / sent,
        dropped,
        overflow,
        behind_ms: number("/heartbeats/behind_ms")?,
        peak_mib,
        p50_ms: came_after("/gateways/from_tick_ms/p50"),
        p99_ms: came_after("/gateways/from_tick_ms/p99"),
        spread_ms: came_after("/gateways/from_first_ms/p99"),
        decide_ms: came_after("/gateways/to_first_ms/p50"),
        moved: number("/gateways/moved").unwrap_or(0.0),
        pictures: number("/gateways/pictures")?,
    })
}

/// A command on one core.
fn pinned(core: u32, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.arg("--cpu-list").arg(core.to_string()).arg(program);
    command
}

/// What came of heartbeats so far.
struct Came {
    /// Those that are believed, and those that were answered with a session.
    heard: f64,
    dropped: f64,
    overflow: f64,
}

impl Came {
    fn at(admin: SocketAddr) -> Result<Self> {
        let (_, answer) = get(admin, "/metrics")?;
        let text = String::from_utf8_lossy(&answer).into_owned();
        let sum = |series: &str| -> Result<f64> {
            let counts = text.lines().filter(|line| line.starts_with(series));
            let numbers: Vec<f64> = counts.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
            if numbers.is_empty() {
                bail!("the coordinator has no {series}:\n{text}")
            } else {
                Ok(numbers.iter().sum())
            }
        };
        Ok(Self {
            heard: sum("ambidex_heartbeats_total{")?,
            dropped: sum("ambidex_heartbeats_dropped_total ")?,
            overflow: sum("ambidex_heartbeats_refused_total{why=\"overflow\"}")?,
        })
    }
}
