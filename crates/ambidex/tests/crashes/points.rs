//! At which points of a move something fails, what fails, and how.
//!
//! | point | the store has | done is |
//! |---|---|---|
//! | `offer` arrives | PLAN | nothing |
//! | `offer` answered | PLAN | the target's room |
//! | `snapshot` arrives | PLAN | the same |
//! | `snapshot` answered | PLAN | the source notes writes, and has read |
//! | `import` answered | PLAN | the target's application staged a batch, its agent has not counted it |
//! | `apply` answered | PLAN | the batch is counted |
//! | `seal` arrives | SEAL | nothing: the source serves on |
//! | `seal` answered | SEAL | the source's marker is durable |
//! | `verify` arrives | SEAL | the target has all |
//! | `verify` answered | SEAL; READY and COMMIT come next | the staging is durable |
//! | `activate` arrives | COMMIT | the target has read that |
//! | `activate` answered | COMMIT | the application serves it, the agent does not yet |
//! | `drop` arrives, answered | RELEASE, a minute after ACTIVE | nothing; the source's data is away, its record is not |
//!
//! The last two come only when a minute has passed: they have a test of their own, and in a drawn run they meet the cases that follow.

use std::fmt;

/// A message that passes a relay: the last part of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) message: &'static str,
    pub(crate) when: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Arrives,
    Answered,
}

const fn arrives(message: &'static str) -> Point {
    Point { message, when: When::Arrives }
}

const fn answered(message: &'static str) -> Point {
    Point { message, when: When::Answered }
}

/// In the order in which they come.
pub(crate) const POINTS: [Point; 12] = [
    arrives("offer"),
    answered("offer"),
    arrives("snapshot"),
    answered("snapshot"),
    answered("import"),
    answered("apply"),
    arrives("seal"),
    answered("seal"),
    arrives("verify"),
    answered("verify"),
    arrives("activate"),
    answered("activate"),
];

/// After the minute for which a source keeps what it handed over.
pub(crate) const RELEASES: [Point; 2] = [arrives("drop"), answered("drop")];

/// Who fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    /// The one that leads the map; with a map of its own it is the gateway and the store, too.
    Coordinator,
    /// The agent that owns the slice.
    Source,
    /// The agent that is to own it.
    Target,
    /// The metadata store, where it is a process of its own.
    Store,
    /// The source's application.
    SourceApplication,
    /// The target's application.
    TargetApplication,
}

impl Party {
    pub(crate) const ALL: [Self; 6] =
        [Self::Coordinator, Self::Source, Self::Target, Self::Store, Self::SourceApplication, Self::TargetApplication];

    /// At which of two points that follow each other it is killed.
    pub(crate) const fn parity(self) -> usize {
        match self {
            Self::Coordinator | Self::Target | Self::SourceApplication => 0,
            Self::Source | Self::Store | Self::TargetApplication => 1,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Source => "source",
            Self::Target => "target",
            Self::Store => "store",
            Self::SourceApplication => "source's application",
            Self::TargetApplication => "target's application",
        }
    }
}

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Kill,
    Stop,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = match self.when {
            When::Arrives => "arrives",
            When::Answered => "is answered",
        };
        write!(f, "{} {when}", self.message)
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill => "is killed",
            Self::Stop => "is stopped",
        })
    }
}
