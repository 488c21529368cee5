//! The zones of one pool, as requests read them: part of the view.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use xxhash_rust::xxh3::xxh3_64;

use super::{Flows, MOST_ZONES};
use crate::draw::Draw;
use crate::view::{Arm, Weights, WorkerView};

/// The zone that a request came from, as a request carries it: the name's hash, so that it is a number to copy, and the
/// same in every pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Home(u64);

impl Home {
    /// The zone of this name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self(xxh3_64(name.as_bytes()))
    }
}

/// Where requests of each zone go, and the weights within each.
#[derive(Clone, Debug)]
pub struct ZoneTable {
    acts: bool,
    /// By the zone's number.
    places: Box<[Place]>,
    /// The zone's number of the worker in each slot.
    zones: Box<[u8]>,
    flows: Arc<Flows>,
}

#[derive(Clone, Debug)]
struct Place {
    home: Home,
    name: Arc<str>,
    learned: Weights,
    fixed: Weights,
    /// Where the requests that came from here go, by the number of the zone.
    shares: Weights,
    /// Of the pool's requests, what comes from here.
    part: f64,
}

/// What requests of a zone are to do.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The zone's name.
    pub name: Arc<str>,
    /// Where the requests that came from it go, by the number of the zone.
    pub shares: Vec<f64>,
    /// Of the pool's requests, what comes from it.
    pub part: f64,
}

impl ZoneTable {
    /// A table of these plans, the first [`MOST_ZONES`] of them; what requests do is counted in `flows`.
    #[must_use]
    pub fn new(acts: bool, plans: Vec<Plan>, flows: Arc<Flows>) -> Self {
        let place = |plan: Plan| Place {
            home: Home::of(&plan.name),
            name: plan.name,
            learned: Weights::default(),
            fixed: Weights::default(),
            shares: Weights::new(plan.shares),
            part: plan.part,
        };
        Self { acts, places: plans.into_iter().take(MOST_ZONES).map(place).collect(), zones: Box::default(), flows }
    }

    /// The same with the weights of a pool's workers, each within its zone; `None` where there is nothing to choose.
    pub(crate) fn with(mut self, workers: &[WorkerView], learned: &Weights, fixed: &Weights) -> Option<Self> {
        if self.places.len() < 2 {
            return None;
        }
        let number = |worker: &WorkerView| self.places.iter().position(|place| place.name == worker.zone);
        let zones = workers.iter().map(|worker| number(worker).and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX));
        self.zones = zones.collect();
        for (at, place) in self.places.iter_mut().enumerate() {
            let here = |weights: &Weights| {
                let of = |(zone, weight): (&u8, &f64)| if usize::from(*zone) == at { *weight } else { 0.0 };
                Weights::new(self.zones.iter().zip(weights.as_slice()).map(of))
            };
            (place.learned, place.fixed) = (here(learned), here(fixed));
        }
        Some(self)
    }

    /// Whether requests go by it; else they only would.
    #[must_use]
    pub const fn acts(&self) -> bool {
        self.acts
    }

    /// What it was made of, for whoever is told of it.
    pub fn plans(&self) -> impl Iterator<Item = Plan> + '_ {
        self.places.iter().map(|place| Plan {
            name: Arc::clone(&place.name),
            shares: place.shares.as_slice().to_vec(),
            part: place.part,
        })
    }

    /// How many zones there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The zone that a request of `home` is to be served in, by lot; `None` where the whole pool serves it.
    pub(crate) fn draw(&self, home: Home, draw: &mut Draw) -> Option<usize> {
        if !self.acts {
            return None;
        }
        self.number(home).and_then(|home| self.places[home].shares.sample(draw))
    }

    /// A zone with weight that is not the one that a request of `home` was tried in: where it goes when that failed twice.
    pub(crate) fn elsewhere(&self, home: Home, arm: Arm, draw: &mut Draw) -> Option<usize> {
        let home = self.number(home).filter(|_| self.acts)?;
        let from = draw.below(self.places.len());
        let mut others = (0..self.places.len()).map(|step| (from + step) % self.places.len());
        others.find(|at| *at != home && self.weights(*at, arm).total() > 0.0)
    }

    /// Counts a request of `home` that goes to the worker in `slot`.
    pub(crate) fn count(&self, home: Home, slot: usize) {
        if let (Some(home), Some(zone)) = (self.number(home), self.zones.get(slot)) {
            self.flows.count(home, usize::from(*zone));
        }
    }

    /// The weights of a zone's workers, and 0 for all others.
    pub(crate) fn weights(&self, zone: usize, arm: Arm) -> &Weights {
        match arm {
            Arm::Learned => &self.places[zone].learned,
            // A path on trial is asked as a whole: nobody asks for its part in a zone.
            Arm::Fixed | Arm::Path => &self.places[zone].fixed,
        }
    }

    /// The share of the pool's requests that the worker in `slot` is to get by the weights of an arm; `whole` is what it
    /// is to get of those that came from no zone.
    pub(crate) fn share(&self, slot: usize, arm: Arm, whole: f64) -> f64 {
        let zone = usize::from(self.zones[slot]);
        if !self.acts {
            return whole;
        }
        let within = self.places.get(zone).map_or(0.0, |_| {
            let weights = self.weights(zone, arm);
            if weights.total() > 0.0 { weights.at(slot) / weights.total() } else { 0.0 }
        });
        let (mut share, mut homed) = (0.0, 0.0);
        for place in self.places.iter().filter(|place| place.shares.total() > 0.0) {
            let to = if zone < place.shares.len() { place.shares.at(zone) / place.shares.total() } else { 0.0 };
            // What is drawn for a zone that nobody is left in goes to the whole pool.
            let lost: f64 = (0..self.places.len())
                .filter(|at| self.weights(*at, arm).total() <= 0.0)
                .map(|at| place.shares.at(at))
                .sum();
            share += place.part * (to * within + lost / place.shares.total() * whole);
            homed += place.part;
        }
        share + (1.0 - homed).max(0.0) * whole
    }

    /// The same, of the requests that came from one home.
    pub(crate) fn share_of(&self, home: Home, slot: usize, arm: Arm, whole: f64) -> f64 {
        let home = self.number(home).map(|home| &self.places[home]).filter(|home| home.shares.total() > 0.0);
        let Some(home) = home.filter(|_| self.acts) else { return whole };
        let mut share = 0.0;
        for (at, part) in home.shares.as_slice().iter().enumerate().take(self.places.len()) {
            let weights = self.weights(at, arm);
            let within = if weights.total() <= 0.0 {
                // What is drawn for a zone that nobody is left in goes to the whole pool.
                whole
            } else if usize::from(self.zones[slot]) == at {
                weights.at(slot) / weights.total()
            } else {
                0.0
            };
            share += part / home.shares.total() * within;
        }
        share
    }

    fn number(&self, home: Home) -> Option<usize> {
        self.places.iter().position(|place| place.home == home)
    }
}

/// A row that keeps all requests at home.
pub(super) fn stay(home: usize, of: usize) -> Vec<f64> {
    let mut shares = vec![0.0; of];
    shares[home] = 1.0;
    shares
}
