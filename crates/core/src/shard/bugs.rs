//! Bugs on purpose, by which the checkers of the protocol are checked: each breaks one rule, and one of them must notice.
//!
//! Only with the feature `seeded-bugs`, which nothing but the checkers' own command switches on. Without it there is no
//! way to have one, and [`Bugs`] is empty.

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bug {
    /// A sealed source reopens after a second, without having read how the move ended.
    ResumeOnTimer,
    /// The target says that its digest is right, whatever it is.
    CommitWithoutDigest,
    /// The final batch goes without what was seen of producers.
    SeenLeftBehind,
    /// An older epoch is admitted, too.
    OlderEpochAdmitted,
    /// The source deletes what it has when it has handed over its final batch.
    DeleteBeforeActivate,
    /// The target says that it holds all of it before that is durable.
    SayBeforeSync,
    /// The source tracks written keys from the end of its first pass on, not from its beginning; and the digest, which would notice,
    /// is not compared.
    TrackAfterSnapshot,
    /// The final batch does not wait for what is in flight.
    InFlightNotDrained,
    /// Waiting requests of one key are sent at once, not one after the other.
    DrainAtOnce,
    /// An abort leaves the epoch as it was.
    AbortKeepsEpoch,
    /// Reads are admitted by whoever was the owner.
    ReadsAfterSeal,
    /// Transactions do not compare who leads.
    NoLeaderCompare,
}

#[cfg(feature = "seeded-bugs")]
impl Bug {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::ResumeOnTimer,
        Self::CommitWithoutDigest,
        Self::SeenLeftBehind,
        Self::OlderEpochAdmitted,
        Self::DeleteBeforeActivate,
        Self::SayBeforeSync,
        Self::TrackAfterSnapshot,
        Self::InFlightNotDrained,
        Self::DrainAtOnce,
        Self::AbortKeepsEpoch,
        Self::ReadsAfterSeal,
        Self::NoLeaderCompare,
    ];
}

/// The bug that a machine has: none.
#[cfg(not(feature = "seeded-bugs"))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bugs(());

#[cfg(not(feature = "seeded-bugs"))]
impl Bugs {
    pub(super) const fn has(self, _: Bug) -> bool {
        false
    }
}

/// The bug that a machine has, if it has one.
#[cfg(feature = "seeded-bugs")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bugs(pub Option<Bug>);

#[cfg(feature = "seeded-bugs")]
impl Bugs {
    pub(super) fn has(self, bug: Bug) -> bool {
        self.0 == Some(bug)
    }
}
