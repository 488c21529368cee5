//! What the metadata store knows of slices: its keys and its records.
//!
//! ```text
//! leader                 which coordinator leads, and in which term
//! ids                    the highest number that a slice was ever given
//! workers/W              whether a worker may be given slices
//! slices/S               range, owner, epoch, the move that it is in, and whether it is sealed for it
//! moves/M                slice, range, epoch, source, target, phase
//! ```
//! One key for each slice: a store like etcd bounds operations and bytes of a transaction, never the number of keys.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::space::Range;
use crate::worker::WorkerId;

/// A slice's identity: a number from the store, never given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SliceId(pub u64);

/// A move's identity, never given again: its leader's term in the upper half, and in the lower one its number in that term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MoveId(pub u64);

/// Names one owner and one range of a slice. It grows with whatever changes either, aborts included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Of a slice that was never moved, split or merged.
    pub const FIRST: Self = Self(1);

    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// A slice, as the store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slice {
    /// Which points belong to it.
    pub range: Range,
    /// Who serves it.
    pub owner: WorkerId,
    /// What requests for it must say.
    pub epoch: Epoch,
    /// The move that it is in.
    pub moving: Option<MoveId>,
    /// Whether its owner is about to stop, or has stopped, serving for that move: requests wait.
    pub sealed: bool,
}

/// A move of a slice, as the store has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Move {
    /// What moves.
    pub slice: SliceId,
    /// Its range.
    pub range: Range,
    /// Its epoch when the move was planned: every end of the move makes it one more.
    pub epoch: Epoch,
    /// Who has it.
    pub source: WorkerId,
    /// Who is to have it.
    pub target: WorkerId,
    /// How far it is.
    pub phase: Phase,
}

/// How far a move is. Written by the leading coordinator; a worker takes no step that cannot be taken back unless it has
/// *read* the phase that allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The target gets copies of keys; nothing has stopped.
    Copying,
    /// The source may be sealed.
    Sealing,
    /// The target holds all of it durably, and its digest is the source's.
    Ready,
    /// The target owns it.
    Committed,
    /// The target has said that it serves.
    Active,
    /// The source may delete what it has.
    Releasing,
    /// The source owns it as before, in the next epoch.
    Aborted,
}

/// Whether a worker may be given slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Membership {
    /// It may.
    In,
    /// It gets nothing any more, and what it has goes elsewhere.
    Leaving,
    /// It has nothing and gets nothing any more: its operator was told that it may be switched off.
    Left,
}

/// Who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Leader {
    /// Which coordinator.
    pub who: u32,
    /// Grows with each leader.
    pub term: u64,
}

/// A key of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// Who leads.
    Leader,
    /// The highest number given.
    Ids,
    /// A worker.
    Worker(WorkerId),
    /// A slice.
    Slice(SliceId),
    /// A move.
    Move(MoveId),
}

impl fmt::Display for Key {
    /// As a path under the map's own prefix. Numbers have their full width, so that a listing is in their order.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader => f.write_str("leader"),
            Self::Ids => f.write_str("ids"),
            Self::Worker(WorkerId(worker)) => write!(f, "workers/{worker:08x}"),
            Self::Slice(SliceId(slice)) => write!(f, "slices/{slice:016x}"),
            Self::Move(MoveId(number)) => write!(f, "moves/{number:016x}"),
        }
    }
}

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Record {
    /// Of [`Key::Leader`].
    Leader(Leader),
    /// Of [`Key::Ids`].
    Ids(u64),
    /// Of [`Key::Worker`].
    Worker(Membership),
    /// Of [`Key::Slice`].
    Slice(Slice),
    /// Of [`Key::Move`].
    Move(Move),
}
