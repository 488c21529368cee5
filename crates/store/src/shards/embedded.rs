//! The metadata store on this machine's disk (fjall): for one coordinator, which serves it to everybody else.
//!
//! ```text
//! revision                     the last one that was given, 8 bytes, big endian
//! = and each path of the map   revision (8 bytes, big endian) | JSON
//! ```
//! A change is one batch, with the counter in it, and is done when the batch is on the disk (data sync). All records are held in memory
//! as well: reads and compares never touch the disk. After a failure nothing is known but what the files say, so the next change
//! opens them anew before it does anything.

use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ambidex_core::shard::store::{Outcome, Revision};
use ambidex_wire::shard::records::{Path, Value};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::kept::Kept;
use super::{Answer, Change, Metadata, MetadataError, Picture, Watching, Written};
use crate::disk::said;
use crate::writer::guarded;

/// A metadata store in a folder; a clone is the same store. Its changes need a runtime of tokio's, whose threads for what blocks
/// write them.
#[derive(Clone, Debug)]
pub struct EmbeddedMetadata(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    /// None after a failure, until it is opened again.
    disk: Mutex<Option<Disk>>,
    kept: Arc<Kept>,
}

/// Why the store of a keyspace's map cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedOpenError {
    /// Another process has it open.
    #[error("the map in {} is in use by another process: stop it, or give this one a data folder of its own", .0.display())]
    InUse(PathBuf),
    /// The disk says no.
    #[error("the map in {} cannot be opened: {why}", folder.display())]
    Disk {
        /// Where.
        folder: PathBuf,
        /// What the engine says.
        why: String,
    },
    /// What is written there is not understood.
    #[error("the map in {} cannot be read: {why}", folder.display())]
    Record {
        /// Where.
        folder: PathBuf,
        /// What is wrong.
        why: MetadataError,
    },
}

impl EmbeddedMetadata {
    /// Opens the store in `folder`, which is made when missing. Waits for the disk.
    ///
    /// # Errors
    /// Another process has it; the disk fails; what is there cannot be read.
    pub fn open(folder: &FilePath) -> Result<Self, EmbeddedOpenError> {
        let at = || folder.to_path_buf();
        std::fs::create_dir_all(folder)
            .map_err(|error| EmbeddedOpenError::Disk { folder: at(), why: error.to_string() })?;
        let disk = Disk::at(folder).map_err(|error| {
            let in_use = matches!(error, fjall::Error::Locked);
            if in_use {
                EmbeddedOpenError::InUse(at())
            } else {
                EmbeddedOpenError::Disk { folder: at(), why: said(&error) }
            }
        })?;
        let picture = disk.picture().map_err(|why| match why {
            MetadataError::Away(why) => EmbeddedOpenError::Disk { folder: at(), why },
            why @ (MetadataError::Refused(_) | MetadataError::Record(_) | MetadataError::Forgotten) => {
                EmbeddedOpenError::Record { folder: at(), why }
            }
        })?;
        let kept = Arc::new(Kept::new(picture));
        Ok(Self(Arc::new(Shared { folder: at(), disk: Mutex::new(Some(disk)), kept })))
    }
}

impl Metadata for EmbeddedMetadata {
    fn transact(&self, change: Change) -> Answer<'_, Outcome> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            // Goes on to its end even where nobody waits for it any more.
            let done = tokio::task::spawn_blocking(move || shared.change(change)).await;
            done.unwrap_or_else(|_| Err(MetadataError::Away("the process is ending".to_owned())))
        })
    }

    fn read(&self, paths: Vec<Path>) -> Answer<'_, Picture> {
        Box::pin(async move { Ok(self.0.kept.some(&paths)) })
    }

    fn list(&self) -> Answer<'_, Picture> {
        Box::pin(async move { Ok(Picture::clone(&self.0.kept.picture())) })
    }

    fn watch(&self, after: Revision) -> Answer<'_, Box<dyn Watching>> {
        Box::pin(async move { Ok(Box::new(self.0.kept.watch(after)) as Box<dyn Watching>) })
    }
}

impl Shared {
    /// One at a time.
    fn change(&self, change: Change) -> Result<Outcome, MetadataError> {
        let mut place = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        let disk = match place.take() {
            Some(disk) => disk,
            None => self.open_again()?,
        };
        let picture = self.kept.picture();
        if !picture.allows(&change) {
            *place = Some(disk);
            return Ok(Outcome::Refused);
        }
        let revision = Revision(picture.revision.0 + 1);
        drop(picture);
        // Where this fails, the handles go, and with them the lock on the files.
        guarded(|| disk.write(revision, &change).map_err(|error| said(&error)))
            .map_err(|why| MetadataError::Away(format!("{}: {why}", self.folder.display())))?;
        *place = Some(disk);
        self.kept.show(Written { revision, writes: change.writes });
        Ok(Outcome::Done(revision))
    }

    fn open_again(&self) -> Result<Disk, MetadataError> {
        let away = |why: String| MetadataError::Away(format!("{}: {why}", self.folder.display()));
        let disk = guarded(|| Disk::at(&self.folder).map_err(|error| said(&error))).map_err(away)?;
        let picture = disk.picture()?;
        let known = self.kept.picture().revision;
        if picture.revision < known {
            let has = picture.revision.0;
            let why =
                format!("the disk has lost what it had confirmed: it is at change {has}, and {} were done", known.0);
            return Err(away(why));
        }
        self.kept.replace(picture);
        Ok(disk)
    }
}

struct Disk {
    database: Database,
    records: Keyspace,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").finish_non_exhaustive()
    }
}

impl Disk {
    fn at(folder: &FilePath) -> fjall::Result<Self> {
        let database = Database::builder(folder)
            .worker_threads(1)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(WAL_BYTES)
            .open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let records = database.keyspace("records", options)?;
        Ok(Self { database, records })
    }

    fn write(&self, revision: Revision, change: &Change) -> fjall::Result<()> {
        let number = revision.0.to_be_bytes();
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncData));
        batch.insert(&self.records, REVISION, number);
        for (path, value) in &change.writes {
            let path = path.to_string();
            match value {
                Some(value) => {
                    let mut bytes = number.to_vec();
                    bytes.extend(value.to_json());
                    batch.insert(&self.records, path, bytes);
                }
                None => batch.remove(&self.records, path),
            }
        }
        batch.commit()
    }

    fn picture(&self) -> Result<Picture, MetadataError> {
        let mut picture = Picture::default();
        for pair in self.records.iter() {
            let (key, value) = pair.into_inner().map_err(|error| MetadataError::Away(said(&error)))?;
            let short = || MetadataError::Refused(format!("`{}` is cut short", String::from_utf8_lossy(&key)));
            let (number, json) = value.split_first_chunk().ok_or_else(short)?;
            let revision = Revision(u64::from_be_bytes(*number));
            if &*key == REVISION {
                picture.revision = revision;
                continue;
            }
            let path = Path::parse(&String::from_utf8_lossy(&key))?;
            picture.items.insert(path, (revision, Value::from_json(path, json)?));
        }
        Ok(picture)
    }
}

/// The counter's key: no path is called so.
const REVISION: &[u8] = b"revision";
/// Everything is in memory anyhow. Source: ours.
const CACHE_BYTES: u64 = 1 << 20;
/// The engine's smallest write-ahead log.
const WAL_BYTES: u64 = 64 << 20;
/// Source: ours; 16,384 slices have about 3 MB.
const MEMTABLE_BYTES: u64 = 4 << 20;
