//! Drawing candidates in proportion to their weights, past those that may not be asked.

use super::Ask;
use crate::draw::Draw;

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
