//! What a gateway counted between two beats, of each worker to which anything happened.

use ambidex_core::guard::breaker::BreakerState;
use ambidex_core::signal::{RawReport, Report, ReportFault};
use ambidex_core::stats::histogram::{Histogram, TallyState};
use ambidex_core::time::Span;
use prost::Message;

use super::groups::GroupCounts;
use super::zones::FlowCounts;

/// What was counted in one pool.
#[derive(Clone, PartialEq, Message)]
pub struct Counts {
    /// The pool's name.
    #[prost(string, tag = "1")]
    pub pool: String,
    /// Its workers.
    #[prost(message, repeated, tag = "2")]
    pub workers: Vec<WorkerCounts>,
    /// The groups of the trial that goes on.
    #[prost(message, repeated, tag = "3")]
    pub groups: Vec<GroupCounts>,
    /// Where requests came from, and went.
    #[prost(message, repeated, tag = "4")]
    pub flows: Vec<FlowCounts>,
    /// The time in which all of it was counted, in nanoseconds; 0: since the beat before, as older gateways count.
    #[prost(uint64, tag = "5")]
    pub covers_nanos: u64,
}

impl Counts {
    /// The time in which it was counted; zero where that is not said.
    #[must_use]
    pub fn covers(&self) -> Span {
        Span::from_nanos(self.covers_nanos)
    }
}

/// What was counted of one worker. All but `in_flight` are differences to the beat before.
#[derive(Clone, PartialEq, Message)]
pub struct WorkerCounts {
    /// Its name.
    #[prost(string, tag = "1")]
    pub worker: String,
    /// Tries sent.
    #[prost(uint64, tag = "2")]
    pub started: u64,
    /// Tries that failed, however.
    #[prost(uint64, tag = "3")]
    pub failed: u64,
    /// Those of them whose answer broke off after its head.
    #[prost(uint64, tag = "4")]
    pub broken: u64,
    /// Those of them for which there was no connection.
    #[prost(uint64, tag = "5")]
    pub unreached: u64,
    /// Those of them that were given up.
    #[prost(uint64, tag = "6")]
    pub late: u64,
    /// Buckets of the latency histogram ([`ambidex_core::stats::histogram`]) that hold any, by number.
    #[prost(uint32, repeated, tag = "7")]
    pub buckets: Vec<u32>,
    /// How many are in each.
    #[prost(uint64, repeated, tag = "8")]
    pub answers: Vec<u64>,
    /// The sum of all latencies, in nanoseconds.
    #[prost(uint64, tag = "9")]
    pub latency_nanos: u64,
    /// Tries in flight now.
    #[prost(uint32, tag = "10")]
    pub in_flight: u32,
    /// The newest report that came with an answer since the beat before.
    #[prost(message, optional, tag = "11")]
    pub report: Option<Reported>,
    /// What its breaker does, when that is another thing than before: 0 nothing, 1 ramps, 2 probes, 3 keeps all out.
    #[prost(uint32, optional, tag = "12")]
    pub breaker: Option<u32>,
}

/// A worker's report on its way to the coordinator: the fields of [`RawReport`].
#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "the fields are those of `RawReport`, in its order and units")]
pub struct Reported {
    /// How long ago it came, in nanoseconds.
    #[prost(uint64, tag = "1")]
    pub age_nanos: u64,
    #[prost(double, optional, tag = "2")]
    pub in_flight: Option<f64>,
    #[prost(double, optional, tag = "3")]
    pub queue: Option<f64>,
    #[prost(double, optional, tag = "4")]
    pub mean_ms: Option<f64>,
    #[prost(double, optional, tag = "5")]
    pub p50_ms: Option<f64>,
    #[prost(double, optional, tag = "6")]
    pub p95_ms: Option<f64>,
    #[prost(double, optional, tag = "7")]
    pub p99_ms: Option<f64>,
    #[prost(double, optional, tag = "8")]
    pub rate: Option<f64>,
    #[prost(double, optional, tag = "9")]
    pub errors: Option<f64>,
    #[prost(double, optional, tag = "10")]
    pub utilization: Option<f64>,
    #[prost(double, optional, tag = "11")]
    pub cpu: Option<f64>,
    #[prost(double, optional, tag = "12")]
    pub memory: Option<f64>,
    #[prost(double, optional, tag = "13")]
    pub limit: Option<f64>,
    #[prost(bool, optional, tag = "14")]
    pub accepting: Option<bool>,
    #[prost(uint64, optional, tag = "15")]
    pub sequence: Option<u64>,
}

impl WorkerCounts {
    /// What was counted of `worker`, from the difference of two tallies.
    #[must_use]
    pub fn of(worker: &str, counted: &TallyState, in_flight: u32, report: Option<(&Report, Span)>) -> Self {
        let bucket = |(at, _): (usize, u64)| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            worker: worker.to_owned(),
            started: counted.started,
            failed: counted.failed,
            broken: counted.broken,
            unreached: counted.unreached,
            late: counted.late,
            buckets: counted.latency.filled().map(bucket).collect(),
            answers: counted.latency.filled().map(|(_, count)| count).collect(),
            latency_nanos: counted.latency.sum().as_nanos(),
            in_flight,
            report: report.map(|(report, age)| Reported::of(report, age)),
            breaker: None,
        }
    }

    /// The same, with what the worker's breaker does now.
    #[must_use]
    pub fn kept_out(self, state: BreakerState) -> Self {
        Self { breaker: Some(state as u32), ..self }
    }

    /// What its breaker does, where that is said.
    ///
    /// # Errors
    /// A number that is no state.
    pub fn breaker_state(&self) -> Result<Option<BreakerState>, u32> {
        let states = [BreakerState::Closed, BreakerState::Ramping, BreakerState::Probing, BreakerState::Open];
        let state = |number: u32| states.into_iter().find(|state| *state as u32 == number).ok_or(number);
        self.breaker.map(state).transpose()
    }

    /// The difference that it was made of; `None` when there are no such buckets, or more was counted than a gateway can.
    #[must_use]
    pub fn counted(&self) -> Option<TallyState> {
        let all = [self.started, self.failed, self.broken, self.unreached, self.late];
        if self.buckets.len() != self.answers.len() || self.in_flight > MOST_IN_FLIGHT {
            return None;
        }
        if all.into_iter().chain(self.answers.iter().copied()).any(|count| count > MOST_COUNT) {
            return None;
        }
        let filled = self.buckets.iter().map(|at| *at as usize).zip(self.answers.iter().copied());
        let latency = Histogram::of_filled(filled, Span::from_nanos(self.latency_nanos))?;
        let Self { started, failed, broken, unreached, late, .. } = *self;
        Some(TallyState { latency, failed, broken, unreached, late, started })
    }
}

impl Reported {
    fn of(report: &Report, age: Span) -> Self {
        let millis = |span: Option<Span>| span.map(|span| span.as_secs_f64() * 1e3);
        Self {
            age_nanos: age.as_nanos(),
            in_flight: report.in_flight.map(f64::from),
            queue: report.queue.map(f64::from),
            mean_ms: millis(report.mean),
            p50_ms: millis(report.p50),
            p95_ms: millis(report.p95),
            p99_ms: millis(report.p99),
            rate: report.rate,
            errors: report.errors.map(ambidex_core::share::Share::get),
            utilization: report.utilization,
            cpu: report.cpu,
            memory: report.memory,
            limit: report.limit.map(f64::from),
            accepting: report.accepting,
            sequence: report.sequence,
        }
    }

    /// How long ago it came to the gateway.
    #[must_use]
    pub fn age(&self) -> Span {
        Span::from_nanos(self.age_nanos)
    }

    /// The report, checked like one that came from the worker itself.
    ///
    /// # Errors
    /// What no worker can have.
    pub fn report(&self) -> Result<Report, ReportFault> {
        Report::check(&RawReport {
            in_flight: self.in_flight,
            queue: self.queue,
            mean_ms: self.mean_ms,
            p50_ms: self.p50_ms,
            p95_ms: self.p95_ms,
            p99_ms: self.p99_ms,
            rate: self.rate,
            errors: self.errors,
            utilization: self.utilization,
            cpu: self.cpu,
            memory: self.memory,
            limit: self.limit,
            accepting: self.accepting,
            sequence: self.sequence,
        })
    }
}

/// More in one beat is no count. Source: ours, a hundred million requests a second for ten minutes.
pub(super) const MOST_COUNT: u64 = 60_000_000_000;
/// More at once to one worker from one gateway is no count. Source: the bound of a report's in-flight count.
const MOST_IN_FLIGHT: u32 = 1_000_000;
