//! How a mover asks workers: whatever carries the questions to their agents plugs in here.

use std::fmt;
use std::pin::Pin;

use ambidex_core::shard::messages::{Caller, Message, Reply};
use ambidex_core::shard::records::{MoveId, SliceId};
use ambidex_wire::shard::heat::HeatText;
use ambidex_wire::shard::records::Named;

/// A question to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Of which keyspace.
    pub keyspace: String,
    /// Of which map of it: a worker that holds slices of another one refuses.
    pub map: u64,
    /// Who asks, and the question's number.
    pub caller: Caller,
    /// Of which move.
    pub move_: MoveId,
    /// Of which slice.
    pub slice: SliceId,
    /// What is asked.
    pub message: Message,
}

/// Why there is no answer. The question may have been heard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{worker}: {why}")]
pub struct AskError {
    /// Of which worker.
    pub worker: String,
    /// What is wrong.
    pub why: String,
}

/// An answer that comes later.
pub type Asked = Pin<Box<dyn Future<Output = Result<Reply, AskError>> + Send>>;

/// How hot a worker is, told later.
pub type Heated = Pin<Box<dyn Future<Output = Result<HeatText, AskError>> + Send>>;

/// What carries questions to workers. An answer comes within a bound of its own, or an error.
pub trait Workers: fmt::Debug + Send + Sync {
    /// Asks one of them.
    fn ask(&self, worker: &Named, question: Question) -> Asked;

    /// Asks one how hot its slices are. Where workers have no agent that counts, nobody says.
    fn heat(&self, worker: &Named, keyspace: &str) -> Heated {
        let (worker, why) = (worker.name.clone(), format!("nobody counts requests of {keyspace} there"));
        Box::pin(async move { Err(AskError { worker, why }) })
    }
}
