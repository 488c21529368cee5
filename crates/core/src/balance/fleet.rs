//! What a pick has to know of the whole pool, without looking at the whole pool for each request.
//!
//! A threshold "over the 0.6 quantile of the fleet" or "the median latency" moves as slowly as answers come, so each
//! seat takes a census now and then: of everybody up to [`CENSUS`] workers, of the next stretch of the slots above. With 64 of 1,000 the quantile is right to within 6 % of rank.

use arrayvec::ArrayVec;

use super::sample::{Candidate, SCAN};
use super::{Ask, brief};
use crate::time::{Mono, Span};
use crate::view::Arm;

/// The newest census of each arm.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    learned: Option<Census>,
    fixed: Option<Census>,
    path: Option<Census>,
    /// Where the next census begins.
    next: usize,
}

/// Numbers of a pool at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Census {
    at: Mono,
    revision: u64,
    /// Median latency in nanoseconds of the workers that have one; 0 when none has.
    pub(super) median: f64,
    /// The load that [`HOT_OVER`] of the fleet do not exceed.
    pub(super) busy: f64,
    /// Requests in flight over all workers.
    pub(super) in_flight: f64,
}

impl Fleet {
    /// The census of this arm, taken anew when it is older than [`CENSUS_LIFE`] or of another view.
    pub(super) fn census(&mut self, ask: &Ask<'_>) -> &mut Census {
        let kept = match ask.arm {
            Arm::Learned => &mut self.learned,
            Arm::Fixed => &mut self.fixed,
            Arm::Path => &mut self.path,
        };
        let fresh = |census: &Census| {
            census.revision == ask.pool.revision && ask.now.since(census.at) <= CENSUS_LIFE && ask.now >= census.at
        };
        match kept {
            Some(census) if fresh(census) => {}
            Some(_) | None => {
                *kept = Some(Census::take(ask, self.next));
                self.next = self.next.wrapping_add(CENSUS);
            }
        }
        kept.get_or_insert_with(|| Census::empty(ask))
    }

    /// Our own measure of a worker's latency in nanoseconds. While a worker is new, it is believed only in part and
    /// never to be faster than the pool's median. At least 1, so that in a pool where nobody was measured yet requests
    /// in flight decide.
    #[inline]
    pub(super) fn own_latency(&mut self, ask: &Ask<'_>, slot: usize) -> f64 {
        let load = ask.pool.load(slot);
        let own = load.latency_nanos(ask.now).max(1.0);
        let warmth = load.warmth();
        if warmth < 1.0 { own * warmth + own.max(self.census(ask).median) * (1.0 - warmth) } else { own }
    }
}

impl Census {
    const fn empty(ask: &Ask<'_>) -> Self {
        Self { at: ask.now, revision: ask.pool.revision, median: 0.0, busy: f64::INFINITY, in_flight: 0.0 }
    }

    #[cold]
    fn take(ask: &Ask<'_>, start: usize) -> Self {
        let count = ask.weights.len();
        let looked = count.min(CENSUS);
        let mut latencies = ArrayVec::<f64, CENSUS>::new();
        let mut loads = ArrayVec::<f64, CENSUS>::new();
        let mut in_flight = 0.0;
        for slot in (0..looked).map(|step| start.wrapping_add(step) % count) {
            let load = ask.pool.load(slot);
            in_flight += f64::from(load.known_in_flight(ask.now));
            // Who is kept out has nothing in flight; counting it would call everybody else hot.
            if ask.allows(slot) {
                loads.push(ask.candidate(slot).load);
                let latency = load.latency_nanos(ask.now);
                if latency > 0.0 {
                    latencies.push(latency);
                }
            }
        }
        Self {
            median: rank(&mut latencies, 0.5).unwrap_or(0.0),
            busy: rank(&mut loads, HOT_OVER).unwrap_or(f64::INFINITY),
            in_flight: in_flight * count as f64 / looked.max(1) as f64,
            ..Self::empty(ask)
        }
    }
}

/// The value at [`HOT_OVER`] of the order of up to [`SCAN`] loads; infinite of nothing. Each load counts how
/// many are below it: more comparisons than sorting, but none that a processor could guess wrong.
pub(super) fn busy_of(candidates: &[Candidate]) -> f64 {
    let mut padded = [f32::INFINITY; SCAN];
    padded.iter_mut().zip(candidates).for_each(|(place, candidate)| *place = brief(candidate.load));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounds down to a rank")]
    let at = (HOT_OVER * candidates.len().saturating_sub(1) as f64) as u32;
    let below = |value: f32| padded.iter().map(|other| u32::from(*other < value)).sum::<u32>();
    let not_above = |value: f32| if below(value) <= at { value } else { f32::NEG_INFINITY };
    f64::from(padded.iter().fold(f32::NEG_INFINITY, |most, value| most.max(not_above(*value))))
}

/// The value at `share` of the order of `values`; `None` of nothing.
pub(super) fn rank(values: &mut [f64], share: f64) -> Option<f64> {
    let last = values.len().checked_sub(1)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounds down to a rank")]
    let at = (share * last as f64) as usize;
    Some(*values.select_nth_unstable_by(at, f64::total_cmp).1)
}

/// A worker is hot when it is fuller than this share of the fleet. Source: balancing.md "Pick prequal".
pub(super) const HOT_OVER: f64 = 0.6;
/// Most workers that one census looks at.
const CENSUS: usize = 64;
/// How long a census serves. Chosen: about the time between two answers of a busy worker.
const CENSUS_LIFE: Span = Span::from_millis(4);
