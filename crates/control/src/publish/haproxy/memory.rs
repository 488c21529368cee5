//! What was found in HAProxy before the first change, so that all of it can be put back: weights, and who was drained by us.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// By backend, then by server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Memory {
    pub(super) backends: BTreeMap<String, Servers>,
}

/// What was found of a backend's servers that were changed.
pub(super) type Servers = BTreeMap<String, Found>;

/// What was found of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    /// Its weight before the first change.
    pub(super) weight: u32,
    /// Whether it is out because we drained it.
    pub(super) drained: bool,
}

impl Memory {
    /// As it was kept; nothing where nothing was, or what was kept cannot be read.
    pub(super) fn of(kept: Option<&[u8]>) -> Self {
        kept.and_then(|bytes| serde_json::from_slice(bytes).ok()).unwrap_or_default()
    }

    /// As it is kept.
    pub(super) fn bytes(&self) -> Vec<u8> {
        // Strings and numbers always are JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }
}
