//! X12: the load is 0.9 of the capacity, then 1.2, then 0.9 again; clients give up after a second.
//!
//! Ours stands before agents, which keep what is too much from their workers at once; what one sheds is tried at another
//! within the budget. Beside it: our gateway alone, which gives a first try up after 250 ms, and HAProxy, which does so
//! with every try and asks up to three more workers without a budget.

use ambidex_lab::Span;
use ambidex_lab::load::{self, LoadOptions, Moment, RateStep};
use ambidex_lab::peer::{Balancer, Peer, Retries, Setup};
use ambidex_lab::worker::{self, Worker, WorkerOptions};
use anyhow::Result;

use super::super::rows::{Row, Samples};
use super::{Arm, Bench, asked, behind, counting, usual};

const PATIENCE: Span = Span::from_millis(250);
/// How long the load is watched after the overload, in seconds.
const AFTER: u64 = 20;

pub(super) fn rows(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let plain = Setup { retries: Some(Retries { times: 3, patience: PATIENCE }), ..Setup::default() };
    let arms = [
        ("agents", bench.ours(&["deadline: 1s", "retry: {sent: on, answers: on}"])),
        (
            "no agents",
            bench.ours(&["deadline: 1s", "retries: 3", "retry: {sent: on, answers: on}", "first_try: {after: 250ms}"]),
        ),
        ("3 plain retries", Arm { peer: Peer::Haproxy { balance: "leastconn" }, setup: plain }),
    ];
    let phase = bench.extent.seconds;
    let mut guarded = [true, false, false].into_iter().cycle();
    let all = bench.rounds(&arms, |arm, round| {
        let guarded = guarded.next().unwrap_or(false);
        let fleet: Vec<WorkerOptions> = (0..3).map(|at| usual(at, round)).collect();
        let capacity: f64 = fleet.iter().map(WorkerOptions::capacity).sum();
        let step = |at, load: f64| RateStep { at: Span::from_secs(at), rate: load * capacity };
        let load = LoadOptions {
            rate: 0.9 * capacity,
            rates: vec![step(phase, 1.2), step(2 * phase, 0.9)],
            connections: 4_000,
            warm_up: Span::from_secs(3),
            duration: Span::from_secs(2 * phase + AFTER),
            timeout: Span::from_secs(1),
            seed: round as u64 + 1,
            ..LoadOptions::default()
        };
        let workers = worker::start_all(fleet)?;
        let agents = if guarded { bench.agents(&workers)? } else { Vec::new() };
        let balancer = arm.before(&behind(&workers, &agents))?;
        let load = load::start(LoadOptions { target: balancer.address, ..load })?;
        counting(&load)?;
        let before = sent(&workers, &agents)?;
        let outcome = load.finish();
        let moments = &outcome.moments;
        let run = Run {
            amplification: (sent(&workers, &agents)? - before) / outcome.offered as f64,
            recovery: recovery(moments, 20 * usize::try_from(phase)?),
            goodput: goodput(&moments[10 * usize::try_from(phase)?..20 * usize::try_from(phase)?]),
        };
        println!("overload round {round} {} agents {guarded}: {run:?}", arm.peer.name());
        Ok(run)
    })?;
    let row = |metric: &str, unit, goal, value: fn(&Run) -> f64| {
        let samples = |runs: &[Run]| Samples(runs.iter().map(value).collect());
        let peers = vec![
            ("our gateway without agents".into(), samples(&all[1])),
            ("haproxy, 3 retries without budget".into(), samples(&all[2])),
        ];
        Row { metric: format!("X12 overload: {metric}"), unit, goal, ours: samples(&all[0]), peers, ..Row::default() }
    };
    Ok(vec![
        row("requests sent for each of a client", "", Some(1.2), |run| run.amplification),
        row("full goodput again after", "s", Some(10.0), |run| run.recovery),
        row("answered within a second during it", "%", None, |run| run.goodput * 100.0),
    ])
}

/// Requests that the balancer sent so far.
fn sent(workers: &[Worker], agents: &[Balancer]) -> Result<f64> {
    if agents.is_empty() {
        return Ok(workers.iter().map(Worker::came).sum::<u64>() as f64);
    }
    agents.iter().map(asked).sum()
}

#[derive(Clone, Copy, Debug)]
struct Run {
    amplification: f64,
    /// Seconds after the overload until everything is answered again, for good.
    recovery: f64,
    /// Share of the requests answered during it.
    goodput: f64,
}

fn goodput(moments: &[Moment]) -> f64 {
    let ok: u64 = moments.iter().map(|moment| moment.ok).sum();
    let all: u64 = moments.iter().map(|moment| moment.ok + moment.failed).sum();
    if all == 0 { 1.0 } else { ok as f64 / all as f64 }
}

/// Seconds from the moment `from` on until every second has full goodput; all that was watched if none has.
fn recovery(moments: &[Moment], from: usize) -> f64 {
    let after = moments.get(from..).unwrap_or_default();
    let bad = after.windows(10).collect::<Vec<_>>().iter().rposition(|second| goodput(second) < FULL);
    bad.map_or(0.0, |last| (last + 10) as f64 / 10.0)
}

/// What counts as full: of a thousand requests ten may meet a moment of the machine.
const FULL: f64 = 0.99;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recovery_is_the_end_of_the_last_second_that_was_not_full() {
        let moments = |failing: std::ops::Range<usize>| -> Vec<Moment> {
            let moment =
                |at| Moment { ok: 100, failed: if failing.contains(&at) { 20 } else { 0 }, ..Moment::default() };
            (0..100).map(moment).collect()
        };
        assert!((recovery(&moments(0..45), 20) - 3.5).abs() < 0.11, "{}", recovery(&moments(0..45), 20));
        assert!(recovery(&moments(0..10), 20) < 0.1);
        assert!((recovery(&moments(0..100), 20) - 8.0).abs() < 0.11);
    }
}
