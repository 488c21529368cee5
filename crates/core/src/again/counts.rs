//! What second chances did, would have done, and were refused: for metrics, and for watching before switching on.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A second chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chance {
    /// Another try after one that failed.
    Retry,
    /// Another try after an answer that says that its worker failed or is full.
    RetryAnswer,
    /// A first try given up early.
    FirstTry,
    /// A try beside a running one.
    Hedge,
    /// A read from several workers.
    Quorum,
    /// A tier of the fallback chain.
    Fallback,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Came {
    /// It was taken.
    Taken,
    /// It would have been, if it did more than watch.
    Watched,
    /// A bound refused it.
    Refused,
    /// It made the difference: the hedge won, the answers of a quorum disagreed.
    Mattered,
}

impl Chance {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Retry, Self::RetryAnswer, Self::FirstTry, Self::Hedge, Self::Quorum, Self::Fallback];

    /// The word for it: a metric's label.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::RetryAnswer => "retry_answer",
            Self::FirstTry => "first_try",
            Self::Hedge => "hedge",
            Self::Quorum => "quorum",
            Self::Fallback => "fallback",
        }
    }
}

impl Came {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Taken, Self::Watched, Self::Refused, Self::Mattered];

    /// The word for it: a metric's label.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Watched => "watched",
            Self::Refused => "refused",
            Self::Mattered => "mattered",
        }
    }
}

/// How often, for each chance and each end; of one pool, by all threads.
#[derive(Debug, Default)]
pub struct Counts([[AtomicU64; Came::ALL.len()]; Chance::ALL.len()]);

impl Counts {
    /// Counts one. Second chances are rare, so a bus lock is no matter.
    pub fn add(&self, chance: Chance, came: Came) {
        self.0[chance as usize][came as usize].fetch_add(1, Relaxed);
    }

    /// How many there were.
    #[must_use]
    pub fn get(&self, chance: Chance, came: Came) -> u64 {
        self.0[chance as usize][came as usize].load(Relaxed)
    }
}
