//! Proposals: what the planner would do in mode `advise`, until somebody approves or rejects it, it expires, or the planner wants it no more.
//!
//! There is one for each slice (or pair that is merged): where the planner would now choose another target, the same proposal says so. What
//! was rejected is not proposed again for a quarter of an hour.

use ambidex_core::shard::plan::{Action, Decision};
use ambidex_core::shard::records::SliceId;
use ambidex_core::time::{Mono, Span};

/// What waits for approval.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Proposal {
    pub(crate) id: u64,
    pub(crate) decision: Decision,
    pub(crate) action: Action,
    pub(crate) since: Mono,
    pub(crate) until: Mono,
    /// When the planner wanted it last.
    seen: Mono,
}

/// How a proposal ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lapse {
    Expired,
    Withdrawn,
}

#[derive(Debug)]
pub(crate) struct Proposals {
    term: u64,
    given: u64,
    open: Vec<Proposal>,
    rejected: Vec<(SliceId, Mono)>,
}

impl Proposals {
    pub(super) fn new(term: u64) -> Self {
        Self { term, given: 0, open: Vec::new(), rejected: Vec::new() }
    }

    /// The planner wants this.
    pub(super) fn propose(&mut self, now: Mono, lasts: Span, decision: &Decision) {
        let Some((action, _)) = decision.action else { return };
        let slice = of(action);
        if let Some(known) = self.open.iter_mut().find(|known| of(known.action) == slice) {
            (known.action, known.decision, known.seen) = (action, *decision, now);
            return;
        }
        let barred = self.rejected.iter().any(|(rejected, until)| *rejected == slice && now < *until);
        if barred || self.open.len() >= MOST {
            return;
        }
        self.given += 1;
        let id = self.term << 32 | self.given;
        self.open.push(Proposal { id, decision: *decision, action, since: now, until: now + lasts, seen: now });
    }

    /// Takes away what is over, and says how that came.
    pub(super) fn tidy(&mut self, now: Mono) -> Vec<(Proposal, Lapse)> {
        self.rejected.retain(|(_, until)| now < *until);
        let mut over = Vec::new();
        self.open.retain(|proposal| {
            let lapse = if proposal.until <= now {
                Some(Lapse::Expired)
            } else {
                (now.since(proposal.seen) >= UNWANTED).then_some(Lapse::Withdrawn)
            };
            over.extend(lapse.map(|lapse| (proposal.clone(), lapse)));
            lapse.is_none()
        });
        over
    }

    /// Takes one out, to be done.
    pub(super) fn approve(&mut self, id: u64) -> Option<Proposal> {
        let at = self.open.iter().position(|proposal| proposal.id == id)?;
        Some(self.open.remove(at))
    }

    /// Takes one out, and wants it no more for a while.
    pub(super) fn reject(&mut self, now: Mono, id: u64) -> Option<Proposal> {
        let proposal = self.approve(id)?;
        if self.rejected.len() < MOST {
            self.rejected.push((of(proposal.action), now + REJECTED_FOR));
        }
        Some(proposal)
    }

    /// Those that wait.
    pub(super) fn open(&self) -> &[Proposal] {
        &self.open
    }
}

/// Which slice an action is about first.
fn of(action: Action) -> SliceId {
    match action {
        Action::Move { slice, .. } | Action::Swap { slice, .. } => slice,
        Action::Split { slice, .. } | Action::Isolate { slice, .. } => slice,
        Action::Merge { left, .. } => left,
    }
}

/// Proposals at a time, and slices that are not proposed again. Source: ours, more than a person looks through.
const MOST: usize = 64;
/// A proposal that the planner has not wanted for so long is withdrawn. Source: ours, twice the window of "warm".
const UNWANTED: Span = Span::from_secs(24);
/// Source: ours, as long as a proposal waits.
const REJECTED_FOR: Span = Span::from_secs(900);

#[cfg(test)]
mod tests {
    use ambidex_core::shard::plan::{Fate, Reason, Subject};
    use ambidex_core::worker::WorkerId;

    use super::*;

    const LASTS: Span = Span::from_secs(100);

    fn at(seconds: u64) -> Mono {
        Mono::default() + Span::from_secs(seconds)
    }

    fn decision(slice: u64, to: u32) -> Decision {
        let action = Action::Move { slice: SliceId(slice), from: WorkerId(1), to: WorkerId(to) };
        let subject = Subject::Worker(WorkerId(1));
        let action = Some((action, Fate::Asked));
        Decision { subject, action, reason: Reason::WorkerHot, load: 0.9, mean: 0.5, gain: 0.1 }
    }

    #[test]
    fn a_slice_has_one_proposal_with_the_target_of_now() {
        let mut proposals = Proposals::new(1);
        proposals.propose(at(0), LASTS, &decision(7, 2));
        proposals.propose(at(1), LASTS, &decision(7, 3));
        proposals.propose(at(1), LASTS, &decision(8, 3));
        let open: Vec<_> = proposals.open().iter().map(|one| (one.id, one.action)).collect();
        assert_eq!(open[0], (1 << 32 | 1, decision(7, 3).action.expect("one").0));
        assert_eq!(open.len(), 2);
    }

    #[test]
    fn what_expires_or_is_wanted_no_more_goes() {
        let mut proposals = Proposals::new(1);
        proposals.propose(at(0), LASTS, &decision(7, 2));
        proposals.propose(at(0), LASTS, &decision(8, 2));
        (1..30).for_each(|second| proposals.propose(at(second), LASTS, &decision(7, 2)));
        let over: Vec<_> = proposals.tidy(at(30)).into_iter().map(|(one, lapse)| (of(one.action), lapse)).collect();
        assert_eq!(over, [(SliceId(8), Lapse::Withdrawn)]);
        (30..100).for_each(|second| proposals.propose(at(second), LASTS, &decision(7, 2)));
        assert_eq!(proposals.tidy(at(100)).len(), 1);
        assert_eq!(proposals.open(), []);
    }

    #[test]
    fn what_was_rejected_is_not_proposed_again_for_a_while() {
        let mut proposals = Proposals::new(1);
        proposals.propose(at(0), LASTS, &decision(7, 2));
        let id = proposals.open()[0].id;
        assert!(proposals.reject(at(1), id).is_some() && proposals.reject(at(1), id).is_none());
        proposals.propose(at(2), LASTS, &decision(7, 2));
        assert_eq!(proposals.open(), []);
        proposals.tidy(at(902));
        proposals.propose(at(902), LASTS, &decision(7, 2));
        assert_eq!(proposals.open().len(), 1);
    }
}
