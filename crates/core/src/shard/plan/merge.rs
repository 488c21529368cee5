//! Neighbours that have been cold for long become one again, so that slices do not grow in number for ever.

use super::Plan;
use super::memory::Memory;
use super::reason::Reason;
use super::sample::{Action, SliceNow, Subject};

impl Plan<'_> {
    /// Merges neighbours that have the same worker, are both old, and have been cold together for long.
    pub(super) fn merge(&mut self, memory: &mut Memory) {
        let sample = self.sample;
        let floor = self.config.least_per_worker * sample.workers.len();
        let mut last = None;
        for pair in sample.slices.windows(2) {
            let [left, right] = pair else { continue };
            let id = left.slice;
            if !self.is_cold(left, right) || self.ledger.count() <= floor {
                memory.cold.remove(&id);
                continue;
            }
            let since = *memory.cold.entry(id).or_insert(self.now);
            if self.now.since(since) < self.config.merge_cold || last == Some(id) {
                continue;
            }
            let subject = Subject::Slice(id);
            if let Some(reason) = self.ledger.no_reshape(0) {
                // What is left waits for the next second.
                return self.nothing(subject, reason, left.load);
            }
            let action = Action::Merge { left: id, right: right.slice };
            self.act(subject, action, Reason::Cold, left.load + right.load, 0.0);
            self.ledger.merged();
            memory.cold.remove(&id);
            memory.cold.remove(&right.slice);
            last = Some(right.slice);
        }
    }

    fn is_cold(&self, left: &SliceNow, right: &SliceNow) -> bool {
        let age = self.config.merge_age.max(self.config.rest_after_split);
        let planned = self.sample.presplits.iter().filter(|plan| plan.from <= self.now && self.now < plan.until);
        let most = self.config.split_over / 2.0 * self.ledger.carries(left.owner);
        left.owner == right.owner
            && left.age >= age
            && right.age >= age
            && left.load + right.load <= most
            && self.ledger.held(left).is_none()
            && self.ledger.held(right).is_none()
            && !planned.into_iter().any(|plan| plan.points.contains(&right.range.first()))
    }
}
