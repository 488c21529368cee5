//! The metadata store of sharded keyspaces: where it is written down who owns which slice, and how far each move is.
//!
//! For: coordinators, which write it, and whoever acts by it: agents read a move before they take a step, gateways watch the slices.
//!
//! ```text
//! Change{compares, writes} --transact--> Done(revision) | Refused | an error: nobody knows, so read
//! paths ----------------------read-----> Picture of these, at one moment, with everything that ended before the question
//!                             list ----> Picture of all
//! revision -------------------watch----> what is written after it, in order; ends where that is forgotten: list anew
//! ```
//! | | [`EmbeddedMetadata`] | [`EtcdMetadata`] |
//! |---|---|---|
//! | for | one coordinator, on its own disk | several coordinators |
//! | revision | a counter beside the records, in the same commit | etcd's revision of the key's last change |
//! | done | after the commit is on the disk (data sync) | after etcd says so |
//! | at most in one change | nothing | 128 compares, 128 writes |
//!
//! # What fails when
//! | what | then |
//! |---|---|
//! | the answer to a change is lost, late, or an error | it may have happened, may happen later, or never: the caller reads, and compares what it writes |
//! | disk full, or a sync that fails | the change is an error, reads go on as before it; the next change opens the files again first, and what the failed one left is seen by a read and by the end of each watch |
//! | the process is killed within a commit | it is there wholly or not at all (fjall's log has a checksum for each batch) |
//! | etcd is away, slow, without a leader | an error within its configured time; nothing is sent twice |
//! | etcd compacts | a watch from before that ends, and whoever watches lists anew |
//! | somebody else writes under the prefix, or a newer version wrote what is not known here | an error that names the path: nothing is guessed, and nothing is written over |
//! | the store is put back to an older state | not noticed here. Epochs would go back: agents keep theirs and admit nothing, so it stands still rather than go wrong |
//!
//! Leases serve liveness only, and there are none here: safety rests on compares.

mod embedded;
mod etcd;
mod kept;
mod memory;
mod picture;

use std::fmt;
use std::pin::Pin;

use ambidex_core::shard::records::{Key, Record};
use ambidex_core::shard::store::{Outcome, Revision, Transaction};
use ambidex_wire::shard::records::{Path, RecordError, Value};

pub use embedded::{EmbeddedMetadata, EmbeddedOpenError};
pub use etcd::EtcdMetadata;
pub use memory::MemoryMetadata;
pub use picture::Picture;

/// An answer that comes later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, MetadataError>> + Send + 'a>>;

/// A store of one keyspace's map. Nothing in it waits for ever: an answer comes within the store's own bound, or an error.
pub trait Metadata: fmt::Debug + Send + Sync {
    /// All compares hold and all writes happen, or nothing does. An error is core's [`Outcome::Unknown`], with its reason.
    fn transact(&self, change: Change) -> Answer<'_, Outcome>;

    /// What stands at these paths, at one moment after everything that had ended before.
    fn read(&self, paths: Vec<Path>) -> Answer<'_, Picture>;

    /// All that stands there.
    fn list(&self) -> Answer<'_, Picture>;

    /// What is written after a revision, which comes from a picture.
    fn watch(&self, after: Revision) -> Answer<'_, Box<dyn Watching>>;
}

/// An open watch. It ends with an error, and is then opened anew, after a new [`list`](Metadata::list).
pub trait Watching: fmt::Debug + Send {
    /// What one change wrote. Waits until there is one; may be dropped while it waits, and called again.
    fn next(&mut self) -> Answer<'_, Written>;
}

/// Compares and writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Which paths must still have which revisions.
    pub compares: Vec<(Path, Revision)>,
    /// What is written; none takes away.
    pub writes: Vec<(Path, Option<Value>)>,
}

/// What one change wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// When.
    pub revision: Revision,
    /// What; none where it was taken away.
    pub writes: Vec<(Path, Option<Value>)>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// The store does not answer. What was asked may have been done.
    #[error("the metadata store is away: {0}")]
    Away(String),
    /// It answered, and did not do it.
    #[error("the metadata store refused: {0}")]
    Refused(String),
    /// What stands there is not understood.
    #[error("the metadata store: {0}")]
    Record(#[from] RecordError),
    /// What was to be watched is forgotten.
    #[error("the metadata store has forgotten what came after the revision that is known: list anew")]
    Forgotten,
}

impl Change {
    /// With one more thing that must hold.
    #[must_use]
    pub fn if_still(mut self, path: Path, is: Revision) -> Self {
        self.compares.push((path, is));
        self
    }

    /// With one more thing that happens.
    #[must_use]
    pub fn put(mut self, path: Path, value: Value) -> Self {
        self.writes.push((path, Some(value)));
        self
    }

    /// With one more record.
    #[must_use]
    pub fn put_record(self, key: Key, record: Record) -> Self {
        self.put(Path::Record(key), Value::Record(record))
    }

    /// With something taken away.
    #[must_use]
    pub fn take_away(mut self, path: Path) -> Self {
        self.writes.push((path, None));
        self
    }
}

impl From<&Transaction> for Change {
    fn from(transaction: &Transaction) -> Self {
        let compares = transaction.compares.iter().map(|compare| (Path::Record(compare.key), compare.is));
        let writes = transaction.writes.iter();
        let writes = writes.map(|write| (Path::Record(write.key), write.record.map(Value::Record)));
        Self { compares: compares.collect(), writes: writes.collect() }
    }
}
