//! What changed for a zone's requests, with the reason as data, and one sentence for people.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::share::Share;

/// Requests of a zone go elsewhere from now on, or no more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ZoneChange {
    /// Which zone.
    pub zone: Arc<str>,
    /// What changed, and why.
    pub to: Change,
    /// Requests a second that come from it.
    pub demand: f64,
    /// Which share of them goes to which zone now.
    pub shares: Vec<(Arc<str>, Share)>,
    /// It is only watched: requests go as if there were no zones.
    pub watched: bool,
}

/// What changed for a zone's requests.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// They would fill their zone to over the limit.
    Spill {
        /// Its utilization if it kept them all.
        utilization: f64,
        /// What it may have.
        limit: f64,
    },
    /// Nobody in their zone takes requests.
    Out,
    /// There is room for all of them at home.
    Return {
        /// Its utilization with all of them.
        utilization: f64,
    },
}

impl Change {
    /// The word for it: a metric's label.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Spill { .. } => "spill",
            Self::Out => "out",
            Self::Return { .. } => "return",
        }
    }
}

impl ZoneChange {
    /// Whether somebody should be told at once.
    #[must_use]
    pub const fn alerts(&self) -> bool {
        match self.to {
            Change::Out => self.demand > 0.0,
            Change::Spill { .. } | Change::Return { .. } => false,
        }
    }

    /// All of it in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { zone, to, shares, watched, .. } = self;
        let would = if *watched { "would go" } else { "go" };
        let mut text = match to {
            Change::Spill { utilization, limit } => alloc::format!(
                "requests of zone {zone} would fill it to {:.0} % of what it can carry, more than {:.0} %: they {would}",
                utilization * 100.0,
                limit * 100.0
            ),
            Change::Out => alloc::format!("nobody in zone {zone} takes requests: its own {would}"),
            Change::Return { utilization } => alloc::format!(
                "requests of zone {zone} fill it to {:.0} % of what it can carry: they {would}",
                utilization * 100.0
            ),
        };
        if shares.is_empty() {
            text.push_str(" anywhere");
        }
        for (at, (to, share)) in shares.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(text, "{comma} {:.0} % to {to}", share.get() * 100.0);
        }
        text
    }
}
