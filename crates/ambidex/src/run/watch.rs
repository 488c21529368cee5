//! Tells when the configuration file may have changed.
//!
//! The folder is watched, not the file: editors replace files, and a ConfigMap swaps a link beside it. What an event
//! says is not looked at; whoever waits reads the file and compares.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// A watched file. Dropping it ends the watch.
#[derive(Debug)]
pub(super) struct Watch {
    events: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

impl Watch {
    /// Watches the folder of `file`, and the folder it lies in when it is a link.
    pub(super) fn start(file: &Path) -> Result<Self, notify::Error> {
        let (sender, events) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: Result<notify::Event, notify::Error>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // A full channel says the same already.
                let _ = sender.try_send(());
            }
        })?;
        let folder = |path: &Path| path.parent().filter(|up| !up.as_os_str().is_empty()).map(Path::to_path_buf);
        let named = folder(file).unwrap_or_else(|| PathBuf::from("."));
        watcher.watch(&named, RecursiveMode::NonRecursive)?;
        if let Some(real) = file.canonicalize().ok().as_deref().and_then(folder)
            && named.canonicalize().is_ok_and(|named| named != real)
        {
            watcher.watch(&real, RecursiveMode::NonRecursive)?;
        }
        Ok(Self { events, _watcher: watcher })
    }

    /// Waits until something changed and then nothing more for a moment. Never returns when the watch has broken.
    pub(super) async fn changed(&mut self) {
        if self.events.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        for _ in 0..MOST_PAUSES {
            if timeout(PAUSE, self.events.recv()).await.is_err() {
                return;
            }
        }
    }
}

/// A file that is written in steps is quiet for this long afterwards. Source: ours.
const PAUSE: Duration = Duration::from_millis(100);
/// A folder in which something always changes must not hold a reload up for ever.
const MOST_PAUSES: usize = 10;
