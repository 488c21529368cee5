//! What became of requests with keys, counted.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ambidex_core::again::dedup::{Fullness, Gone, Verdict};

/// What became of a request with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ran,
    Replayed,
    InProgress,
    Lost,
    Mismatch,
    Full,
    AwayRan,
    AwayRefused,
}

/// Numbers of the keys, for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyStats {
    /// What became of requests with keys, and what would have become of those of routes that only observe.
    pub outcomes: [[u64; KeyStats::OUTCOMES.len()]; 2],
    /// Keys known in this process.
    pub keys: u64,
    /// Bytes that they and their answers take.
    pub bytes: u64,
    /// Records that the disk did not take.
    pub unwritten: u64,
}

impl KeyStats {
    /// The words for the outcomes, in their order.
    pub const OUTCOMES: [&'static str; 8] =
        ["ran", "replayed", "in_progress", "answer_lost", "mismatch", "full", "away_ran", "away_refused"];
}

#[derive(Debug, Default)]
pub(crate) struct Counts([[AtomicU64; KeyStats::OUTCOMES.len()]; 2]);

impl Counts {
    /// One more; `acts` unless it would only have been so.
    pub(crate) fn add(&self, outcome: Outcome, acts: bool) {
        self.0[usize::from(!acts)][outcome as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn all(&self) -> [[u64; KeyStats::OUTCOMES.len()]; 2] {
        self.0.each_ref().map(|side| side.each_ref().map(|count| count.load(Relaxed)))
    }
}

impl Outcome {
    pub(crate) const fn of<A>(verdict: &Verdict<A>) -> Self {
        match verdict {
            Verdict::Run(_) => Self::Ran,
            Verdict::Replay(_) => Self::Replayed,
            Verdict::Conflict { .. } => Self::InProgress,
            Verdict::Lost(Gone::Unknown | Gone::TooLarge | Gone::Dropped) => Self::Lost,
            Verdict::Mismatch => Self::Mismatch,
            Verdict::Full(Fullness::Keys | Fullness::Bytes | Fullness::Tenant) => Self::Full,
        }
    }
}
