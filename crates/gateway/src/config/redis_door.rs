//! A listener of RESP: which keyspace its clients' keys are of, and what lets them in.

use std::path::PathBuf;

use ambidex_core::shard::keyspace::KeyspaceName;
use ambidex_core::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ListenerError;

/// Checked settings of a listener's RESP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRedisDoor", into = "RawRedisDoor")]
pub struct RedisDoor {
    pub(crate) keyspace: KeyspaceName,
    pub(crate) password_file: Option<PathBuf>,
    pub(crate) timeout: Span,
}

/// Clients of Redis and Valkey: a listener that speaks RESP in place of HTTP. See docs/redis.md.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RedisDoor")]
struct RawRedisDoor {
    /// The keyspace that their keys are of: one with `key: redis`.
    keyspace: KeyspaceName,
    /// The file with the password that clients must say (`AUTH`, or `HELLO .. AUTH default ..`). Default: anybody is let in;
    /// source: listeners of HTTP ask for none either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    password_file: Option<PathBuf>,
    /// How long a command may take, waiting included, 10ms to 5m; then nobody knows whether it was run. Default 5s; source: what clients
    /// of Redis commonly wait.
    #[serde(default = "five_seconds")]
    #[schemars(with = "String")]
    timeout: Span,
}

const fn five_seconds() -> Span {
    Span::from_secs(5)
}

impl RedisDoor {
    /// Which keyspace it leads to.
    #[must_use]
    pub fn keyspace(&self) -> &KeyspaceName {
        &self.keyspace
    }
}

impl TryFrom<RawRedisDoor> for RedisDoor {
    type Error = ListenerError;

    fn try_from(raw: RawRedisDoor) -> Result<Self, ListenerError> {
        let RawRedisDoor { keyspace, password_file, timeout } = raw;
        if !(Span::from_millis(10)..=Span::from_secs(300)).contains(&timeout) {
            let value = timeout.to_string();
            return Err(ListenerError::Range { key: "redis.timeout", value, range: "10ms to 5m" });
        }
        Ok(Self { keyspace, password_file, timeout })
    }
}

impl From<RedisDoor> for RawRedisDoor {
    fn from(checked: RedisDoor) -> Self {
        let RedisDoor { keyspace, password_file, timeout } = checked;
        Self { keyspace, password_file, timeout }
    }
}

impl JsonSchema for RedisDoor {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawRedisDoor::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawRedisDoor::json_schema(generator)
    }
}
