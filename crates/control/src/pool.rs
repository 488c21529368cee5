//! One pool, as the coordinator keeps it: its roster, and the picture of it that the request path reads.

use std::sync::Arc;

use ambidex_core::again::budget::Budget;
use ambidex_core::share::Share;
use ambidex_core::time::Mono;
use ambidex_core::view::{PoolParts, PoolView};
use ambidex_core::worker::PoolId;

use crate::config::PoolConfig;
use crate::discovery;
use crate::roster::{Effect, Event, Ids, Roster};

/// One pool.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) id: PoolId,
    pub(crate) config: PoolConfig,
    pub(crate) roster: Roster,
    budget: Arc<Budget>,
    view: Option<Arc<PoolView>>,
    /// Whether something changed that the request path must see.
    stale: bool,
}

impl Pool {
    pub(crate) fn new(config: PoolConfig, seats: usize, ids: &mut Ids) -> Self {
        let roster = Roster::new(seats, config.drain_grace);
        Self { id: ids.pool(), config, roster, budget: Arc::default(), view: None, stale: true }
    }

    /// Takes the configuration over: sources, and what its static ones say.
    pub(crate) fn configure(&mut self, now: Mono, config: PoolConfig, ids: &mut Ids) -> Vec<Effect> {
        let sources = config.members.sources();
        let mut out = Vec::new();
        self.roster.set_grace(config.drain_grace);
        self.roster.on(now, Event::Sources(discovery::labels(sources)), ids, &mut out);
        let fixed = discovery::fixed(sources);
        if !fixed.is_empty() {
            self.roster.on(now, Event::Said(discovery::STATIC.into(), fixed), ids, &mut out);
        }
        self.config = config;
        self.stale = true;
        out
    }

    /// The newest picture; a new one only if something changed.
    pub(crate) fn view(&mut self) -> Arc<PoolView> {
        if let (false, Some(view)) = (self.stale, &self.view) {
            return Arc::clone(view);
        }
        let workers = self.roster.workers();
        let fixed: Vec<f64> = workers.iter().map(|worker| worker.found.weight).collect();
        let parts = PoolParts {
            id: self.id,
            name: Arc::clone(&self.config.name),
            revision: self.view.as_ref().map_or(1, |view| view.revision + 1),
            workers: workers.iter().map(crate::roster::Worker::view).collect(),
            pick: self.config.balance.resolve(false),
            learned: fixed.clone(),
            fixed,
            learned_share: Share::ALL,
            breaker: self.config.breaker,
            budget: Arc::clone(&self.budget),
        };
        let view = Arc::new(PoolView::new(parts, self.view.as_deref()));
        self.stale = false;
        self.view = Some(Arc::clone(&view));
        view
    }
}
