//! Where a worker's heartbeats go, what it is called there, and what signs them.
//!
//! ```yaml
//! heartbeats:
//!   to: ["coordinator:9903"]
//!   name: w-1
//!   key: {id: 1, file: beats.key}
//! ```

use std::fmt;
use std::path::{Path, PathBuf};

use ambidex_core::time::Span;
use ambidex_wire::host_port::HostPort;
use serde::{Deserialize, Serialize};

use super::secure::BeatTls;

/// Where heartbeats go, and what signs them [R-S3].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SendHeartbeats {
    /// The coordinators, each `HOST:PORT`, 1 to 16 of them: each is sent every heartbeat. A name is looked up again every
    /// half minute. `grpc://HOST:PORT` is where a coordinator hears streams (`heartbeats.grpc`), for networks without UDP;
    /// `grpcs://HOST:PORT` the same with TLS.
    #[serde(deserialize_with = "some")]
    pub to: Vec<Target>,
    /// What the coordinators call this worker: its `name` in the pool, else its URL there.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// What signs them.
    pub key: SigningKey,
    /// From one to the next, 100ms to 10s, give or take a tenth; as the coordinators expect it. Default 500ms; source: R-S3.
    #[serde(default = "half_a_second", deserialize_with = "period")]
    pub every: Span,
    /// How coordinators at `grpcs://` are checked. Default: by the authorities of the system, and the host in `to`.
    #[serde(default)]
    pub tls: BeatTls,
}

/// A key that the coordinators have, too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// The number by which the coordinators know it. Default 1; source: ours.
    #[serde(default = "first")]
    pub id: u32,
    /// A file that holds it: at least 32 bytes, space around them does not count. Read at the start.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub file: PathBuf,
}

/// A coordinator's host and port, and what carries heartbeats there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "String"))]
#[serde(try_from = "String", into = "String")]
pub struct Target {
    place: HostPort,
    way: Way,
}

/// What carries heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Datagrams,
    Stream,
    SecuredStream,
}

impl Way {
    /// What stands before the place.
    const fn word(self) -> &'static str {
        match self {
            Self::Datagrams => "",
            Self::Stream => "grpc://",
            Self::SecuredStream => "grpcs://",
        }
    }
}

/// Why heartbeats cannot be sent so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendingError {
    /// No address.
    #[error(
        "`{0}` is not HOST:PORT: write `coordinator:9903`, `10.0.0.1:9903` or `[::1]:9903`, or `grpc://coordinator:9905` \
         for a stream, `grpcs://` with TLS"
    )]
    Target(String),
    /// Half of what is shown.
    #[error("tls has only one of `client_cert` and `client_key`: name both, or neither")]
    Pair,
}

impl SendHeartbeats {
    /// Takes a relative path of the key's file as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        self.key.file = folder.join(&self.key.file);
        self.tls.beside(folder);
    }
}

impl Target {
    /// The name or address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.place.host()
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.place.port()
    }

    /// Whether heartbeats go there in one gRPC stream, and not each in a datagram.
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        match self.way {
            Way::Datagrams => false,
            Way::Stream | Way::SecuredStream => true,
        }
    }

    /// Whether that stream is one with TLS.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        match self.way {
            Way::Datagrams | Way::Stream => false,
            Way::SecuredStream => true,
        }
    }

    /// Host and port, as in a URL.
    pub(super) fn authority(&self) -> String {
        self.place.to_string()
    }
}

impl TryFrom<String> for Target {
    type Error = SendingError;

    fn try_from(text: String) -> Result<Self, SendingError> {
        let ways = [Way::Stream, Way::SecuredStream];
        let of = |way: Way| Some((way, text.strip_prefix(way.word())?));
        let (way, place) = ways.into_iter().find_map(of).unwrap_or((Way::Datagrams, text.as_str()));
        HostPort::read(place).map(|place| Self { place, way }).ok_or_else(|| SendingError::Target(text.clone()))
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        target.to_string()
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, way } = self;
        f.write_str(way.word())?;
        place.fmt(f)
    }
}

fn some<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Target>, D::Error> {
    let targets = Vec::<Target>::deserialize(deserializer)?;
    if !(1..=MOST_TARGETS).contains(&targets.len()) {
        let count = targets.len();
        return Err(serde::de::Error::custom(format_args!("heartbeats.to has {count} coordinators: write 1 to 16")));
    }
    Ok(targets)
}

fn name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    if !(1..=255).contains(&name.len()) || name.contains(char::is_control) {
        return Err(serde::de::Error::custom("heartbeats.name must have 1 to 255 bytes and no control characters"));
    }
    Ok(name)
}

fn period<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    let every = Span::deserialize(deserializer)?;
    if !(Span::from_millis(100)..=Span::from_secs(10)).contains(&every) {
        return Err(serde::de::Error::custom(format_args!("heartbeats.every {every} is not between 100ms and 10s")));
    }
    Ok(every)
}

const fn first() -> u32 {
    1
}

const fn half_a_second() -> Span {
    Span::from_millis(500)
}

/// Source: ours; each has a socket and gets every heartbeat.
const MOST_TARGETS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_as_it_was_written() {
        for text in [
            "coordinator:9903",
            "10.0.0.1:1",
            "[::1]:65535",
            "a.b-c_d.local:9",
            "grpc://a:1",
            "grpc://[::1]:2",
            "grpcs://a:1",
        ] {
            assert_eq!(Target::try_from(text.to_owned()).expect(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_by_what_it_says() {
        for text in [
            "",
            "coordinator",
            ":9903",
            "a:0",
            "a:70000",
            "::1:9903",
            "[::1:9903",
            "[a]:1",
            "a b:1",
            "http://a:1",
            "grpc://a",
            "grpcs://a",
        ] {
            let error = Target::try_from(text.to_owned()).expect_err(text).to_string();
            assert!(error.contains(&format!("`{text}` is not HOST:PORT")), "{error}");
        }
    }

    #[test]
    fn settings_that_make_no_heartbeats_are_refused_with_their_reason() {
        let read = |text: &str| serde_json::from_str::<SendHeartbeats>(text);
        let good = r#"{"to": ["a:1"], "name": "w", "key": {"file": "k"}}"#;
        assert_eq!(read(good).map(|config| (config.every, config.key.id)).ok(), Some((half_a_second(), 1)));
        for (from, to, reason) in [
            (r#"["a:1"]"#, "[]", "0 coordinators"),
            (r#""w""#, r#""""#, "1 to 255 bytes"),
            (r#""name": "w""#, r#""name": "w", "every": "10ms""#, "between 100ms and 10s"),
            (r#""name": "w", "#, "", "missing field `name`"),
            (r#""name": "w""#, r#""name": "w", "tls": {"client_cert": "c"}"#, "name both, or neither"),
        ] {
            let text = good.replace(from, to);
            let error = read(&text).expect_err(&text).to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
