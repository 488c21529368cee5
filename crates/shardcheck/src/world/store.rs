//! The metadata store as a process: transactions, reads, leases, and a watch for routers.

use ambidex_core::shard::conductor::Found;
use ambidex_core::shard::records::{Epoch, Key, Leader, Move, MoveId, Record, Slice, SliceId};
use ambidex_core::shard::space::{Point, Range};
use ambidex_core::shard::store::{MemoryStore, Outcome, Revision, Transaction};
use ambidex_core::shard::table::Table;
use ambidex_core::time::Span;
use ambidex_core::worker::WorkerId;

use super::World;
use super::packet::{Input, Packet};
use crate::scenario::{Node, ROUTERS};

/// Two slices, of the first two workers.
pub(super) fn first() -> MemoryStore {
    let (left, right) = Range::ALL.split_at(Point(1 << 63)).expect("there are points on both sides");
    let slice = |range, owner| {
        Record::Slice(Slice { range, owner: WorkerId(owner), epoch: Epoch::FIRST, moving: None, sealed: false })
    };
    let mut store = MemoryStore::new();
    store.transact(
        &Transaction::default()
            .put(Key::Ids, Record::Ids(2))
            .put(Key::Slice(SliceId(1)), slice(left, 0))
            .put(Key::Slice(SliceId(2)), slice(right, 1)),
    );
    store
}

/// A move's record.
pub(crate) fn move_in(store: &MemoryStore, id: MoveId) -> Option<(Revision, Move)> {
    match store.get(Key::Move(id)) {
        Some((revision, Record::Move(move_))) => Some((revision, move_)),
        Some((_, Record::Leader(_) | Record::Ids(_) | Record::Worker(_) | Record::Slice(_))) | None => None,
    }
}

/// A slice's record.
pub(crate) fn slice_in(store: &MemoryStore, id: SliceId) -> Option<(Revision, Slice)> {
    match store.get(Key::Slice(id)) {
        Some((revision, Record::Slice(slice))) => Some((revision, slice)),
        Some((_, Record::Leader(_) | Record::Ids(_) | Record::Worker(_) | Record::Move(_))) | None => None,
    }
}

impl World {
    pub(super) fn at_store(&mut self, input: Input) {
        let Input::Packet(from, packet) = input else { return };
        let answer = match packet {
            Packet::Campaign(who) => Packet::Campaigned(self.campaigned(who)),
            Packet::Transact(whose, transaction) => {
                let outcome = self.transacted(&transaction);
                self.say(|| format!("store: {whose:?} {outcome:?} {:?}", transaction.writes));
                Packet::Transacted(whose, outcome)
            }
            Packet::Read(whose, slice) => {
                let found = Found {
                    leader: self.store.revision_of(Key::Leader),
                    slice: slice_in(&self.store, slice),
                    move_: move_in(&self.store, whose.move_),
                };
                Packet::Found(whose, found)
            }
            Packet::ReadMove(slice, id) => Packet::Moved(slice, id, move_in(&self.store, id).map(|(_, move_)| move_)),
            Packet::ReadOwned => {
                let Node::Worker(worker) = from else { return };
                let mut slices = self.store.slices();
                slices.retain(|(_, slice)| slice.owner.0 as usize == worker);
                Packet::Owned(slices)
            }
            Packet::ReadTable => match Table::new(self.store.revision(), self.store.slices()) {
                Ok(table) => Packet::Table(table),
                Err(_) => return,
            },
            _ => return,
        };
        self.send(Node::Store, from, answer);
    }

    fn transacted(&mut self, transaction: &Transaction) -> Outcome {
        let outcome = self.store.transact(transaction);
        let slices = transaction.writes.iter().any(|write| matches!(write.key, Key::Slice(_)));
        if let Outcome::Done(revision) = outcome
            && slices
        {
            let table = Table::new(revision, self.store.slices()).ok();
            self.record.tables.push((revision, table.clone()));
            for router in 0..ROUTERS {
                if let Some(table) = table.clone() {
                    self.send(Node::Store, Node::Router(router), Packet::Table(table));
                }
            }
        }
        outcome
    }

    /// Gives the lease to who asks, if nobody else has it.
    fn campaigned(&mut self, who: u32) -> Option<(Revision, MemoryStore)> {
        if self.lease.is_some_and(|(leader, until)| leader != who && self.now < until) {
            return None;
        }
        self.lease = Some((who, self.now + LEASE));
        let before = match self.store.get(Key::Leader) {
            Some((_, Record::Leader(leader))) => leader,
            Some(_) | None => Leader { who: u32::MAX, term: 0 },
        };
        if before.who != who {
            let leader = Leader { who, term: before.term + 1 };
            self.store.transact(&Transaction::default().put(Key::Leader, Record::Leader(leader)));
            self.say(|| format!("store: {leader:?} leads"));
        }
        Some((self.store.revision_of(Key::Leader), self.store.clone()))
    }
}

const LEASE: Span = Span::from_millis(600);
