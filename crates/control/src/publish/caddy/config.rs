//! `caddy:` of a publisher: where its admin API is, and which of its handlers have the workers of which pool.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use ambidex_core::plan::Mode;
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A publisher for one Caddy. Checked while it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawCaddy")]
pub struct CaddyConfig {
    /// Its admin API.
    #[schemars(with = "String")]
    pub address: SocketAddr,
    /// Whether anything is changed there.
    pub mode: Mode,
    /// Pools by the path of a `reverse_proxy` handler in the admin API.
    pub handlers: BTreeMap<Arc<str>, Arc<str>>,
    /// Least pause between two changes.
    pub every: Span,
    /// The change of a weight that is worth one.
    pub step: Share,
    /// Longest wait for a whole answer.
    pub timeout: Span,
}

/// Why a publisher for Caddy cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaddyError {
    /// Nothing to carry.
    #[error("no handlers: say which handler has the workers of which pool, such as `handlers: {{/id/app: api}}`")]
    NoHandlers,
    /// A path that is none of its configuration.
    #[error(
        "`{0}` is no path of a handler: write `/id/NAME` of one with `\"@id\": \"NAME\"`, or \
         `/config/apps/http/servers/srv0/routes/0/handle/0`"
    )]
    Path(String),
    /// Too often, or too rarely to help.
    #[error("every {0} is not between 1s and 1h: each change has Caddy load its configuration anew")]
    Every(Span),
    /// Nothing, or longer than anybody waits.
    #[error("timeout {0} is not between 10ms and 1m")]
    Timeout(Span),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CaddyConfig")]
struct RawCaddy {
    /// Its admin API: `admin` in its configuration, `127.0.0.1:2019` where nothing is said.
    #[schemars(with = "String")]
    address: SocketAddr,
    /// `apply` sets weights and upstreams; `observe` shows what it would do. Default `apply`; source: who names a proxy here
    /// wants it steered.
    #[serde(default)]
    mode: Mode,
    /// Which `reverse_proxy` handler has the workers of which pool, by its path in the admin API: `{/id/app: api}`.
    handlers: BTreeMap<Arc<str>, Arc<str>>,
    /// Least pause between two changes, 1s to 1h; when somebody comes or must get nothing more, a tenth of it. Default 10s;
    /// source: ours, with each change Caddy loads its configuration anew.
    #[serde(default = "ten_seconds")]
    every: Span,
    /// The change of some weight that is worth it, as a part of the weight. Default 10%; source: ours, three of the loop's
    /// dead bands.
    #[serde(default = "tenth")]
    step: Share,
    /// Longest wait for a whole answer, 10ms to 1m. Default 10s; source: ours, Caddy answers once it has loaded everything.
    #[serde(default = "ten_seconds")]
    timeout: Span,
}

fn ten_seconds() -> Span {
    Span::from_secs(10)
}

fn tenth() -> Share {
    Share::percent(10)
}

impl TryFrom<RawCaddy> for CaddyConfig {
    type Error = CaddyError;

    fn try_from(raw: RawCaddy) -> Result<Self, CaddyError> {
        let RawCaddy { address, mode, handlers, every, step, timeout } = raw;
        if handlers.is_empty() {
            return Err(CaddyError::NoHandlers);
        }
        let spells = |path: &str| {
            let rest = path.strip_prefix("/id/").or_else(|| path.strip_prefix("/config/"));
            rest.is_some_and(|rest| {
                !rest.is_empty() && rest.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:~".contains(c))
            })
        };
        if let Some(path) = handlers.keys().find(|path| !spells(path)) {
            return Err(CaddyError::Path(path.to_string()));
        }
        if !(Span::from_secs(1)..=Span::from_secs(3_600)).contains(&every) {
            return Err(CaddyError::Every(every));
        }
        if !(Span::from_millis(10)..=Span::from_secs(60)).contains(&timeout) {
            return Err(CaddyError::Timeout(timeout));
        }
        Ok(Self { address, mode, handlers, every, step, timeout })
    }
}

impl CaddyConfig {
    /// The pools that its keys name, each with where.
    pub(crate) fn pools(&self) -> Vec<(String, &str)> {
        self.handlers.iter().map(|(path, pool)| (format!("handlers.{path}"), &**pool)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_with_what_would() {
        for (text, wanted) in [
            ("{address: '127.0.0.1:2019', handlers: {}}", "such as `handlers: {/id/app: api}`"),
            ("{address: '127.0.0.1:2019', handlers: {/load: api}}", "is no path of a handler"),
            ("{address: '127.0.0.1:2019', handlers: {/id/a?b: api}}", "is no path of a handler"),
            ("{address: '127.0.0.1:2019', handlers: {/id/app: api}, every: 1ms}", "between 1s and 1h"),
            ("{address: '127.0.0.1:2019', handlers: {/id/app: api}, timeout: 0s}", "between 10ms and 1m"),
        ] {
            let error = serde_saphyr::from_str::<CaddyConfig>(text).expect_err("cannot work").to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
