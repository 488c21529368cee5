//! Convoy [R-F5]: requests wait behind one thing that all of them need (a lock, a store, a collector that stops all
//! workers), and come out together.
//!
//! ```text
//! stall   a tick in which under 60 % of the usual answers come, at three quarters of the workers, while requests come
//!         as ever
//! bunch   a stall, and within 10 s a tick with over 110 % of the usual answers
//! signs   three bunches within a minute, the last one not older than three times their distance; under 10 % failures
//! ```
//! An overload has no bunches, an outage does not end in one, and three of them are no chance. Stalls shorter than half
//! a tick cannot be seen in counts.

use arrayvec::ArrayVec;

use super::Signs;
use crate::runbook::finding::Evidence;
use crate::runbook::past::Past;
use crate::time::{Mono, Span};

#[derive(Clone, Debug, Default)]
pub(super) struct Convoy {
    /// Since when nothing comes.
    stalled: Option<Mono>,
    bunches: ArrayVec<Mono, KEPT>,
}

impl Convoy {
    /// What shows now.
    pub(super) fn signs(&mut self, past: &Past) -> Option<Signs> {
        let (mut usual, mut answers, mut stalled, mut busy) = (0.0, 0_u64, 0_usize, 0_usize);
        let step = past.step.as_secs_f64();
        for worker in past.serving() {
            let (wanted, came) = (worker.recent.rate() * step, worker.tick.counted.answered);
            usual += wanted;
            answers += came;
            if wanted >= LEAST_OF_WORKER {
                busy += 1;
                stalled += usize::from((came as f64) < FEW * wanted);
            }
        }
        if usual < LEAST_OF_POOL {
            self.stalled = None;
            return None;
        }
        let answers = answers as f64;
        let together = if busy > 0 { stalled * 4 >= busy * 3 } else { past.step >= LONG_TICK };
        if answers < FEW * usual && together {
            self.stalled.get_or_insert(past.at);
        } else if let Some(since) = self.stalled.filter(|_| answers > MANY * usual) {
            self.stalled = None;
            if past.at.since(since) <= LONGEST {
                self.note(past.at);
            }
        } else if self.stalled.is_some_and(|since| past.at.since(since) > LONGEST) {
            self.stalled = None;
        }
        self.told(past, busy)
    }

    /// Whether answers stopped, or came together, not long ago.
    pub(super) fn is_near(&self, now: Mono) -> bool {
        self.stalled.is_some() || self.bunches.last().is_some_and(|bunch| now.since(*bunch) <= NEAR)
    }

    fn note(&mut self, now: Mono) {
        if self.bunches.is_full() {
            self.bunches.remove(0);
        }
        self.bunches.push(now);
    }

    fn told(&mut self, past: &Past, workers: usize) -> Option<Signs> {
        self.bunches.retain(|bunch| past.at.since(*bunch) <= WITHIN);
        let (first, last) = (*self.bunches.first()?, *self.bunches.last()?);
        let count = self.bunches.len();
        let apart = last.since(first).as_secs_f64() / count.saturating_sub(1).max(1) as f64;
        let lasts = past.at.since(last).as_secs_f64() <= 3.0 * apart.max(2.0);
        if count < LEAST || !lasts || past.pool.recent.failing() >= FAILING {
            return None;
        }
        Some(Signs::of_pool(Evidence::Convoy {
            bunches: u32::try_from(count).unwrap_or(u32::MAX),
            apart: Span::from_secs_f64(apart),
            workers: u32::try_from(workers).unwrap_or(u32::MAX),
        }))
    }
}

const KEPT: usize = 16;
/// Source: ours, twice the longest stall.
const NEAR: Span = Span::from_secs(20);
const LEAST: usize = 3;
const WITHIN: Span = Span::from_secs(60);
/// Source: ours; a stall that lasts longer is an outage.
const LONGEST: Span = Span::from_secs(10);
/// In shorter ticks the counts of workers that are asked seldom say nothing. Source: ours.
const LONG_TICK: Span = Span::from_millis(500);
const FEW: f64 = 0.6;
const MANY: f64 = 1.1;
/// Answers of a tick under which a share of them says nothing. Source: ours; 60 % of 30 is four deviations of chance.
const LEAST_OF_POOL: f64 = 30.0;
const LEAST_OF_WORKER: f64 = 5.0;
/// Source: as in the herd: from there on it is another mode's.
const FAILING: f64 = 0.1;
