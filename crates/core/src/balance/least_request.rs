//! `least-request`: the one with the fewest requests in flight for its weight.
//!
//! Up to [`SCAN`] workers all are looked at; above, [`SCAN`] drawn in proportion to weight, which is as good to within
//! a request and costs the same at any size.
//!
//! Among equals the choice is by lot. A scan that kept the first one would send every thread and gateway of an idle
//! pool to slot 0 at the same moment.

use super::{Ask, Pick, PickReason, sample};
use crate::draw::Draw;

/// Most workers that one pick looks at. Source: balancing.md "Pick prequal" (score all up to 16).
pub(super) const SCAN: usize = 16;

pub(super) fn pick(ask: &Ask<'_>, draw: &mut Draw) -> Option<Pick> {
    let count = ask.weights.len();
    let mut best = None;
    let mut among = 0;
    let mut consider = |slot: usize, lot: u64| {
        among += 1;
        let fullness = ask.fullness(slot);
        let better = best.is_none_or(|(_, least, held)| fullness < least || (fullness <= least && lot > held));
        if better {
            best = Some((slot, fullness, lot));
        }
    };
    if count <= SCAN {
        let lots = draw.bits();
        (0..count).filter(|&slot| ask.allows(slot)).for_each(|slot| consider(slot, lot_of(lots, slot)));
    } else {
        for _ in 0..SCAN {
            // The order of the draws is chance enough: the first of equals stays.
            consider(sample::one(ask, draw)?, 0);
        }
    }
    let (slot, fullness, _) = best?;
    Some(ask.picked(slot, PickReason::Emptiest { fullness: super::brief(fullness), among }))
}

/// An even number for each of up to 16 slots, from one draw: who has the greater one wins a tie.
pub(super) const fn lot_of(lots: u64, slot: usize) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "a rotation counts modulo 64")]
    lots.rotate_left(4 * slot as u32)
}
