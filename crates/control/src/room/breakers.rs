//! What becomes of breakers' transitions: named, told, journaled, logged.

use std::sync::Arc;

use ambidex_core::guard::breaker::Cause;
use ambidex_core::guard::ejection::{Shift, Told};
use ambidex_core::time::Mono;

use super::Room;
use crate::clock::wall_millis;
use crate::journal::Record;
use crate::news::What;
use crate::transitions::Merged;

impl Room {
    /// Keeps a transition for the next tick.
    pub(crate) fn hear_transition(&mut self, told: Told) {
        if let Some(pool) = self.pools.iter_mut().find(|pool| pool.id == told.pool) {
            pool.transitions.hear(told);
        }
    }

    /// Writes down what the breakers of a pool did since the last tick.
    pub(super) fn record_breakers(&mut self, at: usize, now: Mono) {
        for Merged { what, extent } in self.pools[at].transitions.take(now) {
            let pool = Arc::clone(&self.pools[at].config.name);
            let grave = match what {
                Shift::Breaker { change, .. } => matches!(change.cause, Cause::Tripped { .. } | Cause::Refused { .. }),
                Shift::Panic(panic) => panic.on,
            };
            let (worker, sentence, what) = match what {
                Shift::Breaker { worker, change } => {
                    let name = self.name_of(at, worker);
                    let what = What::Breaker { from: change.from, to: change.to, cause: change.cause, extent };
                    (Some((worker, Arc::clone(&name))), change.sentence(&name), what)
                }
                Shift::Panic(panic) => (None, panic.sentence(), What::Panic { panic, extent }),
            };
            let sentence = extent.added_to(sentence);
            if grave {
                tracing::warn!(%pool, "{sentence}");
            } else {
                tracing::info!(%pool, "{sentence}");
            }
            let wall = wall_millis();
            let (id, name) = worker.unzip();
            let item = self.news.tell(wall, &pool, name, sentence, what);
            self.journal.append(wall, Record::News((*item).clone()));
            if let Some(track) = id.and_then(|id| self.pools[at].tracks.get_mut(&id)) {
                track.breaker_decided = Some(item);
            }
        }
    }
}
