//! The zones of a pool: what core's machine is shown each tick, and what of it is to be told.

use std::collections::HashMap;
use std::sync::Arc;

use ambidex_core::guard::breaker::BreakerState;
use ambidex_core::plan::Look;
use ambidex_core::time::Mono;
use ambidex_core::worker::{Standing, WorkerId};
use ambidex_core::zone::{Sight, Spill, ZoneChange, ZonesConfig};

use super::Pool;
use crate::news::Item;

/// The zones of one pool.
#[derive(Debug)]
pub(crate) struct Zones {
    pub(crate) spill: Spill,
    /// To be told.
    pub(crate) changes: Vec<ZoneChange>,
    /// What was told last of each zone.
    pub(crate) told: HashMap<Arc<str>, Arc<Item>>,
}

impl Zones {
    pub(crate) fn new(config: ZonesConfig) -> Self {
        Self { spill: Spill::new(config), changes: Vec::new(), told: HashMap::new() }
    }

    /// Takes other settings over; what is known of the zones stays.
    pub(crate) fn configure(zones: &mut Option<Self>, config: Option<ZonesConfig>) {
        let Some(config) = config else {
            *zones = None;
            return;
        };
        match zones {
            Some(known) => known.spill.configure(config),
            None => *zones = Some(Self::new(config)),
        }
    }
}

impl Pool {
    /// One tick of the zones.
    pub(super) fn mind_zones(&mut self, now: Mono) {
        let Some(zones) = &mut self.zones else { return };
        let looks: HashMap<WorkerId, Look> = self.planner.looks().map(|look| (look.worker, look)).collect();
        let (tracks, lookout) = (&self.tracks, &self.lookout);
        let sights = self.roster.workers().iter().map(|worker| {
            let look = looks.get(&worker.id);
            let weight = look.map_or(0.0, |look| look.weight);
            let kept_out = matches!(worker.cells.breaker(), BreakerState::Open | BreakerState::Probing);
            let counted = tracks.get(&worker.id).map(|track| track.watch.counted()).unwrap_or_default();
            Sight {
                zone: &worker.found.zone,
                takes: worker.standing() == Standing::Serving && weight > 0.0 && !kept_out && !lookout.holds(worker.id),
                weight,
                terms: look.map(|look| look.terms).unwrap_or_default(),
                answers: (counted.answered, counted.p50),
            }
        });
        self.stale |= zones.spill.tick(now, sights, &mut zones.changes);
    }
}
