//! A change of a pool that Ambidex makes itself: put in force by parts, and taken back. The command and the process both carry out by it.
//!
//! | change | half of it | all of it | taken back |
//! |---|---|---|---|
//! | weight | pinned half of the way | pinned where it is to be | pinned as it was, or unpinned |
//! | drain | pinned at half of what it weighs | drained; pinned as it was, or unpinned, so that who undrains it finds it as it was | undrained; pinned as it was, or unpinned |
//!
//! Each step can be done twice. Of two orders the first may be in force while the second fails: then the change is taken back whole.

use ambidex_control::Order;
use ambidex_core::review::{Action, Proposal};

use super::ReviewError;
use super::pools::{Place, Pools};

/// What of a proposal is done to a worker.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) pool: String,
    pub(crate) worker: String,
    /// Its weight before, in fair shares.
    from: f64,
    /// Whether an operator had fixed that.
    pinned: bool,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    /// Its weight becomes this.
    Weight(f64),
    /// It gets nothing new.
    Drain,
}

impl Change {
    /// `None` where people make the change.
    pub(crate) fn of(proposal: &Proposal) -> Option<Self> {
        let (pool, worker, from, pinned, what) = match proposal.action() {
            Action::Weight { pool, worker, from, pinned, to } => (pool, worker, from, pinned, What::Weight(*to)),
            Action::Drain { pool, worker, from, pinned } => (pool, worker, from, pinned, What::Drain),
            Action::ByHand { .. } => return None,
        };
        Some(Self { pool: pool.clone(), worker: worker.clone(), from: *from, pinned: *pinned, what })
    }

    /// Whether the worker is still what the proposal was made for.
    ///
    /// # Errors
    /// What is different by now.
    pub(crate) fn still_fits(&self, place: &Place) -> Result<(), ReviewError> {
        let Self { worker, from, .. } = self;
        let is = place.pinned.unwrap_or(place.weight);
        if (is - from).abs() > DRIFT * from.max(0.01) || place.pinned.is_some() != self.pinned {
            let pinned = if place.pinned.is_some() { ", pinned" } else { "" };
            return Err(ReviewError::Wrong(format!(
                "the proposal is about a weight of {from:.2}, and {worker} has {is:.2}{pinned} by now: reject it and propose anew"
            )));
        }
        match self.what {
            What::Weight(_) => Ok(()),
            What::Drain => place.drainable(),
        }
    }

    /// Puts a part of it in force; in words, what is.
    ///
    /// # Errors
    /// What was ordered is not done, or not all of it.
    pub(crate) fn put(&self, pools: &Pools<'_>, part: f64) -> Result<String, ReviewError> {
        let Self { worker, from, .. } = self;
        let to = match self.what {
            What::Weight(to) => to,
            What::Drain if part < 1.0 => 0.0,
            What::Drain => {
                pools.order(worker, Order::Drain)?;
                self.weigh_as_before(pools)?;
                return Ok("drained".into());
            }
        };
        let weight = from + (to - from) * part;
        pools.order(worker, Order::Pin(weight))?;
        Ok(format!("weight {weight:.2}"))
    }

    /// Takes it back, however much of it is in force.
    ///
    /// # Errors
    /// It is not taken back, or not all of it.
    pub(crate) fn take_back(&self, pools: &Pools<'_>) -> Result<(), ReviewError> {
        self.weigh_as_before(pools)?;
        match self.what {
            What::Weight(_) => Ok(()),
            What::Drain => pools.order(&self.worker, Order::Undrain),
        }
    }

    fn weigh_as_before(&self, pools: &Pools<'_>) -> Result<(), ReviewError> {
        pools.order(&self.worker, if self.pinned { Order::Pin(self.from) } else { Order::Unpin })
    }
}

/// How far a weight may have moved since it was proposed to change it, as a part of it. Source: ours; a learned weight moves by a few
/// percent all the time.
const DRIFT: f64 = 0.25;
