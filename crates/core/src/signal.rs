//! What a worker says of itself, once checked.
//!
//! A worker may lie, about itself only. So every number passes [`Report::check`] before anything else sees it: what is
//! not a number, negative or absurd makes the whole report unusable, is counted and named; nothing is repaired in
//! silence. How far a report is believed is decided later (`plan`), with its age at hand.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::share::Share;
use crate::time::Span;

/// One report of a worker [R-S1]. All fields are optional: a report says what its form can say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Report {
    /// Requests being served.
    pub in_flight: Option<u32>,
    /// Requests waiting at the worker.
    pub queue: Option<u32>,
    /// Mean latency over the worker's own window.
    pub mean: Option<Span>,
    /// Median latency.
    pub p50: Option<Span>,
    /// 95th percentile of latency.
    pub p95: Option<Span>,
    /// 99th percentile of latency.
    pub p99: Option<Span>,
    /// Requests a second, as the worker counts them.
    pub rate: Option<f64>,
    /// Share of requests that failed.
    pub errors: Option<Share>,
    /// Application's utilization; over 1 means overload.
    pub utilization: Option<f64>,
    /// Processor utilization; over 1 means overload.
    pub cpu: Option<f64>,
    /// Memory utilization. Not part of any score unless configured as the bottleneck.
    pub memory: Option<f64>,
    /// Requests at once that it can serve.
    pub limit: Option<u32>,
    /// Whether it wants new requests; silence means yes.
    pub accepting: Option<bool>,
    /// The worker's own count of its reports.
    pub sequence: Option<u64>,
}

/// A report as parsed, before anything is believed. Units are in the names.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of `Report`, unchecked")]
pub struct RawReport {
    pub in_flight: Option<f64>,
    pub queue: Option<f64>,
    pub mean_ms: Option<f64>,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub rate: Option<f64>,
    pub errors: Option<f64>,
    pub utilization: Option<f64>,
    pub cpu: Option<f64>,
    pub memory: Option<f64>,
    pub limit: Option<f64>,
    pub accepting: Option<bool>,
    pub sequence: Option<u64>,
}

/// Why a report was not used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReportFault {
    /// A field is not a number, negative, or beyond anything real.
    #[error("{field} = {value} is not a value a worker can have (0 to {most})")]
    Absurd {
        /// Which field.
        field: &'static str,
        /// What it said.
        value: f64,
        /// The largest value believed.
        most: f64,
    },
    /// The form could not be read at all.
    #[error("{0}")]
    Unreadable(String),
    /// Nothing in it that we know.
    #[error("no known field")]
    Empty,
}

impl Report {
    /// Checks every field of a parsed report.
    ///
    /// # Errors
    /// The first field that no worker can have, or no field at all.
    pub fn check(raw: &RawReport) -> Result<Self, ReportFault> {
        let report = Self {
            in_flight: count("in_flight", raw.in_flight)?,
            queue: count("queue", raw.queue)?,
            mean: millis("mean_ms", raw.mean_ms)?,
            p50: millis("p50_ms", raw.p50_ms)?,
            p95: millis("p95_ms", raw.p95_ms)?,
            p99: millis("p99_ms", raw.p99_ms)?,
            rate: within("rate", raw.rate, MOST_RATE)?,
            errors: within("errors", raw.errors, 1.0)?.map(Share::clamped),
            utilization: within("utilization", raw.utilization, MOST_UTILIZATION)?,
            cpu: within("cpu", raw.cpu, MOST_UTILIZATION)?,
            memory: within("memory", raw.memory, 1.0)?,
            limit: count("limit", raw.limit)?,
            accepting: raw.accepting,
            sequence: raw.sequence,
        };
        if report == Self::default() { Err(ReportFault::Empty) } else { Ok(report) }
    }
}

fn within(field: &'static str, value: Option<f64>, most: f64) -> Result<Option<f64>, ReportFault> {
    match value {
        Some(value) if !(0.0..=most).contains(&value) => Err(ReportFault::Absurd { field, value, most }),
        checked => Ok(checked),
    }
}

fn millis(field: &'static str, value: Option<f64>) -> Result<Option<Span>, ReportFault> {
    Ok(within(field, value, MOST_MILLIS)?.map(|millis| Span::from_secs_f64(millis / 1e3)))
}

fn count(field: &'static str, value: Option<f64>) -> Result<Option<u32>, ReportFault> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked against MOST_COUNT")]
    Ok(within(field, value, MOST_COUNT)?.map(|count| count as u32))
}

/// An hour: no request that matters to balancing takes longer.
const MOST_MILLIS: f64 = 3_600_000.0;
/// A million requests at one worker.
const MOST_COUNT: f64 = 1_000_000.0;
/// A hundred million requests a second from one worker.
const MOST_RATE: f64 = 1e8;
/// ORCA lets utilization exceed 1 in overload; a hundredfold is a unit mistaken for percent.
const MOST_UTILIZATION: f64 = 50.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_report_is_kept_as_it_is() {
        let raw = RawReport { in_flight: Some(3.0), p99_ms: Some(80.0), errors: Some(0.01), ..RawReport::default() };
        let report = Report::check(&raw).expect("sound");
        assert_eq!((report.in_flight, report.p99), (Some(3), Some(Span::from_millis(80))));
    }

    #[test]
    fn what_no_worker_can_have_is_refused_by_name() {
        for value in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            let raw = RawReport { queue: Some(value), ..RawReport::default() };
            assert!(matches!(Report::check(&raw), Err(ReportFault::Absurd { field: "queue", .. })), "{value}");
        }
    }

    #[test]
    fn a_report_that_says_nothing_is_no_report() {
        assert_eq!(Report::check(&RawReport::default()), Err(ReportFault::Empty));
    }
}
