//! How far the two actions go that take something away: refused requests, and workers in quarantine.
//!
//! ```text
//! admission    1 --found: 0.8 at once, then 2 points a second--> 0.5 at least --cause gone: 2 points a second--> 1
//! quarantine   held 10 s -> let go: answered: free; as before: held twice as long, 60 s at most
//!              a third of the pool at most, one always may be, never all of it
//! ```

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::lookout::MOST_MEASURES;
use super::past::Past;
use crate::share::Share;
use crate::time::{Mono, Span, moved};
use crate::worker::WorkerId;

/// Which share of the requests is admitted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admission(f64);

impl Default for Admission {
    fn default() -> Self {
        Self(1.0)
    }
}

impl Admission {
    /// One that another lookout had.
    pub(super) fn of(share: Share) -> Self {
        Self(share.get().clamp(LEAST, 1.0))
    }

    pub(super) fn share(self) -> Share {
        Share::clamped(self.0)
    }

    /// One tick, in which it falls or rises.
    pub(super) fn turn(&mut self, falls: bool, step: Span) {
        let step = STEP * step.as_secs_f64();
        self.0 = if falls { (self.0 - step).clamp(LEAST, FIRST) } else { (self.0 + step).min(1.0) };
    }
}

/// Who gets nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Quarantines(Vec<Quarantine>);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Quarantine {
    worker: WorkerId,
    until: Mono,
    pause: Span,
    /// Tries that it left unanswered when it was let go; `None` while it is held.
    free: Option<u64>,
}

impl Quarantines {
    pub(super) fn holds(&self, worker: WorkerId) -> bool {
        self.0.iter().any(|quarantine| quarantine.worker == worker && quarantine.free.is_none())
    }

    /// Those of another lookout, at `now` of this clock.
    pub(super) fn moved(&self, then: Mono, now: Mono, known: impl Fn(WorkerId) -> Option<WorkerId>) -> Self {
        let moved = |held: &Quarantine| {
            let until = moved(held.until, then, now).min(now + MOST_PAUSE);
            let pause = held.pause.clamp(PAUSE, MOST_PAUSE);
            // What it leaves unanswered is counted from nothing here.
            Some(Quarantine { worker: known(held.worker)?, until, pause, free: held.free.map(|_| 0) })
        };
        Self(self.0.iter().filter_map(moved).take(MOST_MEASURES).collect())
    }

    /// One tick, in which these are wanted in quarantine.
    pub(super) fn turn(&mut self, past: &Past, wanted: impl Iterator<Item = WorkerId>) {
        let serving = past.serving().count();
        let room = (serving / 3).max(1).min(serving.saturating_sub(1));
        let wanted: Vec<WorkerId> = wanted.collect();
        self.0.retain(|quarantine| wanted.contains(&quarantine.worker));
        for worker in wanted {
            let Some(there) = past.worker(worker) else { continue };
            let unanswered = there.mute.unreached + there.mute.late;
            let held = self.0.len();
            match self.0.iter_mut().find(|quarantine| quarantine.worker == worker) {
                Some(known) => known.turn(past.at, unanswered),
                None if held < room => {
                    self.0.push(Quarantine { worker, until: past.at + PAUSE, pause: PAUSE, free: None });
                }
                None => {}
            }
        }
    }
}

impl Quarantine {
    fn turn(&mut self, now: Mono, unanswered: u64) {
        match self.free {
            None if now >= self.until => self.free = Some(unanswered),
            Some(before) if unanswered > before => {
                self.pause = self.pause.times(2).min(MOST_PAUSE);
                (self.until, self.free) = (now + self.pause, None);
            }
            None | Some(_) => {}
        }
    }
}

/// A second's step of admission. Source: ours; from half to all in 25 s, as slowly as a breaker's ramp.
const STEP: f64 = 0.02;
/// Source: ours; a fifth less brings a pool at its limit back under it.
const FIRST: f64 = 0.8;
/// Source: ours; no runbook takes more than half of the requests away.
const LEAST: f64 = 0.5;
/// Source: balancing.md "Breaker" (open 10 s, doubling to 60 s).
const PAUSE: Span = Span::from_secs(10);
pub(super) const MOST_PAUSE: Span = Span::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admission_falls_to_half_at_most_and_comes_back_without_a_jump() {
        let (mut admission, second) = (Admission::default(), Span::from_secs(1));
        admission.turn(true, second);
        assert!((admission.share().get() - 0.8).abs() < 1e-9);
        (0..100).for_each(|_| admission.turn(true, second));
        assert!((admission.share().get() - 0.5).abs() < 1e-9);
        admission.turn(false, second);
        assert!((admission.share().get() - 0.52).abs() < 1e-9);
        (0..100).for_each(|_| admission.turn(false, second));
        assert_eq!(admission.share(), Share::ALL);
    }

    #[test]
    fn a_worker_that_stays_away_is_held_longer_each_time() {
        let at = |secs| Mono::default() + Span::from_secs(secs);
        let mut held = Quarantine { worker: WorkerId(1), until: at(10), pause: PAUSE, free: None };
        held.turn(at(9), 3);
        assert_eq!(held.free, None);
        held.turn(at(10), 3);
        assert_eq!(held.free, Some(3), "let go");
        held.turn(at(11), 4);
        assert_eq!((held.free, held.until), (None, at(31)));
        (0..5).for_each(|_| held.turn(at(31), 4));
        held.turn(at(32), 5);
        held.turn(at(72), 5);
        held.turn(at(73), 6);
        assert_eq!(held.until, at(133), "a minute at most");
    }
}
