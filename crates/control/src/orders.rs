//! What operators ordered, by names: kept through restarts, and obeyed again as soon as the worker is there.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// All standing orders.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Orders {
    pools: BTreeMap<Arc<str>, PoolOrders>,
}

/// The orders of one pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PoolOrders {
    pub(crate) frozen: bool,
    workers: BTreeMap<Arc<str>, WorkerOrders>,
}

/// The orders of one worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct WorkerOrders {
    pub(crate) drained: bool,
    pub(crate) pinned: Option<f64>,
}

/// What an operator may order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Order {
    /// Take a worker out: it finishes what it has.
    Drain,
    /// Take it back.
    Undrain,
    /// Fix its weight, in fair shares.
    Pin(f64),
    /// Let the rule weigh it again.
    Unpin,
}

impl Order {
    /// Its name in the API and the journal.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Undrain => "undrain",
            Self::Pin(_) => "pin",
            Self::Unpin => "unpin",
        }
    }
}

impl Orders {
    pub(crate) fn pool(&self, pool: &str) -> PoolOrders {
        self.pools.get(pool).cloned().unwrap_or_default()
    }

    pub(crate) fn freeze(&mut self, pool: &Arc<str>, frozen: bool) {
        self.change(pool, |orders| orders.frozen = frozen);
    }

    pub(crate) fn give(&mut self, pool: &Arc<str>, worker: &Arc<str>, order: Order) {
        self.change(pool, |orders| {
            let mut orders_of = orders.worker(worker);
            match order {
                Order::Drain => orders_of.drained = true,
                Order::Undrain => orders_of.drained = false,
                Order::Pin(weight) => orders_of.pinned = Some(weight),
                Order::Unpin => orders_of.pinned = None,
            }
            if orders_of == WorkerOrders::default() {
                orders.workers.remove(worker);
            } else if orders.workers.len() < MOST_ORDERS {
                orders.workers.insert(Arc::clone(worker), orders_of);
            }
        });
    }

    fn change(&mut self, pool: &Arc<str>, change: impl FnOnce(&mut PoolOrders)) {
        let mut orders = self.pool(pool);
        change(&mut orders);
        if orders == PoolOrders::default() {
            self.pools.remove(pool);
        } else {
            self.pools.insert(Arc::clone(pool), orders);
        }
    }
}

impl PoolOrders {
    pub(crate) fn worker(&self, worker: &str) -> WorkerOrders {
        self.workers.get(worker).copied().unwrap_or_default()
    }
}

/// Orders of one pool that are remembered. Source: ours, as many as a pool has workers at most.
const MOST_ORDERS: usize = crate::config::MOST_WORKERS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_that_were_taken_back_leave_nothing_behind() {
        let (mut orders, pool, worker) = (Orders::default(), "api".into(), "a".into());
        orders.give(&pool, &worker, Order::Drain);
        orders.give(&pool, &worker, Order::Pin(2.0));
        orders.freeze(&pool, true);
        assert_eq!(orders.pool("api").worker("a"), WorkerOrders { drained: true, pinned: Some(2.0) });
        orders.give(&pool, &worker, Order::Undrain);
        orders.give(&pool, &worker, Order::Unpin);
        orders.freeze(&pool, false);
        assert_eq!(orders, Orders::default());
    }
}
