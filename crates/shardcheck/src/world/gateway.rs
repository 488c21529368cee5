//! A router as a process: its machine, its clients' requests, and the table that it has on disk.

use std::collections::BTreeMap;

use ambidex_core::shard::Bugs;
use ambidex_core::shard::holder::{Op, Ticket};
use ambidex_core::shard::records::{Key, Record};
use ambidex_core::shard::router::{Answer, Asked, Effect, Event, Refusal, Router, RouterConfig};
use ambidex_core::shard::space::Point;
use ambidex_core::shard::table::Table;
use ambidex_core::time::{Mono, Span};

use super::World;
use super::packet::{Input, Packet, Request, Said};
use crate::judge::Broken;
use crate::record::Seen;
use crate::scenario::Node;

/// A router.
pub(super) struct Gateway {
    router: Router,
    /// Written at each change: a start needs no store.
    table: Table,
    /// Which request of the record a ticket is.
    asked: BTreeMap<Ticket, usize>,
    /// What a worker said that its client is to get.
    said: Option<Seen>,
    bugs: Bugs,
}

impl Gateway {
    pub(super) fn new(table: Table, bugs: Bugs) -> Self {
        let router = with_bugs(Router::new(config(), table.clone()), bugs);
        Self { router, table, asked: BTreeMap::new(), said: None, bugs }
    }

    /// It comes back with the table that it had.
    pub(super) fn again(&mut self) {
        *self = Self::new(self.table.clone(), self.bugs);
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.router.deadline()
    }
}

#[cfg(feature = "seeded-bugs")]
pub(crate) fn with_bugs(router: Router, bugs: Bugs) -> Router {
    router.with(bugs)
}

#[cfg(not(feature = "seeded-bugs"))]
pub(crate) fn with_bugs(router: Router, _: Bugs) -> Router {
    router
}

impl World {
    pub(super) fn at_gateway(&mut self, me: usize, input: Input) -> Result<(), Broken> {
        match input {
            Input::Wake => {
                self.woken(Node::Router(me));
                self.route(me, Event::Due);
            }
            Input::Tick => {
                self.send(Node::Router(me), Node::Store, Packet::ReadTable);
                self.after(Span::from_millis(900), Node::Router(me), Input::Tick);
            }
            Input::TryOver(ticket, hop) => {
                self.route(me, Event::Answered { ticket: Ticket(ticket), hop, answer: Answer::Broken });
            }
            Input::Packet(_, Packet::Table(table)) => {
                let gateway = &mut self.gateways[me];
                if gateway.table.revision() < table.revision() {
                    gateway.table = table.clone();
                }
                self.route(me, Event::Shown(table));
            }
            Input::Packet(_, Packet::Client(number)) => self.ask_router(me, number),
            Input::Packet(_, Packet::Response { ticket, hop, answer }) => {
                let answer = match answer {
                    Said::Done(seen) => {
                        self.gateways[me].said = Some(seen);
                        Answer::Done
                    }
                    Said::Misdirected(hint) => Answer::Misdirected(hint),
                    Said::Running => Answer::Running,
                };
                self.route(me, Event::Answered { ticket: Ticket(ticket), hop, answer });
            }
            _ => {}
        }
        let (requests, bytes) = self.gateways[me].router.waiting();
        // Of each slice that ever was: what waits keeps the name under which it began to.
        let slices = match self.store.get(Key::Ids) {
            Some((_, Record::Ids(highest))) => usize::try_from(highest).unwrap_or(usize::MAX),
            Some(_) | None => 0,
        };
        if requests > config().slice_requests * slices || bytes > config().all_bytes {
            return Err(Broken(format!("router {me} holds {requests} requests back, of {bytes} bytes")));
        }
        Ok(())
    }

    fn ask_router(&mut self, me: usize, number: usize) {
        let ticket = Ticket(self.ticket());
        let asked = &self.record.asked[number];
        let id = self.clients[asked.client].ids.get(&number).copied();
        let asked = Asked {
            point: Point::of(&self.keys[asked.key]),
            ordered: asked.write,
            again: !asked.write || id.is_some(),
            stale: asked.stale,
            bytes: 100,
            deadline: self.now + Span::from_millis(1_800),
        };
        self.gateways[me].asked.insert(ticket, number);
        self.route(me, Event::Asked(ticket, asked));
    }

    fn route(&mut self, me: usize, event: Event) {
        let mut out = Vec::new();
        self.gateways[me].router.on(self.now, event, &mut out);
        for effect in out {
            match effect {
                Effect::Send { ticket, hop, way } => {
                    let Some(number) = self.gateways[me].asked.get(&ticket).copied() else { continue };
                    let asked = &self.record.asked[number];
                    let id = self.clients[asked.client].ids.get(&number).copied();
                    let key = &self.keys[asked.key];
                    let op = Op { key: key.clone(), point: Point::of(key), access: asked.access(), id };
                    let number = u32::try_from(number).expect("a few requests");
                    let (slice, epoch) = (way.slice, way.epoch);
                    let request = Request { ticket: ticket.0, hop, slice, epoch, op, number };
                    self.send(Node::Router(me), Node::Worker(way.owner.0 as usize), Packet::Request(request));
                    self.after(Span::from_millis(250), Node::Router(me), Input::TryOver(ticket.0, hop));
                }
                Effect::Deliver(ticket) => {
                    let seen = self.gateways[me].said.take().unwrap_or(Seen::Unknown);
                    self.tell_client(me, ticket, seen);
                }
                Effect::Refuse(ticket, Refusal::Full | Refusal::Unserved) => self.tell_client(me, ticket, Seen::NotRun),
                Effect::Refuse(ticket, Refusal::Unknown) => self.tell_client(me, ticket, Seen::Unknown),
                Effect::Refresh => self.send(Node::Router(me), Node::Store, Packet::ReadTable),
            }
        }
    }

    fn tell_client(&mut self, me: usize, ticket: Ticket, seen: Seen) {
        if let Some(number) = self.gateways[me].asked.remove(&ticket) {
            self.client_saw(number, seen);
        }
    }
}

/// Little room, so that it is full at times.
fn config() -> RouterConfig {
    RouterConfig { slice_requests: 4, slice_bytes: 100_000, all_bytes: 1_000, ..RouterConfig::default() }
}
