//! What must outlive the process, on this machine: the journal of decisions, and a little state. And what several
//! processes share: a Redis or Valkey server ([`remote`]), an etcd ([`etcd`]), and in either of them the [`ballot`] by which
//! coordinators agree who leads.
//!
//! What the doctor found and what became of it is kept here as well ([`reviews`]), and who owns which slice of a sharded keyspace
//! ([`shards`]).
//!
//! For: the coordinator, and `ambidex review`. Nothing that calls in here ever waits for the disk: what is to be kept is queued (bounded, in
//! records and bytes) and written by one thread of its own. When the disk is full or fails, the [`Status`] says so,
//! what does not fit the queue is dropped and counted, and the caller goes on; the thread tries again until the disk
//! is back.
//!
//! ```text
//! Journal::append --+                                          +--> fjall keyspace "journal"   sequence -> record
//! State::put -------+--> queue (bounded) --> thread "store" ---+--> fjall keyspace "state"     key -> value
//!                             |                  |
//!                          dropped           group commit, prune by size and age, reopen after a failure
//! ```

pub mod ballot;
mod disk;
mod env;
pub mod etcd;
pub mod held;
mod journal;
mod kept;
mod queue;
pub mod remote;
pub mod reviews;
pub mod shards;
mod state;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::size::Size;
use ambidex_core::time::Span;

pub use journal::{Entry, Journal, Order, Query, ReadError};
pub use queue::{Condition, Status};
pub use state::{State, StateError};

use disk::{Disk, OpenFailure};
use queue::Shared;

/// How much the journal keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of records; the oldest go first. The engine's files take more: up to 3 times as much for a moment, and
    /// 64 MiB of write-ahead log (measured: 400 MB written through a bound of 16 MiB never took over 115 MB).
    pub max_bytes: Size,
    /// Greatest age of a record, by the dates that the records carry.
    pub max_age: Span,
}

/// The open store. Dropping it lets its thread finish in the background; [`close`](Self::close) waits for it.
#[derive(Debug)]
pub struct Store {
    /// The journal.
    pub journal: Journal,
    /// The state.
    pub state: State,
    shared: Arc<Shared>,
}

/// Why a store cannot be opened at all. A disk that is full or fails is no reason: such a store opens degraded.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the data folder {} is in use by another process: stop it, or give this one a folder of its own", .0.display())]
    InUse(PathBuf),
    /// The folder cannot be made or used.
    #[error("the data folder {} cannot be used: {reason}", path.display())]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },
    /// The thread could not be started.
    #[error("no thread for the store: {0}")]
    Thread(std::io::Error),
}

impl Store {
    /// Opens the store in `folder`, which is made when missing. Takes up what an earlier process left, however it ended.
    ///
    /// # Errors
    /// The folder is in use, or cannot be made. Other failures of the disk open a degraded store that tries again.
    pub fn open(folder: &Path, limits: Limits) -> Result<Self, OpenError> {
        std::fs::create_dir_all(folder).map_err(|reason| OpenError::Folder { path: folder.to_path_buf(), reason })?;
        let shared = Arc::new(Shared::default());
        let mut disk = Disk::new(folder, limits, Arc::clone(&shared));
        match disk.open() {
            Ok(()) => {}
            Err(OpenFailure::InUse) => return Err(OpenError::InUse(folder.to_path_buf())),
            Err(OpenFailure::Disk(why)) => shared.degrade(why),
        }
        writer::spawn(disk, Arc::clone(&shared)).map_err(OpenError::Thread)?;
        Ok(Self { journal: Journal::new(Arc::clone(&shared)), state: State::new(Arc::clone(&shared)), shared })
    }

    /// How the store is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.status()
    }

    /// Waits until everything queued so far is on the disk, at most for `within`. Says whether it is.
    pub fn flush(&self, within: Duration) -> bool {
        self.shared.wait_until_idle(within)
    }

    /// Writes what is queued, at most for `within`, and ends the thread. Says whether everything was written.
    pub fn close(self, within: Duration) -> bool {
        let written = self.shared.wait_until_idle(within);
        self.shared.close();
        written && self.shared.wait_until_closed(within)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shared.close();
    }
}
