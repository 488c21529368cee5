//! Which keys come most often, of any number of keys, in bounded memory: SpaceSaving (Metwally, Agrawal, El Abbadi
//! 2005) in sets, which forgets.
//!
//! ```text
//! key -> seeded hash ─┬─ which set of 8 counters      known: count + 1
//!                     │                               new:   takes the least counter over: its count + 1, of which
//!                     │                                      the old count is no more than a guess (`error`)
//!                     └─ which register of two HyperLogLogs: how many keys there are
//! every 30 s all counts are halved, and the older of the two is begun anew
//! ```
//! SpaceSaving in one table needs a heap and a map of places in it. In sets of 8 a key costs one look at 128 bytes, and
//! all that it promises holds within each set. The hash is seeded, so that nobody outside can choose keys that meet in
//! one set. A key's true count lies between `count - error` and `count`; whoever decides goes by the lower one, so that
//! newcomers are never taken for frequent.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::share::Share;
use crate::stats::distinct::Distinct;
use crate::time::{Mono, Span};

/// Counts of the keys that come most often.
#[derive(Clone, Debug)]
pub struct Frequent {
    seed: u64,
    counters: Box<[Counter]>,
    /// Keys of this half-life and of the one before.
    keys: [Distinct; 2],
    /// When counts were halved last.
    halved: Mono,
    cut: Option<Cut>,
    /// Room to find a cut in.
    ranked: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counter {
    hash: u64,
    /// 0: free.
    count: u32,
    error: u32,
}

/// The count over which a key is among the most frequent, until it is worked out again.
#[derive(Clone, Copy, Debug)]
struct Cut {
    share: Share,
    at: Mono,
    over: u32,
}

impl Frequent {
    /// Nothing seen yet. `seed` must not be known outside.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            counters: vec![Counter::default(); SETS * WAYS].into_boxed_slice(),
            keys: [Distinct::default(), Distinct::default()],
            halved: Mono::default(),
            cut: None,
            ranked: Vec::with_capacity(SETS * WAYS),
        }
    }

    /// Counts one request for `key`.
    pub fn see(&mut self, now: Mono, key: &[u8]) {
        self.forget(now);
        let hash = xxh3_64_with_seed(key, self.seed);
        self.keys[0].see(hash);
        let set = self.set_mut(hash);
        let at = (0..WAYS).find(|at| set[*at].hash == hash && set[*at].count > 0);
        let counter = match at {
            Some(at) => &mut set[at],
            None => {
                let least = (0..WAYS).min_by_key(|at| set[*at].count).unwrap_or(0);
                let count = set[least].count;
                set[least] = Counter { hash, count, error: count };
                &mut set[least]
            }
        };
        counter.count = counter.count.saturating_add(1);
    }

    /// How often `key` came, since counts fade: at least and at most. `None`: not known, and seldom.
    #[must_use]
    pub fn count(&self, key: &[u8]) -> Option<(u32, u32)> {
        let counter = self.counter(xxh3_64_with_seed(key, self.seed))?;
        Some((counter.least(), counter.count))
    }

    /// About how many keys came in the last half-life or two.
    #[must_use]
    pub fn distinct(&self) -> f64 {
        self.keys[0].with(&self.keys[1]).count()
    }

    /// Whether `key` is among the most frequent keys that make up `share` of all keys. Never more of them than that:
    /// of keys that come equally often none is in when not all of them could be. A key that came once, or of which that
    /// much cannot be proved, is not.
    pub fn is_top(&mut self, now: Mono, key: &[u8], share: Share) -> bool {
        self.forget(now);
        let over = self.cut(now, share);
        self.counter(xxh3_64_with_seed(key, self.seed)).is_some_and(|counter| counter.least() > over)
    }

    /// The count of the first key that is not among the most frequent `share` of all.
    fn cut(&mut self, now: Mono, share: Share) -> u32 {
        if let Some(cut) = self.cut.filter(|cut| cut.share == share && now.since(cut.at) < CUT_FOR) {
            return cut.over;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of keys, not negative")]
        let within = (share.get() * self.distinct()) as usize;
        self.ranked.clear();
        self.ranked.extend(self.counters.iter().map(Counter::least).filter(|least| *least > 0));
        let over =
            if within < self.ranked.len() { *self.ranked.select_nth_unstable_by(within, |a, b| b.cmp(a)).1 } else { 0 };
        let over = over.max(SELDOM);
        self.cut = Some(Cut { share, at: now, over });
        over
    }

    fn counter(&self, hash: u64) -> Option<&Counter> {
        let begin = begin_of(hash);
        self.counters[begin..begin + WAYS].iter().find(|counter| counter.hash == hash && counter.count > 0)
    }

    fn set_mut(&mut self, hash: u64) -> &mut [Counter] {
        let begin = begin_of(hash);
        &mut self.counters[begin..begin + WAYS]
    }

    fn forget(&mut self, now: Mono) {
        let halvings = now.since(self.halved).as_nanos() / HALF_LIFE.as_nanos();
        if halvings == 0 {
            return;
        }
        self.halved = self.halved + HALF_LIFE.times(halvings);
        let by = u32::try_from(halvings).unwrap_or(u32::MAX);
        for counter in &mut self.counters {
            counter.count = counter.count.checked_shr(by).unwrap_or(0);
            counter.error = counter.error.checked_shr(by).unwrap_or(0);
        }
        let latest = core::mem::take(&mut self.keys[0]);
        self.keys[1] = if halvings == 1 { latest } else { Distinct::default() };
        self.cut = None;
    }
}

impl Counter {
    fn least(&self) -> u32 {
        self.count - self.error
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a remainder")]
fn begin_of(hash: u64) -> usize {
    (hash % SETS as u64) as usize * WAYS
}

/// Counters that share a key's place. Source: ours; 128 bytes are two lines of a processor's cache.
const WAYS: usize = 8;
/// How many sets: 4,096 counters in 64 KiB, so that a key counts for sure that is asked for in one of 500 requests.
/// Source: ours.
const SETS: usize = 512;
/// After this long a request counts half. Source: balancing.md "Hedge" (sketches over 30 s).
const HALF_LIFE: Span = Span::from_secs(30);
/// How long a cut serves before it is worked out again. Source: ours; as long as a quantile of `again::memory` does.
const CUT_FOR: Span = Span::from_millis(250);
/// A key that did not come more often than this is not frequent. Source: ours; nothing can be said of a single request.
const SELDOM: u32 = 1;

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::draw::Draw;

    fn at(seconds: u64) -> Mono {
        Mono::default() + Span::from_secs(seconds)
    }

    /// Sees `keys`, and counts them exactly beside that.
    fn seen(seed: u64, keys: impl IntoIterator<Item = u32>) -> (Frequent, BTreeMap<u32, u32>) {
        let mut frequent = Frequent::new(seed);
        let mut exact = BTreeMap::new();
        for key in keys {
            frequent.see(at(0), &key.to_le_bytes());
            *exact.entry(key).or_insert(0) += 1;
        }
        (frequent, exact)
    }

    fn top(frequent: &mut Frequent, exact: &BTreeMap<u32, u32>, share: Share) -> Vec<u32> {
        let is_top = |key: &&u32| frequent.is_top(at(0), &key.to_le_bytes(), share);
        exact.keys().filter(is_top).copied().collect()
    }

    /// Keys of which few come often, drawn by 1/x.
    fn skewed(seed: u64, keys: u32, requests: usize) -> Vec<u32> {
        let mut draw = Draw::seeded(seed);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below `keys`")]
        let key = |unit: f64| (libm::exp(unit * libm::log(f64::from(keys))) - 1.0) as u32;
        (0..requests).map(|_| key(draw.unit())).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn a_true_count_lies_within_what_is_told(seed: u64, keys in 1_u32..20_000, requests in 1_usize..6_000) {
            let (frequent, exact) = seen(seed, skewed(seed, keys, requests));
            for (key, count) in exact {
                if let Some((least, most)) = frequent.count(&key.to_le_bytes()) {
                    prop_assert!((least..=most).contains(&count), "{key}: {count} is not in {least}..={most}");
                }
            }
        }

        #[test]
        fn a_key_that_comes_often_enough_is_known(seed: u64, often in 0_u32..50, spread in 1_u32..50_000) {
            let mut draw = Draw::seeded(seed);
            let drawn = |draw: &mut Draw, spread: u32| u32::try_from(draw.below(spread as usize)).expect("below a u32");
            let keys = (0..5_000).map(|turn| if turn % 50 == 0 { often } else { 1_000 + drawn(&mut draw, spread) });
            let (frequent, exact) = seen(seed, keys);
            let (least, most) = frequent.count(&often.to_le_bytes()).expect("one request of fifty");
            prop_assert!(least <= exact[&often] && exact[&often] <= most);
        }

        #[test]
        fn the_most_frequent_are_never_more_than_their_share_nor_less_frequent_than_others(
            seed: u64, keys in 5_u32..300, requests in 1_usize..5_000, percent in 1_u8..=100
        ) {
            let (mut frequent, exact) = seen(seed, skewed(seed, keys, requests));
            let share = Share::percent(percent);
            let top = top(&mut frequent, &exact, share);
            // The number of keys is told within some percent: so many may be too many.
            prop_assert!(top.len() as f64 <= share.get() * exact.len() as f64 * 1.25 + 1.0);
            let least = top.iter().map(|key| exact[key]).min();
            let others = exact.iter().filter(|(key, _)| !top.contains(key)).map(|(_, count)| *count).max();
            if let (Some(least), Some(others), true) = (least, others, exact.len() < 100) {
                prop_assert!(least > others || others <= SELDOM, "{least} is in and {others} is not");
            }
        }
    }

    #[test]
    fn of_skewed_keys_a_fifth_is_told_with_few_mistakes() {
        let (mut frequent, exact) = seen(7, skewed(7, 3_000, 100_000));
        let told = top(&mut frequent, &exact, Share::percent(20));
        let mut ranked: Vec<u32> = exact.keys().copied().collect();
        ranked.sort_by_key(|key| core::cmp::Reverse(exact[key]));
        let true_top = &ranked[..exact.len() / 5];
        let right = told.iter().filter(|key| true_top.contains(key)).count();
        assert!(right * 10 >= true_top.len() * 8, "{right} of {}", true_top.len());
        assert!(right * 10 >= told.len() * 9, "{right} of {} told", told.len());
    }

    #[test]
    fn of_keys_that_come_equally_often_or_once_none_is_frequent() {
        let (mut frequent, exact) = seen(1, (0..1_000).flat_map(|key| [key; 3]));
        assert_eq!(top(&mut frequent, &exact, Share::percent(20)), [0_u32; 0]);
        let (mut frequent, exact) = seen(1, 0..50_000);
        assert!(top(&mut frequent, &exact, Share::percent(20)).len() < 20);
    }

    #[test]
    fn what_was_asked_for_is_forgotten() {
        let mut frequent = Frequent::new(3);
        let (old, new) = (b"old".as_slice(), b"new".as_slice());
        (0..1_000).for_each(|_| frequent.see(at(0), old));
        (0..100).for_each(|key: u32| frequent.see(at(0), &key.to_le_bytes()));
        assert!(frequent.is_top(at(1), old, Share::percent(20)));
        for second in 0..300 {
            (0..10).for_each(|_| frequent.see(at(second), new));
            (0..100_u32).for_each(|key| frequent.see(at(second), &key.to_le_bytes()));
        }
        assert!(frequent.is_top(at(300), new, Share::percent(2)));
        assert!(!frequent.is_top(at(300), old, Share::percent(2)));
        frequent.see(at(100_000), b"later");
        assert_eq!((frequent.count(new), frequent.count(b"later")), (None, Some((1, 1))));
    }

    #[test]
    fn another_seed_puts_keys_elsewhere() {
        let sets =
            |seed| (0..100_u32).map(|key| begin_of(xxh3_64_with_seed(&key.to_le_bytes(), seed))).collect::<Vec<_>>();
        assert_ne!(sets(1), sets(2));
    }
}
