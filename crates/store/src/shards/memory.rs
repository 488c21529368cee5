//! A metadata store in memory: what tests run on, and what the others are compared with. It ends with its process.

use std::sync::{Arc, Mutex, PoisonError};

use ambidex_core::shard::store::{Outcome, Revision};
use ambidex_wire::shard::records::Path;

use super::kept::Kept;
use super::{Answer, Change, Metadata, Picture, Watching, Written};

/// A metadata store in memory; a clone is the same store.
#[derive(Clone, Debug)]
pub struct MemoryMetadata(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Held by whoever changes something.
    turn: Mutex<()>,
    kept: Arc<Kept>,
}

impl MemoryMetadata {
    /// With nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared { turn: Mutex::new(()), kept: Arc::new(Kept::new(Picture::default())) }))
    }

    fn change(&self, change: Change) -> Outcome {
        let _turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let picture = self.0.kept.picture();
        if !picture.allows(&change) {
            return Outcome::Refused;
        }
        let revision = Revision(picture.revision.0 + 1);
        drop(picture);
        self.0.kept.show(Written { revision, writes: change.writes });
        Outcome::Done(revision)
    }
}

impl Default for MemoryMetadata {
    fn default() -> Self {
        Self::new()
    }
}

impl Metadata for MemoryMetadata {
    fn transact(&self, change: Change) -> Answer<'_, Outcome> {
        Box::pin(async move { Ok(self.change(change)) })
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
