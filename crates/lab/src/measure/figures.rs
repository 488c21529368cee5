//! What a run came to: the numbers of a report, as they stand in its JSON.

use std::fmt;

use ambidex_core::time::Span;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::fate::Tallies;
use super::latency::Latency;

/// The figures of one run. Latencies are of the requests answered well, from the moment at which each was due.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// The time measured.
    pub seconds: f64,
    /// Requests that were due in it.
    pub requests: u64,
    /// Those answered with a status from 200 to 399.
    pub ok: u64,
    /// Requests answered well and in time, per second.
    pub goodput: f64,
    /// Requests that were not answered well, by kind.
    pub failures: Tallies,
    /// Their share of all.
    pub failed: f64,
    /// Requests that took longer than the objective, however they ended.
    pub over_slo: u64,
    /// Latencies.
    pub latency: Latency,
    /// Latencies of the requests that the workers answered which the event hits; absent without an event, and where they
    /// answered none well.
    pub latency_of_hit: Option<Latency>,
    /// By class of request, when there are several.
    pub classes: Vec<ClassFigures>,
    /// By worker.
    pub workers: Vec<WorkerFigures>,
    /// Coefficient of variation of the workers' utilization; absent when nobody said how busy they were.
    pub utilization_cv: Option<f64>,
    /// Convergence of the shares; absent without an event.
    pub converged: Option<Reached>,
    /// Convergence of the weights; absent without an event, or where there are no weights to see.
    pub settled: Option<Reached>,
    /// When 90 % of the excess share was gone; absent without an event that takes share from somebody.
    pub shift_90: Option<Reached>,
    /// When the weights of those hit were a tenth less; absent as `settled`.
    pub detected: Option<Reached>,
    /// When 95 % of the requests were answered well and in time again; absent without an event.
    pub recovered: Option<Reached>,
    /// What weights do when there is nothing left to do; absent where there are no weights to see.
    pub oscillation: Option<Oscillation>,
    /// Mean correlation between what gateways send: 0 independent, 1 one herd; absent with one gateway.
    pub herd: Option<f64>,
    /// Since the event, the share of the answered requests that a worker of another zone answered than they came from; absent
    /// where they come from none.
    #[serde(default)]
    pub spilled: Option<f64>,
    /// Tries that workers saw, over requests; absent when nobody counted them.
    pub amplification: Option<f64>,
    /// Cores that the gateways used, of the busiest of them; absent when nobody looked.
    pub cores: Option<f64>,
    /// How late the laboratory itself was; absent where it cannot be.
    pub lateness: Option<Lateness>,
    /// Why latencies say nothing of the target: the generator could not hold its rate.
    pub invalid: Option<String>,
    /// The run over time.
    pub series: Series,
}

/// How late generator and workers were against their own clocks, at the 99th percentile: what a busy machine adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lateness {
    /// A request was sent so much later than it was due.
    pub generator_ms: f64,
    /// A worker slept so much longer than it was to, the worst of them.
    pub workers_ms: f64,
}

/// One class of requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassFigures {
    /// Its name.
    pub name: String,
    /// Requests of it.
    pub requests: u64,
    /// Those that were not answered well.
    pub failed: u64,
    /// Its latencies.
    pub latency: Latency,
}

/// One worker.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerFigures {
    /// Its name.
    pub name: String,
    /// Requests that it answered.
    pub requests: u64,
    /// Those that it answered badly.
    pub failed: u64,
    /// Its share of all requests that a worker answered.
    pub share: f64,
    /// Its latencies, as clients saw them.
    pub latency: Latency,
    /// The share of its slots that was busy, over the run; absent when nobody said.
    pub utilization: Option<f64>,
}

/// How long after the event something held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// So long.
    After(Span),
    /// Not within the run.
    Never,
}

impl Reached {
    /// Seconds; never is infinite.
    #[must_use]
    pub fn seconds(self) -> f64 {
        match self {
            Self::After(span) => span.as_secs_f64(),
            Self::Never => f64::INFINITY,
        }
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(span) => write!(f, "{:.1} s", span.as_secs_f64()),
            Self::Never => f.write_str(NEVER),
        }
    }
}

/// In JSON: seconds, or the word `never`.
impl Serialize for Reached {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::After(span) => serializer.serialize_f64(span.as_secs_f64()),
            Self::Never => serializer.serialize_str(NEVER),
        }
    }
}

impl<'de> Deserialize<'de> for Reached {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Raw {
            Seconds(f64),
            Word(String),
        }
        match Raw::deserialize(deserializer)? {
            Raw::Seconds(seconds) => Ok(Self::After(Span::from_secs_f64(seconds))),
            Raw::Word(word) if word == NEVER => Ok(Self::Never),
            Raw::Word(word) => Err(de::Error::custom(format!("`{word}` is neither seconds nor `{NEVER}`"))),
        }
    }
}

const NEVER: &str = "never";

/// The oscillation index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Oscillation {
    /// The sum of all absolute steps of the weights after convergence, in shares of the pool.
    pub path: f64,
    /// Changes of the steps' sign a minute, of a worker on average.
    pub turns_per_minute: f64,
}

/// The run over time. Lists begin at the end of the warm-up and have one item a bin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// How wide a bin is.
    pub bin_s: f64,
    /// Requests answered well.
    pub ok: Vec<u32>,
    /// Requests that failed.
    pub failed: Vec<u32>,
    /// Requests that each worker answered, a list of bins for each worker; empty for pools too large to plot.
    pub by_worker: Vec<Vec<u32>>,
    /// How wide a step of the percentiles is: they need more requests than a bin has.
    pub latency_step_s: f64,
    /// Medians, in milliseconds; absent where nothing was answered well.
    pub p50_ms: Vec<Option<f64>>,
    /// 99th percentiles, in milliseconds.
    pub p99_ms: Vec<Option<f64>>,
    /// Weights, tick by tick.
    pub weights: Vec<WeightsAt>,
}

/// The weights from one moment on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WeightsAt {
    /// Seconds since the end of the warm-up.
    pub at_s: f64,
    /// Of each worker, as shares of their sum.
    pub shares: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_happened_is_told_by_that_word() {
        for (reached, json) in [(Reached::After(Span::from_millis(1_500)), "1.5"), (Reached::Never, "\"never\"")] {
            assert_eq!(serde_json::to_string(&reached).expect("JSON"), json);
            assert_eq!(serde_json::from_str::<Reached>(json).expect("reads back"), reached);
        }
        assert!(serde_json::from_str::<Reached>("\"soon\"").is_err());
    }
}
