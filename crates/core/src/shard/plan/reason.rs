//! Why something was done, or was not: one code for each.

use core::fmt;

use serde::{Deserialize, Serialize};

/// Why something was done, or was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Done: it takes load off a worker that is hot.
    WorkerHot,
    /// Done: it takes load off a worker that is out of balance.
    OutOfBalance,
    /// Done: one slice is too much of its worker.
    SliceHot,
    /// Done: one key is too much of its slice or worker.
    KeyHot,
    /// Done: a plan of the operator's is due.
    Scheduled,
    /// Done: a forecast says that it will be hot.
    Forecast,
    /// Done: neighbours have been cold for long.
    Cold,
    /// Done: its keys are written faster than they are copied.
    NeverSmall,
    /// Not done: all workers are cool and in balance.
    AllWell,
    /// Not done: too few workers said how they are.
    MetricsMissing,
    /// Not done: too many workers are unhealthy.
    TooManyUnhealthy,
    /// Not done: a deploy or a drain is running.
    Deploying,
    /// Not done: the metadata store is slow.
    StoreSlow,
    /// Not done: what was done lately gained too little, so automation is off.
    SwitchedOff,
    /// Not done: the hot set changes faster than slices can be moved.
    PatternFasterThanRebalance,
    /// Not done: it would cost more than it gains.
    CostsMore,
    /// Not done: no worker has room for it.
    NoRoom,
    /// Not done: each slice that may be moved would make another worker as hot.
    Overshoots,
    /// Not done: its slices are each too small to matter.
    TooSmall,
    /// Not done: it is in a move.
    Moving,
    /// Not done: it was moved, or split, a short time ago.
    Resting,
    /// Not done: it was sent back and forth, and is frozen.
    Frozen,
    /// Not done: it would be back where it came from within half an hour; it is frozen from now on.
    BackAndForth,
    /// Not done: these two workers have a move between them.
    PairBusy,
    /// Not done: this worker has as many moves as it may.
    WorkerBusy,
    /// Not done: as many workers as may be have moves.
    AllBusy,
    /// Not done: as much load was moved in this minute as may be.
    MinuteSpent,
    /// Not done: as many splits and merges were done in this tick as may be.
    TickSpent,
    /// Not done: the keyspace has as many slices as it may.
    SliceCap,
    /// Not done: the keyspace promises the order of all writes of a slice, so it is never split.
    OrderPerShard,
    /// Not done: new keys are always the last ones, so that splitting helps only the past. Hash a prefix of the key.
    MonotoneKeys,
    /// Not done: there is nothing left to split, one key is all of it.
    OneKey,
    /// Not done: one key alone is too much for any worker, and salting is for keyspaces with a merge rule.
    KeyTooHot,
    /// Not done: salting would help, and is not there yet.
    SaltWanted,
}

impl Reason {
    /// Its code: what pages, commands and logs say, and what never changes.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::WorkerHot => "worker_hot",
            Self::OutOfBalance => "out_of_balance",
            Self::SliceHot => "slice_hot",
            Self::KeyHot => "key_hot",
            Self::Scheduled => "scheduled",
            Self::Forecast => "forecast",
            Self::Cold => "cold",
            Self::NeverSmall => "never_small",
            Self::AllWell => "all_well",
            Self::MetricsMissing => "metrics_missing",
            Self::TooManyUnhealthy => "too_many_unhealthy",
            Self::Deploying => "deploying",
            Self::StoreSlow => "store_slow",
            Self::SwitchedOff => "switched_off",
            Self::PatternFasterThanRebalance => "pattern_faster_than_rebalance",
            Self::CostsMore => "costs_more",
            Self::NoRoom => "no_room",
            Self::Overshoots => "overshoots",
            Self::TooSmall => "too_small",
            Self::Moving => "moving",
            Self::Resting => "resting",
            Self::Frozen => "frozen",
            Self::BackAndForth => "back_and_forth",
            Self::PairBusy => "pair_busy",
            Self::WorkerBusy => "worker_busy",
            Self::AllBusy => "all_busy",
            Self::MinuteSpent => "minute_spent",
            Self::TickSpent => "tick_spent",
            Self::SliceCap => "slice_cap",
            Self::OrderPerShard => "order_per_shard",
            Self::MonotoneKeys => "monotone_keys",
            Self::OneKey => "one_key",
            Self::KeyTooHot => "key_too_hot",
            Self::SaltWanted => "salt_wanted",
        }
    }

    /// Whether an operator should hear of it.
    #[must_use]
    pub const fn alerts(self) -> bool {
        matches!(self, Self::BackAndForth | Self::SwitchedOff | Self::KeyTooHot | Self::SaltWanted | Self::MonotoneKeys)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
