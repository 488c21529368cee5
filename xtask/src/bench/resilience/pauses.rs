//! X5: every worker pauses for 200 ms every 5 s, each at another time; with hedges and without.

use ambidex_lab::load::LoadOptions;
use ambidex_lab::worker::{Pauses, WorkerOptions};
use ambidex_lab::{Service, Shape, Span};
use anyhow::Result;

use super::super::rows::{Row, Samples};
use super::{Bench, usual};

const WORKERS: u64 = 6;
/// Share of the capacity that is offered.
const LOAD: f64 = 0.5;

pub(super) fn rows(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let arms = [("without hedges", bench.ours(&[])), ("with hedges", bench.ours(&["hedge: {after: p95, budget: 5%}"]))];
    let all = bench.rounds(&arms, |arm, round| {
        let fleet: Vec<WorkerOptions> = (0..WORKERS).map(|at| pausing(at, round)).collect();
        let rate = LOAD * fleet.iter().map(WorkerOptions::capacity).sum::<f64>();
        let load = LoadOptions {
            rate,
            connections: 1_000,
            // The quantile is over 30 s, and is not told before some answers came.
            warm_up: Span::from_secs(5),
            duration: Span::from_secs(bench.extent.seconds),
            seed: round as u64 + 1,
            ..LoadOptions::default()
        };
        let seen = arm.run(fleet, load)?;
        let latency = seen.outcome.latency;
        println!(
            "pauses round {round} {:?}: p50 {:.1} p99 {:.1} p99.9 {:.1} ms, {} failed, x{:.4}",
            arm.setup.route,
            latency.p50_ms,
            latency.p99_ms,
            latency.p999_ms,
            seen.outcome.failures.total(),
            seen.amplification
        );
        Ok(seen)
    })?;
    let [without, with] = &all[..] else { unreachable!("two arms") };
    let of = |value: fn(&super::Seen) -> f64, runs: &[super::Seen]| Samples(runs.iter().map(value).collect());
    let p999 = |seen: &super::Seen| seen.outcome.latency.p999_ms;
    let p50 = |seen: &super::Seen| seen.outcome.latency.p50_ms;
    let parts = without.iter().zip(with).map(|(without, with)| p999(with) / p999(without));
    let plain = |metric: &str, unit, ours| Row { metric: metric.into(), unit, ours, ..Row::default() };
    let beside = |row: Row, without| Row { peers: vec![("without hedges".into(), without)], ..row };
    Ok(vec![
        Row { goal: Some(0.2), ..plain("X5 pauses: p99.9 with hedges of p99.9 without", "", Samples(parts.collect())) },
        Row {
            goal: Some(5.0),
            ..plain("X5 pauses: extra requests", "%", of(|seen| (seen.amplification - 1.0) * 100.0, with))
        },
        beside(plain("X5 pauses: p99.9", "ms", of(p999, with)), of(p999, without)),
        beside(plain("X5 pauses: p50", "ms", of(p50, with)), of(p50, without)),
        Row {
            goal: Some(0.0),
            ..plain("X5 pauses: failed", "", of(|seen| seen.outcome.failures.total() as f64, with))
        },
    ])
}

fn pausing(at: u64, round: usize) -> WorkerOptions {
    let (length, every) = (Span::from_millis(200), Span::from_secs(5));
    WorkerOptions {
        // A spread as of real work; an exponential one would have a p99.9 of 7 times its mean without any pause.
        service: Service { mean: Span::from_millis(10), shape: Shape::Lognormal { sigma: 0.5 } },
        pauses: Some(Pauses { length, every, first: Span::from_millis(at * 5_000 / WORKERS) }),
        ..usual(at, round)
    }
}
