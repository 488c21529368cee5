//! `prequal`: of those that are not hot, the one that will likely answer soonest, by what the workers report.
//!
//! ```text
//! load   in flight / weight, as reported and corrected by what was sent since; failing workers look fuller
//! hot    load over the fleet's 0.6 quantile by more than max(1, 25 %)         not asked while anybody is cold
//! cold   all others: the least  latency x fullness                            latency as reported while fresh
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

use arrayvec::ArrayVec;

use super::fleet::{Fleet, HOT_OVER, rank};
use super::sample::SCAN;
use super::{Ask, Pick, PickReason, brief, sample};
use crate::draw::Draw;
use crate::time::Span;

/// Keeps the bound of hot at hand.
#[derive(Debug, Default)]
pub struct Prequal {
    fleet: Fleet,
}

impl Prequal {
    pub(super) fn pick(&mut self, ask: &Ask<'_>, draw: &mut Draw) -> Option<Pick> {
        let candidates = sample::candidates(ask, draw);
        let mut loads: ArrayVec<f64, SCAN> = candidates.iter().map(|&slot| ask.load(slot)).collect();
        let all = candidates.iter().copied().zip(loads.clone());
        let quantile = if sample::sees_all(ask) { rank(&mut loads, HOT_OVER)? } else { self.fleet.census(ask).busy };
        let limit = quantile + (quantile * SLACK).max(1.0);
        let cold = all.clone().filter(|(_, load)| *load <= limit).map(|(slot, _)| slot);
        let price = |slot| self.latency(ask, slot) * ask.fullness(slot);
        if let Some((slot, price, cold)) = sample::least(cold, draw, price) {
            let (price, load) = (Span::from_secs_f64(price / 1e9), brief(ask.load(slot)));
            return Some(ask.picked(slot, PickReason::Cold { price, load, limit: brief(limit), cold }));
        }
        let (slot, load, among) = sample::least(all.map(|(slot, _)| slot), draw, |slot| ask.load(slot))?;
        Some(ask.picked(slot, PickReason::Hot { load: brief(load), limit: brief(limit), among }))
    }

    /// Latency in nanoseconds: what the worker says while that is fresh, else what we measured.
    fn latency(&mut self, ask: &Ask<'_>, slot: usize) -> f64 {
        match ask.pool.workers[slot].cells.load.reported_latency(ask.now) {
            Some(told) => told.as_nanos() as f64,
            None => self.fleet.own_latency(ask, slot),
        }
    }
}

/// How far over the quantile a cold worker may be; at least one request. Source: balancing.md "Pick prequal".
const SLACK: f64 = 0.25;
