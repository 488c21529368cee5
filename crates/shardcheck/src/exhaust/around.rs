//! What is around the machines: messages, and the processes that they are in.

use std::collections::BTreeMap;

use ambidex_core::shard::conductor::{Conductor, Found};
use ambidex_core::shard::holder::{Hint, Holder, Kept};
use ambidex_core::shard::messages::{Caller, Message, Reply};
use ambidex_core::shard::records::{Epoch, Move, MoveId, Slice};
use ambidex_core::shard::router::Router;
use ambidex_core::shard::store::{Outcome, Revision, Transaction};

use crate::disk::Disk;
use crate::record::Seen;

/// A message in flight.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Packet {
    /// A leadership's to the store.
    Transact(Caller, Transaction),
    /// Its outcome.
    Transacted(Caller, Outcome),
    /// A leadership's to the store.
    Read(Caller, MoveId),
    /// What it holds.
    Found(Caller, Found),
    /// A leadership's to a worker.
    Ask(Caller, usize, MoveId, Message),
    /// Its answer.
    Reply(Caller, Reply),
    /// A worker's to the store.
    ReadMove(usize, MoveId),
    /// What it holds.
    Moved(usize, MoveId, Option<Move>),
    /// A worker's to the store: which slice is mine?
    ReadOwned(usize),
    /// This, if any.
    Owned(usize, Option<Slice>),
    /// A router's to a worker.
    Request(usize, Request),
    /// Its answer.
    Response(Request, Said),
}

/// A request to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Request {
    pub(super) router: usize,
    /// Of the router.
    pub(super) ticket: u64,
    pub(super) hop: u32,
    /// The client's request.
    pub(super) number: usize,
    pub(super) epoch: Epoch,
}

/// A worker's answer to a router.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Said {
    Done(Seen),
    Misdirected(Option<Hint>),
    Running,
    /// The connection broke.
    Broken,
}

/// A coordinator's leadership. It may have been deposed, and not know it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lead {
    pub(super) since: Revision,
    pub(super) moves: u64,
    pub(super) conductor: Option<Conductor>,
    /// What was asked last, and is not answered.
    pub(super) asked: Option<(Asked, u64)>,
    pub(super) gone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Asked {
    Store,
    Worker,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Worker {
    pub(super) holder: Holder,
    pub(super) disk: Disk,
    /// Being made durable, in this order.
    pub(super) keeping: Vec<(u64, Kept)>,
    /// Writes at the handler.
    pub(super) running: BTreeMap<u64, Request>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Gate {
    pub(super) router: Router,
    pub(super) shown: Revision,
    /// At workers, by the router's ticket.
    pub(super) flying: BTreeMap<u64, Request>,
}
