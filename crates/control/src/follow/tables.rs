//! Tables of keyspaces as the followed coordinator tells them, for whoever routes by them in this process.
//!
//! The last one that was told stays when the coordinator is silent: what has changed since is told by workers, request by request.

use std::collections::BTreeMap;
use std::sync::Arc;

use ambidex_core::shard::keyspace::KeyspaceName;
use ambidex_wire::shard::table::TableText;
use ambidex_wire::subscription::{KnownTable, TableNews, TableNewsError};
use tokio::sync::watch;

/// A table, as soon as there is one, and each that follows.
pub type TableWatch = watch::Receiver<Option<Arc<TableText>>>;

/// The tables that this process wants to be told.
#[derive(Debug, Default)]
pub(crate) struct FollowedTables(BTreeMap<String, watch::Sender<Option<Arc<TableText>>>>);

impl FollowedTables {
    pub(crate) fn of<'k>(keyspaces: impl Iterator<Item = &'k KeyspaceName>) -> Self {
        Self(keyspaces.map(|name| (name.as_str().to_owned(), watch::Sender::new(None))).collect())
    }

    /// What is wanted, and what there is of it.
    pub(crate) fn known(&self) -> Vec<KnownTable> {
        let known = |(keyspace, table): (&String, &watch::Sender<Option<Arc<TableText>>>)| {
            let (map_id, revision) = table.borrow().as_ref().map_or((0, 0), |table| (table.map_id, table.revision));
            KnownTable { keyspace: keyspace.clone(), map_id, revision }
        };
        self.0.iter().map(known).collect()
    }

    /// Takes over what a coordinator says of a table.
    ///
    /// # Errors
    /// Why it makes none; the one before stays.
    pub(crate) fn take(&self, news: TableNews) -> Result<(), TableNewsError> {
        // What nobody asked for is of a newer coordinator.
        let Some(here) = self.0.get(&news.keyspace) else { return Ok(()) };
        let table = news.table(here.borrow().as_deref())?;
        here.send_replace(Some(Arc::new(table)));
        Ok(())
    }

    /// Whoever wants to know.
    pub(crate) fn watch(&self) -> BTreeMap<String, TableWatch> {
        self.0.iter().map(|(keyspace, table)| (keyspace.clone(), table.subscribe())).collect()
    }
}
