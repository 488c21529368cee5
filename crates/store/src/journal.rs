//! The journal: records in the order in which they were appended, read by sequence, time and kind.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::queue::Shared;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place: grows with every record of this journal, over restarts too. A gap is a dropped record.
    pub sequence: u64,
    /// What it is, by the writer's own numbers.
    pub kind: u8,
    /// When it was appended, for people: milliseconds since 1970, by the writer's wall clock.
    pub wall_millis: u64,
    /// The record.
    pub bytes: Arc<[u8]>,
}

/// Which records to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Sequences, both ends included.
    pub sequences: RangeInclusive<u64>,
    /// Wall times in milliseconds, both ends included.
    pub wall_millis: RangeInclusive<u64>,
    /// Kinds; none given means all.
    pub kinds: Vec<u8>,
    /// Which come first.
    pub order: Order,
    /// Most records.
    pub limit: usize,
}

/// Which records come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Oldest first.
    #[default]
    Oldest,
    /// Newest first.
    Newest,
}

impl Default for Query {
    fn default() -> Self {
        let all = 0..=u64::MAX;
        Self { sequences: all.clone(), wall_millis: all, kinds: Vec::new(), order: Order::Oldest, limit: usize::MAX }
    }
}

impl Query {
    /// Whether a record's head fits, its sequence apart.
    pub(crate) fn wants(&self, kind: u8, wall_millis: u64) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&kind)) && self.wall_millis.contains(&wall_millis)
    }
}

/// Why records could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store is degraded or closed.
    #[error("the journal cannot be read now: the store is degraded or closed")]
    NotOpen,
    /// The disk failed.
    #[error("the journal cannot be read: {0}")]
    Disk(String),
}

/// A handle to the journal; cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    shared: Arc<Shared>,
}

impl Journal {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Queues a record and gives its sequence; `None` when the queue is full: it is dropped and counted. Never waits.
    pub fn append(&self, kind: u8, wall_millis: u64, bytes: Vec<u8>) -> Option<u64> {
        self.shared.push(kind, wall_millis, bytes)
    }

    /// The newest sequence given out; 0 before the first.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.shared.lock().newest
    }

    /// Reads the records on the disk that `query` wants; what is still queued is not among them. Reads the disk:
    /// call it where waiting is allowed.
    ///
    /// # Errors
    /// The store is degraded, or the disk fails.
    pub fn read(&self, query: &Query) -> Result<Vec<Entry>, ReadError> {
        let open = self.shared.lock().open.clone();
        open.ok_or(ReadError::NotOpen)?.read(query).map_err(ReadError::Disk)
    }
}
