//! Orders: what is done of one at once, what waits, and what is refused.

use ambidex_core::shard::conductor;
use ambidex_core::shard::records::{Membership, MoveId, Phase, SliceId};
use ambidex_core::worker::WorkerId;
use ambidex_store::shards::Picture;
use tokio::sync::oneshot;

use super::{catches_up, membership};
use crate::mover::{Lead, Queued, Task, Wanted};
use crate::orders::{Done, Order, Refusal};
use crate::reshaping::Work;

type Tell = oneshot::Sender<Result<Done, Refusal>>;

impl Task {
    pub(crate) fn order(&mut self, order: Order, tell: Tell) {
        let work = match order {
            Order::Move { slice, to } => {
                let done = self.order_move(slice, to);
                return self.said(done, tell);
            }
            Order::Abort { move_ } => {
                let done = self.order_abort(move_);
                return self.said(done, tell);
            }
            Order::Approve { proposal } => {
                let done = self.approve(proposal);
                return self.said(done, tell);
            }
            Order::Reject { proposal } => {
                let done = self.reject(proposal);
                return self.said(done, tell);
            }
            Order::Split { slice, at } => self.cut(Work::Split { slice, at }),
            Order::Isolate { point } => self.cut(Work::Isolate { point }),
            Order::Presplit { slices } => self.cut(Work::Presplit { slices }),
            Order::Merge { left, right } => self.led().map(|_| Work::Merge { left, right }),
            Order::Drain { worker } => self.drain(worker),
            Order::Undrain { worker } => self.undrain(&worker),
        };
        match work {
            Ok(work) => self.enqueue(work, Some(tell)),
            Err(refusal) => self.said(Err(refusal), tell),
        }
    }

    fn said(&self, done: Result<Done, Refusal>, tell: Tell) {
        self.show();
        // Who asked may have gone.
        drop(tell.send(done));
    }

    /// Leader and picture, where there is a map.
    pub(crate) fn led(&self) -> Result<(&Lead, &Picture), Refusal> {
        let keyspace = || self.parts.config.keyspace.clone();
        let (Some(lead), Some(picture)) = (&self.lead, &self.picture) else {
            return Err(Refusal::NotLeading(keyspace()));
        };
        if picture.map().is_none() {
            return Err(lead.stuck.clone().unwrap_or_else(|| Refusal::NoMap(keyspace())));
        }
        Ok((lead, picture))
    }

    /// Work that makes more slices of one.
    pub(crate) fn cut(&self, work: Work) -> Result<Work, Refusal> {
        self.led()?;
        if self.parts.config.per_shard_order {
            return Err(Refusal::Ordered(self.parts.config.keyspace.clone()));
        }
        Ok(work)
    }

    fn drain(&self, worker: String) -> Result<Work, Refusal> {
        let (_, picture) = self.led()?;
        let id = self.number(picture, &worker)?;
        if !self.takers(picture).any(|taker| taker != id) {
            return Err(Refusal::LastWorker(worker));
        }
        Ok(Work::Mark { worker: id, membership: Membership::Leaving })
    }

    fn undrain(&self, worker: &str) -> Result<Work, Refusal> {
        let (_, picture) = self.led()?;
        Ok(Work::Mark { worker: self.number(picture, worker)?, membership: Membership::In })
    }

    fn number(&self, picture: &Picture, worker: &str) -> Result<WorkerId, Refusal> {
        picture.number_of(worker).ok_or_else(|| {
            let mut known: Vec<&str> = picture.names().map(|(_, named)| &*named.name).take(MOST_NAMED).collect();
            known.sort_unstable();
            Refusal::UnknownWorker { worker: worker.to_owned(), known: known.join(", ") }
        })
    }

    /// Who may be given slices.
    pub(super) fn takers<'a>(&'a self, picture: &'a Picture) -> impl Iterator<Item = WorkerId> + 'a {
        let members = self.members.iter().flatten();
        let numbers = members.filter_map(|member| picture.number_of(&member.name));
        let now = self.clock.now();
        let may =
            move |id: &WorkerId| membership(picture, *id) == Membership::In && self.quarantine.of(now, *id).is_none();
        numbers.filter(may)
    }

    pub(crate) fn order_move(&mut self, slice: SliceId, to: String) -> Result<Done, Refusal> {
        let (lead, picture) = self.led()?;
        let (_, known) = picture.slice(slice).ok_or(Refusal::UnknownSlice(slice.0))?;
        let target = self.number(picture, &to)?;
        if membership(picture, target) != Membership::In {
            return Err(Refusal::Leaving(to));
        }
        if let Some((why, left)) = self.quarantine.of(self.clock.now(), target) {
            return Err(Refusal::Quarantined { worker: to, why: why.to_owned(), left });
        }
        if !self.takers(picture).any(|taker| taker == target) {
            return Err(Refusal::Gone(to));
        }
        if known.owner == target && known.moving.is_none() {
            return Err(Refusal::OwnsIt(to));
        }
        if let Some(move_) = known.moving.or_else(|| lead.moving(slice)) {
            return Err(Refusal::Moves { slice: slice.0, move_: move_.0 });
        }
        if lead.waiting.iter().any(|wanted| wanted.slice == slice) {
            return Err(Refusal::WaitsAlready(slice.0));
        }
        if lead.waiting.len() >= self.parts.config.most_waiting {
            return Err(Refusal::Busy);
        }
        let wanted = Wanted { slice, to: Some(to) };
        if let Some(lead) = &mut self.lead {
            lead.waiting.push_back(wanted.clone());
        }
        self.begin_waiting();
        match self.lead.as_ref().and_then(|lead| lead.moving(slice)) {
            Some(move_) => Ok(Done::Moving { move_ }),
            None => {
                let reason = self.waits_for(&wanted).err().unwrap_or(catches_up());
                Ok(Done::Waiting { code: reason.code, why: reason.why })
            }
        }
    }

    fn order_abort(&mut self, id: MoveId) -> Result<Done, Refusal> {
        let (lead, _) = self.led()?;
        let conducted = lead.moves.get(&id).ok_or(Refusal::UnknownMove(id.0))?;
        match conducted.conductor.plan().phase {
            Phase::Copying | Phase::Sealing | Phase::Ready | Phase::Aborted => {
                self.conduct(id, conductor::Event::AbortWanted);
                Ok(Done::Aborting)
            }
            Phase::Committed | Phase::Active | Phase::Releasing => Err(Refusal::Decided(id.0)),
        }
    }

    pub(crate) fn enqueue(&mut self, work: Work, tell: Option<Tell>) {
        let Some(lead) = &mut self.lead else { return };
        if lead.works.len() >= MOST_WORKS {
            if let Some(tell) = tell {
                let _ = tell.send(Err(Refusal::Busy));
            }
            return;
        }
        lead.works.push_back(Queued { work, before: 0, refused: 0, tell });
    }
}

/// Workers that an error names.
const MOST_NAMED: usize = 20;
/// Orders of one change after another that wait. Source: ours.
const MOST_WORKS: usize = 256;
