//! The slow loop: once a tick, from what was seen of each worker to its weight, with a reason for each step.
//!
//! ```text
//! Seen (reports, own measurements, silence) -> rule (raw weight) -> guards -> weight -> next View
//!                                                    \______________ Decision ______________/
//! ```
//! One rule a file in `rules`, one guard a file in `guards`; [`Planner`] is the machine that runs them, and the order
//! in which the guards act, with the reason for it, stands there.
//!
//! Deterministic: the planner's state and one tick's input give the same decisions on any machine, so a journal of
//! inputs replays to the same weights ([`replay`]).

mod average;
mod config;
mod event;
mod guards;
mod handover;
mod member;
mod observe;
mod planner;
mod publish;
mod rates;
mod replay;
mod reporting;
mod rules;
mod seen;
mod tempo;
mod terms;
#[cfg(test)]
mod tests;
mod watch;

use core::fmt;

use serde::{Deserialize, Serialize};

pub use config::{
    Hysteresis, Mode, Oscillation, PlanConfig, PlanConfigError, Reference, Settings, Silence, Slew, SlowStart, Window,
};
pub use event::{Command, Happening, PlanInput, PoolEvent};
pub(crate) use guards::oscillation::Swing as Eye;
pub use handover::Handover;
pub use planner::{Look, Planner};
pub use replay::{Difference, Replayed, replay};
pub use reporting::Reporting;
pub use seen::{Heard, Passive, Seen, Source};
pub use tempo::{Tempo, Tempos};
pub use terms::{Gauge, Terms};
pub use watch::{Configured, Held, Others, Watch, between};

/// The rule that gives raw weights. Named in the configuration as `weights:`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Requests a second at full utilization: what a worker can carry, whatever it carries now.
    #[default]
    Capacity,
    /// Capacity by Little's law at a target latency, less the load [R-W1].
    Headroom,
    /// A weighted sum of the scores of latency, errors and queue [R-W2].
    ScoreSum,
    /// The inverse of the product of latency, error and queue factors [R-W3].
    ScoreProduct,
    /// The inverse of the 99th percentile of latency [R-W4].
    TailLatency,
    /// Capacity, reduced while latency is over its target [R-W5].
    Throughput,
    /// What the configuration says, never changed [R-W6].
    Static,
}

impl Rule {
    /// Whether latency feeds the rule, so that its loop gain grows with load and smoothing must follow.
    const fn fed_by_latency(self) -> bool {
        match self {
            Self::Headroom | Self::ScoreSum | Self::ScoreProduct | Self::TailLatency | Self::Throughput => true,
            Self::Capacity | Self::Static => false,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Capacity => "capacity",
            Self::Headroom => "headroom",
            Self::ScoreSum => "score-sum",
            Self::ScoreProduct => "score-product",
            Self::TailLatency => "tail-latency",
            Self::Throughput => "throughput",
            Self::Static => "static",
        })
    }
}

/// What may change a raw weight, in the order in which they act.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// The share of the old weight that each new one keeps.
    Smoothing,
    /// A cut for slowness waits until it was wanted long enough.
    Hysteresis,
    /// Small changes are not made.
    Deadband,
    /// Bounded step of one tick.
    Slew,
    /// Failures act at once, whatever the rule.
    Errors,
    /// A joiner in a running pool gets its weight gradually.
    SlowStart,
    /// Missing reports.
    Silence,
    /// A worker that was silent gets its weight back gradually.
    Return,
    /// The worker says that it accepts nothing new.
    Refusal,
    /// Draining: an operator said so, or the worker left the pool.
    Drain,
    /// Its health checks fail.
    Health,
    /// Never below this share of a fair share.
    Floor,
    /// Never above the cap on estimated capacity or on the share of the pool.
    Cap,
    /// An operator fixed the weight.
    Pin,
    /// All weights of the pool stand still.
    Freeze,
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Smoothing => "smoothing",
            Self::Hysteresis => "hysteresis",
            Self::Deadband => "the deadband",
            Self::Slew => "the slew limit",
            Self::Errors => "the error guard",
            Self::SlowStart => "slow start",
            Self::Silence => "the silence guard",
            Self::Return => "the return ramp",
            Self::Refusal => "its refusal",
            Self::Drain => "draining",
            Self::Health => "its health checks",
            Self::Floor => "the floor",
            Self::Cap => "the cap",
            Self::Pin => "the pin",
            Self::Freeze => "the freeze",
        })
    }
}
