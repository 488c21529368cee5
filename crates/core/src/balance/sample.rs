//! Whom a pick looks at: drawing in proportion to weight, past those that may not be asked, and finding the least.

use super::Ask;
use crate::draw::Draw;
use crate::load::Load;

/// Whom a pick compares, and how full they are.
#[derive(Debug)]
pub(super) struct Candidates {
    seen: [Candidate; SCAN],
    count: usize,
}

/// One of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Candidate {
    pub(super) slot: usize,
    /// (In flight + 1) over weight.
    pub(super) fullness: f64,
    /// The same without the asking request.
    pub(super) load: f64,
}

/// Most workers that one pick looks at. Source: balancing.md "Pick prequal" (score all up to 16).
pub(super) const SCAN: usize = 16;

/// How many a pick draws from a bigger pool when only the best of them counts. Chosen: with half of the workers slow,
/// all drawn are slow once in 256 times, which the slow half can serve; 16 would cost twice as much.
pub(super) const DRAWN: usize = 8;

/// Whether a pick looks at all workers of the pool.
pub(super) fn sees_all(ask: &Ask<'_>) -> bool {
    ask.weights.len() <= SCAN
}

impl Candidates {
    /// All that may be asked in a pool of up to [`SCAN`] workers; above, so many draws (at most [`SCAN`]) in proportion
    /// to weight, some perhaps twice, which changes no comparison. Empty when nobody may be asked.
    #[inline]
    pub(super) fn of(ask: &Ask<'_>, draws: usize, draw: &mut Draw) -> Self {
        match ask.cost {
            None => Self::by(ask, draws, draw, |load, own| load.crowd_of(own, ask.now)),
            Some(cost) => Self::by(ask, draws, draw, |load, own| load.crowd_for(own, cost, ask.now)),
        }
    }

    /// The same; `crowd` says how crowded a worker is that has so many requests in flight.
    #[inline]
    fn by(ask: &Ask<'_>, draws: usize, draw: &mut Draw, crowd: impl Fn(&Load, u32) -> f64) -> Self {
        let mut all = Self { seen: [Candidate::default(); SCAN], count: 0 };
        if sees_all(ask) {
            let free = ask.barred.is_empty();
            for (slot, (load, burden)) in ask.pool.loads().zip(ask.weights.burdens()).enumerate() {
                if burden.is_finite() && (free || !ask.barred.holds(slot)) {
                    let fullness = crowd(load, load.in_flight()) * burden;
                    all.add(Candidate { slot, fullness, load: fullness - burden });
                }
            }
        } else {
            // In three short loops, so that the processor waits for the memory of many workers at once, not for one
            // after the other.
            let mut drawn = [(0, 0); SCAN];
            let drawn = &mut drawn[..draws.min(SCAN)];
            for place in &mut *drawn {
                let Some(slot) = one(ask, draw) else { return all };
                place.0 = slot;
            }
            drawn.iter_mut().for_each(|place| place.1 = ask.pool.load(place.0).in_flight());
            for &(slot, own) in &*drawn {
                let burden = ask.weights.burden(slot);
                let fullness = crowd(ask.pool.load(slot), own) * burden;
                all.add(Candidate { slot, fullness, load: fullness - burden });
            }
        }
        all
    }

    #[inline]
    fn add(&mut self, candidate: Candidate) {
        self.seen[self.count % SCAN] = candidate;
        self.count += 1;
    }

    #[inline]
    pub(super) fn as_slice(&self) -> &[Candidate] {
        &self.seen[..self.count.min(SCAN)]
    }
}

/// The candidate of the least `score`, its score, and how many there were. Among equals the choice is by lot: a scan
/// that kept the first would send every thread and gateway of an idle pool to slot 0 at the same moment.
#[inline]
pub(super) fn least<'a>(
    candidates: impl IntoIterator<Item = &'a Candidate>,
    draw: &mut Draw,
    mut score: impl FnMut(&Candidate) -> f64,
) -> Option<(&'a Candidate, f64, u16)> {
    let mut candidates = candidates.into_iter();
    let first = candidates.next()?;
    // One draw is rotated into an even number for each place; who has the greater one wins a tie.
    let mut lot = draw.bits();
    let mut best = (first, score(first), lot);
    let mut among = 1;
    for candidate in candidates {
        among += 1;
        lot = lot.rotate_left(4);
        let score = score(candidate);
        #[expect(clippy::float_cmp, reason = "only a tie to the last bit is decided by lot")]
        if score < best.1 || (score == best.1 && lot > best.2) {
            best = (candidate, score, lot);
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
    for _ in 0..MISSES {
        // What was drawn has weight; only the bars are left to ask.
        let slot = ask.weights.sample(draw)?;
        if Some(slot) != but && !ask.barred.holds(slot) {
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
const MISSES: usize = 5;
