//! The access log: lines are made in the threads that serve and written by one that does not.
//!
//! ```text
//! thread 0: Pen ── a buffer of lines ──┐  full, or each 200 ms
//! thread 1: Pen ── a buffer of lines ──┴──> channel (64 buffers) ──> writer thread ──> file, standard output
//! ```
//! A request costs the formatting of its line into its thread's buffer: no allocation, no lock, and no wake-up but one
//! for each buffer. When the writer is behind (a full pipe, a slow disk) buffers are dropped, counted, and that is said
//! once a second; traffic never waits. Without an access log there is no pen, and nothing is paid.

pub(crate) mod line;
mod writer;

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use self::line::Line;
use crate::config::{AccessLog, LogFormat};

pub use self::writer::LogError;

/// The log of a process: where pens come from.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    config: AccessLog,
    orders: SyncSender<Order>,
    counters: Arc<Counters>,
}

/// What the writer is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Write these lines.
    Write { lines: Vec<u8>, count: u64 },
    /// Open the file again: somebody has renamed it.
    Reopen,
}

/// What became of lines.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    written: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

/// Numbers of the access log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Lines written.
    pub written: u64,
    /// Lines dropped because the writer was behind.
    pub dropped: u64,
    /// Lines lost because writing failed.
    pub failed: u64,
}

/// Ends when the writer has written all and ended; pens and logs must be gone for that.
pub(crate) type Ended = Receiver<()>;

impl Log {
    /// Opens the log and starts its writer.
    pub(crate) fn open(config: &AccessLog) -> Result<(Self, Ended), LogError> {
        let (orders, ordered) = sync_channel(MOST_BUFFERS);
        let counters = Arc::new(Counters::default());
        let ended = writer::start(config, ordered, Arc::clone(&counters))?;
        Ok((Self { config: config.clone(), orders, counters }, ended))
    }

    /// What it was opened by.
    pub(crate) fn config(&self) -> &AccessLog {
        &self.config
    }

    /// A pen for a thread.
    pub(crate) fn pen(&self) -> Pen {
        let buffer = RefCell::new(Buffer { lines: Vec::with_capacity(FULL), count: 0 });
        let (orders, counters) = (self.orders.clone(), Arc::clone(&self.counters));
        Pen { format: self.config.format, buffer, orders, counters }
    }

    /// Opens the file again. A writer that is behind does so later by itself, when it sees that the file was renamed.
    pub(crate) fn reopen(&self) {
        let _ = self.orders.try_send(Order::Reopen);
    }

    /// The numbers of now.
    pub(crate) fn stats(&self) -> LogStats {
        let Counters { written, dropped, failed } = &*self.counters;
        LogStats { written: written.load(Relaxed), dropped: dropped.load(Relaxed), failed: failed.load(Relaxed) }
    }
}

/// Writes lines for one thread.
#[derive(Debug)]
pub(crate) struct Pen {
    format: LogFormat,
    buffer: RefCell<Buffer>,
    orders: SyncSender<Order>,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Buffer {
    lines: Vec<u8>,
    count: u64,
}

impl Pen {
    /// Writes a line.
    pub(crate) fn write(&self, line: &Line<'_>) {
        let mut buffer = self.buffer.borrow_mut();
        line.write(self.format, &mut buffer.lines);
        buffer.count += 1;
        if buffer.lines.len() >= FULL - MOST_LINE {
            self.hand_over(&mut buffer);
        }
    }

    /// Hands over what there is. To be called each [`FLUSH_EACH`].
    pub(crate) fn flush(&self) {
        self.hand_over(&mut self.buffer.borrow_mut());
    }

    fn hand_over(&self, buffer: &mut Buffer) {
        if buffer.count == 0 {
            return;
        }
        let count = std::mem::take(&mut buffer.count);
        let lines = std::mem::take(&mut buffer.lines);
        match self.orders.try_send(Order::Write { lines, count }) {
            Ok(()) => buffer.lines = Vec::with_capacity(FULL),
            Err(TrySendError::Full(order) | TrySendError::Disconnected(order)) => {
                self.counters.dropped.fetch_add(count, Relaxed);
                if let Order::Write { mut lines, .. } = order {
                    lines.clear();
                    buffer.lines = lines;
                }
            }
        }
    }
}

impl Drop for Pen {
    fn drop(&mut self) {
        self.flush();
    }
}

/// How long a line may wait in its thread. Source: short against a person who follows the log, long against the cost of
/// a wake-up.
pub(crate) const FLUSH_EACH: Duration = Duration::from_millis(200);
/// Bytes of a buffer: one write of the file. Source: pipes hold 64 KiB by default.
const FULL: usize = 64 << 10;
/// Room for one more line: six texts of 2 KiB, each byte of which may become six.
const MOST_LINE: usize = 16 << 10;
/// How many buffers wait for the writer: 4 MiB in all. Source: two seconds of a log at 10,000 lines/s.
const MOST_BUFFERS: usize = 64;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::path::Path;

    use ambidex_core::time::Span;

    use super::*;
    use crate::clock::Wall;
    use crate::config::LogPath;

    fn log(path: &Path) -> (Log, Ended) {
        let config = AccessLog { path: LogPath::File(path.into()), format: LogFormat::Json };
        Log::open(&config).expect("opens")
    }

    fn write(pen: &Pen, path: &str) {
        pen.write(&Line {
            time: Wall(0),
            id: b"",
            client: None,
            method: "GET",
            host: b"",
            path,
            version: "HTTP/1.1",
            route: "",
            pool: "",
            status: 200,
            bytes: 0,
            duration: Span::ZERO,
            worker: "",
            attempts: 1,
            upstream: None,
            reason: "",
            detail: "",
            tier: "",
            cache: "",
            keyspace: "",
            waited: None,
            complete: true,
            referer: b"",
            user_agent: b"",
        });
    }

    fn finish(log: Log, ended: &Ended) {
        drop(log);
        assert!(ended.recv_timeout(Duration::from_secs(10)).is_err_and(|end| end == DISCONNECTED));
    }

    const DISCONNECTED: std::sync::mpsc::RecvTimeoutError = std::sync::mpsc::RecvTimeoutError::Disconnected;

    #[test]
    fn every_line_of_every_pen_is_written_before_the_log_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("access.log");
        let (log, ended) = log(&path);
        let pens = [log.pen(), log.pen()];
        for n in 0..1_000 {
            pens.iter().for_each(|pen| write(pen, &format!("/{n}")));
        }
        drop(pens);
        finish(log, &ended);
        let text = fs::read_to_string(&path).expect("written");
        assert_eq!(text.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count(), 2_000);
    }

    #[test]
    fn a_renamed_file_is_left_and_a_new_one_begun() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, old) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
        let (log, ended) = log(&path);
        let pen = log.pen();
        write(&pen, "/before");
        pen.flush();
        while log.stats().written == 0 {
            std::thread::yield_now();
        }
        fs::rename(&path, &old).expect("renamed");
        write(&pen, "/after");
        drop(pen);
        finish(log, &ended);
        let (old, new) = (fs::read_to_string(&old).expect("old"), fs::read_to_string(&path).expect("new"));
        assert!(old.contains("/before") && !old.contains("/after") && new.contains("/after"), "{old}{new}");
    }

    #[test]
    fn a_log_that_nobody_reads_drops_lines_and_counts_them() {
        let (mut reader, pipe) = std::io::pipe().expect("a pipe");
        let (log, ended) = log(Path::new(&format!("/proc/self/fd/{}", pipe.as_raw_fd())));
        drop(pipe);
        let pen = log.pen();
        let path = "/".repeat(1_000);
        for _ in 0..20_000 {
            write(&pen, &path);
        }
        assert!(log.stats().dropped > 0);
        drop(pen);
        let (dropped, counters) = (log.stats().dropped, Arc::clone(&log.counters));
        drop(log);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("the rest");
        assert!(ended.recv_timeout(Duration::from_secs(10)).is_err_and(|end| end == DISCONNECTED));
        assert_eq!(text.lines().count() as u64 + dropped, 20_000);
        assert_eq!(counters.written.load(Relaxed) + dropped, 20_000);
    }
}
