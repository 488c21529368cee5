//! A router's part: sends each request to the owner of its slice, in order where order is promised, and holds back what cannot be served
//! just now, within bounds.
//!
//! ```text
//!            owner known             answered
//!   asked -------------> Flying -----------------> delivered
//!     |                   |  ^
//!     | slice sealed      |  | another epoch is known (in key order), or the pause is over
//!     v                   v  |
//!   Parked <----------- Waiting     421: 2 ms doubling, at most 6 times; broken off: only if the write has an op id
//!     |                    |
//!     +-- no room, deadline, 2 s --> refused: 503 with Retry-After, or 504 where nobody knows
//! ```
//! **What a router knows of a slice only grows**: a later epoch beats an earlier one, and within an epoch a slice is served first
//! and stopped then, never served again. So the store's table and workers' hints can be taken in any order ([`Knowledge`]). A hint goes for
//! the range that it names, and for no other point.
//!
//! **Order.** Writes to one place go one at a time through a lane: the next is sent when the one before is answered. So neither a retry nor
//! a seal reorders what one router was given. A place is a key's point, or all of its slice where a keyspace promises order
//! [by slice](RouterConfig::by_slice). Reads, and writes of keyspaces that promise no order, have a lane each. A client that leaves gives its
//! place up: a write that nobody waits for is one whose end nobody knows.
//!
//! **Bounds.** Whatever is not flying counts: at most [`RouterConfig::slice_requests`] and [`RouterConfig::slice_bytes`] for each slice, and
//! [`RouterConfig::all_bytes`] in all. Beyond that a request is refused at once. Nothing that was acknowledged is only here: an
//! acknowledgement is the owner's answer, delivered.

mod knowledge;
mod room;
#[cfg(test)]
mod tests;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::bugs::{Bug, Bugs};
use super::holder::{Hint, Ticket};
use super::records::SliceId;
use super::space::Point;
use super::table::Table;
use crate::time::Mono;
use crate::worker::WorkerId;

pub use knowledge::{Knowledge, Way};
use room::Room;
pub use room::RouterConfig;

/// A request that is to be routed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    /// Where its key lies.
    pub point: Point,
    /// Whether it must keep its place among others to that point, or to its slice: [`RouterConfig::by_slice`].
    pub ordered: bool,
    /// Whether it may be sent again after nobody knows what became of it: a read, or a write with an op id.
    pub again: bool,
    /// Whether an owner that has stopped serving its slice may answer it, while nobody else does.
    pub stale: bool,
    /// What holding it back costs in memory.
    pub bytes: u64,
    /// When its client gives up.
    pub deadline: Mono,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request came.
    Asked(Ticket, Asked),
    /// A try ended.
    Answered {
        /// Of which request.
        ticket: Ticket,
        /// Which of its tries.
        hop: u32,
        /// How.
        answer: Answer,
    },
    /// Nobody waits for a request any more.
    Gone(Ticket),
    /// The store shows these slices.
    Shown(Table),
    /// Another store shows these slices, and what the one before showed is void.
    Replaced(Table),
    /// Time has passed.
    Due,
}

/// How a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// With what the client gets.
    Done,
    /// It was not admitted: 421.
    Misdirected(Option<Hint>),
    /// The same write still runs there.
    Running,
    /// Nobody knows what became of it.
    Broken,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send a request: [`Event::Answered`] with the same hop.
    Send {
        /// Which.
        ticket: Ticket,
        /// Which of its tries this is, from 0.
        hop: u32,
        /// Where.
        way: Way,
    },
    /// Give the client the worker's answer.
    Deliver(Ticket),
    /// Give the client a refusal.
    Refuse(Ticket, Refusal),
    /// Read the slices anew: [`Event::Shown`].
    Refresh,
}

/// Why a client gets no answer of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It was not run: there is no more room to wait. 503.
    Full,
    /// It was not run: its slice was not served in time. 503.
    Unserved,
    /// It may have been run. 504.
    Unknown,
}

/// Routes one keyspace's requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Router {
    config: RouterConfig,
    knowledge: Knowledge,
    requests: BTreeMap<Ticket, Request>,
    lanes: BTreeMap<Lane, VecDeque<Ticket>>,
    /// Lanes whose first waits for another epoch, or for its pause.
    held: BTreeSet<Lane>,
    /// When pauses are over.
    pauses: BTreeSet<(Mono, Lane)>,
    /// When requests are given up.
    ends: BTreeSet<(Mono, Ticket)>,
    room: Room,
    bugs: Bugs,
}

/// Requests that go one after the other: in the order of the space, so that what waited goes in key order. What has a lane for itself
/// has its ticket in it.
type Lane = (Point, Option<Ticket>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Request {
    asked: Asked,
    lane: Lane,
    hop: u32,
    state: State,
    /// Whether a try may have been run.
    unsure: bool,
    /// When it is given up.
    end: Mono,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    /// Behind another one, parked, or in a pause, until then; it takes room of that slice.
    Waiting { slice: SliceId, pause: Option<Mono> },
    /// At a worker.
    Flying(WorkerId),
}

impl Router {
    /// With what the store showed last.
    #[must_use]
    pub fn new(config: RouterConfig, table: Table) -> Self {
        Self {
            room: Room::new(config),
            config,
            knowledge: Knowledge::new(table),
            requests: BTreeMap::new(),
            lanes: BTreeMap::new(),
            held: BTreeSet::new(),
            pauses: BTreeSet::new(),
            ends: BTreeSet::new(),
            bugs: Bugs::default(),
        }
    }

    /// The same with a bug.
    #[cfg(feature = "seeded-bugs")]
    #[must_use]
    pub fn with(self, bugs: Bugs) -> Self {
        Self { bugs, ..self }
    }

    /// When to call with [`Event::Due`].
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        let (pause, end) = (self.pauses.first().map(|(at, _)| *at), self.ends.first().map(|(at, _)| *at));
        pause.into_iter().chain(end).min()
    }

    /// Requests and bytes that wait.
    #[must_use]
    pub fn waiting(&self) -> (usize, u64) {
        self.room.taken()
    }

    /// Handles one event.
    pub fn on(&mut self, now: Mono, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Asked(ticket, asked) => self.asked(now, ticket, asked, out),
            Event::Answered { ticket, hop, answer } => self.answered(now, ticket, hop, answer, out),
            Event::Shown(table) => {
                if self.knowledge.show(table) {
                    self.advance_held(now, out);
                }
            }
            Event::Gone(ticket) => self.leave(now, ticket, out),
            Event::Replaced(table) => {
                self.knowledge = Knowledge::new(table);
                self.advance_held(now, out);
            }
            Event::Due => self.due(now, out),
        }
    }

    fn asked(&mut self, now: Mono, ticket: Ticket, asked: Asked, out: &mut Vec<Effect>) {
        let slice = self.knowledge.way(asked.point).slice;
        if self.requests.contains_key(&ticket) || !self.room.take(slice, asked.bytes) {
            return out.push(Effect::Refuse(ticket, Refusal::Full));
        }
        let end = asked.deadline.min(now + self.config.longest);
        let state = State::Waiting { slice, pause: None };
        let lane = match (asked.ordered, self.config.by_slice) {
            (false, _) => (asked.point, Some(ticket)),
            (true, false) => (asked.point, None),
            (true, true) => (self.knowledge.first_of(asked.point), None),
        };
        self.requests.insert(ticket, Request { asked, lane, hop: 0, state, unsure: false, end });
        self.ends.insert((end, ticket));
        let queue = self.lanes.entry(lane).or_default();
        queue.push_back(ticket);
        if queue.len() == 1 || self.bugs.has(Bug::DrainAtOnce) {
            self.advance(now, lane, out);
        }
    }

    fn answered(&mut self, now: Mono, ticket: Ticket, hop: u32, answer: Answer, out: &mut Vec<Effect>) {
        let Some(request) = self.requests.get_mut(&ticket) else { return };
        let State::Flying(worker) = request.state else { return };
        if request.hop != hop {
            return;
        }
        let lane = request.lane;
        request.hop += 1;
        // One that has stopped is asked for an old answer once: it has handed its slice over, or is gone.
        request.asked.stale = false;
        let mut newer = false;
        match answer {
            Answer::Done => {
                out.push(Effect::Deliver(ticket));
                return self.leave(now, ticket, out);
            }
            Answer::Misdirected(hint) => newer = hint.is_some_and(|hint| self.knowledge.hear(hint, worker)),
            Answer::Running => request.unsure = true,
            Answer::Broken => {
                request.unsure = true;
                if !request.asked.again {
                    out.push(Effect::Refuse(ticket, Refusal::Unknown));
                    return self.leave(now, ticket, out);
                }
            }
        }
        let (asked, unsure) = (request.asked, request.unsure);
        let slice = self.knowledge.way(asked.point).slice;
        let refusal = if unsure { Refusal::Unknown } else { Refusal::Unserved };
        if hop >= self.config.hops || !self.room.take(slice, asked.bytes) {
            out.push(Effect::Refuse(ticket, refusal));
            return self.leave(now, ticket, out);
        }
        if !newer {
            out.push(Effect::Refresh);
        }
        let pause = (!newer).then(|| now + self.config.pause.times(1 << hop.min(16)));
        if let Some(request) = self.requests.get_mut(&ticket) {
            request.state = State::Waiting { slice, pause };
        }
        self.end_at(ticket, asked.deadline.min(now + self.config.longest));
        if newer {
            self.advance_held(now, out);
            self.advance(now, lane, out);
        } else {
            self.held.insert(lane);
            self.pauses.extend(pause.map(|at| (at, lane)));
        }
    }

    fn due(&mut self, now: Mono, out: &mut Vec<Effect>) {
        while let Some((at, ticket)) = self.ends.first().copied()
            && at <= now
        {
            let request = self.requests.get(&ticket).copied();
            let flying = request.is_some_and(|request| matches!(request.state, State::Flying(_)));
            let sure = request.is_some_and(|request| !flying && !request.unsure);
            // What is at a worker has until its own deadline: waiting is what is bounded by less.
            if let Some(request) = request
                && flying
                && now < request.asked.deadline
            {
                self.end_at(ticket, request.asked.deadline);
                continue;
            }
            out.push(Effect::Refuse(ticket, if sure { Refusal::Unserved } else { Refusal::Unknown }));
            self.leave(now, ticket, out);
            self.ends.remove(&(at, ticket));
        }
        while let Some((at, lane)) = self.pauses.first().copied()
            && at <= now
        {
            self.pauses.remove(&(at, lane));
            self.advance(now, lane, out);
        }
    }

    /// Another epoch may be known: whatever waits for one is tried, in the order of the space.
    fn advance_held(&mut self, now: Mono, out: &mut Vec<Effect>) {
        for lane in core::mem::take(&mut self.held) {
            self.advance(now, lane, out);
        }
    }

    /// Sends the first of a lane, if its slice is served and it is not in a pause.
    fn advance(&mut self, now: Mono, lane: Lane, out: &mut Vec<Effect>) {
        let Some(queue) = self.lanes.get(&lane) else { return };
        let most = if self.bugs.has(Bug::DrainAtOnce) { queue.len() } else { 1 };
        let firsts: Vec<Ticket> = queue.iter().take(most).copied().collect();
        for ticket in firsts {
            self.send(now, lane, ticket, out);
        }
    }

    fn send(&mut self, now: Mono, lane: Lane, ticket: Ticket, out: &mut Vec<Effect>) {
        let Some(request) = self.requests.get_mut(&ticket) else { return };
        let State::Waiting { slice, pause } = request.state else { return };
        let way = self.knowledge.way(request.asked.point);
        if (way.stopped && !request.asked.stale) || pause.is_some_and(|until| now < until) {
            self.held.insert(lane);
            self.pauses.extend(pause.filter(|until| now < *until).map(|until| (until, lane)));
            return;
        }
        request.state = State::Flying(way.owner);
        self.room.give_back(slice, request.asked.bytes);
        out.push(Effect::Send { ticket, hop: request.hop, way });
    }

    /// A request is over: the next of its lane goes.
    fn leave(&mut self, now: Mono, ticket: Ticket, out: &mut Vec<Effect>) {
        let Some(request) = self.requests.remove(&ticket) else { return };
        if let State::Waiting { slice, .. } = request.state {
            self.room.give_back(slice, request.asked.bytes);
        }
        self.ends.remove(&(request.end, ticket));
        let lane = request.lane;
        let Some(queue) = self.lanes.get_mut(&lane) else { return };
        let was_first = queue.front() == Some(&ticket);
        queue.retain(|queued| *queued != ticket);
        if queue.is_empty() {
            self.lanes.remove(&lane);
            self.held.remove(&lane);
        } else if was_first {
            self.advance(now, lane, out);
        }
    }

    fn end_at(&mut self, ticket: Ticket, end: Mono) {
        if let Some(request) = self.requests.get_mut(&ticket) {
            self.ends.remove(&(request.end, ticket));
            request.end = end;
            self.ends.insert((end, ticket));
        }
    }
}
