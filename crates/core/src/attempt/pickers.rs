//! The picking state of one seat: a picker for the pool, and one for each of its zones, because what a picker remembers of
//! turns and of the fleet is of those that it picks among.

use alloc::vec::Vec;

use crate::balance::{Ask, Pick, PickPolicy, Picker};
use crate::draw::Draw;
use crate::view::PoolView;

/// The pickers of one seat.
#[derive(Debug)]
pub(super) struct Pickers {
    whole: Picker,
    /// By the zone's number; none while the pool has no zones.
    zones: Vec<Picker>,
}

impl Pickers {
    pub(super) fn new(policy: PickPolicy) -> Self {
        Self { whole: Picker::new(policy), zones: Vec::new() }
    }

    /// Takes over how the pool picks.
    #[inline]
    pub(super) fn follow(&mut self, pool: &PoolView) {
        if self.whole.policy() != pool.pick {
            *self = Self::new(pool.pick);
        }
    }

    /// Picks among the workers of `zone`; among all when nobody there may be asked, or when the one that would be has just
    /// failed: a zone fails as a whole before its breakers and weights can say so.
    #[inline]
    pub(super) fn pick(&mut self, ask: &Ask<'_>, zone: Option<usize>, draw: &mut Draw) -> Option<Pick> {
        let here = zone.and_then(|zone| self.within(ask, zone, draw));
        match here {
            Some(picked) if !ask.pool.load(picked.slot).has_just_failed() => here,
            Some(_) | None => self.whole.pick(ask, draw).or(here),
        }
    }

    #[inline(never)]
    fn within(&mut self, ask: &Ask<'_>, zone: usize, draw: &mut Draw) -> Option<Pick> {
        let zones = ask.pool.zones()?;
        while self.zones.len() < zones.len() {
            self.zones.push(Picker::new(ask.pool.pick));
        }
        let weights = zones.weights(zone, ask.arm);
        if weights.total() <= 0.0 {
            return None;
        }
        self.zones[zone].pick(&Ask { weights, ..*ask }, draw)
    }
}
