//! What a review tells of itself: every transition with who made it and why, as data; sentences are made of it here and nowhere else.

use alloc::format;
use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::abort::Abort;
use super::action::Action;
use super::look::Became;
use super::{Moment, Step};

/// Who made a transition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Who {
    /// A person, by the name that was given.
    Person(String),
    /// A diagnosis.
    Doctor,
    /// What carries changes out, and looks at what they do.
    Carrier,
    /// A deadline.
    Clock,
    /// Trust that changes of this kind have earned.
    Trust,
}

/// One transition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub at: Moment,
    /// Who made it.
    pub by: Who,
    /// From where; `None`: the first.
    pub from: Option<Step>,
    /// To where.
    pub to: Step,
    /// Why.
    pub why: Reason,
}

/// Why a transition was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// The doctor found it.
    Found,
    /// This is thought to be the cause.
    Supposed {
        /// Which.
        cause: String,
        /// Why.
        why: String,
    },
    /// An experiment is to show it.
    Trying {
        /// What is done.
        what: String,
    },
    /// An experiment showed it.
    Tried {
        /// What was measured.
        r: f64,
        /// What that says.
        shown: Shown,
    },
    /// An experiment was given up.
    GivenUp {
        /// Why.
        why: String,
    },
    /// A change is proposed.
    Proposed {
        /// Which.
        action: Action,
    },
    /// It may be made.
    Approved {
        /// Why.
        why: String,
    },
    /// It may be made: so many like it did what was predicted.
    Trusted {
        /// How many.
        succeeded: u32,
        /// Of how many.
        of: u32,
    },
    /// It is not to be made.
    Rejected {
        /// Why.
        why: String,
    },
    /// Nobody approved it, or carried it out, in time.
    Expired,
    /// It is being made.
    Begun,
    /// A person made it.
    DoneByHand {
        /// What they say.
        why: String,
    },
    /// The canary's next step.
    Further {
        /// The part of the change that is in force, of `0..=1`.
        part: f64,
    },
    /// The canary went well.
    Borne {
        /// Looks that it was judged by.
        looks: u32,
    },
    /// It is taken back.
    Aborted {
        /// For what.
        why: Abortion,
    },
    /// It is closed.
    Closed {
        /// With what.
        outcome: Outcome,
    },
}

/// What an experiment says of its hypothesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shown {
    /// It is so.
    Confirmed,
    /// It is not.
    Refuted,
    /// Between both.
    Unclear,
}

/// Why a change is taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Abortion {
    /// A condition of the proposal held twice.
    Condition {
        /// Which.
        abort: Abort,
    },
    /// Nothing more was seen of it, so it cannot be judged.
    Silence,
    /// A person wants it.
    Ordered {
        /// Why.
        why: String,
    },
    /// At the end of the watch more lay unevenly than before.
    Worsened,
    /// It could not be made.
    NotMade {
        /// Why.
        why: String,
    },
}

/// With what a review is closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The change stayed, and this became of the load.
    Watched {
        /// Of the whole vector.
        became: Became,
    },
    /// The change was taken back.
    RolledBack {
        /// Why.
        why: Abortion,
    },
    /// The change stayed, and nobody looked at what it did.
    Unmeasured,
    /// The finding went by itself.
    Passed,
    /// The finding is none.
    Noise {
        /// Why.
        why: String,
    },
    /// It is so, and stays so.
    Accepted {
        /// Why.
        why: String,
    },
}

impl Outcome {
    /// One word, for lists.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Watched { became: Became::Even } => "mended",
            Self::Watched { became: Became::Better } => "better",
            Self::Watched { became: Became::Moved } => "moved",
            Self::Watched { became: Became::Same } => "unchanged",
            Self::Watched { became: Became::Worse } => "worse",
            Self::RolledBack { .. } => "rolled back",
            Self::Unmeasured => "unmeasured",
            Self::Passed => "passed",
            Self::Noise { .. } => "noise",
            Self::Accepted { .. } => "accepted",
        }
    }

    /// Whether the load lies better because of what was done.
    #[must_use]
    pub const fn helped(&self) -> bool {
        matches!(self, Self::Watched { became: Became::Even | Became::Better })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Watched { became } => f.write_str(match became {
                Became::Even => "mended: no node has much more than its part",
                Became::Better => "better: much less lies unevenly than before",
                Became::Moved => "moved: other nodes have now what these had",
                Became::Same => "unchanged",
                Became::Worse => "worse than before",
            }),
            Self::RolledBack { why } => write!(f, "rolled back: {why}"),
            Self::Unmeasured => f.write_str("unmeasured: the change stayed, and nobody looked at what it did"),
            Self::Passed => f.write_str("passed: it went by itself"),
            Self::Noise { why } => write!(f, "noise: {why}"),
            Self::Accepted { why } => write!(f, "accepted as it is: {why}"),
        }
    }
}

impl fmt::Display for Abortion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition { abort } => write!(f, "{abort}"),
            Self::Silence => f.write_str("nothing more was seen of it"),
            Self::Ordered { why } => write!(f, "ordered: {why}"),
            Self::Worsened => f.write_str("more lay unevenly than before"),
            Self::NotMade { why } => write!(f, "it could not be made: {why}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found => f.write_str("found"),
            Self::Supposed { cause, why } if why.is_empty() => write!(f, "supposed: {cause}"),
            Self::Supposed { cause, why } => write!(f, "supposed: {cause}, because {why}"),
            Self::Trying { what } => write!(f, "experiment: {what}"),
            Self::Tried { r, shown } => write!(f, "experiment: r was {r:.2}, {shown}"),
            Self::GivenUp { why } => write!(f, "experiment given up: {why}"),
            Self::Proposed { action } => write!(f, "proposed: {action}"),
            Self::Approved { why } if why.is_empty() => f.write_str("approved"),
            Self::Approved { why } => write!(f, "approved: {why}"),
            Self::Trusted { succeeded, of } => {
                write!(f, "approved by trust: {succeeded} of {of} such changes did what was predicted")
            }
            Self::Rejected { why } => write!(f, "rejected: {why}"),
            Self::Expired => f.write_str("expired: it was not carried out in time"),
            Self::Begun => f.write_str("begun"),
            Self::DoneByHand { why } if why.is_empty() => f.write_str("done by hand"),
            Self::DoneByHand { why } => write!(f, "done by hand: {why}"),
            Self::Further { part } => write!(f, "{:.0} % of the change is in force", part * 100.0),
            Self::Borne { looks } => write!(f, "borne, by {looks} looks: it is watched from here on"),
            Self::Aborted { why } => write!(f, "to be taken back: {why}"),
            Self::Closed { outcome } => write!(f, "{outcome}"),
        }
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Confirmed => "as it should be",
            Self::Refuted => "so it is not this",
            Self::Unclear => "which shows nothing",
        })
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Person(name) => f.write_str(name),
            Self::Doctor => f.write_str("the doctor"),
            Self::Carrier => f.write_str("carry-out"),
            Self::Clock => f.write_str("a deadline"),
            Self::Trust => f.write_str("trust"),
        }
    }
}

impl Transition {
    /// In a line, without its time.
    #[must_use]
    pub fn sentence(&self) -> String {
        format!("{}: {} ({})", self.to, self.why, self.by)
    }
}
