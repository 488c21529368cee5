//! Reviews in a folder: every finding with what became of it, for `ambidex diagnose --review` and `ambidex review`.
//!
//! ```text
//! folder/store     state "review/00000007" -> {"version": 1, "review": .., "finding": ..}        one value a review
//!                  state "census"          -> {"version": 1, ..}                                 what was looked at, and found
//! ```
//! One process has the folder open at a time, and only for as long as it reads or writes: others wait for it. What was written is on
//! the disk when [`close`](Reviews::close) says so, whole or not at all. At most 900 reviews are kept: then the oldest closed one goes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ambidex_core::review::{Moment, Number, Review, Step};
use ambidex_core::size::Size;
use ambidex_core::time::Span;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Condition, Limits, OpenError, StateError, Store};

/// A review with the finding that it is about, as the doctor told it last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Filed {
    /// The review.
    pub review: Review,
    /// The finding, in the doctor's words; the store reads nothing into it.
    #[serde(default)]
    pub finding: Value,
}

/// An open folder of reviews.
#[derive(Debug)]
pub struct Reviews {
    store: Store,
    folder: PathBuf,
}

/// Why reviews cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ReviewsError {
    /// Nobody could open it.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// There is none.
    #[error("there are no reviews in {}: `ambidex diagnose .. --review {}` makes the folder", .0.display(), .0.display())]
    Missing(PathBuf),
    /// The disk fails.
    #[error("the reviews in {} cannot be used: {why}", folder.display())]
    Disk {
        /// Which folder.
        folder: PathBuf,
        /// What the disk said.
        why: String,
    },
    /// A value that cannot be read.
    #[error("{key} in {} cannot be read: {why}", folder.display())]
    Form {
        /// Which.
        key: String,
        /// Which folder.
        folder: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A value of a newer version of this program.
    #[error("{key} in {} was written by a newer ambidex (form {version}): use that one, or another folder", folder.display())]
    Newer {
        /// Which.
        key: String,
        /// Which folder.
        folder: PathBuf,
        /// Of its form.
        version: u32,
    },
    /// A value that is not kept.
    #[error(transparent)]
    State(#[from] StateError),
    /// Too many reviews that are open.
    #[error(
        "{MOST_REVIEWS} reviews are open: no other finding is recorded; record those that nobody will look at (`ambidex review record`)"
    )]
    Full,
    /// No such review.
    #[error("there is no review {number} in {}", folder.display())]
    Unknown {
        /// Which.
        number: Number,
        /// Which folder.
        folder: PathBuf,
    },
    /// It is not on the disk.
    #[error("{}: what was changed could not be written in {} s: {why}", folder.display(), WRITTEN.as_secs())]
    NotWritten {
        /// Which folder.
        folder: PathBuf,
        /// What the disk said.
        why: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    value: T,
}

/// What every value begins with, whatever its form.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl Reviews {
    /// Opens the reviews of a folder, which is made where it is missing. Waits while another process has it open, at most half a
    /// minute.
    ///
    /// # Errors
    /// The folder is in use for longer, or the disk fails.
    pub fn open(folder: &Path) -> Result<Self, ReviewsError> {
        let limits = Limits { max_bytes: Size::mib(1), max_age: Span::from_secs(1) };
        let mut tries = 0;
        let store = loop {
            match Store::open(folder, limits) {
                Err(OpenError::InUse(_)) if tries < TRIES => {
                    tries += 1;
                    std::thread::park_timeout(PAUSE);
                }
                opened => break opened?,
            }
        };
        match store.status().condition {
            Condition::Healthy => Ok(Self { store, folder: folder.to_path_buf() }),
            Condition::Degraded(why) => Err(ReviewsError::Disk { folder: folder.to_path_buf(), why }),
        }
    }

    /// The same of a folder that there must be: asking makes none.
    ///
    /// # Errors
    /// There is none, and those of [`open`](Self::open).
    pub fn existing(folder: &Path) -> Result<Self, ReviewsError> {
        if folder.join("store").is_dir() {
            Self::open(folder)
        } else {
            Err(ReviewsError::Missing(folder.to_path_buf()))
        }
    }

    /// Every review, by number; and what could not be read.
    #[must_use]
    pub fn all(&self) -> (Vec<Filed>, Vec<ReviewsError>) {
        let (mut read, mut broken) = (Vec::new(), Vec::new());
        for key in self.store.state.keys(PREFIX) {
            match self.value::<Filed>(&key) {
                Ok(filed) => read.extend(filed),
                Err(error) => broken.push(error),
            }
        }
        (read, broken)
    }

    /// One review.
    ///
    /// # Errors
    /// There is none of this number, or it cannot be read.
    pub fn get(&self, number: Number) -> Result<Filed, ReviewsError> {
        let found = self.value(&key(number))?;
        found.ok_or_else(|| ReviewsError::Unknown { number, folder: self.folder.clone() })
    }

    /// The number of the next review: one that none had, also none that is gone.
    ///
    /// # Errors
    /// So many are open that no other one is taken.
    pub fn next(&self) -> Result<Number, ReviewsError> {
        let keys = self.store.state.keys(PREFIX);
        if keys.len() >= MOST_REVIEWS && !self.all().0.iter().any(|filed| filed.review.step() == Step::Record) {
            return Err(ReviewsError::Full);
        }
        let last = keys.last().and_then(|key| key.strip_prefix(PREFIX)?.parse().ok()).unwrap_or(0_u32);
        Ok(Number(last.saturating_add(1)))
    }

    /// Puts a review in its place. Where there are too many the oldest closed one goes.
    ///
    /// # Errors
    /// It is too large.
    pub fn put(&self, filed: &Filed) -> Result<(), ReviewsError> {
        self.set(&key(filed.review.number()), filed)?;
        let closed = |filed: &Filed| Some((filed.review.outcome()?.1, filed.review.number()));
        while self.store.state.keys(PREFIX).len() > MOST_REVIEWS {
            let oldest: Option<(Moment, Number)> = self.all().0.iter().filter_map(closed).min();
            let Some((_, number)) = oldest else { break };
            self.store.state.remove(&key(number));
        }
        Ok(())
    }

    /// What was kept beside the reviews, by its name.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn beside<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ReviewsError> {
        self.value(name)
    }

    /// Keeps something beside the reviews.
    ///
    /// # Errors
    /// It is too large.
    pub fn put_beside<T: Serialize>(&self, name: &str, value: &T) -> Result<(), ReviewsError> {
        self.set(name, value)
    }

    /// Waits until all of it is on the disk.
    ///
    /// # Errors
    /// It is not.
    pub fn close(self) -> Result<(), ReviewsError> {
        let written = self.store.flush(WRITTEN);
        let condition = self.store.status().condition;
        // The files are let go before anybody else is told that they are free.
        self.store.close(WRITTEN);
        match condition {
            Condition::Healthy if written => Ok(()),
            Condition::Healthy => {
                Err(ReviewsError::NotWritten { folder: self.folder, why: "it takes too long".into() })
            }
            Condition::Degraded(why) => Err(ReviewsError::NotWritten { folder: self.folder, why }),
        }
    }

    fn value<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, ReviewsError> {
        let Some(bytes) = self.store.state.get(key) else { return Ok(None) };
        let form = |why: serde_json::Error| ReviewsError::Form {
            key: key.to_owned(),
            folder: self.folder.clone(),
            why: why.to_string(),
        };
        // The version first: what is newer may have any form.
        let Version { version } = serde_json::from_slice(&bytes).map_err(form)?;
        if version > FORM {
            return Err(ReviewsError::Newer { key: key.to_owned(), folder: self.folder.clone(), version });
        }
        serde_json::from_slice::<Versioned<T>>(&bytes).map(|read| Some(read.value)).map_err(form)
    }

    fn set<T: Serialize>(&self, key: &str, value: &T) -> Result<(), ReviewsError> {
        let form = |why: serde_json::Error| ReviewsError::Form {
            key: key.to_owned(),
            folder: self.folder.clone(),
            why: why.to_string(),
        };
        let bytes = serde_json::to_vec(&Versioned { version: FORM, value }).map_err(form)?;
        Ok(self.store.state.put(key, &bytes)?)
    }
}

/// Eight digits, so that their order is that of the numbers.
fn key(number: Number) -> String {
    format!("{PREFIX}{:08}", number.0)
}

const PREFIX: &str = "review/";
/// Of the values. Grows when what is written can no more be read by those before.
const FORM: u32 = 1;
/// Source: ours; the store holds 1,024 values.
pub const MOST_REVIEWS: usize = 900;
/// How long is waited for the disk. Source: ours; a disk that takes longer is broken.
const WRITTEN: Duration = Duration::from_secs(30);
/// Between two tries at a folder that is in use.
const PAUSE: Duration = Duration::from_millis(100);
/// Half a minute of tries. Source: ours; who has the folder open reads or writes a few values.
const TRIES: u32 = 300;
