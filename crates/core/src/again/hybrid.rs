//! Which way a read goes, where quorum and cache are mixed [R-Q4]: what many ask for is worth asking several workers,
//! what few ask for is not.
//!
//! ```text
//! the key is among the most frequent (20 % of all keys) ──> quorum
//! else, the cache has its answer ─────────────────────────> cache
//! else ───────────────────────────────────────────────────> a single worker
//! ```
//! One [`Frequent`] for each route and serving thread, made with a seed that nobody outside knows. For each read, and
//! before anything else is done with it:
//!
//! ```text
//! frequent.see(now, key);
//! match hybrid.way(now, key, &mut frequent, || cache.has(key)) {
//!     Way::Quorum => the attempt with the route's quorum,
//!     Way::Cache  => the cached answer,
//!     Way::Single => the attempt with `chances.quorum = None` (its answer may be stored),
//! }
//! ```
//! The key is what the route's cache goes by: method, host, path and query.

use crate::share::Share;
use crate::stats::frequent::Frequent;
use crate::time::Mono;

/// Which reads ask several workers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HybridConfig {
    /// The most frequent keys, as a share of all keys. Default 20 %; source: R-Q4.
    pub hot_keys: Share,
}

impl Default for HybridConfig {
    fn default() -> Self {
        Self { hot_keys: Share::percent(20) }
    }
}

/// Where a read's answer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Way {
    /// From several workers: its key is hot.
    Quorum,
    /// From the cache: its key is not hot.
    Cache,
    /// From one worker: its key is not hot, and the cache has nothing.
    Single,
}

impl HybridConfig {
    /// The way of a read of `key`, which was counted. `cached` is asked only when it matters.
    pub fn way(&self, now: Mono, key: &[u8], frequent: &mut Frequent, cached: impl FnOnce() -> bool) -> Way {
        if frequent.is_top(now, key, self.hot_keys) {
            Way::Quorum
        } else if cached() {
            Way::Cache
        } else {
            Way::Single
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    #[test]
    fn hot_keys_go_by_quorum_and_the_rest_by_what_is_cheapest() {
        let mut frequent = Frequent::new(1);
        let now = Mono::default() + Span::from_secs(1);
        for turn in 0..1_000_u32 {
            let key = if turn % 2 == 0 { 0 } else { turn % 100 };
            frequent.see(now, &key.to_le_bytes());
        }
        let mut way =
            |key: u32, cached: bool| HybridConfig::default().way(now, &key.to_le_bytes(), &mut frequent, || cached);
        let told = [(0, true), (1, true), (3, false), (7_777, false)].map(|(key, cached)| way(key, cached));
        assert_eq!(told, [Way::Quorum, Way::Cache, Way::Single, Way::Single]);
    }

    #[test]
    fn the_cache_is_not_asked_for_a_hot_key() {
        let (mut frequent, now) = (Frequent::new(1), Mono::default());
        (0..20_u8).for_each(|key| frequent.see(now, &[key]));
        (0..5).for_each(|_| frequent.see(now, b"hot"));
        let way = HybridConfig::default().way(now, b"hot", &mut frequent, || unreachable!("it is hot"));
        assert_eq!(way, Way::Quorum);
    }
}
