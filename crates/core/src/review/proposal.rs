//! A proposal: what is to be changed, what that should do, on whom it acts, when it is taken back, and until when it holds.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::abort::Abort;
use super::action::Action;
use super::look::{Look, Part};
use crate::time::Span;

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
        Some((Self::by(before, &after, 1.0), Blast { nodes: loaded(before), share: moved.abs() }))
    }

    /// What is to be expected where a node gets nothing more and the others take its load by what they have: it counts as a node without
    /// a fair part then. `None` where it is not in the look, or has all of the load, or of what there is to have.
    #[must_use]
    pub fn of_drain(before: &Look, node: &str) -> Option<(Self, Blast)> {
        let own = before.parts.iter().find(|part| part.node == node)?;
        let share = own.fair * own.r;
        let (load, room) = (1.0 - share, 1.0 - own.fair);
        if load <= 1e-9 || room <= 1e-9 {
            return None;
        }
        let of = |part: &Part| {
            let (fair, r) = if part.node == node { (0.0, 0.0) } else { (part.fair / room, part.r * room / load) };
            Part { node: part.node.clone(), fair, r }
        };
        let after = Look { parts: before.parts.iter().map(of).collect(), ..before.clone() };
        Some((Self::by(before, &after, room), Blast { nodes: loaded(before), share }))
    }

    /// By the look before and the one that is thought of; `room`: what there is to have afterwards, of what there was.
    fn by(before: &Look, after: &Look, room: f64) -> Self {
        let about = |was: f64, is: f64| Expected::about(is, (was - is).abs() / 3.0 + 0.05);
        let r_max = about(before.r_max(), after.r_max());
        // What the fullest has left shrinks with its load: u' = u r' / r / room, with u by CMI = (theta - u) / theta.
        let left = |cmi: f64| 1.0 - (1.0 - cmi) * after.r_max() / before.r_max().max(1e-9) / room;
        let cmi = before.cmi.map(|cmi| about(cmi, left(cmi)));
        Self { w: about(before.w(), after.w()), r_max, cmi }
    }
}

/// Nodes that have a part of the load: those whose load a change moves.
fn loaded(look: &Look) -> u32 {
    u32::try_from(look.parts.iter().filter(|part| part.fair > 0.0).count()).unwrap_or(u32::MAX)
}

/// Bytes of a text. Source: ours; a paragraph.
pub(super) const MOST_TEXT: usize = 2_000;
/// Source: ours; each kind with some limits.
const MOST_ABORTS: usize = 16;
/// Seconds.
const DAY: u64 = 86_400;
