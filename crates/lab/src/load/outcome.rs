//! What came of a load: counts, percentiles, shares; as a struct, as JSON, as a table.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::record::Moment;
use crate::measure::{Latency, Tallies};

/// The outcome of a load. Latencies are of the requests answered well, from the moment at which each was due.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The time counted.
    pub seconds: f64,
    /// Requests that were due in it.
    pub offered: u64,
    /// Requests beside them that the generator left out, as it was too late for them.
    #[serde(default)]
    pub left_out: u64,
    /// Requests answered with a status from 200 to 399.
    pub ok: u64,
    /// Requests answered well per second.
    pub rate: f64,
    /// Requests that were not.
    pub failures: Tallies,
    /// Idle connections that the other side closed without announcing it.
    pub closed_idle: u64,
    /// Latencies.
    pub latency: Latency,
    /// What each worker answered, by its `x-worker`.
    pub workers: Vec<WorkerShare>,
    /// What became of each class of requests, where there are classes.
    #[serde(default)]
    pub classes: Vec<ClassOutcome>,
    /// The most requests that waited for a connection at once.
    pub most_waiting: usize,
    /// How late the generator noticed that a request was due, 99th percentile.
    pub lag_p99_ms: f64,
    /// Whether the generator sent what it was to send.
    pub held: bool,
    /// Why no latency here says anything of the target, where that is so: the generator did not hold its rate.
    #[serde(default)]
    pub invalid: Option<String>,
    /// Tenths of seconds, by the time at which requests were due.
    pub moments: Vec<Moment>,
}

/// What one worker answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerShare {
    /// Its `x-worker`.
    pub name: String,
    /// Requests that it answered.
    pub requests: u64,
    /// Those that it answered badly.
    pub failed: u64,
    /// Its share of all requests that a worker answered.
    pub share: f64,
    /// Its latencies, as the client saw them.
    pub latency: Latency,
}

/// What became of one class of requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassOutcome {
    /// Its name.
    pub name: String,
    /// Requests of it that ended, or were never sent.
    pub requests: u64,
    /// Those that were not answered well.
    pub failed: u64,
    /// Latencies of the others.
    pub latency: Latency,
}

impl WorkerShare {
    pub(super) fn silent(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

impl Outcome {
    /// Share of the requests that failed.
    #[must_use]
    pub fn failed_share(&self) -> f64 {
        let failed = self.failures.total() as f64;
        let all = self.ok as f64 + failed;
        if all > 0.0 { failed / all } else { 0.0 }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Latency { count, p50_ms, p90_ms, p99_ms, p999_ms, max_ms, .. } = self.latency;
        writeln!(
            f,
            "{} requests due in {:.1} s, {count} answered well ({:.1}/s)",
            self.offered, self.seconds, self.rate
        )?;
        if self.left_out > 0 {
            writeln!(f, "{} more were left out: the generator was too late for them", self.left_out)?;
        }
        let invalid = if self.invalid.is_some() { "  INVALID" } else { "" };
        writeln!(
            f,
            "latency  p50 {p50_ms:.2} ms   p90 {p90_ms:.2} ms   p99 {p99_ms:.2} ms   p99.9 {p999_ms:.2} ms   max {max_ms:.2} ms{invalid}"
        )?;
        let Tallies { status_4xx, status_5xx, connect, reset, truncated, garbled, timeout, never_sent } = self.failures;
        writeln!(
            f,
            "failed   {} ({:.3}%): {status_4xx} 4xx, {status_5xx} 5xx, {connect} connect, {reset} reset, {truncated} \
             truncated, {garbled} garbled, {timeout} timeout, {never_sent} never sent; {} idle closes",
            self.failures.total(),
            self.failed_share() * 100.0,
            self.closed_idle,
        )?;
        for worker in &self.workers {
            let latency = worker.latency;
            writeln!(
                f,
                "{:<16} {:>8} requests  {:>5.1}%  {:>6} failed  p50 {:>8.2} ms  p99 {:>8.2} ms{invalid}",
                worker.name,
                worker.requests,
                worker.share * 100.0,
                worker.failed,
                latency.p50_ms,
                latency.p99_ms,
            )?;
        }
        for class in &self.classes {
            let latency = class.latency;
            writeln!(
                f,
                "class {:<10} {:>8} requests          {:>6} failed  p50 {:>8.2} ms  p99 {:>8.2} ms{invalid}",
                class.name, class.requests, class.failed, latency.p50_ms, latency.p99_ms,
            )?;
        }
        if let Some(reason) = &self.invalid {
            writeln!(f, "NOT HELD: {reason}; these latencies are about the generator, not about the target")?;
        }
        if self.failures.never_sent > 0 {
            writeln!(
                f,
                "at most {} requests waited for a connection: the target took less than was offered",
                self.most_waiting
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_did_not_hold_its_rate_has_no_latency_without_the_word_invalid() {
        let workers = vec![WorkerShare::silent("a")];
        let classes = vec![ClassOutcome { name: "dear".into(), ..ClassOutcome::default() }];
        let outcome = Outcome { workers, classes, invalid: Some("it was late".into()), ..Outcome::default() };
        let table = outcome.to_string();
        assert!(table.contains("NOT HELD: it was late"), "{table}");
        let marked = table.lines().filter(|line| line.contains("p99")).all(|line| line.ends_with("INVALID"));
        assert!(marked, "{table}");
        let json = serde_json::to_value(&outcome).expect("JSON");
        assert_eq!((&json["held"], &json["invalid"]), (&false.into(), &"it was late".into()));
    }
}
