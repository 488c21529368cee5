//! How a pool's workers report: in their answers' headers, at an endpoint, or not at all.

use ambidex_core::time::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use ambidex_wire::report::endpoint::FieldMap;

/// Where reports come from [R-S2 R-S4].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reports {
    /// Whether reports in answers' headers are read. Default true; source: R-S4. They are stripped either way.
    pub headers: bool,
    /// The endpoint that each worker is asked at. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll: Option<Poll>,
    /// The stream of reports that gRPC workers send out of band: ORCA's `OpenRcaService`. Default none; source: R-S3, not
    /// every worker has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orca: Option<OrcaStream>,
}

/// A gRPC worker's stream of its own reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OrcaStream {
    /// How often a report is asked for, 100ms to 10m; the worker may send less often. Default 1s; source: balancing.md
    /// (one tick).
    #[serde(deserialize_with = "stream_interval")]
    pub interval: Span,
    /// Port, where it is not the worker's own; plain HTTP/2 is spoken there. Default the worker's own; source: ours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

impl Default for OrcaStream {
    fn default() -> Self {
        Self { interval: Span::from_secs(1), port: None }
    }
}

fn stream_interval<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    let interval = Span::deserialize(deserializer)?;
    if !(Span::from_millis(100)..=Span::from_secs(600)).contains(&interval) {
        return Err(serde::de::Error::custom(format_args!("orca.interval {interval} is not between 100ms and 10m")));
    }
    Ok(interval)
}

impl Default for Reports {
    fn default() -> Self {
        Self { headers: true, poll: None, orca: None }
    }
}

/// A worker's JSON endpoint [R-S2].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "RawPoll")]
pub struct Poll {
    /// Path and query to GET.
    pub path: String,
    /// Port, where it is not the worker's own; plain HTTP is spoken there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Pause between two questions to one worker.
    pub interval: Span,
    /// Longest wait for an answer.
    pub timeout: Span,
    /// Where the fields stand, if not under the names of the catalogue.
    pub fields: FieldMap,
}

/// Why a poll cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PollError {
    /// Not a path.
    #[error("poll.path `{0}` is not a path: write `/load`")]
    Path(String),
    /// Too often, or too rarely to be of use.
    #[error("poll.interval {0} is not between 100ms and 10m")]
    Interval(Span),
    /// Longer than the interval, or nothing.
    #[error("poll.timeout {0} must be above zero and at most the interval {1}")]
    Timeout(Span, Span),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawPoll {
    /// Path and query to GET, such as `/load`.
    path: String,
    /// Port, where it is not the worker's own: plain HTTP is spoken there, whatever the worker's URL says. Without it
    /// workers with `https:` URLs are asked over TLS as `upstream.tls` says.
    #[serde(default)]
    port: Option<u16>,
    /// Pause between two questions to one worker, 100ms to 10m. Default 5s; source: R-S2.
    #[serde(default = "five_seconds")]
    interval: Span,
    /// Longest wait for an answer. Default 1s, at most the interval; source: ours, a report older than that is stale.
    #[serde(default)]
    timeout: Option<Span>,
    /// Where the fields stand, if not under the names of the catalogue: `in_flight: /stats/running`. Default none.
    #[serde(default)]
    fields: FieldMap,
}

fn five_seconds() -> Span {
    Span::from_secs(5)
}

impl TryFrom<RawPoll> for Poll {
    type Error = PollError;

    fn try_from(raw: RawPoll) -> Result<Self, PollError> {
        let RawPoll { path, port, interval, timeout, fields } = raw;
        let is_path = path.starts_with('/') && path.parse::<http::uri::PathAndQuery>().is_ok();
        if !is_path {
            return Err(PollError::Path(path));
        }
        if !(Span::from_millis(100)..=Span::from_secs(600)).contains(&interval) {
            return Err(PollError::Interval(interval));
        }
        let timeout = timeout.unwrap_or(Span::from_secs(1).min(interval));
        if timeout == Span::ZERO || timeout > interval {
            return Err(PollError::Timeout(timeout, interval));
        }
        Ok(Self { path, port, interval, timeout, fields })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_needs_only_its_path() {
        let poll: Poll = serde_json::from_str(r#"{"path":"/load"}"#).expect("enough");
        assert_eq!((poll.interval, poll.timeout), (Span::from_secs(5), Span::from_secs(1)));
    }

    #[test]
    fn a_stream_of_reports_needs_nothing_said_and_takes_no_interval_of_another_unit() {
        let reports: Reports = serde_json::from_str(r#"{"orca":{}}"#).expect("enough");
        assert_eq!(reports.orca, Some(OrcaStream { interval: Span::from_secs(1), port: None }));
        let error =
            serde_json::from_str::<Reports>(r#"{"orca":{"interval":"1ms"}}"#).expect_err("too often").to_string();
        assert!(error.contains("orca.interval 1ms is not between 100ms and 10m"), "{error}");
    }

    #[test]
    fn what_cannot_be_polled_is_refused_with_its_reason() {
        for (json, reason) in [
            (r#"{"path":"load"}"#, "write `/load`"),
            (r#"{"path":"http://evil/"}"#, "not a path"),
            (r#"{"path":"/load","interval":"1ms"}"#, "100ms"),
            (r#"{"path":"/load","interval":"1s","timeout":"2s"}"#, "at most the interval"),
            (r#"{"path":"/load","fields":{"in_flight":"a.b"}}"#, "JSON pointer"),
            (r#"{"path":"/load","fields":{"inflight":"/a"}}"#, "no field of a report"),
        ] {
            let error = serde_json::from_str::<Poll>(json).expect_err(json).to_string();
            assert!(error.contains(reason), "{json}: {error}");
        }
    }
}
