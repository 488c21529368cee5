//! Points of a pool's ring that follow what its workers can carry: who counts, and what of them is kept for the next process.
//!
//! They stand still while weights are held, and are those of the configured weights while the loop's weights are not applied: where people only
//! watch, no key moves.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ambidex_core::balance::PickPolicy;
use ambidex_core::balance::ring::points::{Following, Points, Wanted};
use ambidex_core::share::Share;
use ambidex_core::time::Mono;
use ambidex_core::worker::WorkerId;

use super::Pool;

impl Pool {
    /// How its points follow, if they do.
    fn following(&self) -> Option<Following> {
        let applies = self.pick() == PickPolicy::Ring && self.learned_share() > Share::NONE;
        self.config.ring.filter(|_| applies)
    }

    /// One tick: points that moved make a new picture.
    pub(super) fn move_points(&mut self, now: Mono) {
        let Some(following) = self.following().filter(|_| !self.planner.holds()) else { return };
        self.give_points();
        let carries: HashMap<WorkerId, f64> = self.planner.carries().collect();
        let wanted = |worker: &crate::roster::Worker| Wanted {
            worker: worker.id,
            configured: worker.found.weight,
            carries: carries.get(&worker.id).copied(),
        };
        let wanted: Vec<Wanted> = self.roster.workers().iter().map(wanted).collect();
        self.points_moved |= self.points.tick(now, &wanted, &following).points > 0;
        self.stale |= self.points_moved;
    }

    /// For a picture; `None` where points are those of the configured weights.
    pub(super) fn points_by_slot(&self) -> Option<Arc<[u32]>> {
        let workers = self.roster.workers();
        if let Some(followed) = &self.followed {
            return followed.points(workers);
        }
        self.following()?;
        Some(self.points.each(workers.iter().map(|worker| (worker.id, worker.found.weight))).collect())
    }

    /// By the workers' names, for the next process or the next leader; empty where points do not follow.
    pub(crate) fn points_kept(&self) -> BTreeMap<String, u32> {
        let workers = self.roster.workers().iter().filter(|_| self.config.ring.is_some());
        workers.filter_map(|worker| Some((worker.found.name.to_string(), self.points.of(worker.id)?))).collect()
    }

    /// Goes on from what another process kept. Whom it does not name has the points of its configured weight.
    pub(crate) fn take_points(&mut self, kept: BTreeMap<String, u32>) {
        (self.points, self.kept_points) = (Points::default(), kept);
        self.give_points();
        self.stale = true;
    }

    /// Workers may be found after what was kept of them.
    fn give_points(&mut self) {
        if self.kept_points.is_empty() {
            return;
        }
        for worker in self.roster.workers() {
            if self.points.of(worker.id).is_some() {
                continue;
            }
            if let Some(points) = self.kept_points.remove(&*worker.found.name) {
                self.points.give(worker.id, points);
            }
        }
    }
}
