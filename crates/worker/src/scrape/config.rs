//! Where a worker shows its metrics, and which of them are which field of its report.

use std::fmt;

use ambidex_core::time::Span;
use ambidex_wire::report::scrape::Queries;
use serde::{Deserialize, Serialize};

/// A worker's own Prometheus page [R-S5].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ScrapeConfig {
    /// Where it is, such as `http://127.0.0.1:9000/metrics`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub url: PageUrl,
    /// Which metric is which field of the report: `{in_flight: {gauge: http_requests_in_flight}}`.
    pub fields: Queries,
    /// Whether the agent stands beside the worker and no request comes through it: then the page alone tells of the worker,
    /// and without it nothing is said. Default false; source: R-S5.
    #[serde(default)]
    pub beside: bool,
    /// From one page to the next, 500ms to 10m. Default 5s; source: R-S2.
    #[serde(default = "five_seconds", deserialize_with = "interval")]
    pub interval: Span,
    /// How long a page may take, 10ms to 1m. Default 1s; source: as of polls.
    #[serde(default = "second", deserialize_with = "timeout")]
    pub timeout: Span,
}

/// A plain HTTP URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PageUrl {
    authority: String,
    path: String,
}

/// Why a page cannot be asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScrapeError {
    /// No such URL.
    #[error("`{0}` is no page of metrics: write one such as http://127.0.0.1:9000/metrics")]
    Url(String),
}

impl PageUrl {
    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Path and query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl TryFrom<String> for PageUrl {
    type Error = ScrapeError;

    fn try_from(text: String) -> Result<Self, ScrapeError> {
        let parsed = text.parse::<http::Uri>().ok().filter(|uri| uri.scheme_str() == Some("http"));
        let url = parsed.and_then(|uri| {
            let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
            let port = authority.port_u16().unwrap_or(80);
            let path = uri.path_and_query().map_or("/", |path| path.as_str());
            Some(Self { authority: format!("{}:{port}", authority.host()), path: path.to_owned() })
        });
        url.ok_or(ScrapeError::Url(text))
    }
}

impl From<PageUrl> for String {
    fn from(url: PageUrl) -> Self {
        url.to_string()
    }
}

impl fmt::Display for PageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

fn five_seconds() -> Span {
    Span::from_secs(5)
}

fn second() -> Span {
    Span::from_secs(1)
}

fn interval<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    within(deserializer, "scrape.interval", Span::from_millis(500), Span::from_secs(600), "500ms and 10m")
}

fn timeout<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    within(deserializer, "scrape.timeout", Span::from_millis(10), Span::from_secs(60), "10ms and 1m")
}

fn within<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
    key: &str,
    least: Span,
    most: Span,
    range: &str,
) -> Result<Span, D::Error> {
    let span = Span::deserialize(deserializer)?;
    if (least..=most).contains(&span) {
        Ok(span)
    } else {
        Err(serde::de::Error::custom(format_args!("{key} {span} is not between {range}")))
    }
}
