//! What a worker of keyspaces is told: who it is, where its records lie, whom it believes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ambidex_core::size::Size;
use ambidex_core::time::Span;
use ambidex_wire::shard::headers::read_name;
use serde::{Deserialize, Serialize};

/// A worker that holds slices of keyspaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "RawShards", into = "RawShards")]
#[cfg_attr(feature = "schema", schemars(with = "RawShards"))]
pub struct ShardsConfig {
    /// Which keyspaces.
    pub keyspaces: Vec<String>,
    /// Where gateways and coordinators reach it.
    pub listen: SocketAddr,
    /// What the coordinators call this worker.
    pub name: String,
    /// Where the records lie.
    pub data: PathBuf,
    /// The file with the token of those who may ask the contract.
    pub token_file: PathBuf,
    /// Where the coordinators' admin APIs are.
    pub coordinators: Vec<String>,
    /// The file with the token that is shown there.
    pub coordinator_token_file: PathBuf,
    /// The path under which the application has its four endpoints.
    pub prefix: String,
    /// How long the application may take for one of them, or for a write.
    pub timeout: Span,
    /// How many requests the application works on at once; none: one for each processor.
    pub concurrency: Option<u32>,
    /// The instance of Redis or Valkey that is the application, if it is one.
    pub redis: Option<InstanceConfig>,
}

/// A plain instance of Redis (7.0 or later) or Valkey that holds the slices: nobody but its agent may write to it. See docs/redis.md.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "ShardsRedis"))]
#[serde(deny_unknown_fields)]
pub struct InstanceConfig {
    /// Where it is, `HOST:PORT`. Needed.
    pub address: String,
    /// The user that the agent is there. Default: the default user; source: instances call it so.
    #[serde(default)]
    pub user: Option<String>,
    /// The file with that user's password. Default: none is shown; source: an instance on loopback often has none.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The largest value that a move may take along, by `MEMORY USAGE`, 64KiB to 64MiB: the instance does nothing else while it reads or
    /// writes one. A larger one keeps its slice where it is. Default 4MiB; source: shards.md "How no write is lost".
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    #[serde(default = "four_mib")]
    pub max_value: Size,
}

const fn four_mib() -> Size {
    Size::mib(4)
}

/// A worker that holds slices of keyspaces. See docs/shard-workers.md.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct RawShards {
    /// The keyspaces whose slices this worker may hold, 1 to 16. Needed.
    keyspaces: Vec<String>,
    /// Where requests of gateways and questions of coordinators come, `IP:PORT`: the worker's URL in their pool. Needed.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    listen: SocketAddr,
    /// What the coordinators call this worker: its `name` in their pool, else its URL there. Needed.
    name: String,
    /// The folder with the records of what this worker holds. It belongs to the application's data: both are kept, or both are lost. Needed.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    data: PathBuf,
    /// The file with the token of those who may move slices: the coordinators. Needed; 16 to 4,096 bytes.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    token_file: PathBuf,
    /// Where the coordinators' admin APIs are, `http://HOST:PORT`, 1 to 8. Needed.
    coordinators: Vec<String>,
    /// The file with the token of that API. Needed.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    coordinator_token_file: PathBuf,
    /// The path under which the application has `export`, `import`, `activate` and `drop`. Default /.ambidex/app/v1; source: ours.
    #[serde(default = "prefix")]
    prefix: String,
    /// How long the application may take for one of those, or for a write, 1s to 5m. Default 30s; source: ours, as long as a proxy's
    /// usual patience.
    #[serde(default = "timeout")]
    timeout: Span,
    /// How many requests the application works on at once, 1 to 65536: by it the agent tells how full the worker is. Default: one for
    /// each processor of the machine; source: ours.
    #[serde(default)]
    concurrency: Option<u32>,
    /// The instance of Redis or Valkey that is the application, which then needs no endpoints. Default: none; source: most
    /// applications are not.
    #[serde(default)]
    redis: Option<InstanceConfig>,
}

/// Why a worker cannot hold slices so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardsConfigError {
    /// None, or too many.
    #[error("shards.keyspaces names {0}: write 1 to {MOST_KEYSPACES}")]
    Keyspaces(usize),
    /// What cannot be a keyspace.
    #[error(
        "shards.keyspaces `{0}` is not a name: 1 to 63 letters, digits, `-`, `_` and `.`, the first a letter or a digit"
    )]
    Keyspace(String),
    /// What cannot be a worker.
    #[error("shards.name `{0}` is not what coordinators call a worker: its `name` in their pool, else its URL there")]
    Name(String),
    /// One twice.
    #[error("shards.keyspaces names `{0}` twice")]
    Twice(String),
    /// None, or too many.
    #[error("shards.coordinators names {0}: write 1 to {MOST_COORDINATORS}")]
    Coordinators(usize),
    /// Not a URL of ours.
    #[error("shards.coordinators `{0}` is not such as `http://10.0.0.7:9901`")]
    Coordinator(String),
    /// Not a path.
    #[error(
        "shards.prefix `{0}` is not a path such as `/.ambidex/app/v1`: it begins with `/`, does not end with it, and is not only that"
    )]
    Prefix(String),
    /// No address.
    #[error("shards.redis.address `{0}` is not HOST:PORT, such as 127.0.0.1:6379")]
    Instance(String),
    /// None could be moved, or one for too long.
    #[error("shards.redis.max_value {0} is not between 64KiB and 64MiB")]
    MaxValue(Size),
    /// Too short or too long.
    #[error("shards.timeout {0} is not between 1s and 5m")]
    Timeout(Span),
    /// None, or more than can be.
    #[error("shards.concurrency {0} is not between 1 and {MOST_CONCURRENCY}")]
    Concurrency(u32),
}

impl ShardsConfig {
    /// How many requests the application works on at once.
    #[must_use]
    pub fn places(&self) -> u32 {
        let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.concurrency.unwrap_or_else(|| u32::try_from(processors()).unwrap_or(1))
    }

    /// Takes relative paths as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        for path in [&mut self.data, &mut self.token_file, &mut self.coordinator_token_file] {
            *path = folder.join(&*path);
        }
        if let Some(file) = self.redis.as_mut().and_then(|redis| redis.password_file.as_mut()) {
            *file = folder.join(&*file);
        }
    }
}

impl TryFrom<RawShards> for ShardsConfig {
    type Error = ShardsConfigError;

    fn try_from(raw: RawShards) -> Result<Self, ShardsConfigError> {
        let RawShards {
            keyspaces,
            listen,
            name,
            data,
            token_file,
            coordinators,
            coordinator_token_file,
            prefix,
            timeout,
            concurrency,
            redis,
        } = raw;
        if !(1..=MOST_KEYSPACES).contains(&keyspaces.len()) {
            return Err(ShardsConfigError::Keyspaces(keyspaces.len()));
        }
        if let Some(other) = keyspaces.iter().find(|name| read_name(name.as_bytes()).is_none()) {
            return Err(ShardsConfigError::Keyspace(other.clone()));
        }
        if name.is_empty() || name.len() > MOST_NAME_BYTES || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ShardsConfigError::Name(name));
        }
        if let Some(twice) = keyspaces.iter().enumerate().find(|(at, name)| keyspaces[..*at].contains(name)) {
            return Err(ShardsConfigError::Twice(twice.1.clone()));
        }
        if !(1..=MOST_COORDINATORS).contains(&coordinators.len()) {
            return Err(ShardsConfigError::Coordinators(coordinators.len()));
        }
        let url = |url: &String| {
            let place =
                url.strip_prefix("http://").map(|rest| rest.trim_end_matches('/').parse::<http::uri::Authority>());
            place.is_some_and(|place| place.is_ok_and(|place| place.port().is_some()))
        };
        if let Some(other) = coordinators.iter().find(|one| !url(one)) {
            return Err(ShardsConfigError::Coordinator(other.clone()));
        }
        if !prefix.starts_with('/') || prefix.ends_with('/') || prefix.parse::<http::uri::PathAndQuery>().is_err() {
            return Err(ShardsConfigError::Prefix(prefix));
        }
        if !(Span::from_secs(1)..=Span::from_secs(300)).contains(&timeout) {
            return Err(ShardsConfigError::Timeout(timeout));
        }
        if let Some(wrong) = concurrency.filter(|places| !(1..=MOST_CONCURRENCY).contains(places)) {
            return Err(ShardsConfigError::Concurrency(wrong));
        }
        if let Some(redis) = &redis {
            let place = redis.address.parse::<http::uri::Authority>().is_ok_and(|place| place.port().is_some());
            if !place || redis.address.contains('@') {
                return Err(ShardsConfigError::Instance(redis.address.clone()));
            }
            if !(Size::kib(64)..=Size::mib(64)).contains(&redis.max_value) {
                return Err(ShardsConfigError::MaxValue(redis.max_value));
            }
        }
        Ok(Self {
            keyspaces,
            listen,
            name,
            data,
            token_file,
            coordinators,
            coordinator_token_file,
            prefix,
            timeout,
            concurrency,
            redis,
        })
    }
}

impl From<ShardsConfig> for RawShards {
    fn from(config: ShardsConfig) -> Self {
        let ShardsConfig {
            keyspaces,
            listen,
            name,
            data,
            token_file,
            coordinators,
            coordinator_token_file,
            prefix,
            timeout,
            concurrency,
            redis,
        } = config;
        Self {
            keyspaces,
            listen,
            name,
            data,
            token_file,
            coordinators,
            coordinator_token_file,
            prefix,
            timeout,
            concurrency,
            redis,
        }
    }
}

fn prefix() -> String {
    "/.ambidex/app/v1".to_owned()
}

fn timeout() -> Span {
    Span::from_secs(30)
}

/// Source: ours; each is read from a file of configuration.
const MOST_KEYSPACES: usize = 16;
/// Source: ours; as many as an election has.
const MOST_COORDINATORS: usize = 8;
/// Source: ours; more are a mistake.
const MOST_CONCURRENCY: u32 = 65_536;
/// Source: as of heartbeats' names.
const MOST_NAME_BYTES: usize = 255;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(change: impl FnOnce(&mut Value)) -> Result<ShardsConfig, serde_json::Error> {
        let mut raw = json!({"keyspaces": ["carts"], "listen": "127.0.0.1:0", "name": "a", "data": "held", "token_file": "t",
            "coordinators": ["http://127.0.0.1:9901"], "coordinator_token_file": "c"});
        change(&mut raw);
        serde_json::from_value(raw)
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        let config = read(|_| {}).expect("right");
        assert_eq!((config.prefix.as_str(), config.timeout), ("/.ambidex/app/v1", Span::from_secs(30)));
        let text = serde_json::to_string(&config).expect("text");
        assert_eq!(serde_json::from_str::<ShardsConfig>(&text).expect("right"), config);
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (field, value, told) in [
            ("keyspaces", json!([]), "names 0"),
            ("keyspaces", json!(["a", "a"]), "names `a` twice"),
            ("keyspaces", json!(["a/b"]), "`a/b` is not a name"),
            ("name", json!(""), "shards.name `` is not what coordinators call a worker"),
            ("name", json!("a b"), "shards.name `a b` is not"),
            ("coordinators", json!([]), "names 0"),
            ("coordinators", json!(["10.0.0.7:9901"]), "is not such as"),
            ("coordinators", json!(["https://10.0.0.7:9901"]), "is not such as"),
            ("prefix", json!("/"), "is not a path"),
            ("prefix", json!("app"), "is not a path"),
            ("timeout", json!("10m"), "is not between 1s and 5m"),
            ("concurrency", json!(0), "shards.concurrency 0 is not between 1 and 65536"),
            ("redis", json!({"address": "redis"}), "is not HOST:PORT"),
            ("redis", json!({"address": "a:1", "max_value": "1GiB"}), "is not between 64KiB and 64MiB"),
            ("redis", json!({"address": "a:1", "db": 1}), "unknown field `db`"),
        ] {
            let error = read(|raw| raw[field] = value.clone()).expect_err(told).to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
