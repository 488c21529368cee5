//! The response cache: its bound, and what each route keeps in it.
//!
//! For: the configuration file. What is kept and why: docs/cache.md.

use ambidex_core::again::Mode;
use ambidex_core::size::Size;
use ambidex_core::time::Span;
use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bounds of the cache that all routes share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawCacheBounds", into = "RawCacheBounds")]
pub struct CacheBounds {
    pub(crate) max_bytes: Size,
    pub(crate) shared: bool,
}

/// Bounds of the response cache, for all routes together.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Cache")]
struct RawCacheBounds {
    /// Most bytes of answers in memory, heads and keys included, 1MiB to 1TiB. Default 64MiB; source: ours, under a hundredth
    /// of a machine with 8 GiB, and some thousands of answers of 10 KiB.
    max_bytes: Size,
    /// Uses the server of `redis` as a second level, that several gateways share: asked on a miss for 20 ms at most, and
    /// never relied on. Default false; source: R-O5.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    shared: bool,
}

impl Default for RawCacheBounds {
    fn default() -> Self {
        Self { max_bytes: Size::mib(64), shared: false }
    }
}

impl Default for CacheBounds {
    fn default() -> Self {
        Self { max_bytes: RawCacheBounds::default().max_bytes, shared: false }
    }
}

impl CacheBounds {
    /// Whether several gateways share what is kept.
    #[must_use]
    pub const fn is_shared(&self) -> bool {
        self.shared
    }
}

/// Why the cache cannot be as wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CacheError {
    /// The bound makes no sense.
    #[error("max_bytes: {0} is outside 1MiB to 1TiB")]
    Bytes(Size),
    /// A body that large cannot be kept.
    #[error("max_body: {0} is outside 1 byte to 64MiB")]
    Body(Size),
    /// A span that makes no sense.
    #[error("{key}: {span} is longer than a year")]
    Span {
        /// Which.
        key: &'static str,
        /// What it says.
        span: Span,
    },
    /// A wait that makes no sense.
    #[error("collapse_wait: {0} is longer than 60s")]
    Wait(Span),
    /// A part of the key that no request has.
    #[error("key: `{0}` is no header's name")]
    Header(String),
    /// More parts than any answer needs.
    #[error("key: more than {MOST_PARTS} headers and cookies; keep those that answers depend on")]
    Parts,
}

impl TryFrom<RawCacheBounds> for CacheBounds {
    type Error = CacheError;

    fn try_from(raw: RawCacheBounds) -> Result<Self, CacheError> {
        if (Size::mib(1)..=Size::mib(1 << 20)).contains(&raw.max_bytes) {
            Ok(Self { max_bytes: raw.max_bytes, shared: raw.shared })
        } else {
            Err(CacheError::Bytes(raw.max_bytes))
        }
    }
}

impl From<CacheBounds> for RawCacheBounds {
    fn from(bounds: CacheBounds) -> Self {
        Self { max_bytes: bounds.max_bytes, shared: bounds.shared }
    }
}

impl JsonSchema for CacheBounds {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawCacheBounds::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawCacheBounds::json_schema(generator)
    }
}

/// What of a route's answers is kept, checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRouteCache", into = "RawRouteCache")]
pub struct RouteCache {
    pub(crate) mode: Mode,
    pub(crate) max_body: Size,
    pub(crate) stale_while_revalidate: Span,
    pub(crate) stale_if_error: Span,
    pub(crate) collapse: bool,
    pub(crate) collapse_wait: Span,
    pub(crate) writes: CacheWrites,
    pub(crate) set_cookie: SetCookie,
    pub(crate) key: CacheKey,
}

/// What an answer to a write does to what is kept of the same resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CacheWrites {
    /// It is thrown away, with what `Location` and `Content-Location` of the same host name.
    #[default]
    Invalidate,
    /// The answer takes its place, when it says that it is the resource (`Content-Location`) or for how long it is
    /// fresh; else it is thrown away.
    WriteThrough,
}

/// What becomes of answers that set cookies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SetCookie {
    /// They are not kept, unless they say `public`.
    #[default]
    Refuse,
    /// They are kept like others, as RFC 9111 has it.
    Keep,
}

/// What, beside host, path and what `Vary` names, tells answers apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CacheKey {
    /// Requests whose queries differ get the same answer. Default false; source: RFC 9111, 2 (the key is the URI).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) ignore_query: bool,
    /// The values of these headers are part of the key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) headers: Vec<String>,
    /// The values of these cookies are part of the key.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) cookies: Vec<String>,
}

/// What of a route's answers is kept, and what is answered with it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "RouteCache")]
struct RawRouteCache {
    /// `off`, `observe` (answers are kept and hits are counted, but workers answer), `on`. Default on where `cache` is
    /// given at all; source: R-Q5.
    mode: Mode,
    /// Largest body that is kept. Default 1MiB; source: ours, so that a full cache of 64 MiB holds at least 64 answers.
    max_body: Size,
    /// For how long after its lifetime an answer is served while it is asked for anew, where it does not say. Default 0s;
    /// source: RFC 5861, 3 leaves it to the answer.
    stale_while_revalidate: Span,
    /// For how long after its lifetime an answer is served when no worker gives a good one, where it does not say.
    /// Default 0s; source: RFC 5861, 4 leaves it to the answer.
    stale_if_error: Span,
    /// Of requests that want the same at the same time, one is sent, and the others wait for its answer. Default true;
    /// source: R-Q5.
    collapse: bool,
    /// How long they wait at most, then they are sent themselves. Default 5s; source: nginx's `proxy_cache_lock_timeout`.
    collapse_wait: Span,
    /// What an answer to a write does. Default invalidate; source: RFC 9111, 4.4.
    writes: CacheWrites,
    /// What becomes of answers that set cookies. Default refuse; source: nginx and Varnish do not keep them, because a
    /// session that is kept is a session given away.
    set_cookie: SetCookie,
    /// What, beside host, path and what `Vary` names, tells answers apart.
    key: CacheKey,
}

impl Default for RawRouteCache {
    fn default() -> Self {
        Self {
            mode: Mode::On,
            max_body: Size::mib(1),
            stale_while_revalidate: Span::ZERO,
            stale_if_error: Span::ZERO,
            collapse: true,
            collapse_wait: Span::from_secs(5),
            writes: CacheWrites::default(),
            set_cookie: SetCookie::default(),
            key: CacheKey::default(),
        }
    }
}

impl Default for RouteCache {
    fn default() -> Self {
        Self::try_from(RawRouteCache::default()).expect("the defaults are within their bounds")
    }
}

impl TryFrom<RawRouteCache> for RouteCache {
    type Error = CacheError;

    fn try_from(raw: RawRouteCache) -> Result<Self, CacheError> {
        if !(Size::bytes(1)..=Size::mib(64)).contains(&raw.max_body) {
            return Err(CacheError::Body(raw.max_body));
        }
        let spans = [("stale_while_revalidate", raw.stale_while_revalidate), ("stale_if_error", raw.stale_if_error)];
        if let Some((key, span)) = spans.into_iter().find(|(_, span)| *span > MOST_STALE) {
            return Err(CacheError::Span { key, span });
        }
        if raw.collapse_wait > MOST_WAIT {
            return Err(CacheError::Wait(raw.collapse_wait));
        }
        if raw.key.headers.len() + raw.key.cookies.len() > MOST_PARTS {
            return Err(CacheError::Parts);
        }
        if let Some(wrong) = raw.key.headers.iter().find(|name| name.parse::<HeaderName>().is_err()) {
            return Err(CacheError::Header(wrong.clone()));
        }
        let RawRouteCache { mode, max_body, stale_while_revalidate, stale_if_error, collapse, collapse_wait, .. } = raw;
        let RawRouteCache { writes, set_cookie, key, .. } = raw;
        Ok(Self {
            mode,
            max_body,
            stale_while_revalidate,
            stale_if_error,
            collapse,
            collapse_wait,
            writes,
            set_cookie,
            key,
        })
    }
}

impl From<RouteCache> for RawRouteCache {
    fn from(route: RouteCache) -> Self {
        let RouteCache { mode, max_body, stale_while_revalidate, stale_if_error, collapse, collapse_wait, .. } = route;
        let RouteCache { writes, set_cookie, key, .. } = route;
        Self {
            mode,
            max_body,
            stale_while_revalidate,
            stale_if_error,
            collapse,
            collapse_wait,
            writes,
            set_cookie,
            key,
        }
    }
}

impl JsonSchema for RouteCache {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawRouteCache::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawRouteCache::json_schema(generator)
    }
}

/// Source: RFC 9111 knows no longer lifetime that is of use.
const MOST_STALE: Span = Span::from_secs(365 * 24 * 3600);
/// Source: the default deadline of a request.
const MOST_WAIT: Span = Span::from_secs(60);
/// Source: as many names as `Vary` may have.
const MOST_PARTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_value_is_told_with_what_would_be_right() {
        for (json, told) in [
            (r#"{"max_body": "65MiB"}"#, "outside 1 byte to 64MiB"),
            (r#"{"stale_if_error": "10000h"}"#, "longer than a year"),
            (r#"{"collapse_wait": "2m"}"#, "longer than 60s"),
            (r#"{"key": {"headers": ["a b"]}}"#, "no header's name"),
            (r#"{"writes": "through"}"#, "write-through"),
            (r#"{"modes": "on"}"#, "unknown field"),
        ] {
            let error = serde_json::from_str::<RouteCache>(json).expect_err(json).to_string();
            assert!(error.contains(told), "{json}: {error}");
        }
        let error = serde_json::from_str::<CacheBounds>(r#"{"max_bytes": "1KiB"}"#).expect_err("small").to_string();
        assert!(error.contains("outside 1MiB to 1TiB"), "{error}");
    }

    #[test]
    fn settings_read_back_as_they_were_written() {
        let json = r#"{"mode": "observe", "max_body": "2MiB", "key": {"ignore_query": true, "cookies": ["lang"]}}"#;
        let read: RouteCache = serde_json::from_str(json).expect("right");
        let again = serde_json::from_str(&serde_json::to_string(&read).expect("json")).expect("right");
        assert_eq!(read, again);
    }
}
