//! `weighted-random`: by lot, in proportion to the weight. No state at all, so any number of gateways do not interfere.

use super::{Ask, Pick, PickReason, sample};
use crate::draw::Draw;

pub(super) fn pick(ask: &Ask<'_>, draw: &mut Draw) -> Option<Pick> {
    let slot = sample::one(ask, draw)?;
    Some(ask.picked(slot, PickReason::Lot))
}
