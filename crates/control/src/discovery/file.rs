//! A watched file of workers: a YAML or JSON list of the forms that `workers:` takes, without further sources.
//!
//! The folder is watched, not the file, because files are replaced (editors, ConfigMaps) more often than written. The
//! file is also read again every 30 s, for folders whose changes the kernel does not tell.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ambidex_yaml::{shortened, without_credentials};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use super::names::{Known, Names, hold};
use crate::config::{Member, PoolMembers, Source};
use crate::roster::Event;

/// Reads the file whenever it may have changed.
pub(super) async fn follow(path: PathBuf, names: Arc<Names>, tell: impl Fn(Event)) {
    let label = super::label(&Source::File(path.clone()));
    let changed = Arc::new(Notify::new());
    let _watcher = watch(&path, Arc::clone(&changed));
    let mut known = Known::default();
    loop {
        let asked = path.clone();
        let read = tokio::task::spawn_blocking(move || read(&asked)).await;
        let members = read.unwrap_or_else(|error| Err(format!("reading it broke off: {error}")));
        let answer = match members {
            Ok(members) => known.all(&names, &members).await,
            Err(why) => Err(why),
        };
        let until = match answer {
            Ok(answer) => {
                tell(Event::Said(Arc::clone(&label), answer.found, answer.lacks));
                hold(answer.until)
            }
            Err(why) => {
                tell(Event::Failed(Arc::clone(&label), format!("{why}: what it said before stays")));
                hold(None)
            }
        };
        let until = until.min(tokio::time::Instant::now() + READ_AGAIN);
        tokio::select! {
            () = changed.notified() => tokio::time::sleep(SETTLE).await,
            () = tokio::time::sleep_until(until) => {}
        }
    }
}

fn watch(path: &Path, changed: Arc<Notify>) -> Option<RecommendedWatcher> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let told = move |event: notify::Result<notify::Event>| {
        // Our own reading is told, too, and is no change.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            changed.notify_one();
        }
    };
    let mut watcher = notify::recommended_watcher(told).ok()?;
    if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
        tracing::warn!(folder = %folder.display(), %error, "folder is not watched; its files are read every 30 s");
        return None;
    }
    Some(watcher)
}

fn read(path: &Path) -> Result<Vec<Member>, String> {
    let at = |why: &dyn std::fmt::Display| format!("{}: {}", path.display(), told(&why.to_string()));
    // Looked at before it is opened: opening a pipe waits for somebody to write to it.
    if !std::fs::metadata(path).map_err(|error| at(&error))?.is_file() {
        return Err(at(&"not a plain file"));
    }
    let file = std::fs::File::open(path).map_err(|error| at(&error))?;
    let mut text = String::new();
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(|error| at(&error))?;
    if text.len() as u64 > MOST_BYTES {
        return Err(at(&format_args!("more than {MOST_BYTES} bytes")));
    }
    if text.trim().is_empty() {
        return Err(at(&"it is empty"));
    }
    let members: PoolMembers = serde_saphyr::from_str(&text).map_err(|error| at(&error))?;
    members
        .sources()
        .iter()
        .map(|source| match source {
            Source::Worker(member) => Ok(member.clone()),
            Source::File(_) | Source::Dns(_) | Source::DnsSrv(_) | Source::Kubernetes(_) | Source::Etcd(_) => {
                Err(at(&format_args!("{} is a source; a file of workers names workers", super::label(source))))
            }
        })
        .collect()
}

/// What is wrong, in one line of bounded length: it may quote the file, and goes to logs, pages and the journal.
fn told(why: &str) -> String {
    let short = shortened(&without_credentials(why), MOST_TOLD);
    short.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Characters of a reason. Source: ours; a few lines of a wide terminal.
const MOST_TOLD: usize = 400;
/// A thousand bytes for each of the most workers a pool may have.
const MOST_BYTES: u64 = 10 << 20;
const READ_AGAIN: Duration = Duration::from_secs(30);
/// Writers write in several steps.
const SETTLE: Duration = Duration::from_millis(50);
