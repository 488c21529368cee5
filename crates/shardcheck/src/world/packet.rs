//! What processes send each other, and what happens to them.

use ambidex_core::shard::holder::{self, Hint, Op};
use ambidex_core::shard::messages::{Caller, Message, Reply};
use ambidex_core::shard::records::{Epoch, Move, MoveId, Slice, SliceId};
use ambidex_core::shard::store::{MemoryStore, Outcome, Revision, Transaction};
use ambidex_core::shard::table::Table;

use crate::record::Seen;
use crate::scenario::{Fault, Node};

/// Something happens to a process.
pub(super) enum Input {
    /// A machine's deadline is there.
    Wake,
    /// It is time to campaign, to plan, or to look.
    Tick,
    /// It is time to ask something.
    Think,
    /// A message came.
    Packet(Node, Packet),
    /// A worker's disk has done what it was asked.
    Disk(SliceId, holder::Event, Option<holder::Kept>),
    /// A worker's handler has ended.
    Ran(u64),
    /// A router has waited long enough for a worker's answer.
    TryOver(u64, u32),
    /// A client has waited long enough for a router's answer: which request, and which of its times.
    GaveUp(usize, u32),
    /// A fault begins.
    Begin(Fault),
    /// A fault ends.
    End(Fault),
    /// A worker is switched off for good.
    SwitchOff(usize),
}

/// A message.
#[derive(Clone)]
pub(super) enum Packet {
    /// To the store: I am here, and would lead.
    Campaign(u32),
    /// You lead since that revision, and this is all there is; or somebody else does.
    Campaigned(Option<(Revision, MemoryStore)>),
    /// To the store.
    Transact(For, Transaction),
    /// Its outcome.
    Transacted(For, Outcome),
    /// To the store.
    Read(For, SliceId),
    /// What it holds.
    Found(For, ambidex_core::shard::conductor::Found),
    /// To a worker.
    Ask(Caller, MoveId, SliceId, Message),
    /// Its answer.
    Reply(Caller, MoveId, Reply),
    /// To the store: a move's record, for a worker's slice.
    ReadMove(SliceId, MoveId),
    /// It.
    Moved(SliceId, MoveId, Option<Move>),
    /// To the store: which slices are mine?
    ReadOwned,
    /// These.
    Owned(Vec<(SliceId, Slice)>),
    /// To the store: all slices.
    ReadTable,
    /// They.
    Table(Table),
    /// A client's request to a router: its number.
    Client(usize),
    /// A router's to a worker.
    Request(Request),
    /// Its answer.
    Response {
        /// To which request.
        ticket: u64,
        /// Which of its tries.
        hop: u32,
        /// What.
        answer: Said,
    },
}

/// For which question a store's answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct For {
    /// Which life of which coordinator asked.
    pub(super) who: u32,
    /// For which move; 0 for what is no move.
    pub(super) move_: MoveId,
    /// Its number.
    pub(super) number: u64,
}

/// A request to a worker.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) ticket: u64,
    pub(super) hop: u32,
    pub(super) slice: SliceId,
    pub(super) epoch: Epoch,
    pub(super) op: Op,
    /// The request's number in the record.
    pub(super) number: u32,
}

/// A worker's answer to a router.
#[derive(Clone, Debug)]
pub(super) enum Said {
    /// For the client.
    Done(Seen),
    /// It is not admitted.
    Misdirected(Option<Hint>),
    /// It runs already.
    Running,
}
