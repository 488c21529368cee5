//! The lookout over one pool: takes one observation a tick, finds failure modes, and runs their runbooks.
//!
//! ```text
//! Found ---> actions that tune begin (mode `on`), all others are proposed -> approved -> begin
//! Quiet ---> every action of the mode ends, every proposal is withdrawn
//! an action that lasts for LONGEST (30 min) ends, too, and is not begun again for the same finding
//! ```
//! Nothing is performed here: [`Lookout::tuning`], [`Lookout::is_quarantined`] and the effects say what holds now.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::FailureMode;
use super::action::{Action, Consent, Plan, Tuning, runbook};
use super::bounds::{Admission, Quarantines};
use super::config::Runbooks;
use super::finding::{Finding, Names};
use super::moved::{Moved, Movements};
use super::observation::Observation;
use super::past::Past;
use super::signs::{Detectors, Signs};
use super::stage::{Stage, Timing};
use crate::time::{Mono, Span};
use crate::worker::WorkerId;

/// Looks for failure modes in one pool.
#[derive(Clone, Debug, Default)]
pub struct Lookout {
    pub(super) runbooks: Runbooks,
    past: Past,
    detectors: Detectors,
    pub(super) cases: [Case; FailureMode::ALL.len()],
    pub(super) measures: Vec<Measure>,
    pub(super) proposals: Vec<Proposal>,
    /// Number of the newest proposal.
    pub(super) proposed: u32,
    pub(super) admission: Admission,
    pub(super) quarantines: Quarantines,
    movements: Movements,
}

/// One mode's state.
#[derive(Clone, Debug, Default)]
pub(super) struct Case {
    pub(super) stage: Stage,
    /// What it shows, or showed last.
    pub(super) finding: Option<Finding>,
    /// Actions of this finding that were begun or proposed: none of them twice.
    pub(super) done: Plan,
}

/// An action in force.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// For which mode.
    pub mode: FailureMode,
    /// What is done.
    #[serde(flatten)]
    pub action: Action,
    /// Since when.
    pub since: Mono,
    /// Whether an operator approved it.
    pub approved: bool,
}

/// An action that waits for approval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// What it is approved by.
    pub number: u32,
    /// For which mode.
    pub mode: FailureMode,
    /// What would be done.
    #[serde(flatten)]
    pub action: Action,
    /// Since when it waits.
    pub since: Mono,
}

/// What came of a tick, or of an approval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// A failure mode was found. To be alerted on.
    Found(Finding),
    /// It is over.
    Cleared {
        /// Which.
        mode: FailureMode,
        /// How long it lasted.
        lasted: Span,
    },
    /// An action holds from now on.
    Began {
        /// For which mode.
        mode: FailureMode,
        /// What.
        action: Action,
        /// Whether an operator approved it.
        approved: bool,
    },
    /// An action holds no more.
    Ended {
        /// For which mode.
        mode: FailureMode,
        /// What.
        action: Action,
        /// Whether its time was over, and not its cause.
        expired: bool,
    },
    /// An action waits for approval.
    Proposed(Proposal),
    /// It need not be approved any more.
    Withdrawn(Proposal),
    /// A weight moved a long way in a short time. To be alerted on.
    WeightMoved(Moved),
}

impl Lookout {
    /// A lookout that knows nothing yet.
    #[must_use]
    pub fn new(runbooks: Runbooks) -> Self {
        Self { runbooks, ..Self::default() }
    }

    /// Other settings, from the next tick on.
    pub fn configure(&mut self, runbooks: Runbooks) {
        self.runbooks = runbooks;
    }

    /// Takes one tick in; what came of it is added to `out`.
    pub fn on(&mut self, seen: &Observation, out: &mut Vec<Effect>) {
        // What runbooks hold back is not usual either.
        let restrained = self.tuning() != Tuning::default();
        let calm = !restrained && self.cases.iter().all(|case| case.stage == Stage::Quiet);
        self.past.take(seen, calm);
        let all = self.detectors.look(&self.past, seen, restrained);
        for (mode, signs) in FailureMode::ALL.into_iter().zip(all) {
            self.judge(mode, signs.filter(|_| self.runbooks.of(mode).watches()), out);
        }
        self.expire(seen.at, out);
        let ramps = |measure: &Measure| {
            let falls = matches!(self.cases[measure.mode as usize].stage, Stage::Found { .. });
            measure.action == Action::RampAdmission && falls
        };
        let falls = self.measures.iter().any(ramps);
        self.admission.turn(falls, seen.step);
        let wanted =
            |measure: &Measure| if let Action::Quarantine { worker } = measure.action { Some(worker) } else { None };
        self.quarantines.turn(&self.past, self.measures.iter().filter_map(wanted));
        out.extend(self.movements.take(seen).map(Effect::WeightMoved));
    }

    /// Begins an action that was proposed; `false` when there is none of this number.
    pub fn approve(&mut self, now: Mono, number: u32, out: &mut Vec<Effect>) -> bool {
        let Some(at) = self.proposals.iter().position(|proposal| proposal.number == number) else { return false };
        let Proposal { mode, action, .. } = self.proposals.remove(at);
        self.begin(Measure { mode, action, since: now, approved: true }, out);
        true
    }

    /// What the actions in force come to.
    #[must_use]
    pub fn tuning(&self) -> Tuning {
        let all = self.measures.iter().fold(Tuning::default(), |tuning, measure| tuning.with(measure.action));
        Tuning { admitted: self.admission.share(), ..all }
    }

    /// Whether a worker gets nothing now.
    #[must_use]
    pub fn is_quarantined(&self, worker: WorkerId) -> bool {
        self.quarantines.holds(worker)
    }

    /// Whether an action in force drains a worker.
    #[must_use]
    pub fn drains(&self, worker: WorkerId) -> bool {
        self.measures.iter().any(|measure| measure.action == Action::Drain { worker })
    }

    /// Whether an action in force holds the weights.
    #[must_use]
    pub fn freezes(&self) -> bool {
        self.measures.iter().any(|measure| measure.action == Action::FreezeWeights)
    }

    /// Where each mode stands, by the order of [`FailureMode::ALL`].
    pub fn stages(&self) -> impl Iterator<Item = (FailureMode, Stage)> + '_ {
        FailureMode::ALL.into_iter().zip(self.cases.iter().map(|case| case.stage))
    }

    /// The modes that are found and not over, with what they rest on.
    pub fn findings(&self) -> impl Iterator<Item = (Stage, Finding)> + '_ {
        let open = self.cases.iter().filter(|case| case.stage.is_open());
        open.filter_map(|case| Some((case.stage, case.finding?)))
    }

    /// The actions in force.
    #[must_use]
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// The actions that wait for approval.
    #[must_use]
    pub fn proposals(&self) -> &[Proposal] {
        &self.proposals
    }

    /// The weight that moved furthest in five minutes, while that is too far.
    #[must_use]
    pub fn moved(&self) -> Option<Moved> {
        self.movements.open
    }

    fn judge(&mut self, mode: FailureMode, signs: Option<Signs>, out: &mut Vec<Effect>) {
        let (now, at) = (self.past.at, mode as usize);
        let before = self.cases[at].stage;
        let after = before.after(now, signs.is_some(), &timing(mode));
        self.cases[at].stage = after;
        if let (Stage::Clearing { found, .. }, Stage::Quiet) = (before, after) {
            self.close(mode, now.since(found), out);
        }
        let (Some(signs), Stage::Found { found }) = (signs, after) else { return };
        let finding = Finding { at: found, evidence: signs.evidence };
        self.cases[at].finding = Some(finding);
        if !before.is_open() {
            out.push(Effect::Found(finding));
        }
        for action in runbook(mode, &signs.workers) {
            let done = &mut self.cases[at].done;
            if done.contains(&action) || done.try_push(action).is_err() {
                continue;
            }
            if self.runbooks.of(mode).acts() && action.consent() == Consent::Own {
                self.begin(Measure { mode, action, since: now, approved: false }, out);
            } else {
                self.propose(mode, action, out);
            }
        }
    }

    fn close(&mut self, mode: FailureMode, lasted: Span, out: &mut Vec<Effect>) {
        self.cases[mode as usize] = Case::default();
        let ended = self.measures.extract_if(.., |measure| measure.mode == mode);
        out.extend(ended.map(|Measure { mode, action, .. }| Effect::Ended { mode, action, expired: false }));
        let withdrawn = self.proposals.extract_if(.., |proposal| proposal.mode == mode);
        out.extend(withdrawn.map(Effect::Withdrawn));
        out.push(Effect::Cleared { mode, lasted });
    }

    fn begin(&mut self, measure: Measure, out: &mut Vec<Effect>) {
        if self.measures.len() >= MOST_MEASURES {
            return;
        }
        self.measures.push(measure);
        let Measure { mode, action, approved, .. } = measure;
        out.push(Effect::Began { mode, action, approved });
    }

    fn propose(&mut self, mode: FailureMode, action: Action, out: &mut Vec<Effect>) {
        if self.proposals.len() >= MOST_PROPOSALS {
            return;
        }
        self.proposed += 1;
        let proposal = Proposal { number: self.proposed, mode, action, since: self.past.at };
        self.proposals.push(proposal);
        out.push(Effect::Proposed(proposal));
    }

    /// Ends what lasts too long, and what a mode may not do by itself any more. What an operator approved lasts as long
    /// as its cause.
    fn expire(&mut self, now: Mono, out: &mut Vec<Effect>) {
        let runbooks = self.runbooks;
        let over = |measure: &mut Measure| {
            !measure.approved && (now.since(measure.since) >= LONGEST || !runbooks.of(measure.mode).acts())
        };
        let ended = self.measures.extract_if(.., over);
        out.extend(ended.map(|Measure { mode, action, .. }| Effect::Ended { mode, action, expired: true }));
    }
}

impl Effect {
    /// Whether somebody should be told at once.
    #[must_use]
    pub const fn alerts(&self) -> bool {
        match self {
            Self::Found(_) | Self::WeightMoved(_) => true,
            Self::Cleared { .. } | Self::Began { .. } | Self::Ended { .. } | Self::Proposed(_) | Self::Withdrawn(_) => {
                false
            }
        }
    }

    /// The effect in one sentence.
    #[must_use]
    pub fn sentence(&self, names: &Names<'_>) -> String {
        match self {
            Self::Found(finding) => {
                alloc::format!("{}: {}", finding.evidence.mode(), finding.evidence.sentence(names))
            }
            Self::Cleared { mode, lasted } => alloc::format!("{mode}: over, after {:.0} s", lasted.as_secs_f64()),
            Self::Began { mode, action, approved } => {
                let by = if *approved { "an operator approved" } else { "from now on" };
                alloc::format!("{mode}: {by}: {}", action.sentence(names))
            }
            Self::Ended { mode, action, expired } => {
                let why = if *expired { "no longer, whatever the cause does" } else { "no longer, the cause is gone" };
                alloc::format!("{mode}: {why}: {}", action.sentence(names))
            }
            Self::Proposed(Proposal { number, mode, action, .. }) => {
                alloc::format!("{mode}: waits for approval as number {number}: {}", action.sentence(names))
            }
            Self::Withdrawn(Proposal { number, mode, action, .. }) => {
                alloc::format!("{mode}: number {number} needs no approval any more: {}", action.sentence(names))
            }
            Self::WeightMoved(moved) => alloc::format!(
                "the weight of {} moved by {:.0} % within five minutes, between {:.2} and {:.2} fair shares",
                (names.worker)(moved.worker),
                moved.by().get() * 100.0,
                moved.least,
                moved.most,
            ),
        }
    }
}

/// How long the signs of a mode must last, and be gone. Source: ours, measured by `cargo xtask bench modes`.
const fn timing(mode: FailureMode) -> Timing {
    let (confirm, clear) = match mode {
        FailureMode::ThunderingHerd => (2, 20),
        FailureMode::StaleMetadata => (1, 10),
        FailureMode::CascadingTimeouts => (4, 20),
        FailureMode::Oscillation => (0, 30),
        FailureMode::Convoy => (0, 20),
        FailureMode::LateralDrift => (30, 20),
        FailureMode::MetastableOverload => (8, 20),
    };
    Timing { confirm: Span::from_secs(confirm), clear: Span::from_secs(clear) }
}

/// How long an action holds without an operator's word. Source: ours; longer, and it is a setting that nobody made.
const LONGEST: Span = Span::from_secs(1_800);
/// Source: ours; beyond, an operator has other things to read.
pub(super) const MOST_MEASURES: usize = 64;
pub(super) const MOST_PROPOSALS: usize = 32;
