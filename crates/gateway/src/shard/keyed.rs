//! What a keyed route goes by, compiled once when the configuration is read.

use std::sync::Arc;

use ambidex_core::shard::keyspace::{Hash, Ordering, Reads};
use ambidex_core::shard::router::RouterConfig;

use super::tables::{Place, Tables};
use crate::config::{KeyFrom, Keyspace};

/// A keyspace, as its routes' requests need it.
#[derive(Debug)]
pub(crate) struct Keyed {
    /// Its table.
    pub(crate) place: Arc<Place>,
    /// Where a request's key stands.
    pub(crate) key: KeyFrom,
    /// How keys are spread.
    pub(crate) hash: Hash,
    /// Bytes of a body, at most.
    pub(crate) most_body: usize,
    /// Whether its writes keep an order.
    pub(crate) ordered: bool,
    /// What its reads see.
    pub(crate) reads: Reads,
    /// How much may wait in one thread.
    pub(crate) router: RouterConfig,
}

impl Keyed {
    pub(crate) fn compile(
        name: &ambidex_core::shard::keyspace::KeyspaceName,
        keyspace: &Keyspace,
        tables: &Tables,
        threads: usize,
    ) -> Self {
        let ordering = keyspace.shared().ordering();
        let body = keyspace.max_body.get();
        let router = keyspace.waiting.part(threads, body + HEAD);
        Self {
            place: tables.place(name),
            key: keyspace.key.clone(),
            hash: keyspace.shared().hash(),
            most_body: usize::try_from(body).unwrap_or(usize::MAX),
            ordered: ordering != Ordering::None,
            reads: keyspace.shared().reads(),
            router: RouterConfig { by_slice: ordering == Ordering::PerShard, ..router },
        }
    }
}

/// What a request that waits costs beside its body. Source: ours; its head, its task and its connection.
pub(crate) const HEAD: u64 = 4 << 10;
