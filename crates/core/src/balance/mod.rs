//! Which worker: the fast loop, run for each request.
//!
//! One small file a policy. All of them read the same things (the weights that this request drew, live loads, who was
//! tried already) and answer with a [`Pick`] that says why.
//!
//! Where the weight goes, and why only there (balancing.md "Weights with choices"):
//!
//! ```text
//! turns, lots      how often a worker is chosen is its weight                       applied once, in the choice
//! full scan        load x burden, burden = mean weight / own weight                 applied once, in the score
//! sampled          drawn in proportion to weight, then load x burden is compared    once as share, once as a unit
//! ```
//! In the sampled case the two uses do different work. Drawing gives a worker its share of the *chances*; uniform
//! draws are not throughput-optimal (half the workers ten times slower saturate at 36 % of capacity). The burden turns
//! requests in flight into *fullness*, without which a worker of weight 1 with two requests would look emptier than
//! one of weight 10 with three. Workers that are equally full win their draws equally often, so shares follow the
//! weight once. No score may use the weight a third time.

mod fleet;
mod least_request;
mod p2c;
mod peak_ewma;
mod policy;
mod prequal;
mod quiet;
mod reason;
mod round_robin;
mod sample;
mod weighted_random;
mod weighted_round_robin;

pub mod ring;

use arrayvec::ArrayVec;

use crate::draw::Draw;
use crate::time::{Mono, Span};
use crate::view::{Arm, PoolView, Weights};
use crate::worker::WorkerId;

pub use policy::{Balance, PickPolicy};
pub use reason::PickReason;

/// What a pick looks at.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The moment.
    pub now: Mono,
    /// The pool's workers and their live loads.
    pub pool: &'a PoolView,
    /// Which weights this request drew.
    pub arm: Arm,
    /// The weights of that arm.
    pub weights: &'a Weights,
    /// Who must not be picked: tried already, or barred by a breaker.
    pub barred: &'a Barred<'a>,
    /// Hash of the request's key, for the policies that place by key.
    pub key: Option<u64>,
    /// What the request costs beside the pool's mean, where the pool tells classes apart.
    pub cost: Option<f64>,
}

impl Ask<'_> {
    /// Whether the worker in `slot` may be picked at all.
    #[must_use]
    pub fn allows(&self, slot: usize) -> bool {
        self.weights.at(slot) > 0.0 && !self.barred.holds(slot)
    }

    /// The worker in `slot` as a candidate.
    fn candidate(&self, slot: usize) -> sample::Candidate {
        let burden = self.weights.burden(slot);
        let load = self.pool.load(slot);
        let crowd =
            self.cost.map_or_else(|| load.crowd(self.now), |cost| load.crowd_for(load.in_flight(), cost, self.now));
        let fullness = crowd * burden;
        sample::Candidate { slot, fullness, load: fullness - burden }
    }

    fn picked(&self, slot: usize, why: PickReason) -> Pick {
        Pick { slot, worker: self.pool.workers[slot].id, why }
    }
}

/// Slots that must not be picked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Barred<'a> {
    /// Slots that this request has tried.
    pub tried: &'a [usize],
    /// One bit a slot, set where a breaker is open; shorter than the pool means the rest are closed.
    pub open: &'a [u64],
}

impl Barred<'_> {
    /// Whether nobody is barred.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.tried.is_empty() && self.open.is_empty()
    }

    /// Whether `slot` is barred.
    #[must_use]
    pub fn holds(&self, slot: usize) -> bool {
        self.open.get(slot / 64).is_some_and(|word| word >> (slot % 64) & 1 == 1) || self.tried.contains(&slot)
    }
}

/// Who was picked, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pick {
    /// Slot of the worker in the view that was asked.
    pub slot: usize,
    /// Its identity, which stays right in later views.
    pub worker: WorkerId,
    /// What decided.
    pub why: PickReason,
}

/// The picking state of one seat: made for a policy, kept across views.
#[derive(Debug)]
pub enum Picker {
    /// See [`PickPolicy::RoundRobin`].
    RoundRobin(round_robin::RoundRobin),
    /// See [`PickPolicy::WeightedRoundRobin`].
    WeightedRoundRobin(weighted_round_robin::WeightedRoundRobin),
    /// See [`PickPolicy::WeightedRandom`].
    WeightedRandom,
    /// See [`PickPolicy::LeastRequest`].
    LeastRequest,
    /// See [`PickPolicy::P2c`].
    P2c,
    /// See [`PickPolicy::PeakEwma`].
    PeakEwma(peak_ewma::PeakEwma),
    /// See [`PickPolicy::Prequal`].
    Prequal(prequal::Prequal),
    /// See [`PickPolicy::Ring`].
    Ring(ring::Ring),
}

impl Picker {
    /// A fresh picker.
    #[must_use]
    pub fn new(policy: PickPolicy) -> Self {
        match policy {
            PickPolicy::RoundRobin => Self::RoundRobin(round_robin::RoundRobin::default()),
            PickPolicy::WeightedRoundRobin => {
                Self::WeightedRoundRobin(weighted_round_robin::WeightedRoundRobin::default())
            }
            PickPolicy::WeightedRandom => Self::WeightedRandom,
            PickPolicy::LeastRequest => Self::LeastRequest,
            PickPolicy::P2c => Self::P2c,
            PickPolicy::PeakEwma => Self::PeakEwma(peak_ewma::PeakEwma::default()),
            PickPolicy::Prequal => Self::Prequal(prequal::Prequal::default()),
            PickPolicy::Ring => Self::Ring(ring::Ring::default()),
        }
    }

    /// The policy this picker was made for.
    #[must_use]
    pub fn policy(&self) -> PickPolicy {
        match self {
            Self::RoundRobin(_) => PickPolicy::RoundRobin,
            Self::WeightedRoundRobin(_) => PickPolicy::WeightedRoundRobin,
            Self::WeightedRandom => PickPolicy::WeightedRandom,
            Self::LeastRequest => PickPolicy::LeastRequest,
            Self::P2c => PickPolicy::P2c,
            Self::PeakEwma(_) => PickPolicy::PeakEwma,
            Self::Prequal(_) => PickPolicy::Prequal,
            Self::Ring(_) => PickPolicy::Ring,
        }
    }

    /// Picks a worker; `None` when nobody may be asked.
    pub fn pick(&mut self, ask: &Ask<'_>, draw: &mut Draw) -> Option<Pick> {
        match self {
            Self::RoundRobin(policy) => policy.pick(ask),
            Self::WeightedRoundRobin(policy) => policy.pick(ask, draw),
            Self::WeightedRandom => weighted_random::pick(ask, draw),
            Self::LeastRequest => least_request::pick(ask, draw),
            Self::P2c => p2c::pick(ask, draw),
            Self::PeakEwma(policy) => quiet::pick(ask, draw).or_else(|| policy.pick(ask, draw)),
            Self::Prequal(policy) => quiet::pick(ask, draw).or_else(|| policy.pick(ask, draw)),
            Self::Ring(policy) => policy.pick(ask, draw),
        }
    }
}

/// A score as a reason keeps it.
#[expect(clippy::cast_possible_truncation, reason = "seven digits say why")]
fn brief(score: f64) -> f32 {
    score as f32
}

/// A price in nanoseconds as a reason keeps it.
fn span(nanos: f64) -> Span {
    Span::from_secs_f64(nanos / 1e9)
}

/// The most workers one request may try.
pub const MOST_TRIES: usize = 8;

/// Slots tried by one request.
pub type Tried = ArrayVec<usize, MOST_TRIES>;

#[cfg(test)]
mod tests;
