//! The board: what became of findings, and the two orders that it takes.

use std::fmt::Debug;

use ambidex_core::review::{Calibrated, Number, Step};
use serde::Serialize;

/// What became of findings.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct BoardStatus {
    /// Where it is kept.
    pub folder: String,
    /// Open ones first, then the newest closed ones.
    pub reviews: Vec<ReviewLine>,
    /// How many more there are.
    pub more: usize,
    /// What could not be read or written, in sentences.
    pub problems: Vec<String>,
    /// The page for the quarter, in Markdown.
    pub audit: String,
}

/// One review.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReviewLine {
    /// Its number, as it is written: `R3`.
    pub number: String,
    /// Where it is.
    pub step: Step,
    /// Its finding in a sentence.
    pub title: String,
    /// When it was found first.
    pub since_ms: u64,
    /// In how many rounds.
    pub found: u32,
    /// The cause that is supposed.
    pub cause: Option<String>,
    /// The review of the same that was closed before.
    pub again_after: Option<String>,
    /// What is changed, in a sentence.
    pub change: Option<String>,
    /// How that is undone.
    pub undone_by: Option<String>,
    /// What it should do, in phrases.
    pub predicted: Vec<String>,
    /// When it is taken back, in phrases.
    pub aborts: Vec<String>,
    /// What was predicted beside what came.
    pub calibrated: Option<Calibrated>,
    /// With what it was closed.
    pub outcome: Option<String>,
    /// What is to be done next.
    pub next: String,
    /// What happened, the newest first.
    pub history: Vec<String>,
}

/// Who orders something, and why: it stays in the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The name that was given.
    pub by: String,
    /// The reason that was given.
    pub why: String,
}

/// What may be ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviewOrder {
    /// A proposed change may be made.
    Approve,
    /// It is not to be made.
    Reject,
    /// A change that is in force is to be taken back.
    Abort,
}

impl ReviewOrder {
    /// Its word in the API.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Abort => "abort",
        }
    }

    /// Of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Approve, Self::Reject, Self::Abort].into_iter().find(|order| order.word() == word)
    }
}

/// Why nothing came of an order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewFault {
    /// No reviews are kept.
    #[error("no reviews are kept here: name a folder for them in the configuration, `doctor: {{reviews: FOLDER}}`")]
    NotKept,
    /// There is no such review.
    #[error("{0}")]
    Unknown(String),
    /// It does not fit where the review is.
    #[error("{0}")]
    Refused(String),
    /// The folder cannot be used.
    #[error("{0}")]
    Folder(String),
}

/// Who keeps reviews. Calls read and write a folder; they are made off the loop.
pub trait ReviewHost: Send + Sync + Debug {
    /// Tells a review what somebody ordered; how it is then.
    ///
    /// # Errors
    /// Why not; nothing is changed.
    fn order(&self, number: Number, order: ReviewOrder, said: Said) -> Result<ReviewLine, ReviewFault>;
}
