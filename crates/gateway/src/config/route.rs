//! A route: which requests go to which pool, and within which bounds.
//!
//! For: the configuration file. [`Route`] is checked; the request path reads its compiled form (`routes.rs`).

mod again;
mod deadline;
mod deduplicate;
mod error;
mod fallback;
mod keyed;
mod matches;
mod mirror;
mod quorum;
mod rate_limit;

use std::path::Path;

use ambidex_core::again::Mode;
use ambidex_core::again::fallback::Fallback;
use ambidex_core::again::hedge::HedgeConfig;
use ambidex_core::again::quorum::QuorumRule;
use ambidex_core::again::retry::FirstTry;
use ambidex_core::attempt::{AttemptConfig, Chances, RouteId};
use ambidex_core::shard::keyspace::KeyspaceName;
use ambidex_core::size::Size;
use ambidex_core::time::Span;
use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cache::RouteCache;
use super::recording::RouteRecording;

pub use again::{Repeat, Retry};
pub use deadline::DeadlineError;
use deadline::{Deadline, RawDeadline};
pub use deduplicate::{Deduplicate, DeduplicateError, KeyStore, WhenAway};
pub use error::RouteError;
pub use fallback::{ChainError, Snapshot, Static, Tier};
use matches::RawMatch;
pub(crate) use matches::{HostPattern, Match, PathPattern};
pub use mirror::{Mirror, MirrorError};
pub(crate) use quorum::{Compare, Hook};
pub use quorum::{Quorum, RouteQuorumError};
pub use rate_limit::{Per, RateLimit, RateLimitError};

/// Checked settings of one route. The first route that matches a request serves it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawRoute", into = "RawRoute")]
pub struct Route {
    pub(crate) matches: Match,
    /// Of a route to a keyspace: that one's, once it is known.
    pub(crate) pool: String,
    pub(crate) keyspace: Option<KeyspaceName>,
    pub(crate) deadline: Deadline,
    pub(crate) pass_deadline: bool,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) retries: u8,
    pub(crate) key: Option<Key>,
    pub(crate) keep_body: Size,
    pub(crate) repeat: Repeat,
    retry: Retry,
    first_try: Option<FirstTry>,
    hedge: Option<HedgeConfig>,
    pub(crate) quorum: Option<Quorum>,
    pub(crate) fallback: Vec<Tier>,
    fallback_after: Option<Span>,
    fallback_mode: Mode,
    pub(crate) cache: Option<RouteCache>,
    pub(crate) deduplicate: Option<Deduplicate>,
    pub(crate) record: Option<RouteRecording>,
    pub(crate) mirror: Option<Mirror>,
}

impl Route {
    /// A route of every request to `pool`, with every default.
    #[must_use]
    pub fn all_to(pool: &str) -> Self {
        let AttemptConfig { deadline, retries, .. } = AttemptConfig::default();
        Self {
            matches: Match::all(),
            pool: pool.into(),
            keyspace: None,
            deadline: Deadline::plain(deadline),
            pass_deadline: false,
            rate_limit: None,
            retries,
            key: None,
            keep_body: KEEP_BODY,
            repeat: Repeat::default(),
            retry: Retry::NONE,
            first_try: None,
            hedge: None,
            quorum: None,
            fallback: Vec::new(),
            fallback_after: None,
            fallback_mode: Mode::written(),
            cache: None,
            deduplicate: None,
            record: None,
            mirror: None,
        }
    }

    /// The bounds and second chances of its requests. `number` is the route's, as configured.
    pub(crate) fn attempt(&self, number: usize) -> AttemptConfig {
        let tiers: Vec<_> = self.fallback.iter().map(Tier::kind).collect();
        let mode = if tiers.is_empty() { Mode::Off } else { self.fallback_mode };
        let chances = Chances {
            route: RouteId(u32::try_from(number).unwrap_or(u32::MAX)),
            resend: self.retry.sent,
            answers: self.retry.answers,
            first_try: self.first_try.unwrap_or_default(),
            hedge: self.hedge.unwrap_or_default(),
            quorum: self.quorum.as_ref().map(|quorum| quorum.config),
            adaptive: self.deadline.follows.is_some(),
            fallback: Fallback { mode, ..Fallback::on(&tiers, self.fallback_after) },
        };
        AttemptConfig { deadline: self.deadline.most, retries: self.retries, chances, ..AttemptConfig::default() }
    }

    /// Names of all pools that its requests may come to.
    pub fn pools(&self) -> impl Iterator<Item = &str> {
        let tiers =
            self.fallback.iter().filter_map(|tier| if let Tier::Pool(name) = tier { Some(&**name) } else { None });
        let mirror = self.mirror.as_ref().map(Mirror::pool);
        std::iter::once(&*self.pool).chain(tiers).chain(mirror)
    }

    /// Who gets copies of its requests, if anybody does.
    #[must_use]
    pub fn mirror(&self) -> Option<&Mirror> {
        self.mirror.as_ref()
    }

    /// The tiers of its fallback chain.
    #[must_use]
    pub fn fallback(&self) -> &[Tier] {
        &self.fallback
    }

    /// How many workers a read asks, at once and in all, if it asks several.
    #[must_use]
    pub fn quorum(&self) -> Option<(u8, u8)> {
        self.quorum.as_ref().map(|quorum| (quorum.config.ask(), quorum.config.most()))
    }

    /// Whether its reads want the newest answer that there is.
    #[must_use]
    pub fn wants_newest(&self) -> bool {
        self.quorum.as_ref().is_some_and(|quorum| quorum.config.rule() == QuorumRule::Newest)
    }

    /// Whether its reads move all of each answer that is asked for, to compare it.
    #[must_use]
    pub fn compares_bodies(&self) -> bool {
        self.quorum.as_ref().is_some_and(|quorum| quorum.config.compares() && quorum.compare == Compare::Digest)
    }

    /// The settings of its cache by which answers are served that are stale, where answers do not forbid it.
    #[must_use]
    pub fn serves_stale(&self) -> Vec<(&'static str, Span)> {
        let Some(cache) = self.cache.as_ref().filter(|cache| cache.mode.acts()) else { return Vec::new() };
        let spans =
            [("stale_while_revalidate", cache.stale_while_revalidate), ("stale_if_error", cache.stale_if_error)];
        spans.into_iter().filter(|(_, span)| *span > Span::ZERO).collect()
    }

    /// How long an answer's head may take, at most.
    #[must_use]
    pub const fn deadline(&self) -> Span {
        self.deadline.most
    }

    /// Takes relative paths as beside `folder`.
    pub fn beside(&mut self, folder: &Path) {
        self.fallback.iter_mut().for_each(|tier| tier.beside(folder));
    }

    /// The name of the pool whose workers serve it.
    #[must_use]
    pub fn pool(&self) -> &str {
        &self.pool
    }

    /// The keyspace whose owners serve it, if it leads to one.
    #[must_use]
    pub const fn keyspace(&self) -> Option<&KeyspaceName> {
        self.keyspace.as_ref()
    }

    /// Names the pool of its keyspace, which another section of the file does.
    pub fn of_pool(&mut self, pool: &str) {
        pool.clone_into(&mut self.pool);
    }

    /// Whether it says of its own what of its requests is recorded.
    #[must_use]
    pub const fn says_what_is_recorded(&self) -> bool {
        self.record.is_some()
    }

    /// How repeats of its requests are known, if they are.
    #[must_use]
    pub fn deduplicate(&self) -> Option<&Deduplicate> {
        self.deduplicate.as_ref()
    }
}

/// What names the worker that a request belongs to, for the `ring`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "RouteKey")]
pub enum Key {
    /// The value of this header.
    Header(String),
    /// The value of this cookie.
    Cookie(String),
    /// The value of this query parameter.
    Query(String),
    /// The path.
    Path,
    /// The client's address.
    ClientIp,
}

/// Settings of one route.
#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Route")]
struct RawRoute {
    /// Which requests. Default: all.
    #[serde(default, rename = "match", skip_serializing_if = "Option::is_none")]
    matches: Option<RawMatch>,
    /// The name of the pool whose workers serve them. A must, unless there is a `keyspace`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pool: Option<String>,
    /// The name of the keyspace that they belong to: each goes to the worker that owns the slice of its key, and to no other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keyspace: Option<KeyspaceName>,
    /// How long an answer's head may take, 1ms to 24h; or how that follows what the route usually takes. Default 60s;
    /// source: nginx's `proxy_read_timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline: Option<RawDeadline>,
    /// Whether a request's own `grpc-timeout` or `Ambidex-Deadline-Ms` shortens the deadline, and workers are told in these
    /// what is left of it. Default false; source: R-O5.
    #[serde(default)]
    pass_deadline: bool,
    /// How many requests a client, or all clients of the route, may send. Default: as many as come; source: R-L6, whose
    /// number nobody but the user knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate_limit: Option<RateLimit>,
    /// How many workers may be tried after the first, at most 3. Default 2; source: balancing.md "Retry".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retries: Option<u8>,
    /// What names the worker that a request belongs to, for pools that pick by `ring`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Key>,
    /// Bytes of a request's body that are kept for another try, where the route has second chances, at most 1MiB: a body
    /// of announced length up to this is read before it is sent, one of unknown length is kept while it is sent. Default 32KiB; source: reliability.md row 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keep_body: Option<Size>,
    /// Which methods may run twice: `safe` or `idempotent`. Default safe; source: reliability.md row 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repeat: Option<Repeat>,
    /// Tries again what a worker got, or answered with a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry: Option<Retry>,
    /// Gives a slow first try up early, and asks another worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_try: Option<FirstTry>,
    /// Sends a request that takes long to a second worker as well; the first answer wins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hedge: Option<HedgeConfig>,
    /// Reads from several workers at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quorum: Option<Quorum>,
    /// What answers when no worker of the pool does, in this order, at most 6. Default: an error of our own; source:
    /// R-B3.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fallback: Vec<Tier>,
    /// After how long the next tier has its turn though nothing failed, from 1ms. Default: at the deadline; source:
    /// R-B3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    fallback_after: Option<Span>,
    /// Whether the chain acts. Default on where it is written; source: R-O5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fallback_mode: Option<Mode>,
    /// Keeps answers for the next who asks. Default: none are kept; source: R-O5 (each feature is switched on alone).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache: Option<RouteCache>,
    /// How repeats of a request that changes something are known. Default: they are not; source: R-O5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deduplicate: Option<Deduplicate>,
    /// What is recorded of its requests otherwise than `record` at the top says. Default: the same as of all others;
    /// source: R-T6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<RouteRecording>,
    /// A second pool that gets copies of its requests; the answers are counted and thrown away. Default: none; source: R-O5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mirror: Option<Mirror>,
}

impl TryFrom<RawRoute> for Route {
    type Error = RouteError;

    fn try_from(raw: RawRoute) -> Result<Self, RouteError> {
        keyed::check(&raw)?;
        let pool = raw.pool.unwrap_or_default();
        let defaults = Self::all_to(&pool);
        let deadline = raw.deadline.map(Deadline::try_from).transpose()?.unwrap_or(defaults.deadline);
        let retries = raw.retries.unwrap_or(defaults.retries);
        if retries > MOST_RETRIES {
            return Err(RouteError::Retries(retries));
        }
        if let Some(Key::Header(name)) = &raw.key
            && name.parse::<HeaderName>().is_err()
        {
            return Err(RouteError::Key(name.clone()));
        }
        let keep_body = raw.keep_body.unwrap_or(KEEP_BODY);
        if keep_body > Size::mib(1) {
            return Err(RouteError::KeepBody(keep_body));
        }
        if let Some(after) = raw.fallback_after.filter(|after| *after < Span::from_millis(1) || *after >= deadline.most)
        {
            return Err(RouteError::FallbackAfter(after));
        }
        fallback::check(&pool, &raw.fallback)?;
        if let Some(mirror) = raw.mirror.as_ref().filter(|mirror| mirror.pool == pool) {
            return Err(MirrorError::Own(mirror.pool.clone()).into());
        }
        let checked = Self {
            matches: raw.matches.unwrap_or_default().try_into()?,
            pool,
            keyspace: raw.keyspace,
            deadline,
            pass_deadline: raw.pass_deadline,
            rate_limit: raw.rate_limit,
            retries,
            key: raw.key,
            keep_body,
            repeat: raw.repeat.unwrap_or_default(),
            retry: raw.retry.unwrap_or(Retry::NONE),
            first_try: raw.first_try,
            hedge: raw.hedge,
            quorum: raw.quorum,
            fallback: raw.fallback,
            fallback_after: raw.fallback_after,
            fallback_mode: raw.fallback_mode.unwrap_or(Mode::written()),
            cache: raw.cache,
            deduplicate: raw.deduplicate,
            record: raw.record,
            mirror: raw.mirror,
        };
        checked.something_may_run_twice()?;
        Ok(checked)
    }
}

impl Route {
    /// What sends requests twice is of no use to a route whose requests never may run twice.
    fn something_may_run_twice(&self) -> Result<(), RouteError> {
        let known = self.deduplicate.as_ref().is_some_and(Deduplicate::lets_run_twice);
        let methods = &self.matches.methods;
        let some = known || methods.is_empty() || methods.iter().any(|method| self.repeat.allows(method));
        let sections = [
            ("hedge", self.hedge.is_some()),
            ("quorum", self.quorum.is_some()),
            ("first_try", self.first_try.is_some()),
        ];
        match sections.into_iter().find(|(_, there)| *there && !some) {
            Some((section, _)) => {
                let methods = methods.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                Err(RouteError::RunsTwice { section, methods })
            }
            None => Ok(()),
        }
    }
}

impl From<Route> for RawRoute {
    fn from(route: Route) -> Self {
        let keyed = route.keyspace.is_some();
        Self {
            matches: route.matches.written(),
            pool: (!keyed).then_some(route.pool),
            keyspace: route.keyspace,
            deadline: Some(route.deadline.into()),
            pass_deadline: route.pass_deadline,
            rate_limit: route.rate_limit,
            retries: (!keyed).then_some(route.retries),
            key: route.key,
            keep_body: (!keyed).then_some(route.keep_body),
            repeat: (!keyed).then_some(route.repeat),
            retry: (route.retry != Retry::NONE).then_some(route.retry),
            first_try: route.first_try,
            hedge: route.hedge,
            quorum: route.quorum,
            fallback_mode: (!route.fallback.is_empty()).then_some(route.fallback_mode),
            fallback: route.fallback,
            fallback_after: route.fallback_after,
            cache: route.cache,
            deduplicate: route.deduplicate,
            record: route.record,
            mirror: route.mirror,
        }
    }
}

impl JsonSchema for Route {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawRoute::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawRoute::json_schema(generator)
    }
}

/// Core's machine remembers four tries.
const MOST_RETRIES: u8 = 3;
/// Of a body. Source: reliability.md row 7.
const KEEP_BODY: Size = Size::kib(32);

#[cfg(test)]
mod tests;
