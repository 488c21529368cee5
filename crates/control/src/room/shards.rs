//! What happens to slices of keyspaces, as the movers tell it: journaled and shown.

use std::sync::Arc;

use ambidex_shard::Told;

use super::Room;
use crate::clock::wall_millis;
use crate::journal::Record;
use crate::news::What;

impl Room {
    /// A step of a move; the mover has logged it.
    pub(crate) fn tell_shard(&mut self, pool: &Arc<str>, told: Told) {
        let (wall, sentence, alert) = (wall_millis(), told.sentence(), told.alerts());
        let worker = Some(Arc::from(told.to.as_str()));
        let item = self.news.tell(wall, pool, worker, sentence, What::Shard { told: Box::new(told), alert });
        self.journal.append(wall, Record::News((*item).clone()));
    }
}
