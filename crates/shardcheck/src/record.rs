//! What clients did and saw, in the order in which it happened.

use ambidex_core::shard::holder::Access;
use ambidex_core::shard::store::Revision;
use ambidex_core::shard::table::Table;

/// One request of a client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Asked {
    /// Which client.
    pub client: usize,
    /// Through which router first.
    pub router: usize,
    /// Of which key.
    pub key: usize,
    /// Whether it writes; a write adds its own number to the key's list.
    pub write: bool,
    /// Whether it is a read to which old answers are good enough, while its slice is sealed.
    pub stale: bool,
    /// Whether it was sent more than once by the client itself.
    pub again: bool,
    /// The step of the world in which it was sent first.
    pub began: u64,
    /// The step in which its end was seen, and which.
    pub ended: Option<(u64, Seen)>,
}

impl Asked {
    /// What it does.
    #[must_use]
    pub const fn access(&self) -> Access {
        match (self.write, self.stale) {
            (true, _) => Access::Write,
            (false, false) => Access::Read,
            (false, true) => Access::StaleRead,
        }
    }
}

/// How a request ended, as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Seen {
    /// It is done.
    Acknowledged,
    /// The key's list is this; which worker said so, where that is known.
    List(Option<usize>, Vec<u32>),
    /// It was this, when this worker stopped serving it.
    Old(usize, Vec<u32>),
    /// It was not run.
    NotRun,
    /// Nobody knows.
    Unknown,
}

/// A history.
#[derive(Debug, Default)]
pub struct Record {
    /// Requests; a write's number is its place here.
    pub asked: Vec<Asked>,
    /// The last list of each key.
    pub last: Vec<Vec<u32>>,
    /// The tables that the store showed; none where what it held was no table.
    pub tables: Vec<(Revision, Option<Table>)>,
    /// What happened, for people.
    pub lines: Vec<String>,
}
