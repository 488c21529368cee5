//! Stale metadata [R-F2]: our view says that a worker is up, and in fact there is nobody.
//!
//! ```text
//! signs   three tries or more without a connection, for 2 s, and no answer of any kind between
//!         or: one without a connection 5 s or more after it began to fail, no good answer between: breakers ask seldom
//!         or: none of its tries answered in time for 5 s, the picks avoid it, and the others answer theirs
//! ```
//! An answer that says "500" is a sign of life. A worker that is slow answers now and then: that is a cascade. Where
//! nobody answers in time, the pool has too much to do.

use arrayvec::ArrayVec;

use super::Signs;
use crate::runbook::finding::Evidence;
use crate::runbook::past::{LEAST_MUTE, Past, WorkerPast};
use crate::time::{Mono, Span};

/// What shows now.
pub(super) fn signs(past: &Past) -> Option<Signs> {
    let gone = |worker: &&WorkerPast| {
        let mute = worker.mute;
        let lasts = past.at.since(mute.since.unwrap_or(past.at));
        let unreached = mute.unreached >= LEAST_MUTE && lasts >= UNREACHED_FOR;
        let late = mute.unreached + mute.late >= LEAST_MUTE && lasts >= LATE_FOR;
        mute.is_gone || unreached || (late && worker.is_avoided() && past.others_failing(worker) < OTHERS_FAIL)
    };
    let found = || past.serving().filter(gone);
    let worst = found().max_by_key(|worker| worker.mute.unreached + worker.mute.late)?;
    let evidence = Evidence::StaleMetadata {
        worker: worst.tick.id,
        unreached: worst.mute.unreached,
        late: worst.mute.late,
        lasts: past.at.since(since(worst).unwrap_or(past.at)),
    };
    let workers: ArrayVec<_, { super::MOST_WORKERS }> =
        found().map(|worker| worker.tick.id).take(super::MOST_WORKERS).collect();
    Some(Signs { evidence, workers })
}

/// Since when it is not there, as far as anybody noticed.
fn since(worker: &WorkerPast) -> Option<Mono> {
    if worker.mute.is_gone { worker.fell } else { worker.mute.since }
}

/// Source: ours; longer than a restart's gap between two processes on one port should be.
const UNREACHED_FOR: Span = Span::from_secs(2);
/// Source: ours; a pause of a collector is over by then.
const LATE_FOR: Span = Span::from_secs(5);
/// Share of failures of the others from which lateness is not this worker's own.
const OTHERS_FAIL: f64 = 0.1;
