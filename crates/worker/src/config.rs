//! Settings of a worker's side: the same for the layer and for the agent.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

use ambidex_core::guard::shed::{CLASSES, Class, ShedConfig};
use http::{HeaderMap, HeaderName};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::heartbeats::SendHeartbeats;
use crate::host::HostConfig;
use crate::scrape::ScrapeConfig;

/// What stands before a worker: when it sheds, whom first, and how it reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// When requests are shed.
    pub shed: ShedConfig,
    /// How important a request is: `none` (all alike), `urgency` (RFC 9218, `Priority: u=0` to `7`), or a header with its
    /// values. Default none; source: ours, what a client says of itself is only worth what the client is.
    pub priority: Priority,
    /// In which headers load is reported on answers. Default server_load; source: balancing.md "Reports".
    pub reports: ReportForm,
    /// Where the JSON endpoint `/load`, and `/metrics`, listen. Default none; source: R-S2, a port of its own is the
    /// operator's to choose.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    pub endpoint: Option<SocketAddr>,
    /// Where heartbeats are sent. Default nowhere; source: R-S3, whose key and name nobody but the user knows.
    pub heartbeats: Option<SendHeartbeats>,
    /// What the kernel says of the host, for `/metrics`.
    pub host: HostConfig,
    /// The worker's own Prometheus page, which counts in place of what is measured here. Default none; source: R-S5, whose
    /// place and names nobody but the user knows.
    pub scrape: Option<ScrapeConfig>,
    /// Slices of keyspaces that the worker holds, see docs/shard-workers.md. Default none; source: ours, a worker holds none unless it is
    /// asked to.
    #[cfg(feature = "shards")]
    pub shards: Option<crate::shard::ShardsConfig>,
}

impl WorkerConfig {
    /// Takes relative paths as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        if let Some(heartbeats) = &mut self.heartbeats {
            heartbeats.beside(folder);
        }
        #[cfg(feature = "shards")]
        if let Some(shards) = &mut self.shards {
            shards.beside(folder);
        }
    }
}

/// The headers in which load is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ReportForm {
    /// None.
    None,
    /// `Server-Load`.
    #[default]
    ServerLoad,
    /// ORCA's `endpoint-load-metrics`, which Envoy and gRPC read.
    Orca,
    /// Both.
    Both,
}

/// Where a request says how important it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "RawPriority"))]
#[serde(into = "RawPriority")]
pub enum Priority {
    /// Nowhere: all are alike.
    #[default]
    None,
    /// In `Priority: u=`, RFC 9218: 0 is the most important, 3 is what says nothing.
    Urgency,
    /// In a header, by its value.
    Header(ByHeader),
}

/// A header that says how important a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByHeader {
    name: HeaderName,
    classes: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
enum RawPriority {
    Word(PriorityWord),
    Header(RawByHeader),
}

/// A word for where a request says how important it is.
#[derive(Clone, Copy, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum PriorityWord {
    /// Nowhere.
    None,
    /// In `Priority: u=` (RFC 9218).
    Urgency,
}

/// A header that says how important a request is, and its values.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct RawByHeader {
    /// The header's name, such as `x-priority`.
    header: String,
    /// Its values, the most important first, 2 to 8. A request with another value, or none, is as the last.
    classes: Vec<String>,
}

/// Why a header cannot tell priorities.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PriorityError {
    /// Not a name.
    #[error("priority.header `{0}` is not the name of a header: write one such as `x-priority`")]
    Name(String),
    /// Too few or too many.
    #[error("priority.classes has {0} values: write 2 to {CLASSES}, the most important first")]
    Classes(usize),
    /// One value twice.
    #[error("priority.classes names `{0}` twice")]
    Twice(String),
}

impl Priority {
    /// How important the request with these headers is.
    #[must_use]
    pub fn of(&self, headers: &HeaderMap) -> Class {
        self.by(|name| headers.get(name).map(http::HeaderValue::as_bytes))
    }

    /// The same, where `field` finds a header's value.
    pub fn by<'a>(&self, field: impl FnOnce(&str) -> Option<&'a [u8]>) -> Class {
        match self {
            Self::None => Class::default(),
            Self::Urgency => Class::new(field("priority").and_then(urgency).unwrap_or(USUAL_URGENCY)),
            Self::Header(ByHeader { name, classes }) => {
                let said = field(name.as_str()).map(<[u8]>::trim_ascii);
                let listed = said.and_then(|said| classes.iter().position(|class| class.as_bytes() == said));
                let class = listed.unwrap_or(classes.len() - 1);
                Class::new(u8::try_from(class).unwrap_or(u8::MAX))
            }
        }
    }
}

/// `u` of a `Priority` header: a dictionary of which nothing else matters here.
fn urgency(value: &[u8]) -> Option<u8> {
    let mut said = value.split(|byte| *byte == b',').filter_map(|member| member.trim_ascii().strip_prefix(b"u="));
    match said.next_back()? {
        [digit @ b'0'..=b'7', rest @ ..] if matches!(rest.first(), None | Some(b';')) => Some(digit - b'0'),
        _ => None,
    }
}

/// Source: RFC 9218, 4.1.
const USUAL_URGENCY: u8 = 3;

impl TryFrom<RawByHeader> for Priority {
    type Error = PriorityError;

    fn try_from(RawByHeader { header, classes }: RawByHeader) -> Result<Self, PriorityError> {
        let Ok(name) = HeaderName::try_from(&header) else { return Err(PriorityError::Name(header)) };
        if !(2..=CLASSES).contains(&classes.len()) {
            return Err(PriorityError::Classes(classes.len()));
        }
        let twice = classes.iter().enumerate().find(|(at, class)| classes[..*at].contains(class));
        if let Some((_, class)) = twice {
            return Err(PriorityError::Twice(class.clone()));
        }
        Ok(Self::Header(ByHeader { name, classes }))
    }
}

impl<'de> Deserialize<'de> for Priority {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrHeader;
        impl<'de> Visitor<'de> for WordOrHeader {
            type Value = Priority;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`none`, `urgency`, or a header and its values, the most important first")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Priority, E> {
                match text {
                    "none" => Ok(Priority::None),
                    "urgency" => Ok(Priority::Urgency),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Priority, A::Error> {
                let raw = RawByHeader::deserialize(MapAccessDeserializer::new(map))?;
                Priority::try_from(raw).map_err(de::Error::custom)
            }
        }
        deserializer.deserialize_any(WordOrHeader)
    }
}

impl From<Priority> for RawPriority {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::None => Self::Word(PriorityWord::None),
            Priority::Urgency => Self::Word(PriorityWord::Urgency),
            Priority::Header(ByHeader { name, classes }) => {
                Self::Header(RawByHeader { header: name.as_str().to_owned(), classes })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Priority, serde_json::Error> {
        serde_json::from_str(text)
    }

    fn class(priority: &Priority, name: &str, value: &'static str) -> u8 {
        priority.by(|asked| (asked == name).then_some(value.as_bytes())).get()
    }

    #[test]
    fn urgency_is_read_as_the_rfc_has_it() {
        for (value, class_wanted) in
            [("u=0", 0), ("u=7, i", 7), ("i, u=1", 1), ("i", 3), ("u=9", 3), ("u=12", 3), ("u=5;a=1", 5), ("", 3)]
        {
            assert_eq!(class(&Priority::Urgency, "priority", value), class_wanted, "{value}");
        }
        assert_eq!(class(&Priority::None, "priority", "u=5"), 0);
    }

    #[test]
    fn a_value_that_is_not_listed_is_as_the_least_important() {
        let priority = read(r#"{"header": "X-Priority", "classes": ["high", "normal", "low"]}"#).expect("valid");
        for (value, wanted) in [("high", 0), (" normal ", 1), ("low", 2), ("HIGHEST", 2)] {
            assert_eq!(class(&priority, "x-priority", value), wanted, "{value}");
        }
        assert_eq!(class(&priority, "x-other", "high"), 2);
    }

    #[test]
    fn what_cannot_tell_classes_is_refused_by_name() {
        for (text, told) in [
            (r#"{"header": "x y", "classes": ["a", "b"]}"#, "`x y` is not the name"),
            (r#"{"header": "x", "classes": ["a"]}"#, "has 1 values"),
            (r#"{"header": "x", "classes": ["a", "a"]}"#, "names `a` twice"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        let text = r#"{"shed": {"mode": "observe"}, "priority": {"header": "x", "classes": ["a", "b"]}, "reports": "both",
            "endpoint": "127.0.0.1:0"}"#;
        let config: WorkerConfig = serde_json::from_str(text).expect("valid");
        let written = serde_json::to_string(&config).expect("text");
        assert_eq!(serde_json::from_str::<WorkerConfig>(&written).expect("valid"), config);
    }
}
