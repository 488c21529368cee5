//! A proposal: what is to be changed, what that should do, on whom it acts, when it is taken back, and until when it holds.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::look::{Look, Part};
use crate::time::Span;

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
    /// Another setting.
    Configuration,
    /// Code.
    Code,
    /// What is where.
    Architecture,
}

/// A number with what it may lie between.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// At least.
    pub low: f64,
    /// Likeliest.
    pub mid: f64,
    /// At most.
    pub high: f64,
}

/// What a change should do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predicted {
    /// The spread afterwards.
    pub w: Expected,
    /// The largest relative load.
    pub r_max: Expected,
    /// What is left of the fullest; `None`: not known.
    pub cmi: Option<Expected>,
}

/// On whom it acts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Blast {
    /// Nodes whose load changes.
    pub nodes: u32,
    /// The part of all load that goes elsewhere, of `0..=1`.
    pub share: f64,
}

/// When a change is taken back: while one of these holds in two looks one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "when", rename_all = "snake_case")]
pub enum Abort {
    /// The spread grew by more than this, beside before.
    SpreadGrew {
        /// Of `w`.
        by: f64,
    },
    /// A node has more than this.
    NodeOver {
        /// Relative load.
        r: f64,
    },
    /// The fullest has less left than this, and had more.
    LeftUnder {
        /// CMI.
        cmi: f64,
    },
    /// More requests fail, in points of a share.
    ErrorsGrew {
        /// Of `0..=1`.
        by: f64,
    },
    /// The slowest node takes so many times as long as the slowest before.
    SlowerBy {
        /// How many times.
        times: f64,
    },
}

/// A checked proposal: one that cannot be does not exist.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Draft")]
pub struct Proposal {
    action: Action,
    predicted: Option<Predicted>,
    blast: Option<Blast>,
    aborts: Vec<Abort>,
    canary: Span,
    watch: Span,
    valid: Span,
}

/// A proposal as it is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// What is to be changed.
    pub action: Action,
    /// What it should do; `None`: nobody can tell, and then it earns no trust.
    pub predicted: Option<Predicted>,
    /// On whom it acts.
    pub blast: Option<Blast>,
    /// When it is taken back.
    pub aborts: Vec<Abort>,
    /// How long its canary lasts, of `10s..=24h`.
    pub canary: Span,
    /// How long it is watched, of `10s..=30d`.
    pub watch: Span,
    /// How long it can be approved and carried out, of `1m..=90d`.
    pub valid: Span,
}

/// Why a proposal cannot be.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProposalError {
    /// A weight that is none.
    #[error("{0} is no weight: use 0.01 to 100 fair shares; to take a worker out, drain it")]
    Weight(f64),
    /// It changes nothing.
    #[error("the weight is {0} already")]
    Nothing(f64),
    /// A span that is too short or too long.
    #[error("{what} of {given} is not between {least} and {most}")]
    Length {
        /// Of what.
        what: &'static str,
        /// As given.
        given: Span,
        /// At least.
        least: Span,
        /// At most.
        most: Span,
    },
    /// A limit that is none.
    #[error("`{0}` can never hold, or always does: write a limit over 0")]
    Abort(Abort),
    /// Too many of something, or too long a text.
    #[error("{what}: at most {most}, and it has {given}")]
    Long {
        /// Of what.
        what: &'static str,
        /// At most.
        most: usize,
        /// As given.
        given: usize,
    },
    /// A name that is none.
    #[error("{0} is empty")]
    Empty(&'static str),
}

impl Proposal {
    /// What is to be changed.
    #[must_use]
    pub const fn action(&self) -> &Action {
        &self.action
    }

    /// What it should do.
    #[must_use]
    pub const fn predicted(&self) -> Option<&Predicted> {
        self.predicted.as_ref()
    }

    /// On whom it acts.
    #[must_use]
    pub const fn blast(&self) -> Option<&Blast> {
        self.blast.as_ref()
    }

    /// When it is taken back.
    #[must_use]
    pub fn aborts(&self) -> &[Abort] {
        &self.aborts
    }

    /// How long its canary lasts.
    #[must_use]
    pub const fn canary(&self) -> Span {
        self.canary
    }

    /// How long it is watched.
    #[must_use]
    pub const fn watch(&self) -> Span {
        self.watch
    }

    /// How long it can be approved and carried out.
    #[must_use]
    pub const fn valid(&self) -> Span {
        self.valid
    }
}

impl TryFrom<Draft> for Proposal {
    type Error = ProposalError;

    fn try_from(draft: Draft) -> Result<Self, ProposalError> {
        let Draft { action, predicted, blast, aborts, canary, watch, valid } = draft;
        action.check()?;
        within("a canary", canary, Span::from_secs(10), Span::from_secs(DAY))?;
        within("a watch", watch, Span::from_secs(10), Span::from_secs(30 * DAY))?;
        within("a proposal's time", valid, Span::from_secs(60), Span::from_secs(90 * DAY))?;
        if aborts.len() > MOST_ABORTS {
            return Err(ProposalError::Long { what: "abort conditions", most: MOST_ABORTS, given: aborts.len() });
        }
        match aborts.iter().find(|abort| !abort.is_sound()) {
            Some(abort) => Err(ProposalError::Abort(*abort)),
            None => Ok(Self { action, predicted, blast, aborts, canary, watch, valid }),
        }
    }
}

fn within(what: &'static str, given: Span, least: Span, most: Span) -> Result<(), ProposalError> {
    if (least..=most).contains(&given) { Ok(()) } else { Err(ProposalError::Length { what, given, least, most }) }
}

impl Action {
    /// Its kind.
    #[must_use]
    pub const fn class(&self) -> ActionClass {
        match self {
            Self::Weight { .. } => ActionClass::Weight,
            Self::ByHand { class, .. } => *class,
        }
    }

    /// Whether Ambidex can do it.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        match self {
            Self::Weight { .. } => true,
            Self::ByHand { .. } => false,
        }
    }

    fn check(&self) -> Result<(), ProposalError> {
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
            Self::ByHand { undo, .. } => undo.clone(),
        }
    }
}

impl Abort {
    fn is_sound(self) -> bool {
        match self {
            Self::SpreadGrew { by } | Self::ErrorsGrew { by } => by.is_finite() && by > 0.0,
            Self::NodeOver { r } => r.is_finite() && r > 1.0,
            Self::LeftUnder { cmi } => cmi.is_finite() && cmi > 0.0,
            Self::SlowerBy { times } => times.is_finite() && times > 1.0,
        }
    }

    /// Whether it holds after a change. What is not known never does.
    #[must_use]
    pub fn holds(self, before: &Look, now: &Look) -> bool {
        let both = |of: fn(&Look) -> Option<f64>| of(before).zip(of(now));
        match self {
            Self::SpreadGrew { by } => now.w() > before.w() + by,
            // A node that had more before is what the change is about.
            Self::NodeOver { r } => now
                .parts
                .iter()
                .any(|part| part.r > r && before.r(&part.node).is_none_or(|before| part.r > before * 1.1)),
            Self::LeftUnder { cmi } => both(|look| look.cmi).is_some_and(|(was, is)| is < cmi && is < was),
            Self::ErrorsGrew { by } => both(|look| look.errors).is_some_and(|(was, is)| is > was + by),
            Self::SlowerBy { times } => both(|look| look.p99_ms).is_some_and(|(was, is)| was > 0.0 && is > was * times),
        }
    }

    /// What a change of Ambidex's own is taken back for, unless its proposal says otherwise.
    #[must_use]
    pub fn usual() -> Vec<Self> {
        [
            Self::SpreadGrew { by: 0.05 },
            Self::NodeOver { r: 1.5 },
            Self::LeftUnder { cmi: 0.2 },
            Self::ErrorsGrew { by: 0.01 },
            Self::SlowerBy { times: 1.5 },
        ]
        .into()
    }
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SpreadGrew { by } => write!(f, "w grew by more than {by:.2}"),
            Self::NodeOver { r } => write!(f, "a node that had less has over {r:.2} times its part"),
            Self::LeftUnder { cmi } => write!(f, "CMI fell under {cmi:.2}"),
            Self::ErrorsGrew { by } => write!(f, "{:.1} points more requests failed", by * 100.0),
            Self::SlowerBy { times } => write!(f, "p99 of the slowest node is over {times:.2} times what it was"),
        }
    }
}

impl Expected {
    /// Of a number, and how far off it may be.
    #[must_use]
    pub fn about(mid: f64, off: f64) -> Self {
        Self { low: mid - off, mid, high: mid + off }
    }

    /// Whether it was so.
    #[must_use]
    pub fn holds(&self, actual: f64) -> bool {
        (self.low..=self.high).contains(&actual)
    }
}

impl Predicted {
    /// What is to be expected where a node's load becomes `factor` times what it is and the others take the difference by their fair
    /// parts: at most a third of the move is thought to fail, and a twentieth of what is always there. `None` where the node is not
    /// in the look, or nothing is left for the others.
    #[must_use]
    pub fn of_weight(before: &Look, node: &str, factor: f64) -> Option<(Self, Blast)> {
        let own = before.parts.iter().find(|part| part.node == node)?;
        let load = own.fair * own.r;
        let rest = 1.0 - load;
        let moved = load * (1.0 - factor);
        if rest <= 0.0 || !factor.is_finite() || factor < 0.0 || load * factor > 1.0 {
            return None;
        }
        let others = rest + moved;
        let of = |part: &Part| {
            let r = if part.node == node { part.r * factor } else { part.r * others / rest };
            Part { node: part.node.clone(), fair: part.fair, r }
        };
        let after = Look { parts: before.parts.iter().map(of).collect(), ..before.clone() };
        let about = |was: f64, is: f64| Expected::about(is, (was - is).abs() / 3.0 + 0.05);
        let r_max = about(before.r_max(), after.r_max());
        // What the fullest has left shrinks with its load: u' = u r' / r, with u by CMI = (theta - u) / theta.
        let left = |cmi: f64| 1.0 - (1.0 - cmi) * after.r_max() / before.r_max().max(1e-9);
        let cmi = before.cmi.map(|cmi| about(cmi, left(cmi)));
        let predicted = Self { w: about(before.w(), after.w()), r_max, cmi };
        let nodes = u32::try_from(before.parts.len()).unwrap_or(u32::MAX);
        Some((predicted, Blast { nodes, share: moved.abs() }))
    }
}

/// Weights in fair shares. Source: those of an operator's pin, without 0: what takes a worker out is a drain.
const WEIGHTS: (f64, f64) = (0.01, 100.0);
/// Bytes of a text. Source: ours; a paragraph.
pub(super) const MOST_TEXT: usize = 2_000;
/// Source: ours; each kind with some limits.
const MOST_ABORTS: usize = 16;
/// Seconds.
const DAY: u64 = 86_400;
