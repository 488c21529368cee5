//! Rate limits: how many requests a client may send, or all clients of a route [R-L6].
//!
//! The rule is GCRA, by the `governor` crate: one time for each client, when its allowance will be whole again. These times
//! are in a table of bounded size, shared by all threads in [`SHARDS`] parts, each behind a lock that is held for a look and
//! a write. A table that is full forgets the client of a few whose time comes first: it is the one of which least is known.
//! So a flood of addresses can make it forget, and never grow.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ambidex_http1::{Known, RequestHead};
use ambidex_tower::Clock;
use governor::clock::Clock as _;
use governor::middleware::StateInformationMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;
use nohash_hasher::IntMap;

use crate::config::{Per, RateLimit};

/// The limit of one route, for all threads of a process.
pub(crate) struct Limit {
    config: RateLimit,
    limiter: RateLimiter<u64, Shared, Time, StateInformationMiddleware>,
    table: Arc<Table>,
    /// Outsiders choose what is hashed, so they must not be able to choose where it lands.
    hasher: RandomState,
    watched: AtomicU64,
}

/// How many more requests a client may send at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left(u32);

/// A request came too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// When the next one may come.
    pub(crate) wait: Duration,
}

/// Numbers of the rate limits, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitStats {
    /// Clients that are remembered.
    pub clients: u64,
    /// Clients that were forgotten, because a table was full.
    pub forgotten: u64,
    /// Requests that a limit would have refused, were it not only observed.
    pub watched: u64,
}

impl Limit {
    /// A limit that nobody has used yet.
    pub(crate) fn new(config: RateLimit, clock: Clock) -> Self {
        let (requests, burst) = (u64::from(config.requests), NonZeroU32::new(config.burst));
        let each = Duration::from_nanos((config.period.as_nanos() / requests).max(1));
        let quota = Quota::with_period(each).expect("at least a nanosecond");
        let quota = quota.allow_burst(burst.expect("checked: at least 1"));
        let table = Arc::new(Table::default());
        let limiter = RateLimiter::new(quota, Shared(Arc::clone(&table)), Time(clock));
        Self { config, limiter, table, hasher: RandomState::new(), watched: AtomicU64::new(0) }
    }

    /// Whether it is this limit that the settings ask for.
    pub(crate) fn is(&self, config: &RateLimit) -> bool {
        self.config == *config
    }

    /// Counts a request of `client`, and says whether it may be served.
    pub(crate) fn admit(&self, head: &RequestHead, client: Option<IpAddr>) -> Result<Left, TooMany> {
        match self.limiter.check_key(&self.key(head, client)) {
            Ok(state) => Ok(Left(state.remaining_burst_capacity())),
            Err(until) if self.config.mode.acts() => {
                Err(TooMany { wait: until.wait_time_from(self.limiter.clock().now()) })
            }
            Err(_) => {
                self.watched.fetch_add(1, Relaxed);
                Ok(Left(0))
            }
        }
    }

    /// Whether clients are told what is left on every answer.
    pub(crate) fn tells(&self) -> bool {
        self.config.tell && self.config.mode.acts()
    }

    fn key(&self, head: &RequestHead, client: Option<IpAddr>) -> u64 {
        match &self.config.per {
            Per::Route => 0,
            Per::Client => self.of_client(client),
            Per::Header(name) => match head.head().get(name.as_bytes()) {
                Some(value) => self.hasher.hash_one(value.as_bytes()),
                None => self.of_client(client),
            },
        }
    }

    /// Of one number, because each part of an address costs a hash as much as all of it does.
    fn of_client(&self, client: Option<IpAddr>) -> u64 {
        let number = client.map_or(0, |client| match network_of(client) {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        });
        self.hasher.hash_one(number)
    }

    /// `RateLimit-Policy`: the burst, and the time in which it is whole again (draft-ietf-httpapi-ratelimit-headers).
    pub(crate) fn policy(&self) -> String {
        let RateLimit { requests, period, burst, .. } = &self.config;
        let whole = period.as_secs_f64() * f64::from(*burst) / f64::from(*requests);
        format!("\"{}\";q={burst};w={}", self.name(), whole.ceil().max(1.0))
    }

    /// `RateLimit` of a request that is served: what is left, and in how many seconds all of it is back.
    pub(crate) fn state_of(&self, Left(left): Left) -> String {
        let RateLimit { requests, period, burst, .. } = &self.config;
        let used = f64::from(burst.saturating_sub(left));
        let whole = period.as_secs_f64() * used / f64::from(*requests);
        format!("\"{}\";r={left};t={}", self.name(), whole.ceil())
    }

    /// `RateLimit` of a request that came too early.
    pub(crate) fn state(&self, refused: TooMany) -> String {
        format!("\"{}\";r=0;t={}", self.name(), refused.seconds())
    }

    fn name(&self) -> &'static str {
        match self.config.per {
            Per::Client => "client",
            Per::Route => "route",
            Per::Header(_) => "header",
        }
    }

    pub(crate) fn stats(&self) -> LimitStats {
        let table = &self.table;
        let clients = table.shards.iter().map(|shard| locked(shard).len() as u64).sum();
        LimitStats { clients, forgotten: table.forgotten.load(Relaxed), watched: self.watched.load(Relaxed) }
    }
}

impl std::fmt::Debug for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limit").field("config", &self.config).finish_non_exhaustive()
    }
}

impl TooMany {
    /// `Retry-After`: whole seconds, none too early.
    pub(crate) fn seconds(self) -> u64 {
        self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0)
    }
}

impl LimitStats {
    pub(crate) fn add(&mut self, other: Self) {
        self.clients += other.clients;
        self.forgotten += other.forgotten;
        self.watched += other.watched;
    }
}

/// What counts as one client: who has an IPv6 address has a whole network of 64 bits of them.
pub(crate) fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

/// Whose request it is: the peer's, or behind trusted proxies the nearest that none of them is, by `X-Forwarded-For`.
pub(crate) fn client_of(head: &RequestHead, peer: Option<IpAddr>, trusted: &[IpNet]) -> Option<IpAddr> {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(&address.to_canonical()));
    let mut client = peer?;
    if !is_trusted(&client) {
        return Some(client);
    }
    let lines: Vec<_> = head.head().all(Known::XForwardedFor).collect();
    let hops = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b','));
    for hop in hops {
        // What is no address ends what can be believed.
        let Some(address) = str::from_utf8(hop).ok().and_then(|hop| hop.trim().parse().ok()) else { break };
        client = address;
        if !is_trusted(&client) {
            break;
        }
    }
    Some(client)
}

/// When each client's allowance is whole again. Its keys are hashes.
struct Table {
    shards: [Mutex<IntMap<u64, Nanos>>; SHARDS],
    forgotten: AtomicU64,
}

impl Default for Table {
    fn default() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), forgotten: AtomicU64::new(0) }
    }
}

/// The table, as a limiter owns it.
struct Shared(Arc<Table>);

impl StateStore for Shared {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, judge: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // By bits in the middle: a map goes by those at both ends.
        let mut shard = locked(&self.0.shards[((key >> 32) % SHARDS as u64) as usize]);
        if let Some(known) = shard.get_mut(key) {
            let (told, whole_at) = judge(Some(*known))?;
            *known = whole_at;
            return Ok(told);
        }
        let (told, whole_at) = judge(None)?;
        if shard.len() >= MOST_CLIENTS / SHARDS {
            let first = shard.iter().take(LOOKED_AT).min_by_key(|(_, whole_at)| **whole_at).map(|(key, _)| *key);
            if let Some(first) = first {
                shard.remove(&first);
                self.0.forgotten.fetch_add(1, Relaxed);
            }
        }
        shard.insert(*key, whole_at);
        Ok(told)
    }
}

/// The process's clock, as governor reads it.
struct Time(Clock);

impl governor::clock::Clock for Time {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.now().as_nanos())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A panic elsewhere leaves nothing half done: one entry is written at a time.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Parts of a table. Source: ours; more than a small machine has threads.
const SHARDS: usize = 16;
/// Clients of one route that are remembered: about 2 MB. Source: ours.
const MOST_CLIENTS: usize = 65_536;
/// How many are looked at to forget one of them. Source: ours; bounds what a flood costs each request.
const LOOKED_AT: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::tests::read;

    fn limit(json: &str) -> Limit {
        Limit::new(serde_json::from_str(json).expect("right"), Clock::starting_now())
    }

    fn address(number: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(std::net::Ipv4Addr::from_bits(number)))
    }

    #[test]
    fn each_client_has_its_own_allowance_and_hears_when_to_come_again() {
        let (limit, head) = (limit(r#"{"requests":2,"in":"1h"}"#), read("GET", "/", &[]));
        let asked = |client| limit.admit(&head, client);
        assert_eq!([asked(address(1)), asked(address(1)), asked(address(2))], [Ok(Left(1)), Ok(Left(0)), Ok(Left(1))]);
        let refused = asked(address(1)).expect_err("the third");
        assert!((1_700..=1_800).contains(&refused.seconds()), "{refused:?}");
        assert_eq!(limit.policy(), r#""client";q=2;w=3600"#);
        assert_eq!(limit.state(refused), format!(r#""client";r=0;t={}"#, refused.seconds()));
    }

    #[test]
    fn a_route_is_one_client_and_a_header_names_one() {
        let head = |key: &'static str| read("GET", "/", &[("x-api-key", key)]);
        let route = limit(r#"{"requests":1,"in":"1h","per":"route"}"#);
        assert!(route.admit(&head("a"), address(1)).is_ok() && route.admit(&head("b"), address(2)).is_err());
        let by_key = limit(r#"{"requests":1,"in":"1h","per":{"header":"x-api-key"}}"#);
        assert!(by_key.admit(&head("a"), address(1)).is_ok() && by_key.admit(&head("b"), address(1)).is_ok());
        assert!(by_key.admit(&head("a"), address(2)).is_err());
        let none = read("GET", "/", &[]);
        assert!(by_key.admit(&none, address(3)).is_ok() && by_key.admit(&none, address(3)).is_err());
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let limit = limit(r#"{"requests":1,"in":"1h"}"#);
        let head = read("GET", "/", &[]);
        let asked = |text: &str| limit.admit(&head, Some(text.parse().expect("an address"))).is_ok();
        assert_eq!([asked("2001:db8::1"), asked("2001:db8::2"), asked("2001:db8:0:1::1")], [true, false, true]);
        assert_eq!([asked("10.0.0.1"), asked("::ffff:10.0.0.1")], [true, false]);
    }

    #[test]
    fn a_limit_that_is_only_observed_counts_and_lets_all_through() {
        let (limit, head) = (limit(r#"{"requests":1,"in":"1h","mode":"observe"}"#), read("GET", "/", &[]));
        assert!((0..5).all(|_| limit.admit(&head, address(1)).is_ok()));
        assert_eq!(limit.stats(), LimitStats { clients: 1, forgotten: 0, watched: 4 });
    }

    #[test]
    fn a_flood_of_clients_makes_a_table_forget_and_never_grow() {
        let (limit, head) = (limit(r#"{"requests":1,"in":"1h"}"#), read("GET", "/", &[]));
        let flood = u32::try_from(MOST_CLIENTS * 2).expect("small");
        (0..flood).for_each(|number| {
            let _ = limit.admit(&head, address(number));
        });
        let stats = limit.stats();
        assert!(stats.clients <= MOST_CLIENTS as u64 && stats.forgotten >= MOST_CLIENTS as u64, "{stats:?}");
    }

    #[test]
    fn behind_trusted_proxies_the_nearest_other_address_is_the_client() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().expect("a network")];
        let of = |forwarded: &'static str, peer: &str| {
            let head = read("GET", "/", &[("x-forwarded-for", forwarded)]);
            client_of(&head, Some(peer.parse().expect("an address")), &trusted).map(|client| client.to_string())
        };
        for (forwarded, peer, client) in [
            ("1.2.3.4", "10.0.0.1", "1.2.3.4"),
            ("6.6.6.6, 1.2.3.4, 10.9.9.9", "10.0.0.1", "1.2.3.4"),
            ("1.2.3.4", "9.9.9.9", "9.9.9.9"),
            ("nonsense", "10.0.0.1", "10.0.0.1"),
            ("10.1.1.1", "10.0.0.1", "10.1.1.1"),
        ] {
            assert_eq!(of(forwarded, peer).as_deref(), Some(client), "{forwarded} by {peer}");
        }
    }
}
