//! Tasks that go on for as long as something is there: one for each, started, ended and replaced as they are wanted.
//!
//! For polls and health checks of workers, and for publishers. Each worker's task has its own moment, so that a thousand
//! workers are not asked at once.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use ambidex_core::draw::Draw;
use ambidex_core::worker::WorkerId;
use tokio::task::AbortHandle;

use crate::clock::wall_millis;

/// Running tasks by what they are for, each with the settings that it was started with.
#[derive(Debug)]
pub(crate) struct Rounds<K, T> {
    tasks: HashMap<K, (T, AbortHandle)>,
}

impl<K: Hash + Eq + Clone, T: PartialEq + Clone> Rounds<K, T> {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { tasks: HashMap::new() }
    }

    /// Starts what is wanted and not running, ends what is running and not wanted. Within the runtime only.
    pub(crate) fn reconcile(&mut self, wanted: Vec<(K, T)>, start: impl Fn(K, T) -> AbortHandle) {
        let mut before = std::mem::take(&mut self.tasks);
        for (key, target) in wanted {
            let task = match before.remove(&key) {
                Some((known, task)) if known == target => task,
                old => {
                    if let Some((_, old)) = old {
                        old.abort();
                    }
                    start(key.clone(), target.clone())
                }
            };
            self.tasks.insert(key, (target, task));
        }
        before.into_values().for_each(|(_, task)| task.abort());
    }
}

impl<K, T> Drop for Rounds<K, T> {
    fn drop(&mut self) {
        self.tasks.values().for_each(|(_, task)| task.abort());
    }
}

/// When one worker's turns are.
pub(crate) struct Turns {
    draw: Draw,
    every: Duration,
}

impl Turns {
    pub(crate) fn new(worker: WorkerId, every: Duration) -> Self {
        Self { draw: Draw::seeded(wall_millis() ^ u64::from(worker.0).rotate_left(32)), every }
    }

    /// Waits for the first: soon, yet not with all the others.
    pub(crate) async fn first(&mut self) {
        tokio::time::sleep(self.every.min(Duration::from_secs(1)).mul_f64(self.draw.unit())).await;
    }

    /// Waits for the next: a tenth sooner or later, so that turns drift apart.
    pub(crate) async fn next(&mut self) {
        tokio::time::sleep(self.every.mul_f64(0.9 + 0.2 * self.draw.unit())).await;
    }
}
