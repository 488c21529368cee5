//! Drills: begun by an order, watched at their own pace, told when they end.

use std::sync::Arc;

use ambidex_core::drill::{Ending, Order};
use ambidex_core::time::Mono;

use super::Room;
use crate::clock::wall_millis;
use crate::drills::{DrillError, DrillStatus, Drilling};
use crate::journal::Record;
use crate::news::What;

impl Room {
    /// Begins a drill of one worker.
    ///
    /// # Errors
    /// Which name is unknown, or why the pool cannot bear it.
    pub(crate) fn start_drill(
        &mut self,
        now: Mono,
        pool: &str,
        worker: &str,
        order: Order,
    ) -> Result<DrillStatus, DrillError> {
        let at = self.place(pool)?;
        let id = self.worker(pool, worker)?;
        if !self.carries_requests {
            return Err(DrillError::NoRequests);
        }
        let drilling = Drilling::begin(&self.pools[at], id, order, self.drills + 1, now, wall_millis())?;
        self.drills += 1;
        let status = drilling.status(&self.pools[at].config.name, None);
        self.pools[at].drill(Some(drilling));
        self.tell_drill(&status);
        self.publish();
        Ok(status)
    }

    /// Stops the drill of a pool.
    ///
    /// # Errors
    /// An unknown name, or a pool that is not drilled.
    pub(crate) fn stop_drill(&mut self, pool: &str) -> Result<DrillStatus, DrillError> {
        let at = self.place(pool)?;
        let name = Arc::clone(&self.pools[at].config.name);
        let status = self.end_drill(at, Ending::Stopped).ok_or(DrillError::None(name))?;
        self.publish();
        Ok(status)
    }

    /// The drills that go on, then those that ended, the newest first.
    pub(crate) fn drills(&self) -> Vec<DrillStatus> {
        let running =
            self.pools.iter().filter_map(|pool| Some(pool.drilling.as_ref()?.status(&pool.config.name, None)));
        running.chain(self.drilled.iter().cloned()).collect()
    }

    /// Looks at the drills that are due.
    pub(super) fn watch_drills(&mut self, now: Mono) {
        for at in 0..self.pools.len() {
            let pool = &mut self.pools[at];
            let due = pool.drilling.as_mut().filter(|drilling| drilling.deadline() <= now);
            if let Some(ending) = due.and_then(|drilling| drilling.look(pool.roster.workers(), now)) {
                self.end_drill(at, ending);
            }
        }
    }

    fn end_drill(&mut self, at: usize, ending: Ending) -> Option<DrillStatus> {
        let pool = &mut self.pools[at];
        let drilling = pool.drill(None)?;
        let status = drilling.status(&pool.config.name, Some(ending));
        self.keep_drill(status.clone());
        Some(status)
    }

    /// Tells of a drill that ended, and keeps it to be shown.
    pub(super) fn keep_drill(&mut self, status: DrillStatus) {
        self.tell_drill(&status);
        self.drilled.push_front(status);
        self.drilled.truncate(MOST_KEPT);
    }

    /// Logs, journals and shows what became of a drill.
    fn tell_drill(&mut self, status: &DrillStatus) {
        let (sentence, wall) = (status.sentence(), wall_millis());
        tracing::warn!(pool = %status.pool, drill = status.id, "{sentence}");
        let what = What::Drill { drill: Box::new(status.clone()) };
        let item = self.news.tell(wall, &status.pool, Some(Arc::clone(&status.worker)), sentence, what);
        self.journal.append(wall, Record::News((*item).clone()));
    }
}

/// Drills that ended and are still shown; all of them are in the journal. Source: ours.
const MOST_KEPT: usize = 20;
