//! Keys of an etcd whose values are workers: `etcd:` among a pool's workers.

use std::path::Path;

use ambidex_store::etcd::EtcdConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The workers of a pool are the values under a prefix. Checked while it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawEtcdKeys", into = "RawEtcdKeys")]
pub struct EtcdKeys {
    prefix: String,
    cluster: EtcdConfig,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "EtcdKeys")]
struct RawEtcdKeys {
    /// What the keys begin with, such as `/services/api/`. Each value is a worker's URL, or JSON with its `url` and what else
    /// an entry of `workers` may say.
    prefix: String,
    /// The etcd.
    cluster: EtcdConfig,
}

/// Why no workers can be found so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EtcdKeysError {
    /// All keys, or none.
    #[error(
        "prefix: `{0}` is none: 1 to {MOST_PREFIX} characters without control characters; end it with `/`, so that no key of \
         another name begins with it, too"
    )]
    Prefix(String),
}

impl TryFrom<RawEtcdKeys> for EtcdKeys {
    type Error = EtcdKeysError;

    fn try_from(raw: RawEtcdKeys) -> Result<Self, EtcdKeysError> {
        let RawEtcdKeys { prefix, cluster } = raw;
        if prefix.is_empty() || prefix.chars().count() > MOST_PREFIX || prefix.chars().any(char::is_control) {
            return Err(EtcdKeysError::Prefix(prefix));
        }
        Ok(Self { prefix, cluster })
    }
}

impl From<EtcdKeys> for RawEtcdKeys {
    fn from(checked: EtcdKeys) -> Self {
        let EtcdKeys { prefix, cluster } = checked;
        Self { prefix, cluster }
    }
}

impl JsonSchema for EtcdKeys {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawEtcdKeys::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawEtcdKeys::json_schema(generator)
    }
}

impl EtcdKeys {
    /// What the keys begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The etcd.
    #[must_use]
    pub const fn cluster(&self) -> &EtcdConfig {
        &self.cluster
    }

    /// What it is called in logs and on pages.
    #[must_use]
    pub fn label(&self) -> String {
        format!("etcd:{}", self.prefix)
    }

    /// Takes relative paths as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        self.cluster.beside(folder);
    }
}

/// Source: ours; a path of some folders.
const MOST_PREFIX: usize = 200;
