//! The signs of each failure mode, one a file: from what is remembered to whether the mode shows in this tick.

mod cascade;
mod convoy;
mod drift;
mod herd;
mod overload;
mod stale;
mod swing;

use arrayvec::ArrayVec;

use self::overload::Around;
use super::FailureMode;
use super::finding::Evidence;
use super::observation::Observation;
use super::past::Past;
use crate::worker::WorkerId;

/// Workers that one finding acts on at most. Source: ours; more of them at once are no matter of single workers.
pub(super) const MOST_WORKERS: usize = 8;

/// What a mode shows in one tick.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Signs {
    pub(super) evidence: Evidence,
    /// The workers that it is about, if it is about single ones.
    pub(super) workers: ArrayVec<WorkerId, MOST_WORKERS>,
}

impl Signs {
    fn of_pool(evidence: Evidence) -> Self {
        Self { evidence, workers: ArrayVec::new() }
    }
}

/// All detectors of a pool.
#[derive(Clone, Debug, Default)]
pub(super) struct Detectors {
    herd: herd::Herd,
    swing: swing::Swing,
    convoy: convoy::Convoy,
    drift: drift::Drift,
    overload: overload::Overload,
}

impl Detectors {
    /// What shows in this tick, by the order of [`FailureMode::ALL`]. Who is slow beside the others is asked first:
    /// paths and overload look at the rest. `restrained`: runbooks hold something back.
    pub(super) fn look(
        &mut self,
        past: &Past,
        seen: &Observation,
        restrained: bool,
    ) -> [Option<Signs>; FailureMode::ALL.len()] {
        let cascade = cascade::signs(past);
        let slow: &[WorkerId] = cascade.as_ref().map_or(&[], |signs| &signs.workers);
        let (swing, convoy) = (self.swing.signs(seen, past), self.convoy.signs(past));
        let bunched = self.convoy.is_near(past.at);
        let drift = self.drift.signs(past, slow);
        let overload = self.overload.signs(past, slow, Around { bunched, restrained });
        let (herd, stale) = (self.herd.signs(past), stale::signs(past));
        [herd, stale, cascade, swing, convoy, drift, overload]
    }
}

/// How many of so many workers are few: a third, and one always is. Source: balancing.md "Breaker" (a third).
fn few(of: usize) -> usize {
    (of / 3).max(1)
}
