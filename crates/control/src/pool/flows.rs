//! The zones of a pool that is followed: the table that its requests read, and what they are counted in for the coordinator.

use std::sync::Arc;

use ambidex_core::zone::{Flows, ZoneTable};
use ambidex_wire::subscription::{FlowCounts, ZonesPicture};

/// Who went where, and what of it was told.
#[derive(Debug, Default)]
pub(crate) struct HomeFlows {
    names: Vec<Arc<str>>,
    flows: Arc<Flows>,
    told: Vec<Vec<u64>>,
}

impl HomeFlows {
    /// The table by this picture. Numbers of other zones than before are counted from nothing.
    pub(crate) fn table(&mut self, picture: &ZonesPicture) -> ZoneTable {
        let same = self.names.len() <= picture.zones.len()
            && self.names.iter().zip(&picture.zones).all(|(name, zone)| **name == *zone.name);
        if !same {
            (self.flows, self.told) = (Arc::default(), Vec::new());
        }
        if !same || self.names.len() < picture.zones.len() {
            self.names = picture.zones.iter().map(|zone| zone.name.as_str().into()).collect();
        }
        picture.table(&self.flows)
    }

    /// What was counted since this was last asked.
    pub(crate) fn count(&mut self) -> Vec<FlowCounts> {
        let zones = self.names.len();
        self.told.resize_with(zones, Vec::new);
        let mut counts = Vec::new();
        for (home, told) in self.told.iter_mut().enumerate() {
            told.resize(zones, 0);
            for (zone, told) in told.iter_mut().enumerate() {
                let counted = self.flows.of(home, zone);
                let count = counted.saturating_sub(std::mem::replace(told, counted));
                if count > 0 {
                    let (home, zone) = (self.names[home].to_string(), self.names[zone].to_string());
                    counts.push(FlowCounts { home, zone, count });
                }
            }
        }
        counts
    }

    /// Requests of a zone, by zone, since the start; both by their numbers.
    pub(crate) fn of(&self, home: usize, zone: usize) -> u64 {
        self.flows.of(home, zone)
    }
}
