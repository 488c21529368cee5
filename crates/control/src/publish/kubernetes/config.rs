//! `kubernetes:` of a publisher: which HTTPRoute goes by the weights of which pool, and how its API server is asked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ambidex_core::plan::Mode;
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{KubernetesAccess, KubernetesError, kubernetes_name};

/// A publisher for HTTPRoutes of one namespace. Checked while it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawRoutes", into = "RawRoutes")]
pub struct KubernetesConfig {
    /// Pools by HTTPRoute.
    pub routes: BTreeMap<Arc<str>, Arc<str>>,
    /// Whether anything is changed.
    pub mode: Mode,
    /// The routes' namespace; `None` is the one that we run in.
    pub namespace: Option<Arc<str>>,
    /// Whether rules that somebody else set are taken over.
    pub force: bool,
    /// Least pause between two changes of a route.
    pub every: Span,
    /// The change of a weight that is worth one.
    pub step: Share,
    /// How the API server is asked.
    pub access: KubernetesAccess,
}

/// Why a publisher for HTTPRoutes cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoutesError {
    /// Nothing to carry.
    #[error("no routes: say which HTTPRoute goes by which pool, such as `routes: {{shop: api}}`")]
    NoRoutes,
    /// Too often, or too rarely to help.
    #[error("every {0} is not between 1s and 1h: each change goes through the API server to all who watch it")]
    Every(Span),
    /// A name, or the server.
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KubernetesConfig")]
struct RawRoutes {
    /// Which HTTPRoute goes by the weights of which pool: `{shop: api}`. Its backends are the services that the pool's
    /// `kubernetes` sources name.
    routes: BTreeMap<Arc<str>, Arc<str>>,
    /// `apply` sets the backends' weights; `observe` shows what it would set. Default `apply`; source: who names a route
    /// here wants it steered.
    #[serde(default)]
    mode: Mode,
    /// The routes' namespace. Default: the one that this process runs in; source: Kubernetes' own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    /// Whether rules that another field manager set are taken over from it. Default false; source: what somebody else sets
    /// is theirs until said otherwise.
    #[serde(default)]
    force: bool,
    /// Least pause between two changes of a route, 1s to 1h; when a service must get nothing more, a tenth of it. Default
    /// 10s; source: ours, all who carry the route out hear of each change.
    #[serde(default = "ten_seconds")]
    every: Span,
    /// The change of some weight that is worth it, as a part of the weight. Default 10%; source: ours, three of the loop's
    /// dead bands.
    #[serde(default = "tenth")]
    step: Share,
    /// The API server. Default `https://kubernetes.default.svc`; source: Kubernetes' name for it in every cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    /// File with the token that is shown there. Default: the service account's; source: where Kubernetes puts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    token_file: Option<PathBuf>,
    /// File with the certificates of who signs for it. Default: the service account's; source: where Kubernetes puts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    ca_file: Option<PathBuf>,
}

fn ten_seconds() -> Span {
    Span::from_secs(10)
}

fn tenth() -> Share {
    Share::percent(10)
}

impl TryFrom<RawRoutes> for KubernetesConfig {
    type Error = RoutesError;

    fn try_from(raw: RawRoutes) -> Result<Self, RoutesError> {
        let RawRoutes { routes, mode, namespace, force, every, step, server, token_file, ca_file } = raw;
        if routes.is_empty() {
            return Err(RoutesError::NoRoutes);
        }
        for route in routes.keys() {
            kubernetes_name(route)?;
        }
        if !(Span::from_secs(1)..=Span::from_secs(3_600)).contains(&every) {
            return Err(RoutesError::Every(every));
        }
        let namespace = namespace.as_deref().map(kubernetes_name).transpose()?;
        let access = KubernetesAccess::new(server.as_deref(), token_file, ca_file)?;
        Ok(Self { routes, mode, namespace, force, every, step, access })
    }
}

impl From<KubernetesConfig> for RawRoutes {
    fn from(checked: KubernetesConfig) -> Self {
        let KubernetesConfig { routes, mode, namespace, force, every, step, access } = checked;
        let (server, token_file, ca_file) = access.written();
        let namespace = namespace.map(|namespace| namespace.to_string());
        Self { routes, mode, namespace, force, every, step, server, token_file, ca_file }
    }
}

impl KubernetesConfig {
    /// The pools that its keys name, each with where.
    pub(crate) fn pools(&self) -> Vec<(String, &str)> {
        self.routes.iter().map(|(route, pool)| (format!("routes.{route}"), &**pool)).collect()
    }

    /// Takes relative paths as beside `folder`.
    pub(crate) fn beside(&mut self, folder: &Path) {
        self.access.beside(folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_with_what_would() {
        for (text, wanted) in [
            ("{routes: {}}", "such as `routes: {shop: api}`"),
            ("{routes: {Shop: api}}", "no name of Kubernetes'"),
            ("{routes: {shop: api}, every: 1ms}", "between 1s and 1h"),
            ("{routes: {shop: api}, server: 'http://10.0.0.1:80'}", "such as `kubectl proxy`"),
        ] {
            let error = serde_saphyr::from_str::<KubernetesConfig>(text).expect_err("cannot work").to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }
}
