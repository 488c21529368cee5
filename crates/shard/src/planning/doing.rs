//! What is done of a plan: by itself in mode `auto`, or because somebody approved it. It goes the way of an operator's orders.

use ambidex_core::shard::plan::{Action, Decision};
use ambidex_core::shard::records::SliceId;
use ambidex_core::worker::WorkerId;

use super::proposals::{Lapse, Proposal};
use super::words::told;
use crate::mover::Task;
use crate::orders::{Done, Refusal};
use crate::plan::Deed;
use crate::reshaping::Work;

impl Task {
    /// Does what was decided; says what came of it.
    pub(super) fn act(&mut self, decision: &Decision, action: Action, how: &'static str) -> Result<Done, Refusal> {
        let done = self.done(action);
        let now = self.clock.now();
        let text = told(action, |worker| self.name(worker));
        let keyspace = &self.parts.config.keyspace;
        let (code, words) = (decision.reason.code(), &text.words);
        match &done {
            Ok(_) => tracing::info!(%keyspace, code, how, "the planner: {words}"),
            Err(why) => tracing::info!(%keyspace, code, how, %why, "the planner could not: {words}"),
        }
        let refused = done.as_ref().err().map(ToString::to_string);
        let how = if refused.is_some() { "refused" } else { how };
        let deed = Deed { refused, ..Deed::of(crate::clock::wall_millis(), how, text, decision) };
        if let Some(lead) = &mut self.lead {
            let planning = &mut lead.planning;
            if let (Ok(_), Some(latest)) = (&done, &planning.latest) {
                planning.memory.began(now, &latest.sample, action);
            }
            planning.did(deed);
        }
        done
    }

    fn done(&mut self, action: Action) -> Result<Done, Refusal> {
        match action {
            Action::Move { slice, from, to } => {
                self.still_owned(slice, from)?;
                self.order_move(slice, self.name(to))
            }
            Action::Swap { slice, from, to, back } => {
                self.still_owned(slice, from)?;
                self.still_owned(back, to)?;
                let done = self.order_move(slice, self.name(to))?;
                // The other half waits for nobody to have two; where it is refused, the first half was a move like any other.
                drop(self.order_move(back, self.name(from)));
                Ok(done)
            }
            Action::Split { slice, at } => self.reshape(Work::Split { slice, at: Some(at) }),
            Action::Isolate { slice: _, key } => self.reshape(Work::Isolate { point: key }),
            Action::Merge { left, right } => self.reshape(Work::Merge { left, right }),
        }
    }

    fn still_owned(&self, slice: SliceId, by: WorkerId) -> Result<(), Refusal> {
        let (_, picture) = self.led()?;
        let (_, known) = picture.slice(slice).ok_or(Refusal::UnknownSlice(slice.0))?;
        if known.owner == by { Ok(()) } else { Err(Refusal::Changed) }
    }

    fn reshape(&mut self, work: Work) -> Result<Done, Refusal> {
        let work = self.cut(work)?;
        self.enqueue(work, None);
        Ok(Done::Begun)
    }

    /// Somebody approves a proposal.
    pub(crate) fn approve(&mut self, id: u64) -> Result<Done, Refusal> {
        let proposal = self.proposal(id, |planning, _| planning.proposals.approve(id))?;
        let done = self.act(&proposal.decision, proposal.action, "approved");
        self.show_plan();
        done
    }

    /// Somebody rejects one.
    pub(crate) fn reject(&mut self, id: u64) -> Result<Done, Refusal> {
        let proposal = self.proposal(id, |planning, now| planning.proposals.reject(now, id))?;
        self.ended_as(&proposal, "rejected");
        self.show_plan();
        Ok(Done::Rejected)
    }

    fn proposal(
        &mut self,
        id: u64,
        take: impl FnOnce(&mut super::Planning, ambidex_core::time::Mono) -> Option<Proposal>,
    ) -> Result<Proposal, Refusal> {
        self.led()?;
        let now = self.clock.now();
        let taken = self.lead.as_mut().and_then(|lead| take(&mut lead.planning, now));
        taken.ok_or(Refusal::UnknownProposal(id))
    }

    /// A proposal is over by itself.
    pub(super) fn lapsed(&mut self, proposal: &Proposal, lapse: Lapse) {
        self.ended_as(
            proposal,
            match lapse {
                Lapse::Expired => "expired",
                Lapse::Withdrawn => "withdrawn",
            },
        );
    }

    fn ended_as(&mut self, proposal: &Proposal, how: &'static str) {
        let text = told(proposal.action, |worker| self.name(worker));
        let keyspace = &self.parts.config.keyspace;
        tracing::info!(%keyspace, how, code = proposal.decision.reason.code(), "a proposal is over: {}", text.words);
        let deed = Deed::of(crate::clock::wall_millis(), how, text, &proposal.decision);
        if let Some(lead) = &mut self.lead {
            lead.planning.did(deed);
        }
    }
}
