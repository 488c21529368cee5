//! Cascading timeouts [R-F3]: one worker takes a multiple of what the others take, while it hardly fails.
//!
//! ```text
//! signs   its last answers take >= 4x what the others' of the same ticks take, and 2x of what that usually is
//!         failures other than lateness under 5 %; at most a third of the pool looks so
//!         or: half of its tries are late, and it still answers some, while the others are in time
//! ```
//! Beside the others of the same tick, because what slows all of them is another matter; beside its own usual, because
//! unlike workers are no failure. Requests that wait for it fill whatever waits with them; that is how the rest comes
//! down. Its last twenty answers count however long they took to come; the last six suffice while the picks avoid it,
//! which is what they do to a slow worker.

use arrayvec::ArrayVec;

use super::{MOST_WORKERS, Signs, few};
use crate::runbook::finding::Evidence;
use crate::runbook::past::{Past, WorkerPast};
use crate::share::Share;

/// What shows now.
pub(super) fn signs(past: &Past) -> Option<Signs> {
    let slow: ArrayVec<(&WorkerPast, f64), { MOST_WORKERS + 1 }> = past
        .serving()
        .filter_map(|worker| excess(past, worker).map(|excess| (worker, excess)))
        .take(MOST_WORKERS + 1)
        .collect();
    if slow.len() > few(past.serving().count()).min(MOST_WORKERS) {
        return None;
    }
    let (worst, excess) = slow.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let evidence = Evidence::CascadingTimeouts {
        worker: worst.tick.id,
        times: (*excess < LATE).then(|| libm::exp2(*excess)),
        failing: Share::clamped(worst.recent.failing()),
        in_flight: worst.tick.in_flight,
    };
    let workers = slow.iter().map(|(worker, _)| worker.tick.id).take(MOST_WORKERS).collect();
    Some(Signs { evidence, workers })
}

/// By how many doublings the worker is slower than the others, if that is a sign.
fn excess(past: &Past, worker: &WorkerPast) -> Option<f64> {
    let others_in_time = past.others_failing(worker) < IN_TIME;
    if worker.recent.broken() >= HARDLY_FAILS || worker.mute.unreached > 0 || !others_in_time {
        return None;
    }
    if worker.recent.failing() >= HALF && worker.recent.answered >= 1.0 {
        return Some(LATE);
    }
    let (beside, more) = worker.slower(past.at)?;
    (beside >= OVER_OTHERS && more >= OVER_USUAL && !is_of_its_path(past, worker)).then_some(beside)
}

/// Whether a third of the other workers of its path are slower than usual, too, or became so with it and are well again:
/// then it is a matter of the path, and of this one nobody knows better yet, because it was asked less.
fn is_of_its_path(past: &Past, worker: &WorkerPast) -> bool {
    let peers = || past.serving().filter(|peer| peer.tick.path == worker.tick.path && peer.tick.id != worker.tick.id);
    let too = |peer: &&WorkerPast| peer.is_a_bit_slower(past.at) || peer.slowed_with(worker, past.at);
    let slower = peers().filter(too).count();
    slower > 0 && slower * 3 >= peers().count()
}

/// log2 of 4. Source: R-F3 ("a multiple"), measured by `cargo xtask bench modes`; above the breaker's 2x, which is its own
/// business, and above what a path that drifts shows.
const OVER_OTHERS: f64 = 2.0;
/// log2 of 2. Source: balancing.md "Breaker".
const OVER_USUAL: f64 = 1.0;
/// Source: R-B1's 5 %: from there on it is failing, not slow.
const HARDLY_FAILS: f64 = 0.05;
const HALF: f64 = 0.5;
/// Share of failures under which the others are in time. Source: as [`HARDLY_FAILS`], doubled for noise.
const IN_TIME: f64 = 0.1;
/// What lateness counts as, in doublings: more than any measured excess.
const LATE: f64 = 64.0;
