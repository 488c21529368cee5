//! Why a worker's weight is what it is, and what its breaker makes of that: the newest decisions about it, with what
//! they were made from.

use ambidex_core::guard::breaker::BreakerState;
use ambidex_core::time::Mono;
use serde::Serialize;

use crate::journal::{Decided, Journal};
use crate::news::{Item, What};
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
    /// The newest decision about its breaker: trigger, figures, bounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    breaker: Option<Item>,
}

/// Why it is what it is now.
pub(crate) fn now(room: &Room, pool: &str, worker: &str, now: Mono) -> Result<Explanation, OrderError> {
    let known = room.worker(pool, worker)?;
    let (track, is_followed) = (room.pool(pool)?.tracks.get(&known), room.pool(pool)?.is_followed());
    let decided = Decided {
        weight: track.and_then(|track| track.decided.as_deref().cloned()),
        breaker: track.and_then(|track| track.breaker_decided.as_deref().cloned()),
    };
    let statuses = room.pool_statuses(now);
    let status = statuses.into_iter().flat_map(|pool| pool.workers).find(|status| status.id == known.0);
    let followed = room.following.as_ref().filter(|_| is_followed);
    let unknown = || match followed {
        Some(following) => format!("the coordinator at {} decides the weight of {worker}: ask there", following.url),
        None => format!("{worker} has its configured weight: no tick has weighed it yet"),
    };
    Ok(Explanation { worker: status.map(Box::new), ..explained(decided, unknown) })
}

/// Why it was what it was at a date, by the journal.
pub(crate) fn then(journal: &dyn Journal, pool: &str, worker: &str, wall_ms: u64) -> Result<Explanation, OrderError> {
    let unknown = || format!("the journal has no decision about {worker} of {pool} at or before that date");
    Ok(explained(journal.decided_at(pool, worker, wall_ms), unknown))
}

fn explained(Decided { weight, breaker }: Decided, unknown: impl FnOnce() -> String) -> Explanation {
    let mut sentence = weight.as_ref().map_or_else(unknown, |item| item.sentence.clone());
    let keeps_out = |item: &&Item| matches!(item.what, What::Breaker { to, .. } if to != BreakerState::Closed);
    if let Some(item) = breaker.as_ref().filter(keeps_out) {
        sentence = format!("{sentence}. But {}", item.sentence);
    }
    Explanation { sentence, worker: None, item: weight, breaker }
}
