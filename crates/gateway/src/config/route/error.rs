//! Why a route cannot be used: what is wrong, and what would be right.

use ambidex_core::size::Size;
use ambidex_core::time::Span;

use super::{ChainError, DeadlineError, MOST_RETRIES, MirrorError};

/// Why a route cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RouteError {
    /// Two ways to name a path.
    #[error("match: `path` and `path_prefix` exclude each other; keep one")]
    TwoPaths,
    /// A path that no request has.
    #[error("match: `{0}` is no path: it must begin with `/` and hold neither `?` nor `#`")]
    Path(String),
    /// A host that no request names.
    #[error("match: `{0}` is no host: write `example.org` or `*.example.org`, without scheme, port or path")]
    Host(String),
    /// A method that does not exist.
    #[error("match: `{0}` is no method; write it in capitals, such as GET")]
    Method(String),
    /// A header that cannot exist.
    #[error("match: `{name}: {value}` is no header")]
    Header {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// Two ways to say who serves it.
    #[error("`pool` and `keyspace` exclude each other: a keyspace names its own pool; keep one")]
    PoolAndKeyspace,
    /// Nobody serves it.
    #[error("`pool` is missing: name one, or a `keyspace`")]
    Nowhere,
    /// What a request with one owner cannot have.
    #[error("{section}: a route to a keyspace cannot have it: {why}; leave it out")]
    Keyed {
        /// What it cannot have.
        section: &'static str,
        /// Why.
        why: &'static str,
    },
    /// The deadline makes no sense.
    #[error(transparent)]
    Deadline(#[from] DeadlineError),
    /// More tries than the machine keeps track of.
    #[error("retries: {0} is more than {MOST_RETRIES}")]
    Retries(u8),
    /// The key names a header that cannot exist.
    #[error("key: `{0}` is no header's name")]
    Key(String),
    /// More of a body than one request may cost.
    #[error("keep_body: {0} is more than 1MiB")]
    KeepBody(Size),
    /// Nothing that comes here may run twice.
    #[error(
        "{section}: none of the methods {methods} may run twice; leave it out, or write `repeat: idempotent` for PUT and DELETE, or \
         `deduplicate: {{worker_knows_keys: true}}`"
    )]
    RunsTwice {
        /// What would send it twice.
        section: &'static str,
        /// All that the route takes.
        methods: String,
    },
    /// The fallback chain cannot be used.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The mirror cannot be used.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// The next tier would have its turn at once.
    #[error("fallback_after: {0} is outside 1ms to the deadline")]
    FallbackAfter(Span),
}
