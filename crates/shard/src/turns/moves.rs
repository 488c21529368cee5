//! Moves: when one begins, what its conductor wants done, and how it ends.

use std::sync::Arc;

use ambidex_core::shard::Bugs;
use ambidex_core::shard::conductor::{self, Conductor, Effect, End, Found, Order as MoveOrder};
use ambidex_core::shard::messages::Reply;
use ambidex_core::shard::records::{Key, Membership, MoveId, SliceId};
use ambidex_core::shard::store::{Outcome, Revision};
use ambidex_core::worker::WorkerId;
use ambidex_store::shards::{Change, Picture};
use ambidex_wire::shard::records::Path;

use super::{catches_up, membership};
use crate::conducting::Conducted;
use crate::mover::{Event, Lead, Task, Wanted};
use crate::status::Reason;
use crate::told::{Step, Told};
use crate::workers::{AskError, Question};

impl Task {
    /// Begins moves that wait, as many as there may be.
    pub(crate) fn begin_waiting(&mut self) {
        let mut at = 0;
        while let Some(wanted) = self.lead.as_ref().and_then(|lead| lead.waiting.get(at)).cloned() {
            match self.waits_for(&wanted) {
                Err(reason) if reason.code == "not_any_more" => {
                    self.lead.as_mut().and_then(|lead| lead.waiting.remove(at));
                }
                Err(reason) if reason.code == "most_moves" || reason.code == "catches_up" => return,
                Err(_) => at += 1,
                Ok(target) => {
                    self.lead.as_mut().and_then(|lead| lead.waiting.remove(at));
                    self.begin(wanted.slice, target);
                }
            }
        }
    }

    /// To whom a move may begin; or why not.
    pub(crate) fn waits_for(&self, wanted: &Wanted) -> Result<WorkerId, Reason> {
        let wait = |code, why: String| Err(Reason { code, why });
        let (Some(lead), Some(picture)) = (&self.lead, &self.picture) else { return Err(catches_up()) };
        let config = &self.parts.config;
        if picture.revision < lead.heard {
            return Err(catches_up());
        }
        if lead.moves.values().filter(|conducted| conducted.is_moving()).count() >= config.most_moves {
            return wait(
                "most_moves",
                format!("{} moves are under way, which is as many as there may be", config.most_moves),
            );
        }
        let Some((_, slice)) = picture.slice(wanted.slice) else {
            return wait("not_any_more", "the slice was merged away".to_owned());
        };
        if lead.moving(wanted.slice).is_some() || slice.moving.is_some() {
            return wait("moves", "the slice is in another move".to_owned());
        }
        let target = match &wanted.to {
            Some(name) => picture.number_of(name).filter(|id| self.takers(picture).any(|taker| taker == *id)),
            None => self.fewest(picture, lead, slice.owner),
        };
        let Some(target) = target else {
            return wait("no_target", "nobody in the pool may be given slices besides its owner".to_owned());
        };
        if target == slice.owner {
            return wait("not_any_more", "its target owns it".to_owned());
        }
        if wanted.to.is_none() && membership(picture, slice.owner) == Membership::In {
            return wait("not_any_more", "its owner is not drained any more".to_owned());
        }
        if wanted.to.is_none() && self.quarantine.rests(self.clock.now(), wanted.slice) {
            return wait("rests", "its last move was aborted a moment ago".to_owned());
        }
        for worker in [slice.owner, target] {
            let moves = lead.moves_of(worker);
            if moves >= config.most_moves_of_a_worker {
                let named = picture.names().find(|(id, _)| *id == worker).map(|(_, named)| &*named.name);
                let named = named.unwrap_or("a worker");
                return wait(
                    "most_moves_of_a_worker",
                    format!("{named} takes part in {moves} moves, which is as many as it may"),
                );
            }
        }
        Ok(target)
    }

    /// The taker with the fewest slices, those counted that it is to get.
    fn fewest(&self, picture: &Picture, lead: &Lead, besides: WorkerId) -> Option<WorkerId> {
        let has = |worker: WorkerId| {
            let owned = picture.slices().filter(|(_, slice)| slice.owner == worker).count();
            owned + lead.moves.values().filter(|conducted| conducted.conductor.plan().target == worker).count()
        };
        self.takers(picture).filter(|taker| *taker != besides).min_by_key(|taker| (has(*taker), *taker))
    }

    fn begin(&mut self, slice: SliceId, target: WorkerId) {
        let now = self.clock.now();
        let (Some(lead), Some(picture)) = (&mut self.lead, &self.picture) else { return };
        let Some(known) = picture.slice(slice) else { return };
        lead.given += 1;
        let id = MoveId(lead.term << 32 | lead.given);
        let order = MoveOrder { id, slice, target, who: self.parts.who, leader: lead.since };
        let mut out = Vec::new();
        let conductor = Conductor::planned(now, self.parts.config.moves, order, known, Bugs::default(), &mut out);
        lead.moves.insert(id, Conducted::new(conductor, now));
        self.counts.begun += 1;
        self.tell_of(id, Step::Begun);
        self.perform(id, out);
    }

    pub(crate) fn due(&mut self) {
        let now = self.clock.now();
        let due = |conducted: &Conducted| conducted.conductor.deadline().is_some_and(|at| at <= now);
        let moves = self.lead.iter().flat_map(|lead| &lead.moves).filter(|(_, conducted)| due(conducted));
        let moves: Vec<MoveId> = moves.map(|(id, _)| *id).collect();
        moves.into_iter().for_each(|id| self.conduct(id, conductor::Event::Due));
    }

    pub(crate) fn answered(&mut self, id: MoveId, way: u64, result: Result<Reply, AskError>) {
        let Some(conducted) = self.lead.as_mut().and_then(|lead| lead.moves.get_mut(&id)) else { return };
        let Some(number) = conducted.over(way) else { return };
        match result {
            Ok(reply) => {
                conducted.fault = None;
                conducted.count(&reply);
                self.conduct(id, conductor::Event::Answered { number, reply });
            }
            // Core asks again.
            Err(error) => conducted.fault = Some(error.to_string()),
        }
    }

    pub(crate) fn conduct(&mut self, id: MoveId, event: conductor::Event) {
        let now = self.clock.now();
        let Some(conducted) = self.lead.as_mut().and_then(|lead| lead.moves.get_mut(&id)) else { return };
        let mut out = Vec::new();
        conducted.conductor.on(now, event, &mut out);
        if conducted.heed_phase(now) {
            self.counts.committed += 1;
            self.tell_of(id, Step::Committed);
        }
        self.perform(id, out);
    }

    pub(crate) fn perform(&mut self, id: MoveId, effects: Vec<Effect>) {
        for effect in effects {
            let Some(lead) = &mut self.lead else { return };
            let Some(conducted) = lead.moves.get_mut(&id) else { return };
            let (life, tell, metadata) = (lead.since, self.tell.clone(), Arc::clone(&self.parts.metadata));
            match effect {
                Effect::Transact { number, transaction } => {
                    let change = Change::from(&transaction);
                    tokio::spawn(async move {
                        let outcome = metadata.transact(change).await.unwrap_or(Outcome::Unknown);
                        let event = conductor::Event::Transacted { number, outcome };
                        drop(tell.send(Event::Stored { life, id, event }).await);
                    });
                }
                Effect::Read { number } => {
                    let slice = conducted.conductor.order().slice;
                    tokio::spawn(async move {
                        let keys = [Key::Leader, Key::Slice(slice), Key::Move(id)];
                        // Where it cannot be read, core asks again.
                        if let Ok(picture) = metadata.read(keys.map(Path::Record).to_vec()).await {
                            let leader = picture.leader().map_or(Revision::ABSENT, |(revision, _)| revision);
                            let found = Found { leader, slice: picture.slice(slice), move_: picture.move_(id) };
                            let event = conductor::Event::Found { number, found };
                            drop(tell.send(Event::Stored { life, id, event }).await);
                        }
                    });
                }
                Effect::Ask { caller, to, message } => {
                    let Some(way) = conducted.asks(to, caller.ask, &message) else { continue };
                    let picture = self.picture.as_ref();
                    let named = picture.and_then(|picture| picture.names().find(|(known, _)| *known == to));
                    let map = picture.and_then(Picture::map).map_or(0, |map| map.id);
                    let slice = conducted.conductor.order().slice;
                    let keyspace = self.parts.config.keyspace.clone();
                    let question = Question { keyspace, map, caller, move_: id, slice, message };
                    let asked = named.map(|(_, named)| self.parts.workers.ask(named, question));
                    tokio::spawn(async move {
                        let nobody =
                            || AskError { worker: format!("worker {}", to.0), why: "it has no address".to_owned() };
                        let result = match asked {
                            Some(asked) => asked.await,
                            None => Err(nobody()),
                        };
                        drop(tell.send(Event::Answered { life, id, way, result }).await);
                    });
                }
                Effect::Over(end) => self.over(id, end),
            }
        }
    }

    /// Tells of a step of a move that is under way.
    fn tell_of(&self, id: MoveId, step: Step) {
        let Some(conducted) = self.lead.as_ref().and_then(|lead| lead.moves.get(&id)) else { return };
        let so_far = conducted.ended(self.clock.now(), id, End::Moved, |worker| self.name(worker));
        (self.parts.told)(Told::of(&self.parts.config.keyspace, step, &so_far));
    }

    fn over(&mut self, id: MoveId, end: End) {
        let now = self.clock.now();
        let Some(conducted) = self.lead.as_mut().and_then(|lead| lead.moves.remove(&id)) else { return };
        let ended = conducted.ended(now, id, end, |worker| self.name(worker));
        let (slice, bytes) = (conducted.conductor.plan().slice, ended.bytes);
        let range = self.picture.as_ref().and_then(|picture| picture.slice(slice)).map(|(_, slice)| slice.range);
        if let Some(lead) = &mut self.lead {
            lead.planning.ended(now, slice, range, bytes, end == End::Moved);
        }
        self.counts.entries += ended.entries;
        self.counts.bytes += ended.bytes;
        if let (End::Aborted(_), Some(why)) = (end, ended.why) {
            *self.counts.aborted.entry(why).or_default() += 1;
            (self.parts.told)(Told::of(&self.parts.config.keyspace, Step::Aborted, &ended));
        }
        let keyspace = &self.parts.config.keyspace;
        tracing::info!(
            %keyspace, "move" = %ended.id, slice = %ended.slice, from = %ended.from, to = %ended.to, end = ended.end,
            why = ended.why, entries = ended.entries, millis = ended.millis, pause_millis = ended.pause_millis, "a move is over"
        );
        let plan = conducted.conductor.plan();
        let target = self.name(plan.target);
        if let Some(why) = self.quarantine.ended(now, (plan.slice, plan.target), end) {
            tracing::error!(%keyspace, worker = target, why, "a worker breaks the contract: it gets no slices for ten minutes");
        }
        self.ended.push_front(ended);
        self.ended.truncate(MOST_ENDED);
        if end == End::Deposed {
            self.stand_by("another coordinator leads the map");
        }
        self.show();
    }
}

impl Lead {
    /// The move that a slice is in, by what is conducted here.
    pub(crate) fn moving(&self, slice: SliceId) -> Option<MoveId> {
        let is = |conducted: &Conducted| conducted.conductor.plan().slice == slice && conducted.is_moving();
        self.moves.iter().find(|(_, conducted)| is(conducted)).map(|(id, _)| *id)
    }

    /// Moves that a worker takes part in.
    fn moves_of(&self, worker: WorkerId) -> usize {
        let is = |conducted: &&Conducted| {
            let plan = conducted.conductor.plan();
            conducted.is_moving() && (plan.source == worker || plan.target == worker)
        };
        self.moves.values().filter(is).count()
    }
}

/// Moves that are over and shown. Source: ours.
const MOST_ENDED: usize = 64;
