//! What a worker's agent must know again after a crash: keys and values of a few bytes, and an answer only once they are on the disk.
//!
//! ```text
//! durable(writes) --+                                                   +--> Ok: it is on the disk (data sync)
//! soon(writes) -----+--> queue (bounded) --> thread "held": one commit --+
//!                                            for all that waits          +--> Err: it is not known whether it is; say it again
//! ```
//! Unlike the [journal](crate::Journal), nothing here is ever dropped quietly: who asks for [`durable`](Held::durable) is told what became of
//! it. After a failure the database is opened anew before the next commit, because a failed sync may have lost what memory held.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use tokio::sync::oneshot;

use crate::OpenError;

/// A key with its value; none takes it away.
pub type Write = (Vec<u8>, Option<Vec<u8>>);

/// All that is there.
pub type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// An open folder of such keys. Its thread ends with it, after what is queued.
#[derive(Clone, Debug)]
pub struct Held {
    queue: SyncSender<Job>,
}

/// Why something is not known to be on the disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeldError {
    /// More waits for the disk than is taken.
    #[error("{MOST_QUEUED} writes wait for the disk already")]
    Busy,
    /// The disk is full, or fails.
    #[error("the disk: {0}")]
    Disk(String),
    /// The thread has ended.
    #[error("the store has ended")]
    Ended,
}

#[derive(Debug)]
struct Job {
    writes: Vec<Write>,
    done: Option<oneshot::Sender<Result<(), HeldError>>>,
}

impl Held {
    /// Opens the keys in `folder`, which is made when missing, and says what is there.
    ///
    /// # Errors
    /// The folder is in use, or cannot be read. What a worker held is never guessed, so there is no opening without it.
    pub fn open(folder: &Path) -> Result<(Self, Records), OpenError> {
        let failed = |reason| OpenError::Folder { path: folder.to_path_buf(), reason };
        std::fs::create_dir_all(folder).map_err(failed)?;
        let path = folder.join("held");
        let open = Open::at(&path).map_err(|error| {
            let in_use = matches!(error, fjall::Error::Locked);
            if in_use { OpenError::InUse(folder.to_path_buf()) } else { failed(std::io::Error::other(said(&error))) }
        })?;
        let there = open.all().map_err(|error| failed(std::io::Error::other(said(&error))))?;
        let (queue, jobs) = sync_channel(MOST_QUEUED);
        let run = move || commit_all(&jobs, &path, Some(open));
        std::thread::Builder::new().name("held".into()).spawn(run).map_err(OpenError::Thread)?;
        Ok((Self { queue }, there))
    }

    /// Writes, and says when it is on the disk. It is queued when this is called, in the order of the calls.
    ///
    /// # Errors
    /// See [`HeldError`]. Except where it is [`Busy`](HeldError::Busy), it may be on the disk all the same.
    pub fn durable(&self, writes: Vec<Write>) -> impl Future<Output = Result<(), HeldError>> + use<> {
        let (done, told) = oneshot::channel();
        let queued = self.put(Job { writes, done: Some(done) });
        async move {
            queued?;
            told.await.unwrap_or(Err(HeldError::Ended))
        }
    }

    /// Writes sometime soon, with what else is written; for what a crash may lose.
    ///
    /// # Errors
    /// It was not queued.
    pub fn soon(&self, writes: Vec<Write>) -> Result<(), HeldError> {
        self.put(Job { writes, done: None })
    }

    fn put(&self, job: Job) -> Result<(), HeldError> {
        self.queue.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => HeldError::Busy,
            TrySendError::Disconnected(_) => HeldError::Ended,
        })
    }
}

fn commit_all(jobs: &Receiver<Job>, path: &Path, mut open: Option<Open>) {
    while let Ok(first) = jobs.recv() {
        let mut together = vec![first];
        while together.len() < MOST_QUEUED
            && let Ok(next) = jobs.try_recv()
        {
            together.push(next);
        }
        let (mut writes, mut waiting) = (BTreeMap::new(), Vec::new());
        for job in together {
            writes.extend(job.writes);
            waiting.extend(job.done);
        }
        let mode = if waiting.is_empty() { PersistMode::Buffer } else { PersistMode::SyncData };
        let came = commit(&mut open, path, writes, mode).map_err(|error| HeldError::Disk(said(&error)));
        if let Err(error) = &came {
            tracing::error!(folder = %path.display(), "{error}");
            open = None;
        }
        for waits in waiting {
            // Whoever went away does not want to know.
            let _ = waits.send(came.clone());
        }
    }
}

fn commit(
    open: &mut Option<Open>,
    path: &Path,
    writes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    mode: PersistMode,
) -> fjall::Result<()> {
    let open = match open {
        Some(open) => open,
        None => open.insert(Open::at(path)?),
    };
    let mut batch = open.database.batch().durability(Some(mode));
    for (key, value) in writes {
        match value {
            Some(value) => batch.insert(&open.keys, key, value),
            None => batch.remove(&open.keys, key),
        }
    }
    batch.commit()
}

struct Open {
    database: Database,
    keys: Keyspace,
}

impl Open {
    fn at(path: &Path) -> fjall::Result<Self> {
        let database = Database::builder(path).worker_threads(1).max_journaling_size(WAL_BYTES).open()?;
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        let keys = database.keyspace("held", options)?;
        Ok(Self { database, keys })
    }

    fn all(&self) -> fjall::Result<Records> {
        let pair = |pair: fjall::Guard| pair.into_inner().map(|(key, value)| (key.to_vec(), value.to_vec()));
        self.keys.iter().map(pair).collect()
    }
}

fn said(error: &fjall::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// Writes that wait at once. Source: ours; requests in flight of one worker, and a few steps of moves.
const MOST_QUEUED: usize = 8_192;
/// The engine's smallest write-ahead log.
const WAL_BYTES: u64 = 64 << 20;
/// Source: ours; what was seen of one slice's producers may be larger, and goes to the disk at once then.
const MEMTABLE_BYTES: u64 = 8 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    fn set(key: &[u8], value: &[u8]) -> Write {
        (key.to_vec(), Some(value.to_vec()))
    }

    /// The thread of an earlier one may still close its files.
    fn reopened(folder: &Path) -> Records {
        loop {
            match Held::open(folder) {
                Ok((_, there)) => return there,
                Err(OpenError::InUse(_)) => std::thread::yield_now(),
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn what_is_durable_is_there_again_and_the_last_write_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let (held, there) = Held::open(folder.path()).expect("opens");
        assert_eq!(there, BTreeMap::new());
        held.soon(vec![set(b"a", b"1"), set(b"b", b"1")]).expect("room");
        run(held.durable(vec![set(b"a", b"2"), (b"b".to_vec(), None)])).expect("a disk");
        drop(held);
        assert_eq!(reopened(folder.path()), BTreeMap::from([(b"a".to_vec(), b"2".to_vec())]));
    }

    #[test]
    fn a_folder_is_of_one_process() {
        let folder = tempfile::tempdir().expect("a folder");
        let _held = Held::open(folder.path()).expect("opens");
        assert!(matches!(Held::open(folder.path()), Err(OpenError::InUse(_))));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let error = Held::open(file.path()).expect_err("no folder").to_string();
        assert!(error.contains(&file.path().display().to_string()), "{error}");
    }
}
