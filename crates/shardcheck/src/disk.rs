//! What a slice has on a worker's disk, and what a machine gets when it asks for some of it.

use std::collections::BTreeMap;

use ambidex_core::shard::Bugs;
use ambidex_core::shard::holder::{Effect, Event, Holder, Kept};
use ambidex_core::shard::messages::{Bytes, Digest, Entry};
use ambidex_core::shard::seen::Seen;
use ambidex_core::shard::space::Range;

/// What a slice has on disk.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Disk {
    pub(crate) range: Range,
    pub(crate) kept: Kept,
    pub(crate) data: BTreeMap<Bytes, Bytes>,
    pub(crate) seen: Seen,
    /// Lost in a crash unless `kept` says that it is staged.
    pub(crate) staging: BTreeMap<Bytes, Bytes>,
}

impl Disk {
    pub(crate) fn new(range: Range, kept: Kept) -> Self {
        Self { range, kept, data: BTreeMap::new(), seen: Seen::default(), staging: BTreeMap::new() }
    }

    /// Makes durable what a machine keeps.
    pub(crate) fn keep(&mut self, kept: Kept) {
        match &kept {
            Kept::Nothing => *self = Self::new(self.range, Kept::Nothing),
            Kept::Serving(_) => {
                if let Kept::Staged(_, _, seen) = &self.kept {
                    self.seen = Seen::clone(seen);
                    self.data = std::mem::take(&mut self.staging);
                }
            }
            Kept::Sealed(..) | Kept::Handed(..) | Kept::Staged(..) => {}
        }
        self.kept = kept;
    }

    /// Puts entries into the staging.
    pub(crate) fn stage(&mut self, entries: Vec<Entry>) {
        for Entry { key, value } in entries {
            match value {
                Some(value) => self.staging.insert(key, value),
                None => self.staging.remove(&key),
            };
        }
    }

    /// What a machine hears that asks for entries, at most `chunk` of them, or for a digest; nothing where it asks for something else.
    pub(crate) fn read(&self, effect: &Effect, chunk: usize) -> Option<Event> {
        let entry = |key: &Bytes| Entry { key: key.clone(), value: self.data.get(key).cloned() };
        let all = |data: &BTreeMap<Bytes, Bytes>| Digest::of(data.iter().map(|(key, value)| (&**key, &**value)));
        let none = Digest::default();
        match effect {
            Effect::Export { work, after } => {
                let rest = self.data.keys().filter(|key| after.as_ref().is_none_or(|after| *key > after));
                let keys: Vec<&Bytes> = rest.take(chunk + 1).collect();
                let next = (keys.len() > chunk).then(|| keys[chunk - 1].clone());
                let entries = keys.into_iter().take(chunk).map(entry).collect();
                Some(Event::Exported { work: *work, entries, next, digest: none })
            }
            Effect::ExportKeys { work, keys } => Some(Event::Exported {
                work: *work,
                entries: keys.iter().map(entry).collect(),
                next: None,
                digest: none,
            }),
            Effect::Finish { work, keys } => {
                let entries = keys.iter().map(entry).collect();
                Some(Event::Exported { work: *work, entries, next: None, digest: all(&self.data) })
            }
            Effect::Digest { work } => Some(Event::Digested { work: *work, digest: all(&self.staging) }),
            Effect::Reply { .. } | Effect::Import { .. } | Effect::Keep { .. } | Effect::Read { .. } => None,
        }
    }
}

/// The list of numbers that a value is.
pub(crate) fn list_of(value: Option<&Bytes>) -> Vec<u32> {
    let four = |four: &[u8]| u32::from_le_bytes([four[0], four[1], four[2], four[3]]);
    value.map(|value| value.chunks_exact(4).map(four).collect()).unwrap_or_default()
}

#[cfg(feature = "seeded-bugs")]
pub(crate) fn with(holder: Holder, bugs: Bugs) -> Holder {
    holder.with(bugs)
}

#[cfg(not(feature = "seeded-bugs"))]
pub(crate) fn with(holder: Holder, _: Bugs) -> Holder {
    holder
}
