//! `ring`: the worker that the request's key belongs to, by consistent hashing with bounded load.
//!
//! ```text
//! 0 --a-----b--a------c----b-----c--a---- 2^64      each worker owns many points; a key belongs to the next point
//!            key ->|  ^                             a worker that is gone or too full: on to the next other one
//! ```
//! Points are hashes of the worker's *name* and a number, so every gateway and every later version places alike, and
//! a worker that joins or leaves moves only its own share of the keys. How many points follows the *configured*
//! weight; what the loop learns does not move keys each second, it moves the bound: nobody gets more than 1.25 times
//! the share of the pool's requests in flight that the weight of the drawn arm gives it (Mirrokni, Thorup,
//! Zadimoghaddam 2016). What is over goes to the next on the ring, always the same next for a key. Where that is wanted, points
//! follow what workers can carry, a few in a minute ([`points`]).

pub mod points;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use arrayvec::ArrayVec;
use xxhash_rust::xxh3::{Xxh3, xxh3_64, xxh3_64_with_seed};

use super::fleet::Fleet;
use super::{Ask, Pick, PickReason, sample};
use crate::draw::Draw;

/// The hash of a placement key, for [`Ask::key`].
#[must_use]
pub fn key(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

/// Points of the ring, sorted, with an index by their top bits: a look-up costs one step, not a binary search.
#[derive(Debug, Default)]
pub struct RingTable {
    points: Box<[(u64, u32)]>,
    /// For each value of the top bits, the first point at or above it.
    index: Box<[u32]>,
    shift: u32,
    made_of: u64,
}

impl RingTable {
    /// The ring of `members`: name and configured weight, by slot.
    #[must_use]
    pub fn new<'a>(members: impl Iterator<Item = (&'a str, f64)> + Clone) -> Self {
        let points = configured_points(members.clone().map(|(_, weight)| weight));
        Self::of_points(members.clone().map(|(name, _)| name).zip(points), fingerprint(members))
    }

    /// The ring of `members`: name and how many points it has, by slot.
    fn of_points<'a>(members: impl Iterator<Item = (&'a str, u32)>, made_of: u64) -> Self {
        let mut points: Vec<(u64, u32)> = Vec::new();
        for ((name, count), slot) in members.zip(0..) {
            for number in 0..u64::from(count) {
                points.push((xxh3_64_with_seed(name.as_bytes(), number), slot));
            }
        }
        points.sort_unstable();
        let bits = points.len().max(2).next_power_of_two().ilog2();
        let shift = 64 - bits;
        let mut index = Vec::with_capacity(1 << bits);
        let mut at = 0;
        for top in 0..1_u64 << bits {
            at += points[at..].iter().take_while(|point| point.0 >> shift < top).count();
            #[expect(clippy::cast_possible_truncation, reason = "at most 2^32 points")]
            index.push(at as u32);
        }
        Self { points: points.into(), index: index.into(), shift, made_of }
    }

    /// The ring of `members`: `known` itself when that is made of the same.
    pub(crate) fn reused<'a, I>(known: Option<&Arc<Self>>, members: I) -> Arc<Self>
    where
        I: Iterator<Item = (&'a str, f64)> + Clone,
    {
        match known {
            Some(ring) if ring.made_of == fingerprint(members.clone()) => Arc::clone(ring),
            Some(_) | None => Arc::new(Self::new(members)),
        }
    }

    /// The same of members with so many points each.
    pub(crate) fn reused_with<'a, I>(known: Option<&Arc<Self>>, members: I) -> Arc<Self>
    where
        I: Iterator<Item = (&'a str, u32)> + Clone,
    {
        // Counts of points are told from weights: a ring of one kind is never taken for one of the other.
        let made_of = !fingerprint(members.clone().map(|(name, points)| (name, f64::from(points))));
        match known {
            Some(ring) if ring.made_of == made_of => Arc::clone(ring),
            Some(_) | None => Arc::new(Self::of_points(members, made_of)),
        }
    }

    /// How many points there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether nobody is on the ring.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The slots in the order of the ring from `key` on, each as often as it has points.
    pub fn walk(&self, key: u64) -> impl Iterator<Item = usize> + '_ {
        #[expect(clippy::cast_possible_truncation, reason = "the index has 2^(64 - shift) places")]
        let guess = self.index.get((key >> self.shift) as usize).map_or(0, |at| *at as usize);
        let start = guess + self.points[guess..].iter().take_while(|point| point.0 < key).count();
        let (before, after) = self.points.split_at(start);
        after.iter().chain(before).map(|point| point.1 as usize)
    }
}

/// The points of workers with these configured weights, in their order.
pub(crate) fn configured_points(weights: impl Iterator<Item = f64> + Clone) -> impl Iterator<Item = u32> {
    let heavy = || weights.clone().filter(|weight| *weight > 0.0);
    let mean = heavy().sum::<f64>() / heavy().count().max(1) as f64;
    // A power of two, so that points do not all change in number when one worker comes or goes.
    let unit = if mean > 0.0 { libm::exp2(libm::floor(libm::log2(mean))) } else { 1.0 };
    weights.map(move |weight| points_of(weight / unit))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held within 1..=POINTS_MOST")]
fn points_of(weight: f64) -> u32 {
    if weight > 0.0 { libm::round(weight * POINTS).clamp(1.0, POINTS_MOST) as u32 } else { 0 }
}

fn fingerprint<'a>(members: impl Iterator<Item = (&'a str, f64)>) -> u64 {
    let mut hasher = Xxh3::new();
    for (name, weight) in members {
        hasher.update(name.as_bytes());
        hasher.update(&weight.to_bits().to_le_bytes());
        hasher.update(&(name.len() as u64).to_le_bytes());
    }
    hasher.digest()
}

/// Keeps the pool's requests in flight at hand.
#[derive(Debug, Default)]
pub struct Ring {
    fleet: Fleet,
}

impl Ring {
    pub(super) fn pick(&mut self, ask: &Ask<'_>, draw: &mut Draw) -> Option<Pick> {
        let key = ask.key.unwrap_or_else(|| draw.bits());
        let Some(ring) = ask.pool.ring_of(ask.arm).filter(|ring| !ring.is_empty()) else {
            return sample::one(ask, draw).map(|slot| ask.picked(slot, PickReason::Lot));
        };
        let bound = self.bound(ask);
        let mut passed = ArrayVec::<usize, WALK>::new();
        let mut full = None;
        for slot in ring.walk(key) {
            if passed.contains(&slot) {
                continue;
            }
            if ask.allows(slot) {
                if within(ask, slot, bound) {
                    return Some(place(ask, slot, passed.len()));
                }
                full = full.or(Some((slot, passed.len())));
            }
            if passed.try_push(slot).is_err() {
                break;
            }
        }
        if let Some((slot, passed)) = full {
            return Some(place(ask, slot, passed));
        }
        // So many barred in a row: whoever may be asked, in an order that the key decides.
        let count = ask.weights.len();
        let start = Draw::seeded(key).below(count);
        let mut slots = (start..start + count).map(|slot| slot % count).filter(|&slot| ask.allows(slot));
        slots.next().map(|slot| place(ask, slot, passed.len()))
    }

    /// How many requests in flight a worker of the whole weight might have.
    fn bound(&mut self, ask: &Ask<'_>) -> f64 {
        let in_flight = if sample::sees_all(ask) {
            ask.pool.workers.iter().map(|worker| f64::from(worker.cells.load.known_in_flight(ask.now))).sum()
        } else {
            // Until the next census our own picks are counted as still in flight: rather too loose than too tight.
            let census = self.fleet.census(ask);
            census.in_flight += 1.0;
            census.in_flight - 1.0
        };
        OVERFILL * (in_flight + 1.0) / ask.weights.total()
    }
}

fn within(ask: &Ask<'_>, slot: usize, bound: f64) -> bool {
    let in_flight = f64::from(ask.pool.load(slot).known_in_flight(ask.now));
    in_flight + 1.0 <= libm::ceil(bound * ask.weights.at(slot))
}

fn place(ask: &Ask<'_>, slot: usize, passed: usize) -> Pick {
    #[expect(clippy::cast_possible_truncation, reason = "at most WALK")]
    let passed = passed as u16;
    ask.picked(slot, if passed == 0 { PickReason::Home } else { PickReason::Neighbour { passed } })
}

/// How much more than its share a worker may have in flight. Source: balancing.md via Mirrokni et al. (c = 1.25).
const OVERFILL: f64 = 1.25;
/// Points of a worker of unit weight; the mean worker has 1 to 2 times as many. Source: libketama has 160.
const POINTS: f64 = 100.0;
/// Bound of the table: no weight is worth more points.
const POINTS_MOST: f64 = 10_000.0;
/// Different workers that a look-up passes before it takes anybody.
const WALK: usize = 64;
