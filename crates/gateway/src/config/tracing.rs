//! Where spans of sampled requests go.

use ambidex_core::share::Share;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of the trace export; without them trace context is passed through and nothing is exported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawTracing")]
pub struct Tracing {
    pub(crate) otlp: String,
    pub(crate) sample: Share,
}

impl Tracing {
    /// Base URL of the collector, without a path.
    #[must_use]
    pub fn otlp(&self) -> &str {
        &self.otlp
    }

    /// Which share of the requests that nobody before us decided on is sampled.
    #[must_use]
    pub fn sample(&self) -> Share {
        self.sample
    }
}

/// Why the settings cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TracingError {
    /// Not a URL that spans can be sent to.
    #[error("tracing.otlp: `{0}` is no collector: write http://HOST:PORT, such as http://127.0.0.1:4318")]
    Url(String),
}

/// Trace export by OTLP over HTTP.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tracing")]
struct RawTracing {
    /// The collector, as `http://HOST:PORT`; spans are posted to `/v1/traces` there.
    otlp: String,
    /// Which share of the requests is sampled, unless the request itself says. Default 1%; source: low enough to cost
    /// nothing visible at 10,000 requests/s, and Envoy's and Istio's usual setting.
    #[serde(default = "one_percent")]
    #[schemars(with = "String")]
    sample: Share,
}

impl JsonSchema for Tracing {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawTracing::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawTracing::json_schema(generator)
    }
}

fn one_percent() -> Share {
    Share::percent(1)
}

impl TryFrom<RawTracing> for Tracing {
    type Error = TracingError;

    fn try_from(raw: RawTracing) -> Result<Self, TracingError> {
        let wrong = || TracingError::Url(raw.otlp.clone());
        let uri: http::Uri = raw.otlp.parse().map_err(|_| wrong())?;
        let secret_free = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        if uri.scheme_str() != Some("http") || !secret_free || !matches!(uri.path(), "" | "/" | "/v1/traces") {
            return Err(wrong());
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        Ok(Self { otlp: format!("http://{authority}"), sample: raw.sample })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_an_http_url_without_credentials() {
        for (url, right) in [
            ("http://127.0.0.1:4318", true),
            ("http://collector:4318/v1/traces", true),
            ("https://collector:4318", false),
            ("collector:4318", false),
            ("http://user:secret@collector:4318", false),
        ] {
            let read = serde_json::from_value::<Tracing>(serde_json::json!({"otlp": url}));
            assert_eq!(read.is_ok(), right, "{url}");
        }
    }
}
