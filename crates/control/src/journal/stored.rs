//! The journal in the embedded store.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ambidex_store::{Condition, Entry, Order, Query, Store};
use ambidex_wire::journal::{decode, encode};

use super::replay::Replay;
use super::{Decided, Journal, JournalHealth, Record, Verified};
use crate::news::{Item, What};

/// Records and state of a [`Store`].
#[derive(Debug)]
pub struct StoredJournal {
    store: Store,
    /// Records that could not be written as bytes at all.
    unwritable: AtomicU64,
    told: Mutex<Option<String>>,
}

impl StoredJournal {
    /// The journal in this store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, unwritable: AtomicU64::new(0), told: Mutex::default() }
    }

    /// The store, for what else lies in it.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Reads page by page, newest first, until `stop` has seen enough.
    fn newest_first(&self, kind: u8, to_ms: u64, mut stop: impl FnMut(Entry) -> bool) {
        let mut last = u64::MAX;
        loop {
            let query = Query {
                sequences: 0..=last,
                wall_millis: 0..=to_ms,
                kinds: vec![kind],
                order: Order::Newest,
                limit: PAGE,
            };
            let Ok(entries) = self.store.journal.read(&query) else { return };
            let Some(oldest) = entries.last().map(|entry| entry.sequence) else { return };
            for entry in entries {
                if stop(entry) {
                    return;
                }
            }
            if oldest == 0 {
                return;
            }
            last = oldest - 1;
        }
    }
}

impl Journal for StoredJournal {
    fn append(&self, wall_ms: u64, record: Record) {
        let kind = kind_of(&record);
        match encode(&record) {
            // What does not fit the queue is counted by the store.
            Ok(bytes) => drop(self.store.journal.append(kind, wall_ms, bytes)),
            Err(error) => {
                self.unwritable.fetch_add(1, Relaxed);
                tracing::debug!(%error, "a journal record was dropped");
            }
        }
        self.tell();
    }

    fn decided_at(&self, pool: &str, worker: &str, wall_ms: u64) -> Decided {
        let mut found = Decided::default();
        let mut looked = 0;
        self.newest_first(NEWS, wall_ms, |entry| {
            looked += 1;
            if let Ok(Record::News(item)) = decode(&entry.bytes)
                && &*item.pool == pool
                && item.worker.as_deref() == Some(worker)
            {
                let place = match item.what {
                    What::Decision { .. } => Some(&mut found.weight),
                    What::Breaker { .. } => Some(&mut found.breaker),
                    What::Pool { .. }
                    | What::Panic { .. }
                    | What::Member
                    | What::Health { .. }
                    | What::Runbook { .. }
                    | What::Zone { .. }
                    | What::Order
                    | What::Drill { .. }
                    | What::Shard { .. }
                    | What::Trial { .. }
                    | What::Configuration { .. }
                    | What::Leadership { .. }
                    | What::Contact { .. } => None,
                };
                // The newest is met first.
                place.filter(|place| place.is_none()).into_iter().for_each(|place| *place = Some(item.clone()));
            }
            let most = if found.weight.is_some() { MOST_LOOKED_FOR_BREAKER } else { MOST_LOOKED };
            (found.weight.is_some() && found.breaker.is_some()) || looked >= most
        });
        found
    }

    fn news(&self, from_ms: u64, to_ms: u64, most: usize) -> Vec<Item> {
        let query = Query { wall_millis: from_ms..=to_ms, kinds: vec![NEWS], limit: most, ..Query::default() };
        let entries = self.store.journal.read(&query).unwrap_or_default();
        let item = |entry: Entry| match decode(&entry.bytes) {
            Ok(Record::News(item)) => Some(item),
            Ok(Record::Checkpoint { .. } | Record::Input { .. } | Record::Shards(_)) | Err(_) => None,
        };
        entries.into_iter().filter_map(item).collect()
    }

    fn verify(&self, most: usize) -> Result<Verified, String> {
        let newest = self.store.journal.newest();
        let from = newest.saturating_sub(most as u64);
        let mut replay = Replay::default();
        let mut next = from;
        loop {
            let query = Query { sequences: next..=newest, limit: PAGE, ..Query::default() };
            let entries = self.store.journal.read(&query).map_err(|error| error.to_string())?;
            if entries.is_empty() {
                return Ok(replay.end());
            }
            for entry in entries {
                if entry.sequence != next {
                    replay.gap();
                }
                next = entry.sequence + 1;
                match decode::<Record>(&entry.bytes) {
                    Ok(record) => replay.take(record),
                    Err(_) => replay.gap(),
                }
            }
        }
    }

    fn health(&self) -> JournalHealth {
        let status = self.store.status();
        let degraded = match status.condition {
            Condition::Healthy => None,
            Condition::Degraded(why) => Some(why),
        };
        let dropped = status.dropped + self.unwritable.load(Relaxed);
        JournalHealth { degraded, dropped, written: status.written, bytes: status.bytes }
    }

    fn state(&self, key: &str) -> Option<Vec<u8>> {
        self.store.state.get(key).map(|value| value.to_vec())
    }

    fn keep(&self, key: &str, value: &[u8]) -> Result<(), String> {
        self.store.state.put(key, value).map_err(|error| error.to_string())?;
        match self.health().degraded {
            Some(why) => Err(format!("it is kept once the disk is back, and lost if the process ends before ({why})")),
            None => Ok(()),
        }
    }
}

impl StoredJournal {
    /// Says once that the journal stopped, and once that it goes on.
    fn tell(&self) {
        let now = self.health().degraded;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*told, &now) {
            (None, Some(why)) => tracing::error!("the journal stopped: {why}; traffic and weights go on"),
            (Some(_), None) => tracing::info!("the journal is written again"),
            (None, None) | (Some(_), Some(_)) => return,
        }
        *told = now;
    }
}

const fn kind_of(record: &Record) -> u8 {
    match record {
        Record::Checkpoint { .. } => 1,
        Record::Input { .. } => 2,
        Record::News(_) => NEWS,
        Record::Shards(_) => 4,
    }
}

const NEWS: u8 = 3;
/// Records read at once.
const PAGE: usize = 1_024;
/// News looked through for one decision: bounds what one question may cost.
const MOST_LOOKED: usize = 200_000;
/// The same once the weight's is found: most breakers never do anything.
const MOST_LOOKED_FOR_BREAKER: usize = 20_000;
