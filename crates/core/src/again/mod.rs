//! Once more: what bounds second tries.

pub mod budget;

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
