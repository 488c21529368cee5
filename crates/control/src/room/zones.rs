//! What becomes of zones whose requests go elsewhere: told, journaled, logged.

use std::sync::Arc;

use super::Room;
use crate::clock::wall_millis;
use crate::journal::Record;
use crate::news::What;

impl Room {
    /// Requests of a zone that another proxy sent to workers of this one.
    pub(crate) fn hear_flow(&self, pool: &str, home: &str, zone: &str, count: u64) {
        let known = self.pools.iter().find(|known| *known.config.name == *pool);
        if let Some(zones) = known.and_then(|pool| pool.zones.as_ref()) {
            zones.spill.hear(home, zone, count);
        }
    }

    /// Tells what changed for the zones of a pool in its newest tick.
    pub(super) fn tell_zones(&mut self, at: usize) {
        let pool = Arc::clone(&self.pools[at].config.name);
        let Some(zones) = &mut self.pools[at].zones else { return };
        for change in std::mem::take(&mut zones.changes) {
            let (sentence, alert, zone) = (change.sentence(), change.alerts(), Arc::clone(&change.zone));
            if alert {
                tracing::warn!(%pool, "{sentence}");
            } else {
                tracing::info!(%pool, "{sentence}");
            }
            let wall = wall_millis();
            let item = self.news.tell(wall, &pool, None, sentence, What::Zone { change: Box::new(change), alert });
            self.journal.append(wall, Record::News((*item).clone()));
            zones.told.insert(zone, item);
        }
    }
}
