//! The thread that writes a recording: opens the file when there is something to write, begins each part with a header,
//! stops at the bound, and says what was lost.
//!
//! ```text
//! Closed ──open, lock, header──> Open ──as large as it may be──> Full
//!   ^  \ cannot: lost, said; again at the next batch  |                    |
//!   └──────── moved away, shortened, or a write failed ────────────────────┘
//! ```

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use ambidex_core::time::{Mono, Span};
use ambidex_tower::Clock;
use ambidex_wire::recording::{Exchange, Header, write_exchange, write_header};

use super::{Counters, Ended};
use crate::config::Recording;

/// Starts the thread, which ends when nobody can order any more.
pub(super) fn start(
    config: &Recording,
    header: Header,
    clock: Clock,
    orders: Receiver<Vec<Exchange>>,
    counters: Arc<Counters>,
) -> io::Result<Ended> {
    let (done, ended) = channel();
    let (path, most) = (config.path.clone(), config.most.get());
    let mut writer = Writer { path, most, header, clock, counters, tape: None, told: Told::default() };
    let write = move || {
        writer.run(&orders);
        drop(done);
    };
    std::thread::Builder::new().name("recording".into()).spawn(write)?;
    Ok(ended)
}

struct Writer {
    path: PathBuf,
    most: u64,
    header: Header,
    clock: Clock,
    counters: Arc<Counters>,
    tape: Option<Tape>,
    told: Told,
}

/// What was said already, and when.
#[derive(Default)]
struct Told {
    at: Option<Mono>,
    lost: u64,
    full: bool,
    why: String,
}

/// The open file.
struct Tape {
    file: File,
    id: (u64, u64),
    /// Its bytes, as far as it keeps any.
    length: u64,
    regular: bool,
    full: bool,
}

impl Writer {
    fn run(&mut self, orders: &Receiver<Vec<Exchange>>) {
        loop {
            match orders.recv_timeout(LOOK_EACH.into()) {
                Ok(exchanges) => self.batch(&exchanges),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.tell(),
            }
            let now = self.clock.now();
            if self.told.at.is_none_or(|at| now.since(at) >= LOOK_EACH) {
                self.tell();
            }
        }
    }

    fn batch(&mut self, exchanges: &[Exchange]) {
        if self.tape.as_ref().is_some_and(|tape| tape.has_gone(&self.path)) {
            self.tape = None;
            self.told.full = false;
        }
        let tape = match &mut self.tape {
            Some(tape) => Ok(tape),
            empty => Tape::open(&self.path, &self.header, self.most).map(|tape| empty.insert(tape)),
        };
        let written = tape.and_then(|tape| tape.write(exchanges, self.most));
        match written {
            Ok(written) => {
                let beyond = exchanges.len() as u64 - written;
                self.counters.written.fetch_add(written, Relaxed);
                self.counters.beyond.fetch_add(beyond, Relaxed);
                self.say_if_full(beyond);
            }
            Err(why) => {
                self.counters.failed.fetch_add(exchanges.len() as u64, Relaxed);
                self.told.why = why.to_string();
                self.tape = None;
            }
        }
    }

    fn say_if_full(&mut self, beyond: u64) {
        if beyond > 0 && !self.told.full {
            let (path, most) = (self.path.display(), self.most);
            tracing::warn!(%path, most, "recording: the file is as large as it may be; it goes on when that is moved away");
            self.told.full = true;
        }
    }

    fn tell(&mut self) {
        let (dropped, failed) = (self.counters.dropped.load(Relaxed), self.counters.failed.load(Relaxed));
        if dropped + failed > self.told.lost {
            let (path, requests) = (self.path.display(), dropped + failed - self.told.lost);
            let why = if self.told.why.is_empty() { "writing is too slow" } else { &self.told.why };
            tracing::warn!(%path, requests, why, "recording: requests are missing in the file; they were served");
            (self.told.lost, self.told.at) = (dropped + failed, Some(self.clock.now()));
            self.told.why.clear();
        }
    }
}

impl Tape {
    fn open(path: &Path, header: &Header, most: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).mode(PRIVATE).open(path);
        // A device or a pipe may only be written.
        let file = file.or_else(|_| OpenOptions::new().append(true).open(path))?;
        let about = file.metadata()?;
        let (id, regular) = ((about.dev(), about.ino()), about.is_file());
        let mut text = Vec::new();
        let mut length = 0;
        if regular {
            lock(&file)?;
            // After the lock: who held it may have written.
            length = file.metadata()?.len();
            text = joint(&file, length)?;
            if about.mode() & 0o077 != 0 {
                file.set_permissions(Permissions::from_mode(PRIVATE))?;
            }
        }
        write_header(header, &mut text);
        let full = length + text.len() as u64 > most;
        let mut tape = Self { file, id, length, regular, full };
        if !full {
            tape.append(&text)?;
        }
        Ok(tape)
    }

    /// Whether the path leads to another file than this, or somebody has shortened it.
    fn has_gone(&self, path: &Path) -> bool {
        let shorter = |length: u64| self.regular && length < self.length;
        std::fs::metadata(path).map_or(true, |now| (now.dev(), now.ino()) != self.id || shorter(now.len()))
    }

    /// Writes as many exchanges as fit, and says how many.
    fn write(&mut self, exchanges: &[Exchange], most: u64) -> io::Result<u64> {
        let (mut text, mut fit) = (Vec::new(), 0);
        for exchange in exchanges {
            let before = text.len();
            write_exchange(exchange, &mut text);
            // What comes after the first that does not fit has no place either: a recording ends, it has no holes.
            self.full |= self.length + text.len() as u64 > most;
            if self.full {
                text.truncate(before);
                break;
            }
            fit += 1;
        }
        self.append(&text)?;
        Ok(fit)
    }

    /// Appends, or leaves the file as it was.
    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        let before = if self.regular { self.file.metadata()?.len() } else { 0 };
        let written = self.file.write_all(text);
        if written.is_err() && self.regular {
            // A reader knows half a line, too, should this fail as well.
            let _ = self.file.set_len(before);
        }
        if written.is_ok() && self.regular {
            self.length += text.len() as u64;
        }
        written
    }
}

/// Takes the file for this writer alone. One that ends, at a reload, has a moment for that.
fn lock(file: &File) -> io::Result<()> {
    for _ in 0..LOOKS {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) => std::thread::park_timeout(LOOK_AGAIN),
        }
    }
    Err(io::Error::other("another process records into it"))
}

/// What has to stand before another part: an end of line, where the last one was not written to its end. Fails when
/// the file is something else, which nothing is to be appended to.
fn joint(file: &File, length: u64) -> io::Result<Vec<u8>> {
    if length == 0 {
        return Ok(Vec::new());
    }
    let mut first = [0; BEGINNING.len()];
    if file.read_exact_at(&mut first, 0).is_err() || first != *BEGINNING {
        return Err(io::Error::other("the file is there and is no recording"));
    }
    let mut last = [0];
    file.read_exact_at(&mut last, length - 1)?;
    Ok(if last == *b"\n" { Vec::new() } else { vec![b'\n'] })
}

/// What every recording begins with.
const BEGINNING: &[u8; 20] = b"{\"ambidex_recording\"";

/// Only its owner reads a recording.
const PRIVATE: u32 = 0o600;
/// How often it is said, at most, that something was lost; and how often an idle writer looks.
const LOOK_EACH: Span = Span::from_secs(1);
/// How often, and how many times, a writer looks whether the one before it has ended: 10 s in all, in which its queue
/// takes what comes.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
const LOOKS: u32 = 500;
