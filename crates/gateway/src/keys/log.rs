//! Keys on the disk: what was begun and how it ended, appended to a journal of their own, read when the process starts.
//!
//! Records are queued and written in groups by the store's thread; nobody waits. What a killed process had queued in its
//! last milliseconds is lost, and what the queue has no room for is dropped and counted. The dates are of the wall
//! clock: across two processes there is no other.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use ambidex_core::again::dedup::{Bounds, End, Gone, Keyed, Name, Print, Table, Tenant, Terms, Unsure};
use ambidex_core::size::Size;
use ambidex_core::time::{Mono, Span};
use ambidex_store::{Limits, OpenError, Query, Store};
use bytes::{Buf as _, BufMut as _, Bytes};

use crate::clock::Wall;
use crate::stored::Stored;

/// The journal of keys.
#[derive(Debug)]
pub(super) struct Log(Mutex<Store>);

impl Log {
    /// Opens the journal below the data folder.
    pub(super) fn open(folder: &Path, bounds: Bounds) -> Result<Self, OpenError> {
        // Each key is written twice, and pruning takes the oldest.
        let max_bytes = Size::bytes(bounds.bytes.saturating_mul(2).max(MOST_GROUP));
        let limits = Limits { max_bytes, max_age: Span::from_secs(8 * 86_400) };
        Ok(Self(Mutex::new(Store::open(&folder.join("keys"), limits)?)))
    }

    /// Takes up what an earlier process left.
    pub(super) fn restore(&self, table: &mut Table<Stored>, now: Mono) {
        let (wall, journal) = (wall_millis(), self.store(|store| store.journal.clone()));
        let mut from = 0;
        loop {
            let query = Query { sequences: from..=u64::MAX, limit: MOST_READ, ..Query::default() };
            let entries = match journal.read(&query) {
                Ok(entries) => entries,
                Err(why) => return tracing::warn!(%why, "idempotency keys of before cannot be read"),
            };
            let Some(last) = entries.last() else { return };
            from = last.sequence + 1;
            for entry in &entries {
                if restore_one(table, now, wall, entry.kind, Bytes::copy_from_slice(&entry.bytes)).is_none() {
                    tracing::warn!(sequence = entry.sequence, "a record of an idempotency key is none; passed over");
                }
            }
        }
    }

    pub(super) fn began(&self, keyed: Keyed, terms: Terms) {
        let mut record = start(keyed, wall_millis() + terms.lease.as_millis());
        record.put_u64(terms.keep.as_millis());
        record.put_u8(u8::from(terms.unsure == Unsure::Release));
        self.append(BEGAN, record);
    }

    pub(super) fn ended(&self, keyed: Keyed, keep: Span, end: &End<Stored>) {
        let mut record = start(keyed, wall_millis() + keep.as_millis());
        let kind = match end {
            End::Never => NEVER,
            End::Without(Gone::Unknown) => UNKNOWN,
            End::Without(Gone::TooLarge) => TOO_LARGE,
            End::Without(Gone::Dropped) => DROPPED,
            End::Answer(stored, _) => {
                put_stored(&mut record, stored);
                ANSWERED
            }
        };
        self.append(kind, record);
    }

    /// Records that the queue had no room for.
    pub(super) fn dropped(&self) -> u64 {
        self.store(|store| store.status().dropped)
    }

    pub(super) fn flush(&self) {
        if !self.store(|store| store.flush(FLUSH_WITHIN)) {
            tracing::warn!("idempotency keys could not be written to the end");
        }
    }

    fn append(&self, kind: u8, record: Vec<u8>) {
        // A full queue drops it, and counts.
        let _ = self.store(|store| store.journal.append(kind, wall_millis(), record));
    }

    fn store<T>(&self, with: impl FnOnce(&Store) -> T) -> T {
        with(&self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// An answer as it is kept elsewhere: length of the head, head, body.
pub(super) fn put_stored(record: &mut Vec<u8>, stored: &Stored) {
    record.put_u32(u32::try_from(stored.head().len()).unwrap_or(u32::MAX));
    record.put_slice(stored.head());
    record.put_slice(stored.body());
}

/// The same read back.
pub(super) fn take_stored(mut record: Bytes, now: Mono) -> Option<Stored> {
    let length = record.try_get_u32().ok()? as usize;
    let body = (record.len() >= length).then(|| record.split_off(length))?;
    Some(Stored::from_parts(record, body, now))
}

/// What an answer costs in memory beside its key.
pub(super) fn cost(stored: &Stored) -> u64 {
    (stored.head().len() + stored.body().len()) as u64
}

fn start(keyed: Keyed, until: u64) -> Vec<u8> {
    let mut record = Vec::with_capacity(80);
    record.put_slice(&keyed.name.0);
    record.put_slice(&keyed.print.0);
    record.put_u64(keyed.tenant.0);
    record.put_u64(until);
    record
}

fn restore_one(table: &mut Table<Stored>, now: Mono, wall: u64, kind: u8, mut record: Bytes) -> Option<()> {
    let (mut name, mut print) = ([0; 32], [0; 16]);
    record.try_copy_to_slice(&mut name).ok()?;
    record.try_copy_to_slice(&mut print).ok()?;
    let tenant = Tenant(record.try_get_u64().ok()?);
    let until = record.try_get_u64().ok()?;
    let left = Span::from_millis(until.saturating_sub(wall));
    let keyed = Keyed { name: Name(name), print: Print(print), tenant };
    if kind == BEGAN {
        let keep = Span::from_millis(record.try_get_u64().ok()?);
        let unsure = if record.try_get_u8().ok()? == 1 { Unsure::Release } else { Unsure::Hold };
        let over = Span::from_millis(wall.saturating_sub(until));
        if over < keep {
            let terms = Terms { lease: left, keep: keep - over, unsure };
            table.restore_running(now, keyed, left, terms);
        }
        return Some(());
    }
    let end = match kind {
        NEVER => End::Never,
        UNKNOWN => End::Without(Gone::Unknown),
        TOO_LARGE => End::Without(Gone::TooLarge),
        DROPPED => End::Without(Gone::Dropped),
        ANSWERED => {
            let stored = take_stored(record, now)?;
            let bytes = cost(&stored);
            End::Answer(stored, bytes)
        }
        _ => return None,
    };
    table.restore(now, keyed, left, end);
    Some(())
}

fn wall_millis() -> u64 {
    Wall::now().0 / 1_000_000
}

// Kinds of records; on disk, so never renumbered.
const BEGAN: u8 = 1;
const NEVER: u8 = 2;
const UNKNOWN: u8 = 3;
const TOO_LARGE: u8 = 4;
const DROPPED: u8 = 5;
const ANSWERED: u8 = 6;

/// Records read at once at the start. Source: ours; a few MiB of answers.
const MOST_READ: usize = 256;
/// The journal keeps at least this much. Source: ours; a group commit of large answers.
const MOST_GROUP: u64 = 32 << 20;
/// How long the end may take. Source: as the journal's own.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);
