//! How many requests a client, or all clients of a route together, may send.

use ambidex_core::again::Mode;
use ambidex_core::time::Span;
use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Checked settings of a route's rate limit [R-L6].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawRateLimit", into = "RawRateLimit")]
pub struct RateLimit {
    pub(crate) mode: Mode,
    pub(crate) per: Per,
    pub(crate) requests: u32,
    pub(crate) period: Span,
    pub(crate) burst: u32,
    pub(crate) tell: bool,
}

/// Whose requests are counted together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "RateLimitPer")]
pub enum Per {
    /// Those of one client: its IPv4 address, or its IPv6 network of 64 bits. Behind a trusted proxy what that says of it.
    #[default]
    Client,
    /// All of the route.
    Route,
    /// Those with the same value of this header; without it, those of one client.
    Header(String),
}

/// Requests over a rate are answered with 429.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "RateLimit")]
#[serde(deny_unknown_fields)]
struct RawRateLimit {
    /// Whether it acts (`on`), only counts (`observe`), or is not there (`off`). Default on; source: whoever writes a limit
    /// down wants it.
    #[serde(default = "on")]
    mode: Mode,
    /// Whose requests are counted together. Default client; source: R-L6.
    #[serde(default)]
    per: Per,
    /// How many requests; 1 to 10000000.
    requests: u32,
    /// In which time, 1ms to 24h. Default 1s; source: ours, what people mean by a rate.
    #[serde(default = "one_second", rename = "in")]
    period: Span,
    /// How many at once after a pause; 1 to 10000000. Default as many as `requests`; source: ours, the whole rate may come in
    /// one moment of its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    burst: Option<u32>,
    /// Whether served answers, too, say how many requests are left (`RateLimit`, `RateLimit-Policy`). Default false: only
    /// refusals do; source: draft-ietf-httpapi-ratelimit-headers leaves it open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    tell: bool,
}

const fn on() -> Mode {
    Mode::On
}

fn one_second() -> Span {
    Span::from_secs(1)
}

/// Why a rate limit cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateLimitError {
    /// Nobody would ever be served, or everybody always.
    #[error("rate_limit.{0} is {1}: write 1 to 10000000")]
    Count(&'static str, u32),
    /// No time, or one that nobody waits for.
    #[error("rate_limit.in {0} is not between 1ms and 24h")]
    Period(Span),
    /// A header that cannot exist.
    #[error("rate_limit.per: `{0}` is no header's name")]
    Header(String),
}

impl TryFrom<RawRateLimit> for RateLimit {
    type Error = RateLimitError;

    fn try_from(raw: RawRateLimit) -> Result<Self, RateLimitError> {
        let RawRateLimit { mode, per, requests, period, burst, tell } = raw;
        let burst = burst.unwrap_or(requests);
        for (key, count) in [("requests", requests), ("burst", burst)] {
            if !(1..=MOST).contains(&count) {
                return Err(RateLimitError::Count(key, count));
            }
        }
        if !(Span::from_millis(1)..=Span::from_secs(86_400)).contains(&period) {
            return Err(RateLimitError::Period(period));
        }
        if let Per::Header(name) = &per
            && name.parse::<HeaderName>().is_err()
        {
            return Err(RateLimitError::Header(name.clone()));
        }
        Ok(Self { mode, per, requests, period, burst, tell })
    }
}

impl From<RateLimit> for RawRateLimit {
    fn from(limit: RateLimit) -> Self {
        let RateLimit { mode, per, requests, period, burst, tell } = limit;
        Self { mode, per, requests, period, burst: Some(burst), tell }
    }
}

/// Source: ours; beyond it a process serves less anyway.
const MOST: u32 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_needs_only_its_number_and_reads_back_as_it_was_written() {
        for json in
            [r#"{"requests":100}"#, r#"{"requests":5,"in":"1m","burst":9,"tell":true,"per":{"header":"x-api-key"}}"#]
        {
            let limit: RateLimit = serde_json::from_str(json).expect("right");
            let again = serde_json::to_string(&limit).expect("json");
            assert_eq!(serde_json::from_str::<RateLimit>(&again).expect("reads back"), limit);
        }
    }

    #[test]
    fn what_limits_nothing_or_everything_is_refused() {
        for (json, told) in [
            (r#"{"requests":0}"#, "1 to 10000000"),
            (r#"{"requests":1,"burst":0}"#, "burst is 0"),
            (r#"{"requests":1,"in":"0s"}"#, "1ms and 24h"),
            (r#"{"requests":1,"per":{"header":"a b"}}"#, "no header"),
        ] {
            let error = serde_json::from_str::<RateLimit>(json).expect_err(json).to_string();
            assert!(error.contains(told), "{json}: {error}");
        }
    }
}
