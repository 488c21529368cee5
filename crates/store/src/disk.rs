//! The fjall database: group commits, pruning, reading, and opening again after a failure.
//!
//! A record's key is its sequence (big endian, so that order is age); its value is kind, wall time and bytes. Pruning
//! removes from the old end in the same commit that writes at the new one, so that the bound holds at every moment.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::Limits;
use crate::journal::{Entry, Order, Query};
use crate::kept::Kept;
use crate::queue::{Batch, Shared};
use crate::writer::Medium;

/// The open database, shared with readers.
#[derive(Clone)]
pub(crate) struct Open {
    database: Database,
    journal: Keyspace,
    state: Keyspace,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Open").finish_non_exhaustive()
    }
}

/// Why the database did not open.
pub(crate) enum OpenFailure {
    InUse,
    Disk(String),
}

/// The database as the store's thread holds it.
pub(crate) struct Disk {
    folder: PathBuf,
    limits: Limits,
    shared: Arc<Shared>,
    open: Option<Open>,
    kept: Kept,
}

impl Disk {
    pub(crate) fn new(folder: &Path, limits: Limits, shared: Arc<Shared>) -> Self {
        Self { folder: folder.join("store"), limits, shared, open: None, kept: Kept::default() }
    }

    /// Opens the database and takes stock: which records there are, and the whole state.
    pub(crate) fn open(&mut self) -> Result<(), OpenFailure> {
        let open = Open::at(&self.folder).map_err(|error| {
            let in_use = matches!(error, fjall::Error::Locked);
            if in_use { OpenFailure::InUse } else { OpenFailure::Disk(said(&error)) }
        })?;
        let stock = |error: fjall::Error| OpenFailure::Disk(said(&error));
        self.kept = open.stock(self.limits.max_bytes.get()).map_err(stock)?;
        let state = open.all_state().map_err(stock)?;
        let mut inner = self.shared.lock();
        inner.newest = inner.newest.max(self.kept.newest());
        for (key, value) in state {
            // What was put while the disk was away is newer than what it holds.
            if !inner.dirty.contains(&key) {
                inner.state.entry(key).or_insert(value);
            }
        }
        inner.open = Some(open.clone());
        self.open = Some(open);
        Ok(())
    }
}

impl Medium for Disk {
    fn commit(&mut self, batch: &Batch) -> Result<u64, String> {
        let open = self.open.as_ref().ok_or("the database is not open")?;
        let mut writes = open.database.batch().durability(Some(PersistMode::SyncData));
        // A commit that failed may have been written all the same; what is on the disk is not written again.
        let newest = self.kept.newest();
        let mut kept = self.kept.clone();
        for entry in batch.entries.iter().filter(|entry| entry.sequence > newest) {
            writes.insert(&open.journal, entry.sequence.to_be_bytes(), value_of(entry));
            kept.add(entry);
        }
        let oldest = kept.newest_wall_millis().saturating_sub(self.limits.max_age.as_millis());
        while let Some(sequences) = kept.surplus(self.limits.max_bytes.get(), oldest) {
            sequences.for_each(|sequence| writes.remove(&open.journal, sequence.to_be_bytes()));
        }
        for (key, value) in &batch.state {
            match value {
                Some(value) => writes.insert(&open.state, key.as_str(), &**value),
                None => writes.remove(&open.state, key.as_str()),
            }
        }
        writes.commit().map_err(|error| said(&error))?;
        self.kept = kept;
        Ok(self.kept.bytes)
    }

    fn reopen(&mut self) -> Result<(), String> {
        // A failed sync may have lost what the page cache held: only reading the files again says what is kept. The
        // lock is on the files, so every handle must be gone first.
        self.open = None;
        self.shared.lock().open = None;
        self.open().map_err(|failure| match failure {
            OpenFailure::InUse => "the database is still being read or in use by another process".to_owned(),
            OpenFailure::Disk(why) => why,
        })
    }
}

impl Open {
    fn at(path: &Path) -> fjall::Result<Self> {
        let database =
            Database::builder(path).worker_threads(1).cache_size(CACHE_BYTES).max_journaling_size(WAL_BYTES).open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let journal = database.keyspace("journal", options)?;
        let state = database.keyspace("state", options)?;
        Ok(Self { database, journal, state })
    }

    fn stock(&self, max_bytes: u64) -> fjall::Result<Kept> {
        let mut kept = Kept::of_at_most(max_bytes);
        for pair in self.journal.iter() {
            let (key, value) = pair.into_inner()?;
            if let Some(entry) = entry_of(&key, &value) {
                kept.add(&entry);
            }
        }
        Ok(kept)
    }

    fn all_state(&self) -> fjall::Result<Vec<(String, Arc<[u8]>)>> {
        let pair = |pair: fjall::Guard| {
            let (key, value) = pair.into_inner()?;
            Ok((String::from_utf8_lossy(&key).into_owned(), Arc::from(&*value)))
        };
        self.state.iter().map(pair).collect()
    }

    pub(crate) fn read(&self, query: &Query) -> Result<Vec<Entry>, String> {
        let range = query.sequences.start().to_be_bytes()..=query.sequences.end().to_be_bytes();
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let entries = self.journal.range(range);
        match query.order {
            Order::Oldest => wanted(entries, query),
            Order::Newest => wanted(entries.rev(), query),
        }
    }
}

fn wanted(pairs: impl Iterator<Item = fjall::Guard>, query: &Query) -> Result<Vec<Entry>, String> {
    let mut found = Vec::new();
    for pair in pairs {
        if found.len() >= query.limit {
            break;
        }
        let (key, value) = pair.into_inner().map_err(|error| said(&error))?;
        // The head decides before the record is copied.
        if head_of(&value).is_some_and(|(kind, wall_millis)| query.wants(kind, wall_millis)) {
            found.extend(entry_of(&key, &value));
        }
    }
    Ok(found)
}

fn value_of(entry: &Entry) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEAD + entry.bytes.len());
    value.push(entry.kind);
    value.extend_from_slice(&entry.wall_millis.to_be_bytes());
    value.extend_from_slice(&entry.bytes);
    value
}

fn head_of(value: &[u8]) -> Option<(u8, u64)> {
    let (kind, rest) = value.split_first()?;
    Some((*kind, u64::from_be_bytes(*rest.first_chunk()?)))
}

/// What is shorter than its head is not one of our records, and passed over.
fn entry_of(key: &[u8], value: &[u8]) -> Option<Entry> {
    let sequence = u64::from_be_bytes(key.try_into().ok()?);
    let (kind, wall_millis) = head_of(value)?;
    Some(Entry { sequence, kind, wall_millis, bytes: value[HEAD..].into() })
}

/// What the engine says, with the system's own words where there are any.
pub(crate) fn said(error: &fjall::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    }
}

/// Kind and wall time.
const HEAD: usize = 1 + 8;
/// Reads are rare and go through once. Source: ours.
const CACHE_BYTES: u64 = 4 << 20;
/// The engine's smallest write-ahead log.
const WAL_BYTES: u64 = 64 << 20;
/// Memory that unflushed records may take. Source: ours; small beside the process, large beside a tick.
const MEMTABLE_BYTES: u64 = 4 << 20;
