//! Drains: goes on with them by what the store says.

use ambidex_core::shard::conductor;
use ambidex_core::shard::records::{Membership, MoveId, Phase, SliceId};
use ambidex_core::worker::WorkerId;

use super::membership;
use crate::conducting::Conducted;
use crate::mover::{Task, Wanted};
use crate::reshaping::Work;

impl Task {
    /// Goes on with drains, by what the store says: slices of workers that leave are to move, and who has none and is in no move has left.
    /// Moves that nobody conducts are taken over.
    pub(crate) fn drain_on(&mut self) {
        let (Some(lead), Some(picture)) = (&self.lead, &self.picture) else { return };
        if picture.revision < lead.heard || picture.map().is_none() {
            return;
        }
        let strangers: Vec<MoveId> =
            picture.moves().map(|(id, ..)| id).filter(|id| !lead.moves.contains_key(id)).collect();
        let leaving: Vec<WorkerId> =
            picture.names().map(|(id, _)| id).filter(|id| membership(picture, *id) == Membership::Leaving).collect();
        let (mut wanted, mut aborted, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for worker in leaving {
            let owned: Vec<SliceId> =
                picture.slices().filter(|(_, slice)| slice.owner == worker).map(|(id, _)| id).collect();
            let named = |conducted: &Conducted| {
                let plan = conducted.conductor.plan();
                plan.source == worker || plan.target == worker
            };
            let moves: Vec<MoveId> = lead.moves.iter().filter(|(_, move_)| named(move_)).map(|(id, _)| *id).collect();
            let to_it = |id: &&MoveId| {
                let plan = lead.moves.get(*id).map(|conducted| conducted.conductor.plan());
                plan.is_some_and(|plan| plan.target == worker && plan.phase == Phase::Copying)
            };
            aborted.extend(moves.iter().filter(to_it).copied());
            if owned.is_empty() && moves.is_empty() && strangers.is_empty() {
                left.push(worker);
            }
            let waits = |id: &SliceId| lead.waiting.iter().any(|wanted| wanted.slice == *id);
            wanted.extend(owned.into_iter().filter(|id| !waits(id) && lead.moving(*id).is_none()));
        }
        for id in strangers {
            tracing::warn!(
                "move" = format!("{:016x}", id.0),
                "a move that this leader does not know stands in the store: it is taken over"
            );
            self.take_over(id);
        }
        aborted.into_iter().for_each(|id| self.conduct(id, conductor::Event::AbortWanted));
        for worker in left {
            let work = Work::Leave { worker };
            if self.lead.as_ref().is_some_and(|lead| lead.works.iter().all(|queued| queued.work != work)) {
                self.enqueue(work, None);
            }
        }
        let most = self.parts.config.most_waiting;
        if let Some(lead) = &mut self.lead {
            let room = most.saturating_sub(lead.waiting.len());
            lead.waiting.extend(wanted.into_iter().take(room).map(|slice| Wanted { slice, to: None }));
        }
    }
}
