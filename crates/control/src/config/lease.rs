//! `kubernetes:` of an election: the Lease by which coordinators agree, and how its API server is asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ambidex_core::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kubernetes::{KubernetesAccess, KubernetesError, kubernetes_name};

/// A Lease of Kubernetes' by which coordinators agree who leads. Checked while it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawLease", into = "RawLease")]
pub struct LeaseConfig {
    /// Its namespace; `None` is the one that we run in.
    pub namespace: Option<Arc<str>>,
    /// Its name. What the next leader must know is a ConfigMap called `NAME-state`.
    pub name: Arc<str>,
    /// How long an answer may take.
    pub timeout: Span,
    /// How the API server is asked.
    pub access: KubernetesAccess,
}

/// Why nobody can be elected by a Lease so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// A length of time that makes no sense.
    #[error("timeout: {0} is outside 10ms to 30s")]
    Timeout(Span),
    /// A name whose ConfigMap could not be called after it.
    #[error("name: `{0}` leaves no room for `{STATE}` after it: at most {MOST_NAME} characters")]
    Name(String),
    /// A name, or the server.
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ElectionLease")]
struct RawLease {
    /// Name of the Lease: the same in the files of all coordinators that agree, and of nobody else. What the next leader must
    /// know is a ConfigMap called `NAME-state`. Default `ambidex`; source: ours.
    #[serde(default = "default_name")]
    name: String,
    /// The namespace of both. Default: the one that this process runs in; source: Kubernetes' own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
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
    /// How long an answer may take, connecting included, 10ms to 30s; then the API server counts as away. Default 1s; source:
    /// Kubernetes' own goal for an answer about one object.
    #[serde(default = "default_timeout")]
    #[schemars(with = "String", default)]
    timeout: Span,
}

fn default_name() -> String {
    "ambidex".to_owned()
}

const fn default_timeout() -> Span {
    Span::from_secs(1)
}

impl TryFrom<RawLease> for LeaseConfig {
    type Error = LeaseError;

    fn try_from(raw: RawLease) -> Result<Self, LeaseError> {
        let RawLease { name, namespace, server, token_file, ca_file, timeout } = raw;
        if !(Span::from_millis(10)..=Span::from_secs(30)).contains(&timeout) {
            return Err(LeaseError::Timeout(timeout));
        }
        if name.len() > MOST_NAME {
            return Err(LeaseError::Name(name));
        }
        Ok(Self {
            name: kubernetes_name(&name)?,
            namespace: namespace.as_deref().map(kubernetes_name).transpose()?,
            timeout,
            access: KubernetesAccess::new(server.as_deref(), token_file, ca_file)?,
        })
    }
}

impl From<LeaseConfig> for RawLease {
    fn from(checked: LeaseConfig) -> Self {
        let LeaseConfig { namespace, name, timeout, access } = checked;
        let (server, token_file, ca_file) = access.written();
        let text = |text: Arc<str>| text.to_string();
        Self { name: text(name), namespace: namespace.map(text), server, token_file, ca_file, timeout }
    }
}

impl LeaseConfig {
    /// What the ConfigMap is called that holds what the next leader must know.
    #[must_use]
    pub fn state(&self) -> String {
        format!("{}{STATE}", self.name)
    }

    /// Takes relative paths as beside `folder`.
    pub(crate) fn beside(&mut self, folder: &Path) {
        self.access.beside(folder);
    }
}

/// What is put after the Lease's name.
const STATE: &str = "-state";
/// Kubernetes' own bound of names, without that.
const MOST_NAME: usize = 253 - STATE.len();

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<LeaseConfig, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn in_a_pod_nothing_needs_to_be_said() {
        let lease = read("{}").expect("sound");
        assert_eq!((&*lease.name, &*lease.state()), ("ambidex", "ambidex-state"));
        assert_eq!(lease.access.server.to_string(), "https://kubernetes.default.svc");
        let written = serde_json::to_string(&lease).expect("plain data");
        assert_eq!(written, r#"{"name":"ambidex","timeout":"1s"}"#);
        assert_eq!(read(&written), Ok(lease));
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_would() {
        for (json, reason) in [
            (r#"{"name":"a/b"}"#.to_owned(), "no name of Kubernetes'"),
            (format!(r#"{{"name":"{}"}}"#, "a".repeat(250)), "leaves no room for `-state`"),
            (r#"{"namespace":"Shop"}"#.to_owned(), "no name of Kubernetes'"),
            (r#"{"server":"http://10.0.0.1:8001"}"#.to_owned(), "such as `kubectl proxy`"),
            (r#"{"timeout":"1ms"}"#.to_owned(), "timeout: 1ms"),
            (r#"{"lease":"a"}"#.to_owned(), "unknown field `lease`"),
        ] {
            let error = read(&json).expect_err(&json);
            assert!(error.contains(reason), "{json}: {error}");
        }
    }
}
