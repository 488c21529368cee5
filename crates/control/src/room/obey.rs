//! Orders of operators: obeyed at once, kept for the next start.

use std::sync::Arc;

use ambidex_core::plan::{Command, PlanInput};
use ambidex_core::time::Mono;
use serde::Serialize;

use super::{ORDERS, Room};
use crate::clock::wall_millis;
use crate::news::What;
use crate::orders::Order;
use crate::roster::Event;

/// Why an order was not obeyed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OrderError {
    /// No such pool.
    #[error("there is no pool `{0}`; pools: {1}")]
    NoPool(String, String),
    /// No such worker.
    #[error("pool `{0}` has no worker `{1}`; workers: {2}")]
    NoWorker(String, String, String),
    /// Nothing waits for approval under this number.
    #[error("pool `{0}` has nothing that waits for approval as number {1}; numbers that do: {2}")]
    NoProposal(String, u32, String),
    /// Somebody else decides.
    #[error("the coordinator at {1} decides about pool `{0}`: order it there")]
    Followed(String, String),
    /// Another coordinator leads, or nobody does.
    #[error("{0}: orders are taken by whoever leads")]
    StandsBy(String),
    /// A weight that is none.
    #[error("{0} is no weight: use 0 to 100 fair shares")]
    Weight(f64),
}

/// Whether an order will outlive the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Obeyed {
    /// Why it will not; `null` when it will.
    pub not_kept: Option<String>,
}

impl Room {
    /// Obeys an order about one worker.
    ///
    /// # Errors
    /// Which name is unknown, or which weight is none.
    pub(crate) fn order(&mut self, now: Mono, pool: &str, worker: &str, order: Order) -> Result<Obeyed, OrderError> {
        let at = self.own_place(pool)?;
        let id = self.worker(pool, worker)?;
        let name = self.name_of(at, id);
        if let Order::Pin(weight) = order
            && !(0.0..=100.0).contains(&weight)
        {
            return Err(OrderError::Weight(weight));
        }
        let pool_name = Arc::clone(&self.pools[at].config.name);
        self.orders.give(&pool_name, &name, order);
        let sentence = format!("an operator ordered: {} {name}", order.name());
        self.news.tell(wall_millis(), &pool_name, Some(name), sentence, What::Order);
        match order {
            Order::Drain | Order::Undrain => {
                let event = Event::Drain(id, matches!(order, Order::Drain));
                let effects = self.pools[at].hear_source(now, event, &mut self.ids);
                self.record_effects(at, now, effects);
            }
            Order::Pin(weight) => self.command(at, now, Command::Pin { worker: id, weight }),
            Order::Unpin => self.command(at, now, Command::Unpin { worker: id }),
        }
        self.publish();
        Ok(self.keep_orders())
    }

    /// Holds a pool's weights, or lets them move.
    ///
    /// # Errors
    /// An unknown pool.
    pub(crate) fn freeze(&mut self, now: Mono, pool: &str, frozen: bool) -> Result<Obeyed, OrderError> {
        let at = self.own_place(pool)?;
        let name = Arc::clone(&self.pools[at].config.name);
        self.orders.freeze(&name, frozen);
        self.command(at, now, if frozen { Command::Freeze } else { Command::Unfreeze });
        self.publish();
        Ok(self.keep_orders())
    }

    /// A pool that is decided about here.
    pub(super) fn own_place(&self, pool: &str) -> Result<usize, OrderError> {
        let at = self.place(pool)?;
        self.stands_by()?;
        match self.following.as_ref().filter(|_| self.pools[at].is_followed()) {
            Some(following) => Err(OrderError::Followed(pool.into(), following.url.to_string())),
            None => Ok(at),
        }
    }

    pub(super) fn keep_orders(&mut self) -> Obeyed {
        self.ordered += 1;
        let text = serde_json::to_vec(&self.orders).map_err(|error| error.to_string());
        Obeyed { not_kept: text.and_then(|text| self.journal.keep(ORDERS, &text)).err() }
    }

    pub(super) fn command(&mut self, at: usize, now: Mono, command: Command) {
        let planned = self.pools[at].plan(PlanInput::Command { at: now, command });
        self.record(at, planned);
    }

    /// Standing orders of workers that the planner has just come to know.
    pub(super) fn obey_pins(&mut self, at: usize, now: Mono) {
        let pool = &self.pools[at];
        let orders = self.orders.pool(&pool.config.name);
        let pins: Vec<Command> = pool
            .roster
            .workers()
            .iter()
            .filter_map(|worker| {
                let weight = orders.worker(&worker.found.name).pinned?;
                let pinned = pool.planner.pinned(worker.id).is_some();
                (!pinned).then_some(Command::Pin { worker: worker.id, weight })
            })
            .collect();
        let freeze = orders.frozen && !pool.planner.is_frozen();
        for command in pins.into_iter().chain(freeze.then_some(Command::Freeze)) {
            self.command(at, now, command);
        }
    }
}
