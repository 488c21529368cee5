//! `p2c`: two drawn in proportion to weight, the less full of them is asked.
//!
//! Two choices take most of the gain of looking at all (Mitzenmacher 2001), and many gateways do not fall on the same
//! idle worker at once. The two are different workers, so that the worst of all never wins against itself. On a tie
//! the one drawn first is taken, which is the weighted lot.

use super::{Ask, Pick, PickReason, sample};
use crate::draw::Draw;

pub(super) fn pick(ask: &Ask<'_>, draw: &mut Draw) -> Option<Pick> {
    let (first, second) = sample::two(ask, draw)?;
    let mut best = (first, ask.fullness(first));
    let mut among = 1;
    if let Some(second) = second {
        among = 2;
        let fullness = ask.fullness(second);
        if fullness < best.1 {
            best = (second, fullness);
        }
    }
    let (slot, fullness) = best;
    Some(ask.picked(slot, PickReason::Emptiest { fullness: super::brief(fullness), among }))
}
