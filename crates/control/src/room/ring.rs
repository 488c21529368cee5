//! Points of rings, kept beyond the process: a restart that put them back to the configured weights would move all the keys at once
//! that had moved a few in a minute.

use std::collections::BTreeMap;

use super::Room;

impl Room {
    /// Writes down what moved in a tick of a pool.
    pub(super) fn keep_points(&mut self, at: usize) {
        let pool = &mut self.pools[at];
        if !std::mem::take(&mut pool.points_moved) {
            return;
        }
        let bytes = serde_json::to_vec(&pool.points_kept()).unwrap_or_default();
        // Without a journal nothing outlives the process, and that is told at its start.
        let _ = self.journal.keep(&key(&pool.config.name), &bytes);
    }

    /// The points that an earlier process kept of a pool.
    pub(super) fn remember_points(&mut self, at: usize) {
        let pool = &mut self.pools[at];
        let kept = self.journal.state(&key(&pool.config.name)).filter(|_| pool.config.ring.is_some());
        let kept: Option<BTreeMap<String, u32>> = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(kept) = kept {
            pool.take_points(kept);
        }
    }
}

fn key(pool: &str) -> String {
    format!("ring/{pool}")
}
