//! The names that numbers of a report go by, in whatever form it came.
//!
//! A name that is not here is no fault: reports may say more than we use. A field that is said twice is one, because
//! either number could be meant.

use ambidex_core::signal::{RawReport, Report, ReportFault};
use ambidex_core::time::Span;

/// One number of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Requests being served.
    InFlight,
    /// Requests waiting.
    Queue,
    /// Mean latency, ms.
    Mean,
    /// Median latency, ms.
    P50,
    /// 95th percentile of latency, ms.
    P95,
    /// 99th percentile of latency, ms.
    P99,
    /// Requests a second.
    Rate,
    /// Share of requests that failed.
    Errors,
    /// The application's utilization.
    Utilization,
    /// Processor utilization.
    Cpu,
    /// Memory utilization.
    Memory,
    /// Requests at once that it can serve.
    Limit,
    /// Whether it wants new requests; 0 or 1 where a form has only numbers.
    Accepting,
    /// The worker's own count of its reports.
    Sequence,
}

impl Field {
    /// All fields, in the order in which writers write them.
    pub const ALL: [Self; 14] = [
        Self::InFlight,
        Self::Queue,
        Self::Mean,
        Self::P50,
        Self::P95,
        Self::P99,
        Self::Rate,
        Self::Errors,
        Self::Utilization,
        Self::Cpu,
        Self::Memory,
        Self::Limit,
        Self::Accepting,
        Self::Sequence,
    ];

    /// The name that we write.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InFlight => "in_flight",
            Self::Queue => "queue",
            Self::Mean => "mean_ms",
            Self::P50 => "p50_ms",
            Self::P95 => "p95_ms",
            Self::P99 => "p99_ms",
            Self::Rate => "rate",
            Self::Errors => "err",
            Self::Utilization => "util",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Limit => "limit",
            Self::Accepting => "accepting",
            Self::Sequence => "sequence",
        }
    }

    /// The field of this name, ours or one that others use for the same number in the same unit.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "in_flight" | "current_load" | "connections" | "active_connections" => Self::InFlight,
            "queue" | "queue_depth" => Self::Queue,
            "mean_ms" | "average_latency_ms" => Self::Mean,
            "p50_ms" => Self::P50,
            "p95_ms" => Self::P95,
            "p99_ms" => Self::P99,
            "rate" | "rps" => Self::Rate,
            "err" | "errors" | "error_rate" => Self::Errors,
            "util" | "utilization" => Self::Utilization,
            "cpu" => Self::Cpu,
            "memory" | "mem" => Self::Memory,
            "limit" | "max_capacity" => Self::Limit,
            "accepting" => Self::Accepting,
            "sequence" | "seq" => Self::Sequence,
            _ => return None,
        })
    }

    /// What a checked report says in this field, in the field's unit.
    #[must_use]
    pub fn of(self, report: &Report) -> Option<f64> {
        let millis = |span: Option<Span>| span.map(|span| span.as_nanos() as f64 / 1e6);
        match self {
            Self::InFlight => report.in_flight.map(f64::from),
            Self::Queue => report.queue.map(f64::from),
            Self::Mean => millis(report.mean),
            Self::P50 => millis(report.p50),
            Self::P95 => millis(report.p95),
            Self::P99 => millis(report.p99),
            Self::Rate => report.rate,
            Self::Errors => report.errors.map(ambidex_core::share::Share::get),
            Self::Utilization => report.utilization,
            Self::Cpu => report.cpu,
            Self::Memory => report.memory,
            Self::Limit => report.limit.map(f64::from),
            Self::Accepting => report.accepting.map(|accepting| if accepting { 1.0 } else { 0.0 }),
            Self::Sequence => report.sequence.map(|sequence| sequence as f64),
        }
    }
}

/// A report while its form is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Draft {
    raw: RawReport,
    said: u16,
    failures: Option<f64>,
}

impl Draft {
    /// Takes a field's number; a second one for the same field is refused.
    pub(super) fn say(&mut self, field: Field, value: f64) -> Result<(), ReportFault> {
        let bit = 1_u16 << field as u16;
        if self.said & bit != 0 {
            return Err(ReportFault::Unreadable(format!("{} is given twice", field.name())));
        }
        self.said |= bit;
        self.put(field, value)
    }

    /// Takes a field's number in place of an earlier one, for forms in which the last one counts.
    pub(super) fn put(&mut self, field: Field, value: f64) -> Result<(), ReportFault> {
        let raw = &mut self.raw;
        match field {
            Field::InFlight => raw.in_flight = Some(value),
            Field::Queue => raw.queue = Some(value),
            Field::Mean => raw.mean_ms = Some(value),
            Field::P50 => raw.p50_ms = Some(value),
            Field::P95 => raw.p95_ms = Some(value),
            Field::P99 => raw.p99_ms = Some(value),
            Field::Rate => raw.rate = Some(value),
            Field::Errors => raw.errors = Some(value),
            Field::Utilization => raw.utilization = Some(value),
            Field::Cpu => raw.cpu = Some(value),
            Field::Memory => raw.memory = Some(value),
            Field::Limit => raw.limit = Some(value),
            Field::Accepting => raw.accepting = Some(truth(value)?),
            Field::Sequence => raw.sequence = Some(whole(value)?),
        }
        Ok(())
    }

    /// Failed requests a second, which some forms say instead of a share; turned into one by the rate.
    pub(super) fn failures(&mut self, a_second: f64) {
        self.failures = Some(a_second);
    }

    /// What was said, unchecked.
    pub(super) fn finish(mut self) -> RawReport {
        if let (None, Some(failures), Some(rate)) = (self.raw.errors, self.failures, self.raw.rate) {
            // Failures of nothing are no share. What is not a number stays so, for the check to name.
            let nothing = failures == 0.0 && rate == 0.0;
            self.raw.errors = Some(if nothing { 0.0 } else { failures / rate });
        }
        self.raw
    }
}

fn truth(value: f64) -> Result<bool, ReportFault> {
    match value {
        1.0 => Ok(true),
        0.0 => Ok(false),
        _ => Err(ReportFault::Absurd { field: "accepting", value, most: 1.0 }),
    }
}

fn whole(value: f64) -> Result<u64, ReportFault> {
    if !(0.0..=MOST_SEQUENCE).contains(&value) {
        return Err(ReportFault::Absurd { field: "sequence", value, most: MOST_SEQUENCE });
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked against MOST_SEQUENCE")]
    Ok(value as u64)
}

/// The largest whole number that an RFC 9651 integer holds, and below what a double holds exactly.
pub const MOST_SEQUENCE: f64 = 999_999_999_999_999.0;
