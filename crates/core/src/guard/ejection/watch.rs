//! What opens a breaker beside failures in a row: shares of failures, latency, the worker's own queue.
//!
//! Single outcomes are judged in [`Breaker::on`](crate::guard::breaker::Breaker::on). What is here needs more than one
//! of them: the last ten seconds of the worker, or all workers of the pool. Each trigger can be off, watched or on; a
//! watched one says what it would have done, at most once a window for each worker.
//!
//! ```text
//! after a failure        lower Wilson bound of failed / all in 10 s  >  error_share, 2 x others'  all seats' outcomes
//! after any outcome      queue in the newest report                  >  queue_most               the worker's own word
//! at a window's end      pace beside the others, and absolute latency, over two windows          this seat's answers
//! ```

use super::{Breakers, Entry};
use crate::again::Mode;
use crate::draw::Draw;
use crate::guard::breaker::{Cause, Change, ErrorBound, Trip};
use crate::guard::pace::{self, Pace};
use crate::load::Outcome;
use crate::share::Share;
use crate::stats::interval::wilson;
use crate::stats::ring::Counts;
use crate::time::{Mono, Span};

/// How a try ended, for breakers.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// How.
    pub outcome: Outcome,
    /// After how long; zero when nobody measured.
    pub took: Span,
    /// Which requests it is to be compared with: a number for its route and class.
    pub group: u32,
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, took: Span::ZERO, group: 0 }
    }
}

impl Breakers {
    /// Why a probe that was answered well is no good all the same.
    pub(super) fn too_slow_for_a_probe(&self, slot: usize, ended: Ended) -> Option<Trip> {
        let Ended { outcome: Outcome::Good, took: latency, group } = ended else { return None };
        let trigger = &self.config.pace;
        let limit = match self.entries[slot].opened_by? {
            Trip::Late { limit, .. } => limit,
            Trip::Slow { .. } => {
                let usual = self.usual.of(group)? + self.typical?;
                let others = pace::nanos(usual);
                let closes = Span::from_secs_f64(others.as_secs_f64() * trigger.closes);
                closes.max(others + trigger.least)
            }
            Trip::Consecutive { .. }
            | Trip::Probe
            | Trip::Errors { .. }
            | Trip::SlowProbe { .. }
            | Trip::Queue { .. } => return None,
        };
        (latency > limit).then_some(Trip::SlowProbe { latency, limit })
    }

    /// Takes one outcome in and opens what it is the last straw for.
    pub(super) fn watch(&mut self, now: Mono, slot: usize, ended: Ended, draw: &mut Draw) {
        if let Some(limit) = self.config.queue_most
            && let Some(queue) = self.entries[slot].cells.load.queue(now).filter(|queue| *queue > limit)
        {
            self.open(now, slot, Trip::Queue { queue, limit }, Mode::On, draw);
        }
        if matches!(ended.outcome, Outcome::Failed { .. })
            && let Some(by) = self.proven(now, slot)
        {
            self.open(now, slot, by, self.config.errors.mode, draw);
        }
        if self.config.pace.watches() && ended.took > Span::ZERO {
            self.roll(now, draw);
            self.note(slot, ended);
        }
    }

    /// What the last ten seconds prove of a worker's failures, if that is too much, and much more than the others' fail: a
    /// fault that all have is not the worker's, and who keeps it out loads the others with what it had.
    fn proven(&mut self, now: Mono, slot: usize) -> Option<Trip> {
        let trigger = self.config.errors;
        if trigger.mode == Mode::Off {
            return None;
        }
        let own = self.entries[slot].cells.load.outcomes(now);
        let (failed, of) = (own.marked.min(own.total), own.total);
        if of < u64::from(trigger.samples) {
            return None;
        }
        let proven = match trigger.bound {
            ErrorBound::Plain => Share::of(failed, of),
            ErrorBound::Wilson => wilson(failed, of).0,
        };
        if proven <= trigger.share {
            return None;
        }
        let all = self.all_outcomes(now);
        let (others_failed, others_of) = (all.marked.saturating_sub(failed), all.total.saturating_sub(of));
        let known = others_of >= u64::from(trigger.samples);
        let others = if known { Share::of(others_failed.min(others_of), others_of) } else { Share::NONE };
        let small = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        let by = Trip::Errors { failed: small(failed), of: small(of), proven, limit: trigger.share, others };
        (proven.get() > OVER_OTHERS * others.get()).then_some(by)
    }

    /// What all workers did in the last ten seconds. Counted ten times a second: there may be many of them.
    fn all_outcomes(&mut self, now: Mono) -> Counts {
        if let Some((at, counts)) = self.all_outcomes
            && now < at + COUNTED_EVERY
        {
            return counts;
        }
        let mut all = Counts::default();
        for entry in &self.entries {
            let counts = entry.cells.load.outcomes(now);
            all.total += counts.total;
            all.marked += counts.marked;
        }
        self.all_outcomes = Some((now, all));
        all
    }

    /// A good answer counts; a try that was given up counts once it has taken longer than usual, because waiting on
    /// would only have made it worse, and leaving it out would hide a worker whose tries always lose.
    fn note(&mut self, slot: usize, ended: Ended) {
        let took = pace::log(ended.took);
        let counts = match ended.outcome {
            Outcome::Good => true,
            Outcome::Cancelled => self.usual.of(ended.group).is_some_and(|usual| took > usual),
            Outcome::Failed { .. } | Outcome::Full { .. } => false,
        };
        if counts {
            let usual = self.usual.beside(ended.group, took);
            self.entries[slot].pace.note(took, usual);
        }
    }

    /// Judges all workers when a window is over, the slowest first.
    fn roll(&mut self, now: Mono, draw: &mut Draw) {
        let Some(ends) = self.window_ends.filter(|ends| now < *ends + self.config.pace.window) else {
            // The first, or nothing came for a whole window: what was seen before does not touch what comes now.
            self.entries.iter_mut().for_each(|entry| entry.pace.roll(true));
            self.window_ends = Some(now + self.config.pace.window);
            return;
        };
        if now < ends {
            return;
        }
        self.window_ends = Some(ends + self.config.pace.window);
        while let Some((slot, by, mode)) = self.slowest() {
            self.entries[slot].judged = true;
            self.open(now, slot, by, mode, draw);
        }
        for entry in &mut self.entries {
            entry.pace.roll(false);
            entry.judged = false;
        }
    }

    /// The slowest worker that is too slow and was not judged yet. The pool is small beside a window's requests, and
    /// few are slow, so that looking again for each of them costs nothing that anybody would notice.
    fn slowest(&mut self) -> Option<(usize, Trip, Mode)> {
        let trigger = self.config.pace;
        let windows = [|pace: &Pace| pace.last, |pace: &Pace| pace.this];
        for (window, medians) in windows.iter().zip(&mut self.medians) {
            medians.take(self.entries.iter().filter_map(|entry| window(&entry.pace).pace(trigger.samples)));
        }
        self.typical = self.medians[1].all();
        let judge = |(slot, entry): (usize, &Entry)| {
            let beside = [0, 1].map(|at| {
                let own = windows[at](&entry.pace).pace(trigger.samples)?;
                if trigger.include_self { self.medians[at].all() } else { self.medians[at].without(own) }
            });
            let verdict = entry.pace.verdict(&trigger, beside);
            let slow = verdict.slow.filter(|_| trigger.mode != Mode::Off);
            let (by, mode) = match (verdict.late, slow) {
                (Some(late), _) => (late, Mode::On),
                (None, Some(slow)) => (slow, trigger.mode),
                (None, None) => return None,
            };
            Some((slot, by, mode, verdict.pace))
        };
        let unjudged = self.entries.iter().enumerate().filter(|(_, entry)| !entry.judged && !entry.is_out());
        let worst = unjudged.filter_map(judge).max_by(|a, b| a.3.total_cmp(&b.3))?;
        Some((worst.0, worst.1, worst.2))
    }

    /// Opens a breaker by a trigger in this mode, if the pool has room.
    fn open(&mut self, now: Mono, slot: usize, by: Trip, mode: Mode, draw: &mut Draw) {
        match mode {
            Mode::Off => {}
            Mode::Observe => {
                let state = self.entries[slot].breaker.state();
                self.changed(now, slot, Change { from: state, to: state, cause: Cause::Observed { by } });
            }
            Mode::On => {
                let room = self.room();
                let breaker = &mut self.entries[slot].breaker;
                let change = match room.is_left() {
                    true => breaker.open(now, by, &self.config, draw.unit()),
                    false => Some(breaker.refuse(by, room)),
                };
                if let Some(change) = change {
                    self.changed(now, slot, change);
                }
            }
        }
    }
}

/// How many times the others' share of failures is too much. Source: ours, as of latencies; measured: with 1 all ten of a
/// pool at 80 % load that fail a tenth each eject a third of themselves, and its p99 goes from 47 ms to 3.6 s.
const OVER_OTHERS: f64 = 2.0;
/// How often the outcomes of all workers are counted. Source: ours; a hundredth of what they are counted over.
const COUNTED_EVERY: Span = Span::from_millis(100);

#[cfg(test)]
mod tests;
