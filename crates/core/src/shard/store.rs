//! What the protocol asks of a metadata store: transactions of compares and writes, and reads of the newest state.
//!
//! A machine says what it wants as data and hears the outcome as an event; whoever drives it talks to fjall or etcd. What a
//! store must give for that: a transaction happens wholly or not at all; each write has a revision that was never used
//! before; a read sees every transaction that ended before it began. An outcome may be [`Outcome::Unknown`]: then it may
//! have happened, may happen later, or never, and only a compare keeps it from happening twice.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::records::{Key, Record, Slice, SliceId};

/// When a key was written last: grows with every transaction. Zero: the key is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// Of a key that is not there.
    pub const ABSENT: Self = Self(0);
}

/// That a key is still as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Compare {
    /// Which key.
    pub key: Key,
    /// Its revision then.
    pub is: Revision,
}

/// A key's new record; none takes the key away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    /// Which key.
    pub key: Key,
    /// What it holds from now on.
    pub record: Option<Record>,
}

/// All compares hold and all writes happen, or nothing does. At most seven of each here; etcd bears 128.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transaction {
    /// What must hold.
    pub compares: Vec<Compare>,
    /// What happens then.
    pub writes: Vec<Write>,
}

impl Transaction {
    /// With one more thing that must hold.
    #[must_use]
    pub fn if_still(mut self, key: Key, is: Revision) -> Self {
        self.compares.push(Compare { key, is });
        self
    }

    /// With one more thing that happens.
    #[must_use]
    pub fn put(mut self, key: Key, record: Record) -> Self {
        self.writes.push(Write { key, record: Some(record) });
        self
    }

    /// With a key taken away.
    #[must_use]
    pub fn take_away(mut self, key: Key) -> Self {
        self.writes.push(Write { key, record: None });
        self
    }
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It happened, and what it wrote has this revision.
    Done(Revision),
    /// A compare did not hold.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// A store in memory: what tests and checkers run the protocol on, and what real stores are compared with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct MemoryStore {
    revision: u64,
    records: BTreeMap<Key, (Revision, Record)>,
}

impl MemoryStore {
    /// With nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Does a transaction, or nothing.
    pub fn transact(&mut self, transaction: &Transaction) -> Outcome {
        if transaction.compares.iter().any(|compare| self.revision_of(compare.key) != compare.is) {
            return Outcome::Refused;
        }
        self.revision += 1;
        let revision = Revision(self.revision);
        for write in &transaction.writes {
            match write.record {
                Some(record) => self.records.insert(write.key, (revision, record)),
                None => self.records.remove(&write.key),
            };
        }
        Outcome::Done(revision)
    }

    /// What a key holds, and since which revision.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<(Revision, Record)> {
        self.records.get(&key).copied()
    }

    /// When a key was written last.
    #[must_use]
    pub fn revision_of(&self, key: Key) -> Revision {
        self.get(key).map_or(Revision::ABSENT, |(revision, _)| revision)
    }

    /// When anything was written last.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision(self.revision)
    }

    /// All records, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (Key, Revision, Record)> {
        self.records.iter().map(|(key, (revision, record))| (*key, *revision, *record))
    }

    /// All slices, in the order of their ids.
    #[must_use]
    pub fn slices(&self) -> Vec<(SliceId, Slice)> {
        let slice = |(key, _, record)| match (key, record) {
            (Key::Slice(id), Record::Slice(slice)) => Some((id, slice)),
            (Key::Leader | Key::Ids | Key::Worker(_) | Key::Slice(_) | Key::Move(_), _) => None,
        };
        self.iter().filter_map(slice).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_whose_compare_does_not_hold_changes_nothing() {
        let mut store = MemoryStore::new();
        store.transact(&Transaction::default().put(Key::Ids, Record::Ids(1)));
        let before = store.clone();
        let late = Transaction::default().if_still(Key::Ids, Revision::ABSENT).put(Key::Ids, Record::Ids(2));
        assert_eq!(store.transact(&late), Outcome::Refused);
        assert_eq!(store, before);
    }

    #[test]
    fn a_transaction_that_compares_what_it_writes_happens_once() {
        let mut store = MemoryStore::new();
        let twice = Transaction::default().if_still(Key::Ids, Revision::ABSENT).put(Key::Ids, Record::Ids(1));
        assert_eq!(store.transact(&twice), Outcome::Done(Revision(1)));
        assert_eq!(store.transact(&twice), Outcome::Refused);
    }

    #[test]
    fn a_key_that_was_taken_away_is_absent() {
        let mut store = MemoryStore::new();
        store.transact(&Transaction::default().put(Key::Ids, Record::Ids(1)));
        store.transact(&Transaction::default().take_away(Key::Ids));
        assert_eq!(store.revision_of(Key::Ids), Revision::ABSENT);
    }
}
