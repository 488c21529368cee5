//! How many points of the ring each worker has, where they follow what workers can carry.
//!
//! ```text
//! still --somebody is off by more than a tenth--> moving --nobody is off by more than a point or two in a hundred--> still
//! ```
//! Where each worker keeps something for its keys (a session, a warm cache), a key that moves costs, and a worker that has too many keys
//! for what it can carry costs at each request. So points go one at a time, from whoever has the most too many to whoever has
//! the most too few, and only so many of them that the keys which move stay within a bound. All points together stay as many as they
//! are: then a point more here and one less there moves the keys of two points, and no others.
//!
//! What is followed is what a worker can carry, and not what it gets: failures, silence and ramps pass, and keys that went because
//! of them would have to come back. For these, requests go to the next on the ring.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::configured_points;
use crate::share::Share;
use crate::time::{Mono, Span};
use crate::worker::WorkerId;

/// The points of a pool's workers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    of: BTreeMap<WorkerId, u32>,
    moving: bool,
    /// Points whose keys may move by now.
    allowance: f64,
    at: Option<Mono>,
}

/// How points follow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "RingFollowing"))]
#[serde(default, deny_unknown_fields)]
pub struct Following {
    /// Keys that move to another worker because of it, of all, at most in a minute. Default 9%; source: shards.md "Thresholds".
    pub most_moved: Share,
}

/// A worker, for one tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// Which.
    pub worker: WorkerId,
    /// Its configured weight.
    pub configured: f64,
    /// What it can carry beside the others, in any unit; `None` while it is not known, or it gets no new keys: then its points stay.
    pub carries: Option<f64>,
}

/// What a tick did, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Points that went from one worker to another.
    pub points: u32,
    /// Why no more.
    pub why: Why,
}

/// Why no more points moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Of fewer than two workers it is known what they can carry.
    Unknown,
    /// Nobody is off by enough.
    Near,
    /// The bound: more would move.
    Bounded,
}

impl Points {
    /// A worker's points; `None` of one that was never seen.
    #[must_use]
    pub fn of(&self, worker: WorkerId) -> Option<u32> {
        self.of.get(&worker).copied()
    }

    /// The points of workers with these configured weights, in their order: those that they have, and of who is new those of its weight.
    pub fn each(&self, workers: impl Iterator<Item = (WorkerId, f64)> + Clone) -> impl Iterator<Item = u32> {
        let fresh = configured_points(workers.clone().map(|(_, weight)| weight));
        workers.zip(fresh).map(|((worker, _), points)| self.of(worker).unwrap_or(points.max(1)))
    }

    /// Gives a worker the points that it had by another process.
    pub fn give(&mut self, worker: WorkerId, points: u32) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small constant")]
        let most = super::POINTS_MOST as u32;
        self.of.insert(worker, points.clamp(1, most));
    }

    /// One tick: who left is forgotten, who is new has the points of its configured weight, and some go from one to another.
    pub fn tick(&mut self, now: Mono, workers: &[Wanted], config: &Following) -> Moved {
        self.join(workers);
        let step = self.at.replace(now).map_or(Span::ZERO, |at| now.since(at));
        let known: Vec<Stake> = self.shares(workers);
        if known.len() < 2 {
            (self.moving, self.allowance) = (false, 0.0);
            return Moved { points: 0, why: Why::Unknown };
        }
        let off = |one: &Stake| (one.target - one.points) / one.points;
        let farthest = known.iter().map(|one| off(one).abs()).fold(0.0, f64::max);
        self.moving = farthest > if self.moving { NEAR } else { FAR };
        if !self.moving {
            self.allowance = 0.0;
            return Moved { points: 0, why: Why::Near };
        }
        let all: u32 = self.of.values().sum();
        let each_tick = config.most_moved.get() * f64::from(all) * step.as_secs_f64() / 60.0;
        // What was not used does not add up to a jump.
        self.allowance = (self.allowance + each_tick).min(each_tick + KEYS_OF_ONE);
        self.transfer(known)
    }

    /// Points go, one at a time, while they may and it helps.
    fn transfer(&mut self, mut known: Vec<Stake>) -> Moved {
        let mut points = 0;
        while self.allowance >= KEYS_OF_ONE {
            let over = |one: &Stake| one.points - one.target;
            let by = |a: &(usize, f64), b: &(usize, f64)| a.1.total_cmp(&b.1);
            let each = || known.iter().map(over).enumerate();
            let (Some((from, most)), Some((to, least))) = (each().max_by(by), each().min_by(by)) else { break };
            if most < 0.5 || least > -0.5 || known[from].points < 2.0 {
                self.moving = false;
                return Moved { points, why: Why::Near };
            }
            known[from].points -= 1.0;
            known[to].points += 1.0;
            self.of.entry(known[from].worker).and_modify(|points| *points -= 1);
            self.of.entry(known[to].worker).and_modify(|points| *points += 1);
            self.allowance -= KEYS_OF_ONE;
            points += 1;
        }
        Moved { points, why: Why::Bounded }
    }

    fn join(&mut self, workers: &[Wanted]) {
        self.of.retain(|known, _| workers.iter().any(|one| one.worker == *known));
        if self.of.len() < workers.len() {
            let each: Vec<u32> = self.each(workers.iter().map(|one| (one.worker, one.configured))).collect();
            self.of = workers.iter().map(|one| one.worker).zip(each).collect();
        }
    }

    /// Those of whom it is known what they can carry, with what they have and should have.
    fn shares(&self, workers: &[Wanted]) -> Vec<Stake> {
        let carries = |one: &Wanted| one.carries.filter(|carries| carries.is_finite() && *carries > 0.0);
        let known = || workers.iter().filter_map(|one| Some((one.worker, self.of(one.worker)?, carries(one)?)));
        let points: f64 = known().map(|(_, points, _)| f64::from(points)).sum();
        let carried: f64 = known().map(|(.., carries)| carries).sum();
        let share = |(worker, has, carries): (WorkerId, u32, f64)| {
            let target = (points * carries / carried).clamp(1.0, super::POINTS_MOST);
            Stake { worker, points: f64::from(has), target }
        };
        known().map(share).collect()
    }
}

/// What a worker has and should have, in points.
#[derive(Clone, Copy, Debug)]
struct Stake {
    worker: WorkerId,
    points: f64,
    target: f64,
}

impl Default for Following {
    /// Keys of 9 % of the load in a minute. Source: shards.md "Thresholds".
    fn default() -> Self {
        Self { most_moved: Share::clamped(0.09) }
    }
}

/// A point that goes moves the keys that it had, and those that it gets: as many as two points have.
const KEYS_OF_ONE: f64 = 2.0;
/// Points begin to move when somebody has a tenth too many or too few. Source: ours, three times the deadband of weights: a key
/// that moves costs more than a request that goes elsewhere.
const FAR: f64 = 0.1;
/// And move until all are within this. Source: ours; a fifth of where they begin.
const NEAR: f64 = 0.02;

#[cfg(test)]
mod tests {
    use super::super::RingTable;
    use super::*;

    /// Workers that are configured alike, and what each can carry.
    fn wanted(carries: &[f64]) -> Vec<Wanted> {
        let one = |(number, carries): (u32, f64)| Wanted {
            worker: WorkerId(number),
            configured: 1.0,
            carries: Some(carries),
        };
        (0..).zip(carries.iter().copied()).map(one).collect()
    }

    fn second(number: u64) -> Mono {
        Mono::default() + Span::from_secs(number)
    }

    fn counts(points: &Points) -> Vec<u32> {
        points.of.values().copied().collect()
    }

    const NAMES: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

    /// Who each of many keys belongs to.
    fn homes(points: &Points) -> Vec<usize> {
        let table = RingTable::of_points(NAMES.into_iter().zip(counts(points)), 0);
        (0..5_000_u64).filter_map(|key| table.walk(super::super::key(&key.to_le_bytes())).next()).collect()
    }

    #[test]
    fn points_go_to_whoever_carries_more_and_no_more_keys_move_in_a_minute_than_may() {
        let (mut points, config) = (Points::default(), Following::default());
        let mut workers = wanted(&[1.0; 10]);
        points.tick(second(0), &workers, &config);
        let before = homes(&points);
        workers[2].carries = Some(0.1);
        for number in 1..=60 {
            points.tick(second(number), &workers, &config);
        }
        let moved = before.iter().zip(homes(&points)).filter(|(before, now)| **before != *now).count();
        assert!((200..=500).contains(&moved), "{moved} of 5,000 keys, of which 9 % are 450");
        for number in 61..=240 {
            points.tick(second(number), &workers, &config);
        }
        let now = counts(&points);
        assert_eq!(now.iter().sum::<u32>(), 1_000, "none is lost");
        assert!(
            (10..=13).contains(&now[2]) && now.iter().filter(|count| (107..=112).contains(*count)).count() == 9,
            "{now:?}"
        );
        let at_last = homes(&points);
        points.tick(second(300), &workers, &config);
        assert_eq!(at_last, homes(&points), "and then they stand still");
    }

    #[test]
    fn what_chance_moves_moves_no_key() {
        let (mut points, config) = (Points::default(), Following::default());
        let known = Moved { points: 0, why: Why::Near };
        for number in 0..600_usize {
            let wobble = |worker: usize| [1.08, 0.92, 1.0][(worker + number) % 3];
            let carries: Vec<f64> = (0..10).map(wobble).collect();
            assert_eq!(points.tick(second(number as u64), &wanted(&carries), &config), known);
        }
        assert_eq!(counts(&points), [100; 10]);
    }

    #[test]
    fn of_whom_nothing_is_known_keeps_what_it_has() {
        let (mut points, config) = (Points::default(), Following { most_moved: Share::ALL });
        let mut workers = wanted(&[2.0, 1.0, 1.0]);
        workers[2].carries = None;
        for number in 0..60 {
            points.tick(second(number), &workers, &config);
        }
        assert_eq!(counts(&points), [132, 68, 100], "within two in a hundred of 133 and 67");
        workers[1].carries = Some(f64::NAN);
        let moved = points.tick(second(60), &workers, &config);
        assert_eq!((moved.why, counts(&points)), (Why::Unknown, Vec::from([132, 68, 100])));
    }

    #[test]
    fn who_left_is_forgotten_and_who_comes_has_the_points_of_its_configured_weight() {
        let (mut points, config) = (Points::default(), Following { most_moved: Share::ALL });
        for (worker, given) in [(0, 150), (1, 50), (7, 9)] {
            points.give(WorkerId(worker), given);
        }
        let mut workers = wanted(&[3.0, 1.0, 1.0]);
        workers[2].carries = None;
        points.tick(second(0), &workers, &config);
        assert_eq!(counts(&points), [150, 50, 100], "where another had them, and 100 of the new one");
        points.tick(second(1), &workers[..2], &config);
        assert_eq!(counts(&points), [150, 50]);
    }
}
