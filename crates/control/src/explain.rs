//! Why a worker's weight is what it is: the newest decision about it, with what it was made from.

use ambidex_core::time::Mono;
use serde::Serialize;

use crate::journal::Journal;
use crate::news::Item;
use crate::room::{OrderError, Room};
use crate::status::WorkerStatus;

/// An explanation, as data.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Explanation {
    /// All of it in one sentence.
    sentence: String,
    /// The worker as it stands, when asked about now.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<Box<WorkerStatus>>,
    /// The decision: inputs with their age, terms, guards with raw and guarded values.
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Item>,
}

/// Why it is what it is now.
pub(crate) fn now(room: &Room, pool: &str, worker: &str, now: Mono) -> Result<Explanation, OrderError> {
    let known = room.worker(pool, worker)?;
    let item = room.pool(pool)?.tracks.get(&known).and_then(|track| track.decided.as_deref().cloned());
    let statuses = room.pool_statuses(now);
    let status = statuses.into_iter().flat_map(|pool| pool.workers).find(|status| status.id == known.0);
    let sentence = item.as_ref().map_or_else(
        || format!("{worker} has its configured weight: no tick has weighed it yet"),
        |item| item.sentence.clone(),
    );
    Ok(Explanation { sentence, worker: status.map(Box::new), item })
}

/// Why it was what it was at a date, by the journal.
pub(crate) fn then(journal: &dyn Journal, pool: &str, worker: &str, wall_ms: u64) -> Result<Explanation, OrderError> {
    let item = journal.decision_at(pool, worker, wall_ms);
    let sentence = item.as_ref().map_or_else(
        || format!("the journal has no decision about {worker} of {pool} at or before that date"),
        |item| item.sentence.clone(),
    );
    Ok(Explanation { sentence, worker: None, item })
}
