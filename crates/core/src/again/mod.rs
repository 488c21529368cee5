//! Once more: second chances of a request, and what bounds them. One file a policy; in which order they come is told
//! in [`crate::attempt`].

pub mod adaptive;
pub mod budget;
pub mod counts;
pub mod dedup;
pub mod fallback;
pub mod hedge;
pub mod hybrid;
pub mod memory;
pub mod quorum;
pub mod restraint;
pub mod retry;

use serde::{Deserialize, Serialize};

/// Whether a feature acts. Each can be switched on alone, and watched before that [R-O5].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It is not there.
    #[default]
    Off,
    /// It counts what it would have done.
    Observe,
    /// It acts.
    On,
}

impl Mode {
    /// What a feature is whose section is written without saying more.
    #[must_use]
    pub const fn written() -> Self {
        Self::On
    }

    /// Whether it is there at all.
    #[must_use]
    pub const fn watches(self) -> bool {
        !matches!(self, Self::Off)
    }

    /// Whether it does more than count.
    #[must_use]
    pub const fn acts(self) -> bool {
        matches!(self, Self::On)
    }
}
