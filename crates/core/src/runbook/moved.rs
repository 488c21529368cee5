//! Weights that move a long way in a short time [R-F7]: an alert, whatever the reason.
//!
//! ```text
//! 20 means of 15 s each a worker; moved = (largest - smallest) / largest, over the last five minutes
//! alert when it passes 20 %; over when it is below that again
//! ```
//! A worker's first minute does not count: it is being brought in. Means and not ticks: noise moves no requests.

use alloc::vec::Vec;

use arrayvec::ArrayVec;
use serde::{Deserialize, Serialize};

use super::observation::Observation;
use crate::share::Share;
use crate::time::{Mono, Span};
use crate::worker::WorkerId;

/// A weight that moved.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// Whose.
    pub worker: WorkerId,
    /// Its smallest mean in the last five minutes, in fair shares.
    pub least: f64,
    /// Its largest.
    pub most: f64,
}

impl Moved {
    /// How far it moved, of its largest.
    #[must_use]
    pub fn by(&self) -> Share {
        Share::clamped((self.most - self.least) / self.most.max(LEAST_WEIGHT))
    }
}

/// Looks for them.
#[derive(Clone, Debug, Default)]
pub(super) struct Movements {
    /// Sorted by id.
    workers: Vec<Movement>,
    /// Told, and not over.
    pub(super) open: Option<Moved>,
}

#[derive(Clone, Debug)]
struct Movement {
    worker: WorkerId,
    known_since: Mono,
    means: ArrayVec<(Mono, f64), KEPT>,
    /// Of the mean in the making.
    sum: f64,
    seconds: f64,
}

impl Movements {
    /// Takes one tick in; the movement to be told, when there is one and none was told before.
    pub(super) fn take(&mut self, seen: &Observation) -> Option<Moved> {
        let (now, step) = (seen.at, seen.step.as_secs_f64());
        let mut there: Vec<(WorkerId, f64)> =
            seen.workers.iter().filter(|tick| tick.serving).map(|tick| (tick.id, tick.weight)).collect();
        there.sort_unstable_by_key(|(worker, _)| *worker);
        there.dedup_by_key(|(worker, _)| *worker);
        let mut known = core::mem::take(&mut self.workers).into_iter().peekable();
        for (worker, weight) in there {
            while known.next_if(|movement| movement.worker < worker).is_some() {}
            let fresh = Movement { worker, known_since: now, means: ArrayVec::new(), sum: 0.0, seconds: 0.0 };
            let mut movement = known.next_if(|movement| movement.worker == worker).unwrap_or(fresh);
            movement.take(now, step, weight);
            self.workers.push(movement);
        }
        let worst =
            self.workers.iter().filter_map(Movement::moved).max_by(|a, b| a.by().get().total_cmp(&b.by().get()));
        let open = worst.filter(|moved| moved.by() > MOST);
        let news = open.filter(|_| self.open.is_none());
        self.open = open;
        news
    }
}

impl Movement {
    fn take(&mut self, now: Mono, step: f64, weight: f64) {
        if now.since(self.known_since) < BROUGHT_IN {
            return;
        }
        self.sum += weight * step;
        self.seconds += step;
        if self.seconds >= EACH {
            if self.means.is_full() {
                self.means.remove(0);
            }
            self.means.push((now, self.sum / self.seconds));
            (self.sum, self.seconds) = (0.0, 0.0);
        }
        self.means.retain(|(at, _)| now.since(*at) <= WITHIN);
    }

    fn moved(&self) -> Option<Moved> {
        let means = || self.means.iter().map(|(_, mean)| *mean);
        let (least, most) = (means().min_by(f64::total_cmp)?, means().max_by(f64::total_cmp)?);
        Some(Moved { worker: self.worker, least, most })
    }
}

const KEPT: usize = 20;
/// Seconds of one mean. Source: ours, a twentieth of the window.
const EACH: f64 = 15.0;
/// Source: R-F7.
const WITHIN: Span = Span::from_secs(300);
/// Source: R-F7.
const MOST: Share = Share::percent(20);
/// Source: twice the slow start (30 s).
const BROUGHT_IN: Span = Span::from_secs(60);
/// A weight under this is not divided by. Source: the floor of a weight (5 %).
const LEAST_WEIGHT: f64 = 0.05;
