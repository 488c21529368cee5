//! Failure modes of a whole pool: found by name, answered by a runbook [R-F1 to R-F7].
//!
//! ```text
//! Observation (one a tick) -> Past (averages, what is usual) -> signs of each mode -> Stage -> Finding
//!                                                                                       |
//!                        Tuning, quarantine <- actions that run by themselves <---------+--> Proposal -> an operator
//! ```
//! What a detector sees is what the coordinator sees anyway. A mode's signs are chosen so that the consequences of
//! another mode do not set them off; which sign separates which pair:
//!
//! | | herd | stale | cascade | oscillation | convoy | drift | overload |
//! |---|---|---|---|---|---|---|---|
//! | herd: one failed first, then the others together | | others fail, too | failures, not slowness | failures | failures | failures | what failed first still fails |
//! | stale: connections refused, no answer between | only this one | | no answer at all | not the weights | only this one | excluded from the paths | has no more usual load |
//! | cascade: slow beside others and beside itself, few failures | only this one | it answers | | no period | only this one | excluded from the paths | only this one |
//! | oscillation: weights repeat themselves | no failures | no failures | no lasting slowness | | answers follow requests | returns | no failures |
//! | convoy: answers stop and burst at most workers at once | no failures | answers in between | all alike | weights alike | | all alike | all is well in between |
//! | drift: a path's part of the requests beside what it is to get | no failures | paths of the well | paths of the well | weights rest | all alike | | no failures |
//! | overload: demand and workers are as before, failures or queues are not | nobody failed alone any more | all alike | all alike | failures | no bursts | all alike | |
//!
//! A row tells what a mode's signs are, and beside each other mode why its runs do not show them.

mod action;
mod bounds;
mod config;
mod finding;
mod handover;
mod lookout;
mod moved;
mod observation;
mod past;
mod signs;
mod stage;
#[cfg(test)]
mod tests;

use core::fmt;

use serde::{Deserialize, Serialize};

pub use action::{Action, Consent, Tuning};
pub use config::Runbooks;
pub use finding::{Evidence, Finding, Names, Trigger};
pub use handover::Handover;
pub use lookout::{Effect, Lookout, Measure, Proposal};
pub use moved::Moved;
pub use observation::{Counted, Observation, Swinging, WorkerTick};
pub use stage::{Stage, Timing};

/// A way in which a whole pool fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FailureMode {
    /// One worker failed, and what it had brings the others down together [R-F1].
    ThunderingHerd,
    /// A worker is up in our view, and takes no connections in fact [R-F2].
    StaleMetadata,
    /// A worker takes a multiple of what the others take, while it hardly fails [R-F3].
    CascadingTimeouts,
    /// Weights swing [R-F4].
    Oscillation,
    /// Requests wait behind one thing that all need, and come out together [R-F5].
    Convoy,
    /// Paths get another part of the requests than they are meant to get [R-F5].
    LateralDrift,
    /// Load stays after its trigger is gone [R-F5].
    MetastableOverload,
}

impl FailureMode {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::ThunderingHerd,
        Self::StaleMetadata,
        Self::CascadingTimeouts,
        Self::Oscillation,
        Self::Convoy,
        Self::LateralDrift,
        Self::MetastableOverload,
    ];

    /// The word for it: a metric's label, a key of the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::ThunderingHerd => "thundering_herd",
            Self::StaleMetadata => "stale_metadata",
            Self::CascadingTimeouts => "cascading_timeouts",
            Self::Oscillation => "oscillation",
            Self::Convoy => "convoy",
            Self::LateralDrift => "lateral_drift",
            Self::MetastableOverload => "metastable_overload",
        }
    }
}

impl fmt::Display for FailureMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ThunderingHerd => "thundering herd",
            Self::StaleMetadata => "stale metadata",
            Self::CascadingTimeouts => "cascading timeouts",
            Self::Oscillation => "oscillation",
            Self::Convoy => "convoy",
            Self::LateralDrift => "lateral drift",
            Self::MetastableOverload => "metastable overload",
        })
    }
}
