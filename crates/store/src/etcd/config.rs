//! Where etcd is, and how it may be spoken to: checked while it is read, by the same rules as a shared Redis
//! [reliability.md row 17].

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ambidex_core::time::Span;
use http::Uri;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Checked settings of an etcd cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawEtcd", into = "RawEtcd")]
pub struct EtcdConfig(RawEtcd);

/// An etcd cluster, 3.4 or later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Etcd")]
struct RawEtcd {
    /// Where its members are: `http://HOST:PORT`, `https://HOST:PORT` for TLS. One that does not answer is passed over.
    endpoints: Vec<String>,
    /// The user that is shown, where etcd asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// File with the user's password; read again at each sign-in, so that it may change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    password_file: Option<PathBuf>,
    /// Name of the environment variable with the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_env: Option<String>,
    /// PEM file of the authorities that are believed, for `https://`. Needed there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    ca: Option<PathBuf>,
    /// PEM file of the certificate that is shown, where etcd asks for one; its name stands for the user then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    cert: Option<PathBuf>,
    /// PEM file of that certificate's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    key: Option<PathBuf>,
    /// Allows an etcd on another machine without TLS, or without user and certificate. Default false; source:
    /// reliability.md row 17.
    #[serde(default)]
    insecure: bool,
    /// How long an answer may take, connecting included, 10ms to 30s; then that member counts as away. Default 1s; source:
    /// ours, twice what an election within etcd takes at its defaults.
    #[serde(default = "default_timeout")]
    #[schemars(with = "String", default)]
    timeout: Span,
}

const fn default_timeout() -> Span {
    Span::from_secs(1)
}

/// Why an etcd cannot be used as configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EtcdConfigError {
    /// Nobody to ask.
    #[error("endpoints: name at least one member, such as `http://127.0.0.1:2379`")]
    NoEndpoint,
    /// No such URL.
    #[error("endpoints: number {0} is no member of an etcd; write http://HOST:PORT or https://HOST:PORT")]
    Endpoint(usize),
    /// A password and nobody whose it is, or the other way round.
    #[error("`user` and one of `password_file` and `password_env` go together")]
    HalfUser,
    /// Two passwords.
    #[error("`password_file` and `password_env` exclude each other; keep one")]
    TwoPasswords,
    /// A certificate without its key, or the other way round.
    #[error("`cert` and `key` go together")]
    HalfCertificate,
    /// TLS that believes nobody.
    #[error("ca: https:// wants the PEM file of the authority that made etcd's certificates")]
    NoAuthority,
    /// Files for a connection without TLS.
    #[error("`ca`, `cert` and `key` are for https:// only")]
    FilesWithoutTls,
    /// In the clear over a network.
    #[error("endpoints: an etcd on another machine is spoken to over TLS: write https://, or say `insecure: true`")]
    Plain,
    /// Open to everybody.
    #[error(
        "an etcd on another machine wants a user: give `user` and `password_file`, or `cert` and `key`, or say `insecure: \
         true`"
    )]
    Open,
    /// A length of time that makes no sense.
    #[error("timeout: {0} is outside 10ms to 30s")]
    Timeout(Span),
}

impl TryFrom<RawEtcd> for EtcdConfig {
    type Error = EtcdConfigError;

    fn try_from(raw: RawEtcd) -> Result<Self, EtcdConfigError> {
        use EtcdConfigError as Error;
        if raw.endpoints.is_empty() {
            return Err(Error::NoEndpoint);
        }
        let mut tls = false;
        let mut away = false;
        let mut plain_away = false;
        for (at, endpoint) in raw.endpoints.iter().enumerate() {
            let uri = sound(endpoint).ok_or(Error::Endpoint(at + 1))?;
            let secure = uri.scheme_str() == Some("https");
            let local = uri.host().is_some_and(is_local);
            tls |= secure;
            away |= !local;
            plain_away |= !local && !secure;
        }
        let password = raw.password_file.is_some() || raw.password_env.is_some();
        if raw.password_file.is_some() && raw.password_env.is_some() {
            return Err(Error::TwoPasswords);
        }
        if raw.user.is_some() != password {
            return Err(Error::HalfUser);
        }
        if raw.cert.is_some() != raw.key.is_some() {
            return Err(Error::HalfCertificate);
        }
        if tls && raw.ca.is_none() {
            return Err(Error::NoAuthority);
        }
        if !tls && (raw.ca.is_some() || raw.cert.is_some()) {
            return Err(Error::FilesWithoutTls);
        }
        if plain_away && !raw.insecure {
            return Err(Error::Plain);
        }
        if away && raw.user.is_none() && raw.cert.is_none() && !raw.insecure {
            return Err(Error::Open);
        }
        if !(Span::from_millis(10)..=Span::from_secs(30)).contains(&raw.timeout) {
            return Err(Error::Timeout(raw.timeout));
        }
        Ok(Self(raw))
    }
}

fn sound(endpoint: &str) -> Option<Uri> {
    let uri: Uri = endpoint.parse().ok()?;
    let bare = uri.path_and_query().is_none_or(|rest| rest.as_str() == "/");
    let authority = uri.authority().is_some_and(|at| at.port_u16().is_some() && !at.as_str().contains('@'));
    let scheme = matches!(uri.scheme_str(), Some("http" | "https"));
    (bare && authority && scheme).then_some(uri)
}

fn is_local(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

impl From<EtcdConfig> for RawEtcd {
    fn from(checked: EtcdConfig) -> Self {
        checked.0
    }
}

impl JsonSchema for EtcdConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawEtcd::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawEtcd::json_schema(generator)
    }
}

impl EtcdConfig {
    /// Takes relative paths as beside `folder`, the one that the configuration lies in.
    pub fn beside(&mut self, folder: &Path) {
        let RawEtcd { password_file, ca, cert, key, .. } = &mut self.0;
        for path in [password_file, ca, cert, key].into_iter().flatten() {
            *path = folder.join(&path);
        }
    }

    /// How long an answer may take.
    #[must_use]
    pub const fn timeout(&self) -> Span {
        self.0.timeout
    }

    /// Where its members are, for people.
    #[must_use]
    pub fn place(&self) -> String {
        self.0.endpoints.join(", ")
    }

    pub(super) fn endpoints(&self) -> impl Iterator<Item = Uri> {
        self.0.endpoints.iter().filter_map(|endpoint| sound(endpoint))
    }

    pub(super) fn files(&self) -> (Option<&PathBuf>, Option<(&PathBuf, &PathBuf)>) {
        (self.0.ca.as_ref(), self.0.cert.as_ref().zip(self.0.key.as_ref()))
    }

    pub(super) fn user(&self) -> Option<&str> {
        self.0.user.as_deref()
    }

    /// The password of this moment. What is wrong is told without what the file holds.
    pub(super) fn password(&self) -> Result<String, String> {
        if let Some(path) = &self.0.password_file {
            let text = std::fs::read_to_string(path)
                .map_err(|cause| format!("cannot read the password file {}: {cause}", path.display()))?;
            return Ok(text.trim_end_matches(['\r', '\n']).to_owned());
        }
        let name = self.0.password_env.as_deref().unwrap_or_default();
        crate::env::read(name)
            .ok_or_else(|| format!("the environment variable {name} with the password of etcd's user is not set"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<EtcdConfig, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn what_would_be_open_or_in_the_clear_is_refused_with_what_to_write() {
        for (json, told) in [
            (r#"{"endpoints": []}"#, "at least one member"),
            (r#"{"endpoints": ["127.0.0.1:2379"]}"#, "number 1 is no member"),
            (r#"{"endpoints": ["http://me:canary@127.0.0.1:2379"]}"#, "number 1 is no member"),
            (r#"{"endpoints": ["http://10.0.0.1:2379"]}"#, "write https://"),
            (r#"{"endpoints": ["https://10.0.0.1:2379"]}"#, "wants the PEM file"),
            (r#"{"endpoints": ["https://10.0.0.1:2379"], "ca": "a.pem"}"#, "wants a user"),
            (r#"{"endpoints": ["http://127.0.0.1:2379"], "user": "a"}"#, "go together"),
            (r#"{"endpoints": ["http://127.0.0.1:2379"], "password_file": "a"}"#, "go together"),
            (r#"{"endpoints": ["http://127.0.0.1:2379"], "cert": "a"}"#, "`cert` and `key`"),
            (r#"{"endpoints": ["http://127.0.0.1:2379"], "ca": "a"}"#, "https:// only"),
            (r#"{"endpoints": ["http://127.0.0.1:2379"], "timeout": "1ms"}"#, "outside 10ms"),
            (r#"{"endpoints": ["http://127.0.0.1:2379"], "endpoint": "a"}"#, "unknown field"),
        ] {
            let error = read(json).expect_err(json);
            assert!(error.contains(told) && !error.contains("canary"), "{json}: {error}");
        }
    }

    #[test]
    fn what_is_safe_or_said_to_be_meant_is_taken_and_reads_back() {
        for json in [
            r#"{"endpoints": ["http://127.0.0.1:2379", "http://localhost:22379", "http://[::1]:1"]}"#,
            r#"{"endpoints": ["https://e.example:2379"], "ca": "a", "cert": "b", "key": "c"}"#,
            r#"{"endpoints": ["https://e.example:2379"], "ca": "a", "user": "u", "password_env": "P"}"#,
            r#"{"endpoints": ["http://10.0.0.1:2379"], "insecure": true}"#,
        ] {
            let config = read(json).expect(json);
            let again = serde_json::to_string(&config).expect("plain data");
            assert_eq!(read(&again).expect("its own form"), config);
        }
    }
}
