//! What a mover shows: the table of slices, and how it stands. Read by the admin API and by a gateway in the same process.

use std::sync::{Arc, Mutex, PoisonError};

use ambidex_core::shard::keyspace::Hash;
use ambidex_core::shard::records::{Key, Move, MoveId};
use ambidex_core::shard::space::Point;
use ambidex_store::shards::{Metadata, MetadataError};
use ambidex_wire::shard::records::Path;
use ambidex_wire::shard::table::TableText;
use tokio::sync::{mpsc, oneshot, watch};

use crate::orders::{Done, Order, Ordered, Refusal};
use crate::plan::PlanStatus;
use crate::status::Status;

/// A handle to a mover; cheap to clone.
#[derive(Clone, Debug)]
pub struct Board {
    pub(crate) keyspace: Arc<str>,
    pub(crate) hash: Hash,
    pub(crate) metadata: Arc<dyn Metadata>,
    pub(crate) table: watch::Receiver<Option<Arc<TableText>>>,
    pub(crate) status: Arc<Mutex<Arc<Status>>>,
    pub(crate) plan: Arc<Mutex<Arc<PlanStatus>>>,
    pub(crate) orders: mpsc::Sender<Ordered>,
}

impl Board {
    /// Of which keyspace.
    #[must_use]
    pub fn keyspace(&self) -> &str {
        &self.keyspace
    }

    /// Where a key of it lies.
    #[must_use]
    pub fn point(&self, key: &[u8]) -> Point {
        self.hash.point(key)
    }

    /// The table, and each other one; none before the map is made.
    #[must_use]
    pub fn tables(&self) -> watch::Receiver<Option<Arc<TableText>>> {
        self.table.clone()
    }

    /// How the mover stands.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the planner saw, decided, proposes and did.
    #[must_use]
    pub fn plan(&self) -> Arc<PlanStatus> {
        Arc::clone(&self.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The table as the store has it now; none before the map is made.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn table_now(&self) -> Result<Option<TableText>, MetadataError> {
        Ok(crate::shown::table(&self.metadata.list().await?))
    }

    /// A move as the store has it now.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn move_(&self, id: MoveId) -> Result<Option<Move>, MetadataError> {
        let picture = self.metadata.read(vec![Path::Record(Key::Move(id))]).await?;
        Ok(picture.move_(id).map(|(_, move_)| move_))
    }

    /// Orders something, and waits until it is done or begun.
    ///
    /// # Errors
    /// Why it is not.
    pub async fn order(&self, order: Order) -> Result<Done, Refusal> {
        let (tell, told) = oneshot::channel();
        self.orders.try_send(Ordered { order, tell }).map_err(|_| Refusal::Busy)?;
        told.await.unwrap_or(Err(Refusal::Ending))
    }
}
