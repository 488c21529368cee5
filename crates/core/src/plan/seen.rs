//! What the planner sees of one worker at one tick: the journal's input record.
//!
//! Plain and small on purpose: these values, in this order, replayed through the planner, give the same decisions. So
//! nothing here is computed from a clock later than the tick, and nothing that a decision depends on is missing.

use serde::{Deserialize, Serialize};

use crate::share::Share;
use crate::signal::Report;
use crate::time::Span;
use crate::worker::Standing;

/// What the planner sees of one worker at one tick.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seen {
    /// The data plane's own measurements over the tick, when it sent the worker anything [R-S7].
    pub passive: Option<Passive>,
    /// The newest checked report.
    pub report: Option<Heard>,
    /// Age of the newest good answer that the data plane got from the worker.
    pub success_age: Option<Span>,
    /// Requests at once that the configuration says the worker can serve.
    pub declared_limit: Option<u32>,
    /// The weight that the configuration gives it; 1 when it says nothing. Under `static` that is its weight; a rule
    /// that learns takes an unknown worker for so many average ones.
    pub weight: f64,
    /// Whether it may get new requests at all.
    pub standing: Standing,
    /// Whether a breaker of the data plane keeps requests from it.
    pub kept_out: bool,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            passive: None,
            report: None,
            success_age: None,
            declared_limit: None,
            weight: 1.0,
            standing: Standing::Serving,
            kept_out: false,
        }
    }
}

impl Seen {
    /// The configured weight, as far as it is one.
    pub(crate) fn configured(&self) -> f64 {
        if self.weight.is_finite() { self.weight.clamp(0.0, MOST_WEIGHT) } else { 0.0 }
    }

    /// Whether it gave a good answer in the tick.
    pub(super) fn answered(&self) -> bool {
        self.passive.is_some_and(|own| own.samples > 0 && own.errors < Share::ALL)
    }

    /// Whether all of its tries of the tick failed.
    pub(super) fn failed_whole(&self) -> bool {
        self.passive.is_some_and(|own| own.samples > 0 && own.errors >= Share::ALL)
    }

    /// Whether the worker itself said that it wants nothing new. The word of one that reports only on its answers
    /// holds for `life`: it gets no request on whose answer it could take it back.
    pub(super) fn refuses(&self, life: Span) -> bool {
        self.report.is_some_and(|heard| {
            let holds = match heard.source {
                Source::Poll | Source::Heartbeat => true,
                Source::Piggyback => heard.age < life,
            };
            holds && heard.report.accepting == Some(false)
        })
    }
}

/// Own measurements of one worker over one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Passive {
    /// Tries answered a second.
    pub rate: f64,
    /// Share of the tick's ended tries that failed.
    pub errors: Share,
    /// Tries ended in the tick.
    pub samples: u64,
    /// Tries in flight at the tick.
    pub in_flight: u32,
    /// Mean latency to the answer's head.
    pub mean: Span,
    /// Median.
    pub p50: Span,
    /// 99th percentile.
    pub p99: Span,
}

/// A report as the coordinator holds it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    /// What it says.
    pub report: Report,
    /// How old it is, by the receiver's clock.
    pub age: Span,
    /// The source's own period; silence is counted in these.
    pub period: Span,
    /// How it came.
    pub source: Source,
}

/// How a report came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// In an answer's header or trailer [R-S4]; no traffic means no report, which is not silence.
    Piggyback,
    /// Fetched from the worker's endpoint [R-S2].
    Poll,
    /// Sent by the worker of itself, whether or not it has traffic [R-S3].
    Heartbeat,
}

/// Weights in a configuration lie in 0..=1000; source: validation of `weight:`, far beyond any real ratio.
const MOST_WEIGHT: f64 = 1_000.0;
