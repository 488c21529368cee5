//! Requests of a route that a second pool gets as well, in the dark: its answers go nowhere [R-P5].

use ambidex_core::again::Mode;
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Checked settings of a route's mirror.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawMirror", into = "RawMirror")]
pub struct Mirror {
    pub(crate) mode: Mode,
    pub(crate) pool: String,
    pub(crate) share: Share,
    pub(crate) most: u32,
    pub(crate) deadline: Span,
    pub(crate) unsafe_methods: bool,
}

impl Mirror {
    /// The pool that gets copies.
    #[must_use]
    pub fn pool(&self) -> &str {
        &self.pool
    }

    /// Whether a request of this method may be copied.
    pub(crate) fn takes(&self, method: &Method) -> bool {
        self.unsafe_methods || matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
    }
}

/// Why settings of a mirror cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// The pool that has answered already.
    #[error("mirror.pool: `{0}` is the route's own pool: name another one")]
    Own(String),
    /// Nothing is ever copied.
    #[error("mirror.share: 0% is no request at all; leave `mirror` out instead")]
    Share,
    /// No room, or no bound.
    #[error("mirror.most: {0} is outside 1 to 10000")]
    Most(u32),
    /// No time, or no bound.
    #[error("mirror.deadline: {0} is outside 1ms to 5m")]
    Deadline(Span),
}

/// A copy of a route's requests for another pool, whose answers are counted and thrown away.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Mirror")]
struct RawMirror {
    /// Whether it acts; `observe` counts what would be copied. Default on where the section is written; source: R-O5.
    #[serde(default = "Mode::written")]
    mode: Mode,
    /// The name of the pool that gets copies.
    pool: String,
    /// Share of the requests that are copied. Default 100%; source: R-P5.
    #[serde(default = "all")]
    share: Share,
    /// Copies under way at once, 1 to 10000; what is over is not copied, and counted. Default 64; source: ours, a pool that is
    /// slow must not gather work here.
    #[serde(default = "most")]
    most: u32,
    /// How long a copy may take, its answer's body included, 1ms to 5m. Default 10s; source: ours, as above.
    #[serde(default = "deadline")]
    deadline: Span,
    /// Whether requests are copied that may change something: other methods than GET, HEAD and OPTIONS (RFC 9110, 9.2.1).
    /// Default false; source: R-P5.
    #[serde(default)]
    unsafe_methods: bool,
}

const fn all() -> Share {
    Share::ALL
}

const fn most() -> u32 {
    64
}

const fn deadline() -> Span {
    Span::from_secs(10)
}

impl TryFrom<RawMirror> for Mirror {
    type Error = MirrorError;

    fn try_from(raw: RawMirror) -> Result<Self, MirrorError> {
        let RawMirror { mode, pool, share, most, deadline, unsafe_methods } = raw;
        if share <= Share::NONE {
            return Err(MirrorError::Share);
        }
        if !(1..=10_000).contains(&most) {
            return Err(MirrorError::Most(most));
        }
        if deadline < Span::from_millis(1) || deadline > Span::from_secs(300) {
            return Err(MirrorError::Deadline(deadline));
        }
        Ok(Self { mode, pool, share, most, deadline, unsafe_methods })
    }
}

impl From<Mirror> for RawMirror {
    fn from(mirror: Mirror) -> Self {
        let Mirror { mode, pool, share, most, deadline, unsafe_methods } = mirror;
        Self { mode, pool, share, most, deadline, unsafe_methods }
    }
}

impl JsonSchema for Mirror {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawMirror::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawMirror::json_schema(generator)
    }
}
