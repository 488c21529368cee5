//! `traefik:` of a publisher: where Traefik asks, and which of its services has the workers of which pool.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use ambidex_core::plan::Mode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A publisher for Traefiks. Checked while it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawTraefik")]
pub struct TraefikConfig {
    /// Where Traefiks ask.
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Whether they are told the decided weights, or those of the configuration.
    pub mode: Mode,
    /// Pools by service.
    pub services: BTreeMap<Arc<str>, Arc<str>>,
    /// The `serversTransport` of all services, if one is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// Whether others than this machine may ask without TLS.
    pub insecure: bool,
}

/// Why a publisher for Traefik cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraefikError {
    /// Nothing to tell.
    #[error("no services: say which service has the workers of which pool, such as `services: {{app: api}}`")]
    NoServices,
    /// A name that Traefik would read as another one.
    #[error("`{0}` is no name of a service: letters, digits, `-`, `_` and `.` only; Traefik adds `@http`")]
    Service(String),
    /// Others could read and change what is told.
    #[error(
        "listen {0} can be reached from other machines and speaks no TLS: listen on 127.0.0.1, or write `insecure: true` \
         where something else guards it"
    )]
    OffLoopback(SocketAddr),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "TraefikConfig")]
struct RawTraefik {
    /// Where Traefik asks: `providers: {http: {endpoint: "http://127.0.0.1:18081/"}}` in its static configuration.
    #[schemars(with = "String")]
    listen: SocketAddr,
    /// `apply` tells the decided weights; `observe` those of the configuration, and shows what would differ. Default
    /// `apply`; source: who names a proxy here wants it steered.
    #[serde(default)]
    mode: Mode,
    /// Which service has the workers of which pool: `{app: api}` makes `app@http` for Traefik's routers.
    services: BTreeMap<Arc<str>, Arc<str>>,
    /// Name of the `serversTransport` that the services use, such as `mine@file`. Default none; source: Traefik's.
    #[serde(default)]
    transport: Option<String>,
    /// Lets `listen` be reached from other machines without TLS. Default false; source: reliability.md row 17.
    #[serde(default)]
    insecure: bool,
}

impl TryFrom<RawTraefik> for TraefikConfig {
    type Error = TraefikError;

    fn try_from(raw: RawTraefik) -> Result<Self, TraefikError> {
        let RawTraefik { listen, mode, services, transport, insecure } = raw;
        if services.is_empty() {
            return Err(TraefikError::NoServices);
        }
        let spells =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if let Some(name) = services.keys().find(|name| !spells(name)) {
            return Err(TraefikError::Service(name.to_string()));
        }
        if !listen.ip().is_loopback() && !insecure {
            return Err(TraefikError::OffLoopback(listen));
        }
        Ok(Self { listen, mode, services, transport, insecure })
    }
}

impl TraefikConfig {
    /// The pools that its keys name, each with where.
    pub(crate) fn pools(&self) -> Vec<(String, &str)> {
        self.services.iter().map(|(service, pool)| (format!("services.{service}"), &**pool)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_with_what_would() {
        for (text, wanted) in [
            ("{listen: '127.0.0.1:1', services: {}}", "such as `services: {app: api}`"),
            ("{listen: '127.0.0.1:1', services: {app@file: api}}", "Traefik adds `@http`"),
            ("{listen: '0.0.0.0:1', services: {app: api}}", "or write `insecure: true`"),
        ] {
            let error = serde_saphyr::from_str::<TraefikConfig>(text).expect_err("cannot work").to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
