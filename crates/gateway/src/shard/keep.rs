//! Tables on disk: written at each change by a thread of their own, read at the start.
//!
//! ```text
//!   keep ── the latest of each keyspace ── thread: NAME.json.new, synced, renamed to NAME.json
//! ```
//! Of several changes while one is written the last is written next, and the others never: only the last is worth reading. A file
//! that cannot be read, or whose slices do not tile the space, is as none.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use ambidex_core::shard::keyspace::KeyspaceName;
use ambidex_core::shard::records::{Epoch, MoveId, Slice, SliceId};
use ambidex_core::shard::space::{Point, Range};
use ambidex_core::shard::store::Revision;
use ambidex_core::shard::table::Table;
use ambidex_core::worker::WorkerId;
use serde::{Deserialize, Serialize};

use super::tables::{TableUpdate, WorkerPlace, file_of};

/// Keeps tables in a folder. When it is dropped, what it was given is on disk.
#[derive(Debug)]
pub(crate) struct Keeper {
    folder: PathBuf,
    todo: Arc<Todo>,
    /// Started by the first table: most gateways have none.
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Todo {
    list: Mutex<List>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct List {
    tables: BTreeMap<KeyspaceName, Arc<TableUpdate>>,
    ends: bool,
}

impl Keeper {
    pub(crate) fn of(folder: PathBuf) -> Self {
        Self { folder, todo: Arc::default(), thread: Mutex::default() }
    }

    /// Has a table written, and no earlier one of this keyspace that is not written yet.
    pub(crate) fn keep(&self, keyspace: &KeyspaceName, update: Arc<TableUpdate>) {
        self.todo.lock().tables.insert(keyspace.clone(), update);
        self.todo.more.notify_one();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let (todo, folder) = (Arc::clone(&self.todo), self.folder.clone());
            let started = std::thread::Builder::new().name("tables".into()).spawn(move || todo.work(&folder));
            match started {
                Ok(started) => *thread = Some(started),
                Err(error) => tracing::warn!(%keyspace, %error, "the table is not kept on disk"),
            }
        }
    }

    /// What the folder has of a keyspace.
    pub(crate) fn kept(&self, keyspace: &KeyspaceName) -> Option<TableUpdate> {
        let path = file_of(&self.folder, keyspace);
        let why = match fs::read(&path) {
            Ok(bytes) => match read(&bytes) {
                Ok(update) => return Some(update),
                Err(why) => why,
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => error.to_string(),
        };
        tracing::warn!(%keyspace, path = %path.display(), %why, "the table on disk is not used; the coordinator's will be");
        None
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.todo.lock().ends = true;
        self.todo.more.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that keeps tables has failed");
        }
    }
}

impl Todo {
    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, folder: &Path) {
        while let Some((keyspace, update)) = self.next() {
            if let Err(error) = write(folder, &keyspace, &update) {
                tracing::warn!(%keyspace, folder = %folder.display(), %error, "the table is not kept on disk");
            }
        }
    }

    /// What is to be written next; none at the end.
    fn next(&self) -> Option<(KeyspaceName, Arc<TableUpdate>)> {
        let mut list = self.lock();
        loop {
            if let Some(next) = list.tables.pop_first() {
                return Some(next);
            }
            if list.ends {
                return None;
            }
            list = self.more.wait(list).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn write(folder: &Path, keyspace: &KeyspaceName, update: &TableUpdate) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let path = file_of(folder, keyspace);
    let new = path.with_extension("json.new");
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec(&Kept::of(update)).map_err(io::Error::other)?)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&new, &path)
}

fn read(bytes: &[u8]) -> Result<TableUpdate, String> {
    serde_json::from_slice::<Kept>(bytes).map_err(|why| why.to_string())?.update()
}

/// A table as the file has it.
#[derive(Serialize, Deserialize)]
struct Kept {
    map: String,
    revision: u64,
    slices: Vec<KeptSlice>,
    workers: BTreeMap<u32, KeptWorker>,
}

#[derive(Serialize, Deserialize)]
struct KeptSlice {
    id: u64,
    first: u64,
    last: u64,
    owner: u32,
    epoch: u64,
    moving: Option<u64>,
    sealed: bool,
}

#[derive(Serialize, Deserialize)]
struct KeptWorker {
    name: String,
    address: String,
}

impl Kept {
    fn of(update: &TableUpdate) -> Self {
        let slice = |(id, slice): &(SliceId, Slice)| KeptSlice {
            id: id.0,
            first: slice.range.first().0,
            last: slice.range.last().0,
            owner: slice.owner.0,
            epoch: slice.epoch.0,
            moving: slice.moving.map(|moving| moving.0),
            sealed: slice.sealed,
        };
        let worker = |(id, place): (&WorkerId, &WorkerPlace)| {
            (id.0, KeptWorker { name: place.name.clone(), address: place.address.clone() })
        };
        Self {
            map: update.map.clone(),
            revision: update.table.revision().0,
            slices: update.table.slices().iter().map(slice).collect(),
            workers: update.workers.iter().map(worker).collect(),
        }
    }

    fn update(self) -> Result<TableUpdate, String> {
        let slice = |kept: KeptSlice| {
            let range = Range::new(Point(kept.first), Point(kept.last)).ok_or("a slice ends before it begins")?;
            let (owner, moving) = (WorkerId(kept.owner), kept.moving.map(MoveId));
            Ok((SliceId(kept.id), Slice { range, owner, epoch: Epoch(kept.epoch), moving, sealed: kept.sealed }))
        };
        let slices = self.slices.into_iter().map(slice).collect::<Result<Vec<_>, &str>>()?;
        let table = Table::new(Revision(self.revision), slices).map_err(|why| why.to_string())?;
        let place =
            |(id, kept): (u32, KeptWorker)| (WorkerId(id), WorkerPlace { name: kept.name, address: kept.address });
        Ok(TableUpdate { map: self.map, table, workers: self.workers.into_iter().map(place).collect() })
    }
}
