//! A history that outlives the process: a folder with a file for each hour, each of them written whole.
//!
//! ```text
//! History --by hour--> Piece --joined with what the hour's file says--> file beside it --synced, renamed--> 20261122T10Z.hour
//! folder --oldest hour first, one at a time--> Recorder (its bounds) --> History
//!
//! ambidex-history      what the folder is, and the form of what is in it
//! lock                 held by the process that writes; who reads needs none: a file is always one that is whole
//! 20261122T10Z.hour    all that is known of an hour: head, checksum, protobuf in zstd
//! ```
//! **Told twice counts once.** Of a figure (node, metric, window of 5 minutes) that two histories tell, the one of more samples stands,
//! of as many the larger; of a node's requests of an hour those that are more. So what overlaps, as each round of a watch does, is kept
//! without knowing what was kept before, and in any order. What is told of nodes (zone, capacity) is the newest word.
//!
//! | what happens | what becomes of it |
//! |---|---|
//! | the process dies, or the machine | each file is as it was or as it was to be; what was not written yet is lost: a round at most |
//! | a half file is left beside | its name is none of an hour's: it is never read, and removed by who writes next |
//! | a file is damaged | its checksum tells: read, it is left out, named, and the history is partial; written, it is put aside as `.damaged` |
//! | the disk is full, or fails | the old files stay; whoever keeps is told, goes on, and the next round tries all of it again |
//! | two processes write | the second is refused ([`KeptError::InUse`]) |
//! | a newer version wrote it | refused ([`KeptError::Newer`]): nothing is read wrong, nothing removed |
//! | the folder holds other things | refused ([`KeptError::Foreign`]): hours are removed there |
//! | it grows | hours older than [`Limits::age`] go; over [`Limits::size`] those older than a day get windows of a quarter of an hour, then the oldest go |
//!
//! Why files, and not the store's key-value engine: an hour is replaced as a whole, read in order, and removed as a whole, which a file
//! system does; a folder can be copied, moved and thinned by hand. Age is counted from the newest hour, so nothing here reads a clock.

mod files;
mod form;
mod piece;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ambidex_core::size::Size;
use ambidex_core::time::Span;

use self::files::Files;
use self::form::Unread;
use self::piece::{FINE, HOUR, Piece};
use super::{At, Bounds, History, Recorder, Weigh};
use crate::sources::Progress;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Hours older than this beside the newest one go. Default: 35 days; source: [`Bounds::days`], what can be judged at once.
    pub age: Span,
    /// Bytes of all files together. Default: 1 GiB; source: 35 days of 1,000 nodes with 10 metrics, of which a day took 6 MB where figures
    /// repeat (measured, `examples/files.rs`) and takes 26 MB where nothing can be packed.
    pub size: Size,
}

impl Default for Limits {
    fn default() -> Self {
        Self { age: Span::from_secs(35 * 86_400), size: Size::mib(1 << 10) }
    }
}

/// Why nothing is kept, or read.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The folder cannot be used.
    #[error("the history in {}: {error}", folder.display())]
    Folder {
        /// Which.
        folder: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
    /// Another process writes there.
    #[error("the history in {} is written by another process: end that one, or keep this one's in a folder of its own", .0.display())]
    InUse(PathBuf),
    /// It holds something else.
    #[error(
        "{} holds other things than a history, and old hours are removed there: name a new or an empty folder", .0.display()
    )]
    Foreign(PathBuf),
    /// There is none.
    #[error("there is no history in {}: `ambidex diagnose .. --keep {}` makes one", .0.display(), .0.display())]
    Missing(PathBuf),
    /// There is nothing in it.
    #[error("the history in {} holds nothing that can be read{}", folder.display(), why)]
    Empty {
        /// Which.
        folder: PathBuf,
        /// What is wrong with what is there.
        why: String,
    },
    /// A newer version of this program wrote it.
    #[error("{} was written by a newer ambidex (form {form}): use that one, or another folder", file.display())]
    Newer {
        /// Which file.
        file: PathBuf,
        /// Its form.
        form: u32,
    },
    /// A file could not be written.
    #[error("the history in {} could not be written ({error}): what it had is still there, and the next round tries again", folder.display())]
    Write {
        /// Which folder.
        folder: PathBuf,
        /// What the system says.
        #[source]
        error: io::Error,
    },
}

/// What became of something that was to be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Hours that were written.
    pub hours: usize,
    /// Hours that went, for they were too old or too many.
    pub removed: usize,
    /// What was wrong with what was there, and what was left out.
    pub problems: Vec<String>,
}

/// Keeps histories in a folder, as its only writer.
#[derive(Debug)]
pub struct Keeper {
    files: Files,
    limits: Limits,
    /// The newest hour that was kept: of later histories only it, the one before it and those after it can say more.
    newest: Option<i64>,
    /// The hours up to this one are coarse, or cannot be read.
    coarse: Option<i64>,
    _lock: File,
}

impl Keeper {
    /// Opens a folder, which is made where there is none.
    ///
    /// # Errors
    /// Another process writes there, it holds something else, or something newer.
    pub fn open(folder: &Path, limits: Limits) -> Result<Self, KeptError> {
        let (files, lock) = Files::to_write(folder)?;
        Ok(Self { files, limits, newest: None, coarse: None, _lock: lock })
    }

    /// Keeps a history beside what is there.
    ///
    /// # Errors
    /// The disk: then nothing that was there is lost, and the same may be tried again.
    pub fn keep(&mut self, history: &History) -> Result<Told, KeptError> {
        let mut told = Told::default();
        let Some((first, last)) = history.span else { return Ok(told) };
        let (mut from, to) = (first.0.div_euclid(HOUR), last.0.div_euclid(HOUR));
        if let Some(newest) = self.newest.filter(|newest| (from..=to).contains(newest)) {
            from = from.max(newest - 1);
        }
        for hour in from..=to {
            if let Some(piece) = Piece::of(history, hour) {
                self.keep_hour(piece, &mut told)?;
                told.hours += 1;
            }
        }
        self.newest = self.newest.max((told.hours > 0).then_some(to));
        self.trim(&mut told)?;
        Ok(told)
    }

    /// What is kept from the hour of a moment on: to go on from.
    ///
    /// # Errors
    /// The folder cannot be read, or something newer wrote it.
    pub fn recall(&self, from: At, bounds: Bounds) -> Result<Recorder, KeptError> {
        let mut recorder = Recorder::new(bounds, Weigh::Time);
        let hours = hours(&self.files)?;
        let begin = hours.partition_point(|hour| *hour < from.0.div_euclid(HOUR));
        pour(&self.files, &hours[begin..], &mut recorder, &mut |_| {})?;
        Ok(recorder)
    }

    fn keep_hour(&self, piece: Piece, told: &mut Told) -> Result<(), KeptError> {
        let hour = piece.hour;
        let joined = match self.known(hour)? {
            Known::Nothing => piece,
            Known::Hour(before) => {
                let (joined, left_out) = before.join(piece);
                if left_out > 0 {
                    told.problems.push(format!("{left_out} nodes or metrics more than an hour may have: left out"));
                }
                joined
            }
            Known::Damaged(why) => {
                let aside = self.files.put_aside(hour).map_err(|error| self.failed(error))?;
                told.problems.push(format!("{why}: put aside as {}", aside.display()));
                piece
            }
        };
        self.files.write(hour, &form::write(&joined)).map_err(|error| self.failed(error))
    }

    fn known(&self, hour: i64) -> Result<Known, KeptError> {
        match self.files.read(hour) {
            Ok(bytes) => match form::read(&bytes, hour) {
                Ok(piece) => Ok(Known::Hour(Box::new(piece))),
                Err(Unread::Newer(form)) => Err(KeptError::Newer { file: self.files.path(hour), form }),
                Err(Unread::Damaged(why)) => {
                    Ok(Known::Damaged(format!("{} is damaged: {why}", self.files.path(hour).display())))
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Known::Nothing),
            Err(error) => Err(KeptError::Folder { folder: self.files.folder(), error }),
        }
    }

    /// Removes what is too old; makes what is too large coarser, and then smaller.
    fn trim(&mut self, told: &mut Told) -> Result<(), KeptError> {
        let mut hours = self.files.hours().map_err(|error| self.failed(error))?;
        let Some(newest) = hours.keys().next_back().copied() else { return Ok(()) };
        let age = i64::try_from(self.limits.age.as_millis()).unwrap_or(i64::MAX).max(HOUR);
        let is_old = |hour: i64| (newest - hour).saturating_mul(HOUR) >= age;
        let mut size: u64 = hours.values().sum();
        while let Some((oldest, bytes)) = hours.first_key_value().map(|(hour, bytes)| (*hour, *bytes)) {
            let is_old = is_old(oldest);
            if oldest == newest || !is_old && size <= self.limits.size.get() {
                break;
            }
            if !is_old && let Some((hour, now)) = self.thin(&hours, newest)? {
                let before = hours.insert(hour, now).unwrap_or(now);
                size = (size + now).saturating_sub(before);
                continue;
            }
            self.files.remove(oldest).map_err(|error| self.failed(error))?;
            hours.remove(&oldest);
            size = size.saturating_sub(bytes);
            told.removed += 1;
        }
        Ok(())
    }

    /// Makes the oldest hour coarser that is not yet and is older than a day: which, and how many bytes it has now.
    fn thin(&mut self, hours: &BTreeMap<i64, u64>, newest: i64) -> Result<Option<(i64, u64)>, KeptError> {
        let after = self.coarse.map_or(i64::MIN, |hour| hour + 1);
        let old = hours.keys().copied().filter(|hour| (after..newest - THIN_AFTER).contains(hour));
        for hour in old {
            let known = self.known(hour)?;
            self.coarse = Some(hour);
            if let Known::Hour(mut piece) = known
                && piece.step == FINE
            {
                piece.coarsen();
                let bytes = form::write(&piece);
                self.files.write(hour, &bytes).map_err(|error| self.failed(error))?;
                return Ok(Some((hour, bytes.len() as u64)));
            }
        }
        Ok(None)
    }

    fn failed(&self, error: io::Error) -> KeptError {
        KeptError::Write { folder: self.files.folder(), error }
    }
}

/// What a folder says of an hour.
enum Known {
    Nothing,
    Hour(Box<Piece>),
    Damaged(String),
}

/// Reads what was kept: the newest so much of it, by whole hours; `None`: all that can be judged at once.
///
/// # Errors
/// There is none, nothing in it can be read, or something newer wrote it.
pub fn read(folder: &Path, since: Option<Span>, progress: &mut dyn FnMut(Progress)) -> Result<History, KeptError> {
    let files = Files::to_read(folder)?;
    let (hours, bounds) = (hours(&files)?, Bounds::default());
    let most = bounds.reach() / HOUR;
    let wanted = since.map_or(most, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX).div_euclid(HOUR) + 1);
    let mut recorder = Recorder::new(bounds, Weigh::Time);
    let newest = hours.last().copied().unwrap_or(0);
    let begin = hours.partition_point(|hour| newest - hour >= wanted.min(most));
    if begin > 0 && since.is_none() {
        recorder.remark(format!("{begin} hours older than can be judged at once ({} days): left out", bounds.days));
    }
    let sources = pour(&files, &hours[begin..], &mut recorder, progress)?;
    let from: Vec<String> = sources.into_iter().take(SHOWN_SOURCES).collect();
    let history = recorder.finish(format!("history {} of {}", folder.display(), from.join(", ")));
    if history.nodes.is_empty() {
        let told: Vec<&str> = history.remarks.iter().map(|remark| remark.what.as_str()).collect();
        let why = if told.is_empty() { String::new() } else { format!(": {}", told.join("; ")) };
        return Err(KeptError::Empty { folder: folder.to_path_buf(), why });
    }
    Ok(history)
}

/// The hours that are kept, the oldest first.
fn hours(files: &Files) -> Result<Vec<i64>, KeptError> {
    let hours = files.hours().map_err(|error| KeptError::Folder { folder: files.folder(), error })?;
    Ok(hours.into_keys().collect())
}

/// Pours hours into a recorder; from which sources they are.
fn pour(
    files: &Files,
    hours: &[i64],
    recorder: &mut Recorder,
    progress: &mut dyn FnMut(Progress),
) -> Result<BTreeSet<String>, KeptError> {
    let mut sources = BTreeSet::new();
    for (done, hour) in hours.iter().enumerate() {
        match files.read(*hour).map(|bytes| form::read(&bytes, *hour)) {
            Ok(Ok(piece)) => {
                sources.extend(piece.sources.iter().cloned());
                piece.pour(recorder);
            }
            Ok(Err(Unread::Newer(form))) => return Err(KeptError::Newer { file: files.path(*hour), form }),
            Ok(Err(Unread::Damaged(why))) => {
                recorder.lacks(format!("{} is damaged: {why}: left out", files.path(*hour).display()));
            }
            // Who writes there has removed it meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => recorder.lacks(format!("{} cannot be read: {error}: left out", files.path(*hour).display())),
        }
        let what = "reading the history".to_owned();
        progress(Progress { what, done: done as u64 + 1, of: Some(hours.len() as u64) });
    }
    Ok(sources)
}

/// Hours that stay as fine as they were, whatever their size. Source: ours; what is judged, and a day to compare it with.
const THIN_AFTER: i64 = 24;
/// Source: ours; a line.
const SHOWN_SOURCES: usize = 3;

#[cfg(test)]
mod tests;
