//! `least-request`: the one with the fewest requests in flight for its weight.
//!
//! Up to 16 workers all are looked at; above, 8 drawn in proportion to weight, which is as good to within a request and
//! costs the same at any size.

use super::sample::{self, Candidates, DRAWN};
use super::{Ask, Pick, PickReason, brief};
use crate::draw::Draw;

pub(super) fn pick(ask: &Ask<'_>, draw: &mut Draw) -> Option<Pick> {
    let candidates = Candidates::of(ask, DRAWN, draw);
    let (least, fullness, among) = sample::least(candidates.as_slice(), draw, |candidate| candidate.fullness)?;
    Some(ask.picked(least.slot, PickReason::Emptiest { fullness: brief(fullness), among }))
}
