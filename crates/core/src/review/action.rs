//! What a review changes: a weight or where requests go, which Ambidex does itself, or something that people do; each with what undoes it.

use alloc::format;
use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::proposal::{MOST_TEXT, ProposalError};

/// What is to be changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    /// A worker's weight in a pool of a coordinator, in fair shares: Ambidex can do it, and undo it.
    Weight {
        /// The pool.
        pool: String,
        /// The worker.
        worker: String,
        /// What it is.
        from: f64,
        /// Whether that is an operator's: then it is put back, else the loop decides again.
        pinned: bool,
        /// What it is to be.
        to: f64,
    },
    /// Requests of a pool go to the others: its worker is drained. Ambidex can do it, and undo it.
    Drain {
        /// The pool.
        pool: String,
        /// The worker.
        worker: String,
        /// Its weight until then, in fair shares: half of it goes first.
        from: f64,
        /// Whether that is an operator's: then it is put back, else the loop decides again.
        pinned: bool,
    },
    /// Something that people do.
    ByHand {
        /// What kind of change.
        class: ActionClass,
        /// What to do.
        what: String,
        /// How it is undone.
        undo: String,
    },
}

/// Kinds of changes: trust is earned by each on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionClass {
    /// A weight.
    Weight,
    /// Where requests go: who gets any at all.
    Routing,
    /// Another setting.
    Configuration,
    /// Code.
    Code,
    /// What is where.
    Architecture,
}

impl Action {
    /// Its kind.
    #[must_use]
    pub const fn class(&self) -> ActionClass {
        match self {
            Self::Weight { .. } => ActionClass::Weight,
            Self::Drain { .. } => ActionClass::Routing,
            Self::ByHand { class, .. } => *class,
        }
    }

    /// Whether Ambidex can do it.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        match self {
            Self::Weight { .. } | Self::Drain { .. } => true,
            Self::ByHand { .. } => false,
        }
    }

    pub(super) fn check(&self) -> Result<(), ProposalError> {
        let text = |what: &'static str, text: &str| match text.len() {
            0 => Err(ProposalError::Empty(what)),
            given if given > MOST_TEXT => Err(ProposalError::Long { what, most: MOST_TEXT, given }),
            _ => Ok(()),
        };
        match self {
            Self::Weight { pool, worker, from, to, .. } => {
                text("the pool", pool)?;
                text("the worker", worker)?;
                if !(WEIGHTS.0..=WEIGHTS.1).contains(to) {
                    return Err(ProposalError::Weight(*to));
                }
                if (from - to).abs() < 1e-6 { Err(ProposalError::Nothing(*to)) } else { Ok(()) }
            }
            Self::Drain { pool, worker, from, .. } => {
                text("the pool", pool)?;
                text("the worker", worker)?;
                // Who weighs nothing gets nothing already, and there is no half of it to begin with.
                if (WEIGHTS.0..=WEIGHTS.1).contains(from) { Ok(()) } else { Err(ProposalError::Weight(*from)) }
            }
            Self::ByHand { what, undo, .. } => {
                text("what is to be done", what)?;
                text("how it is undone", undo)
            }
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weight { pool, worker, from, to, .. } => {
                write!(f, "weight of {worker} in pool {pool}: {from:.2} -> {to:.2} fair shares")
            }
            Self::Drain { pool, worker, .. } => {
                write!(f, "drain of {worker} in pool {pool}: its requests go to the others")
            }
            Self::ByHand { what, .. } => f.write_str(what),
        }
    }
}

impl Action {
    /// What undoes it, in words.
    #[must_use]
    pub fn undone(&self) -> String {
        match self {
            Self::Weight { pool, worker, from, pinned: true, .. } => {
                format!("pin {worker} in pool {pool} at {from:.2} again")
            }
            Self::Weight { pool, worker, pinned: false, .. } => {
                format!("unpin {worker} in pool {pool}: the loop decides again")
            }
            Self::Drain { pool, worker, from, pinned: true } => {
                format!("undrain {worker} in pool {pool}, pinned at {from:.2} as it was")
            }
            Self::Drain { pool, worker, pinned: false, .. } => {
                format!("undrain {worker} in pool {pool}: the loop decides its weight again")
            }
            Self::ByHand { undo, .. } => undo.clone(),
        }
    }
}

/// Weights in fair shares. Source: those of an operator's pin, without 0: what takes a worker out is a drain.
const WEIGHTS: (f64, f64) = (0.01, 100.0);
