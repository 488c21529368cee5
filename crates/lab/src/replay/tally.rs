//! What is written down while requests are sent: how long they took, who answered, and how answers differ.

use std::collections::BTreeMap;

use ambidex_core::time::{Mono, Span};
use ambidex_wire::recording::{Answer, Digest};
use hdrhistogram::Histogram;

use super::outcome::{Difference, Differences, Failures};
use super::plan::Shot;
use super::sender::Now;
use crate::measure::{Latency, micros};

/// Why a request has no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    Connect,
    Reset,
    Truncated,
    Timeout,
}

/// What is written down while requests are sent.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) took: Span,
    pub(super) differences: Option<Differences>,
    pub(super) failures: Failures,
    pub(super) now: Times,
    pub(super) then: Times,
    pub(super) lag: Times,
    pub(super) workers: BTreeMap<String, (u64, Times)>,
}

/// Lengths of time, in microseconds.
#[derive(Debug)]
pub(super) struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(micros(3))
    }
}

impl Times {
    fn add(&mut self, span: Span) {
        self.0.saturating_record(span.as_micros().max(1));
    }

    pub(super) fn latency(&self) -> Latency {
        if self.0.is_empty() { Latency::default() } else { Latency::of(&self.0) }
    }
}

impl Tally {
    pub(super) fn new(compare: bool) -> Self {
        Self { differences: compare.then(Differences::default), ..Self::default() }
    }

    /// A request was due, and now is noticed.
    pub(super) fn due(&mut self, due: Mono, now: Mono) {
        self.lag.add(now.since(due));
    }

    /// A request ended, so long after it was due.
    pub(super) fn ended(&mut self, shot: &Shot, now: Result<Now, Failure>, took: Span) {
        if let (Some(differences), Some(then)) = (&mut self.differences, &shot.then) {
            differences.compare(shot, then, &now);
        }
        match now {
            Ok(now) => {
                self.now.add(took);
                shot.then.iter().for_each(|then| self.then.add(then.took));
                if let Some(worker) = now.worker {
                    // Whoever answers chooses the name: beyond the bound they are one.
                    let known = self.workers.len() < MOST_NAMES || self.workers.contains_key(&worker);
                    let worker = if known { worker } else { "other".to_owned() };
                    let (count, times) = self.workers.entry(worker).or_default();
                    *count += 1;
                    times.add(took);
                }
            }
            Err(Failure::Connect) => self.failures.connect += 1,
            Err(Failure::Reset) => self.failures.reset += 1,
            Err(Failure::Truncated) => self.failures.truncated += 1,
            Err(Failure::Timeout) => self.failures.timeout += 1,
        }
    }
}

impl Differences {
    fn compare(&mut self, shot: &Shot, then: &Answer, now: &Result<Now, Failure>) {
        self.compared += 1;
        let other_body = |now: &Now| then.body.digest.is_some_and(|digest| digest != now.digest);
        let kind = match now {
            Err(_) => &mut self.missing,
            Ok(now) if now.status != then.status => &mut self.status,
            Ok(now) if other_body(now) => &mut self.body,
            Ok(_) => {
                self.same += 1;
                return;
            }
        };
        *kind += 1;
        if self.first.len() < MOST_LISTED {
            self.first.push(Difference {
                method: shot.method.to_string(),
                target: shot.target.to_string(),
                then: said(then.status, then.body.length, then.body.digest.as_ref()),
                now: match now {
                    Ok(now) => said(now.status, now.length, Some(&now.digest)),
                    Err(failure) => format!("{failure:?}").to_lowercase(),
                },
            });
        }
    }
}

/// `200, 5 bytes b5e9c1ad`: enough of the digest to see that two differ.
fn said(status: u16, length: u64, digest: Option<&Digest>) -> String {
    let digest = digest.map_or_else(String::new, |digest| format!(", {length} bytes {:.8}", digest.to_string()));
    format!("{status}{digest}")
}

/// Differences that are told one by one. Source: ours, a screen.
const MOST_LISTED: usize = 20;
/// Names of workers that are told apart. Source: ours, far above a pool that is compared by eye.
const MOST_NAMES: usize = 1_000;
