//! By which rules is judged.
//!
//! | | `effect` (default) | `classic` |
//! |---|---|---|
//! | spread | `w_adj` over the judged hours: over 0.25 warns, over 0.35 is critical | coefficient of variation of the last 30 minutes over 0.3 |
//! | a node | mean relative load over disjoint windows, see [`structure`](crate::analysis::structure) | beyond 1.5 deviations in the windows of 5, 15 and 60 minutes that end now |
//! | a route | relative load of its cells, of effect and not by chance | a node with over 20 % of a route, where that is more than its part |
//!
//! The classic rules are there to compare with. They miss one of ten nodes at double load (0.273), fire on one burst of five minutes,
//! and cannot flag two of six nodes that carry 80 % (z 1.41).

use serde::{Deserialize, Serialize};

use limits::{CRITICAL_SPREAD, HOT, TWICE, WARN_SPREAD};

/// Which rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rules {
    /// Effect size over a long history of disjoint windows.
    #[default]
    Effect,
    /// Textbook rules.
    Classic,
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing.
    Well,
    /// It is worth a look: no more than a quarter beyond its part.
    Notice,
    /// A warning.
    Warn,
    /// It should be mended.
    Critical,
}

impl Level {
    /// Of a spread, without what chance adds.
    #[must_use]
    pub fn of_spread(w_adj: f64) -> Self {
        if w_adj > CRITICAL_SPREAD {
            Self::Critical
        } else if w_adj > WARN_SPREAD {
            Self::Warn
        } else {
            Self::Well
        }
    }

    /// Of a relative load, over 1 or under it. Source of 1.25 and 0.75: diagnosis.md "structural".
    #[must_use]
    pub fn of_relative(r: f64) -> Self {
        if r >= TWICE {
            Self::Critical
        } else if r >= HOT {
            Self::Warn
        } else if r >= 1.25 || r <= 0.75 {
            Self::Notice
        } else {
            Self::Well
        }
    }
}

/// The limits that reports, alerts and exported rules share.
pub(crate) mod limits {
    /// Of a spread: a warning. Source: R-D9; diagnosis.md "alerts".
    pub(crate) const WARN_SPREAD: f64 = 0.25;
    /// Of a spread: critical. Source: the same.
    pub(crate) const CRITICAL_SPREAD: f64 = 0.35;
    /// Of a relative load: a warning. Source: diagnosis.md "RFA".
    pub(crate) const HOT: f64 = 1.5;
    /// Of a relative load: critical. Source: the same.
    pub(crate) const TWICE: f64 = 2.0;
}

/// Of the coefficient of variation. Source: R-D2.
pub(super) const CLASSIC_SPREAD: f64 = 0.3;
/// Deviations. Source: R-D5.
pub(super) const CLASSIC_DEVIATIONS: f64 = 1.5;
/// The same by the median, where there are few nodes. Source: Iglewicz and Hoaglin 1993.
pub(super) const CLASSIC_ROBUST: f64 = 3.5;
/// Nodes under which deviations cannot be large. Source: diagnosis.md: two of six have 1.41 at most.
pub(super) const CLASSIC_FEW: usize = 8;
/// Part of a route. Source: R-D3.
pub(super) const CLASSIC_ROUTE: f64 = 0.2;
