//! How sure a detector is.
//!
//! ```text
//! Quiet --signs--> Suspected --signs for `confirm`--> Found --no signs--> Clearing --no signs for `clear`--> Quiet
//! Suspected --no signs--> Quiet                       Clearing --signs--> Found
//! ```
//! One edge a tick at most. What was found stays the same finding through `Clearing` and back.

use serde::Serialize;

use crate::time::{Mono, Span};

/// How sure a detector is, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum Stage {
    /// No signs.
    #[default]
    Quiet,
    /// Signs, not for long enough.
    Suspected {
        /// Since when.
        since: Mono,
    },
    /// It is so.
    Found {
        /// Since when it was found.
        found: Mono,
    },
    /// It was so, and the signs are gone.
    Clearing {
        /// Since when it was found.
        found: Mono,
        /// Since when the signs are gone.
        since: Mono,
    },
}

/// How long signs must last, and be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From the first sign to a finding.
    pub confirm: Span,
    /// From the last sign to the end of a finding.
    pub clear: Span,
}

impl Stage {
    /// The stage after a tick with or without signs.
    #[must_use]
    pub fn after(self, now: Mono, signs: bool, timing: &Timing) -> Self {
        match (self, signs) {
            (Self::Quiet, true) => Self::Suspected { since: now },
            (Self::Suspected { since }, true) if now.since(since) >= timing.confirm => Self::Found { found: now },
            (Self::Quiet | Self::Suspected { .. }, false) => Self::Quiet,
            (Self::Found { found }, false) => Self::Clearing { found, since: now },
            (Self::Clearing { found, .. }, true) => Self::Found { found },
            (Self::Clearing { since, .. }, false) if now.since(since) >= timing.clear => Self::Quiet,
            (Self::Suspected { .. } | Self::Found { .. }, true) | (Self::Clearing { .. }, false) => self,
        }
    }

    /// Whether there is something to be done: found, and not over yet.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::Quiet | Self::Suspected { .. } => false,
            Self::Found { .. } | Self::Clearing { .. } => true,
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Suspected { .. } => "suspected",
            Self::Found { .. } => "found",
            Self::Clearing { .. } => "clearing",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing { confirm: Span::from_secs(3), clear: Span::from_secs(5) };

    fn at(secs: u64) -> Mono {
        Mono::default() + Span::from_secs(secs)
    }

    #[test]
    fn every_edge() {
        let (suspected, found) = (Stage::Suspected { since: at(10) }, Stage::Found { found: at(20) });
        let clearing = Stage::Clearing { found: at(20), since: at(30) };
        let edges = [
            (Stage::Quiet, 10, false, Stage::Quiet),
            (Stage::Quiet, 10, true, suspected),
            (suspected, 11, false, Stage::Quiet),
            (suspected, 12, true, suspected),
            (suspected, 13, true, Stage::Found { found: at(13) }),
            (found, 29, true, found),
            (found, 30, false, clearing),
            (clearing, 34, true, found),
            (clearing, 34, false, clearing),
            (clearing, 35, false, Stage::Quiet),
        ];
        for (from, secs, signs, to) in edges {
            assert_eq!(from.after(at(secs), signs, &TIMING), to, "{from:?} at {secs} s, signs {signs}");
        }
    }

    #[test]
    fn without_any_wait_a_sign_is_a_finding_one_tick_later() {
        let timing = Timing { confirm: Span::ZERO, clear: Span::ZERO };
        let stage = Stage::Quiet.after(at(1), true, &timing);
        assert_eq!(stage, Stage::Suspected { since: at(1) });
        assert_eq!(stage.after(at(2), true, &timing), Stage::Found { found: at(2) });
    }
}
