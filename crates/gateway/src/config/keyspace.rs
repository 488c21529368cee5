//! A keyspace, as a gateway needs it: what a coordinator knows of it, and where in a request its key stands, and how much may wait.
//!
//! For: the configuration file. The slices and their owners are no configuration: they come from the coordinator.

use std::num::NonZeroU8;

use ambidex_core::shard::keyspace::{
    DEFAULT_SLICES, Hash, KeyspaceConfig, KeyspaceError, Ordering, PlannerConfig, Reads,
};
use ambidex_core::shard::router::RouterConfig;
use ambidex_core::size::Size;
use ambidex_core::time::Span;
use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Checked settings of one keyspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawKeyspace", into = "RawKeyspace")]
pub struct Keyspace {
    shared: KeyspaceConfig,
    pub(crate) key: KeyFrom,
    pub(crate) max_body: Size,
    pub(crate) waiting: Waiting,
}

/// Where in a request its key stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyFrom {
    /// The value of this header.
    Header(HeaderName),
    /// This segment of the path, from 1.
    Path(NonZeroU8),
    /// The value of this query parameter.
    Query(String),
    /// The text or whole number at this pointer in a JSON body.
    Json(String),
    /// The value of this metadata of a gRPC call.
    GrpcMetadata(HeaderName),
    /// Where commands of Redis have theirs.
    Redis,
}

/// How much may wait while slices are not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawWaiting", into = "RawWaiting")]
pub struct Waiting {
    slice_requests: u32,
    slice_bytes: Size,
    all_bytes: Size,
    longest: Span,
}

/// A keyspace: keys that are spread over a pool's workers, each of which owns slices of them.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Keyspace")]
struct RawKeyspace {
    /// The name of the pool whose workers own its slices.
    pool: String,
    /// Which writes keep their order: `none`, `per_key` or `per_shard`. Default `per_key`; source: shards.md "Data model".
    #[serde(default)]
    ordering: Ordering,
    /// How many slices it has at first, 1 to 16384. Read once, when its table is made. Default 64; source: shards.md "Data
    /// model", 32 to 64 for each worker, and splitting is free.
    #[serde(default = "slices")]
    slices: u16,
    /// What reads see: `strict`, what was acknowledged last, or `stale_ok`, while a slice is sealed what was acknowledged before, marked
    /// `ambidex-shard: stale`. Default `strict`; source: shards.md "Data model".
    #[serde(default)]
    reads: Reads,
    /// What may be done about hot slices and keys.
    #[serde(default)]
    planner: PlannerConfig,
    /// How keys are spread: `xxh3`, or `crc16`, the slots of Redis Cluster with `{tag}`. It can never change. Default `xxh3`, and `crc16`
    /// with `key: redis`; source: shards.md "Data model".
    #[serde(default)]
    hash: Option<Hash>,
    /// Where in a request its key stands: 1 to 1024 bytes. A request without one is refused with 400. `redis` where listeners of RESP lead
    /// to it.
    key: RawKeyFrom,
    /// Largest body of a request, at most 8MiB; each is read whole before it is sent, because it may have to wait, or go again to a new
    /// owner. Default 1MiB; source: nginx's `client_max_body_size`.
    #[serde(default = "one_mib")]
    #[schemars(with = "String")]
    max_body: Size,
    /// How much may wait while slices are not served.
    #[serde(default)]
    waiting: Waiting,
}

/// Where in a request its key stands.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "KeyFrom")]
enum RawKeyFrom {
    /// The value of this header.
    Header(String),
    /// This segment of the path, from 1: of `/carts/7/items`, the second is `7`.
    Path(u8),
    /// The value of this query parameter.
    Query(String),
    /// The text or whole number at this pointer (RFC 6901) in a JSON body: `/cart/id`.
    Json(String),
    /// The value of this metadata of a gRPC call; of one that ends in `-bin` what its base64 stands for.
    GrpcMetadata(String),
    /// Where each command of Redis has its keys: for listeners with `redis`.
    Redis,
}

/// How much may wait while slices are not served, in all of the gateway's threads together: each has an equal part.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "KeyspaceWaiting")]
struct RawWaiting {
    /// Requests that wait for one slice, 1 to 100000. Default 2000; source: shards.md "How no write is lost".
    slice_requests: u32,
    /// Their bytes, at least 64KiB. Default 8MiB; source: shards.md "How no write is lost".
    #[schemars(with = "String")]
    slice_bytes: Size,
    /// Bytes of all that wait, at least `slice_bytes`. Default 256MiB; source: shards.md "How no write is lost".
    #[schemars(with = "String")]
    all_bytes: Size,
    /// How long each waits at most, 10ms to 1m, and never past its route's deadline. Default 2s; source: shards.md "How no write is lost".
    #[schemars(with = "String")]
    longest: Span,
}

const fn slices() -> u16 {
    DEFAULT_SLICES
}

const fn one_mib() -> Size {
    Size::mib(1)
}

/// Why a keyspace cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyspaceConfigError {
    /// What a coordinator would refuse as well.
    #[error(transparent)]
    Shared(#[from] KeyspaceError),
    /// The key names a header that cannot exist.
    #[error("key: `{0}` is no header's name")]
    Header(String),
    /// The key names a header that this gateway sets itself.
    #[error("key: `{0}` never reaches a route: fields that begin with `ambidex-` are taken out of requests")]
    Ours(HeaderName),
    /// The key names no segment.
    #[error("key: a path's segments are counted from 1")]
    Segment,
    /// The key names no parameter.
    #[error("key: the query parameter has no name")]
    Query,
    /// The key is no pointer.
    #[error("key: `{0}` is no JSON pointer: write `/cart/id` for the text at `id` in `cart`")]
    Pointer(String),
    /// Commands' keys without their slots.
    #[error("hash: `crc16` is for keyspaces with `key: redis`, and those have no other: leave `hash` out")]
    Slots,
    /// Old answers where no client could be told that they are.
    #[error("reads: answers to commands of Redis cannot say that they are old: leave `reads` out, they are `strict`")]
    OldAnswers,
    /// More of a body than one request may cost.
    #[error("max_body: {0} is more than 8MiB")]
    MaxBody(Size),
    /// No room, or more than memory should hold.
    #[error("waiting.slice_requests: {0} is not between 1 and 100000")]
    Requests(u32),
    /// Not even one request would fit.
    #[error("waiting.slice_bytes: {0} is less than 64KiB")]
    SliceBytes(Size),
    /// One slice could take more than all.
    #[error("waiting.all_bytes: {all} is less than slice_bytes, {slice}")]
    AllBytes {
        /// Of all.
        all: Size,
        /// Of one.
        slice: Size,
    },
    /// One request would not fit.
    #[error("max_body: {body} is more than waiting.slice_bytes, {slice}: such a request could never wait")]
    NeverWaits {
        /// Of one request.
        body: Size,
        /// Of all that wait for a slice.
        slice: Size,
    },
    /// No time at all, or one that no client waits.
    #[error("waiting.longest: {0} is not between 10ms and 1m")]
    Longest(Span),
}

impl Keyspace {
    /// Whether its keys are those of Redis commands.
    #[must_use]
    pub fn is_of_redis(&self) -> bool {
        self.key == KeyFrom::Redis
    }

    /// What a coordinator needs to know of it.
    #[must_use]
    pub const fn shared(&self) -> &KeyspaceConfig {
        &self.shared
    }

    /// The name of the pool whose workers own its slices.
    #[must_use]
    pub fn pool(&self) -> &str {
        self.shared.pool()
    }
}

impl Waiting {
    /// The bounds of one of so many threads, in each of which one request of `least` bytes fits.
    #[must_use]
    pub fn part(self, threads: usize, least: u64) -> RouterConfig {
        let parts = threads.max(1) as u64;
        let requests = self.slice_requests as usize;
        RouterConfig {
            slice_requests: (requests / threads.max(1)).max(1),
            slice_bytes: (self.slice_bytes.get() / parts).max(least),
            all_bytes: (self.all_bytes.get() / parts).max(least),
            longest: self.longest,
            ..RouterConfig::default()
        }
    }
}

impl Default for Waiting {
    fn default() -> Self {
        let RouterConfig { slice_requests, slice_bytes, all_bytes, longest, pause: _, hops: _, by_slice: _ } =
            RouterConfig::default();
        let slice_requests = u32::try_from(slice_requests).unwrap_or(u32::MAX);
        Self { slice_requests, slice_bytes: Size::bytes(slice_bytes), all_bytes: Size::bytes(all_bytes), longest }
    }
}

impl Default for RawWaiting {
    fn default() -> Self {
        Waiting::default().into()
    }
}

impl TryFrom<RawWaiting> for Waiting {
    type Error = KeyspaceConfigError;

    fn try_from(raw: RawWaiting) -> Result<Self, KeyspaceConfigError> {
        let RawWaiting { slice_requests, slice_bytes, all_bytes, longest } = raw;
        if !(1..=100_000).contains(&slice_requests) {
            return Err(KeyspaceConfigError::Requests(slice_requests));
        }
        if slice_bytes < Size::kib(64) {
            return Err(KeyspaceConfigError::SliceBytes(slice_bytes));
        }
        if all_bytes < slice_bytes {
            return Err(KeyspaceConfigError::AllBytes { all: all_bytes, slice: slice_bytes });
        }
        if !(Span::from_millis(10)..=Span::from_secs(60)).contains(&longest) {
            return Err(KeyspaceConfigError::Longest(longest));
        }
        Ok(Self { slice_requests, slice_bytes, all_bytes, longest })
    }
}

impl From<Waiting> for RawWaiting {
    fn from(checked: Waiting) -> Self {
        let Waiting { slice_requests, slice_bytes, all_bytes, longest } = checked;
        Self { slice_requests, slice_bytes, all_bytes, longest }
    }
}

impl TryFrom<RawKeyFrom> for KeyFrom {
    type Error = KeyspaceConfigError;

    fn try_from(raw: RawKeyFrom) -> Result<Self, KeyspaceConfigError> {
        let header = |name: String| match name.parse::<HeaderName>() {
            Ok(name) if name.as_str().starts_with("ambidex-") => Err(KeyspaceConfigError::Ours(name)),
            Ok(name) => Ok(name),
            Err(_) => Err(KeyspaceConfigError::Header(name)),
        };
        match raw {
            RawKeyFrom::Header(name) => header(name).map(Self::Header),
            RawKeyFrom::GrpcMetadata(name) => header(name).map(Self::GrpcMetadata),
            RawKeyFrom::Path(segment) => NonZeroU8::new(segment).map(Self::Path).ok_or(KeyspaceConfigError::Segment),
            RawKeyFrom::Query(name) if name.is_empty() => Err(KeyspaceConfigError::Query),
            RawKeyFrom::Query(name) => Ok(Self::Query(name)),
            RawKeyFrom::Json(pointer) if is_pointer(&pointer) => Ok(Self::Json(pointer)),
            RawKeyFrom::Json(pointer) => Err(KeyspaceConfigError::Pointer(pointer)),
            RawKeyFrom::Redis => Ok(Self::Redis),
        }
    }
}

/// Whether a text is a pointer to something inside: `~` stands before `0` or `1` only.
fn is_pointer(text: &str) -> bool {
    let mut escapes = text.split('~').skip(1);
    text.starts_with('/') && escapes.all(|after| after.starts_with(['0', '1']))
}

impl From<KeyFrom> for RawKeyFrom {
    fn from(checked: KeyFrom) -> Self {
        match checked {
            KeyFrom::Header(name) => Self::Header(name.to_string()),
            KeyFrom::Path(segment) => Self::Path(segment.get()),
            KeyFrom::Query(name) => Self::Query(name),
            KeyFrom::Json(pointer) => Self::Json(pointer),
            KeyFrom::GrpcMetadata(name) => Self::GrpcMetadata(name.to_string()),
            KeyFrom::Redis => Self::Redis,
        }
    }
}

impl TryFrom<RawKeyspace> for Keyspace {
    type Error = KeyspaceConfigError;

    fn try_from(raw: RawKeyspace) -> Result<Self, KeyspaceConfigError> {
        let RawKeyspace { pool, ordering, slices, reads, hash, planner, key, max_body, waiting } = raw;
        let key = KeyFrom::try_from(key)?;
        let usual = if key == KeyFrom::Redis { Hash::Crc16 } else { Hash::Xxh3 };
        let hash = hash.unwrap_or(usual);
        if (key == KeyFrom::Redis) != (hash == Hash::Crc16) {
            return Err(KeyspaceConfigError::Slots);
        }
        if key == KeyFrom::Redis && reads == Reads::StaleOk {
            return Err(KeyspaceConfigError::OldAnswers);
        }
        let shared = KeyspaceConfig::new(pool, ordering, slices, reads)?.hashed(hash).planned(planner)?;
        if max_body > Size::mib(8) {
            return Err(KeyspaceConfigError::MaxBody(max_body));
        }
        if max_body > waiting.slice_bytes {
            return Err(KeyspaceConfigError::NeverWaits { body: max_body, slice: waiting.slice_bytes });
        }
        Ok(Self { shared, key, max_body, waiting })
    }
}

impl From<Keyspace> for RawKeyspace {
    fn from(checked: Keyspace) -> Self {
        let Keyspace { shared, key, max_body, waiting } = checked;
        Self {
            pool: shared.pool().to_owned(),
            ordering: shared.ordering(),
            slices: shared.slices(),
            reads: shared.reads(),
            planner: shared.planner().clone(),
            hash: Some(shared.hash()),
            key: key.into(),
            max_body,
            waiting,
        }
    }
}

impl JsonSchema for Keyspace {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawKeyspace::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawKeyspace::json_schema(generator)
    }
}

impl JsonSchema for Waiting {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawWaiting::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawWaiting::json_schema(generator)
    }
}
