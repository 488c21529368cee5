//! The metrics by name: what a goal of a scenario is about, and what a comparison lists.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::figures::{Figures, Reached};

/// One number of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Median latency.
    P50,
    /// 90th percentile.
    P90,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
    /// 99.9th percentile.
    P999,
    /// 99th percentile at the workers that the event hits.
    P99OfHit,
    /// Requests answered well and in time, per second.
    Goodput,
    /// Share of requests that failed.
    Failed,
    /// Requests that took longer than the objective.
    OverSlo,
    /// Coefficient of variation of the workers' utilization.
    UtilizationCv,
    /// When the shares had converged.
    Convergence,
    /// When the weights had settled.
    Settled,
    /// When 90 % of the excess share was gone.
    Shift90,
    /// When the weights had begun to fall.
    Detection,
    /// When answers came in time again.
    Recovery,
    /// How far the weights move after convergence.
    Oscillation,
    /// How often they turn.
    Turns,
    /// Whether gateways act as one.
    Herd,
    /// Share of requests that another zone served.
    Spilled,
    /// Tries over requests.
    Amplification,
    /// Cores that the busiest gateway used.
    Cores,
}

/// Which way a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The less the better.
    Lower,
    /// The more the better.
    Higher,
}

impl Metric {
    /// All of them, in the order of a report: convergence first.
    pub const ALL: [Self; 21] = [
        Self::Convergence,
        Self::Settled,
        Self::Shift90,
        Self::Detection,
        Self::Recovery,
        Self::P50,
        Self::P90,
        Self::P95,
        Self::P99,
        Self::P999,
        Self::P99OfHit,
        Self::Goodput,
        Self::Failed,
        Self::OverSlo,
        Self::UtilizationCv,
        Self::Oscillation,
        Self::Turns,
        Self::Herd,
        Self::Spilled,
        Self::Amplification,
        Self::Cores,
    ];

    /// The word in files.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::P99OfHit => "p99_of_hit",
            Self::Goodput => "goodput",
            Self::Failed => "failed",
            Self::OverSlo => "over_slo",
            Self::UtilizationCv => "utilization_cv",
            Self::Convergence => "convergence",
            Self::Settled => "settled",
            Self::Shift90 => "shift_90",
            Self::Detection => "detection",
            Self::Recovery => "recovery",
            Self::Oscillation => "oscillation",
            Self::Turns => "turns",
            Self::Herd => "herd",
            Self::Spilled => "spilled",
            Self::Amplification => "amplification",
            Self::Cores => "cores",
        }
    }

    /// What it is, for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::P50 | Self::P90 | Self::P95 | Self::P99 | Self::P999 => self.word(),
            Self::P99OfHit => "p99 of those hit",
            Self::Goodput => "goodput",
            Self::Failed => "failed",
            Self::OverSlo => "requests over SLO",
            Self::UtilizationCv => "CV of utilization",
            Self::Convergence => "shares converged",
            Self::Settled => "weights settled",
            Self::Shift90 => "90 % shifted",
            Self::Detection => "detected",
            Self::Recovery => "recovered",
            Self::Oscillation => "oscillation",
            Self::Turns => "turns a minute",
            Self::Herd => "herd index",
            Self::Spilled => "spilled to other zones",
            Self::Amplification => "amplification",
            Self::Cores => "cores used",
        }
    }

    /// A value as people read it, without its unit.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        if value.is_infinite() {
            return "never".to_owned();
        }
        match self {
            Self::P50 | Self::P90 | Self::P95 | Self::P99 | Self::P999 | Self::P99OfHit if value < 100.0 => {
                format!("{value:.2}")
            }
            Self::P50 | Self::P90 | Self::P95 | Self::P99 | Self::P999 | Self::P99OfHit => format!("{value:.0}"),
            Self::Goodput => format!("{value:.1}"),
            Self::Failed => format!("{:.3}", value * 100.0),
            Self::Spilled => format!("{:.1}", value * 100.0),
            Self::OverSlo => format!("{value:.0}"),
            Self::Convergence | Self::Settled | Self::Shift90 | Self::Detection | Self::Recovery => {
                format!("{value:.1}")
            }
            Self::UtilizationCv | Self::Oscillation | Self::Herd | Self::Amplification => format!("{value:.3}"),
            Self::Turns => format!("{value:.1}"),
            Self::Cores => format!("{value:.2}"),
        }
    }

    /// Its unit; empty for a bare number.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::P50 | Self::P90 | Self::P95 | Self::P99 | Self::P999 | Self::P99OfHit => "ms",
            Self::Goodput => "/s",
            Self::Failed | Self::Spilled => "%",
            Self::Convergence | Self::Settled | Self::Shift90 | Self::Detection | Self::Recovery => "s",
            Self::OverSlo
            | Self::UtilizationCv
            | Self::Oscillation
            | Self::Turns
            | Self::Herd
            | Self::Amplification
            | Self::Cores => "",
        }
    }

    /// Which way is better.
    #[must_use]
    pub const fn better(self) -> Better {
        if matches!(self, Self::Goodput) { Better::Higher } else { Better::Lower }
    }

    /// Whether it says nothing when the generator fell behind: all that is counted in time does.
    #[must_use]
    pub const fn needs_the_rate_held(self) -> bool {
        !matches!(self, Self::Failed | Self::Amplification)
    }

    /// Its value, in [`unit`](Self::unit), a share as a part of 1; a time that was never reached is infinite. `None` where it means nothing.
    #[must_use]
    pub fn of(self, figures: &Figures) -> Option<f64> {
        let latency = &figures.latency;
        match self {
            Self::P50 => Some(latency.p50_ms),
            Self::P90 => Some(latency.p90_ms),
            Self::P95 => Some(latency.p95_ms),
            Self::P99 => Some(latency.p99_ms),
            Self::P999 => Some(latency.p999_ms),
            Self::P99OfHit => figures.latency_of_hit.map(|latency| latency.p99_ms),
            Self::Goodput => Some(figures.goodput),
            Self::Failed => Some(figures.failed),
            Self::OverSlo => Some(figures.over_slo as f64),
            Self::UtilizationCv => figures.utilization_cv,
            Self::Convergence => figures.converged.map(Reached::seconds),
            Self::Settled => figures.settled.map(Reached::seconds),
            Self::Shift90 => figures.shift_90.map(Reached::seconds),
            Self::Detection => figures.detected.map(Reached::seconds),
            Self::Recovery => figures.recovered.map(Reached::seconds),
            Self::Oscillation => figures.oscillation.map(|swing| swing.path),
            Self::Turns => figures.oscillation.map(|swing| swing.turns_per_minute),
            Self::Herd => figures.herd,
            Self::Spilled => figures.spilled,
            Self::Amplification => figures.amplification,
            Self::Cores => figures.cores,
        }
    }
}

/// Why a text names no metric.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a metric: write one of {}", words())]
pub struct MetricError {
    text: String,
}

fn words() -> String {
    Metric::ALL.map(Metric::word).join(", ")
}

impl FromStr for Metric {
    type Err = MetricError;

    fn from_str(text: &str) -> Result<Self, MetricError> {
        Self::ALL.into_iter().find(|metric| metric.word() == text).ok_or_else(|| MetricError { text: text.into() })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_reads_back_by_its_word_and_another_word_is_told_which_there_are() {
        for metric in Metric::ALL {
            assert_eq!(metric.word().parse(), Ok(metric));
        }
        let error = "p98".parse::<Metric>().expect_err("no such metric");
        assert!(error.to_string().contains("shift_90"), "{error}");
    }

    #[test]
    fn what_never_happened_is_worse_than_any_bound() {
        let figures = Figures { shift_90: Some(Reached::Never), ..Figures::default() };
        assert_eq!(Metric::Shift90.of(&figures), Some(f64::INFINITY));
        assert_eq!(Metric::Settled.of(&figures), None, "no weights were seen");
    }
}
