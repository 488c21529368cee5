//! How a route's requests are known again: by which header, for how long, kept where.

use ambidex_core::again::Mode;
use ambidex_core::again::dedup::{Terms, Unsure};
use ambidex_core::size::Size;
use ambidex_core::time::Span;
use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Checked settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawDeduplicate", into = "RawDeduplicate")]
pub struct Deduplicate {
    pub(crate) mode: Mode,
    pub(crate) header: HeaderName,
    pub(crate) required: bool,
    pub(crate) keep: Span,
    pub(crate) max_body: usize,
    pub(crate) max_answer: usize,
    pub(crate) store: KeyStore,
    pub(crate) when_store_is_away: WhenAway,
    pub(crate) tenant: Option<HeaderName>,
    pub(crate) worker_knows_keys: bool,
    pub(crate) not_begun: Vec<u16>,
}

/// Where keys and answers are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyStore {
    /// In this process and its data folder: for one gateway.
    #[default]
    Embedded,
    /// In the server of the section `redis`: for several gateways.
    Redis,
}

/// What becomes of a request while the store cannot be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenAway {
    /// It is answered with 503: nothing runs that might be a repeat.
    #[default]
    Refuse,
    /// It runs, uncovered, and is sent once.
    Run,
}

/// How repeats of this route's requests are known.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Deduplicate")]
struct RawDeduplicate {
    /// Whether it acts; `observe` counts what it would have answered. Default on; source: who writes the section wants it.
    mode: Mode,
    /// The header that names a request: `Idempotency-Key`, or `X-Request-Id` or another where clients send one with
    /// every request and again with its repeats. Default Idempotency-Key; source:
    /// draft-ietf-httpapi-idempotency-key-header.
    header: String,
    /// Whether requests without it are refused with 400. Default false; source: ours.
    required: bool,
    /// How long a key is known after its request, 1s to 168h. Default 24h; source: what Stripe's API promises.
    #[schemars(with = "String")]
    keep: Span,
    /// Largest body of a request with a key, at most 64MiB; it is read whole before it is sent. Default 1MiB; source:
    /// nginx's `client_max_body_size`.
    #[schemars(with = "String")]
    max_body: Size,
    /// Largest answer that is kept, at most 16MiB; a repeat of a request with a larger one gets 409. Default 64KiB;
    /// source: ours, a thousand of them fill the table's bytes.
    #[schemars(with = "String")]
    max_answer: Size,
    /// Where keys and answers are kept. Default embedded; source: ours, it needs nothing.
    store: KeyStore,
    /// What becomes of requests while the store cannot be asked. Default refuse; source: R-L3, never a second execution.
    when_store_is_away: WhenAway,
    /// A header that tells tenants apart, set by something that knows its users: each has keys and a quota of its own.
    /// Default: none, then an answer is repeated only to the same `Authorization`.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// Whether the workers know idempotency keys themselves, all of one pool together. Then a request that may have run is
    /// forgotten, and may be sent again by retries and hedges. Default false; source: R-L2.
    worker_knows_keys: bool,
    /// Statuses by which a worker says that it did not begin: such a request leaves no trace. Default 401, 421, 425, 429;
    /// source: RFC 9110, RFC 8470, RFC 6585.
    not_begun: Vec<u16>,
}

impl Default for RawDeduplicate {
    fn default() -> Self {
        Self {
            mode: Mode::On,
            header: "Idempotency-Key".into(),
            required: false,
            keep: Span::from_secs(86_400),
            max_body: Size::mib(1),
            max_answer: Size::kib(64),
            store: KeyStore::default(),
            when_store_is_away: WhenAway::default(),
            tenant: None,
            worker_knows_keys: false,
            not_begun: vec![401, 421, 425, 429],
        }
    }
}

/// Why these settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeduplicateError {
    /// A header that cannot exist.
    #[error("deduplicate.{key}: `{name}` is no header's name")]
    Header {
        /// Which key of the section.
        key: &'static str,
        /// What was given.
        name: String,
    },
    /// The header that says who asks cannot name a request.
    #[error("deduplicate.header: `{0}` does not name a request; use Idempotency-Key or X-Request-Id")]
    NoName(String),
    /// A time that makes no sense.
    #[error("deduplicate.keep: {0} is outside 1s to 168h")]
    Keep(Span),
    /// A size that would fill memory.
    #[error("deduplicate.{key}: {value} is more than {most}")]
    Size {
        /// Which one.
        key: &'static str,
        /// What was given.
        value: Size,
        /// The most.
        most: Size,
    },
    /// A status that speaks of a request that was carried out.
    #[error("deduplicate.not_begun: {0} does not say that the worker did not begin; only 4xx and 503 can")]
    Begun(u16),
}

impl TryFrom<RawDeduplicate> for Deduplicate {
    type Error = DeduplicateError;

    fn try_from(raw: RawDeduplicate) -> Result<Self, DeduplicateError> {
        let named = |key, name: String| match name.parse::<HeaderName>() {
            Ok(parsed) => Ok(parsed),
            Err(_) => Err(DeduplicateError::Header { key, name }),
        };
        let header = named("header", raw.header)?;
        if UNFIT.contains(&header.as_str()) {
            return Err(DeduplicateError::NoName(header.to_string()));
        }
        if !(Span::from_secs(1)..=Span::from_secs(7 * 86_400)).contains(&raw.keep) {
            return Err(DeduplicateError::Keep(raw.keep));
        }
        let size = |key, value: Size, most: Size| {
            let bytes = usize::try_from(value.get()).ok().filter(|_| value <= most);
            bytes.ok_or(DeduplicateError::Size { key, value, most })
        };
        let wrong = raw.not_begun.iter().find(|status| !((400..500).contains(*status) || **status == 503));
        if let Some(status) = wrong {
            return Err(DeduplicateError::Begun(*status));
        }
        Ok(Self {
            mode: raw.mode,
            header,
            required: raw.required,
            keep: raw.keep,
            max_body: size("max_body", raw.max_body, Size::mib(64))?,
            max_answer: size("max_answer", raw.max_answer, Size::mib(16))?,
            store: raw.store,
            when_store_is_away: raw.when_store_is_away,
            tenant: raw.tenant.map(|name| named("tenant", name)).transpose()?,
            worker_knows_keys: raw.worker_knows_keys,
            not_begun: raw.not_begun,
        })
    }
}

impl From<Deduplicate> for RawDeduplicate {
    fn from(checked: Deduplicate) -> Self {
        Self {
            mode: checked.mode,
            header: checked.header.to_string(),
            required: checked.required,
            keep: checked.keep,
            max_body: Size::bytes(checked.max_body as u64),
            max_answer: Size::bytes(checked.max_answer as u64),
            store: checked.store,
            when_store_is_away: checked.when_store_is_away,
            tenant: checked.tenant.map(|name| name.to_string()),
            worker_knows_keys: checked.worker_knows_keys,
            not_begun: checked.not_begun,
        }
    }
}

impl JsonSchema for Deduplicate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawDeduplicate::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawDeduplicate::json_schema(generator)
    }
}

impl Deduplicate {
    /// Whether its keys are kept where several gateways see them.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.mode.watches() && self.store == KeyStore::Redis
    }

    /// Whether a request with a key may run twice, because its workers know it.
    pub(crate) fn lets_run_twice(&self) -> bool {
        self.mode.acts() && self.worker_knows_keys
    }

    /// Whether its keys are kept in this process.
    pub(crate) fn is_embedded(&self) -> bool {
        self.mode.acts() && self.store == KeyStore::Embedded
    }

    /// The terms of a route whose answers' heads may take `deadline`.
    pub(crate) fn terms(&self, deadline: Span) -> Terms {
        let unsure = if self.worker_knows_keys { Unsure::Release } else { Unsure::Hold };
        // The head within the deadline, the body within another, and time to write down how it ended.
        Terms { lease: deadline.times(2) + Span::from_secs(10), keep: self.keep, unsure }
    }
}

/// Headers that say who asks, or belong to a connection.
const UNFIT: [&str; 7] =
    ["authorization", "cookie", "host", "connection", "content-length", "transfer-encoding", "user-agent"];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Deduplicate, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn what_cannot_name_a_request_or_fit_in_memory_is_refused() {
        for (json, told) in [
            (r#"{"header": "a b"}"#, "`a b` is no header's name"),
            (r#"{"tenant": ""}"#, "is no header's name"),
            (r#"{"header": "Authorization"}"#, "does not name a request"),
            (r#"{"keep": "10ms"}"#, "outside 1s to 168h"),
            (r#"{"max_body": "1GiB"}"#, "more than 64MiB"),
            (r#"{"max_answer": "17MiB"}"#, "more than 16MiB"),
            (r#"{"not_begun": [200]}"#, "only 4xx and 503"),
            (r#"{"mode": "maybe"}"#, "unknown variant"),
        ] {
            let error = read(json).expect_err(json);
            assert!(error.contains(told), "{json}: {error}");
        }
    }

    #[test]
    fn settings_read_back_as_they_were_written() {
        for json in ["{}", r#"{"mode": "observe", "header": "x-request-id", "tenant": "x-tenant", "store": "redis"}"#] {
            let settings = read(json).expect("right");
            assert_eq!(read(&serde_json::to_string(&settings).expect("json")), Ok(settings));
        }
    }
}
