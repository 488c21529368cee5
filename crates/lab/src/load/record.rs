//! What is written down while load runs: latencies, shares of workers and classes, failures, and the generator's lateness.

use ambidex_core::time::{Mono, Span};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use super::arrivals::Expected;
use super::options::LoadOptions;
use super::outcome::{ClassOutcome, Outcome, WorkerShare};
use super::watch::{Seen, Watcher};
use crate::measure::{Fate, Latency, Tallies, micros};

/// Why a request has no whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection could be made.
    Connect,
    /// The connection broke before the answer began.
    Reset,
    /// The connection broke in the middle of the answer.
    Truncated,
    /// The answer was no HTTP.
    Garbled,
    /// No whole answer within the timeout.
    Timeout,
}

/// How a request ended.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: Option<u16>,
    pub(super) failure: Option<Failure>,
    pub(super) worker: Option<String>,
    /// The connection cannot be used again.
    pub(super) closes: bool,
}

impl Answer {
    pub(super) fn failed(failure: Failure) -> Self {
        Self { status: None, failure: Some(failure), worker: None, closes: true }
    }

    pub(super) fn fate(&self) -> Fate {
        match (self.failure, self.status) {
            (Some(Failure::Connect), _) => Fate::Connect,
            (Some(Failure::Reset), _) => Fate::Reset,
            (Some(Failure::Truncated), _) => Fate::Truncated,
            (Some(Failure::Garbled), _) => Fate::Garbled,
            (Some(Failure::Timeout), _) => Fate::Timeout,
            (None, Some(200..400)) => Fate::Well,
            (None, Some(400..500)) => Fate::Status4xx,
            (None, Some(_) | None) => Fate::Status5xx,
        }
    }

    fn is_ok(&self) -> bool {
        self.fate() == Fate::Well
    }
}

/// A tenth of a second: how many requests that were due in it ended how, and at which worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Requests answered well.
    pub ok: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that took longer than [`LoadOptions::slow_over`].
    pub slow: u64,
    /// The slowest of them, in milliseconds.
    pub worst_ms: f64,
    /// Requests by worker, in the order of [`Outcome::workers`].
    pub by_worker: Vec<u64>,
}

#[derive(Debug)]
pub(super) struct Record {
    begin: Mono,
    measured_from: Mono,
    slow_over: Span,
    /// The names of the classes, if there are any.
    classes: Vec<String>,
    total: Count,
    lately: Count,
    lately_from: Mono,
    moments: Vec<Moment>,
    names: Vec<String>,
    lag: Histogram<u64>,
    most_waiting: usize,
    offered: u64,
    left_out: u64,
    pub(super) closed_idle: u64,
    watcher: Watcher,
}

#[derive(Debug)]
struct Count {
    latency: Histogram<u64>,
    ok: u64,
    tallies: Tallies,
    by_worker: Vec<Part>,
    by_class: Vec<Part>,
}

/// The requests of one worker, or of one class.
#[derive(Clone, Debug)]
struct Part {
    requests: u64,
    failed: u64,
    latency: Histogram<u64>,
}

impl Record {
    pub(super) fn new(measured_from: Mono, options: &LoadOptions, watcher: Watcher) -> Self {
        let begin = measured_from - options.warm_up;
        Self {
            begin,
            measured_from,
            slow_over: options.slow_over,
            classes: options.classes.iter().map(|class| class.name.clone()).collect(),
            total: Count::new(),
            lately: Count::new(),
            lately_from: begin,
            moments: Vec::new(),
            names: Vec::new(),
            lag: micros(3),
            most_waiting: 0,
            offered: 0,
            left_out: 0,
            closed_idle: 0,
            watcher,
        }
    }

    /// A request became due at `due` and the generator noticed at `now`, with `waiting` queued for a connection.
    pub(super) fn arrived(&mut self, due: Mono, now: Mono, waiting: usize) {
        if due >= self.measured_from {
            self.offered += 1;
            self.lag.saturating_record(now.since(due).as_micros());
            self.most_waiting = self.most_waiting.max(waiting);
        }
    }

    /// A request was due for so long that it is not sent at all.
    pub(super) fn left_out(&mut self, due: Mono) {
        self.left_out += u64::from(due >= self.measured_from);
    }

    pub(super) fn ended(&mut self, due: Mono, now: Mono, class: usize, target: usize, answer: &Answer) {
        let worker = answer.worker.as_deref().map(|name| self.index_of(name));
        let class = (!self.classes.is_empty()).then_some(class);
        let latency = now.since(due);
        self.lately.add(answer, worker, None, latency);
        if due < self.measured_from {
            return;
        }
        self.watcher.see(&Seen {
            due: due.since(self.measured_from),
            latency,
            worker: answer.worker.as_deref(),
            class: class.unwrap_or(0),
            target,
            fate: answer.fate(),
        });
        self.total.add(answer, worker, class, latency);
        let moment = due.since(self.measured_from).as_nanos() / MOMENT.as_nanos();
        let Ok(moment) = usize::try_from(moment) else { return };
        if moment >= MOST_MOMENTS {
            return;
        }
        if self.moments.len() <= moment {
            self.moments.resize(moment + 1, Moment::default());
        }
        let moment = &mut self.moments[moment];
        *(if answer.is_ok() { &mut moment.ok } else { &mut moment.failed }) += 1;
        moment.slow += u64::from(latency > self.slow_over);
        moment.worst_ms = moment.worst_ms.max(latency.as_secs_f64() * 1e3);
        if let Some(worker) = worker {
            if moment.by_worker.len() <= worker {
                moment.by_worker.resize(worker + 1, 0);
            }
            moment.by_worker[worker] += 1;
        }
    }

    /// Requests that were still waiting for a connection when the run ended: when each was due, and its class.
    pub(super) fn never_sent(&mut self, now: Mono, target: usize, waiting: impl Iterator<Item = (Mono, usize)>) {
        let measured_from = self.measured_from;
        for (due, class) in waiting.filter(|(due, _)| *due >= measured_from) {
            let (due, latency) = (due.since(measured_from), now.since(due));
            self.watcher.see(&Seen { due, latency, worker: None, class, target, fate: Fate::NeverSent });
            self.total.tallies.never_sent += 1;
            if !self.classes.is_empty() {
                part(&mut self.total.by_class, class).add(None);
            }
        }
    }

    pub(super) fn outcome(&self, options: &LoadOptions, expected: &Expected, elapsed: Span) -> Outcome {
        let mut outcome = self.total.outcome(&self.names, elapsed);
        outcome.classes = self.total.class_outcomes(&self.classes);
        outcome.offered = self.offered;
        outcome.left_out = self.left_out;
        outcome.closed_idle = self.closed_idle;
        outcome.most_waiting = self.most_waiting;
        outcome.lag_p99_ms = self.lag.value_at_quantile(0.99) as f64 / 1e3;
        let expected = expected.between(options.warm_up, options.warm_up + elapsed);
        let bounded = options.requests > 0;
        // Three standard deviations of a Poisson count, and 1 %, are chance; the rest is a generator that is too slow.
        let short = expected - 3.0 * expected.sqrt() - 0.01 * expected;
        let behind = !bounded && (outcome.offered as f64) < short;
        outcome.invalid = if outcome.lag_p99_ms > options.late_over.as_secs_f64() * 1e3 {
            Some(format!("the generator was late: {:.1} ms at the 99th percentile", outcome.lag_p99_ms))
        } else {
            behind.then(|| format!("the generator sent {} of {expected:.0} requests", outcome.offered))
        };
        outcome.held = outcome.invalid.is_none();
        outcome.moments.clone_from(&self.moments);
        for moment in &mut outcome.moments {
            moment.by_worker.resize(self.names.len(), 0);
        }
        outcome
    }

    pub(super) fn lately(&mut self, expected: &Expected, now: Mono) -> Outcome {
        let span = now.since(self.lately_from);
        let since = |at: Mono| at.since(self.begin);
        let expected = expected.between(since(self.lately_from), since(now));
        self.lately_from = now;
        let count = std::mem::replace(&mut self.lately, Count::new());
        let mut outcome = count.outcome(&self.names, span);
        outcome.offered = outcome.ok + outcome.failures.total();
        outcome.held = outcome.offered as f64 >= expected * 0.5;
        outcome
    }

    fn index_of(&mut self, name: &str) -> usize {
        if let Some(known) = self.names.iter().position(|known| known == name) {
            return known;
        }
        // Whoever answers chooses the name: beyond the bound they are one.
        let name = if self.names.len() < MOST_NAMES { name } else { "other" };
        if self.names.last().is_some_and(|last| last == name) {
            return self.names.len() - 1;
        }
        self.names.push(name.to_owned());
        self.names.len() - 1
    }
}

impl Count {
    fn new() -> Self {
        Self { latency: micros(3), ok: 0, tallies: Tallies::default(), by_worker: Vec::new(), by_class: Vec::new() }
    }

    fn add(&mut self, answer: &Answer, worker: Option<usize>, class: Option<usize>, latency: Span) {
        let ok = answer.is_ok();
        self.ok += u64::from(ok);
        self.tallies.count(answer.fate());
        // A failure that comes at once would flatter the percentiles; one that never came would distort them.
        let well = ok.then(|| latency.as_micros().max(1));
        if let Some(micros_taken) = well {
            self.latency.saturating_record(micros_taken);
        }
        if let Some(worker) = worker {
            part(&mut self.by_worker, worker).add(well);
        }
        if let Some(class) = class {
            part(&mut self.by_class, class).add(well);
        }
    }

    fn class_outcomes(&self, names: &[String]) -> Vec<ClassOutcome> {
        let nothing = Part::empty();
        let parts = (0..names.len()).map(|class| self.by_class.get(class).unwrap_or(&nothing));
        let outcomes = names.iter().zip(parts).map(|(name, part)| ClassOutcome {
            name: name.clone(),
            requests: part.requests,
            failed: part.failed,
            latency: Latency::of(&part.latency),
        });
        outcomes.collect()
    }

    fn outcome(&self, names: &[String], span: Span) -> Outcome {
        let known: u64 = self.by_worker.iter().map(|count| count.requests).sum();
        let share = |requests: u64| if known > 0 { requests as f64 / known as f64 } else { 0.0 };
        let workers = names.iter().zip(&self.by_worker).map(|(name, count)| WorkerShare {
            name: name.clone(),
            requests: count.requests,
            failed: count.failed,
            share: share(count.requests),
            latency: Latency::of(&count.latency),
        });
        let seconds = span.as_secs_f64();
        let mut workers: Vec<WorkerShare> = workers.collect();
        workers.extend(names.iter().skip(self.by_worker.len()).map(|name| WorkerShare::silent(name)));
        Outcome {
            seconds,
            ok: self.ok,
            rate: if seconds > 0.0 { self.ok as f64 / seconds } else { 0.0 },
            failures: self.tallies,
            latency: Latency::of(&self.latency),
            workers,
            ..Outcome::default()
        }
    }
}

impl Part {
    fn empty() -> Self {
        Self { requests: 0, failed: 0, latency: micros(3) }
    }

    /// Counts a request, and how many microseconds it took if it was answered well.
    fn add(&mut self, well: Option<u64>) {
        self.requests += 1;
        match well {
            Some(micros_taken) => self.latency.saturating_record(micros_taken),
            None => self.failed += 1,
        }
    }
}

/// The part with this index, made when it is first named.
fn part(parts: &mut Vec<Part>, index: usize) -> &mut Part {
    if parts.len() <= index {
        parts.resize_with(index + 1, Part::empty);
    }
    &mut parts[index]
}

/// The step of the series.
pub(super) const MOMENT: Span = Span::from_millis(100);
/// Two hours of them.
const MOST_MOMENTS: usize = 72_000;
/// Workers told apart by name.
const MOST_NAMES: usize = 1_000;
