//! `prequal`: of those that are not hot, the one that will likely answer soonest, by what the workers report.
//!
//! ```text
//! load   in flight / weight, as reported and corrected by what was sent since; failing workers look fuller
//! hot    load over the fleet's 0.6 quantile by more than max(1, 25 %)         not asked while anybody is cold
//! cold   all others: the least  latency x fullness, 3 x that of a full one    latency as reported while fresh
//! all hot: the least load
//! ```
//! After "Load is not what you should balance" (Wydmuch and others, 2024): load says who is busy, only latency says
//! who is slow. The default where workers report with their answers. Up to 16 workers all are scored; above, 16 drawn
//! in proportion to weight, while the bound of hot is that of the fleet ([`Fleet`]): some of any sample are over the
//! sample's own quantile.
//!
//! Two things differ from balancing.md, which has "cold: lowest latency" and, under 8 workers, "cold means within
//! min + max(1, 25 %)", because they failed when simulated (8 slots a worker, 10 ms, two threads; p99 in ms):
//! - Latency alone comes one answer late, so requests pile onto the worker that was fastest, and the quantile follows
//!   the pile: 16 alike workers at load 0.7 gave 431. Times fullness: 28.
//! - Being within 1 of the emptiest makes an idle slow worker the only cold one: one of 5 ten times slower at load 0.5
//!   gave 95. The same slack on top of the quantile, at any size: 29.
//!
//! Full is a worker that has as many requests as it says it can serve at once. Fullness is not enough to tell: made of the
//! weight, it counts a slow worker's slowness a second time beside its latency, so that its free slots are passed over
//! until the fast ones have twice as many requests as slots. With six of ten workers three times slower for 20 of 60 s (X13)
//! that gave a p99 of 177 ms where plain latency and load, without weights, gave 139; with the factor 140 to 144. Without
//! the weight, on the other hand, small workers are asked as much as large ones (X2: 71 ms for 58).

use super::fleet::{Fleet, busy_of};
use super::sample::{self, Candidate, Candidates, SCAN};
use super::{Ask, Pick, PickReason, brief, span};
use crate::draw::Draw;

/// Keeps the bound of hot at hand.
#[derive(Debug, Default)]
pub struct Prequal {
    fleet: Fleet,
}

impl Prequal {
    pub(super) fn pick(&mut self, ask: &Ask<'_>, draw: &mut Draw) -> Option<Pick> {
        let candidates = Candidates::of(ask, SCAN, draw);
        let all = candidates.as_slice();
        let quantile = if sample::sees_all(ask) { busy_of(all) } else { self.fleet.census(ask).busy };
        let limit = quantile + (quantile * SLACK).max(1.0);
        let cold = all.iter().filter(|candidate| candidate.load <= limit);
        let price = |candidate: &Candidate| {
            // In flight and this one, more than the limit: by halves, because the burden is only known by a difference.
            let burden = candidate.fullness - candidate.load;
            let is_full = candidate.fullness > (f64::from(ask.pool.load(candidate.slot).limit()) + 0.5) * burden;
            self.latency(ask, candidate.slot) * candidate.fullness * if is_full { FULL } else { 1.0 }
        };
        if let Some((least, price, cold)) = sample::least(cold, draw, price) {
            let why = PickReason::Cold { price: span(price), load: brief(least.load), limit: brief(limit), cold };
            return Some(ask.picked(least.slot, why));
        }
        let (least, load, among) = sample::least(all, draw, |candidate| candidate.load)?;
        Some(ask.picked(least.slot, PickReason::Hot { load: brief(load), limit: brief(limit), among }))
    }

    /// Latency in nanoseconds: what the worker says while that is fresh, else what we measured.
    #[inline]
    fn latency(&mut self, ask: &Ask<'_>, slot: usize) -> f64 {
        match ask.pool.load(slot).told_nanos(ask.now) {
            0 => self.fleet.own_latency(ask, slot),
            told => told as f64,
        }
    }
}

/// How far over the quantile a cold worker may be; at least one request. Source: balancing.md "Pick prequal".
const SLACK: f64 = 0.25;

/// How many times as much a full worker costs: the request's own wait, and that of those whom it delays. Measured in the
/// simulator, p99 of X13: 1 gives 177 ms, 2 gives 152, 3 gives 144, 4 gives 140. Beyond 3 late reports make gateways herd: with
/// reports two seconds late (X14) the median is 1.08 times as long by 3, 1.17 by 4, 1.85 by 6.
const FULL: f64 = 3.0;
