//! The slow loop: once a tick, from what was seen of each worker to its weight, with a reason for each step.
//!
//! ```text
//! Seen (reports, own measurements, silence) -> rule (raw weight) -> guards -> weight -> next View
//!                                                    \______________ Decision ______________/
//! ```
//! Deterministic: the planner's state and one tick's input give the same decisions on any machine, so a journal of
//! inputs replays to the same weights.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::share::Share;
use crate::signal::Report;
use crate::time::Span;

/// What the planner sees of one worker at one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// The data plane's own measurements over the tick, when it sent the worker anything [R-S7].
    pub passive: Option<Passive>,
    /// The newest checked report.
    pub report: Option<Heard>,
    /// Age of the newest good answer that the data plane got from the worker.
    pub success_age: Option<Span>,
    /// Requests at once that the configuration says the worker can serve.
    pub declared_limit: Option<u32>,
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
}

/// The rule that gives raw weights. Named in the configuration as `weights:`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// What the configuration says, never changed [R-W6].
    #[default]
    Static,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Static => "static",
        })
    }
}

/// What may change a raw weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Never below this share of a fair share.
    Floor,
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Floor => "the floor",
        })
    }
}
