//! Whose heartbeats are heard, where, and which key speaks for which workers [R-S3].
//!
//! ```yaml
//! heartbeats:
//!   listen: 127.0.0.1:9903
//!   keys:
//!     - {id: 1, file: beats.key, workers: ["w-*"]}
//! ```

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ambidex_core::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DoorTls;

/// Where heartbeats are heard, and by which keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeartbeatsConfig {
    /// Address and UDP port. Default 127.0.0.1:9903; source: architecture.md "Names and places", the next after the
    /// agent's endpoint.
    #[serde(default = "loopback")]
    #[schemars(with = "String")]
    pub listen: SocketAddr,
    /// Where they come by gRPC as well. Default: nowhere; source: R-S3, datagrams do for most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc: Option<StreamsConfig>,
    /// How often a worker sends one, 100ms to 10s: silence is counted in these. Default 500ms; source: R-S3.
    #[serde(default = "half_a_second", deserialize_with = "period")]
    pub every: Span,
    /// The keys, at least one: what none of them signs is not read. Several at once let keys be changed without a gap.
    pub keys: Keys,
}

/// Where heartbeats come by gRPC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StreamsConfig {
    /// Address and TCP port.
    #[schemars(with = "String")]
    pub address: SocketAddr,
    /// Speak TLS. Default: off; source: heartbeats are signed, and say nothing that is secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<DoorTls>,
}

/// The keys, at least one, each with an id of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<KeyConfig>")]
pub struct Keys(#[schemars(length(min = 1))] Vec<KeyConfig>);

/// One shared key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyConfig {
    /// The number by which heartbeats name it.
    pub id: u32,
    /// A file that holds it: at least 32 bytes, space around them does not count. Read at the start and at each reload.
    #[schemars(with = "String")]
    pub file: PathBuf,
    /// The workers that it speaks for, by name, where `*` stands for any text. A worker whose name the configuration does
    /// not say is called by its URL.
    pub workers: Patterns,
}

/// Names with stars, at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<Pattern>")]
pub struct Patterns(#[schemars(length(min = 1))] Vec<Pattern>);

/// A name in which `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Pattern(String);

/// Why heartbeats cannot be heard so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeartbeatsError {
    /// No key.
    #[error(
        "there is no key: add `{{id: 1, file: beats.key, workers: [\"*\"]}}`; unsigned heartbeats are never believed"
    )]
    NoKey,
    /// More than anybody tells apart.
    #[error("{0} keys: at most {MOST_KEYS} are read")]
    TooMany(usize),
    /// Two keys of one number.
    #[error("two keys have the id {0}: give each its own, so that a heartbeat says which signs it")]
    Twice(u32),
    /// A key for nobody.
    #[error("this key speaks for nobody: name its workers, such as `[\"w-*\"]`")]
    Nobody,
    /// A name that no worker has.
    #[error("`{0}` names no worker: write 1 to 255 bytes, and at most {MOST_STARS} stars")]
    Pattern(String),
}

impl HeartbeatsConfig {
    /// Takes relative paths of files as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        if let Some(tls) = self.grpc.as_mut().and_then(|grpc| grpc.tls.as_mut()) {
            tls.beside(folder);
        }
        for key in &mut self.keys.0 {
            key.file = folder.join(&key.file);
        }
    }
}

impl Keys {
    /// The keys, in the configuration's order.
    #[must_use]
    pub fn list(&self) -> &[KeyConfig] {
        &self.0
    }
}

impl TryFrom<Vec<KeyConfig>> for Keys {
    type Error = HeartbeatsError;

    fn try_from(keys: Vec<KeyConfig>) -> Result<Self, HeartbeatsError> {
        if keys.is_empty() {
            return Err(HeartbeatsError::NoKey);
        }
        if keys.len() > MOST_KEYS {
            return Err(HeartbeatsError::TooMany(keys.len()));
        }
        let twice = keys.iter().enumerate().find(|(at, key)| keys[..*at].iter().any(|other| other.id == key.id));
        match twice {
            Some((_, key)) => Err(HeartbeatsError::Twice(key.id)),
            None => Ok(Self(keys)),
        }
    }
}

impl Patterns {
    /// Whether one of them is the name.
    #[must_use]
    pub fn match_name(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(name))
    }
}

impl TryFrom<Vec<Pattern>> for Patterns {
    type Error = HeartbeatsError;

    fn try_from(patterns: Vec<Pattern>) -> Result<Self, HeartbeatsError> {
        if patterns.is_empty() { Err(HeartbeatsError::Nobody) } else { Ok(Self(patterns)) }
    }
}

impl Pattern {
    /// Whether the pattern is this name. Each piece between two stars is looked for once, from the left.
    fn matches(&self, name: &str) -> bool {
        let Some((begin, rest)) = self.0.split_once('*') else { return self.0 == name };
        let Some(mut left) = name.strip_prefix(begin) else { return false };
        let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
        for piece in middle.split('*') {
            let Some(at) = left.find(piece) else { return false };
            left = &left[at + piece.len()..];
        }
        left.ends_with(end)
    }
}

impl TryFrom<String> for Pattern {
    type Error = HeartbeatsError;

    fn try_from(text: String) -> Result<Self, HeartbeatsError> {
        let fits = (1..=255).contains(&text.len()) && !text.contains(char::is_control);
        if fits && text.matches('*').count() <= MOST_STARS {
            Ok(Self(text))
        } else {
            Err(HeartbeatsError::Pattern(text))
        }
    }
}

fn period<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    let every = Span::deserialize(deserializer)?;
    if !(Span::from_millis(100)..=Span::from_secs(10)).contains(&every) {
        return Err(serde::de::Error::custom(format_args!("heartbeats.every {every} is not between 100ms and 10s")));
    }
    Ok(every)
}

fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9903))
}

const fn half_a_second() -> Span {
    Span::from_millis(500)
}

/// Source: ours; one for each team and its next are far fewer.
const MOST_KEYS: usize = 1_000;
/// Source: ours; bounds the work that one name makes.
const MOST_STARS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<HeartbeatsConfig, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn a_key_is_enough() {
        let config = read(r#"{"keys": [{"id": 1, "file": "k", "workers": ["*"]}]}"#).expect("enough");
        assert_eq!((config.listen, config.every), (loopback(), Span::from_millis(500)));
    }

    #[test]
    fn a_star_stands_for_any_text_and_nothing_else_does() {
        for (pattern, name, matches) in [
            ("w-1", "w-1", true),
            ("w-1", "w-11", false),
            ("w-*", "w-", true),
            ("w-*", "w-11", true),
            ("w-*", "x-w-1", false),
            ("*-1", "w-1", true),
            ("*-1", "w-1-2", false),
            ("*", "", true),
            ("**", "anything", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "acb", false),
            ("aa*aa", "aaa", false),
            ("http://10.0.0.*:9000", "http://10.0.0.7:9000", true),
            ("w.1", "w-1", false),
        ] {
            let pattern = Pattern::try_from(pattern.to_owned()).expect("a pattern");
            assert_eq!(pattern.matches(name), matches, "{pattern:?} {name}");
        }
    }

    #[test]
    fn what_cannot_be_heard_is_refused_with_its_reason() {
        for (json, reason) in [
            (r#"{}"#, "missing field `keys`"),
            (r#"{"keys": []}"#, "never believed"),
            (r#"{"keys": [{"id": 1, "file": "k", "workers": []}]}"#, "speaks for nobody"),
            (r#"{"keys": [{"id": 1, "file": "k", "workers": [""]}]}"#, "names no worker"),
            (r#"{"keys": [{"id": 1, "file": "k", "workers": ["*********"]}]}"#, "at most 8 stars"),
            (r#"{"keys": [{"id": -1, "file": "k", "workers": ["*"]}]}"#, "u32"),
            (
                r#"{"keys": [{"id": 1, "file": "k", "workers": ["a"]}, {"id": 1, "file": "l", "workers": ["b"]}]}"#,
                "two keys have the id 1",
            ),
            (r#"{"every": "1ms", "keys": [{"id": 1, "file": "k", "workers": ["a"]}]}"#, "between 100ms and 10s"),
            (r#"{"key": []}"#, "unknown field `key`"),
        ] {
            let error = read(json).expect_err(json).to_string();
            assert!(error.contains(reason), "{json}: {error}");
        }
    }
}
