//! What a keyspace is told to be: whose workers own its slices, what order it promises, how its first table is made. The gateway, the
//! coordinator and the agent each read a part of it from their file, and all parts are checked here.
//!
//! What is not offered yet is not a key yet: byte ranges, `ack: log`, merge rules.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::plan::Mode;
use super::slot;
use super::space::Point;
use super::table::MOST_SLICES;
use crate::time::Span;

/// What a keyspace is called: in files, in addresses, in the metadata store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyspaceName(String);

/// Why a text names no keyspace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no keyspace: write 1 to 63 of a-z, 0-9, `-` and `_`, a letter first, since it stands in addresses and headers"
)]
pub struct KeyspaceNameError(String);

impl KeyspaceName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for KeyspaceName {
    type Error = KeyspaceNameError;

    fn try_from(name: String) -> Result<Self, KeyspaceNameError> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        let fits =
            (1..=MOST_NAME).contains(&name.len()) && name.bytes().all(plain) && name.as_bytes()[0].is_ascii_lowercase();
        if fits { Ok(Self(name)) } else { Err(KeyspaceNameError(name)) }
    }
}

impl From<KeyspaceName> for String {
    fn from(name: KeyspaceName) -> Self {
        name.0
    }
}

impl fmt::Display for KeyspaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for KeyspaceName {
    fn schema_name() -> alloc::borrow::Cow<'static, str> {
        String::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        String::json_schema(generator)
    }
}

/// Which writes keep their order among each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", schemars(rename = "KeyspaceOrdering"))]
pub enum Ordering {
    /// None: each goes as it comes.
    None,
    /// Those to one key.
    #[default]
    PerKey,
    /// Those to one slice. Such a slice can be moved, and never split.
    PerShard,
}

/// How a key becomes a point of the hash space. It can never change: data lies where it once said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", schemars(rename = "KeyspaceHash"))]
pub enum Hash {
    /// XXH3 of 64 bits, seed 0: every key has a point of its own.
    #[default]
    Xxh3,
    /// The 16,384 slots of Redis Cluster, by CRC16 and `{tag}`: all keys of a slot have one point ([`slot`]).
    Crc16,
}

impl Hash {
    /// Where a key lies.
    #[must_use]
    pub fn point(self, key: &[u8]) -> Point {
        match self {
            Self::Xxh3 => Point::of(key),
            Self::Crc16 => slot::point_of(slot::slot_of(key)),
        }
    }
}

/// What reads see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", schemars(rename = "KeyspaceReads"))]
pub enum Reads {
    /// What was acknowledged last: only the owner serves them, and while its slice is sealed they wait.
    #[default]
    Strict,
    /// While its slice is sealed, the owner that it had serves them by what was acknowledged before the seal, and says so.
    StaleOk,
}

/// Checked settings of a keyspace, as a coordinator needs them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "RawKeyspace", into = "RawKeyspace")]
#[cfg_attr(feature = "schema", schemars(with = "RawKeyspace"))]
pub struct KeyspaceConfig {
    pool: String,
    ordering: Ordering,
    slices: u16,
    reads: Reads,
    hash: Hash,
    planner: PlannerConfig,
}

/// What may be done about hot slices and keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "RawPlanner", into = "RawPlanner")]
#[cfg_attr(feature = "schema", schemars(with = "RawPlanner"))]
pub struct PlannerConfig {
    mode: Mode,
    queue_depth: Option<u32>,
    queue_wait: Option<Span>,
    proposals_for: Span,
    presplits: Vec<DailyPresplit>,
}

/// What may be done about hot slices and keys.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "KeyspacePlanner"))]
#[serde(default, deny_unknown_fields)]
struct RawPlanner {
    /// What it may do by itself: `observe` shows what it would do, `advise` proposes it for approval, `auto` does it. Default `observe`;
    /// source: shards.md "Thresholds", requirement H10.
    mode: Mode,
    /// How many requests may wait in a worker: more, for three seconds, is hot. Default: any; source: requirement H2, it is a worker's own.
    queue_depth: Option<u32>,
    /// How long requests should wait in a worker at most (95th percentile): twice that, for ten seconds, is hot. Default: any; source:
    /// shards.md "Thresholds", the objective is a worker's own.
    queue_wait: Option<Span>,
    /// How long a proposal waits for approval, 1m to 24h. Default 15m; source: ours, as long as somebody who is called needs, and load
    /// is still what it was.
    proposals_for: Span,
    /// Splits for times of the day that are known to be busy, at most 16; done in mode `auto`, proposed in `advise`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    presplits: Vec<DailyPresplit>,
}

/// Splits for a time of each day that is known to be busy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DailyPresplit {
    /// From when on, `HH:MM` in UTC, each day. Needed.
    pub at: String,
    /// For how long its slices are not merged again, 1m to 24h. Needed.
    #[serde(rename = "for")]
    pub lasts: Span,
    /// Into how many even parts of the space, 2 to 16384. Needed.
    pub slices: u16,
}

impl DailyPresplit {
    /// Minutes after midnight.
    #[must_use]
    pub fn minute(&self) -> Option<u32> {
        let (hour, minute) = self.at.split_once(':')?;
        let two = |text: &str, below: u32| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u32>().ok()).flatten().filter(|number| *number < below)
        };
        Some(two(hour, 24)? * 60 + two(minute, 60)?)
    }
}

impl Default for RawPlanner {
    fn default() -> Self {
        let proposals_for = Span::from_secs(900);
        Self { mode: Mode::Observe, queue_depth: None, queue_wait: None, proposals_for, presplits: Vec::new() }
    }
}

impl Default for PlannerConfig {
    fn default() -> Self {
        let RawPlanner { mode, queue_depth, queue_wait, proposals_for, presplits } = RawPlanner::default();
        Self { mode, queue_depth, queue_wait, proposals_for, presplits }
    }
}

impl PlannerConfig {
    /// What it may do by itself.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// How many requests may wait in a worker.
    #[must_use]
    pub const fn queue_depth(&self) -> Option<u32> {
        self.queue_depth
    }

    /// How long they should wait at most.
    #[must_use]
    pub const fn queue_wait(&self) -> Option<Span> {
        self.queue_wait
    }

    /// How long a proposal waits.
    #[must_use]
    pub const fn proposals_for(&self) -> Span {
        self.proposals_for
    }

    /// Splits for times of the day.
    #[must_use]
    pub fn presplits(&self) -> &[DailyPresplit] {
        &self.presplits
    }
}

impl TryFrom<RawPlanner> for PlannerConfig {
    type Error = KeyspaceError;

    fn try_from(raw: RawPlanner) -> Result<Self, KeyspaceError> {
        let RawPlanner { mode, queue_depth, queue_wait, proposals_for, presplits } = raw;
        if queue_depth == Some(0) {
            return Err(KeyspaceError::QueueDepth);
        }
        if let Some(wrong) = queue_wait.filter(|wait| !(Span::from_millis(1)..=Span::from_secs(60)).contains(wait)) {
            return Err(KeyspaceError::QueueWait(wrong));
        }
        let lasting = Span::from_secs(60)..=Span::from_secs(86_400);
        if !lasting.contains(&proposals_for) {
            return Err(KeyspaceError::Proposals(proposals_for));
        }
        if presplits.len() > MOST_PRESPLITS {
            return Err(KeyspaceError::ManyPresplits(presplits.len()));
        }
        for presplit in &presplits {
            if presplit.minute().is_none() {
                return Err(KeyspaceError::PresplitAt(presplit.at.clone()));
            }
            if !lasting.contains(&presplit.lasts) {
                return Err(KeyspaceError::PresplitFor(presplit.lasts));
            }
            if !(2..=MOST_SLICES).contains(&usize::from(presplit.slices)) {
                return Err(KeyspaceError::PresplitSlices(presplit.slices));
            }
        }
        Ok(Self { mode, queue_depth, queue_wait, proposals_for, presplits })
    }
}

impl From<PlannerConfig> for RawPlanner {
    fn from(checked: PlannerConfig) -> Self {
        let PlannerConfig { mode, queue_depth, queue_wait, proposals_for, presplits } = checked;
        Self { mode, queue_depth, queue_wait, proposals_for, presplits }
    }
}

/// A keyspace: keys that are spread over a pool's workers, each of which owns slices of them.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "CoordinatedKeyspace"))]
#[serde(deny_unknown_fields)]
struct RawKeyspace {
    /// The name of the pool whose workers own its slices.
    pool: String,
    /// Which writes keep their order: `none`, `per_key` or `per_shard`. Default `per_key`; source: shards.md "Data model".
    #[serde(default)]
    ordering: Ordering,
    /// How many slices it has at first, 1 to 16384. Read once, when its table is made. Default 64; source: shards.md "Data
    /// model", 32 to 64 for each worker, and splitting is free.
    #[serde(default = "sixty_four")]
    slices: u16,
    /// What reads see: `strict`, what was acknowledged last, or `stale_ok`, while a slice is sealed what was acknowledged before. Default
    /// `strict`; source: shards.md "Data model".
    #[serde(default)]
    reads: Reads,
    /// What may be done about hot slices and keys.
    #[serde(default)]
    planner: PlannerConfig,
    /// How keys are spread: `xxh3`, or `crc16`, the slots of Redis Cluster with `{tag}`. It can never change. Default `xxh3`; source:
    /// shards.md "Data model".
    #[serde(default)]
    hash: Hash,
}

const fn sixty_four() -> u16 {
    DEFAULT_SLICES
}

/// Why a keyspace cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyspaceError {
    /// No slices, or more than a table holds.
    #[error("slices: {0} is not between 1 and {MOST_SLICES}")]
    Slices(u16),
    /// No queue at all.
    #[error(
        "planner.queue_depth: 0: a worker on which nothing may wait is always hot; write at least 1, or leave it out"
    )]
    QueueDepth,
    /// Too short or too long.
    #[error("queue_wait: {0} is not between 1ms and 1m")]
    QueueWait(Span),
    /// Proposals that wait too briefly or too long.
    #[error("proposals_for: {0} is not between 1m and 24h")]
    Proposals(Span),
    /// Too many plans.
    #[error("presplits: {0} of them; at most {MOST_PRESPLITS} are kept to")]
    ManyPresplits(usize),
    /// No time of the day.
    #[error("presplits: at: `{0}` is no time of the day: write HH:MM, such as 17:30, in UTC")]
    PresplitAt(String),
    /// Too short or too long.
    #[error("presplits: for: {0} is not between 1m and 24h")]
    PresplitFor(Span),
    /// Nothing to split, or too much.
    #[error("presplits: slices: {0} is not between 2 and {MOST_SLICES}")]
    PresplitSlices(u16),
    /// What would break the order.
    #[error(
        "planner.presplits: `ordering: per_shard` keeps the order of a slice's writes, which a split would lose: take the plans out, \
         or give it more `slices` from the beginning"
    )]
    PresplitOrdered,
}

impl KeyspaceConfig {
    /// A keyspace of `pool`, whose planner observes.
    ///
    /// # Errors
    /// `slices` is 0 or over [`MOST_SLICES`].
    pub fn new(pool: String, ordering: Ordering, slices: u16, reads: Reads) -> Result<Self, KeyspaceError> {
        if !(1..=MOST_SLICES).contains(&usize::from(slices)) {
            return Err(KeyspaceError::Slices(slices));
        }
        Ok(Self { pool, ordering, slices, reads, hash: Hash::default(), planner: PlannerConfig::default() })
    }

    /// The same with another planner.
    ///
    /// # Errors
    /// It plans splits, and the order of each slice's writes is kept.
    pub fn planned(self, planner: PlannerConfig) -> Result<Self, KeyspaceError> {
        if self.ordering == Ordering::PerShard && !planner.presplits.is_empty() {
            return Err(KeyspaceError::PresplitOrdered);
        }
        Ok(Self { planner, ..self })
    }

    /// What may be done about hot slices and keys.
    #[must_use]
    pub const fn planner(&self) -> &PlannerConfig {
        &self.planner
    }

    /// The same with keys spread so.
    #[must_use]
    pub fn hashed(self, hash: Hash) -> Self {
        Self { hash, ..self }
    }

    /// The name of the pool whose workers own its slices.
    #[must_use]
    pub fn pool(&self) -> &str {
        &self.pool
    }

    /// Which writes keep their order.
    #[must_use]
    pub const fn ordering(&self) -> Ordering {
        self.ordering
    }

    /// How many slices its first table has.
    #[must_use]
    pub const fn slices(&self) -> u16 {
        self.slices
    }

    /// What reads see.
    #[must_use]
    pub const fn reads(&self) -> Reads {
        self.reads
    }

    /// How its keys are spread.
    #[must_use]
    pub const fn hash(&self) -> Hash {
        self.hash
    }
}

impl TryFrom<RawKeyspace> for KeyspaceConfig {
    type Error = KeyspaceError;

    fn try_from(raw: RawKeyspace) -> Result<Self, KeyspaceError> {
        let RawKeyspace { pool, ordering, slices, reads, hash, planner } = raw;
        Self::new(pool, ordering, slices, reads)?.hashed(hash).planned(planner)
    }
}

impl From<KeyspaceConfig> for RawKeyspace {
    fn from(checked: KeyspaceConfig) -> Self {
        let KeyspaceConfig { pool, ordering, slices, reads, hash, planner } = checked;
        Self { pool, ordering, slices, reads, hash, planner }
    }
}

/// Plans of one keyspace. Source: ours; each is looked at once a second.
const MOST_PRESPLITS: usize = 16;
/// Bytes of a name. Source: ours; as long as a label of DNS.
const MOST_NAME: usize = 63;
/// Slices of a keyspace that says nothing of them. Source: shards.md "Data model".
pub const DEFAULT_SLICES: u16 = 64;

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn a_name_stands_in_addresses_and_headers_as_it_is() {
        for name in ["carts", "a", "a-b_1"] {
            assert!(KeyspaceName::try_from(name.to_string()).is_ok(), "{name}");
        }
        for name in ["", "1a", "-a", "Carts", "a b", "a/b", "ä", &"a".repeat(64)] {
            assert!(KeyspaceName::try_from(name.to_string()).is_err(), "{name}");
        }
    }

    #[test]
    fn a_plan_has_a_time_of_the_day_and_splits_what_may_be_split() {
        let daily = |at: &str, slices| DailyPresplit { at: at.to_string(), lasts: Span::from_secs(3_600), slices };
        let of = |presplit| {
            let raw = RawPlanner { presplits: alloc::vec![presplit], ..RawPlanner::default() };
            PlannerConfig::try_from(raw)
        };
        assert_eq!(daily("17:30", 8).minute(), Some(1_050));
        for at in ["", "17", "24:00", "17:60", "7:30", "17:3", "+7:30"] {
            assert_eq!(of(daily(at, 8)), Err(KeyspaceError::PresplitAt(at.to_string())));
        }
        assert_eq!(of(daily("17:30", 1)), Err(KeyspaceError::PresplitSlices(1)));
        let planner = of(daily("17:30", 8)).expect("right");
        let ordered = KeyspaceConfig::new("a".to_string(), Ordering::PerShard, 4, Reads::Strict).expect("right");
        assert_eq!(ordered.planned(planner), Err(KeyspaceError::PresplitOrdered));
    }

    #[test]
    fn a_keyspace_has_a_slice_at_least_and_no_more_than_a_table_holds() {
        let of = |slices| KeyspaceConfig::new("a".to_string(), Ordering::PerKey, slices, Reads::Strict);
        assert_eq!(of(0), Err(KeyspaceError::Slices(0)));
        assert!(of(1).is_ok() && of(16_384).is_ok());
        assert_eq!(of(16_385), Err(KeyspaceError::Slices(16_385)));
    }
}
