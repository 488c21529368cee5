//! What the stores within this process have in common: the picture that is in force, and the last few changes for those who watch.
//!
//! Readers take the picture as it is and never wait for a disk; a change is shown to them when it is done, and not before.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ambidex_core::shard::store::Revision;
use ambidex_wire::shard::records::Path;
use tokio::sync::watch;

use super::{Answer, MetadataError, Picture, Watching, Written};

/// What readers see.
#[derive(Debug)]
pub(super) struct Kept {
    inner: Mutex<Inner>,
    /// That something is new.
    news: watch::Sender<()>,
}

#[derive(Debug)]
struct Inner {
    picture: Arc<Picture>,
    /// The last changes, oldest first.
    last: VecDeque<Arc<Written>>,
    /// Changes up to this one are forgotten.
    forgotten: Revision,
}

impl Kept {
    pub(super) fn new(picture: Picture) -> Self {
        let forgotten = picture.revision;
        let inner = Inner { picture: Arc::new(picture), last: VecDeque::new(), forgotten };
        Self { inner: Mutex::new(inner), news: watch::Sender::new(()) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn picture(&self) -> Arc<Picture> {
        Arc::clone(&self.lock().picture)
    }

    /// Some of it.
    pub(super) fn some(&self, paths: &[Path]) -> Picture {
        let picture = self.picture();
        let item = |path: &Path| Some((*path, picture.items.get(path)?.clone()));
        Picture { revision: picture.revision, items: paths.iter().filter_map(item).collect() }
    }

    /// Shows a change that is done.
    pub(super) fn show(&self, written: Written) {
        let mut inner = self.lock();
        Arc::make_mut(&mut inner.picture).take(&written);
        inner.last.push_back(Arc::new(written));
        if inner.last.len() > LAST
            && let Some(gone) = inner.last.pop_front()
        {
            inner.forgotten = gone.revision;
        }
        drop(inner);
        self.news.send_replace(());
    }

    /// Shows another picture; whoever watches is to list anew, if it is another one.
    pub(super) fn replace(&self, picture: Picture) {
        let mut inner = self.lock();
        if *inner.picture == picture {
            return;
        }
        inner.forgotten = picture.revision;
        inner.last.clear();
        inner.picture = Arc::new(picture);
        drop(inner);
        self.news.send_replace(());
    }

    pub(super) fn watch(self: &Arc<Self>, after: Revision) -> Watch {
        Watch { news: self.news.subscribe(), kept: Arc::clone(self), after }
    }

    /// The first change after a revision.
    fn after(&self, revision: Revision) -> Result<Option<Arc<Written>>, MetadataError> {
        let inner = self.lock();
        if revision < inner.forgotten || inner.picture.revision < revision {
            return Err(MetadataError::Forgotten);
        }
        let at = inner.last.partition_point(|written| written.revision <= revision);
        Ok(inner.last.get(at).cloned())
    }
}

/// A watch within this process.
#[derive(Debug)]
pub(super) struct Watch {
    kept: Arc<Kept>,
    news: watch::Receiver<()>,
    after: Revision,
}

impl Watching for Watch {
    fn next(&mut self) -> Answer<'_, Written> {
        Box::pin(async move {
            loop {
                self.news.borrow_and_update();
                if let Some(written) = self.kept.after(self.after)? {
                    self.after = written.revision;
                    return Ok(Written::clone(&written));
                }
                if self.news.changed().await.is_err() {
                    return Err(MetadataError::Away("it was closed".to_owned()));
                }
            }
        })
    }
}

/// Changes that are known for those who watch. Source: ours; a move has nine, and who is further behind lists anew.
const LAST: usize = 1_024;
