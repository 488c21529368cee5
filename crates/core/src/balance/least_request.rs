//! `least-request`: the one with the fewest requests in flight for its weight.
//!
//! Up to 16 workers all are looked at; above, 16 drawn in proportion to weight, which is as good to within a request
//! and costs the same at any size.

use super::{Ask, Pick, PickReason, brief, sample};
use crate::draw::Draw;

pub(super) fn pick(ask: &Ask<'_>, draw: &mut Draw) -> Option<Pick> {
    let candidates = sample::candidates(ask, draw);
    let (slot, fullness, among) = sample::least(candidates, draw, |slot| ask.fullness(slot))?;
    Some(ask.picked(slot, PickReason::Emptiest { fullness: brief(fullness), among }))
}
