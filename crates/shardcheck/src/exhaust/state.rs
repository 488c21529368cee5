//! A state of the small world, and what is wrong with it.

use std::hash::{BuildHasher as _, Hash, Hasher};
use std::sync::Arc;

use ambidex_core::shard::Bugs;
use ambidex_core::shard::holder::{Access, Holder, Kept, Op, Ticket, Verdict};
use ambidex_core::shard::messages::{Bytes, Stand};
use ambidex_core::shard::records::{Epoch, Key, Leader, Record as Stored, Slice, SliceId};
use ambidex_core::shard::router::{self, Router, RouterConfig};
use ambidex_core::shard::seen::OpId;
use ambidex_core::shard::space::{Point, Range};
use ambidex_core::shard::store::{MemoryStore, Revision, Transaction};
use ambidex_core::shard::table::Table;
use ambidex_core::time::{Mono, Span};
use ambidex_core::worker::WorkerId;

use super::around::{Gate, Lead, Packet, Worker};
use super::happen::cut;
use super::scopes::{Ask, Budgets, Scope};
use crate::disk::{Disk, list_of, with};
use crate::judge::judge;
use crate::record::{Asked, Record, Seen};
use crate::world::gateway::with_bugs;
use crate::world::store::slice_in;

/// A state of the small world.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub(super) store: MemoryStore,
    pub(super) leads: Vec<Lead>,
    pub(super) workers: Vec<Worker>,
    pub(super) gates: Vec<Gate>,
    /// In flight, in the order of their hashes: so that the order in which they were sent makes no difference.
    pub(super) net: Vec<(u64, Packet)>,
    /// What clients did and saw; `began` is the end of time where they have not yet.
    pub(super) asked: Vec<Asked>,
    /// How often each was asked.
    pub(super) times: Vec<u8>,
    /// What clients did and saw is in this order.
    pub(super) told: u64,
    pub(super) left: Budgets,
    /// Who was shown to own the slice in which epoch.
    shown: Vec<(Epoch, WorkerId)>,
    /// The longest list that anybody could have seen.
    witnessed: Vec<u32>,
    broken: Option<String>,
    /// Whether clients ask without waiting.
    pub(super) hurried: bool,
    pub(super) bugs: Bugs,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, to: &mut H) {
        // One number goes to the checker: its own hasher is made to be stable, and slower.
        let mut state = foldhash::fast::FixedState::default().build_hasher();
        (&self.store, &self.leads, &self.workers, &self.gates).hash(&mut state);
        self.net.iter().for_each(|(hash, _)| hash.hash(&mut state));
        (&self.asked, &self.times, self.left, &self.shown, &self.witnessed).hash(&mut state);
        self.broken.is_some().hash(&mut state);
        to.write_u64(state.finish());
    }
}

impl State {
    pub(super) fn new(scope: &Scope, bugs: Bugs) -> Self {
        let mut store = MemoryStore::new();
        let slice = Slice { range: Range::ALL, owner: WorkerId(0), epoch: Epoch::FIRST, moving: None, sealed: false };
        store.transact(
            &Transaction::default()
                .put(Key::Leader, Stored::Leader(Leader { who: 0, term: 1 }))
                .put(Key::Slice(SLICE), Stored::Slice(slice)),
        );
        let since = store.revision();
        let table = Table::new(since, store.slices()).expect("one slice tiles the space");
        let worker = |kept: Kept| Worker {
            holder: with(Holder::recovered(SLICE, Range::ALL, kept.clone(), Default::default()), bugs),
            disk: Disk::new(Range::ALL, kept),
            keeping: Vec::new(),
            running: Default::default(),
        };
        let gate = |_| Gate {
            router: with_bugs(Router::new(router_config(scope), table.clone()), bugs),
            shown: since,
            flying: Default::default(),
        };
        let asks =
            scope.clients.iter().enumerate().flat_map(|(client, asks)| asks.iter().map(move |ask| (client, ask)));
        let asked = asks.map(|(client, ask)| Asked {
            client,
            router: client % scope.routers,
            key: 0,
            write: *ask != Ask::Read,
            stale: false,
            again: false,
            began: u64::MAX,
            ended: None,
        });
        let asked: Vec<Asked> = asked.collect();
        Self {
            leads: vec![Lead { since, moves: 0, conductor: None, asked: None, gone: false }],
            workers: vec![worker(Kept::Serving(Epoch::FIRST)), worker(Kept::Nothing)],
            gates: (0..scope.routers).map(gate).collect(),
            net: Vec::new(),
            times: vec![0; asked.len()],
            asked,
            told: 0,
            left: scope.budgets,
            shown: vec![(Epoch::FIRST, WorkerId(0))],
            witnessed: Vec::new(),
            broken: None,
            hurried: scope.hurried,
            bugs,
            store,
        }
    }

    pub(super) fn send(&mut self, packet: Packet) {
        let hash = foldhash::fast::FixedState::default().hash_one(&packet);
        let place = self.net.partition_point(|(other, _)| *other < hash);
        self.net.insert(place, (hash, packet));
    }

    /// The slice, and since when it is so.
    pub(super) fn slice(&self) -> (Revision, Slice) {
        slice_in(&self.store, SLICE).expect("nobody takes the slice away")
    }

    /// The table that the store shows.
    pub(super) fn table(&self) -> Table {
        let (revision, slice) = self.slice();
        Table::new(revision, vec![(SLICE, slice)]).expect("one slice tiles the space")
    }

    /// The store has another table: epochs grow with owners.
    pub(super) fn show(&mut self) {
        let (_, slice) = self.slice();
        let now = (slice.epoch, slice.owner);
        let (epoch, owner) = self.shown.last().copied().expect("the first one");
        if now == (epoch, owner) {
            return;
        }
        if slice.epoch <= epoch {
            self.breaks(format!("the slice changed in its epoch {}", epoch.0));
        }
        self.shown.push(now);
    }

    pub(super) fn breaks(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    /// Lists that a client would see now, through a router with any table that there ever was.
    fn visible(&self) -> Vec<Vec<u32>> {
        let read = Op { key: key(), point: point(), access: Access::Read, id: None };
        let seen = self.shown.iter().filter(|(epoch, owner)| {
            let mut holder = self.workers[owner.0 as usize].holder.clone();
            holder.admit(Ticket(u64::MAX), *epoch, &read) == Verdict::Run
        });
        seen.map(|(_, owner)| list_of(self.workers[owner.0 as usize].disk.data.get(&read.key))).collect()
    }

    /// Judges what clients saw so far, and what one would see now.
    pub(super) fn judge(&mut self) {
        for list in self.visible() {
            let record = Record { asked: self.asked.clone(), last: vec![list.clone()], ..Record::default() };
            if let Err(broken) = judge(&record) {
                self.breaks(broken.to_string());
            }
            if !list.starts_with(&self.witnessed) {
                self.breaks(format!("a reader could see {:?}, and then {list:?}", self.witnessed));
            }
            self.witnessed = list;
        }
    }

    /// What is wrong: with what clients saw, or that something is not served where nothing can happen any more.
    pub(super) fn wrong(&self, scope: &Scope) -> Option<String> {
        let still = self.net.is_empty() && self.workers.iter().all(|worker| worker.running.is_empty());
        let unserved = || (still && self.next(scope).is_empty()).then(|| self.unserved()).flatten();
        self.broken.clone().or_else(unserved)
    }

    fn unserved(&self) -> Option<String> {
        if let Some(number) = self.asked.iter().position(|asked| asked.ended.is_none()) {
            return Some(format!("request {number} has no end"));
        }
        if self.store.iter().any(|(key, _, _)| matches!(key, Key::Move(_))) {
            return Some("a move has no end".into());
        }
        for (router, gate) in self.gates.iter().enumerate() {
            let mut out = Vec::new();
            let asked =
                router::Asked { point: point(), ordered: true, again: true, stale: false, bytes: 1, deadline: LATER };
            gate.router.clone().on(NOW, router::Event::Asked(Ticket(u64::MAX), asked), &mut out);
            let Some(router::Effect::Send { way, .. }) = out.first() else {
                return Some(format!("router {router} holds back what it is asked, and nothing will change that"));
            };
            let read = Op { key: key(), point: point(), access: Access::Read, id: None };
            let mut holder = self.workers[way.owner.0 as usize].holder.clone();
            // Asked in an epoch that it does not know, a worker looks into the store.
            let behind = matches!(holder.stand(), Stand::Serves(epoch) if epoch < way.epoch);
            if behind && let Some(cut) = cut(&holder, Some(self.slice().1)) {
                holder = cut;
            }
            if holder.admit(Ticket(u64::MAX), way.epoch, &read) != Verdict::Run {
                return Some(format!("router {router} sends to worker {}, which does not serve", way.owner.0));
            }
        }
        None
    }

    /// What a request is called by its client.
    pub(super) fn id_of(&self, number: usize, scope: &Scope) -> Option<OpId> {
        let asked = &self.asked[number];
        let first = self.asked.iter().position(|other| other.client == asked.client).unwrap_or(0);
        let named = scope.clients[asked.client][number - first] == Ask::Named;
        named.then(|| OpId { producer: asked.client as u64 + 1, number: (number - first) as u64 + 1 })
    }

    /// A client hears of a request.
    pub(super) fn client_saw(&mut self, number: usize, seen: Seen) {
        let asked = &mut self.asked[number];
        if asked.ended.is_none() {
            let seen = if asked.again && seen == Seen::NotRun { Seen::Unknown } else { seen };
            self.told += 1;
            asked.ended = Some((self.told, seen));
        }
    }
}

/// Bounds of routers: time is 0, unless it is up.
pub(super) fn router_config(scope: &Scope) -> RouterConfig {
    RouterConfig { longest: Span::from_nanos(1), pause: Span::ZERO, hops: scope.hops, ..RouterConfig::default() }
}

pub(super) fn key() -> Bytes {
    Arc::from(*b"key")
}

pub(super) fn point() -> Point {
    Point::of(b"key")
}

/// Everything happens now.
pub(super) const NOW: Mono = Mono::from_nanos(0);
/// When a client gives up.
pub(super) const LATER: Mono = Mono::from_nanos(2);
pub(super) const SLICE: SliceId = SliceId(1);
