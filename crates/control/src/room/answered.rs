//! What becomes of the lookout's effects: told, journaled, logged; and the orders among them performed.

use std::sync::Arc;

use ambidex_core::plan::Command;
use ambidex_core::runbook::{Action, Effect, Names};
use ambidex_core::time::Mono;
use serde::Serialize;

use super::{OrderError, Room};
use crate::clock::wall_millis;
use crate::journal::Record;
use crate::news::What;
use crate::roster::Event;

/// What an approval began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Approved {
    /// What holds from now on, in one sentence.
    pub began: String,
}

impl Room {
    /// Begins what a runbook proposed.
    ///
    /// # Errors
    /// An unknown pool, or a number that nothing waits under.
    pub(crate) fn approve(&mut self, now: Mono, pool: &str, number: u32) -> Result<Approved, OrderError> {
        let at = self.own_place(pool)?;
        let ours = &mut self.pools[at].lookout;
        if !ours.core.approve(now, number, &mut ours.effects) {
            let waiting = ours.core.proposals().iter().map(|proposal| proposal.number.to_string());
            let waiting: Vec<String> = waiting.collect();
            return Err(OrderError::NoProposal(pool.into(), number, waiting.join(", ")));
        }
        let began = self.answered(at, now);
        self.publish();
        Ok(Approved { began: began.unwrap_or_default() })
    }

    /// Tells of what the lookout over a pool did, and performs what it wants done; the last sentence.
    pub(super) fn answered(&mut self, at: usize, now: Mono) -> Option<String> {
        let effects = std::mem::take(&mut self.pools[at].lookout.effects);
        self.ordered += u64::from(!effects.is_empty());
        let mut last = None;
        for effect in effects {
            let sentence = self.sentence_of(at, &effect);
            let pool = Arc::clone(&self.pools[at].config.name);
            if effect.alerts() {
                tracing::warn!(%pool, "{sentence}");
            } else {
                tracing::info!(%pool, "{sentence}");
            }
            last = Some(sentence.clone());
            let wall = wall_millis();
            let what = What::Runbook { effect, alert: effect.alerts() };
            let item = self.news.tell(wall, &pool, None, sentence, what);
            self.journal.append(wall, Record::News((*item).clone()));
            self.perform(at, now, effect);
        }
        let pool = &mut self.pools[at];
        pool.stale |= pool.lookout.follow(pool.roster.workers());
        pool.restrain();
        last
    }

    /// Orders that a runbook gives with an operator's word. They are not standing orders: they end with their cause, or
    /// with the process, unless another coordinator takes over.
    fn perform(&mut self, at: usize, now: Mono, effect: Effect) {
        let (action, begins) = match effect {
            Effect::Began { action, .. } => (action, true),
            Effect::Ended { action, .. } => (action, false),
            Effect::Found(_)
            | Effect::Cleared { .. }
            | Effect::Proposed(_)
            | Effect::Withdrawn(_)
            | Effect::WeightMoved(_) => return,
        };
        let orders = self.orders.pool(&self.pools[at].config.name);
        match action {
            Action::Drain { worker } => {
                if begins || !orders.worker(&self.name_of(at, worker)).drained {
                    let effects = self.pools[at].hear_source(now, Event::Drain(worker, begins), &mut self.ids);
                    self.record_effects(at, now, effects);
                }
            }
            Action::FreezeWeights => {
                if begins || !orders.frozen {
                    self.command(at, now, if begins { Command::Freeze } else { Command::Unfreeze });
                }
            }
            Action::FewerRetries
            | Action::NoRetries
            | Action::LongerBackoff
            | Action::NoHedges
            | Action::RampAdmission
            | Action::LookAgain
            | Action::Quarantine { .. }
            | Action::LatencyBreaker
            | Action::DampLoop
            | Action::PickByWeight => {}
        }
    }

    pub(crate) fn sentence_of(&self, at: usize, effect: &Effect) -> String {
        let worker = |id| self.name_of(at, id).to_string();
        let path = |number| self.pools[at].lookout.path(number);
        effect.sentence(&Names { worker: &worker, path: &path })
    }
}
