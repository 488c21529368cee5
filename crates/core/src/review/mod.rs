//! A review: what becomes of a finding, from the day it is found until what was learned of it is written down [D10 D12].
//!
//! ```text
//! Finding --suppose--> Hypothesis <--try, tried--> Experiment
//!    |                    |    ^
//!    +------ propose -----+    | rejected, expired
//!                         v    |
//!                       Proposal --approve--> Approval --begin--> Canary --borne--> Watch (48 h) --over--> Record
//!                                                |                   |                ^ |
//!                                                +---- done by hand -|----------------+ | aborted
//!                                                                    v aborted          v
//!                                                                  RollBack <-----------+ --rolled back--> Record
//! ```
//! | event | Finding | Hypothesis | Experiment | Proposal | Approval | Canary | RollBack | Watch | Record |
//! |---|---|---|---|---|---|---|---|---|---|
//! | `Round`, found | counted | counted | counted | counted | counted | counted | counted | a look | refused |
//! | `Round`, gone for 3 rounds and 48 h | Record | Record | counted | Record | counted | counted | counted | a look | refused |
//! | `Suppose` | Hypothesis | Hypothesis | refused | refused | refused | refused | refused | refused | refused |
//! | `Try` | refused | Experiment | refused | refused | refused | refused | refused | refused | refused |
//! | `Tried` | refused | refused | Hypothesis, or Finding if refuted | refused | refused | refused | refused | refused | refused |
//! | `GiveUp` | refused | refused | Hypothesis | refused | refused | refused | refused | refused | refused |
//! | `Propose` | Proposal, or Approval by trust | the same | refused | refused | refused | refused | refused | refused | refused |
//! | `Approve` | refused | refused | refused | Approval | refused | refused | refused | refused | refused |
//! | `Reject` | refused | refused | refused | Finding or Hypothesis | the same | refused | refused | refused | refused |
//! | `Begin` | refused | refused | refused | refused | Canary, if it is ours | refused | refused | refused | refused |
//! | `DoneByHand` | refused | refused | refused | refused | Watch, if it is not ours | refused | refused | refused | refused |
//! | `Look` | refused | refused | refused | refused | refused | Canary, Watch or RollBack | counted | Watch or RollBack | refused |
//! | `Abort` | refused | refused | refused | refused | refused | RollBack | refused | RollBack | refused |
//! | `RolledBack` | refused | refused | refused | refused | refused | refused | Record | refused | refused |
//! | `Close` | Record | Record | Record | Record | Record | refused | refused | refused | refused |
//! | `Due` | - | - | - | expired: Finding or Hypothesis | the same | silent: RollBack | `Undo` again | over: Record or RollBack | - |
//!
//! What is refused changes nothing and says why; what a deadline would have done before is done first. **A dry run is no event**: it shows what [`Proposal`] says and changes nothing, so no
//! step asks for approval of it.
//!
//! A review outlives processes and machines, and its watch takes two days: no monotonic clock goes so far. It goes by [`Moment`]s of the
//! shell's wall clock, and minds that those jump: time here never goes back, and what is in force without being seen is taken back. No
//! weight is decided by it; what a weight does in seconds is seen by looks, and those are counted.

mod abort;
mod action;
mod change;
mod check;
mod kept;
mod look;
mod machine;
mod proposal;
mod read;
mod subject;
mod told;
mod trust;

#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

pub use abort::Abort;
pub use action::{Action, ActionClass};
pub use kept::Kept;
pub use look::{Became, HOT, Look, MOST_NODES, Part, Shift};
pub use proposal::{Blast, Draft, Expected, Predicted, Proposal, ProposalError};
pub use read::{Calibrated, Compared};
pub use subject::{Pattern, Subject};
pub use told::{Abortion, Outcome, Reason, Shown, Transition, Who};
pub use trust::Trust;

use crate::time::Span;

/// A moment by the shell's wall clock: milliseconds since 1970, by UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub u64);

/// A review's number in its folder, from 1 on; written `R1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Number(pub u32);

/// Where a review is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Found, and nothing is thought of it.
    Finding,
    /// A cause is supposed.
    Hypothesis,
    /// An experiment is to show it.
    Experiment,
    /// A change is proposed.
    Proposal,
    /// It may be made.
    Approval,
    /// It is made step by step, and looked at.
    Canary,
    /// It is taken back.
    RollBack,
    /// It is made, and watched.
    Watch,
    /// Closed.
    Record,
}

/// What would show whether a hypothesis is right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// What to do.
    pub what: String,
    /// The foremost node's relative load then, if it is so.
    pub predicted_r: f64,
    /// What it stays at if it is not.
    pub else_r: f64,
}

/// Where a review is, with what belongs to it there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
enum Stage {
    Finding,
    Hypothesis,
    Experiment { trial: Trial },
    Proposal { until: Moment },
    Approval { until: Moment },
    Canary { part: u8, since: Moment, seen: u32, silent_at: Moment },
    RollBack { why: Abortion, again: Moment },
    Watch { until: Moment },
    Record { at: Moment, outcome: Outcome },
}

/// How often a finding was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rounds {
    /// First.
    pub first: Moment,
    /// Last.
    pub last: Moment,
    /// How often.
    pub found: u32,
    /// How often its group was judged since, without it.
    pub missed: u32,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A diagnosis judged the group.
    Round {
        /// Whether it found this.
        found: bool,
        /// What it saw of all nodes.
        look: Option<Look>,
    },
    /// A cause is supposed.
    Suppose {
        /// Who supposes it.
        by: Who,
        /// Which.
        cause: String,
        /// Why.
        why: String,
    },
    /// An experiment is made.
    Try {
        /// Who makes it.
        by: Who,
        /// Which.
        trial: Trial,
    },
    /// An experiment was made.
    Tried {
        /// Who says so.
        by: Who,
        /// The foremost node's relative load meanwhile.
        r: f64,
    },
    /// An experiment is not made, or nobody could measure it.
    GiveUp {
        /// Who says so.
        by: Who,
        /// Why.
        why: String,
    },
    /// A change is proposed.
    Propose {
        /// Who proposes it.
        by: Who,
        /// Which.
        proposal: Proposal,
        /// What changes of its kind have earned, where it may go without a person; `None`: a person is to approve it.
        trust: Option<Trust>,
    },
    /// It may be made.
    Approve {
        /// Who says so.
        by: Who,
        /// Why.
        why: String,
    },
    /// It is not to be made.
    Reject {
        /// Who says so.
        by: Who,
        /// Why.
        why: String,
    },
    /// Make it, beside this look.
    Begin {
        /// Who carries it out.
        by: Who,
        /// How it is before.
        before: Look,
    },
    /// A person made it.
    DoneByHand {
        /// Who.
        by: Who,
        /// What they say.
        why: String,
        /// How it was before, where that is known; else the newest look holds.
        before: Option<Look>,
    },
    /// How it is now.
    Look(Look),
    /// Take it back.
    Abort {
        /// Who says so.
        by: Who,
        /// Why.
        why: Abortion,
    },
    /// It is taken back.
    RolledBack {
        /// Who did.
        by: Who,
    },
    /// Nothing more is to be done.
    Close {
        /// Who says so.
        by: Who,
        /// With what: noise or accepted.
        outcome: Outcome,
    },
    /// Time has passed.
    Due,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Put this part of the change in force, of `0..=1`.
    Apply {
        /// How much of the way.
        part: f64,
    },
    /// Take it back; `RolledBack` is the answer.
    Undo,
    /// It is closed: keep what was learned.
    Learn(Pattern),
}

/// Why an event changed nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// It does not fit where the review is.
    #[error("{number} is at {step}: {event}")]
    Step {
        /// Which review.
        number: Number,
        /// Where it is.
        step: Step,
        /// When that can be done.
        event: &'static str,
    },
    /// What was seen is no look.
    #[error("a look at no node, or with numbers that are none")]
    Look,
    /// The change is not one that can be made so.
    #[error("{0}")]
    Other(&'static str),
    /// A text that is too long.
    #[error("a text of {0} bytes: at most {most} are kept", most = proposal::MOST_TEXT)]
    Long(usize),
}

/// What becomes of one finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Review {
    number: Number,
    subject: Subject,
    /// The review of the same finding that was closed before this one began.
    again_after: Option<Number>,
    stage: Stage,
    /// Time never goes back behind this.
    now: Moment,
    rounds: Rounds,
    cause: Option<String>,
    confirmed: bool,
    refuted: Vec<String>,
    proposal: Option<Proposal>,
    before: Option<Look>,
    /// Whether a condition held in the newest look.
    doubt: Option<Abort>,
    looks: Kept<Look, MOST_LOOKS>,
    history: Kept<Transition, MOST_HISTORY>,
}

impl Moment {
    /// So much later.
    #[must_use]
    pub const fn after(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.as_millis()))
    }

    /// How long ago another one was; zero when it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "R{}", self.0)
    }
}

impl Step {
    /// All of them, in their order.
    pub const ALL: [Self; 9] = [
        Self::Finding,
        Self::Hypothesis,
        Self::Experiment,
        Self::Proposal,
        Self::Approval,
        Self::Canary,
        Self::RollBack,
        Self::Watch,
        Self::Record,
    ];
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Finding => "finding",
            Self::Hypothesis => "hypothesis",
            Self::Experiment => "experiment",
            Self::Proposal => "proposal",
            Self::Approval => "approval",
            Self::Canary => "canary",
            Self::RollBack => "rollback",
            Self::Watch => "watch",
            Self::Record => "record",
        })
    }
}

/// Looks that are kept of a review. Source: ours; with 256 nodes in each they are a third of the store's 1 MiB for a value.
pub const MOST_LOOKS: usize = 10;
/// Transitions that are kept of a review. Source: ours; a dozen is usual.
pub const MOST_HISTORY: usize = 64;
