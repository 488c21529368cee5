//! Which worker: the fast loop, run for each request.
//!
//! One small file a policy. All of them read the same things (the weights that this request drew, live loads, who was
//! tried already) and answer with a [`Pick`] that says why. The weight is applied exactly once: by sampling in
//! proportion to it, or by dividing the load by it, never both.

mod round_robin;

pub mod ring;

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use crate::draw::Draw;
use crate::time::Mono;
use crate::view::{PoolView, Weights};

/// Which rule picks. Named in the configuration as `balance:`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PickPolicy {
    /// Each in turn.
    #[default]
    RoundRobin,
}

/// What a pick looks at.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The moment.
    pub now: Mono,
    /// The pool's workers and their live loads.
    pub pool: &'a PoolView,
    /// The weights that this request drew.
    pub weights: &'a Weights,
    /// Who must not be picked: tried already, or barred by a breaker.
    pub barred: &'a Barred<'a>,
    /// Hash of the request's key, for the policies that place by key.
    pub key: Option<u64>,
}

impl Ask<'_> {
    /// Whether the worker in `slot` may be picked at all.
    #[must_use]
    pub fn allows(&self, slot: usize) -> bool {
        self.weights.at(slot) > 0.0 && !self.barred.holds(slot)
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
    /// What decided.
    pub why: PickReason,
}

/// What decided a pick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PickReason {
    /// Its turn came.
    Turn,
}

/// The picking state of one seat: made for a policy, kept across views.
#[derive(Debug)]
pub enum Picker {
    /// See [`PickPolicy::RoundRobin`].
    RoundRobin(round_robin::RoundRobin),
}

impl Picker {
    /// A fresh picker.
    #[must_use]
    pub fn new(policy: PickPolicy) -> Self {
        match policy {
            PickPolicy::RoundRobin => Self::RoundRobin(round_robin::RoundRobin::default()),
        }
    }

    /// The policy this picker was made for.
    #[must_use]
    pub fn policy(&self) -> PickPolicy {
        match self {
            Self::RoundRobin(_) => PickPolicy::RoundRobin,
        }
    }

    /// Picks a worker; `None` when nobody may be asked.
    pub fn pick(&mut self, ask: &Ask<'_>, draw: &mut Draw) -> Option<Pick> {
        let _ = draw;
        match self {
            Self::RoundRobin(policy) => policy.pick(ask),
        }
    }
}

/// The most workers one request may try.
pub const MOST_TRIES: usize = 4;

/// Slots tried by one request.
pub type Tried = ArrayVec<usize, MOST_TRIES>;
