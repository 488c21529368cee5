//! A coordinator as a process: campaigns, conducts moves, and now and then begins something by the picture that it has.

use std::collections::{BTreeMap, BTreeSet};

use ambidex_core::shard::conductor::{Conductor, ConductorConfig, Effect, End, Event, Order};
use ambidex_core::shard::records::{Key, Membership, MoveId, Record, Slice, SliceId};
use ambidex_core::shard::reshape;
use ambidex_core::shard::space::Point;
use ambidex_core::shard::store::{MemoryStore, Outcome, Revision, Transaction};
use ambidex_core::time::{Mono, Span};
use ambidex_core::worker::WorkerId;

use super::World;
use super::packet::{For, Input, Packet};
use super::store::slice_in;
use crate::scenario::{COORDINATORS, Node, WORKERS};

/// A coordinator.
pub(super) struct Coordinator {
    /// This life of it.
    who: u32,
    ticks: u64,
    lead: Option<Lead>,
}

struct Lead {
    since: Revision,
    /// What it knows: of when it was told last that it leads.
    picture: MemoryStore,
    /// The latest revision that it has heard of: a picture from before is not enough to let a worker go.
    heard: Revision,
    conductors: BTreeMap<MoveId, Conductor>,
    moves: u64,
    /// Workers that it lets go, or has let go.
    left: BTreeSet<usize>,
    /// Transactions that are no move's: what to do when they are done.
    others: BTreeMap<u64, Other>,
}

#[derive(Clone, Copy)]
enum Other {
    Reshape,
    Leave(usize),
}

impl Coordinator {
    pub(super) fn new(number: usize) -> Self {
        Self { who: u32::try_from(number).expect("a few coordinators"), ticks: 0, lead: None }
    }

    /// It comes back: as somebody else, whom no answer to an earlier question is for.
    pub(super) fn again(&mut self) {
        self.who += u32::try_from(COORDINATORS).expect("a few coordinators");
        self.ticks = 0;
        self.lead = None;
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.lead.as_ref()?.conductors.values().filter_map(Conductor::deadline).min()
    }
}

impl World {
    pub(super) fn at_coordinator(&mut self, me: usize, input: Input) {
        match input {
            Input::Tick => {
                self.begin_something(me);
                let coordinator = &mut self.coordinators[me];
                coordinator.ticks += 1;
                let who = coordinator.who;
                // Between two campaigns it goes by what it heard last, whoever leads meanwhile.
                if coordinator.ticks % 3 == 1 {
                    self.send(Node::Coordinator(me), Node::Store, Packet::Campaign(who));
                }
                self.after(Span::from_millis(100), Node::Coordinator(me), Input::Tick);
            }
            Input::Wake => {
                self.woken(Node::Coordinator(me));
                let now = self.now;
                let due = |conductor: &Conductor| conductor.deadline().is_some_and(|at| at <= now);
                let Some(lead) = &self.coordinators[me].lead else { return };
                let moves = lead.conductors.iter().filter(|(_, conductor)| due(conductor));
                let moves: Vec<MoveId> = moves.map(|(id, _)| *id).collect();
                moves.into_iter().for_each(|id| self.conduct(me, id, Event::Due));
            }
            Input::Packet(_, packet) => self.heard_by_coordinator(me, packet),
            _ => {}
        }
    }

    fn heard_by_coordinator(&mut self, me: usize, packet: Packet) {
        let who = self.coordinators[me].who;
        match packet {
            Packet::Campaigned(None) => self.coordinators[me].lead = None,
            Packet::Campaigned(Some((since, picture))) => self.lead(me, since, picture),
            Packet::Transacted(whose, outcome) if whose.who == who => {
                if let (Outcome::Done(revision), Some(lead)) = (outcome, &mut self.coordinators[me].lead) {
                    lead.heard = lead.heard.max(revision);
                }
                if whose.move_ == MoveId(0) {
                    self.other_done(me, whose.number, outcome);
                } else {
                    self.conduct(me, whose.move_, Event::Transacted { number: whose.number, outcome });
                }
            }
            Packet::Found(whose, found) if whose.who == who => {
                if let (Some((revision, _)), Some(lead)) = (found.move_, &mut self.coordinators[me].lead) {
                    lead.heard = lead.heard.max(revision);
                }
                self.conduct(me, whose.move_, Event::Found { number: whose.number, found });
            }
            Packet::Reply(caller, move_, reply) if caller.who == who => {
                self.conduct(me, move_, Event::Answered { number: caller.ask, reply });
            }
            _ => {}
        }
    }

    fn lead(&mut self, me: usize, since: Revision, picture: MemoryStore) {
        if let Some(lead) = &mut self.coordinators[me].lead
            && lead.since == since
        {
            if lead.picture.revision() < picture.revision() {
                lead.picture = picture;
            }
            return;
        }
        let moves = picture.iter().filter_map(|(key, revision, record)| match (key, record) {
            (Key::Move(id), Record::Move(move_)) => Some((id, revision, move_)),
            _ => None,
        });
        let moves: Vec<_> = moves.collect();
        let config = quick(self.scenario.rest);
        let (conductors, others) = (BTreeMap::new(), BTreeMap::new());
        let heard = picture.revision();
        let lead = Lead { since, picture, heard, conductors, moves: 0, left: BTreeSet::new(), others };
        let who = self.coordinators[me].who;
        self.coordinators[me].lead = Some(lead);
        self.say(|| format!("coordinator {me}: leads, with {} moves", moves.len()));
        for (id, revision, move_) in moves {
            let Some(lead) = &mut self.coordinators[me].lead else { return };
            let order = Order { id, slice: move_.slice, target: move_.target, who, leader: since };
            let slice = slice_in(&lead.picture, move_.slice);
            let mut out = Vec::new();
            let conductor =
                Conductor::taken_over(self.now, config, order, slice, (revision, move_), self.bugs, &mut out);
            lead.conductors.insert(id, conductor);
            self.perform(me, id, out);
        }
    }

    fn conduct(&mut self, me: usize, id: MoveId, event: Event) {
        let mut out = Vec::new();
        let lead = self.coordinators[me].lead.as_mut();
        let Some(conductor) = lead.and_then(|lead| lead.conductors.get_mut(&id)) else { return };
        conductor.on(self.now, event, &mut out);
        self.perform(me, id, out);
    }

    fn perform(&mut self, me: usize, id: MoveId, effects: Vec<Effect>) {
        let (from, who) = (Node::Coordinator(me), self.coordinators[me].who);
        for effect in effects {
            let Some(lead) = self.coordinators[me].lead.as_mut() else { return };
            let Some(slice) = lead.conductors.get(&id).map(|conductor| conductor.order().slice) else { return };
            match effect {
                Effect::Transact { number, transaction } => {
                    self.send(from, Node::Store, Packet::Transact(For { who, move_: id, number }, transaction));
                }
                Effect::Read { number } => {
                    self.send(from, Node::Store, Packet::Read(For { who, move_: id, number }, slice));
                }
                Effect::Ask { caller, to, message } => {
                    self.send(from, Node::Worker(to.0 as usize), Packet::Ask(caller, id, slice, message));
                }
                Effect::Over(end) => {
                    lead.conductors.remove(&id);
                    match end {
                        End::Moved => self.figures.moved += 1,
                        End::Aborted(_) => self.figures.aborted += 1,
                        End::NotPlanned | End::Deposed => {}
                    }
                    self.say(|| format!("coordinator {me}: move {:x} of slice {}: {end:?}", id.0, slice.0));
                }
            }
        }
    }

    fn other_done(&mut self, me: usize, number: u64, outcome: Outcome) {
        let Some(lead) = &mut self.coordinators[me].lead else { return };
        let (Some(other), Outcome::Done(_)) = (lead.others.remove(&number), outcome) else { return };
        match other {
            Other::Reshape => self.figures.reshaped += 1,
            Other::Leave(worker) => {
                let later = self.micros(100_000, 1_500_000);
                self.say(|| format!("coordinator {me}: worker {worker} has left"));
                self.at(self.now + later, Node::Nature, None, Input::SwitchOff(worker));
            }
        }
    }

    /// Begins a move, a split, a merge, an abort or a worker's leave, as the draw has it.
    fn begin_something(&mut self, me: usize) {
        if self.is_calm() || self.draw.below(100) >= self.scenario.eagerness {
            return;
        }
        let Some(lead) = &self.coordinators[me].lead else { return };
        let slices = lead.picture.slices();
        let (id, slice) = slices[self.draw.below(slices.len())];
        match self.draw.below(16) {
            0 | 1 => self.begin_split(me, id),
            2 | 3 => self.begin_merge(me, id, slice),
            4 => {
                let moves: Vec<MoveId> = lead.conductors.keys().copied().collect();
                if !moves.is_empty() {
                    let id = moves[self.draw.below(moves.len())];
                    self.conduct(me, id, Event::AbortWanted);
                }
            }
            5..=8 if self.scenario.leaving => self.begin_leave(me),
            _ => self.begin_move(me, id),
        }
    }

    fn begin_move(&mut self, me: usize, id: SliceId) {
        let who = self.coordinators[me].who;
        let target = self.draw.below(WORKERS);
        let (now, bugs, config) = (self.now, self.bugs, quick(self.scenario.rest));
        let Some(lead) = &mut self.coordinators[me].lead else { return };
        let busy = lead.conductors.values().any(|conductor| conductor.order().slice == id);
        let Some(slice) = slice_in(&lead.picture, id) else { return };
        if busy || lead.has_left(target) || slice.1.moving.is_some() || slice.1.owner.0 as usize == target {
            return;
        }
        lead.moves += 1;
        let term = lead.term();
        let move_ = MoveId(term << 32 | lead.moves);
        let target = WorkerId(u32::try_from(target).expect("a few workers"));
        let order = Order { id: move_, slice: id, target, who, leader: lead.since };
        let mut out = Vec::new();
        let conductor = Conductor::planned(now, config, order, slice, bugs, &mut out);
        lead.conductors.insert(move_, conductor);
        self.say(|| format!("coordinator {me}: move {:x}: slice {} to worker {}", move_.0, id.0, target.0));
        self.perform(me, move_, out);
    }

    fn begin_split(&mut self, me: usize, id: SliceId) {
        let key = self.draw.below(self.keys.len());
        let at = Point::of(&self.keys[key]);
        let bugs = self.bugs;
        let Some(lead) = &self.coordinators[me].lead else { return };
        let (Some((revision, slice)), Some((ids, Record::Ids(highest)))) =
            (slice_in(&lead.picture, id), lead.picture.get(Key::Ids))
        else {
            return;
        };
        let split = reshape::split(lead.since, (id, revision, slice), at, (ids, highest), bugs);
        self.do_other(me, split.ok(), Other::Reshape);
    }

    fn begin_merge(&mut self, me: usize, id: SliceId, slice: Slice) {
        let bugs = self.bugs;
        let Some(lead) = &self.coordinators[me].lead else { return };
        let next = lead.picture.slices().into_iter().find(|(_, next)| slice.range.joined(next.range).is_some());
        let Some((next, _)) = next else { return };
        let known = |id| slice_in(&lead.picture, id).map(|(revision, slice)| (id, revision, slice));
        let (Some(left), Some(right)) = (known(id), known(next)) else { return };
        let merge = reshape::merge(lead.since, left, right, bugs);
        self.do_other(me, merge.ok(), Other::Reshape);
    }

    /// Lets a worker go that has nothing, by all that this leader knows.
    fn begin_leave(&mut self, me: usize) {
        let bugs = self.bugs;
        let Some(lead) = &mut self.coordinators[me].lead else { return };
        if lead.picture.revision() < lead.heard {
            return;
        }
        let mut workers = (0..WORKERS).rev().filter(|worker| !lead.is_used(*worker));
        let (Some(worker), false) = (workers.next(), (0..WORKERS).any(|worker| lead.has_left(worker))) else { return };
        lead.left.insert(worker);
        let id = WorkerId(u32::try_from(worker).expect("a few workers"));
        let leave = reshape::leave(lead.since, id, bugs);
        self.do_other(me, Some(leave), Other::Leave(worker));
    }

    fn do_other(&mut self, me: usize, transaction: Option<Transaction>, other: Other) {
        let number = self.ticket();
        let who = self.coordinators[me].who;
        let (Some(lead), Some(transaction)) = (&mut self.coordinators[me].lead, transaction) else { return };
        lead.others.insert(number, other);
        let whose = For { who, move_: MoveId(0), number };
        self.send(Node::Coordinator(me), Node::Store, Packet::Transact(whose, transaction));
    }
}

impl Lead {
    fn term(&self) -> u64 {
        match self.picture.get(Key::Leader) {
            Some((_, Record::Leader(leader))) => leader.term,
            Some(_) | None => 0,
        }
    }

    fn has_left(&self, worker: usize) -> bool {
        let id = WorkerId(u32::try_from(worker).expect("a few workers"));
        let left = matches!(self.picture.get(Key::Worker(id)), Some((_, Record::Worker(Membership::Left))));
        left || self.left.contains(&worker)
    }

    /// Whether a slice or a move names a worker.
    fn is_used(&self, worker: usize) -> bool {
        let is = |id: WorkerId| id.0 as usize == worker;
        let moving = self.conductors.values().any(|conductor| {
            let plan = conductor.plan();
            is(plan.target) || is(plan.source)
        });
        let named = self.picture.iter().any(|(_, _, record)| match record {
            Record::Slice(slice) => is(slice.owner),
            Record::Move(move_) => is(move_.source) || is(move_.target),
            Record::Leader(_) | Record::Ids(_) | Record::Worker(_) => false,
        });
        moving || named
    }
}

/// Bounds of moves that fit into a history.
fn quick(rest: Span) -> ConductorConfig {
    ConductorConfig {
        pause: Span::from_millis(60),
        ask_again: Span::from_millis(120),
        silence: Span::from_millis(900),
        seal: Span::from_millis(700),
        rest,
        ..ConductorConfig::default()
    }
}
