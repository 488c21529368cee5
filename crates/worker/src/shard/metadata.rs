//! What the metadata store says, to a worker: how a move stands, and whose slices are whose.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::pin::Pin;

use ambidex_core::shard::records::{Move, MoveId, Slice, SliceId};
use ambidex_core::worker::WorkerId;

/// An answer that takes its time; an error says why there is none.
pub type Asking<'a, T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send + 'a>>;

/// Who reads the store.
pub trait Metadata: Send + Sync + Debug {
    /// How a move stands, by a linearizable read: what is answered was true after this was called.
    fn read_move<'a>(&'a self, keyspace: &'a str, move_: MoveId) -> Asking<'a, Option<Move>>;

    /// All slices, of one revision.
    fn slices<'a>(&'a self, keyspace: &'a str) -> Asking<'a, Shown>;
}

/// All slices of a keyspace at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Which map this is: a store that was emptied makes another one.
    pub map_id: String,
    /// They tile the space; none while there is no map yet.
    pub slices: Vec<(SliceId, Slice)>,
    /// What the owners are called.
    pub workers: BTreeMap<WorkerId, String>,
}

impl Shown {
    /// Those of the worker of this name.
    #[must_use]
    pub fn of(&self, name: &str) -> Vec<(SliceId, Slice)> {
        let mine = |slice: &Slice| self.workers.get(&slice.owner).is_some_and(|owner| owner == name);
        self.slices.iter().filter(|(_, slice)| mine(slice)).copied().collect()
    }

    /// Those of all other workers.
    #[must_use]
    pub fn of_others(&self, name: &str) -> Vec<(SliceId, Slice)> {
        let others = |slice: &Slice| self.workers.get(&slice.owner).is_some_and(|owner| owner != name);
        self.slices.iter().filter(|(_, slice)| others(slice)).copied().collect()
    }
}
