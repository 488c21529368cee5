//! What an operator may order, what comes of it, and why it is refused.

use ambidex_core::shard::records::{MoveId, SliceId};
use ambidex_core::shard::reshape::ReshapeError;
use ambidex_core::shard::space::Point;
use ambidex_core::shard::table::MOST_SLICES;
use ambidex_core::time::Span;
use serde::{Serialize, Serializer};
use tokio::sync::oneshot;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Give a slice to another worker.
    Move {
        /// Which.
        slice: SliceId,
        /// To whom: as its pool calls it.
        to: String,
    },
    /// Make two slices of one. No data moves.
    Split {
        /// Which.
        slice: SliceId,
        /// Where the second one begins; its middle, if that is not said.
        at: Option<Point>,
    },
    /// Make one slice of two neighbours of one owner. No data moves.
    Merge {
        /// The one that comes first.
        left: SliceId,
        /// The one right after it.
        right: SliceId,
    },
    /// Give a key a slice of its own. No data moves.
    Isolate {
        /// Where it lies.
        point: Point,
    },
    /// Split the largest slices until there are so many. No data moves.
    Presplit {
        /// How many.
        slices: usize,
    },
    /// Move all slices of a worker elsewhere, and give it no more.
    Drain {
        /// Which: as its pool calls it.
        worker: String,
    },
    /// Take a drain back: the worker may be given slices again.
    Undrain {
        /// Which.
        worker: String,
    },
    /// End a move that is not decided yet.
    Abort {
        /// Which.
        move_: MoveId,
    },
    /// Do what the planner proposes.
    Approve {
        /// Which proposal.
        proposal: u64,
    },
    /// Do not, and do not propose it again for a while.
    Reject {
        /// Which proposal.
        proposal: u64,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "done", rename_all = "snake_case")]
pub enum Done {
    /// A move is under way.
    Moving {
        /// Which.
        #[serde(rename = "move", serialize_with = "move_id")]
        move_: MoveId,
    },
    /// A move waits for its turn.
    Waiting {
        /// What for.
        #[serde(rename = "for")]
        code: &'static str,
        /// In words.
        why: String,
    },
    /// Slices were split or merged.
    Reshaped {
        /// How many there are now.
        slices: usize,
        /// The revision of the store that shows it.
        revision: u64,
    },
    /// A drain has begun.
    Draining {
        /// So many slices are to go.
        slices: usize,
    },
    /// The worker may be given slices again.
    Undrained,
    /// The move is told to end; `status` shows how it does.
    Aborting,
    /// Its turn has come; `status` shows how it goes.
    Begun,
    /// It is not done.
    Rejected,
}

fn move_id<S: Serializer>(id: &MoveId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{:016x}", id.0))
}

/// Why it is not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Somebody else decides.
    #[error(
        "this coordinator does not lead the map of `{0}`: ask the one that leads (`ambidex shard status` says whether one does)"
    )]
    NotLeading(String),
    /// There is no map.
    #[error("the map of `{0}` is not made yet: it is, as soon as its pool has a worker")]
    NoMap(String),
    /// Nobody is there.
    #[error("pool `{0}` has no worker yet, so there is nobody to own a slice")]
    NoMembers(String),
    /// No such slice.
    #[error("there is no slice {0:016x}: it may have been merged; `ambidex shard status --slices` lists them")]
    UnknownSlice(u64),
    /// No such worker.
    #[error("`{worker}` is no worker that this map knows; it knows {known}")]
    UnknownWorker {
        /// As it was called.
        worker: String,
        /// The others.
        known: String,
    },
    /// No such move.
    #[error("there is no move {0:016x} under way: it may be over; `ambidex shard status` lists the last ones")]
    UnknownMove(u64),
    /// It is too late.
    #[error("move {0:016x} is decided: the target owns the slice; move it back instead")]
    Decided(u64),
    /// It is there already.
    #[error("`{0}` owns that slice already")]
    OwnsIt(String),
    /// It is to get nothing.
    #[error(
        "`{0}` is being drained, or has left: take that back with `ambidex shard drain --undo`, or choose another one"
    )]
    Leaving(String),
    /// It did not keep what it was given.
    #[error("`{worker}` gets no slices for {left} yet: {why}; `GET slices` at its agent and its log say more")]
    Quarantined {
        /// Which.
        worker: String,
        /// What it did.
        why: String,
        /// How long yet.
        left: Span,
    },
    /// It is not in its pool.
    #[error("`{0}` is not in its pool at the moment, so nothing is given to it")]
    Gone(String),
    /// There would be nobody.
    #[error("`{0}` is the last worker that may own slices: add another one to the pool first")]
    LastWorker(String),
    /// It moves.
    #[error("slice {slice:016x} is in move {move_:016x} already: wait for its end, or abort it")]
    Moves {
        /// Which slice.
        slice: u64,
        /// Which move.
        move_: u64,
    },
    /// That is a move that waits already.
    #[error("a move of slice {0:016x} waits already")]
    WaitsAlready(u64),
    /// Order would be lost.
    #[error(
        "`{0}` keeps the order of each shard's writes (`ordering: per_shard`): a split would lose the order between its parts; move \
         the slice instead"
    )]
    Ordered(String),
    /// Core says no.
    #[error(transparent)]
    Reshape(#[from] ReshapeError),
    /// There are too many slices.
    #[error("a keyspace has at most {MOST_SLICES} slices; {0} were asked for")]
    TooManySlices(usize),
    /// There are that many.
    #[error("there are {has} slices already, and {asked} were asked for")]
    EnoughSlices {
        /// So many.
        has: usize,
        /// So many were asked for.
        asked: usize,
    },
    /// Other orders come first.
    #[error("too many orders or moves wait: come again when some are done")]
    Busy,
    /// It is not as it was.
    #[error("the map has changed meanwhile, three times in a row: look at it again")]
    Changed,
    /// Nobody knows whether it was done.
    #[error("{0}; whether this was done is not known: `ambidex shard status` shows it when the store is back")]
    StoreAway(String),
    /// There is no such proposal.
    #[error(
        "there is no proposal {0:016x}: it may have expired, or the planner does not want it any more; `ambidex shard plan` shows those \
         that wait"
    )]
    UnknownProposal(u64),
    /// The process ends.
    #[error("the process is ending")]
    Ending,
}

impl Refusal {
    /// A word for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotLeading(_) => "not_leading",
            Self::NoMap(_) => "no_map",
            Self::NoMembers(_) => "no_members",
            Self::UnknownSlice(_) => "unknown_slice",
            Self::UnknownWorker { .. } => "unknown_worker",
            Self::UnknownMove(_) => "unknown_move",
            Self::Decided(_) => "decided",
            Self::OwnsIt(_) => "owns_it",
            Self::Leaving(_) => "leaving",
            Self::Quarantined { .. } => "quarantined",
            Self::Gone(_) => "gone",
            Self::LastWorker(_) => "last_worker",
            Self::Moves { .. } => "moves",
            Self::WaitsAlready(_) => "waits_already",
            Self::Ordered(_) => "ordered",
            Self::Reshape(ReshapeError::Moving(_)) => "moves",
            Self::Reshape(ReshapeError::Edge { .. }) => "edge",
            Self::Reshape(ReshapeError::Apart(..)) => "apart",
            Self::Reshape(ReshapeError::Owners(..)) => "owners",
            Self::TooManySlices(_) => "too_many_slices",
            Self::EnoughSlices { .. } => "enough_slices",
            Self::Busy => "busy",
            Self::Changed => "changed",
            Self::StoreAway(_) => "store_away",
            Self::UnknownProposal(_) => "unknown_proposal",
            Self::Ending => "ending",
        }
    }

    /// Whether the same order may work later, without anybody changing anything.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Self::NotLeading(_) | Self::NoMap(_) | Self::NoMembers(_) | Self::Moves { .. } | Self::Busy => true,
            Self::Changed | Self::StoreAway(_) | Self::Ending | Self::Gone(_) => true,
            Self::Quarantined { .. } => true,
            Self::Reshape(ReshapeError::Moving(_)) => true,
            Self::Reshape(ReshapeError::Edge { .. } | ReshapeError::Apart(..) | ReshapeError::Owners(..)) => false,
            Self::UnknownSlice(_) | Self::UnknownWorker { .. } | Self::UnknownMove(_) | Self::Decided(_) => false,
            Self::UnknownProposal(_) => false,
            Self::OwnsIt(_) | Self::Leaving(_) | Self::LastWorker(_) | Self::WaitsAlready(_) => false,
            Self::Ordered(_) | Self::TooManySlices(_) | Self::EnoughSlices { .. } => false,
        }
    }
}

/// An order, and who waits for it.
#[derive(Debug)]
pub(crate) struct Ordered {
    pub(crate) order: Order,
    pub(crate) tell: oneshot::Sender<Result<Done, Refusal>>,
}
