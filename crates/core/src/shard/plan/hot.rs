//! Hot keys of a keyspace: which keys carry how much of its load, in bounded memory.
//!
//! Weighted SpaceSaving (Metwally, Agrawal, El Abbadi 2005): 2,048 counters; a key without one takes the lightest one over, and what
//! that had is its possible error. So a key's weight is never too low, too high by at most its error, and every key that carries more
//! than 1/2,048 of the load has a counter. Old load fades by half in a half-life: instead of all counters getting lighter, new load
//! gets heavier, and once in a while everything is scaled back. Two half-lives look at once: 10 s to notice, 120 s to tell a
//! steady hot key from a spike.
//!
//! Above 50,000 requests a second one in eight is looked at, and counts eight times.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::draw::Draw;
use crate::shard::space::Point;
use crate::time::{Mono, Span};

/// A key with its load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HotKey {
    /// Where it lies.
    pub point: Point,
    /// Its part of all load, from 0 to 1; never too low.
    pub share: f64,
    /// By how much it may be too high.
    pub error: f64,
}

/// Counters of the heaviest keys, with one half-life.
#[derive(Clone, Debug)]
pub struct HotKeys {
    half_life: Span,
    /// As a heap: the lightest first.
    heap: Vec<Counter>,
    places: BTreeMap<Point, usize>,
    all: f64,
    /// Load of this moment counts once; later load counts more.
    since: Mono,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Counter {
    point: Point,
    weight: f64,
    error: f64,
}

impl HotKeys {
    /// With no load yet.
    #[must_use]
    pub fn new(half_life: Span) -> Self {
        let half_life = half_life.max(Span::from_millis(1));
        Self { half_life, heap: Vec::new(), places: BTreeMap::new(), all: 0.0, since: Mono::default() }
    }

    /// A request to a key, with what it weighs: 1, its bytes, or its work.
    pub fn add(&mut self, now: Mono, point: Point, weight: f64) {
        if !weight.is_finite() || weight <= 0.0 {
            return;
        }
        self.scale_back(now);
        let weight = weight * self.growth(now);
        self.all += weight;
        if let Some(place) = self.places.get(&point).copied() {
            self.heap[place].weight += weight;
            self.sink(place);
        } else if self.heap.len() < COUNTERS {
            self.heap.push(Counter { point, weight, error: 0.0 });
            self.places.insert(point, self.heap.len() - 1);
            self.rise(self.heap.len() - 1);
        } else {
            let lightest = self.heap[0];
            self.places.remove(&lightest.point);
            self.heap[0] = Counter { point, weight: lightest.weight + weight, error: lightest.weight };
            self.places.insert(point, 0);
            self.sink(0);
        }
    }

    /// The heaviest keys, so many, in the order of their weight.
    #[must_use]
    pub fn heaviest(&self, most: usize) -> Vec<HotKey> {
        let all = self.all.max(f64::MIN_POSITIVE);
        let share = |counter: &Counter| HotKey {
            point: counter.point,
            share: (counter.weight / all).min(1.0),
            error: (counter.error / all).min(1.0),
        };
        let mut keys: Vec<HotKey> = self.heap.iter().map(share).collect();
        keys.sort_unstable_by(|one, other| other.share.total_cmp(&one.share).then(one.point.cmp(&other.point)));
        keys.truncate(most);
        keys
    }

    /// The load per second of the last half-lives.
    #[must_use]
    pub fn rate(&self, now: Mono) -> f64 {
        self.all / self.growth(now) * core::f64::consts::LN_2 / seconds(self.half_life)
    }

    /// All load, faded to what it counts now.
    #[must_use]
    pub fn sum(&self, now: Mono) -> f64 {
        self.all / self.growth(now)
    }

    /// How much more load of now counts than load of `since`.
    fn growth(&self, now: Mono) -> f64 {
        libm::exp2(seconds(now.since(self.since)) / seconds(self.half_life))
    }

    fn scale_back(&mut self, now: Mono) {
        let growth = self.growth(now);
        if growth < SCALED_AT {
            return;
        }
        for counter in &mut self.heap {
            counter.weight /= growth;
            counter.error /= growth;
        }
        self.all /= growth;
        self.since = now;
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 && self.heap[place].weight < self.heap[(place - 1) / 2].weight {
            self.swap(place, (place - 1) / 2);
            place = (place - 1) / 2;
        }
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let below = [2 * place + 1, 2 * place + 2].into_iter().filter(|below| *below < self.heap.len());
            let Some(least) = below.min_by(|one, other| self.heap[*one].weight.total_cmp(&self.heap[*other].weight))
            else {
                return;
            };
            if self.heap[place].weight <= self.heap[least].weight {
                return;
            }
            self.swap(place, least);
            place = least;
        }
    }

    fn swap(&mut self, one: usize, other: usize) {
        self.heap.swap(one, other);
        for place in [one, other] {
            self.places.insert(self.heap[place].point, place);
        }
    }
}

/// Which requests are looked at, so that looking costs little where there are many.
#[derive(Clone, Debug)]
pub struct Sampler {
    draw: Draw,
    second: u64,
    now: u64,
    before: u64,
}

impl Sampler {
    /// From a seed.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self { draw: Draw::seeded(seed), second: 0, now: 0, before: 0 }
    }

    /// What a request counts: 0 where it is not looked at.
    pub fn weight(&mut self, now: Mono) -> f64 {
        let second = now.as_nanos() / 1_000_000_000;
        if second != self.second {
            self.before = if second == self.second + 1 { self.now } else { 0 };
            (self.second, self.now) = (second, 0);
        }
        self.now += 1;
        if self.now.max(self.before) <= MOST_LOOKED_AT {
            return 1.0;
        }
        if self.draw.below(ONE_IN) == 0 { ONE_IN as f64 } else { 0.0 }
    }
}

fn seconds(span: Span) -> f64 {
    span.as_nanos() as f64 / 1e9
}

/// Counters of one keyspace and half-life. Source: shards.md "Thresholds".
pub const COUNTERS: usize = 2_048;
/// Half-life by which a hot key is noticed. Source: as above.
pub const SHORT: Span = Span::from_secs(10);
/// Half-life by which a hot key is steady. Source: as above.
pub const LONG: Span = Span::from_secs(120);
/// Requests a second up to which each is looked at. Source: as above.
pub const MOST_LOOKED_AT: u64 = 50_000;
/// Beyond that one in so many is. Source: as above.
pub const ONE_IN: usize = 8;
/// Far from where a sum of doubles would lose small ones.
const SCALED_AT: f64 = 1e9;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::default() + Span::from_millis(millis)
    }

    #[test]
    fn old_load_fades_by_half_in_a_half_life() {
        let mut keys = HotKeys::new(SHORT);
        keys.add(at(0), Point(1), 100.0);
        keys.add(at(10_000), Point(2), 50.0);
        let shares: Vec<f64> = keys.heaviest(2).iter().map(|key| key.share).collect();
        assert!(shares.iter().all(|share| (share - 0.5).abs() < 1e-9), "{shares:?}");
    }

    #[test]
    fn a_steady_rate_is_told_as_it_is() {
        let mut keys = HotKeys::new(SHORT);
        (0..100_000).for_each(|millis| keys.add(at(millis), Point(millis % 7), 1.0));
        assert!((keys.rate(at(100_000)) - 1_000.0).abs() < 10.0, "{}", keys.rate(at(100_000)));
    }

    #[test]
    fn a_week_of_load_does_not_overflow() {
        let mut keys = HotKeys::new(SHORT);
        (0..604_800).step_by(60).for_each(|second| keys.add(at(second * 1_000), Point(3), 1.0));
        assert_eq!(keys.heaviest(1)[0].point, Point(3));
        assert!(keys.rate(at(604_800_000)).is_finite());
    }

    #[test]
    fn with_many_requests_one_in_eight_is_looked_at_and_counts_eight() {
        let mut sampler = Sampler::seeded(1);
        let weights: Vec<f64> = (0..400_000_u64).map(|i| sampler.weight(Mono::from_nanos(i * 5_000))).collect();
        let second = &weights[200_000..];
        let looked = second.iter().filter(|weight| **weight > 0.0).count();
        assert!((23_000..27_000).contains(&looked), "{looked}");
        assert!((second.iter().sum::<f64>() - 200_000.0).abs() < 10_000.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_weight_is_never_too_low_and_too_high_by_at_most_its_error(
            adds in proptest::collection::vec((0..6_000_u64, 1..100_u32), 1..12_000),
        ) {
            let mut keys = HotKeys::new(LONG);
            let mut exact: BTreeMap<u64, f64> = BTreeMap::new();
            for (point, weight) in &adds {
                keys.add(at(0), Point(*point), f64::from(*weight));
                *exact.entry(*point).or_default() += f64::from(*weight);
            }
            let all: f64 = exact.values().sum();
            for HotKey { point, share, error } in keys.heaviest(COUNTERS) {
                let (told, real) = (share * all, exact[&point.0]);
                prop_assert!(told >= real - 1e-6 && told <= real + error * all + 1e-6, "{told} {real} {error}");
            }
            let counted: Vec<Point> = keys.heaviest(COUNTERS).iter().map(|key| key.point).collect();
            let heavy = exact.iter().filter(|(_, weight)| **weight > all / COUNTERS as f64);
            for (point, _) in heavy {
                prop_assert!(counted.contains(&Point(*point)));
            }
        }
    }
}
