//! Where the shared server is, and how it may be spoken to.
//!
//! For: the configuration file. [`RemoteConfig`] is checked when it is read: what would send answers or a password in
//! the clear over a network, or speak to a server that lets anybody in, does not start [reliability.md row 17].

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ambidex_core::time::Span;
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, TlsCertificates};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Checked settings of a Redis or Valkey server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRemote", into = "RawRemote")]
pub struct RemoteConfig {
    url: String,
    password_file: Option<PathBuf>,
    password_env: Option<String>,
    ca: Option<PathBuf>,
    insecure: bool,
    timeout: Span,
    connect_timeout: Span,
}

/// A Redis or Valkey server that several gateways share.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Redis")]
struct RawRemote {
    /// Where it is: `redis://HOST:PORT/DATABASE`, `rediss://` for TLS, `unix:///PATH`. A user's name may stand in it, a
    /// password may not.
    url: String,
    /// File with the password; read again at each connecting, so that it may change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    password_file: Option<PathBuf>,
    /// Name of the environment variable with the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_env: Option<String>,
    /// PEM file of the authorities that are believed, for `rediss://`. Default: those of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    ca: Option<PathBuf>,
    /// Allows a server on another machine without TLS or without a password. Default false; source: reliability.md row
    /// 17.
    #[serde(default)]
    insecure: bool,
    /// How long an answer may take, 1ms to 10s; then the server counts as away. Default 250ms; source: ours, half of
    /// R-L4's first try, and a hundred times what a server nearby takes.
    #[serde(default = "default_timeout")]
    #[schemars(with = "String")]
    timeout: Span,
    /// How long connecting may take, 1ms to 60s. Default 1s; source: as for workers, balancing.md "Retry".
    #[serde(default = "default_connect_timeout")]
    #[schemars(with = "String")]
    connect_timeout: Span,
}

const fn default_timeout() -> Span {
    Span::from_millis(250)
}

const fn default_connect_timeout() -> Span {
    Span::from_secs(1)
}

/// Why a server cannot be used as configured. Never says what stands in the URL: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RemoteConfigError {
    /// No such URL.
    #[error(
        "url: not the URL of a Redis or Valkey server; write redis://HOST:PORT, rediss://HOST:PORT or unix:///PATH"
    )]
    Url,
    /// A password where everybody reads it.
    #[error("url: holds a password, which logs and pages would show; put it in a file and name it in `password_file`")]
    PasswordInUrl,
    /// TLS that checks nothing.
    #[error("url: `#insecure` would accept any certificate; name the authority's file in `ca` instead")]
    AnyCertificate,
    /// Two passwords.
    #[error("`password_file` and `password_env` exclude each other; keep one")]
    TwoPasswords,
    /// In the clear over a network.
    #[error("url: a server on another machine is spoken to over TLS: write rediss://, or say `insecure: true`")]
    Plain,
    /// Open to everybody.
    #[error("a server on another machine wants a password: give `password_file`, or say `insecure: true`")]
    NoPassword,
    /// An authority for a connection without TLS.
    #[error("ca: is for rediss:// only")]
    CaWithoutTls,
    /// A length of time that makes no sense.
    #[error("{key}: {value} is outside {range}")]
    Range {
        /// Which one.
        key: &'static str,
        /// What was given.
        value: Span,
        /// What is sensible.
        range: &'static str,
    },
}

impl TryFrom<RawRemote> for RemoteConfig {
    type Error = RemoteConfigError;

    fn try_from(raw: RawRemote) -> Result<Self, RemoteConfigError> {
        let RawRemote { url, password_file, password_env, ca, insecure, timeout, connect_timeout } = raw;
        let info = url.as_str().into_connection_info().map_err(|_| RemoteConfigError::Url)?;
        if info.redis_settings().password().is_some() {
            return Err(RemoteConfigError::PasswordInUrl);
        }
        if password_file.is_some() && password_env.is_some() {
            return Err(RemoteConfigError::TwoPasswords);
        }
        let (tls, local) = match info.addr() {
            ConnectionAddr::TcpTls { insecure: true, .. } => return Err(RemoteConfigError::AnyCertificate),
            ConnectionAddr::TcpTls { host, .. } => (true, is_local(host)),
            ConnectionAddr::Tcp(host, _) => (false, is_local(host)),
            ConnectionAddr::Unix(_) => (false, true),
            _ => return Err(RemoteConfigError::Url),
        };
        if ca.is_some() && !tls {
            return Err(RemoteConfigError::CaWithoutTls);
        }
        if !local && !insecure {
            if !tls {
                return Err(RemoteConfigError::Plain);
            }
            if password_file.is_none() && password_env.is_none() {
                return Err(RemoteConfigError::NoPassword);
            }
        }
        let within = |key, value: Span, most: Span, range| {
            let fits = (Span::from_millis(1)..=most).contains(&value);
            if fits { Ok(()) } else { Err(RemoteConfigError::Range { key, value, range }) }
        };
        within("timeout", timeout, Span::from_secs(10), "1ms to 10s")?;
        within("connect_timeout", connect_timeout, Span::from_secs(60), "1ms to 60s")?;
        Ok(Self { url, password_file, password_env, ca, insecure, timeout, connect_timeout })
    }
}

impl From<RemoteConfig> for RawRemote {
    fn from(config: RemoteConfig) -> Self {
        let RemoteConfig { url, password_file, password_env, ca, insecure, timeout, connect_timeout } = config;
        Self { url, password_file, password_env, ca, insecure, timeout, connect_timeout }
    }
}

impl JsonSchema for RemoteConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawRemote::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawRemote::json_schema(generator)
    }
}

impl RemoteConfig {
    /// A server on this machine, with every default.
    ///
    /// # Errors
    /// A URL that is none, or not of this machine.
    pub fn local(url: &str) -> Result<Self, RemoteConfigError> {
        let (timeout, connect_timeout) = (default_timeout(), default_connect_timeout());
        let url = url.to_owned();
        RawRemote { url, password_file: None, password_env: None, ca: None, insecure: false, timeout, connect_timeout }
            .try_into()
    }

    /// Takes relative paths as beside `folder`, the one that the configuration lies in.
    pub fn beside(&mut self, folder: &Path) {
        for path in [&mut self.password_file, &mut self.ca].into_iter().flatten() {
            *path = folder.join(&path);
        }
    }

    /// How long an answer may take.
    #[must_use]
    pub const fn timeout(&self) -> Span {
        self.timeout
    }

    /// How long connecting may take.
    #[must_use]
    pub const fn connect_timeout(&self) -> Span {
        self.connect_timeout
    }

    const fn ca(&self) -> Option<&PathBuf> {
        self.ca.as_ref()
    }

    /// Whether it is spoken to over TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.info().is_ok_and(|info| matches!(info.addr(), ConnectionAddr::TcpTls { .. }))
    }

    /// Whom it says it is there, if that is not the default user, and its password of this moment.
    ///
    /// # Errors
    /// The password is not to be had.
    pub fn credentials(&self) -> Result<(Option<String>, Option<String>), String> {
        let user = self.info().ok().and_then(|info| info.redis_settings().username().map(str::to_owned));
        Ok((user, self.password()?))
    }

    /// A client of it, with the password of this moment and its authorities; or of another node of its cluster, which is spoken to in
    /// the same way. It is not connected yet.
    ///
    /// # Errors
    /// The password, or the file of authorities, is not to be had; or the URL is of a socket, which has no nodes beside it.
    pub fn client(&self, node: Option<(&str, u16)>) -> Result<Client, String> {
        let said = |error: redis::RedisError| error.to_string();
        let mut info = self.info().map_err(said)?;
        if let Some((name, number)) = node {
            if !is_local(name) && !self.insecure && !self.is_tls() {
                return Err(format!("{name} is on another machine: {}", RemoteConfigError::Plain));
            }
            let mut address = info.addr().clone();
            let (ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. }) = &mut address else {
                return Err("nodes of a cluster are not reached by a socket: write redis://HOST:PORT".to_owned());
            };
            (*host, *port) = (name.to_owned(), number);
            info = info.set_addr(address);
        }
        if let Some(password) = self.password()? {
            let settings = info.redis_settings().clone().set_password(password);
            info = info.set_redis_settings(settings);
        }
        // The library takes the process's provider and panics without one; whoever came first has set this one, too.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        match self.ca() {
            Some(path) => {
                let root = std::fs::read(path).map_err(|cause| format!("cannot read {}: {cause}", path.display()))?;
                let certificates = TlsCertificates { client_tls: None, root_cert: Some(root) };
                Client::build_with_tls(info, certificates).map_err(said)
            }
            None => Client::open(info).map_err(said),
        }
    }

    /// Where it is, for the log: without user.
    pub(super) fn place(&self) -> String {
        self.info().map_or_else(|_| "?".to_owned(), |info| info.addr().to_string())
    }

    fn info(&self) -> Result<ConnectionInfo, redis::RedisError> {
        self.url.as_str().into_connection_info()
    }

    /// The password of this moment. What is wrong is told without what the file holds.
    fn password(&self) -> Result<Option<String>, String> {
        if let Some(path) = &self.password_file {
            let text = std::fs::read_to_string(path)
                .map_err(|cause| format!("cannot read the password file {}: {cause}", path.display()))?;
            return Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()));
        }
        let Some(name) = &self.password_env else { return Ok(None) };
        let found = crate::env::read(name);
        found.map(Some).ok_or_else(|| format!("the environment variable {name} with the password is not set"))
    }
}

fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<RemoteConfig, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_server_on_another_machine_wants_tls_and_a_password() {
        for (json, told) in [
            (r#"{"url": "redis://10.0.0.1:6379"}"#, "rediss://"),
            (r#"{"url": "redis://redis.example"}"#, "rediss://"),
            (r#"{"url": "rediss://redis.example"}"#, "password_file"),
            (r#"{"url": "redis://:canary@127.0.0.1"}"#, "holds a password"),
            (r#"{"url": "rediss://127.0.0.1/#insecure"}"#, "accept any certificate"),
            (r#"{"url": "http://127.0.0.1"}"#, "not the URL"),
            (r#"{"url": "redis://127.0.0.1", "ca": "a.pem"}"#, "rediss:// only"),
            (r#"{"url": "redis://127.0.0.1", "timeout": "11s"}"#, "1ms to 10s"),
            (r#"{"url": "redis://127.0.0.1", "connect_timeout": "0s"}"#, "1ms to 60s"),
            (r#"{"url": "redis://127.0.0.1", "password_file": "a", "password_env": "b"}"#, "exclude each other"),
        ] {
            let error = read(json).expect_err(json);
            assert!(error.contains(told) && !error.contains("canary"), "{json}: {error}");
        }
    }

    #[test]
    fn what_is_safe_or_said_to_be_meant_is_taken_and_reads_back() {
        for json in [
            r#"{"url": "redis://127.0.0.1:6379/2"}"#,
            r#"{"url": "redis://me@[::1]"}"#,
            r#"{"url": "redis://localhost"}"#,
            r#"{"url": "unix:///run/redis.sock"}"#,
            r#"{"url": "redis://10.0.0.1", "insecure": true}"#,
            r#"{"url": "rediss://redis.example", "password_env": "SECRET", "ca": "ca.pem", "timeout": "50ms"}"#,
        ] {
            let config = read(json).expect(json);
            assert_eq!(read(&serde_json::to_string(&config).expect("json")), Ok(config));
        }
    }
}
