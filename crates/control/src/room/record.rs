//! What becomes of planner's and roster's outcomes: told, journaled, logged.

use std::sync::Arc;

use ambidex_core::plan::PoolEvent;
use ambidex_core::time::Mono;
use ambidex_core::worker::WorkerId;

use super::Room;
use crate::clock::wall_millis;
use crate::journal::Record;
use crate::news::What;
use crate::pool::Planned;
use crate::roster::{Effect, Event};

impl Room {
    pub(super) fn record(&mut self, at: usize, planned: Planned) {
        let wall = wall_millis();
        let Planned { input, decisions, events } = planned;
        let name = Arc::clone(&self.pools[at].config.name);
        let before = self.news.newest();
        for event in events {
            self.tell_event(at, &event);
        }
        self.journal.append(
            wall,
            Record::Input { run: self.run, pool: Arc::clone(&name), input, decisions: decisions.clone() },
        );
        for decision in decisions {
            let (id, worker) = (decision.worker, self.name_of(at, decision.worker));
            let item = self.news.decided(wall, &name, worker, decision);
            if let Some(track) = self.pools[at].tracks.get_mut(&id) {
                track.decided = Some(item);
            }
        }
        for item in self.news.since(before) {
            self.journal.append(wall, Record::News((**item).clone()));
        }
    }

    pub(super) fn record_effects(&mut self, at: usize, now: Mono, effects: Vec<Effect>) {
        let wall = wall_millis();
        let name = Arc::clone(&self.pools[at].config.name);
        for effect in effects {
            let (worker, sentence) = match effect {
                Effect::Joined(id) => {
                    let worker = self.name_of(at, id);
                    if !self.pools[at].is_followed() && self.orders.pool(&name).worker(&worker).drained {
                        self.pools[at].hear_source(now, Event::Drain(id, true), &mut self.ids);
                    }
                    (Some(Arc::clone(&worker)), format!("{worker} joined the pool"))
                }
                Effect::Leaving(id) => {
                    let worker = self.name_of(at, id);
                    (Some(Arc::clone(&worker)), format!("{worker} left the pool and finishes what it has"))
                }
                Effect::Gone(id) => {
                    tracing::debug!(pool = %name, worker = id.0, "worker is gone");
                    continue;
                }
                Effect::Changed(id) => {
                    let worker = self.name_of(at, id);
                    (Some(Arc::clone(&worker)), format!("{worker} has other settings, or another standing"))
                }
                Effect::Kept { source, why } => {
                    tracing::warn!(pool = %name, %source, "{why}");
                    (None, format!("source {source} is not believed: {why}"))
                }
                Effect::Healed(source) => (None, format!("source {source} is believed again")),
            };
            self.news.tell(wall, &name, worker, sentence, What::Member);
        }
    }

    pub(super) fn checkpoint(&self, at: usize) {
        let pool = &self.pools[at];
        let names = pool.roster.workers().iter().map(|worker| (worker.id, Arc::clone(&worker.found.name))).collect();
        let planner = Box::new(pool.planner.clone());
        self.journal.append(
            wall_millis(),
            Record::Checkpoint { run: self.run, pool: Arc::clone(&pool.config.name), planner, names },
        );
    }

    pub(crate) fn tell_event(&mut self, at: usize, event: &PoolEvent) {
        let sentence = event.sentence(|id| self.name_of(at, id).to_string());
        let pool = Arc::clone(&self.pools[at].config.name);
        if event.alerts() {
            tracing::warn!(%pool, "{sentence}");
        } else {
            tracing::info!(%pool, "{sentence}");
        }
        self.news.happened(wall_millis(), &pool, event, sentence);
    }

    pub(crate) fn name_of(&self, at: usize, id: WorkerId) -> Arc<str> {
        self.pools[at].name_of(id)
    }
}
