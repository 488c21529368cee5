//! Learns what classes cost: the slow half, once a tick.

use alloc::sync::Arc;

use super::{Costs, DEAREST, MOST_CLASSES};
use crate::time::{Mono, Span};

/// What was seen of a pool's classes lately. What it learns is in its [`Costs`], which requests read.
#[derive(Debug, Default)]
pub struct CostModel {
    costs: Arc<Costs>,
    at: Option<Mono>,
    counted: [(u64, u64); MOST_CLASSES],
    /// Answers and seconds, fading.
    recent: [(f64, f64); MOST_CLASSES],
    /// When the cost of each was measured last.
    measured: [Option<Mono>; MOST_CLASSES],
}

impl CostModel {
    /// What requests read.
    #[must_use]
    pub fn costs(&self) -> &Arc<Costs> {
        &self.costs
    }

    /// When the cost of a class was measured last, by its place in [`Costs::looks`]; `None` while it is taken to be the mean.
    #[must_use]
    pub fn measured(&self, class: usize) -> Option<Mono> {
        self.measured.get(class).copied().flatten()
    }

    /// One tick: what was answered since the last one counts, what is older fades.
    pub fn tick(&mut self, now: Mono) {
        let step = self.at.replace(now).map_or(Span::ZERO, |at| now.since(at));
        let kept = libm::exp(-step.as_secs_f64() / REMEMBERS);
        let sums = self.costs.sums();
        for ((recent, counted), sum) in self.recent.iter_mut().zip(&mut self.counted).zip(sums) {
            let (answers, nanos) = (sum.0.saturating_sub(counted.0), sum.1.saturating_sub(counted.1));
            recent.0 = recent.0 * kept + answers as f64;
            recent.1 = recent.1 * kept + nanos as f64 / 1e9;
            *counted = sum;
        }
        let (answers, seconds) = self.recent.iter().fold((0.0, 0.0), |sum, class| (sum.0 + class.0, sum.1 + class.1));
        if answers < ENOUGH || seconds <= 0.0 {
            return;
        }
        let mean = seconds / answers;
        for (at, (answers, seconds)) in self.recent.iter().enumerate().filter(|(_, class)| class.0 >= ENOUGH) {
            self.costs.set(at, (seconds / answers / mean).clamp(1.0 / DEAREST, DEAREST));
            self.measured[at] = Some(now);
        }
    }
}

/// How long answers are remembered, in seconds. Source: ours; a class of one request a second is known by then.
const REMEMBERS: f64 = 60.0;
/// Fewer answers of a class say nothing: it costs 1, or what it cost. Source: ours; the mean of 20 exponential times is off by a
/// fifth.
const ENOUGH: f64 = 20.0;
