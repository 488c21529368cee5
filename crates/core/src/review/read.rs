//! What may be read of a review.

use alloc::string::String;

use super::kept::Kept;
use super::{
    Expected, Look, MOST_HISTORY, MOST_LOOKS, Moment, Number, Outcome, Proposal, Review, Rounds, Stage, Step, Subject,
    Transition, Trial,
};
use crate::time::Span;

/// What was predicted of one number beside what came.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Compared {
    /// Before.
    pub before: f64,
    /// What was predicted.
    pub predicted: Expected,
    /// What came.
    pub actual: f64,
    /// Whether it lies between the bounds.
    pub held: bool,
}

/// What was predicted beside what came.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Calibrated {
    /// The spread.
    pub w: Compared,
    /// The largest relative load.
    pub r_max: Compared,
    /// What is left of the fullest; `None`: not known.
    pub cmi: Option<Compared>,
}

impl Review {
    /// Its number.
    #[must_use]
    pub const fn number(&self) -> Number {
        self.number
    }

    /// What it is about.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The review of the same finding that was closed before.
    #[must_use]
    pub const fn again_after(&self) -> Option<Number> {
        self.again_after
    }

    /// Where it is.
    #[must_use]
    pub const fn step(&self) -> Step {
        match self.stage {
            Stage::Finding => Step::Finding,
            Stage::Hypothesis => Step::Hypothesis,
            Stage::Experiment { .. } => Step::Experiment,
            Stage::Proposal { .. } => Step::Proposal,
            Stage::Approval { .. } => Step::Approval,
            Stage::Canary { .. } => Step::Canary,
            Stage::RollBack { .. } => Step::RollBack,
            Stage::Watch { .. } => Step::Watch,
            Stage::Record { .. } => Step::Record,
        }
    }

    /// How often it was seen.
    #[must_use]
    pub const fn rounds(&self) -> Rounds {
        self.rounds
    }

    /// The cause that is supposed, and whether an experiment confirmed it.
    #[must_use]
    pub fn cause(&self) -> Option<(&str, bool)> {
        self.cause.as_deref().map(|cause| (cause, self.confirmed))
    }

    /// Causes that experiments refuted.
    #[must_use]
    pub fn refuted(&self) -> &[String] {
        &self.refuted
    }

    /// The experiment that runs.
    #[must_use]
    pub const fn trial(&self) -> Option<&Trial> {
        match &self.stage {
            Stage::Experiment { trial } => Some(trial),
            Stage::Finding
            | Stage::Hypothesis
            | Stage::Proposal { .. }
            | Stage::Approval { .. }
            | Stage::Canary { .. }
            | Stage::RollBack { .. }
            | Stage::Watch { .. }
            | Stage::Record { .. } => None,
        }
    }

    /// The change that is proposed, made or was made.
    #[must_use]
    pub const fn proposal(&self) -> Option<&Proposal> {
        self.proposal.as_ref()
    }

    /// How it was before the change.
    #[must_use]
    pub const fn before(&self) -> Option<&Look> {
        self.before.as_ref()
    }

    /// What was seen since the change, or of the finding where none was made.
    #[must_use]
    pub const fn looks(&self) -> &Kept<Look, MOST_LOOKS> {
        &self.looks
    }

    /// Every transition.
    #[must_use]
    pub const fn history(&self) -> &Kept<Transition, MOST_HISTORY> {
        &self.history
    }

    /// With what it was closed, and when.
    #[must_use]
    pub const fn outcome(&self) -> Option<(&Outcome, Moment)> {
        match &self.stage {
            Stage::Record { at, outcome } => Some((outcome, *at)),
            Stage::Finding
            | Stage::Hypothesis
            | Stage::Experiment { .. }
            | Stage::Proposal { .. }
            | Stage::Approval { .. }
            | Stage::Canary { .. }
            | Stage::RollBack { .. }
            | Stage::Watch { .. } => None,
        }
    }

    /// From the first time it was found until it was closed.
    #[must_use]
    pub fn took(&self) -> Option<Span> {
        self.outcome().map(|(_, at)| at.since(self.rounds.first))
    }

    /// How it is after the change: the mean of the newest looks since; `None` where no change was made, or nobody looked.
    #[must_use]
    pub fn after(&self) -> Option<Look> {
        self.before.as_ref()?;
        let looks = self.looks.items();
        Look::mean(&looks[looks.len().saturating_sub(AFTER)..])
    }

    /// What was predicted beside what came; `None` where nothing was predicted or seen.
    #[must_use]
    pub fn calibrated(&self) -> Option<Calibrated> {
        let predicted = self.proposal.as_ref()?.predicted()?;
        let (before, after) = (self.before.as_ref()?, self.after()?);
        let of = |before: f64, predicted: Expected, actual: f64| Compared {
            before,
            predicted,
            actual,
            held: predicted.holds(actual),
        };
        let cmi = before.cmi.zip(predicted.cmi).zip(after.cmi);
        Some(Calibrated {
            w: of(before.w(), predicted.w, after.w()),
            r_max: of(before.r_max(), predicted.r_max, after.r_max()),
            cmi: cmi.map(|((before, predicted), after)| of(before, predicted, after)),
        })
    }

    /// Whether its change did what was predicted: it stayed, the load lies better by it, and the hottest has no more than was
    /// predicted. `None` of one that is open, or without a change.
    #[must_use]
    pub fn succeeded(&self) -> Option<bool> {
        let (outcome, _) = self.outcome()?;
        self.before.as_ref()?;
        let held = self.calibrated().is_some_and(|all| all.r_max.actual <= all.r_max.predicted.high);
        Some(outcome.helped() && held)
    }
}

/// Looks that what came is the mean of. Source: ours; chance makes one look of few requests uneven.
const AFTER: usize = 3;
