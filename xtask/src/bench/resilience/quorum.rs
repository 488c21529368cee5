//! Reads of 2 of 3 replicas: all alike, and one 40 times slower.

use ambidex_lab::Span;
use ambidex_lab::load::LoadOptions;
use ambidex_lab::worker::WorkerOptions;
use anyhow::Result;

use super::super::rows::{Row, Samples};
use super::{Bench, usual};

pub(super) fn rows(bench: &Bench<'_>) -> Result<Vec<Row>> {
    const QUORUM: &str = "quorum: {ask: 2, of: 3, need: 2, rule: majority, compare: digest}";
    let arms = [("alike", bench.ours(&[QUORUM])), ("one slow", bench.ours(&[QUORUM])), ("single", bench.ours(&[]))];
    let slowdowns = [1.0, 40.0, 40.0];
    let mut arm_at = (0..arms.len()).cycle();
    let all = bench.rounds(&arms, |arm, round| {
        let slowdown = slowdowns[arm_at.next().unwrap_or(0)];
        let fleet = (0..3).map(|at| WorkerOptions {
            slots: 8,
            slowdown: if at == 0 { slowdown } else { 1.0 },
            ..usual(at, round)
        });
        let load = LoadOptions {
            rate: 200.0,
            warm_up: Span::from_secs(5),
            duration: Span::from_secs(bench.extent.seconds),
            seed: round as u64 + 1,
            ..LoadOptions::default()
        };
        let seen = arm.run(fleet.collect(), load)?;
        let latency = seen.outcome.latency;
        println!(
            "quorum round {round} {:?} slowdown {slowdown}: p50 {:.1} p95 {:.1} p99 {:.1} ms, {} failed, x{:.2}",
            arm.setup.route,
            latency.p50_ms,
            latency.p95_ms,
            latency.p99_ms,
            seen.outcome.failures.total(),
            seen.amplification
        );
        Ok(latency.p95_ms)
    })?;
    let [alike, slow, single] = &all[..] else { unreachable!("three arms") };
    let ratio = alike.iter().zip(slow).map(|(alike, slow)| slow / alike);
    let row = |metric: &str, unit, ours| Row { metric: metric.into(), unit, ours, ..Row::default() };
    let peers = vec![
        ("all alike".into(), Samples(alike.clone())),
        ("one slow, a single worker asked".into(), Samples(single.clone())),
    ];
    Ok(vec![
        Row {
            goal: Some(1.5),
            ..row("quorum 2 of 3, one 40 times slower: p95 of the healthy p95", "", Samples(ratio.collect()))
        },
        Row { peers, ..row("quorum 2 of 3, one 40 times slower: p95", "ms", Samples(slow.clone())) },
    ])
}
