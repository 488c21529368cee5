//! What is written down: each planner's inputs and checkpoints, so that the decisions can be made again; and the
//! decisions, so that they can be looked up.
//!
//! ```text
//! checkpoint(pool, planner) input input(+decisions) input ... checkpoint(pool, planner) input ...
//! ```
//! A replay reads a checkpoint, hands the planner the inputs in their order, and must get the decisions that stand
//! beside them. Numbers are written so that they read back to the last bit.
//!
//! Writing never stops the loop: the store takes what it can, counts what it cannot, and says so.

use std::fmt::Debug;
use std::sync::Arc;

use ambidex_core::decision::Decision;
use ambidex_core::plan::{PlanInput, Planner};
use ambidex_core::worker::WorkerId;
use ambidex_shard::PlanRecord;
use serde::{Deserialize, Serialize};

use crate::news::Item;

pub use replay::Verified;
pub use stored::StoredJournal;

mod replay;
mod stored;

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Record {
    /// A planner as it stands, with the names of its workers. Each pool's records of a run begin with one.
    Checkpoint {
        /// Which run of the process: its start by the wall clock.
        run: u64,
        /// The pool's name.
        pool: Arc<str>,
        /// Its planner.
        planner: Box<Planner>,
        /// Names by identity.
        names: Vec<(WorkerId, Arc<str>)>,
    },
    /// An input, and what came of it.
    Input {
        /// Which run.
        run: u64,
        /// The pool's name.
        pool: Arc<str>,
        /// The input.
        input: PlanInput,
        /// The decisions.
        decisions: Vec<Decision>,
    },
    /// An item of news, as it was told.
    News(Item),
    /// What the planner of a keyspace decided, with all that it rests on.
    Shards(Box<PlanRecord>),
}

/// How the journal is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JournalHealth {
    /// Why nothing is written, in words; `null` when all is well.
    pub degraded: Option<String>,
    /// Records that were not written since the start.
    pub dropped: u64,
    /// Records that were written.
    pub written: u64,
    /// Bytes on disk, as far as known.
    pub bytes: u64,
}

/// The newest decisions about a worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decided {
    /// About its weight.
    pub weight: Option<Item>,
    /// About its breaker.
    pub breaker: Option<Item>,
}

/// The place where records go. Calls return at once: what takes time happens elsewhere.
pub trait Journal: Send + Sync + Debug {
    /// Takes a record, dated for people.
    fn append(&self, wall_ms: u64, record: Record);

    /// The newest decisions about a worker at or before a date, from the records.
    fn decided_at(&self, pool: &str, worker: &str, wall_ms: u64) -> Decided;

    /// News of a stretch of time, oldest first, at most `most`.
    fn news(&self, from_ms: u64, to_ms: u64, most: usize) -> Vec<Item>;

    /// Makes the recorded decisions again, from at most `most` of the newest records, and compares.
    ///
    /// # Errors
    /// Why the records cannot be read.
    fn verify(&self, most: usize) -> Result<Verified, String>;

    /// How it is.
    fn health(&self) -> JournalHealth;

    /// Whether anything is meant to outlive the process: who chose none need not be told of each thing that does not.
    fn lasts(&self) -> bool {
        true
    }

    /// A value that outlives the process.
    fn state(&self, key: &str) -> Option<Vec<u8>>;

    /// Keeps a value beyond the process's end.
    ///
    /// # Errors
    /// Why it could not be kept, in words.
    fn keep(&self, key: &str, value: &[u8]) -> Result<(), String>;
}

/// No journal: nothing outlives the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoJournal;

impl Journal for NoJournal {
    fn append(&self, _wall_ms: u64, _record: Record) {}

    fn decided_at(&self, _pool: &str, _worker: &str, _wall_ms: u64) -> Decided {
        Decided::default()
    }

    fn news(&self, _from_ms: u64, _to_ms: u64, _most: usize) -> Vec<Item> {
        Vec::new()
    }

    fn verify(&self, _most: usize) -> Result<Verified, String> {
        Err("there is no journal".into())
    }

    fn health(&self) -> JournalHealth {
        JournalHealth {
            degraded: Some("there is no journal: history ends with the process".into()),
            ..Default::default()
        }
    }

    fn lasts(&self) -> bool {
        false
    }

    fn state(&self, _key: &str) -> Option<Vec<u8>> {
        None
    }

    fn keep(&self, _key: &str, _value: &[u8]) -> Result<(), String> {
        Err("there is no journal: this order ends with the process".into())
    }
}

#[cfg(test)]
pub(crate) mod tests;
