//! The thread that writes the access log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::{Counters, Ended, Order};
use crate::config::{AccessLog, LogPath};

/// Why an access log cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("access_log.path: cannot open {}: {cause}", path.display())]
pub struct LogError {
    /// The file.
    path: PathBuf,
    /// What the system said.
    cause: io::Error,
}

/// Opens the log and starts its thread, which ends when nobody can order any more.
pub(super) fn start(config: &AccessLog, orders: Receiver<Order>, counters: Arc<Counters>) -> Result<Ended, LogError> {
    let target = Target::open(&config.path)?;
    let (done, ended) = channel();
    let mut writer = Writer { target, counters, torn: false, told: 0 };
    let write = move || {
        writer.run(&orders);
        drop(done);
    };
    let started = std::thread::Builder::new().name("access-log".into()).spawn(write);
    started.map_err(|cause| LogError { path: config.path.to_string().into(), cause })?;
    Ok(ended)
}

struct Writer {
    target: Target,
    counters: Arc<Counters>,
    /// Whether a failed write may have left half a line behind.
    torn: bool,
    /// How many lost lines were told.
    told: u64,
}

impl Writer {
    fn run(&mut self, orders: &Receiver<Order>) {
        loop {
            match orders.recv_timeout(LOOK_EACH) {
                Ok(Order::Write { lines, count }) => self.write(&lines, count),
                Ok(Order::Reopen) => self.reopen(),
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn write(&mut self, lines: &[u8], count: u64) {
        if self.target.was_renamed() {
            self.reopen();
        }
        let separator: &[u8] = if self.torn { b"\n" } else { b"" };
        let result = self.target.write(separator).and_then(|()| self.target.write(lines));
        self.torn = result.is_err();
        match result {
            Ok(()) => self.counters.written.fetch_add(count, Relaxed),
            Err(_) => self.counters.failed.fetch_add(count, Relaxed),
        };
        self.look();
    }

    fn look(&mut self) {
        let lost = self.counters.dropped.load(Relaxed) + self.counters.failed.load(Relaxed);
        if lost > self.told {
            let path = self.target.path();
            tracing::warn!(
                path,
                lines = lost - self.told,
                "access log: lines were lost, since writing is too slow or fails"
            );
            self.told = lost;
        }
    }

    fn reopen(&mut self) {
        match self.target.reopened() {
            Ok(target) => self.target = target,
            Err(cause) => tracing::warn!(%cause, "the access log goes on in the file that it had"),
        }
    }
}

enum Target {
    Stdout,
    File { path: PathBuf, file: File, id: (u64, u64) },
}

impl Target {
    fn open(path: &LogPath) -> Result<Self, LogError> {
        let LogPath::File(path) = path else { return Ok(Self::Stdout) };
        let open = || -> io::Result<Self> {
            let file = OpenOptions::new().append(true).create(true).open(path)?;
            let about = file.metadata()?;
            Ok(Self::File { path: path.clone(), file, id: (about.dev(), about.ino()) })
        };
        open().map_err(|cause| LogError { path: path.clone(), cause })
    }

    fn reopened(&self) -> Result<Self, LogError> {
        match self {
            Self::Stdout => Ok(Self::Stdout),
            Self::File { path, .. } => Self::open(&LogPath::File(path.clone())),
        }
    }

    /// Whether the path leads to another file than the one that is written.
    fn was_renamed(&self) -> bool {
        match self {
            Self::Stdout => false,
            Self::File { path, id, .. } => {
                std::fs::metadata(path).map_or(true, |about| (about.dev(), about.ino()) != *id)
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout => {
                let mut out = io::stdout().lock();
                out.write_all(bytes)?;
                out.flush()
            }
            Self::File { file, .. } => file.write_all(bytes),
        }
    }

    fn path(&self) -> String {
        match self {
            Self::Stdout => "-".into(),
            Self::File { path, .. } => path.display().to_string(),
        }
    }
}

/// How often an idle writer looks whether lines were lost.
const LOOK_EACH: Duration = Duration::from_secs(1);
