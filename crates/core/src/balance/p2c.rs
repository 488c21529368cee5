//! `p2c`: two drawn in proportion to weight, the less full of them is asked.
//!
//! Two choices take most of the gain of looking at all (Mitzenmacher 2001), and many gateways do not fall on the same
//! idle worker at once. The two are different workers, so that the worst of all never wins against itself.
//!
//! Comparing requests in flight without dividing by the weight was tried (simulated workers of 2:4:8 slots, load 0.9):
//! p99 55 ms instead of 32 ms; with half of the workers ten times slower, at load 0.5, 161 ms instead of 32 ms.

use super::{Ask, Pick, PickReason, brief, sample};
use crate::draw::Draw;

pub(super) fn pick(ask: &Ask<'_>, draw: &mut Draw) -> Option<Pick> {
    let (first, second) = sample::two(ask, draw)?;
    let (first, second) = (ask.candidate(first), second.map(|second| ask.candidate(second)));
    let both = core::iter::once(&first).chain(&second);
    let (least, fullness, among) = sample::least(both, draw, |candidate| candidate.fullness)?;
    Some(ask.picked(least.slot, PickReason::Emptiest { fullness: brief(fullness), among }))
}
