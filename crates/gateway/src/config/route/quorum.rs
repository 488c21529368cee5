//! Reads of a route from several workers at once: how many, and how their answers are compared.

use ambidex_core::again::Mode;
use ambidex_core::again::hybrid::HybridConfig;
use ambidex_core::again::quorum::{QuorumConfig, QuorumError, QuorumRule};
use ambidex_core::share::Share;
use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Checked settings of a route's reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawQuorum", into = "RawQuorum")]
pub struct Quorum {
    pub(crate) config: QuorumConfig,
    pub(crate) compare: Compare,
    pub(crate) repair: Option<Hook>,
    pub(crate) urgency: u8,
    pub(crate) hot_keys: Option<HybridConfig>,
}

/// What answers are compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    /// Status, and a digest of the body.
    Digest,
    /// A version that this field names.
    Header(HeaderName),
}

/// Where disagreements are posted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hook {
    /// `HOST:PORT` as written.
    pub(crate) authority: String,
    pub(crate) path: String,
}

/// Reads from several workers at once.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Quorum")]
struct RawQuorum {
    /// Whether it acts. Default on where the section is written; source: R-O5.
    #[serde(default = "Mode::written")]
    mode: Mode,
    /// Workers asked at once, from 1.
    ask: u8,
    /// Workers asked in all, at most 8: more than `ask` when one fails or is slow. Default: `ask`; source: balancing.md
    /// "Quorum read" (the next one is a hedge).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    of: Option<u8>,
    /// Good answers that decide, at most `ask`. Default: `ask`; source: R-Q1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    need: Option<u8>,
    /// Whose answer wins: `first`, `newest` or `majority`. Default majority; source: R-Q2.
    #[serde(default)]
    rule: QuorumRule,
    /// What answers are compared by: `digest` of status and body, or `header:NAME`, a number or date that grows with the
    /// version. Default digest; source: R-Q2.
    #[serde(default = "digest")]
    compare: String,
    /// Most of the route's requests that may be read so. Default 100%; source: R-Q3.
    #[serde(default = "all")]
    share: Share,
    /// Requests of a higher urgency number (RFC 9218: 0 to 7, 3 when not said; a higher one is less urgent) ask one
    /// worker. Default 7: all are read so; source: R-Q3.
    #[serde(default = "every_urgency")]
    urgency: u8,
    /// Only reads of the most frequent keys (host, path and query) ask several workers: those that come most often, up to
    /// this share of all keys. Default none: all are read so; source: R-Q4 (20%).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hot_keys: Option<Share>,
    /// URL that each disagreement is posted to as JSON: `http://HOST:PORT/PATH`. Default none; source: R-Q2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repair: Option<String>,
}

fn digest() -> String {
    "digest".to_owned()
}

const fn all() -> Share {
    Share::ALL
}

const fn every_urgency() -> u8 {
    7
}

/// Why settings of a quorum cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteQuorumError {
    /// Numbers that cannot be met.
    #[error(transparent)]
    Numbers(#[from] QuorumError),
    /// Nothing to compare by.
    #[error("quorum.compare: `{0}` is neither `digest` nor `header:NAME`")]
    Compare(String),
    /// The rule needs a version.
    #[error("quorum.rule: `newest` needs a version to go by: write `compare: header:NAME`")]
    NoVersion,
    /// No hook.
    #[error("quorum.repair: `{0}` is not `http://HOST:PORT/PATH`")]
    Repair(String),
    /// No share at all.
    #[error("quorum.hot_keys: 0% is no key at all; leave `quorum` out instead")]
    HotKeys,
    /// No urgency.
    #[error("quorum.urgency: {0} is outside 0 to 7")]
    Urgency(u8),
}

impl TryFrom<RawQuorum> for Quorum {
    type Error = RouteQuorumError;

    fn try_from(raw: RawQuorum) -> Result<Self, RouteQuorumError> {
        let need = raw.need.unwrap_or(raw.ask);
        let config = QuorumConfig::new(raw.mode, raw.ask, need, raw.of.unwrap_or(raw.ask), raw.rule, raw.share)?;
        let header = |name: &str| name.parse().map(Compare::Header).ok();
        let compare = match raw.compare.split_once(':') {
            None if raw.compare == "digest" => Some(Compare::Digest),
            Some(("header", name)) => header(name),
            None | Some(_) => None,
        };
        let compare = compare.ok_or(RouteQuorumError::Compare(raw.compare))?;
        if raw.rule == QuorumRule::Newest && compare == Compare::Digest {
            return Err(RouteQuorumError::NoVersion);
        }
        if raw.urgency > every_urgency() {
            return Err(RouteQuorumError::Urgency(raw.urgency));
        }
        if raw.hot_keys == Some(Share::NONE) {
            return Err(RouteQuorumError::HotKeys);
        }
        let hot_keys = raw.hot_keys.map(|hot_keys| HybridConfig { hot_keys });
        let repair = raw.repair.map(Hook::try_from).transpose()?;
        Ok(Self { config, compare, repair, urgency: raw.urgency, hot_keys })
    }
}

impl TryFrom<String> for Hook {
    type Error = RouteQuorumError;

    fn try_from(url: String) -> Result<Self, RouteQuorumError> {
        let read = || {
            let uri: http::Uri = url.parse().ok()?;
            let authority = uri.authority().filter(|authority| authority.port_u16().is_some())?;
            let plain = uri.scheme_str() == Some("http") && !authority.as_str().contains('@');
            plain.then(|| Self { authority: authority.to_string(), path: uri.path().to_owned() })
        };
        read().ok_or_else(|| RouteQuorumError::Repair(url.clone()))
    }
}

impl From<Quorum> for RawQuorum {
    fn from(quorum: Quorum) -> Self {
        let Quorum { config, compare, repair, urgency, hot_keys } = quorum;
        Self {
            mode: config.mode(),
            ask: config.ask(),
            of: Some(config.most()),
            need: Some(config.need()),
            rule: config.rule(),
            compare: match compare {
                Compare::Digest => digest(),
                Compare::Header(name) => format!("header:{name}"),
            },
            share: config.share(),
            urgency,
            hot_keys: hot_keys.map(|hybrid| hybrid.hot_keys),
            repair: repair.map(|hook| format!("http://{}{}", hook.authority, hook.path)),
        }
    }
}

impl JsonSchema for Quorum {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawQuorum::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawQuorum::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Quorum, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn settings_read_back_as_they_were_written() {
        for json in [
            r#"{"ask": 2}"#,
            r#"{"ask": 2, "of": 3, "need": 1, "rule": "first", "share": "5%", "mode": "observe", "hot_keys": "20%"}"#,
            r#"{"ask": 3, "rule": "newest", "compare": "header:x-version", "repair": "http://127.0.0.1:80/fix"}"#,
        ] {
            let quorum = read(json).expect(json);
            assert_eq!(read(&serde_json::to_string(&quorum).expect("json")), Ok(quorum));
        }
    }

    #[test]
    fn what_cannot_be_met_is_refused_with_what_would_be_right() {
        for (json, told) in [
            (r#"{"ask": 2, "need": 3}"#, "1 <= need <= ask"),
            (r#"{"ask": 9}"#, "ask <= most <= 8"),
            (r#"{"ask": 2, "rule": "newest"}"#, "compare: header:NAME"),
            (r#"{"ask": 2, "compare": "body"}"#, "neither `digest` nor `header:NAME`"),
            (r#"{"ask": 2, "repair": "https://a/"}"#, "http://HOST:PORT/PATH"),
            (r#"{"ask": 2, "urgency": 8}"#, "outside 0 to 7"),
            (r#"{"ask": 2, "hot_keys": "0%"}"#, "no key at all"),
        ] {
            let error = read(json).expect_err(json);
            assert!(error.contains(told), "{json}: {error}");
        }
    }
}
