//! Which worker of a pool an owner is: by its name, or else by its URL. Looked up once for each table and view.

use std::collections::HashMap;
use std::sync::Arc;

use ambidex_core::view::PoolView;
use ambidex_core::worker::WorkerId;

use super::tables::TableUpdate;

/// The owners of one table in one view of the pool.
#[derive(Debug)]
pub(crate) struct Owners {
    pool: Arc<PoolView>,
    update: Arc<TableUpdate>,
    /// Slots of the view, by the owner's number in the metadata store.
    slots: HashMap<u32, usize>,
}

impl Owners {
    pub(crate) fn of(pool: &Arc<PoolView>, update: &Arc<TableUpdate>) -> Self {
        let plain = |url: &str| url.trim_end_matches('/').to_owned();
        let (mut names, mut urls) = (HashMap::new(), HashMap::new());
        for (slot, worker) in pool.workers.iter().enumerate() {
            names.insert(&*worker.name, slot);
            urls.insert(plain(&worker.url), slot);
        }
        let find = |(id, place): (&WorkerId, &super::tables::WorkerPlace)| {
            let slot = names.get(&*place.name).or_else(|| urls.get(&plain(&place.address)))?;
            Some((id.0, *slot))
        };
        let slots = update.workers.iter().filter_map(find).collect();
        Self { pool: Arc::clone(pool), update: Arc::clone(update), slots }
    }

    /// Whether it is of these.
    pub(crate) fn are_of(&self, pool: &Arc<PoolView>, update: &Arc<TableUpdate>) -> bool {
        Arc::ptr_eq(&self.pool, pool) && Arc::ptr_eq(&self.update, update)
    }

    /// The slot of an owner, if the pool has it.
    pub(crate) fn slot(&self, owner: WorkerId) -> Option<usize> {
        self.slots.get(&owner.0).copied()
    }
}
