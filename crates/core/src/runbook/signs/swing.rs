//! Oscillation [R-F4]: weights swing with a period from 2 s to 10 min.
//!
//! ```text
//! signs   four turns of over 20 % each, evenly apart, in a series that repeats itself: at two workers or more, with
//!         about the same period, within one period of each other, while under 5 % of the tries fail
//! ```
//! Looked for with the eye of the planner's oscillation guard (`plan/guards/oscillation.rs`), once for each worker. The
//! guard damps at 5 % and at the first worker, which does no harm when it is noise; to be told of it, a person wants
//! more. It also forgets what it saw when it damps; here a finding lasts while the swing does.

use alloc::vec::Vec;

use crate::plan::{Eye, Oscillation};
use crate::runbook::finding::Evidence;
use crate::runbook::observation::{Observation, Swinging};
use crate::runbook::past::Past;
use crate::share::Share;
use crate::time::{Mono, Span};
use crate::worker::WorkerId;

use super::Signs;

#[derive(Clone, Debug, Default)]
pub(super) struct Swing {
    /// Sorted by id.
    eyes: Vec<Watched>,
    /// What the guard did last.
    damped: Option<Swinging>,
    last: Option<(Mono, Evidence, Span)>,
}

#[derive(Clone, Debug)]
struct Watched {
    worker: WorkerId,
    eye: Eye,
    /// The newest swing: when, its period and how far.
    seen: Option<(Mono, Span, f64)>,
}

impl Swing {
    /// What shows now.
    pub(super) fn signs(&mut self, seen: &Observation, past: &Past) -> Option<Signs> {
        self.damped = seen.swinging.or(self.damped);
        self.follow(seen);
        if past.pool.recent.failing() >= FAILING {
            // Failures move weights, too, and that is not the loop's doing.
            self.eyes.iter_mut().for_each(|one| one.seen = None);
            return None;
        }
        if let Some((evidence, period)) = self.together(seen.at) {
            self.last = Some((seen.at, evidence, period));
        }
        let (at, evidence, period) = self.last?;
        if seen.at.since(at) > period.times(2).max(LEAST) {
            self.last = None;
            return None;
        }
        Some(Signs::of_pool(evidence))
    }

    /// Shows each worker's eye its weight.
    fn follow(&mut self, seen: &Observation) {
        let settings = Oscillation { amplitude: AMPLITUDE, ..Oscillation::default() };
        let mut there: Vec<(WorkerId, f64)> =
            seen.workers.iter().filter(|tick| tick.serving).map(|tick| (tick.id, tick.weight)).collect();
        there.sort_unstable_by_key(|(worker, _)| *worker);
        there.dedup_by_key(|(worker, _)| *worker);
        let mut known = core::mem::take(&mut self.eyes).into_iter().peekable();
        for (worker, weight) in there {
            while known.next_if(|one| one.worker < worker).is_some() {}
            let fresh = Watched { worker, eye: Eye::default(), seen: None };
            let mut one = known.next_if(|one| one.worker == worker).unwrap_or(fresh);
            if let Some(found) = one.eye.take(weight, &settings) {
                let period = Span::from_secs_f64(found.ticks * seen.step.as_secs_f64());
                if (SHORTEST..=LONGEST).contains(&period) {
                    one.seen = Some((seen.at, period, found.amplitude));
                }
            }
            self.eyes.push(one);
        }
    }

    /// The workers that swing together now, with the period of the one that swings most.
    fn together(&self, now: Mono) -> Option<(Evidence, Span)> {
        let fresh = || {
            self.eyes.iter().filter_map(move |one| {
                let (at, period, amplitude) = one.seen?;
                (now.since(at) <= period.max(A_MOMENT)).then_some((one.worker, period, amplitude))
            })
        };
        let (worker, period, _) = fresh().max_by(|a, b| a.2.total_cmp(&b.2))?;
        let alike = |other: Span| {
            let ratio = other.as_secs_f64() / period.as_secs_f64();
            (1.0 / ALIKE..=ALIKE).contains(&ratio)
        };
        let workers = fresh().filter(|(_, other, _)| alike(*other)).count();
        let doublings = self.damped.map_or(0, |damped| damped.doublings);
        let evidence =
            Evidence::Oscillation { worker, workers: u32::try_from(workers).unwrap_or(u32::MAX), period, doublings };
        (workers >= LEAST_WORKERS).then_some((evidence, period))
    }
}

/// Source: R-F7 (a fifth is worth an alert); the textbook's swing goes from 0.9 to 0.1.
const AMPLITUDE: Share = Share::percent(20);
/// Source: R-B1 (5 %).
const FAILING: f64 = 0.05;
/// Source: R-F4, with what a period of few ticks is measured too short by.
const SHORTEST: Span = Span::from_millis(1_500);
/// Source: R-F4, with what the mean of 64 ticks adds.
const LONGEST: Span = Span::from_secs(800);
/// Weights that swing swing against each other; one alone is noise. Source: measured by `cargo xtask bench modes`.
const LEAST_WORKERS: usize = 2;
/// How unlike the periods of one swing are measured at two workers. Source: as above.
const ALIKE: f64 = 1.5;
/// Source: ours; two workers are seen to swing a few ticks apart.
const A_MOMENT: Span = Span::from_secs(5);
/// Source: ours; a swing of seconds is not over for being missed once.
const LEAST: Span = Span::from_secs(30);
