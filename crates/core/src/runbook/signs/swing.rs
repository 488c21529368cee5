//! Oscillation [R-F4]: weights swing with a period from 2 s to 10 min.
//!
//! The looking is done by the planner's guard (`plan/guards/oscillation.rs`), which also damps the loop: four turns of a
//! weight that counts, at any of four scales, and a series that repeats itself at their period. A finding lasts while
//! the guard finds the swing again: it forgets what it saw when it damps, so it needs two periods and some to say so.

use super::Signs;
use crate::runbook::finding::Evidence;
use crate::runbook::observation::{Observation, Swinging};
use crate::time::{Mono, Span};

#[derive(Clone, Debug, Default)]
pub(super) struct Swing {
    last: Option<(Mono, Swinging)>,
}

impl Swing {
    /// What shows now.
    pub(super) fn signs(&mut self, seen: &Observation) -> Option<Signs> {
        if let Some(swinging) = seen.swinging.filter(|swinging| swinging.workers >= LEAST_WORKERS) {
            self.last = Some((seen.at, swinging));
        }
        let (at, swinging) = self.last?;
        if seen.at.since(at) > swinging.period.times(3).max(LEAST) {
            self.last = None;
            return None;
        }
        let Swinging { worker, workers, period, doublings } = swinging;
        Some(Signs::of_pool(Evidence::Oscillation { worker, workers, period, doublings }))
    }
}

/// Weights that swing swing against each other; one alone is noise, which the guard may damp all the same. Source:
/// measured by `cargo xtask bench modes`.
const LEAST_WORKERS: u32 = 2;
/// Source: ours; a swing of seconds is not over for being missed once.
const LEAST: Span = Span::from_secs(30);
