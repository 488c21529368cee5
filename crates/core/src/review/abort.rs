//! When a change is taken back: conditions by looks before and after it.

use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::look::Look;

/// When a change is taken back: while one of these holds in two looks one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "when", rename_all = "snake_case")]
pub enum Abort {
    /// The spread grew by more than this, beside before.
    SpreadGrew {
        /// Of `w`.
        by: f64,
    },
    /// A node has more than this.
    NodeOver {
        /// Relative load.
        r: f64,
    },
    /// The fullest has less left than this, and had more.
    LeftUnder {
        /// CMI.
        cmi: f64,
    },
    /// More requests fail, in points of a share.
    ErrorsGrew {
        /// Of `0..=1`.
        by: f64,
    },
    /// The slowest node takes so many times as long as the slowest before: its p99, by the median of three looks.
    SlowerBy {
        /// How many times.
        times: f64,
    },
}

impl Abort {
    pub(super) fn is_sound(self) -> bool {
        match self {
            Self::SpreadGrew { by } | Self::ErrorsGrew { by } => by.is_finite() && by > 0.0,
            Self::NodeOver { r } => r.is_finite() && r > 1.0,
            Self::LeftUnder { cmi } => cmi.is_finite() && cmi > 0.0,
            Self::SlowerBy { times } => times.is_finite() && times > 1.0,
        }
    }

    /// Whether it holds after a change. What is not known never does.
    #[must_use]
    pub fn holds(self, before: &Look, now: &Look) -> bool {
        let both = |of: fn(&Look) -> Option<f64>| of(before).zip(of(now));
        match self {
            Self::SpreadGrew { by } => now.w() > before.w() + by,
            // A node that had more before is what the change is about.
            Self::NodeOver { r } => now
                .parts
                .iter()
                .any(|part| part.r > r && before.r(&part.node).is_none_or(|before| part.r > before * 1.1)),
            Self::LeftUnder { cmi } => both(|look| look.cmi).is_some_and(|(was, is)| is < cmi && is < was),
            Self::ErrorsGrew { by } => both(|look| look.errors).is_some_and(|(was, is)| is > was + by),
            Self::SlowerBy { times } => both(|look| look.p99_ms).is_some_and(|(was, is)| was > 0.0 && is > was * times),
        }
    }

    /// What a change of Ambidex's own is taken back for, unless its proposal says otherwise.
    #[must_use]
    pub fn usual() -> Vec<Self> {
        [
            Self::SpreadGrew { by: 0.05 },
            Self::NodeOver { r: 1.5 },
            Self::LeftUnder { cmi: 0.2 },
            Self::ErrorsGrew { by: 0.01 },
            Self::SlowerBy { times: 1.5 },
        ]
        .into()
    }
}

impl fmt::Display for Abort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SpreadGrew { by } => write!(f, "w grew by more than {by:.2}"),
            Self::NodeOver { r } => write!(f, "a node that had less has over {r:.2} times its part"),
            Self::LeftUnder { cmi } => write!(f, "CMI fell under {cmi:.2}"),
            Self::ErrorsGrew { by } => write!(f, "{:.1} points more requests failed", by * 100.0),
            Self::SlowerBy { times } => {
                write!(f, "p99 of the slowest node is over {times:.2} times what it was (median of three looks)")
            }
        }
    }
}
