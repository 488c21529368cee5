//! How a mover stands, as the admin API and the command line show it.

use serde::Serialize;

/// A keyspace, its workers, its moves, and why what does not happen does not.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShardStatus")]
pub struct Status {
    /// The keyspace.
    pub keyspace: String,
    /// Which map; none before it is made.
    pub map_id: Option<String>,
    /// Whether this process leads the map.
    pub leads: bool,
    /// The term of the map's leader, as this process knows it.
    pub term: u64,
    /// The store's revision that is shown.
    pub revision: u64,
    /// What is wrong with the store.
    pub store: Option<String>,
    /// How many slices there are.
    pub slices: usize,
    /// Who owns them.
    pub workers: Vec<WorkerStatus>,
    /// What is under way.
    pub moves: Vec<MoveStatus>,
    /// Moves that wait for their turn.
    pub waiting: Vec<WaitingStatus>,
    /// The last ones that ended, newest first.
    pub ended: Vec<EndedStatus>,
    /// What is not done though it should be, and why.
    pub reasons: Vec<Reason>,
    /// What was done since this process runs.
    pub counts: crate::Counts,
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShardWorker")]
pub struct WorkerStatus {
    /// Its number in the store.
    pub id: u32,
    /// As its pool calls it.
    pub name: String,
    /// Where its agent is.
    pub address: String,
    /// `in`: it may be given slices; `leaving`: it is being drained; `left`: it may be switched off; `gone`: its pool does not have it.
    pub state: &'static str,
    /// Slices that it owns.
    pub slices: usize,
    /// Its part of the hash space.
    pub share: f64,
}

/// A move that is under way.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShardMove")]
pub struct MoveStatus {
    /// Its number.
    #[serde(rename = "move")]
    pub id: String,
    /// What moves.
    pub slice: String,
    /// Who has it.
    pub from: String,
    /// Who is to have it.
    pub to: String,
    /// How far it is: `planned`, `copying`, `sealing`, `ready`, `committed`, `active`, `releasing`, `aborted`.
    pub phase: &'static str,
    /// Rounds of written keys after the first pass.
    pub rounds: u32,
    /// Entries that were handed over, those that were written meanwhile counted again.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// Since it began, in milliseconds.
    pub millis: u64,
    /// What the last question came back with, where that was no answer.
    pub fault: Option<String>,
}

/// A move that waits.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShardWaiting")]
pub struct WaitingStatus {
    /// What is to move.
    pub slice: String,
    /// To whom; nobody is chosen yet where it is drained.
    pub to: Option<String>,
    /// What for, for programs.
    pub code: &'static str,
    /// In words.
    pub why: String,
}

/// A move that ended.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShardEnded")]
pub struct EndedStatus {
    /// Its number.
    #[serde(rename = "move")]
    pub id: String,
    /// What moved.
    pub slice: String,
    /// Who had it.
    pub from: String,
    /// Who was to have it.
    pub to: String,
    /// `moved`, `aborted`, `not_planned`, or `deposed`.
    pub end: &'static str,
    /// Why it was aborted.
    pub why: Option<&'static str>,
    /// Entries that were handed over.
    pub entries: u64,
    /// Bytes of their keys and values.
    pub bytes: u64,
    /// From its beginning to its end, in milliseconds.
    pub millis: u64,
    /// From the seal to the commit or abort, as this coordinator saw it, in milliseconds: for so long writes to the slice waited.
    pub pause_millis: Option<f64>,
}

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "ShardReason")]
pub struct Reason {
    /// For programs.
    pub code: &'static str,
    /// In words, and what would help.
    pub why: String,
}
