//! How a pool's workers are reached: protocol, TLS, and how long connections live.
//!
//! For: the configuration file. Checked when read; certificates are loaded when the gateway starts or reloads.

use std::path::{Path, PathBuf};

use ambidex_core::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Checked settings of the connections to a pool's workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawUpstream", into = "RawUpstream")]
pub struct UpstreamTransport {
    pub(crate) protocol: UpstreamProtocol,
    pub(crate) tls: Option<UpstreamTls>,
    pub(crate) connect_timeout: Span,
    pub(crate) idle_timeout: Span,
    pub(crate) max_age: Span,
    pub(crate) max_idle_per_thread: u32,
}

/// Which HTTP is spoken with workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamProtocol {
    /// HTTP/1.1 over plain connections; over TLS what the worker chooses (ALPN).
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, over plain connections by prior knowledge. gRPC needs it.
    H2,
}

/// How workers with `https` URLs are checked, and what they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamTls {
    /// PEM file of the authorities that are believed. Default: those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub ca: Option<PathBuf>,
    /// The name that the certificate must be made out to, and that is asked for (SNI). Default: the URL's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// PEM file of the certificate chain shown to workers that ask for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub client_cert: Option<PathBuf>,
    /// PEM file of that certificate's private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub client_key: Option<PathBuf>,
}

/// Settings of the connections to a pool's workers.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "UpstreamTransport")]
struct RawUpstream {
    /// Which HTTP is spoken. Default auto; source: no plain worker can be asked without a request lost on those that
    /// speak only one.
    protocol: UpstreamProtocol,
    /// How workers with `https` URLs are checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<UpstreamTls>,
    /// How long opening a connection may take, TLS included, 1ms to 60s. Default 1s; source: balancing.md "Retry" (a
    /// worker that does not accept within a second is as good as gone).
    #[schemars(with = "String")]
    connect_timeout: Span,
    /// How long an unused connection is kept, 10ms to 1h. A worker's own `Keep-Alive: timeout` shortens it. Default
    /// 30s; source: half of nginx's `keepalive_timeout` of 75 s, so that ours closes first.
    #[schemars(with = "String")]
    idle_timeout: Span,
    /// How long a connection is used at most, 1s to 24h. Default 1h; source: nginx's `keepalive_time`.
    #[schemars(with = "String")]
    max_age: Span,
    /// Most unused connections to one worker that one thread keeps, at most 65536. Default 256; source: measured,
    /// bench proxy at 64 connections a thread leaves a quarter of it in use.
    max_idle_per_thread: u32,
}

impl Default for RawUpstream {
    fn default() -> Self {
        Self {
            protocol: UpstreamProtocol::Auto,
            tls: None,
            connect_timeout: Span::from_secs(1),
            idle_timeout: Span::from_secs(30),
            max_age: Span::from_secs(3_600),
            max_idle_per_thread: 256,
        }
    }
}

impl Default for UpstreamTransport {
    fn default() -> Self {
        Self::of(RawUpstream::default())
    }
}

/// Why these settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// A length of time that makes no sense.
    #[error("upstream.{key}: {value} is outside {range}")]
    Range {
        /// Which one.
        key: &'static str,
        /// What was given.
        value: Span,
        /// What is sensible.
        range: &'static str,
    },
    /// Too many connections.
    #[error("upstream.max_idle_per_thread: {0} is more than 65536")]
    Idle(u32),
    /// One half of a pair.
    #[error("upstream.tls: `client_cert` and `client_key` belong together; give both or none")]
    HalfPair,
    /// No name to check.
    #[error("upstream.tls.sni: `{0}` is no host name or address")]
    Sni(String),
}

impl TryFrom<RawUpstream> for UpstreamTransport {
    type Error = UpstreamError;

    fn try_from(raw: RawUpstream) -> Result<Self, UpstreamError> {
        let second = Span::from_secs(1);
        for (key, value, least, most, range) in [
            ("connect_timeout", raw.connect_timeout, Span::from_millis(1), second.times(60), "1ms to 60s"),
            ("idle_timeout", raw.idle_timeout, Span::from_millis(10), second.times(3_600), "10ms to 1h"),
            ("max_age", raw.max_age, second, second.times(86_400), "1s to 24h"),
        ] {
            if !(least..=most).contains(&value) {
                return Err(UpstreamError::Range { key, value, range });
            }
        }
        if raw.max_idle_per_thread > 65_536 {
            return Err(UpstreamError::Idle(raw.max_idle_per_thread));
        }
        if let Some(tls) = &raw.tls {
            if tls.client_cert.is_some() != tls.client_key.is_some() {
                return Err(UpstreamError::HalfPair);
            }
            if let Some(sni) = &tls.sni
                && rustls::pki_types::ServerName::try_from(sni.as_str()).is_err()
            {
                return Err(UpstreamError::Sni(sni.clone()));
            }
        }
        Ok(Self::of(raw))
    }
}

impl UpstreamTransport {
    /// The defaults with this TLS.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn with_tls(tls: Option<UpstreamTls>) -> Result<Self, UpstreamError> {
        Self::try_from(RawUpstream { tls, ..RawUpstream::default() })
    }

    /// How workers with `https` URLs are checked.
    #[must_use]
    pub fn tls(&self) -> Option<&UpstreamTls> {
        self.tls.as_ref()
    }

    /// Takes relative paths of certificates and keys as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        if let Some(tls) = &mut self.tls {
            for path in [&mut tls.ca, &mut tls.client_cert, &mut tls.client_key].into_iter().flatten() {
                *path = folder.join(&path);
            }
        }
    }

    fn of(raw: RawUpstream) -> Self {
        let RawUpstream { protocol, tls, connect_timeout, idle_timeout, max_age, max_idle_per_thread } = raw;
        Self { protocol, tls, connect_timeout, idle_timeout, max_age, max_idle_per_thread }
    }
}

impl From<UpstreamTransport> for RawUpstream {
    fn from(checked: UpstreamTransport) -> Self {
        let UpstreamTransport { protocol, tls, connect_timeout, idle_timeout, max_age, max_idle_per_thread } = checked;
        Self { protocol, tls, connect_timeout, idle_timeout, max_age, max_idle_per_thread }
    }
}

impl JsonSchema for UpstreamTransport {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawUpstream::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawUpstream::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<UpstreamTransport, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_given_is_every_default() {
        assert_eq!(read("{}"), Ok(UpstreamTransport::default()));
    }

    #[test]
    fn settings_read_back_as_they_were_written() {
        let transport =
            read(r#"{"protocol": "h2", "tls": {"ca": "ca.pem", "sni": "w.example"}, "idle_timeout": "5s"}"#)
                .expect("right");
        assert_eq!(read(&serde_json::to_string(&transport).expect("json")), Ok(transport));
    }

    #[test]
    fn a_wrong_value_is_told_with_what_would_be_right() {
        for (json, told) in [
            (r#"{"connect_timeout": "0s"}"#, "upstream.connect_timeout: 0s is outside 1ms to 60s"),
            (r#"{"max_idle_per_thread": 100000}"#, "more than 65536"),
            (r#"{"tls": {"client_cert": "a.pem"}}"#, "give both or none"),
            (r#"{"tls": {"sni": "a b"}}"#, "`a b` is no host name"),
            (r#"{"protocol": "spdy"}"#, "unknown variant `spdy`"),
        ] {
            let error = read(json).expect_err(json);
            assert!(error.contains(told), "{json}: {error}");
        }
    }
}
