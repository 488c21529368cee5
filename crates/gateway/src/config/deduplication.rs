//! How much this gateway keeps to know repeats, over all its routes.

use ambidex_core::again::dedup::Bounds;
use ambidex_core::share::Share;
use ambidex_core::size::Size;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Checked settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawDeduplication", into = "RawDeduplication")]
pub struct Deduplication {
    pub(crate) bounds: Bounds,
    pub(crate) persist: bool,
}

/// How much is kept to know repeats.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Deduplication")]
struct RawDeduplication {
    /// Most idempotency keys that are known at once, 1 to 100000000. Default 100000; source: ours, what 64 MiB hold with
    /// answers of 150 bytes.
    max_keys: u64,
    /// Most bytes of keys and answers, at least 64KiB; a key costs 512 bytes and its answer. Default 64MiB; source: ours,
    /// what a process can spare unasked.
    #[schemars(with = "String")]
    max_bytes: Size,
    /// How much of both one tenant may have, on routes that name a `tenant` header. Default 25%; source: reliability.md
    /// row 6.
    #[schemars(with = "String")]
    tenant_share: Share,
    /// Whether keys are written to the data folder, so that they outlive the process. Default true; source: R-L3.
    persist: bool,
}

impl Default for RawDeduplication {
    fn default() -> Self {
        let Bounds { keys, bytes, tenant_share } = Bounds::default();
        Self { max_keys: keys as u64, max_bytes: Size::bytes(bytes), tenant_share, persist: true }
    }
}

impl Default for Deduplication {
    fn default() -> Self {
        Self { bounds: Bounds::default(), persist: true }
    }
}

/// Why these settings cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DeduplicationError {
    /// No keys, or more than memory has.
    #[error("max_keys: {0} is not between 1 and 100000000")]
    Keys(u64),
    /// Too little to keep anything.
    #[error("max_bytes: {0} is less than 64KiB")]
    Bytes(Size),
    /// No share.
    #[error("tenant_share: a tenant must have some share")]
    Share,
}

impl TryFrom<RawDeduplication> for Deduplication {
    type Error = DeduplicationError;

    fn try_from(raw: RawDeduplication) -> Result<Self, DeduplicationError> {
        let RawDeduplication { max_keys, max_bytes, tenant_share, persist } = raw;
        let keys = usize::try_from(max_keys).ok().filter(|keys| (1..=MOST_KEYS).contains(keys));
        let keys = keys.ok_or(DeduplicationError::Keys(max_keys))?;
        if max_bytes < Size::kib(64) {
            return Err(DeduplicationError::Bytes(max_bytes));
        }
        if tenant_share == Share::default() {
            return Err(DeduplicationError::Share);
        }
        Ok(Self { bounds: Bounds { keys, bytes: max_bytes.get(), tenant_share }, persist })
    }
}

impl From<Deduplication> for RawDeduplication {
    fn from(checked: Deduplication) -> Self {
        let Bounds { keys, bytes, tenant_share } = checked.bounds;
        Self { max_keys: keys as u64, max_bytes: Size::bytes(bytes), tenant_share, persist: checked.persist }
    }
}

impl JsonSchema for Deduplication {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawDeduplication::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawDeduplication::json_schema(generator)
    }
}

/// Source: ours; 48 GiB of keys.
const MOST_KEYS: usize = 100_000_000;
