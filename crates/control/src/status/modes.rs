//! Failure modes of a pool, as the API and the pages show them.

use ambidex_core::runbook::{Action, FailureMode, Finding, Moved, Names, Stage};
use ambidex_core::time::Mono;
use serde::Serialize;

use crate::pool::Pool;
use crate::track::millis;

/// What the lookout over a pool says.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ModesStatus {
    /// Modes that are suspected, found, or clearing; the quiet ones are left out.
    pub modes: Vec<ModeStatus>,
    /// Actions in force.
    pub measures: Vec<MeasureStatus>,
    /// Actions that wait for approval.
    pub proposals: Vec<ProposalStatus>,
    /// The share of the requests that runbooks refuse.
    pub refused: f64,
    /// The weight that moved furthest within five minutes, while that is more than 20 %.
    pub moved: Option<MovedStatus>,
}

/// One mode.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModeStatus {
    /// Which.
    pub mode: FailureMode,
    /// How sure it is: `suspected`, `found` or `clearing`.
    pub stage: &'static str,
    /// For how long it has been so.
    pub age_ms: f64,
    /// What it rests on; `null` while it is only suspected.
    pub finding: Option<Finding>,
    /// The same in one sentence.
    pub sentence: Option<String>,
}

/// An action in force.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MeasureStatus {
    /// For which mode.
    pub mode: FailureMode,
    /// What.
    #[serde(flatten)]
    pub action: Action,
    /// The same in a few words.
    pub sentence: String,
    /// Whether an operator approved it.
    pub approved: bool,
    /// For how long.
    pub age_ms: f64,
}

/// An action that waits for approval.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProposalStatus {
    /// What it is approved by.
    pub number: u32,
    /// For which mode.
    pub mode: FailureMode,
    /// What would be done.
    #[serde(flatten)]
    pub action: Action,
    /// The same in a few words.
    pub sentence: String,
    /// For how long it has waited.
    pub age_ms: f64,
}

/// A weight that moved a long way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MovedStatus {
    /// The worker's name.
    pub name: String,
    /// How far, of its largest.
    pub by: f64,
    /// Between which weights.
    #[serde(flatten)]
    pub moved: Moved,
}

impl ModesStatus {
    pub(crate) fn of(pool: &Pool, now: Mono) -> Self {
        let lookout = &pool.lookout.core;
        let worker = |id| pool.name_of(id).to_string();
        let path = |number| pool.lookout.path(number);
        let names = Names { worker: &worker, path: &path };
        let age = |since: Mono| millis(now.since(since));
        let finding = |mode| lookout.findings().map(|(_, finding)| finding).find(|known| known.evidence.mode() == mode);
        let mode = |(mode, stage): (FailureMode, Stage)| {
            let since = match stage {
                Stage::Quiet => return None,
                Stage::Suspected { since } | Stage::Clearing { since, .. } => since,
                Stage::Found { found } => found,
            };
            let finding = finding(mode);
            let sentence = finding.map(|finding| finding.evidence.sentence(&names));
            Some(ModeStatus { mode, stage: stage.word(), age_ms: age(since), finding, sentence })
        };
        let measures = lookout.measures().iter().map(|measure| MeasureStatus {
            mode: measure.mode,
            action: measure.action,
            sentence: measure.action.sentence(&names),
            approved: measure.approved,
            age_ms: age(measure.since),
        });
        let proposals = lookout.proposals().iter().map(|proposal| ProposalStatus {
            number: proposal.number,
            mode: proposal.mode,
            action: proposal.action,
            sentence: proposal.action.sentence(&names),
            age_ms: age(proposal.since),
        });
        let moved = lookout.moved();
        Self {
            modes: lookout.stages().filter_map(mode).collect(),
            measures: measures.collect(),
            proposals: proposals.collect(),
            refused: lookout.tuning().admitted.rest().get(),
            moved: moved.map(|moved| MovedStatus { name: worker(moved.worker), by: moved.by().get(), moved }),
        }
    }
}
