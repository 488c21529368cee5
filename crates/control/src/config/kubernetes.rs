//! Where a Kubernetes API server is and what is asked of it: `kubernetes:` among a pool's workers, and of a publisher.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::worker_url::{Host, Scheme, WorkerUrl};

/// The workers of a pool are the ready endpoints of a service. Checked while it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawService", into = "RawService")]
pub struct KubernetesService {
    /// The service's name.
    pub service: Arc<str>,
    /// Its namespace; `None` is the one that we run in.
    pub namespace: Option<Arc<str>>,
    /// Its port, by name or number; `None` where it has only one.
    pub port: Option<Arc<str>>,
    /// Whether its workers speak TLS.
    pub https: bool,
    /// How it is asked.
    pub access: KubernetesAccess,
}

/// How an API server is reached, and what is shown there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesAccess {
    /// Where it is.
    pub server: WorkerUrl,
    /// Whose file holds the token that is shown; `None` for a server without TLS, which is shown none.
    pub token_file: Option<PathBuf>,
    /// Who signs its certificate.
    pub ca_file: PathBuf,
}

/// Why something of Kubernetes cannot be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KubernetesError {
    /// A name that would be another path.
    #[error("`{0}` is no name of Kubernetes': lower-case letters, digits, `-` and `.` only, at most 253")]
    Name(String),
    /// A port that is none.
    #[error("`{0}` is no port of a service: write its number, or its name in lower case")]
    Port(String),
    /// The API server's URL is none.
    #[error("server: {0}")]
    Server(String),
    /// A token would be readable on the way.
    #[error("server {0} speaks no TLS: only one on this machine, such as `kubectl proxy`, may do so")]
    Plain(String),
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KubernetesService")]
struct RawService {
    /// Name of the service whose ready endpoints are workers.
    service: String,
    /// Its namespace. Default: the one that this process runs in; source: Kubernetes' own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    /// Its port, by name or number. Default: its only one; source: ours, nobody guesses among several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    port: Option<String>,
    /// Whether its workers speak TLS. Default false; source: pods do not, as a rule.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    https: bool,
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

impl KubernetesService {
    /// What it is called in logs and on pages.
    #[must_use]
    pub fn label(&self) -> String {
        let port = self.port.as_ref().map_or_else(String::new, |port| format!(":{port}"));
        match &self.namespace {
            Some(namespace) => format!("kubernetes:{namespace}/{}{port}", self.service),
            None => format!("kubernetes:{}{port}", self.service),
        }
    }
}

impl KubernetesAccess {
    /// Checks what a file says of it.
    ///
    /// # Errors
    /// The server's URL cannot be used.
    pub fn new(
        server: Option<&str>,
        token_file: Option<PathBuf>,
        ca_file: Option<PathBuf>,
    ) -> Result<Self, KubernetesError> {
        let server: WorkerUrl = server
            .unwrap_or(SERVER)
            .parse()
            .map_err(|why: super::UrlError| KubernetesError::Server(why.to_string()))?;
        let on_this_machine = match server.host() {
            Host::Ip(address) => address.ip().is_loopback(),
            Host::Unix(_) => return Err(KubernetesError::Server(format!("`{server}` is a path: write a URL"))),
            Host::Name(name, _) => &**name == "localhost",
        };
        let token_file = match (server.scheme(), on_this_machine) {
            (Scheme::Https, _) => Some(token_file.unwrap_or_else(|| Path::new(ACCOUNT).join("token"))),
            (Scheme::Http, true) if token_file.is_some() => {
                return Err(KubernetesError::Server(format!(
                    "{server} speaks no TLS, so no token is shown there: drop `token_file`"
                )));
            }
            (Scheme::Http, true) => None,
            (Scheme::Http, false) => return Err(KubernetesError::Plain(server.to_string())),
        };
        let ca_file = ca_file.unwrap_or_else(|| Path::new(ACCOUNT).join("ca.crt"));
        Ok(Self { server, token_file, ca_file })
    }

    /// Takes relative paths as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        if let Some(token) = &mut self.token_file {
            *token = folder.join(&token);
        }
        self.ca_file = folder.join(&self.ca_file);
    }

    /// As a file says it: server, token and certificates, each only where it is not the default.
    #[must_use]
    pub fn written(&self) -> (Option<String>, Option<PathBuf>, Option<PathBuf>) {
        let unless = |path: &Path, default: &str| (path != Path::new(ACCOUNT).join(default)).then(|| path.to_owned());
        let server = (&**self.server.text() != SERVER).then(|| self.server.to_string());
        let token = self.token_file.as_deref().and_then(|path| unless(path, "token"));
        (server, token, unless(&self.ca_file, "ca.crt"))
    }
}

/// Checks a name that becomes a part of a path.
///
/// # Errors
/// It could not be one of Kubernetes'.
pub fn kubernetes_name(text: &str) -> Result<Arc<str>, KubernetesError> {
    let spells = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if begins && text.len() <= MOST_NAME && text.chars().all(spells) {
        Ok(text.into())
    } else {
        Err(KubernetesError::Name(text.to_owned()))
    }
}

impl TryFrom<RawService> for KubernetesService {
    type Error = KubernetesError;

    fn try_from(raw: RawService) -> Result<Self, KubernetesError> {
        let RawService { service, namespace, port, https, server, token_file, ca_file } = raw;
        let spells = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if let Some(port) = port.as_ref().filter(|port| port.is_empty() || !port.chars().all(spells)) {
            return Err(KubernetesError::Port(port.clone()));
        }
        Ok(Self {
            service: kubernetes_name(&service)?,
            namespace: namespace.as_deref().map(kubernetes_name).transpose()?,
            port: port.map(Into::into),
            https,
            access: KubernetesAccess::new(server.as_deref(), token_file, ca_file)?,
        })
    }
}

impl From<KubernetesService> for RawService {
    fn from(checked: KubernetesService) -> Self {
        let KubernetesService { service, namespace, port, https, access } = checked;
        let (server, token_file, ca_file) = access.written();
        let text = |text: Arc<str>| text.to_string();
        Self {
            service: text(service),
            namespace: namespace.map(text),
            port: port.map(text),
            https,
            server,
            token_file,
            ca_file,
        }
    }
}

/// Where Kubernetes puts what a pod shows to the API server.
pub(crate) const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const SERVER: &str = "https://kubernetes.default.svc";
/// Kubernetes' own bound of names.
const MOST_NAME: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<KubernetesService, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_not_said_is_what_kubernetes_gives_each_pod() {
        let service = read(r#"{"service":"api"}"#).expect("sound");
        let access = &service.access;
        assert_eq!(access.server.to_string(), "https://kubernetes.default.svc");
        assert_eq!(access.token_file.as_deref(), Some(&*Path::new(ACCOUNT).join("token")));
        assert_eq!(serde_json::to_string(&service).expect("plain data"), r#"{"service":"api"}"#);
    }

    #[test]
    fn what_was_said_is_written_as_it_was() {
        let json = r#"{"service":"api","namespace":"shop","port":"http","https":true,"server":"https://10.0.0.1:6443","token_file":"token","ca_file":"ca.pem"}"#;
        assert_eq!(serde_json::to_string(&read(json).expect("sound")).expect("plain data"), json);
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_would() {
        for (json, reason) in [
            (r#"{"service":"a/../b"}"#, "no name of Kubernetes'"),
            (r#"{"service":"api","namespace":"Shop"}"#, "no name of Kubernetes'"),
            (r#"{"service":"api","port":"http/1"}"#, "write its number"),
            (r#"{"service":"api","server":"http://10.0.0.1:8001"}"#, "such as `kubectl proxy`"),
            (r#"{"service":"api","server":"10.0.0.1"}"#, "server: "),
            (r#"{"service":"api","server":"http://127.0.0.1:8001","token_file":"t"}"#, "drop `token_file`"),
        ] {
            let error = read(json).expect_err(json);
            assert!(error.contains(reason), "{json}: {error}");
        }
    }
}
