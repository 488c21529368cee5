//! A listener's settings: where clients come in, by which protocol, and how long a slow one is borne.
//!
//! For: the configuration file and `ambidex proxy --listen`. [`Listener`] is checked; the only ways in are
//! [`Listener::plain`] and a text that `TryFrom` finds right, so the code that listens asks no questions.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ambidex_core::size::Size;
use ambidex_core::time::Span;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::lenient::Lenient;
use super::redis_door::RedisDoor;

/// Checked settings of one listener.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawListener")]
pub struct Listener {
    pub(crate) address: ListenAddress,
    pub(crate) tls: Option<ServerTls>,
    pub(crate) proxy_protocol: bool,
    pub(crate) trusted: Vec<IpNet>,
    pub(crate) upgrades: Vec<String>,
    pub(crate) max_header_bytes: Size,
    pub(crate) header_timeout: Span,
    pub(crate) idle_timeout: Span,
    pub(crate) tunnel_timeout: Span,
    pub(crate) handshake_timeout: Span,
    pub(crate) max_connections: u32,
    pub(crate) max_connections_per_client: Option<u32>,
    pub(crate) max_body: Option<Size>,
    pub(crate) backlog: u16,
    pub(crate) mode: SocketMode,
    pub(crate) lenient: Vec<Lenient>,
    pub(crate) redis: Option<RedisDoor>,
}

impl Listener {
    /// A plain listener at `address` with every default.
    #[must_use]
    pub fn plain(address: ListenAddress) -> Self {
        let raw = RawListener::default();
        Self {
            address,
            tls: None,
            proxy_protocol: raw.proxy_protocol,
            trusted: Vec::new(),
            upgrades: raw.upgrades,
            max_header_bytes: raw.max_header_bytes,
            header_timeout: raw.header_timeout,
            idle_timeout: raw.idle_timeout,
            tunnel_timeout: raw.tunnel_timeout,
            handshake_timeout: raw.handshake_timeout,
            max_connections: raw.max_connections,
            max_connections_per_client: raw.max_connections_per_client,
            max_body: raw.max_body,
            backlog: raw.backlog,
            mode: raw.mode,
            lenient: raw.lenient,
            redis: None,
        }
    }

    /// Where it listens, as configured: a port of 0 stays 0 here.
    #[must_use]
    pub fn address(&self) -> &ListenAddress {
        &self.address
    }

    /// Takes relative paths of files and sockets as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        if let ListenAddress::Unix(path) = &mut self.address {
            *path = folder.join(&path);
        }
        for files in self.tls.iter_mut().flat_map(|tls| &mut tls.certificates) {
            (files.cert, files.key) = (folder.join(&files.cert), folder.join(&files.key));
        }
        if let Some(file) = self.redis.as_mut().and_then(|redis| redis.password_file.as_mut()) {
            *file = folder.join(&*file);
        }
    }

    /// What its clients of Redis go by, if it speaks RESP.
    #[must_use]
    pub fn redis(&self) -> Option<&RedisDoor> {
        self.redis.as_ref()
    }

    /// How it speaks TLS, if it does.
    #[must_use]
    pub fn tls(&self) -> Option<&ServerTls> {
        self.tls.as_ref()
    }
}

/// Where a listener listens. Written `0.0.0.0:8080`, `[::]:8080`, `:8080` or `unix:/run/ambidex.sock`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// TCP; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A Unix socket at this path.
    Unix(PathBuf),
}

impl FromStr for ListenAddress {
    type Err = ListenerError;

    fn from_str(text: &str) -> Result<Self, ListenerError> {
        let wrong = || ListenerError::Address(text.into());
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(wrong()) } else { Ok(Self::Unix(path.into())) };
        }
        if let Some(port) = text.strip_prefix(':') {
            let port = port.parse().map_err(|_| wrong())?;
            return Ok(Self::Tcp((Ipv4Addr::UNSPECIFIED, port).into()));
        }
        text.parse().map(Self::Tcp).map_err(|_| wrong())
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Serialize for ListenAddress {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// How a listener speaks TLS. ALPN offers `h2` and `http/1.1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// Certificate chains with their keys; a client gets the first one that is made out to the name it asks for (SNI),
    /// and the first of all when none is.
    pub certificates: Vec<CertificateFiles>,
    /// The oldest version spoken. Default 1.2; source: Mozilla's intermediate profile.
    #[serde(default)]
    pub min_version: TlsVersion,
}

/// Where a certificate lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// PEM file of the chain, leaf first.
    #[schemars(with = "String")]
    pub cert: PathBuf,
    /// PEM file of the private key.
    #[schemars(with = "String")]
    pub key: PathBuf,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V13,
}

/// Permissions of a Unix socket, written in octal as `"0660"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketMode(pub(crate) u32);

impl Serialize for SocketMode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:04o}", self.0))
    }
}

impl<'de> Deserialize<'de> for SocketMode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mode = u32::from_str_radix(&text, 8).ok().filter(|mode| *mode <= 0o777);
        mode.map(Self).ok_or_else(|| serde::de::Error::custom(ListenerError::Mode(text)))
    }
}

/// Why a listener's settings cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListenerError {
    /// `address` is no address.
    #[error("address `{0}` is neither IP:PORT (such as 0.0.0.0:8080 or [::]:8080), nor :PORT, nor unix:/PATH")]
    Address(String),
    /// `address` is missing.
    #[error("a listener needs an `address`, such as 0.0.0.0:8080 or unix:/run/ambidex.sock")]
    NoAddress,
    /// An entry of `trusted` is no network.
    #[error("trusted: `{0}` is no network: write an address and a prefix length, such as 10.0.0.0/8 or ::1/128")]
    Network(String),
    /// TLS without a certificate.
    #[error("tls.certificates is empty: name at least one pair, such as {{cert: site.pem, key: site.key}}")]
    NoCertificate,
    /// An entry of `upgrades` is no protocol name.
    #[error("upgrades: `{0}` is no protocol that can be let through: write a token such as websocket (h2c never is)")]
    Upgrade(String),
    /// A number that must lie in a range does not.
    #[error("{key}: {value} is outside {range}")]
    Range {
        /// The key.
        key: &'static str,
        /// What was written.
        value: String,
        /// What may be written.
        range: &'static str,
    },
    /// `mode` is no file mode.
    #[error("mode: `{0}` is no octal file mode such as \"0660\"")]
    Mode(String),
}

/// A listener: where clients come in.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Listener")]
struct RawListener {
    /// Where to listen: `IP:PORT`, `:PORT` or `unix:/PATH`.
    #[schemars(required)]
    address: Option<String>,
    /// Speak TLS. Default: off.
    tls: Option<ServerTls>,
    /// Demand the PROXY protocol (version 1 or 2) at the start of each connection, and take the client's address from
    /// it. Default false; source: a client that could send the header by itself could claim any address.
    proxy_protocol: bool,
    /// Networks of the peers whose `X-Forwarded-*`, `Forwarded` and `X-Request-Id` are believed. Default none; source:
    /// reliability.md row 3.
    trusted: Vec<String>,
    /// Protocols that a client may upgrade to. Default `[websocket]`; source: reliability.md row 4.
    upgrades: Vec<String>,
    /// Most bytes of a request's head; more is answered with 431. 8KiB to 1MiB. Default 64KiB; source: Envoy's
    /// `max_request_headers_kb` (60) to the next power of two.
    #[schemars(with = "String")]
    max_header_bytes: Size,
    /// How long a client may take to send a request's head, from the first byte or from the opening of the connection.
    /// Default 10 s; source: reliability.md row 8.
    #[schemars(with = "String")]
    header_timeout: Span,
    /// How long a connection may stay open between requests, and how long a client may be slow on one: send under 500
    /// bytes/s of a body, or take nothing of an answer. Default 60 s; source: nginx's `keepalive_timeout` (75 s), less a
    /// margin so that ours closes before a client's own timer at 65 s.
    #[schemars(with = "String")]
    idle_timeout: Span,
    /// How long connections and streams may be silent on which both sides may speak: those that changed their protocol
    /// (WebSocket), streams whose answer begins before their upload ends, gRPC; and how long a worker may be silent within
    /// an answer. Default 1h; source: HAProxy's advice for `timeout tunnel`.
    #[schemars(with = "String")]
    tunnel_timeout: Span,
    /// How long the PROXY header and the TLS handshake may take together. Default 10 s; source: reliability.md row 8.
    #[schemars(with = "String")]
    handshake_timeout: Span,
    /// Most connections at once, over all threads; one more gets 503 (plain) or is closed (TLS) at once. 1 to 1000000.
    /// Default 10000; source: reliability.md row 8, at 6 KiB for a slow head that is 60 MiB.
    max_connections: u32,
    /// Most connections of one client at once: of an IPv4 address, or an IPv6 network of 64 bits; one more gets 503 (plain) or
    /// is closed (TLS, PROXY protocol) at once. 1 to 1000000. Default: as many as come; source: R-L6, and many clients may
    /// stand behind one address.
    max_connections_per_client: Option<u32>,
    /// Most bytes of a request's body; more is answered with 413. Default: unbounded, since bodies stream.
    #[schemars(with = "Option<String>")]
    max_body: Option<Size>,
    /// How many connections the kernel holds until they are accepted, for each thread. Default 1024; source: nginx's
    /// 511 and HAProxy's `maxconn`, bounded by the kernel's `somaxconn` in any case.
    backlog: u16,
    /// Permissions of a Unix socket. Default "0660"; source: owner and group, as HAProxy's examples have it.
    #[schemars(with = "String")]
    mode: SocketMode,
    /// What is borne of old clients of HTTP/1 though it is not well formed. Default nothing; source: each is a difference
    /// that requests are smuggled through.
    lenient: Vec<Lenient>,
    /// Speak RESP to clients of Redis and Valkey, in place of HTTP: docs/redis.md. Default: HTTP; source: what this is.
    redis: Option<RedisDoor>,
}

impl JsonSchema for Listener {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawListener::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawListener::json_schema(generator)
    }
}

impl Default for RawListener {
    fn default() -> Self {
        Self {
            address: None,
            tls: None,
            proxy_protocol: false,
            trusted: Vec::new(),
            upgrades: vec!["websocket".into()],
            max_header_bytes: Size::kib(64),
            header_timeout: Span::from_secs(10),
            idle_timeout: Span::from_secs(60),
            tunnel_timeout: Span::from_secs(3_600),
            handshake_timeout: Span::from_secs(10),
            max_connections: 10_000,
            max_connections_per_client: None,
            max_body: None,
            backlog: 1_024,
            mode: SocketMode(0o660),
            lenient: Vec::new(),
            redis: None,
        }
    }
}

impl TryFrom<RawListener> for Listener {
    type Error = ListenerError;

    fn try_from(raw: RawListener) -> Result<Self, ListenerError> {
        let address = raw.address.ok_or(ListenerError::NoAddress)?.parse()?;
        if raw.tls.as_ref().is_some_and(|tls| tls.certificates.is_empty()) {
            return Err(ListenerError::NoCertificate);
        }
        if let Some(wrong) = raw.upgrades.iter().find(|name| !may_be_let_through(name)) {
            return Err(ListenerError::Upgrade(wrong.clone()));
        }
        let bytes = (Size::kib(8)..=Size::mib(1)).contains(&raw.max_header_bytes);
        within(bytes, "max_header_bytes", raw.max_header_bytes, "8KiB to 1MiB")?;
        for (key, span) in [
            ("header_timeout", raw.header_timeout),
            ("idle_timeout", raw.idle_timeout),
            ("tunnel_timeout", raw.tunnel_timeout),
            ("handshake_timeout", raw.handshake_timeout),
        ] {
            within((Span::from_millis(10)..=Span::from_secs(86_400)).contains(&span), key, span, "10ms to 24h")?;
        }
        within((1..=1_000_000).contains(&raw.max_connections), "max_connections", raw.max_connections, "1 to 1000000")?;
        let per_client = raw.max_connections_per_client.unwrap_or(1);
        within((1..=1_000_000).contains(&per_client), "max_connections_per_client", per_client, "1 to 1000000")?;
        within(raw.backlog > 0, "backlog", raw.backlog, "1 to 65535")?;
        let network = |text: &String| {
            let alone = || text.parse::<IpAddr>().map(IpNet::from);
            text.parse().or_else(|_| alone()).map_err(|_| ListenerError::Network(text.clone()))
        };
        let trusted = raw.trusted.iter().map(network).collect::<Result<_, _>>()?;
        let upgrades = raw.upgrades.iter().map(|name| name.to_ascii_lowercase()).collect();
        Ok(Self {
            address,
            trusted,
            upgrades,
            tls: raw.tls,
            proxy_protocol: raw.proxy_protocol,
            max_header_bytes: raw.max_header_bytes,
            header_timeout: raw.header_timeout,
            idle_timeout: raw.idle_timeout,
            tunnel_timeout: raw.tunnel_timeout,
            handshake_timeout: raw.handshake_timeout,
            max_connections: raw.max_connections,
            max_connections_per_client: raw.max_connections_per_client,
            max_body: raw.max_body,
            backlog: raw.backlog,
            mode: raw.mode,
            lenient: raw.lenient,
            redis: raw.redis,
        })
    }
}

/// `h2c` is refused: an upgrade inside a forwarded connection is a way around the gateway's own checks.
fn may_be_let_through(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/+".contains(&byte);
    !name.is_empty() && name.bytes().all(token) && !name.eq_ignore_ascii_case("h2c")
}

fn within(is: bool, key: &'static str, value: impl fmt::Display, range: &'static str) -> Result<(), ListenerError> {
    if is { Ok(()) } else { Err(ListenerError::Range { key, value: value.to_string(), range }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Listener, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_listener_with_only_an_address_has_every_default() {
        let address = "127.0.0.1:8080".parse().expect("an address");
        assert_eq!(read(r#"{"address": "127.0.0.1:8080"}"#), Ok(Listener::plain(address)));
    }

    #[test]
    fn a_listener_reads_back_as_it_was_written() {
        let text = r#"{"address": "unix:/run/a.sock", "trusted": ["10.0.0.0/8", "::1"], "mode": "0600",
            "tls": {"certificates": [{"cert": "a.pem", "key": "a.key"}], "min_version": "1.3"}, "max_body": "8MiB"}"#;
        let listener = read(text).expect("right");
        assert_eq!(read(&serde_json::to_string(&listener).expect("json")), Ok(listener));
    }

    #[test]
    fn a_wrong_value_is_told_with_its_key_and_what_would_be_right() {
        for (json, told) in [
            (r#"{}"#, "needs an `address`"),
            (r#"{"address": "localhost:80"}"#, "0.0.0.0:8080"),
            (r#"{"address": "unix:"}"#, "unix:/PATH"),
            (r#"{"address": ":80", "max_header_bytes": "1KiB"}"#, "max_header_bytes: 1KiB is outside 8KiB to 1MiB"),
            (r#"{"address": ":80", "idle_timeout": "0s"}"#, "idle_timeout: 0s is outside 10ms to 24h"),
            (r#"{"address": ":80", "max_connections": 0}"#, "max_connections: 0 is outside 1 to 1000000"),
            (r#"{"address": ":80", "trusted": ["10.0.0.0/33"]}"#, "trusted: `10.0.0.0/33`"),
            (r#"{"address": ":80", "upgrades": ["h2c"]}"#, "upgrades: `h2c`"),
            (r#"{"address": ":80", "tls": {"certificates": []}}"#, "tls.certificates is empty"),
            (r#"{"address": ":80", "mode": "999"}"#, "mode: `999`"),
            (r#"{"address": ":80", "adress": 1}"#, "unknown field `adress`"),
        ] {
            let error = read(json).expect_err(json);
            assert!(error.contains(told), "{json}: {error}");
        }
    }
}
