//! Who has gone quiet: a worker that is never asked says nothing, and nobody learns that it is well again.
//!
//! ```text
//! one pick in 256, if nothing was tried yet ── any slot ── nothing in flight, and no answer or report for 1 s ── asked
//! ```
//! The policies that prefer fast workers leave slow ones alone altogether while the fast have room. Reports come with
//! answers, so such a worker falls silent, and its last bad moment would stand for it until it has faded. A request now
//! and then asks it again [balancing.md "Sources": a worker that only piggybacks and gets no traffic is probed]. Slots
//! are drawn alike, not by weight: a small weight is what such a worker has.
//!
//! A worker that holds a request is not quiet: its answer will say more than a second request would.

use super::{Ask, Pick, PickReason};
use crate::draw::Draw;
use crate::load::REPORT_LIFE;

/// Now and then, a worker of which nothing was heard lately.
#[inline]
pub(super) fn pick(ask: &Ask<'_>, draw: &mut Draw) -> Option<Pick> {
    if !draw.bits().is_multiple_of(ONE_IN) || !ask.barred.tried.is_empty() {
        return None;
    }
    one(ask, draw)
}

#[cold]
fn one(ask: &Ask<'_>, draw: &mut Draw) -> Option<Pick> {
    let slot = draw.below(ask.weights.len());
    let age = ask.pool.load(slot).quiet_for(ask.now)?;
    (age > REPORT_LIFE && ask.allows(slot)).then(|| ask.picked(slot, PickReason::Quiet { age }))
}

/// Which share of the picks looks for a quiet worker. Chosen: 0.4 %, less than what p99 sees even if each of them is slow,
/// and at 1,000 requests a second still one a second for each of four quiet workers.
const ONE_IN: u64 = 256;
