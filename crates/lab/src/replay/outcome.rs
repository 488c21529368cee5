//! What came of a replay: what was sent and what was not, latencies beside those of then, answers that differ, and who
//! answered; as a struct, as JSON, as a table.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::plan::{LeftOut, Plan};
use super::tally::Tally;
use super::{ReplayOptions, Source};
use crate::measure::Latency;

/// The outcome of a replay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Of this form.
    pub schema_version: u32,
    /// Where to.
    pub target: String,
    /// How many times as fast as it was.
    pub speed: f64,
    /// Requests in the file.
    pub recorded: u64,
    /// Lines of the file that were not written to their ends.
    pub torn: u64,
    /// Requests that were not sent.
    pub left_out: LeftOut,
    /// Requests that were sent without a field that is, or was, a credential.
    pub stripped: u64,
    /// Requests that were sent.
    pub sent: u64,
    /// Those that were answered to the end.
    pub answered: u64,
    /// Those that were not.
    pub failures: Failures,
    /// From the first request to the last answer.
    pub seconds: f64,
    /// Of what was answered, from the moment at which each was due.
    pub latency: Latency,
    /// Of the same requests then, from the recorder's point of view.
    pub latency_then: Latency,
    /// How late the sender noticed that a request was due, 99th percentile.
    pub lag_p99_ms: f64,
    /// Whether requests were sent when they were due. If not, the latencies are about the sender.
    pub held: bool,
    /// Answers beside those of then, where that was wanted.
    pub compared: Option<Differences>,
    /// Who answered, then and now.
    pub workers: Vec<WorkerBalance>,
}

/// Requests that were not answered, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// No connection could be made.
    pub connect: u64,
    /// The connection broke before the answer.
    pub reset: u64,
    /// The connection broke in the middle of the answer.
    pub truncated: u64,
    /// No whole answer within the timeout.
    pub timeout: u64,
}

/// How answers differ from those of then.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Differences {
    /// Requests whose recorded answer is known, as far as it is: status, and digest of a body that came to its end.
    pub compared: u64,
    /// Answers as they were.
    pub same: u64,
    /// Answers of another status.
    pub status: u64,
    /// Answers of the same status and another body.
    pub body: u64,
    /// Answers that did not come.
    pub missing: u64,
    /// The first of these.
    pub first: Vec<Difference>,
}

/// One answer that differs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// What it was answered then, in a few words.
    pub then: String,
    /// What it is answered now.
    pub now: String,
}

/// What one worker answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerBalance {
    /// What it is called.
    pub name: String,
    /// Requests of the replay that it answered.
    pub requests: u64,
    /// Its share of those that a worker is known of.
    pub share: f64,
    /// The same of the recorded requests; 0 when it was not there then, or had another name.
    pub share_then: f64,
    /// Its latencies now.
    pub latency: Latency,
}

impl Differences {
    /// How many there are.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.status + self.body + self.missing
    }
}

impl Outcome {
    /// What is known before anything is sent.
    pub(super) fn before(source: &Source, plan: &Plan, options: &ReplayOptions) -> Self {
        let mut then: BTreeMap<&str, u64> = BTreeMap::new();
        let answers = plan.shots.iter().filter_map(|shot| shot.then.as_ref());
        for answer in answers.filter(|answer| !answer.worker.is_empty()) {
            *then.entry(&answer.worker).or_default() += 1;
        }
        let all: u64 = then.values().sum();
        let worker = |(name, count): (&str, u64)| WorkerBalance {
            name: name.to_owned(),
            share_then: count as f64 / all as f64,
            ..WorkerBalance::default()
        };
        Self {
            schema_version: 1,
            target: options.target.clone(),
            speed: options.speed,
            recorded: source.exchanges.len() as u64,
            torn: source.torn.len() as u64,
            left_out: plan.left_out,
            stripped: plan.stripped,
            sent: plan.shots.len() as u64,
            workers: then.into_iter().map(worker).collect(),
            ..Self::default()
        }
    }

    /// What was heard.
    pub(super) fn after(&mut self, tally: Tally) {
        let Tally { took, differences, failures, now, then, lag, workers } = tally;
        self.seconds = took.as_secs_f64();
        (self.failures, self.compared) = (failures, differences);
        (self.latency, self.latency_then) = (now.latency(), then.latency());
        self.answered = self.latency.count;
        self.lag_p99_ms = lag.latency().p99_ms;
        self.held = self.lag_p99_ms <= MOST_LAG_MS;
        let all: u64 = workers.values().map(|(count, _)| count).sum();
        for (name, (requests, times)) in workers {
            let at = self.workers.iter().position(|known| known.name == name).unwrap_or_else(|| {
                self.workers.push(WorkerBalance { name, ..WorkerBalance::default() });
                self.workers.len() - 1
            });
            let worker = &mut self.workers[at];
            (worker.requests, worker.share, worker.latency) = (requests, requests as f64 / all as f64, times.latency());
        }
    }

    /// Whether all was answered, and as it was where that was compared.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.answered == self.sent && self.compared.as_ref().is_none_or(|compared| compared.total() == 0)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recorded, sent, answered, seconds, speed, target, torn, stripped, .. } = self;
        writeln!(
            f,
            "{sent} of {recorded} recorded requests sent to {target} in {seconds:.1} s at {speed}x, {answered} answered"
        )?;
        for (count, why) in self.left_out.reasons() {
            writeln!(f, "left out  {count}: {why}")?;
        }
        if *torn > 0 {
            writeln!(f, "torn      {torn} lines of the recording were not written to their ends")?;
        }
        if *stripped > 0 {
            writeln!(
                f,
                "stripped  {stripped} requests were sent without credentials that they had; --field gives others"
            )?;
        }
        let latency = |f: &mut fmt::Formatter<'_>, name, of: &Latency| {
            let Latency { p50_ms, p90_ms, p99_ms, max_ms, count, .. } = of;
            writeln!(
                f,
                "{name}  p50 {p50_ms:.2} ms   p90 {p90_ms:.2} ms   p99 {p99_ms:.2} ms   max {max_ms:.2} ms   of {count}"
            )
        };
        latency(f, "now     ", &self.latency)?;
        if self.latency_then.count > 0 {
            latency(f, "then    ", &self.latency_then)?;
        }
        let Failures { connect, reset, truncated, timeout } = self.failures;
        if connect + reset + truncated + timeout > 0 {
            writeln!(f, "failed    {connect} connect, {reset} reset, {truncated} truncated, {timeout} timeout")?;
        }
        if let Some(compared) = &self.compared {
            write!(f, "{compared}")?;
        }
        for WorkerBalance { name, requests, share, share_then, latency } in &self.workers {
            writeln!(
                f,
                "{name:<24} {requests:>8} requests  {:>5.1}% (then {:>5.1}%)  p50 {:>8.2} ms  p99 {:>8.2} ms",
                share * 100.0,
                share_then * 100.0,
                latency.p50_ms,
                latency.p99_ms,
            )?;
        }
        if !self.held {
            writeln!(
                f,
                "NOT HELD: requests were sent late (p99 of that {:.1} ms): these latencies are about the sender",
                self.lag_p99_ms
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { compared, same, status, body, missing, first } = self;
        writeln!(
            f,
            "compared  {compared}: {same} the same, {status} of another status, {body} of another body, {missing} missing"
        )?;
        for Difference { method, target, then, now } in first {
            writeln!(f, "  {method} {target}: then {then}; now {now}")?;
        }
        let listed = first.len() as u64;
        if listed < self.total() {
            writeln!(f, "  and {} more", self.total() - listed)?;
        }
        Ok(())
    }
}

/// The 99th percentile of its lateness at which a sender is too late. Source: as for the load generator.
const MOST_LAG_MS: f64 = 5.0;
