//! `haproxy:` of a publisher: where its runtime API is, and which backend has the workers of which pool.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use ambidex_core::plan::Mode;
use ambidex_core::time::Span;
use ambidex_haproxy::RuntimeApi;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A publisher for one HAProxy process. Checked while it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawHaproxy")]
pub struct HaproxyConfig {
    /// Its runtime API.
    #[serde(serialize_with = "in_text")]
    #[schemars(with = "String")]
    pub address: RuntimeApi,
    /// Whether anything is changed there.
    pub mode: Mode,
    /// Pools by backend.
    pub backends: BTreeMap<Arc<str>, Arc<str>>,
    /// Pause between two looks.
    pub every: Span,
    /// Longest wait for a whole answer.
    pub timeout: Span,
    /// The zone that its requests come from.
    pub zone: Option<Arc<str>>,
}

/// Why a publisher for HAProxy cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HaproxyError {
    /// Neither a path nor an address.
    #[error("address `{0}` is no runtime API: write `unix:/run/haproxy/admin.sock` or `127.0.0.1:9999`")]
    Address(String),
    /// Nothing to carry.
    #[error("no backends: say which backend has the workers of which pool, such as `backends: {{app: api}}`")]
    NoBackends,
    /// More than are asked for at once.
    #[error("{0} backends: one publisher asks for at most {MOST_BACKENDS}; part them among several")]
    TooManyBackends(usize),
    /// A name that would be another command.
    #[error("`{0}` is no name of a backend: HAProxy's have letters, digits, `-`, `_`, `.` and `:` only")]
    Backend(String),
    /// Too often, or too rarely to learn from.
    #[error("every {0} is not between 100ms and 1m")]
    Every(Span),
    /// Nothing, or longer than anybody waits.
    #[error("timeout {0} is not between 10ms and 1m")]
    Timeout(Span),
    /// A zone without a name.
    #[error("zone is empty: write the name that workers there have as their `zone`, or leave it out")]
    NoZone,
}

impl HaproxyConfig {
    /// The pools that its keys name, each with where.
    pub(crate) fn pools(&self) -> Vec<(String, &str)> {
        self.backends.iter().map(|(backend, pool)| (format!("backends.{backend}"), &**pool)).collect()
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "HaproxyConfig")]
struct RawHaproxy {
    /// Its runtime API, as `stats socket` in its `global` section says, with `level admin`: `unix:/run/haproxy/admin.sock`
    /// or `127.0.0.1:9999`.
    address: String,
    /// `apply` sets weights and drains; `observe` shows what it would do. Default `apply`; source: who names a proxy here
    /// wants it steered.
    #[serde(default)]
    mode: Mode,
    /// Which backend has the workers of which pool: `{app: api}` for workers of pool `api` in backend `app`.
    backends: BTreeMap<Arc<str>, Arc<str>>,
    /// Pause between two looks, 100ms to 1m: weights are set no more often. Default 1s; source: the slow loop's tick.
    #[serde(default = "second")]
    every: Span,
    /// Longest wait for a whole answer, 10ms to 1m. Default 2s; source: ours, 10,000 servers are told in half a second.
    #[serde(default = "two_seconds")]
    timeout: Span,
    /// The zone that requests through this HAProxy come from: pools with `zones` want to know. Default none; source: a pool
    /// minds no zones unless it is told to.
    #[serde(default)]
    zone: Option<Arc<str>>,
}

fn second() -> Span {
    Span::from_secs(1)
}

fn two_seconds() -> Span {
    Span::from_secs(2)
}

impl TryFrom<RawHaproxy> for HaproxyConfig {
    type Error = HaproxyError;

    fn try_from(raw: RawHaproxy) -> Result<Self, HaproxyError> {
        let RawHaproxy { address, mode, backends, every, timeout, zone } = raw;
        let address = runtime_api(&address)?;
        if backends.is_empty() {
            return Err(HaproxyError::NoBackends);
        }
        if backends.len() > MOST_BACKENDS {
            return Err(HaproxyError::TooManyBackends(backends.len()));
        }
        let spells =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c));
        if let Some(name) = backends.keys().find(|name| !spells(name)) {
            return Err(HaproxyError::Backend(name.to_string()));
        }
        if !(Span::from_millis(100)..=Span::from_secs(60)).contains(&every) {
            return Err(HaproxyError::Every(every));
        }
        if !(Span::from_millis(10)..=Span::from_secs(60)).contains(&timeout) {
            return Err(HaproxyError::Timeout(timeout));
        }
        if zone.as_deref() == Some("") {
            return Err(HaproxyError::NoZone);
        }
        Ok(Self { address, mode, backends, every, timeout, zone })
    }
}

/// Of a runtime API, written so that nobody takes a path for an address; no names, since nothing here waits for DNS.
fn runtime_api(text: &str) -> Result<RuntimeApi, HaproxyError> {
    let path = text.strip_prefix("unix:").filter(|path| !path.is_empty()).map(|path| RuntimeApi::Unix(path.into()));
    let tcp = || text.parse::<SocketAddr>().ok().map(|_| RuntimeApi::Tcp(text.into()));
    path.or_else(tcp).ok_or_else(|| HaproxyError::Address(text.to_owned()))
}

fn in_text<S: serde::Serializer>(address: &RuntimeApi, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(address)
}

/// Backends that one publisher asks for at once: their names must fit a command line of HAProxy's buffer (16 KiB).
/// Source: ours.
const MOST_BACKENDS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<HaproxyConfig, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        let config = read("{address: 'unix:/run/haproxy/admin.sock', backends: {app: api}}").expect("sound");
        let wanted = (Mode::Apply, Span::from_secs(1), Span::from_secs(2));
        assert_eq!((config.mode, config.every, config.timeout), wanted);
        assert_eq!(config.address, RuntimeApi::Unix("/run/haproxy/admin.sock".into()));
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_would() {
        for (text, wanted) in [
            ("{address: /run/haproxy.sock, backends: {app: api}}", "write `unix:/run/haproxy/admin.sock`"),
            ("{address: 'localhost:9999', backends: {app: api}}", "write `unix:/run/haproxy/admin.sock`"),
            ("{address: '127.0.0.1:9999', backends: {}}", "such as `backends: {app: api}`"),
            ("{address: '127.0.0.1:9999', backends: {'app;disable server app/a': api}}", "is no name of a backend"),
            ("{address: '127.0.0.1:9999', backends: {app: api}, every: 1ms}", "between 100ms and 1m"),
            ("{address: '127.0.0.1:9999', backends: {app: api}, timeout: 0s}", "between 10ms and 1m"),
        ] {
            let error = read(text).expect_err("cannot work");
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
