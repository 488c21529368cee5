//! What was decided and what happened, newest last: for pages, streams and the command line.
//!
//! A bounded ring with a number for each item, so that a reader asks for what is new since its last number, and a
//! broadcast for those who wait. Names and sentences are put in here, once; none of the readers parses or resolves.

use std::collections::VecDeque;
use std::sync::Arc;

use ambidex_core::contact::Stage;
use ambidex_core::decision::Decision;
use ambidex_core::guard::breaker::{BreakerState, Cause};
use ambidex_core::guard::ejection::Panic;
use ambidex_core::plan::{Happening, PoolEvent};
use ambidex_core::probation;
use ambidex_core::runbook::Effect;
use ambidex_core::trial::Told;
use ambidex_core::zone::ZoneChange;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::drills::DrillStatus;
use crate::transitions::Extent;

/// Items kept in memory. Source: ours, 2 MB; older ones are in the journal.
const MOST_ITEMS: usize = 4_096;

/// One item of news.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Grows by one with each item of this process.
    pub seq: u64,
    /// When, by the wall clock, in milliseconds since 1970: for people.
    pub wall_ms: u64,
    /// The pool's name.
    pub pool: Arc<str>,
    /// The worker's name, where it concerns one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<Arc<str>>,
    /// All of it in one sentence.
    pub sentence: String,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What an item is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A weight was decided.
    Decision {
        /// Inputs, terms, guards, old and new.
        decision: Box<Decision>,
    },
    /// Something happened to a pool's weights as a whole.
    Pool {
        /// What.
        what: Happening,
        /// Whether somebody should be told at once.
        alert: bool,
        /// Which tick.
        tick: u64,
    },
    /// Membership: a worker joined, left, or a source was not believed.
    Member,
    /// A worker's breaker changed; or it would have, and was not allowed to.
    Breaker {
        /// What it did before.
        from: BreakerState,
        /// What it does now; the same where it was not allowed to change.
        to: BreakerState,
        /// Why: the trigger, the figures that it saw, the bounds that they broke, and when the worker may be probed.
        cause: Cause,
        /// On how many threads, and how often.
        extent: Extent,
    },
    /// So few workers are usable that open breakers are ignored; or enough are again.
    Panic {
        /// Which, and by which figures.
        panic: Panic,
        /// On how many threads, and how often.
        extent: Extent,
    },
    /// A worker's health checks say something else than before.
    Health {
        /// Whether it is well.
        well: bool,
    },
    /// A failure mode was found or is over, or its runbook did something.
    Runbook {
        /// What.
        effect: Effect,
        /// Whether somebody should be told at once.
        alert: bool,
    },
    /// Requests of a zone go elsewhere, or no more.
    Zone {
        /// Which zone, why, and where they go.
        change: Box<ZoneChange>,
        /// Whether somebody should be told at once.
        alert: bool,
    },
    /// An operator ordered something.
    Order,
    /// A drill began, or ended.
    Drill {
        /// Which, and what came of it.
        drill: Box<DrillStatus>,
    },
    /// A canary, a switch or an experiment began, moved or ended.
    Trial {
        /// What happened, with its figures.
        told: Box<Told>,
        /// Whether somebody should be told at once.
        alert: bool,
    },
    /// A slice of a keyspace began to move, moved, or stays where it was.
    Shard {
        /// Which, from where to where, and why not.
        told: Box<ambidex_shard::Told>,
        /// Whether somebody should be told at once.
        alert: bool,
    },
    /// A configuration was taken over, passed its probation or was gone back from.
    Configuration {
        /// What happened, with its evidence.
        told: Box<probation::Told>,
        /// Whether somebody should be told at once.
        alert: bool,
    },
    /// This coordinator leads, or does no more.
    Leadership {
        /// Whether it does.
        leads: bool,
        /// Under which term.
        term: u64,
    },
    /// The coordinator that is followed is heard, or not any more.
    Contact {
        /// What the weights rest on now.
        stage: Stage,
    },
}

impl What {
    /// Whether it is a decision about a worker, or about a zone: what `decisions` lists.
    pub(crate) const fn is_decision(&self) -> bool {
        match self {
            Self::Decision { .. } | Self::Breaker { .. } | Self::Panic { .. } | Self::Zone { .. } => true,
            Self::Pool { .. }
            | Self::Member
            | Self::Health { .. }
            | Self::Runbook { .. }
            | Self::Order
            | Self::Drill { .. }
            | Self::Trial { .. }
            | Self::Shard { .. }
            | Self::Configuration { .. }
            | Self::Leadership { .. }
            | Self::Contact { .. } => false,
        }
    }
}

/// The ring and its waiting readers.
#[derive(Debug)]
pub(crate) struct News {
    next: u64,
    items: VecDeque<Arc<Item>>,
    waiting: broadcast::Sender<Arc<Item>>,
}

impl Default for News {
    fn default() -> Self {
        Self { next: 1, items: VecDeque::new(), waiting: broadcast::Sender::new(1_024) }
    }
}

impl News {
    pub(crate) fn decided(&mut self, wall_ms: u64, pool: &Arc<str>, worker: Arc<str>, decision: Decision) -> Arc<Item> {
        let sentence = decision.sentence(&worker);
        self.tell(wall_ms, pool, Some(worker), sentence, What::Decision { decision: Box::new(decision) })
    }

    pub(crate) fn happened(&mut self, wall_ms: u64, pool: &Arc<str>, event: &PoolEvent, sentence: String) {
        let what = What::Pool { what: event.what, alert: event.alerts(), tick: event.tick };
        self.tell(wall_ms, pool, None, sentence, what);
    }

    pub(crate) fn tell(
        &mut self,
        wall_ms: u64,
        pool: &Arc<str>,
        worker: Option<Arc<str>>,
        sentence: String,
        what: What,
    ) -> Arc<Item> {
        let item = Arc::new(Item { seq: self.next, wall_ms, pool: Arc::clone(pool), worker, sentence, what });
        self.next += 1;
        if self.items.len() == MOST_ITEMS {
            self.items.pop_front();
        }
        self.items.push_back(Arc::clone(&item));
        // Nobody waiting is no fault.
        let _ = self.waiting.send(Arc::clone(&item));
        item
    }

    /// Items after number `since`, oldest first.
    pub(crate) fn since(&self, since: u64) -> impl DoubleEndedIterator<Item = &Arc<Item>> {
        let from = self.items.partition_point(|item| item.seq <= since);
        self.items.range(from..)
    }

    /// The number of the newest item.
    pub(crate) fn newest(&self) -> u64 {
        self.next - 1
    }

    /// Waits for what comes.
    pub(crate) fn follow(&self) -> broadcast::Receiver<Arc<Item>> {
        self.waiting.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_get_what_came_after_their_number_and_the_ring_stays_bounded() {
        let mut news = News::default();
        for _ in 0..MOST_ITEMS + 10 {
            news.tell(0, &"api".into(), None, String::new(), What::Member);
        }
        assert_eq!(news.since(0).count(), MOST_ITEMS);
        assert_eq!(news.since(news.newest() - 2).count(), 2);
    }
}
