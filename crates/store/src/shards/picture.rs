//! What stands in a metadata store, or some of it, as it was at one moment.

use std::collections::BTreeMap;

use ambidex_core::shard::records::{Key, Leader, Membership, Move, MoveId, Record, Slice, SliceId};
use ambidex_core::shard::store::Revision;
use ambidex_core::worker::WorkerId;
use ambidex_wire::shard::records::{Map, Named, Path, Value};

use super::{Change, Written};

/// What stands in a store, by path, each with the revision that wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Picture {
    /// As of when. No item is later.
    pub revision: Revision,
    /// What stands there.
    pub items: BTreeMap<Path, (Revision, Value)>,
}

impl Picture {
    /// When a path was written last.
    #[must_use]
    pub fn revision_of(&self, path: Path) -> Revision {
        self.items.get(&path).map_or(Revision::ABSENT, |(revision, _)| *revision)
    }

    /// A record of the protocol.
    #[must_use]
    pub fn record(&self, key: Key) -> Option<(Revision, Record)> {
        match self.items.get(&Path::Record(key))? {
            (revision, Value::Record(record)) => Some((*revision, *record)),
            (_, Value::Map(_) | Value::Name(_)) => None,
        }
    }

    /// Who leads.
    #[must_use]
    pub fn leader(&self) -> Option<(Revision, Leader)> {
        match self.record(Key::Leader)? {
            (revision, Record::Leader(leader)) => Some((revision, leader)),
            (_, Record::Ids(_) | Record::Worker(_) | Record::Slice(_) | Record::Move(_)) => None,
        }
    }

    /// The highest number that a slice was given.
    #[must_use]
    pub fn ids(&self) -> Option<(Revision, u64)> {
        match self.record(Key::Ids)? {
            (revision, Record::Ids(highest)) => Some((revision, highest)),
            (_, Record::Leader(_) | Record::Worker(_) | Record::Slice(_) | Record::Move(_)) => None,
        }
    }

    /// Which map it is; none before it is made.
    #[must_use]
    pub fn map(&self) -> Option<&Map> {
        match self.items.get(&Path::Map)? {
            (_, Value::Map(map)) => Some(map),
            (_, Value::Record(_) | Value::Name(_)) => None,
        }
    }

    /// A slice.
    #[must_use]
    pub fn slice(&self, id: SliceId) -> Option<(Revision, Slice)> {
        match self.record(Key::Slice(id))? {
            (revision, Record::Slice(slice)) => Some((revision, slice)),
            (_, Record::Leader(_) | Record::Ids(_) | Record::Worker(_) | Record::Move(_)) => None,
        }
    }

    /// A move.
    #[must_use]
    pub fn move_(&self, id: MoveId) -> Option<(Revision, Move)> {
        match self.record(Key::Move(id))? {
            (revision, Record::Move(move_)) => Some((revision, move_)),
            (_, Record::Leader(_) | Record::Ids(_) | Record::Worker(_) | Record::Slice(_)) => None,
        }
    }

    /// All slices, in the order of their numbers.
    pub fn slices(&self) -> impl Iterator<Item = (SliceId, Slice)> + '_ {
        let range = Path::Record(Key::Slice(SliceId(0)))..=Path::Record(Key::Slice(SliceId(u64::MAX)));
        self.items.range(range).filter_map(|(path, (_, value))| match (path, value) {
            (Path::Record(Key::Slice(id)), Value::Record(Record::Slice(slice))) => Some((*id, *slice)),
            (Path::Record(_) | Path::Map | Path::Name(_), _) => None,
        })
    }

    /// All moves, in the order of their numbers.
    pub fn moves(&self) -> impl Iterator<Item = (MoveId, Revision, Move)> + '_ {
        let range = Path::Record(Key::Move(MoveId(0)))..=Path::Record(Key::Move(MoveId(u64::MAX)));
        self.items.range(range).filter_map(|(path, (revision, value))| match (path, value) {
            (Path::Record(Key::Move(id)), Value::Record(Record::Move(move_))) => Some((*id, *revision, *move_)),
            (Path::Record(_) | Path::Map | Path::Name(_), _) => None,
        })
    }

    /// All workers that were ever given a number.
    pub fn names(&self) -> impl Iterator<Item = (WorkerId, &Named)> + '_ {
        let range = Path::Name(WorkerId(0))..=Path::Name(WorkerId(u32::MAX));
        self.items.range(range).filter_map(|(path, (_, value))| match (path, value) {
            (Path::Name(id), Value::Name(named)) => Some((*id, named)),
            (Path::Record(_) | Path::Map | Path::Name(_), _) => None,
        })
    }

    /// The number of a worker that is called so.
    #[must_use]
    pub fn number_of(&self, name: &str) -> Option<WorkerId> {
        self.names().find(|(_, named)| named.name == name).map(|(id, _)| id)
    }

    /// Whether a worker was let go.
    #[must_use]
    pub fn has_left(&self, worker: WorkerId) -> bool {
        matches!(self.record(Key::Worker(worker)), Some((_, Record::Worker(Membership::Left))))
    }

    /// Whether all compares of a change hold.
    #[must_use]
    pub fn allows(&self, change: &Change) -> bool {
        change.compares.iter().all(|(path, is)| self.revision_of(*path) == *is)
    }

    /// Takes over what was written. What is not later than a path's own revision changes nothing, so it may come twice and late.
    pub fn take(&mut self, written: &Written) {
        let Written { revision, writes } = written;
        for (path, value) in writes {
            if self.revision_of(*path) >= *revision {
                continue;
            }
            match value {
                Some(value) => self.items.insert(*path, (*revision, value.clone())),
                None => self.items.remove(path),
            };
        }
        self.revision = self.revision.max(*revision);
    }
}
