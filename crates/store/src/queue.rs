//! What waits to be written, and how the writing goes: shared by the callers and the store's thread.
//!
//! One lock, never held while the disk is touched.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::disk::Open;
use crate::journal::Entry;

/// How a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Whether writing works.
    pub condition: Condition,
    /// Records dropped because the queue was full, since the start.
    pub dropped: u64,
    /// Records written since the start.
    pub written: u64,
    /// Records that wait.
    pub queued: usize,
    /// Bytes of the records kept.
    pub bytes: u64,
}

/// Whether writing works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It does.
    Healthy,
    /// It does not; what the disk said.
    Degraded(String),
}

/// What callers and thread share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    work: Condvar,
    progress: Condvar,
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) queue: VecDeque<Entry>,
    queued_bytes: usize,
    /// The newest sequence given out; 0 before the first.
    pub(crate) newest: u64,
    pub(crate) state: BTreeMap<String, Arc<[u8]>>,
    /// Keys whose value on the disk is not the one in `state`.
    pub(crate) dirty: BTreeSet<String>,
    /// The open database, for readers; none while degraded.
    pub(crate) open: Option<Open>,
    /// A batch was taken from the queue and is not written yet.
    in_hand: bool,
    closing: bool,
    closed: bool,
    failure: Option<String>,
    dropped: u64,
    written: u64,
    bytes: u64,
}

/// What one group commit writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    pub(crate) entries: Vec<Entry>,
    pub(crate) state: Vec<(String, Option<Arc<[u8]>>)>,
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change under the lock is complete when it panics nowhere, and nothing under it can: going on is safe.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a record; `None` when there is no room.
    pub(crate) fn push(&self, kind: u8, wall_millis: u64, bytes: Vec<u8>) -> Option<u64> {
        let mut inner = self.lock();
        // A gap in the sequence is how a reader sees that something was dropped.
        let first = if inner.open.is_none() && inner.newest == 0 { wall_millis.saturating_mul(1_000) } else { 0 };
        inner.newest = inner.newest.max(first).saturating_add(1);
        let full = inner.queue.len() >= MOST_QUEUED || inner.queued_bytes + bytes.len() > MOST_QUEUED_BYTES;
        if full || inner.closing {
            inner.dropped += 1;
            return None;
        }
        let sequence = inner.newest;
        inner.queued_bytes += bytes.len();
        inner.queue.push_back(Entry { sequence, kind, wall_millis, bytes: bytes.into() });
        drop(inner);
        self.work.notify_one();
        Some(sequence)
    }

    pub(crate) fn wake(&self) {
        self.work.notify_one();
    }

    /// The next batch, once there is one; `None` when the store closes and nothing is left.
    pub(crate) fn next(&self) -> Option<Batch> {
        let mut inner = self.lock();
        loop {
            if !inner.queue.is_empty() || !inner.dirty.is_empty() {
                return Some(inner.take());
            }
            if inner.closing {
                return None;
            }
            inner = self.work.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(crate) fn wrote(&self, batch: &Batch, bytes: u64) {
        let mut inner = self.lock();
        inner.written += batch.entries.len() as u64;
        inner.bytes = bytes;
        inner.failure = None;
        inner.in_hand = false;
        drop(inner);
        self.progress.notify_all();
    }

    pub(crate) fn degrade(&self, why: String) {
        let mut inner = self.lock();
        inner.open = None;
        inner.failure = Some(why);
        drop(inner);
        self.progress.notify_all();
    }

    /// Waits before the next try; at once when the store closes. Says whether it closes.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        let inner = self.lock();
        let (inner, _) =
            self.work.wait_timeout_while(inner, pause, |inner| !inner.closing).unwrap_or_else(PoisonError::into_inner);
        inner.closing
    }

    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.work.notify_all();
    }

    pub(crate) fn closed(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        inner.open = None;
        drop(inner);
        self.progress.notify_all();
    }

    pub(crate) fn wait_until_closed(&self, within: Duration) -> bool {
        self.wait(within, |inner| !inner.closed)
    }

    pub(crate) fn wait_until_idle(&self, within: Duration) -> bool {
        self.wait(within, |inner| inner.in_hand || !inner.queue.is_empty() || !inner.dirty.is_empty())
    }

    pub(crate) fn status(&self) -> Status {
        let inner = self.lock();
        let full = inner.queue.len() >= MOST_QUEUED || inner.queued_bytes >= MOST_QUEUED_BYTES;
        let condition = match &inner.failure {
            Some(why) => Condition::Degraded(why.clone()),
            None if full => Condition::Degraded("the disk does not keep up: the queue is full".to_owned()),
            None => Condition::Healthy,
        };
        let queued = inner.queue.len();
        Status { condition, dropped: inner.dropped, written: inner.written, queued, bytes: inner.bytes }
    }

    fn wait(&self, within: Duration, mut unfinished: impl FnMut(&Inner) -> bool) -> bool {
        let inner = self.lock();
        let (inner, _) = self
            .progress
            .wait_timeout_while(inner, within, |inner| unfinished(inner))
            .unwrap_or_else(PoisonError::into_inner);
        !unfinished(&inner)
    }
}

impl Inner {
    fn take(&mut self) -> Batch {
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            bytes += entry.bytes.len();
            bytes <= MOST_BYTES_IN_A_BATCH
        };
        // The first record always goes, whatever its size: a batch makes progress.
        let count = self.queue.iter().take(MOST_IN_A_BATCH).take_while(fits).count().max(1).min(self.queue.len());
        let entries: Vec<Entry> = self.queue.drain(..count).collect();
        self.queued_bytes -= entries.iter().map(|entry| entry.bytes.len()).sum::<usize>();
        let dirty = std::mem::take(&mut self.dirty);
        let value = |key: String| {
            let value = self.state.get(&key).cloned();
            (key, value)
        };
        self.in_hand = true;
        Batch { entries, state: dirty.into_iter().map(value).collect() }
    }
}

/// Records that wait at most. Source: ours; over an hour of ticks while a disk is away.
pub(crate) const MOST_QUEUED: usize = 4_096;
/// Bytes that wait at most. Source: ours; memory that a dead disk may cost.
pub(crate) const MOST_QUEUED_BYTES: usize = 16 << 20;
/// Records of one group commit. Source: dependencies.md, 149k records/s at 512 a group.
const MOST_IN_A_BATCH: usize = 512;
/// Bytes of records of one group commit, unless the first alone is larger. Source: ours; a disk that was full takes the
/// kept batch as soon as this much is free, and one sync of this size is well under a tick.
const MOST_BYTES_IN_A_BATCH: usize = 1 << 20;
