//! The tables of all keyspaces, as the coordinator showed them last: handed to every serving thread at once, kept on disk, and asked
//! for anew when a router knows too little.
//!
//! ```text
//!   show ── another map, or a later revision? ── watch ── each thread's Shell
//!      \ neither: nothing                          \── keep: the data folder, by a thread that no request waits for
//! ```
//! What the folder has is shown at the start, before any coordinator was reached: a gateway that starts while its coordinator is away goes
//! by that, and by what workers say of later epochs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ambidex_core::shard::keyspace::KeyspaceName;
use ambidex_core::shard::space::Point;
use ambidex_core::shard::table::Table;
use ambidex_core::worker::WorkerId;
use tokio::sync::{Notify, watch};

use super::keep::Keeper;

/// The tables of all keyspaces; clones share them. By default in memory only.
#[derive(Clone, Debug, Default)]
pub struct Tables(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    keeper: Option<Keeper>,
    places: Mutex<BTreeMap<KeyspaceName, Arc<Place>>>,
}

/// One keyspace's table.
#[derive(Debug)]
pub(crate) struct Place {
    name: KeyspaceName,
    shown: watch::Sender<Option<Arc<TableUpdate>>>,
    wanted: Notify,
}

/// What a coordinator shows of a keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableUpdate {
    /// Which map it is of: another one begins anew, whatever its revision.
    pub map: String,
    /// Its slices, by owner.
    pub table: Table,
    /// Who the owners are.
    pub workers: BTreeMap<WorkerId, WorkerPlace>,
}

/// Who an owner is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerPlace {
    /// What its pool calls it.
    pub name: String,
    /// Its URL.
    pub address: String,
}

/// Where a key lies, for clients that route themselves.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RouteAnswer {
    /// Of the key: 16 hexadecimal digits.
    pub point: String,
    /// The slice: 16 hexadecimal digits.
    pub slice: String,
    /// Its first point and its last, both included.
    pub range: [String; 2],
    /// What requests for it must say.
    pub epoch: u64,
    /// Whether its owner is about to stop, or has stopped, serving it.
    pub sealed: bool,
    /// Name of its owner; null where nobody knows it.
    pub owner: Option<String>,
    /// URL of its owner.
    pub address: Option<String>,
    /// Of the table that says so.
    pub revision: u64,
    /// Which map the table is of.
    pub map: String,
}

/// How the table of a keyspace stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableStats {
    /// Of which keyspace.
    pub keyspace: KeyspaceName,
    /// The metadata store's revision; 0: there is no table.
    pub revision: u64,
    /// How many slices.
    pub slices: usize,
    /// Those for which requests wait.
    pub sealed: usize,
    /// The highest epoch of them.
    pub epoch: u64,
}

impl Tables {
    /// Tables that are kept below this data folder, from where they were left.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        let keeper = Keeper::of(folder.join(FOLDER));
        Self(Arc::new(Inner { keeper: Some(keeper), places: Mutex::default() }))
    }

    /// Takes over what a coordinator shows; says whether it was news.
    pub fn show(&self, keyspace: &KeyspaceName, update: TableUpdate) -> bool {
        let place = self.place(keyspace);
        let update = Arc::new(update);
        let news = place.shown.send_if_modified(|shown| {
            let is_news = shown.as_ref().is_none_or(|before| {
                before.map != update.map
                    || before.table.revision() < update.table.revision()
                    || (before.table.revision() == update.table.revision() && before.workers != update.workers)
            });
            if is_news {
                *shown = Some(Arc::clone(&update));
            }
            is_news
        });
        if news && let Some(keeper) = &self.0.keeper {
            keeper.keep(keyspace, update);
        }
        news
    }

    /// What was shown last.
    #[must_use]
    pub fn shown(&self, keyspace: &KeyspaceName) -> Option<Arc<TableUpdate>> {
        self.place(keyspace).shown.borrow().clone()
    }

    /// How all of them stand.
    #[must_use]
    pub fn stats(&self) -> Vec<TableStats> {
        let places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        let stats = |(keyspace, place): (&KeyspaceName, &Arc<Place>)| {
            let shown = place.shown.borrow().clone();
            let slices = || shown.iter().flat_map(|shown| shown.table.slices()).map(|(_, slice)| slice);
            TableStats {
                keyspace: keyspace.clone(),
                revision: shown.as_ref().map_or(0, |shown| shown.table.revision().0),
                slices: slices().count(),
                sealed: slices().filter(|slice| slice.sealed).count(),
                epoch: slices().map(|slice| slice.epoch.0).max().unwrap_or(0),
            }
        };
        places.iter().map(stats).collect()
    }

    /// Returns when a router wants a later table than the last one.
    pub async fn wanted(&self, keyspace: &KeyspaceName) {
        self.place(keyspace).wanted.notified().await;
    }

    /// What lies at a point; none while there is no table.
    #[must_use]
    pub fn route(&self, keyspace: &KeyspaceName, point: Point) -> Option<RouteAnswer> {
        self.place(keyspace).route(point)
    }

    /// The place of a keyspace, made when it is asked for first. Not for the request path: it takes a lock.
    pub(crate) fn place(&self, keyspace: &KeyspaceName) -> Arc<Place> {
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        let place = places.entry(keyspace.clone()).or_insert_with(|| {
            let kept = self.0.keeper.as_ref().and_then(|keeper| keeper.kept(keyspace));
            let (shown, _) = watch::channel(kept.map(Arc::new));
            Arc::new(Place { name: keyspace.clone(), shown, wanted: Notify::new() })
        });
        Arc::clone(place)
    }
}

impl TableUpdate {
    /// What lies at a point.
    fn route(&self, point: Point) -> RouteAnswer {
        let (id, slice) = self.table.look_up(point);
        let owner = self.workers.get(&slice.owner);
        RouteAnswer {
            point: point.to_string(),
            slice: format!("{:016x}", id.0),
            range: [slice.range.first().to_string(), slice.range.last().to_string()],
            epoch: slice.epoch.0,
            sealed: slice.sealed,
            owner: owner.map(|owner| owner.name.clone()),
            address: owner.map(|owner| owner.address.clone()),
            revision: self.table.revision().0,
            map: self.map.clone(),
        }
    }
}

impl Place {
    /// The keyspace.
    pub(crate) fn name(&self) -> &KeyspaceName {
        &self.name
    }

    /// The table of now, and word of each that follows.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Arc<TableUpdate>>> {
        self.shown.subscribe()
    }

    /// What lies at a point; none while there is no table.
    pub(crate) fn route(&self, point: Point) -> Option<RouteAnswer> {
        Some(self.shown.borrow().as_ref()?.route(point))
    }

    /// Asks for a later table. Who asked before it came has asked already.
    pub(crate) fn want(&self) {
        self.wanted.notify_one();
    }
}

/// Below the data folder.
const FOLDER: &str = "tables";

/// Where a keyspace's table lies in a folder.
pub(crate) fn file_of(folder: &Path, keyspace: &KeyspaceName) -> PathBuf {
    folder.join(format!("{keyspace}.json"))
}

#[cfg(test)]
mod tests {
    use ambidex_core::shard::records::{Epoch, Slice, SliceId};
    use ambidex_core::shard::space::Range;
    use ambidex_core::shard::store::Revision;

    use super::*;

    pub(crate) fn name() -> KeyspaceName {
        KeyspaceName::try_from("carts".to_owned()).expect("a name")
    }

    fn update(map: &str, revision: u64, epoch: u64) -> TableUpdate {
        let slice =
            Slice { range: Range::ALL, owner: WorkerId(1), epoch: Epoch(epoch), moving: None, sealed: epoch == 9 };
        let table = Table::new(Revision(revision), vec![(SliceId(3), slice)]).expect("it tiles the space");
        let place = WorkerPlace { name: "a".to_owned(), address: "http://127.0.0.1:1".to_owned() };
        TableUpdate { map: map.to_owned(), table, workers: BTreeMap::from([(WorkerId(1), place)]) }
    }

    #[test]
    fn a_later_table_and_another_map_are_news_and_nothing_else_is() {
        let tables = Tables::default();
        assert!(tables.show(&name(), update("m", 5, 1)));
        assert!(!tables.show(&name(), update("m", 5, 1)));
        assert!(!tables.show(&name(), update("m", 4, 2)));
        assert!(tables.show(&name(), update("n", 1, 1)));
        assert_eq!(tables.shown(&name()).expect("shown").map, "n");
    }

    #[test]
    fn a_table_is_there_again_after_a_restart() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let tables = Tables::in_folder(folder.path());
        for revision in 1..=20 {
            tables.show(&name(), update("m", revision, 9));
        }
        drop(tables);
        let again = Tables::in_folder(folder.path());
        assert_eq!(again.shown(&name()).as_deref(), Some(&update("m", 20, 9)));
    }

    #[test]
    fn a_file_that_is_no_table_is_as_none() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let below = folder.path().join(FOLDER);
        std::fs::create_dir_all(&below).expect("made");
        for text in ["", "{", "{}", r#"{"map": "m", "revision": 1, "slices": [], "workers": {}}"#] {
            std::fs::write(file_of(&below, &name()), text).expect("written");
            let tables = Tables::in_folder(folder.path());
            assert_eq!(tables.shown(&name()), None, "{text}");
        }
    }

    #[test]
    fn a_key_lies_where_its_hash_says_and_its_owner_is_named() {
        let tables = Tables::default();
        assert_eq!(tables.route(&name(), Point::of(b"")), None);
        tables.show(&name(), update("m", 5, 2));
        let answer = tables.route(&name(), Point::of(b"")).expect("a table");
        assert_eq!((&*answer.point, &*answer.slice), ("2d06800538d394c2", "0000000000000003"));
        assert_eq!((answer.owner.as_deref(), answer.epoch, answer.revision), (Some("a"), 2, 5));
    }
}
