//! A worker's process is killed, or frozen: it accepts and never answers. 1,200 requests, 100 a second, three workers.

use ambidex_lab::load::{self, LoadOptions, Outcome};
use ambidex_lab::peer::WorkerProcess;
use ambidex_lab::{Span, poll};
use anyhow::{Result, bail};

use super::super::rows::{Row, Samples};
use super::{Bench, counting};

/// When it happens, after counting began.
const AT: Span = Span::from_secs(4);

pub(super) fn killed(bench: &Bench<'_>) -> Result<Vec<Row>> {
    rows(bench, "killed", "KILL")
}

pub(super) fn frozen(bench: &Bench<'_>) -> Result<Vec<Row>> {
    rows(bench, "frozen", "STOP")
}

fn rows(bench: &Bench<'_>, name: &str, signal: &str) -> Result<Vec<Row>> {
    let ours = bench.ours(&[
        "deadline: 5s",
        "retry: {sent: on, answers: on}",
        "first_try: {after: 500ms}",
        "hedge: {after: p95, budget: 5%}",
    ]);
    let runs = bench.rounds(&[(name, ours)], |arm, round| {
        let options = ["slots=8", "service=exponential:10ms", "report=server-load"];
        let start = |name: &str| WorkerProcess::start(&bench.binary, name, &options);
        let workers = [start("a")?, start("b")?, start("c")?];
        let balancer = arm.before(&workers.each_ref().map(WorkerProcess::upstream))?;
        let load = load::start(LoadOptions {
            target: balancer.address,
            rate: 100.0,
            requests: 1_200 + 300,
            warm_up: Span::from_secs(3),
            duration: Span::from_secs(60),
            seed: round as u64 + 1,
            ..LoadOptions::default()
        })?;
        counting(&load)?;
        if !poll(Span::from_secs(30), || load.elapsed() >= AT) {
            bail!("the load stood still");
        }
        workers[1].process.signal(signal)?;
        let at = load.elapsed();
        let run = Run::of(&load.finish(), at);
        println!("{name} round {round}: {run:?}");
        Ok(run)
    })?;
    let row = |metric: &str, unit, goal, value: fn(&Run) -> f64| Row {
        metric: format!("worker {name}: {metric}"),
        unit,
        goal: Some(goal),
        ours: Samples(runs[0].iter().map(value).collect()),
        ..Row::default()
    };
    Ok(vec![
        row("failed of 1,200", "", 0.0, |run| run.failed),
        row("over 0.5 s", "", 20.0, |run| run.slow),
        row("the last of them was sent after", "s", 1.5, |run| run.last_slow),
    ])
}

#[derive(Clone, Copy, Debug)]
struct Run {
    failed: f64,
    /// Requests that took over half a second.
    slow: f64,
    /// When the last of them was due, after the worker was lost; 0 without any.
    last_slow: f64,
}

impl Run {
    fn of(outcome: &Outcome, lost_at: Span) -> Self {
        let last = outcome.moments.iter().rposition(|moment| moment.slow > 0);
        Self {
            failed: outcome.failures.total() as f64,
            slow: outcome.moments.iter().map(|moment| moment.slow).sum::<u64>() as f64,
            last_slow: last.map_or(0.0, |last| ((last + 1) as f64 / 10.0 - lost_at.as_secs_f64()).max(0.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use ambidex_lab::load::Moment;

    use super::*;

    #[test]
    fn the_last_slow_request_counts_from_the_loss() {
        let slow = |at: usize| Moment { slow: u64::from((40..47).contains(&at)) * 2, ..Moment::default() };
        let outcome = Outcome { moments: (0..100).map(slow).collect(), ..Outcome::default() };
        let run = Run::of(&outcome, AT);
        assert!((run.slow - 14.0).abs() < 1e-9 && (run.last_slow - 0.7).abs() < 1e-9, "{run:?}");
        assert!(Run::of(&Outcome::default(), AT).last_slow < 1e-9);
    }
}
