//! How hot the slices of a keyspace are at this worker: counted as requests end, told when a coordinator asks.
//!
//! A request costs a few hundred nanoseconds here; above 50,000 a second one in eight is looked at, and counts eight times. Bounded: a
//! meter of a kilobyte for each slice that is held, 2,048 counters of keys, and the names of sixteen keys. Where slices are cut anew their
//! meters are, too, so that a part begins with what it had.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ambidex_core::shard::plan::{Busy, COUNTERS, Came, Had, HotKey, HotKeys, Meter, SHORT, Sampler};
use ambidex_core::shard::records::SliceId;
use ambidex_core::shard::space::{Point, Range};
use ambidex_core::time::Mono;
use ambidex_wire::shard::heat::{HeatText, KeyHeat, MOST_KEYS, MOST_SLICES, SliceHeat};

use super::keyspace::Keyspace;
use crate::clock::Clock;

/// What one agent counts of one keyspace.
#[derive(Debug)]
pub(super) struct Heats {
    /// Shared by all keyspaces of the agent: they have one application.
    busy: Arc<Mutex<Busy>>,
    counted: Mutex<Counted>,
}

#[derive(Debug)]
struct Counted {
    sampler: Sampler,
    meters: BTreeMap<SliceId, Meter>,
    /// Of all slices together.
    all: Meter,
    keys: HotKeys,
    /// The hottest keys, as they were when it was asked last, with their names once a request showed them.
    names: BTreeMap<Point, Option<String>>,
}

/// A request that was admitted, until it ends, however it does.
pub(super) struct Measured {
    keyspace: Arc<Keyspace>,
    slice: SliceId,
    key: Box<[u8]>,
    bytes: u64,
    came: Came,
}

impl Measured {
    /// A request begins.
    pub(super) fn begins(keyspace: &Arc<Keyspace>, slice: SliceId, key: &[u8], bytes: u64) -> Self {
        let came = keyspace.heats.busy().come(keyspace.clock().now());
        Self { keyspace: Arc::clone(keyspace), slice, key: key.into(), bytes, came }
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.keyspace.had(self.slice, &self.key, self.bytes, self.came);
    }
}

impl Heats {
    pub(super) fn new(busy: Arc<Mutex<Busy>>, clock: Clock) -> Self {
        let now = clock.now();
        let counted = Counted {
            sampler: Sampler::seeded(now.as_nanos()),
            meters: BTreeMap::new(),
            all: Meter::new(Range::ALL, now),
            keys: HotKeys::new(SHORT),
            names: BTreeMap::new(),
        };
        Self { busy, counted: Mutex::new(counted) }
    }

    fn busy(&self) -> MutexGuard<'_, Busy> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request ended. `ranges` says what slices there are; it is asked where they are other ones than were known.
    pub(super) fn had(
        &self,
        now: Mono,
        slice: SliceId,
        key: &[u8],
        bytes: u64,
        came: Came,
        ranges: impl FnOnce() -> Vec<(SliceId, Range)>,
    ) {
        let took = self.busy().go(now, came);
        let mut counted = self.counted();
        let weight = counted.sampler.weight(now);
        if weight <= 0.0 {
            return;
        }
        let point = Point::of(key);
        if !counted.meters.get(&slice).is_some_and(|meter| meter.range().contains(point)) {
            counted.recut(now, &ranges());
        }
        let had = Had { point, work: took.work, wait: took.wait, latency: took.latency, bytes, weight };
        if let Some(meter) = counted.meters.get_mut(&slice) {
            meter.add(now, had);
        }
        counted.all.add(now, had);
        counted.keys.add(now, point, took.work.as_secs_f64() * weight);
        if let Some(name) = counted.names.get_mut(&point).filter(|name| name.is_none()) {
            *name = Some(String::from_utf8_lossy(key).chars().take(MOST_NAME).collect());
        }
    }

    /// What is told, of these slices.
    pub(super) fn told(&self, now: Mono, ranges: &[(SliceId, Range)]) -> HeatText {
        let (places, done, waiting) = {
            let mut busy = self.busy();
            (busy.places(), busy.done(now), busy.waiting())
        };
        let mut counted = self.counted();
        counted.recut(now, ranges);
        let keys = counted.keys.heaviest(COUNTERS);
        let all = counted.keys.sum(now) * PER_SECOND;
        let mut slices = counted.slices(now, &keys, all);
        slices.sort_by(|one, other| other.work.total_cmp(&one.work));
        let others = slices.iter().skip(MOST_SLICES).map(|slice| slice.work).sum();
        slices.truncate(MOST_SLICES);
        let keys: Vec<HotKey> = keys.into_iter().take(MOST_KEYS).collect();
        counted.name(&keys);
        let names = &counted.names;
        let key = |key: &HotKey| KeyHeat {
            point: key.point.0,
            share: key.share,
            error: key.error,
            key: names.get(&key.point).cloned().flatten(),
        };
        let keys = keys.iter().map(key).collect();
        let wait_p95_micros = counted.all.heat(now).wait_p95.as_micros();
        let millis = now.as_nanos() / 1_000_000;
        HeatText { millis, places, done, waiting, wait_p95_micros, slices, others, keys, strays: Vec::new() }
    }
}

impl Counted {
    /// Takes the slices over that there are.
    fn recut(&mut self, now: Mono, ranges: &[(SliceId, Range)]) {
        let known =
            |(slice, range): &(SliceId, Range)| self.meters.get(slice).is_some_and(|meter| meter.range() == *range);
        if ranges.len() == self.meters.len() && ranges.iter().all(known) {
            return;
        }
        let sum = self.keys.sum(now);
        // A key's own counter is surer than the part of a meter that it lies in.
        let heavy = self.keys.heaviest(MOST_KEYS).into_iter().filter(|key| key.error < key.share / 4.0);
        let heavy: Vec<(Point, f64)> = heavy.map(|key| (key.point, (key.share - key.error) * sum)).collect();
        let cut = |(slice, range): &(SliceId, Range)| {
            let before = self.meters.get(slice).filter(|meter| meter.range() == *range);
            let overlapping = || self.meters.values().filter(|old| old.range().overlap(*range).is_some());
            let meter = before.cloned().unwrap_or_else(|| Meter::cut(*range, now, overlapping(), &heavy));
            (*slice, meter)
        };
        self.meters = ranges.iter().map(cut).collect();
    }

    fn slices(&mut self, now: Mono, keys: &[HotKey], all: f64) -> Vec<SliceHeat> {
        let mut told = Vec::new();
        for (slice, meter) in &mut self.meters {
            let (range, heat) = (meter.range(), meter.heat(now));
            if heat.rate < LEAST_RATE {
                continue;
            }
            let hottest = keys.iter().find(|key| range.contains(key.point));
            // Never more than is sure: half of a guess is no hot key.
            let share = hottest.map_or(0.0, |key| (key.share - key.error) * all / heat.work.max(f64::MIN_POSITIVE));
            told.push(SliceHeat {
                id: slice.0,
                rate: heat.rate,
                work: heat.work,
                bytes: heat.bytes,
                depth: heat.depth,
                wait_p95_micros: heat.wait_p95.as_micros(),
                latency_p99_micros: heat.latency_p99.as_micros(),
                middle: heat.middle.map(|point| point.0),
                last_part: heat.last_part,
                hottest: hottest.map(|key| key.point.0),
                hottest_share: share.clamp(0.0, 1.0),
            });
        }
        told
    }

    /// Names of these keys are wanted, and of no others.
    fn name(&mut self, keys: &[HotKey]) {
        let known = std::mem::take(&mut self.names);
        let name = |key: &HotKey| (key.point, known.get(&key.point).cloned().flatten());
        self.names = keys.iter().map(name).collect();
    }
}

/// Of what is faded by half in [`SHORT`]: what comes in a second.
const PER_SECOND: f64 = std::f64::consts::LN_2 / (SHORT.as_nanos() as f64 / 1e9);
/// A slice that had a request in a quarter of an hour is not told. Source: ours.
const LEAST_RATE: f64 = 0.001;
/// Characters of a key's name. Source: ours; it is shown to people.
const MOST_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn heats() -> (Heats, Clock) {
        let clock = Clock::starting_now();
        (Heats::new(Arc::new(Mutex::new(Busy::new(1, Mono::default()))), clock), clock)
    }

    fn at(millis: u64) -> Mono {
        Mono::from_nanos(millis * 1_000_000)
    }

    fn halves() -> Vec<(SliceId, Range)> {
        let half = |first, last| Range::new(Point(first), Point(last)).expect("in order");
        vec![(SliceId(1), half(0, u64::MAX / 2)), (SliceId(2), half(u64::MAX / 2 + 1, u64::MAX))]
    }

    /// Every 10 ms one that takes 5 ms; every other one is of the hot key.
    fn heated(heats: &Heats, ranges: &[(SliceId, Range)]) {
        for place in 0..3_000_u64 {
            let key = if place.is_multiple_of(2) { "hot".to_owned() } else { format!("key-{place}") };
            let point = Point::of(key.as_bytes());
            let (slice, _) = ranges.iter().find(|(_, range)| range.contains(point)).expect("they tile the space");
            let came = heats.busy().come(at(place * 10));
            heats.had(at(place * 10 + 5), *slice, key.as_bytes(), 100, came, || ranges.to_vec());
            if place == 10 {
                // Names are taken down once somebody has asked.
                drop(heats.told(at(place * 10 + 5), ranges));
            }
        }
    }

    #[test]
    fn a_worker_says_how_busy_it_is_and_which_key_and_slice_are_hot() {
        let (heats, _) = heats();
        heated(&heats, &halves());
        let told = heats.told(at(30_000), &halves());
        assert!((told.done - 15.0).abs() < 0.01, "{told:?}");
        assert_eq!((told.slices.len(), told.keys[0].key.as_deref()), (2, Some("hot")), "{told:?}");
        assert!((told.keys[0].share - 0.5).abs() < 0.05, "{told:?}");
        let first = &told.slices[0];
        assert_eq!(first.hottest, Some(Point::of(b"hot").0));
        assert!((0.6..0.75).contains(&first.hottest_share), "{first:?}");
    }

    #[test]
    fn slices_that_were_cut_have_what_their_parts_had() {
        let (heats, _) = heats();
        heated(&heats, &halves());
        let before: f64 = heats.told(at(30_000), &halves()).slices.iter().map(|slice| slice.work).sum();
        let whole = [(SliceId(1), Range::ALL)];
        let after = heats.told(at(30_000), &whole).slices;
        assert_eq!(after.len(), 1);
        assert!((after[0].work - before).abs() < before / 100.0, "{after:?} {before}");
    }

    #[test]
    fn what_had_nothing_is_not_told() {
        let (heats, _) = heats();
        assert_eq!(heats.told(at(1_000), &halves()).slices, []);
    }
}
