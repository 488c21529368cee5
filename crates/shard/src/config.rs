//! What a mover goes by.

use ambidex_core::shard::conductor::ConductorConfig;
use ambidex_core::shard::keyspace::{Hash, Ordering, PlannerConfig};
use ambidex_core::shard::plan::PlanConfig;

/// Of one keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoverConfig {
    /// The keyspace's name.
    pub keyspace: String,
    /// How its keys are spread: for orders and questions that name a key.
    pub hash: Hash,
    /// How many slices the map is made with.
    pub slices: usize,
    /// Whether all writes of a shard keep their order: then nothing is split, since a part would lose its order against the rest.
    pub per_shard_order: bool,
    /// Bounds of each move.
    pub moves: ConductorConfig,
    /// Moves under way at once. Default 4; source: ours, twice what one worker may take part in.
    pub most_moves: usize,
    /// Moves that one worker takes part in at once. Default 2; source: shards.md "Thresholds".
    pub most_moves_of_a_worker: usize,
    /// Moves that wait for their turn. Default 16,384: all slices of a keyspace.
    pub most_waiting: usize,
    /// What may be done about hot slices and keys. Default: it is only shown.
    pub planner: PlannerConfig,
}

impl MoverConfig {
    /// With the defaults.
    #[must_use]
    pub fn new(keyspace: &str) -> Self {
        Self {
            keyspace: keyspace.to_owned(),
            hash: Hash::default(),
            slices: 64,
            per_shard_order: false,
            moves: ConductorConfig::default(),
            most_moves: 4,
            most_moves_of_a_worker: 2,
            most_waiting: 16_384,
            planner: PlannerConfig::default(),
        }
    }

    /// What core plans by.
    pub(crate) fn plan(&self) -> PlanConfig {
        let ordering = if self.per_shard_order { Ordering::PerShard } else { Ordering::PerKey };
        PlanConfig {
            mode: self.planner.mode(),
            ordering,
            moves_per_worker: self.most_moves_of_a_worker,
            ..PlanConfig::default()
        }
    }
}
