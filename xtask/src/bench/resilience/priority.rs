//! A spike of unimportant requests, 12 times what is usual, beside important ones that stay as they are.
//!
//! Two workers, each behind an agent of its own (`agent:` with `priority: urgency`), and our gateway before both. What is
//! usual fills the workers to three quarters; the spike is six times what they can carry.

use ambidex_lab::load::{self, LoadOptions, Outcome, RateStep};
use ambidex_lab::worker::{self, ReportStyle, WorkerOptions};
use ambidex_lab::{Service, Span};
use anyhow::Result;

use super::super::rows::{Row, Samples};
use super::{Bench, behind, counting, usual};

/// Important requests a second.
const HIGH: f64 = 100.0;
/// Unimportant ones a second, usually.
const LOW: f64 = 200.0;
const SPIKE: f64 = 12.0;

pub(super) fn rows(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let ours = bench.ours(&["retry: {sent: on, answers: on}"]);
    let plain = bench.ours(&[]);
    let phase = bench.extent.seconds;
    let arms = [("agents", ours), ("no agents", plain)];
    let mut guarded = [true, false].into_iter().cycle();
    let all = bench.rounds(&arms, |arm, round| {
        let guarded = guarded.next().unwrap_or(true);
        let fleet = (0..2).map(|at| worker(at, round)).collect();
        let workers = worker::start_all(fleet)?;
        let agents = if guarded { bench.agents(&workers)? } else { Vec::new() };
        let balancer = arm.before(&behind(&workers, &agents))?;
        let options = |urgency: &str, rate| LoadOptions {
            target: balancer.address,
            fields: vec![("priority".into(), format!("u={urgency}"))],
            rate,
            connections: 2_000,
            warm_up: Span::from_secs(3),
            duration: Span::from_secs(3 * phase),
            timeout: Span::from_secs(1),
            seed: round as u64 + 1,
            ..LoadOptions::default()
        };
        let step = |at, rate| RateStep { at: Span::from_secs(at), rate };
        let rates = vec![step(phase, LOW * SPIKE), step(2 * phase, LOW)];
        let low = load::start(LoadOptions { rates, seed: round as u64 + 100, ..options("7", LOW) })?;
        let high = load::start(options("0", HIGH))?;
        counting(&high)?;
        let run = Run::of(&high.finish(), &low.finish(), 10 * usize::try_from(phase)?);
        println!("priority round {round} {}: {run:?}", if guarded { "agents" } else { "no agents" });
        Ok(run)
    })?;
    let row = |metric: &str, unit, goal, value: fn(&Run) -> f64| {
        let samples = |runs: &[Run]| Samples(runs.iter().map(value).collect());
        let peers = vec![("without agents".into(), samples(&all[1]))];
        Row { metric: format!("spike of 12x: {metric}"), unit, goal, ours: samples(&all[0]), peers, ..Row::default() }
    };
    Ok(vec![
        row("important requests that failed", "%", Some(0.6), |run| run.high_failed),
        row("p99 of the important ones", "ms", None, |run| run.high_p99),
        row("unimportant requests answered during it", "1/s", None, |run| run.low_rate),
    ])
}

fn worker(at: u64, round: usize) -> WorkerOptions {
    WorkerOptions {
        service: Service::exponential(Span::from_millis(20)),
        report: ReportStyle::None,
        ..usual(at, round)
    }
}

#[derive(Clone, Copy, Debug)]
struct Run {
    high_failed: f64,
    high_p99: f64,
    /// Unimportant requests answered in a second of the spike.
    low_rate: f64,
}

impl Run {
    fn of(high: &Outcome, low: &Outcome, phase: usize) -> Self {
        let spike = low.moments.iter().skip(phase).take(phase);
        let answered: u64 = spike.map(|moment| moment.ok).sum();
        Self {
            high_failed: high.failed_share() * 100.0,
            high_p99: high.latency.p99_ms,
            low_rate: answered as f64 / phase as f64 * 10.0,
        }
    }
}
