//! When something is hot, and what may be done about it.

use serde::{Deserialize, Serialize};

use super::reason::Reason;
use crate::shard::keyspace::Ordering;
use crate::time::Span;

/// What the planner may do by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", schemars(rename = "PlannerMode"))]
pub enum Mode {
    /// Nothing: it says what it would do.
    #[default]
    Observe,
    /// Nothing that nobody approved.
    Advise,
    /// All of it, within its limits.
    Auto,
}

/// Thresholds and limits. Shares are from 0 to 1, of a worker's capacity where nothing else stands. Source of all defaults, unless said:
/// shards.md "Thresholds".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanConfig {
    /// What it may do by itself. Default: observe.
    pub mode: Mode,
    /// What splitting must not break. Default: per key.
    pub ordering: Ordering,
    /// Whether a key may be salted: the keyspace has a merge rule. Default: no.
    pub merges_values: bool,
    /// Utilization that is hot in [`Self::warm_ticks`] of [`Self::warm_of`] seconds. Default 0.60.
    pub warm: f64,
    /// Default 10.
    pub warm_ticks: u32,
    /// Default 12; at most 32.
    pub warm_of: u32,
    /// Utilization that is hot at once. Default 0.80.
    pub hot: f64,
    /// After so many seconds in a row. Default 3.
    pub hot_ticks: u32,
    /// How many times its objective a worker's wait in queue may be (95th percentile). Default 2.
    pub wait_factor: f64,
    /// For how many seconds in a row. Default 10.
    pub wait_ticks: u32,
    /// How far over the mean a worker must be to be called out of balance. Default 0.10.
    pub above_mean: f64,
    /// Under which utilization no imbalance matters. Default 0.35.
    pub least_max: f64,
    /// Once it balances, it goes on until no worker is further over the mean than by this part of it. Default 0.05; source: ours, half of
    /// what is left over by the goal of 1.10.
    pub settled: f64,
    /// A slice of a smaller part of its worker is not worth an action. Default 0.02.
    pub least_slice: f64,
    /// A slice of a larger part of its worker is split. Default 0.20.
    pub split_over: f64,
    /// A key of this part of its slice gets a slice for itself. Default 0.25.
    pub key_of_slice: f64,
    /// Or of this part of its worker. Default 0.05.
    pub key_of_worker: f64,
    /// A key of a larger part of a worker's capacity is too much for moving it. Default 0.60.
    pub key_too_hot: f64,
    /// More than this part of the load in the last bucket: keys grow, and splitting does not help. Default 0.90.
    pub monotone: f64,
    /// Slices for each worker beyond which nothing is split by itself. Default 64.
    pub slices_per_worker: usize,
    /// Moves of one worker at a time. Default 2.
    pub moves_per_worker: usize,
    /// Workers that have a move at a time, as a part of all; one at least. Default 0.10.
    pub moving_part: f64,
    /// Load that may be moved in a minute, as a part of all; a slice that is more moves alone. Default 0.09.
    pub per_minute: f64,
    /// Splits and merges that one tick may do: they move no data. Default 8; source: ours.
    pub reshapes_per_tick: usize,
    /// After a move its slice stays. Default 5 min.
    pub rest_after_move: Span,
    /// After a split its parts are not merged. Default 30 min.
    pub rest_after_split: Span,
    /// A slice that would be back within this time is frozen instead. Default 30 min.
    pub back_within: Span,
    /// For how long, at first; each time twice as long. Default 1 h.
    pub frozen_for: Span,
    /// A hot set must last so many times as long as noticing and moving take. Default 5.
    pub lasting: f64,
    /// How long it takes to notice a hot spot. Default 10 s.
    pub detect: Span,
    /// What copying moves in a second, in bytes. Default 10 MB; source: the goal of 100,000 keys of 100 B a second.
    pub copy_rate: f64,
    /// What copying takes of the two workers' capacity. Default 0.10; source: ours, the goal of 90 % of the throughput kept.
    pub copy_load: f64,
    /// How many times its cost a move must gain. Default 3.
    pub benefit: f64,
    /// Over how long, or half the half-life of the hot set. Default 10 min.
    pub horizon: Span,
    /// An action that gains less than this part of what it promised failed; two in a row switch automation off. Default 0.5.
    pub least_gain: f64,
    /// For how long, at first; each time twice as long. Default 10 min.
    pub off_for: Span,
    /// Adjacent slices of the same worker become one when both are older than this. Default 10 min.
    pub merge_age: Span,
    /// And have together been at most half of [`Self::split_over`] for so long. Default 60 min.
    pub merge_cold: Span,
    /// Under so many slices for each worker nothing is merged. Default 32.
    pub least_per_worker: usize,
    /// Part of the workers that must have said how they are. Default 0.95.
    pub heard: f64,
    /// Part of the workers that may be unhealthy. Default 0.20.
    pub unhealthy: f64,
    /// The metadata store's slowest hundredth. Default 100 ms.
    pub store_slow: Span,
}

impl Default for PlanConfig {
    fn default() -> Self {
        Self {
            mode: Mode::Observe,
            ordering: Ordering::PerKey,
            merges_values: false,
            warm: 0.60,
            warm_ticks: 10,
            warm_of: 12,
            hot: 0.80,
            hot_ticks: 3,
            wait_factor: 2.0,
            wait_ticks: 10,
            above_mean: 0.10,
            least_max: 0.35,
            settled: 0.05,
            least_slice: 0.02,
            split_over: 0.20,
            key_of_slice: 0.25,
            key_of_worker: 0.05,
            key_too_hot: 0.60,
            monotone: 0.90,
            slices_per_worker: 64,
            moves_per_worker: 2,
            moving_part: 0.10,
            per_minute: 0.09,
            reshapes_per_tick: 8,
            rest_after_move: Span::from_secs(300),
            rest_after_split: Span::from_secs(1_800),
            back_within: Span::from_secs(1_800),
            frozen_for: Span::from_secs(3_600),
            lasting: 5.0,
            detect: Span::from_secs(10),
            copy_rate: 10e6,
            copy_load: 0.10,
            benefit: 3.0,
            horizon: Span::from_secs(600),
            least_gain: 0.5,
            off_for: Span::from_secs(600),
            merge_age: Span::from_secs(600),
            merge_cold: Span::from_secs(3_600),
            least_per_worker: 32,
            heard: 0.95,
            unhealthy: 0.20,
            store_slow: Span::from_millis(100),
        }
    }
}

impl PlanConfig {
    /// Why slices may not be split, if they may not.
    #[must_use]
    pub fn split_refused(&self) -> Option<Reason> {
        match self.ordering {
            Ordering::None | Ordering::PerKey => None,
            Ordering::PerShard => Some(Reason::OrderPerShard),
        }
    }

    /// How long a move of so many bytes takes.
    #[must_use]
    pub fn move_takes(&self, bytes: u64) -> Span {
        let seconds = bytes as f64 / self.copy_rate.max(1.0);
        // And what its transactions take: nine of them, where one takes as long as the slowest hundredth may.
        Span::from_millis(900) + Span::from_secs_f64(seconds)
    }
}
