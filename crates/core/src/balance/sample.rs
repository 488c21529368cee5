//! Whom a pick looks at: drawing in proportion to weight, past those that may not be asked, and finding the least.

use arrayvec::ArrayVec;

use super::Ask;
use crate::draw::Draw;

/// Slots to compare.
pub(super) type Candidates = ArrayVec<usize, SCAN>;

/// Most workers that one pick looks at. Source: balancing.md "Pick prequal" (score all up to 16).
pub(super) const SCAN: usize = 16;

/// Whether a pick looks at all workers of the pool.
pub(super) fn sees_all(ask: &Ask<'_>) -> bool {
    ask.weights.len() <= SCAN
}

/// All that may be asked in a pool of up to [`SCAN`] workers; above, [`SCAN`] draws in proportion to weight, some
/// perhaps twice, which changes no comparison. Empty when nobody may be asked.
pub(super) fn candidates(ask: &Ask<'_>, draw: &mut Draw) -> Candidates {
    if sees_all(ask) {
        return (0..ask.weights.len()).filter(|&slot| ask.allows(slot)).collect();
    }
    (0..SCAN).map_while(|_| one(ask, draw)).collect()
}

/// The candidate of the least `score`, its score, and how many there were. Among equals the choice is by lot: a scan
/// that kept the first would send every thread and gateway of an idle pool to slot 0 at the same moment.
pub(super) fn least(
    candidates: impl IntoIterator<Item = usize>,
    draw: &mut Draw,
    mut score: impl FnMut(usize) -> f64,
) -> Option<(usize, f64, u16)> {
    let mut candidates = candidates.into_iter();
    let first = candidates.next()?;
    // One draw is rotated into an even number for each place; who has the greater one wins a tie.
    let mut lot = draw.bits();
    let mut best = (first, score(first), lot);
    let mut among = 1;
    for slot in candidates {
        among += 1;
        lot = lot.rotate_left(4);
        let score = score(slot);
        #[expect(clippy::float_cmp, reason = "only a tie to the last bit is decided by lot")]
        if score < best.1 || (score == best.1 && lot > best.2) {
            best = (slot, score, lot);
        }
    }
    Some((best.0, best.1, among))
}

/// A worker that may be asked, in proportion to weight; `None` when there is none.
pub(super) fn one(ask: &Ask<'_>, draw: &mut Draw) -> Option<usize> {
    another(ask, draw, None)
}

/// Two different workers that may be asked; one when there is only one.
pub(super) fn two(ask: &Ask<'_>, draw: &mut Draw) -> Option<(usize, Option<usize>)> {
    let first = one(ask, draw)?;
    Some((first, another(ask, draw, Some(first))))
}

/// One that may be asked and is not `but`. A few draws find it unless most of the weight is barred; then all are
/// looked at once, so that the request is never refused for bad luck.
fn another(ask: &Ask<'_>, draw: &mut Draw, but: Option<usize>) -> Option<usize> {
    let wanted = |slot: usize| Some(slot) != but && ask.allows(slot);
    for _ in 0..DRAWS {
        let slot = ask.weights.sample(draw)?;
        if wanted(slot) {
            return Some(slot);
        }
    }
    let slots = || (0..ask.weights.len()).filter(|&slot| wanted(slot));
    let mut left = draw.unit() * slots().map(|slot| ask.weights.at(slot)).sum::<f64>();
    slots()
        .find(|&slot| {
            left -= ask.weights.at(slot);
            left < 0.0
        })
        .or_else(|| slots().next_back())
}

/// With a third of the weight barred, five draws miss once in 250 times.
const DRAWS: usize = 5;
