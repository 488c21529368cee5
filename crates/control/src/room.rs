//! The coordinator's whole state, behind one lock that is never held across a wait.
//!
//! All of it is changed by the coordinator's own thread (ticks, discovery, the admin API) and by the binary's reloads.
//! The request path never comes here: it reads the published [`View`].

use std::collections::HashMap;
use std::sync::Arc;

use ambidex_core::time::Mono;
use ambidex_core::view::View;
use arc_swap::ArcSwap;
use serde::Serialize;

use crate::config::PoolConfig;
use crate::pool::Pool;
use crate::roster::Ids;

/// The coordinator's state.
#[derive(Debug)]
pub(crate) struct Room {
    seats: usize,
    ids: Ids,
    pools: Vec<Pool>,
    published: Arc<ArcSwap<View>>,
}

/// What a reload changed, by pool name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// Pools that are new.
    pub added: Vec<Arc<str>>,
    /// Pools whose settings are others; identities and live numbers stay.
    pub changed: Vec<Arc<str>>,
    /// Pools that are gone.
    pub removed: Vec<Arc<str>>,
}

impl Room {
    pub(crate) fn new(seats: usize, published: Arc<ArcSwap<View>>) -> Self {
        Self { seats, ids: Ids::default(), pools: Vec::new(), published }
    }

    /// Takes a configuration over. Pools of the same name stay the same pools.
    pub(crate) fn apply(&mut self, now: Mono, configs: Vec<PoolConfig>) -> Diff {
        let mut known: HashMap<Arc<str>, Pool> =
            self.pools.drain(..).map(|pool| (Arc::clone(&pool.config.name), pool)).collect();
        let mut diff = Diff::default();
        for config in configs {
            let name = Arc::clone(&config.name);
            let mut pool = match known.remove(&name) {
                Some(pool) if pool.config == config => {
                    self.pools.push(pool);
                    continue;
                }
                Some(pool) => {
                    diff.changed.push(name);
                    pool
                }
                None => {
                    diff.added.push(name);
                    Pool::new(config.clone(), self.seats, &mut self.ids)
                }
            };
            pool.configure(now, config, &mut self.ids);
            self.pools.push(pool);
        }
        diff.removed = known.into_keys().collect();
        diff.removed.sort();
        self.publish();
        diff
    }

    /// Hands the request path a new view, if any pool changed.
    fn publish(&mut self) {
        let pools: Vec<_> = self.pools.iter_mut().map(Pool::view).collect();
        let current = self.published.load();
        let mut sorted: Vec<_> = pools.iter().collect();
        sorted.sort_by_key(|pool| pool.id);
        let same = sorted.len() == current.pools().len()
            && sorted.iter().zip(current.pools()).all(|(new, old)| Arc::ptr_eq(new, old));
        if !same {
            self.published.store(Arc::new(View::new(current.revision + 1, pools)));
        }
    }
}
