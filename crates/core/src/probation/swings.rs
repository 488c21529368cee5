//! How much of a pool's requests goes to and fro between its workers.
//!
//! ```text
//! share   pivot --leg--> extreme --over 5 % back: a turn, and the leg counts--> ..
//! ```
//! A share that finds its new place has no turn, however far it goes; one that trembles has none either.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::worker::WorkerId;

/// The shares of a pool's workers, as they go up and down.
#[derive(Clone, Debug, Default)]
pub(super) struct Swings(BTreeMap<WorkerId, Course>);

/// One worker's share.
#[derive(Clone, Copy, Debug)]
struct Course {
    way: Way,
    turns: u32,
}

#[derive(Clone, Copy, Debug)]
enum Way {
    /// Neither, so far: between these.
    Still {
        low: f64,
        high: f64,
    },
    Up {
        pivot: f64,
        extreme: f64,
    },
    Down {
        pivot: f64,
        extreme: f64,
    },
}

impl Swings {
    /// Takes the shares of this moment; the share of all requests whose leg ended with it.
    pub(super) fn take(&mut self, shares: impl Iterator<Item = (WorkerId, f64)> + Clone) -> f64 {
        let (mut legs, mut here) = (0.0, 0);
        for (worker, share) in shares.clone() {
            here += 1;
            let new = Course { way: Way::Still { low: share, high: share }, turns: 0 };
            legs += self.0.entry(worker).or_insert(new).take(share);
        }
        if self.0.len() > here {
            let there: BTreeSet<WorkerId> = shares.map(|(worker, _)| worker).collect();
            self.0.retain(|worker, _| there.contains(worker));
        }
        // What one worker loses others gain.
        legs / 2.0
    }

    /// Counts turns from now on.
    pub(super) fn begin(&mut self) {
        self.0.values_mut().for_each(|course| course.turns = 0);
    }

    /// How often the share turned that did most often.
    pub(super) fn turns(&self) -> u32 {
        self.0.values().map(|course| course.turns).max().unwrap_or(0)
    }
}

impl Course {
    /// The leg that ended, if the share turned.
    fn take(&mut self, share: f64) -> f64 {
        let (way, leg) = match self.way {
            Way::Still { high, .. } if counts(high, share) => (Way::Down { pivot: high, extreme: share }, 0.0),
            Way::Still { low, .. } if counts(share, low) => (Way::Up { pivot: low, extreme: share }, 0.0),
            Way::Still { low, high } => (Way::Still { low: low.min(share), high: high.max(share) }, 0.0),
            Way::Up { pivot, extreme } if counts(extreme, share) => {
                (Way::Down { pivot: extreme, extreme: share }, extreme - pivot)
            }
            Way::Down { pivot, extreme } if counts(share, extreme) => {
                (Way::Up { pivot: extreme, extreme: share }, pivot - extreme)
            }
            Way::Up { pivot, extreme } => (Way::Up { pivot, extreme: extreme.max(share) }, 0.0),
            Way::Down { pivot, extreme } => (Way::Down { pivot, extreme: extreme.min(share) }, 0.0),
        };
        self.way = way;
        self.turns += u32::from(leg > 0.0);
        leg.max(0.0)
    }
}

/// Whether the way from the higher share down to the lower one is more than chance.
fn counts(high: f64, low: f64) -> bool {
    high - low > (AMPLITUDE * high).max(LEAST_LEG)
}

/// Of a worker's share: less is no turn. Source: balancing.md "Oscillation guard".
const AMPLITUDE: f64 = 0.05;
/// Of all requests. Source: ours; what a worker with next to nothing does is nobody's latency.
const LEAST_LEG: f64 = 0.005;

#[cfg(test)]
mod tests {
    use super::*;

    /// What swings in so many looks, and how often.
    fn swung(looks: u32, share: impl Fn(u32) -> f64) -> (f64, u32) {
        let mut swings = Swings::default();
        let take = |look| swings.take([(WorkerId(1), share(look)), (WorkerId(2), 1.0 - share(look))].into_iter());
        let sum = (0..looks).map(take).sum();
        (sum, swings.turns())
    }

    #[test]
    fn a_share_that_goes_from_nine_tenths_to_one_tenth_and_back_each_half_minute_swings_by_all_of_that() {
        let (swung, turns) = swung(90, |second| if second / 15 % 2 == 0 { 0.9 } else { 0.1 });
        assert!((swung - 4.0 * 0.8).abs() < 1e-9 && turns == 4, "{swung} in {turns}");
    }

    #[test]
    fn a_share_that_finds_another_place_and_one_that_trembles_do_not_swing() {
        assert_eq!(swung(100, |second| 0.2 + f64::from(second.min(50)) / 100.0), (0.0, 0));
        assert_eq!(swung(100, |second| if second % 2 == 0 { 0.5 } else { 0.51 }), (0.0, 0));
    }

    #[test]
    fn who_left_is_forgotten() {
        let mut swings = Swings::default();
        swings.take((0..1_000).map(|id| (WorkerId(id), 0.001)));
        swings.take([(WorkerId(7), 1.0)].into_iter());
        assert_eq!(swings.0.len(), 1);
    }
}
