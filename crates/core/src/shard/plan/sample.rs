//! What the planner is told once a second, and what it answers.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::reason::Reason;
use crate::shard::records::SliceId;
use crate::shard::space::{Point, Range};
use crate::time::{Mono, Span};
use crate::worker::WorkerId;

/// How a keyspace is now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Its workers, each once.
    pub workers: Vec<WorkerNow>,
    /// Its slices, in the order of the space.
    pub slices: Vec<SliceNow>,
    /// Moves under way.
    pub moves: Vec<Going>,
    /// Splits that an operator planned.
    pub presplits: Vec<Presplit>,
    /// Whether a deploy or a drain is running.
    pub deploying: bool,
    /// The metadata store's slowest hundredth.
    pub store_p99: Span,
}

/// How a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerNow {
    /// Which.
    pub worker: WorkerId,
    /// Whether its numbers are of now.
    pub heard: bool,
    /// Whether it is healthy and takes slices.
    pub healthy: bool,
    /// Part of its capacity that is used.
    pub utilization: f64,
    /// Requests that wait.
    pub depth: f64,
    /// How many may.
    pub depth_limit: f64,
    /// 95 of 100 waited less.
    pub wait_p95: Span,
    /// How long they should wait at most.
    pub wait_objective: Span,
}

/// How a slice is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SliceNow {
    /// Which.
    pub slice: SliceId,
    /// Its range.
    pub range: Range,
    /// Who has it.
    pub owner: WorkerId,
    /// What it takes of a worker's capacity.
    pub load: f64,
    /// What it will take, where something forecasts it.
    pub forecast: Option<f64>,
    /// What it holds.
    pub bytes: u64,
    /// Where half of its work lies before.
    pub middle: Option<Point>,
    /// Part of its work in the last part of its range.
    pub last_part: f64,
    /// Its hottest key, and that one's part of its load.
    pub hottest: Option<(Point, f64)>,
    /// How long it has had this range.
    pub age: Span,
}

/// A move under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Going {
    /// Of which slice.
    pub slice: SliceId,
    /// From whom.
    pub from: WorkerId,
    /// To whom.
    pub to: WorkerId,
}

/// Splits for a time that is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presplit {
    /// From when on.
    pub from: Mono,
    /// Until when they are not merged.
    pub until: Mono,
    /// Where.
    pub points: Vec<Point>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// A slice to another worker.
    Move {
        /// Which.
        slice: SliceId,
        /// From whom.
        from: WorkerId,
        /// To whom.
        to: WorkerId,
    },
    /// A slice to another worker, and one of that one's back.
    Swap {
        /// The hotter one.
        slice: SliceId,
        /// From whom.
        from: WorkerId,
        /// To whom.
        to: WorkerId,
        /// What comes back.
        back: SliceId,
    },
    /// One slice becomes two.
    Split {
        /// Which.
        slice: SliceId,
        /// Where the second one begins.
        at: Point,
    },
    /// A key gets a slice for itself: one split or two.
    Isolate {
        /// Its slice.
        slice: SliceId,
        /// It.
        key: Point,
    },
    /// Two slices become one.
    Merge {
        /// The first one.
        left: SliceId,
        /// The one after it.
        right: SliceId,
    },
}

/// Of what a decision is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// The keyspace.
    Keyspace,
    /// A worker.
    Worker(WorkerId),
    /// A slice.
    Slice(SliceId),
}

/// What becomes of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Fate {
    /// It is shown: the mode is observe.
    Shown,
    /// It waits for approval: the mode is advise.
    Asked,
    /// It is done: the mode is auto.
    Done,
}

/// What is to be done, or not, and why. With the numbers that it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Of what.
    pub subject: Subject,
    /// What is to be done; none where nothing is.
    pub action: Option<(Action, Fate)>,
    /// Why.
    pub reason: Reason,
    /// What the subject carries, as a part of a worker's capacity.
    pub load: f64,
    /// What a worker carries in the mean.
    pub mean: f64,
    /// By how much the action relieves its worker.
    pub gain: f64,
}
