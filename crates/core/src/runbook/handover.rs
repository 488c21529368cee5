//! From one lookout to the next, on another machine: what runbooks do goes on when a coordinator takes over.
//!
//! What is in force is handed over, with how far it went: measures, what waits for approval, the share that is admitted,
//! quarantines. What was *seen* stays behind, so that the next lookout cannot tell yet whether a mode goes on: it takes each for
//! one whose signs are gone ([`Stage::Clearing`]), for a minute longer than else. Signs that come again make it the same finding,
//! of which nothing is begun twice; without them it ends as it would have ended.
//!
//! Workers go by their names, and times are moved to the new clock. It comes through a store that others write to, so it is
//! bounded: whom nobody knows is left out, nothing lasts longer than from now on, and there are no more than a lookout has.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::action::{Action, MOST_ACTIONS, Plan};
use super::bounds::{Admission, MOST_PAUSE, Quarantines};
use super::lookout::{Case, MOST_MEASURES, MOST_PROPOSALS};
use super::{FailureMode, Finding, Lookout, Measure, Proposal, Stage};
use crate::share::Share;
use crate::time::{Mono, Span, moved};
use crate::worker::WorkerId;

/// What one lookout hands to the next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Handover {
    /// When, on the clock that all times in it are of.
    at: Mono,
    /// How the workers that stand in it are called.
    workers: Vec<(WorkerId, String)>,
    cases: Vec<Handed>,
    measures: Vec<Measure>,
    proposals: Vec<Proposal>,
    proposed: u32,
    admitted: Share,
    quarantines: Quarantines,
}

/// A mode that is found and not over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Handed {
    mode: FailureMode,
    found: Mono,
    /// Since when its signs are gone, if they are.
    clearing: Option<Mono>,
    finding: Option<Finding>,
    done: Vec<Action>,
}

impl Lookout {
    /// What the next lookout over this pool needs; `name` gives a worker's name.
    #[must_use]
    pub fn hand_over(&self, now: Mono, name: impl Fn(WorkerId) -> String) -> Handover {
        let cases: Vec<Handed> = FailureMode::ALL.into_iter().zip(&self.cases).filter_map(Handed::of).collect();
        let actions = cases.iter().flat_map(|case| case.done.iter().copied());
        let actions = actions.chain(self.measures.iter().map(|measure| measure.action));
        let actions = actions.chain(self.proposals.iter().map(|proposal| proposal.action));
        let findings = cases.iter().filter_map(|case| case.finding?.evidence.worker());
        let mut workers: Vec<WorkerId> = actions.filter_map(Action::worker).chain(findings).collect();
        workers.sort_unstable();
        workers.dedup();
        Handover {
            at: now,
            workers: workers.into_iter().map(|worker| (worker, name(worker))).collect(),
            cases,
            measures: self.measures.clone(),
            proposals: self.proposals.clone(),
            proposed: self.proposed,
            admitted: self.admission.share(),
            quarantines: self.quarantines.clone(),
        }
    }

    /// Goes on where another lookout stood, at `now` of this process's clock. `id` says who is called so here.
    pub fn take_handover(&mut self, now: Mono, handover: &Handover, id: impl Fn(&str) -> Option<WorkerId>) {
        let known = |worker: WorkerId| {
            let (_, name) = handover.workers.iter().find(|(known, _)| *known == worker)?;
            id(name)
        };
        let since = |stamp: Mono| moved(stamp, handover.at, now).min(now);
        let mut next = Self::new(self.runbooks);
        for handed in &handover.cases {
            next.cases[handed.mode as usize] = handed.case(now, since, known);
        }
        let measure = |measure: &Measure| {
            Some(Measure { action: measure.action.of(known)?, since: since(measure.since), ..*measure })
        };
        next.measures = handover.measures.iter().filter_map(measure).take(MOST_MEASURES).collect();
        // Nothing would end what belongs to no case.
        next.measures.retain(|measure| next.cases[measure.mode as usize].stage.is_open());
        let proposal = |proposal: &Proposal| {
            Some(Proposal { action: proposal.action.of(known)?, since: since(proposal.since), ..*proposal })
        };
        next.proposals = handover.proposals.iter().filter_map(proposal).take(MOST_PROPOSALS).collect();
        next.proposals.retain(|proposal| next.cases[proposal.mode as usize].stage.is_open());
        next.proposed = handover.proposed;
        next.admission = Admission::of(handover.admitted);
        next.quarantines = handover.quarantines.moved(handover.at, now, known);
        *self = next;
    }
}

impl Handed {
    fn of((mode, case): (FailureMode, &Case)) -> Option<Self> {
        let (found, clearing) = match case.stage {
            Stage::Quiet | Stage::Suspected { .. } => return None,
            Stage::Found { found } => (found, None),
            Stage::Clearing { found, since } => (found, Some(since)),
        };
        Some(Self { mode, found, clearing, finding: case.finding, done: case.done.to_vec() })
    }

    fn case(&self, now: Mono, since: impl Fn(Mono) -> Mono, known: impl Fn(WorkerId) -> Option<WorkerId>) -> Case {
        let stage = Stage::Clearing {
            found: since(self.found),
            // From a minute ahead it is as if the signs were there until then.
            since: self.clearing.map_or(now + UNSEEN, &since),
        };
        let finding = self.finding.and_then(|finding| {
            let evidence = finding.evidence.of(&known)?;
            Some(Finding { at: since(finding.at), evidence })
        });
        let done: Plan = self.done.iter().filter_map(|action| action.of(&known)).take(MOST_ACTIONS).collect();
        Case { stage, finding: finding.filter(|finding| finding.evidence.mode() == self.mode), done }
    }
}

/// How much longer a mode lasts whose signs were there when another coordinator took over. Source: the longest time for which a
/// worker in quarantine is not asked, so that each has been asked once by then.
const UNSEEN: Span = MOST_PAUSE;
