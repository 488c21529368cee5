//! Which slices to move, split, isolate and merge, and why: a policy that a leader asks once a second.
//!
//! ```text
//!  Meter, HotKeys --> Sample (workers, slices, moves)  --+
//!                                                        +--> decide --> decisions, each with its reason
//!  Memory (windows, moves of late, frozen slices, gains) +
//!                      ^--- began, ended: what was really done
//! ```
//! **A decision is a function of memory, sample and time**, and of nothing else: whoever stores these can replay every one of them. What is
//! shown and not done (modes observe and advise) changes nothing: memory learns of an action by [`Memory::began`] alone.
//!
//! | situation | what is done |
//! |---|---|
//! | too little is known, or something else is going on | nothing, with the reason: [`Reason::MetricsMissing`] to [`Reason::SwitchedOff`] |
//! | a key is a quarter of its slice, or a twentieth of its worker | it gets a slice for itself |
//! | a slice is over a fifth of its worker | it is split where half of its work lies before |
//! | else, a worker is hot or out of balance | slices move, fewest bytes first; two are swapped where one would overshoot |
//! | neighbours have been cold for an hour | they are merged |
//! | a plan or a forecast | slices are split before |
//!
//! **It goes on until it is level.** One worker over a threshold begins it; then all workers that are more than a twentieth over the mean
//! give slices away, until none is. Splits and merges move no data and have a budget of their own.
//!
//! **It does not thrash.** A slice that would be back where it was half an hour ago is frozen, for longer each time; a slice rests after a
//! move. A hot set that changes faster than slices move is left alone. A move must gain three times what it costs; two in a row that
//! gain under half of what they promised switch automation off for a while.

mod busy;
mod config;
mod heat;
mod hot;
mod memory;
mod merge;
mod moves;
mod reason;
mod sample;
#[cfg(test)]
mod tests;
mod tools;

use alloc::vec::Vec;

use super::keyspace::Ordering;
use super::records::SliceId;
use crate::time::{Mono, Span};

pub use busy::{Busy, Came, Took};
pub use config::{Mode, PlanConfig};
pub use heat::{Had, Heat, Meter};
pub use hot::{COUNTERS, HotKey, HotKeys, LONG, MOST_LOOKED_AT, ONE_IN, SHORT, Sampler};
pub use memory::Memory;
pub use reason::Reason;
pub use sample::{Action, Decision, Fate, Going, Presplit, Sample, SliceNow, Subject, WorkerNow};

use moves::Ledger;

/// Decides for this second. At least one decision comes back, if only that all is well.
pub fn decide(config: &PlanConfig, memory: &mut Memory, now: Mono, sample: &Sample) -> Vec<Decision> {
    let mean = mean(sample);
    memory.forget(config, now, sample);
    memory.look(config, sample, mean);
    memory.watch(now, sample);
    memory.measure(config, now, sample, mean);
    if let Some(reason) = stop(config, memory, sample) {
        return alloc::vec![Decision::nothing(Subject::Keyspace, reason, (mean, mean))];
    }
    let before = memory.clone();
    let ledger = Ledger::new(config, &before, now, sample);
    let mut plan = Plan { config, now, sample, mean, ledger, out: Vec::new() };
    plan.presplit();
    plan.balance(memory);
    if !memory.balancing {
        plan.merge(memory);
    }
    if plan.out.is_empty() {
        plan.nothing(Subject::Keyspace, Reason::AllWell, mean);
    }
    plan.out
}

/// Why a slice would not be touched now, whatever its heat: what a command that explains says. None where nothing is in its way.
#[must_use]
pub fn explain(config: &PlanConfig, memory: &Memory, now: Mono, sample: &Sample, slice: SliceId) -> Option<Reason> {
    let known = sample.slices.iter().find(|known| known.slice == slice)?;
    stop(config, memory, sample).or_else(|| Ledger::new(config, memory, now, sample).held(known))
}

/// One second's plan in the making.
struct Plan<'a> {
    config: &'a PlanConfig,
    now: Mono,
    sample: &'a Sample,
    mean: f64,
    ledger: Ledger<'a>,
    out: Vec<Decision>,
}

impl Plan<'_> {
    fn act(&mut self, subject: Subject, action: Action, reason: Reason, load: f64, gain: f64) {
        let fate = match self.config.mode {
            Mode::Observe => Fate::Shown,
            Mode::Advise => Fate::Asked,
            Mode::Auto => Fate::Done,
        };
        self.ledger.take(action, self.sample);
        let action = Some((action, fate));
        self.out.push(Decision { subject, action, reason, load, mean: self.mean, gain });
    }

    fn nothing(&mut self, subject: Subject, reason: Reason, load: f64) {
        self.out.push(Decision::nothing(subject, reason, (load, self.mean)));
    }
}

impl Decision {
    fn nothing(subject: Subject, reason: Reason, (load, mean): (f64, f64)) -> Self {
        Self { subject, action: None, reason, load, mean, gain: 0.0 }
    }
}

/// What a worker carries in the mean: of those that are healthy and were heard.
fn mean(sample: &Sample) -> f64 {
    let workers = || sample.workers.iter().filter(|worker| worker.heard && worker.healthy);
    workers().map(|worker| worker.utilization).sum::<f64>() / (workers().count().max(1) as f64)
}

/// Why nothing is done at all, if so.
fn stop(config: &PlanConfig, memory: &Memory, sample: &Sample) -> Option<Reason> {
    let all = sample.workers.len() as f64;
    let heard = sample.workers.iter().filter(|worker| worker.heard).count() as f64;
    let ill = sample.workers.iter().filter(|worker| worker.heard && !worker.healthy).count() as f64;
    if sample.workers.is_empty() || heard < config.heard * all {
        Some(Reason::MetricsMissing)
    } else if ill > config.unhealthy * all {
        Some(Reason::TooManyUnhealthy)
    } else if sample.deploying {
        Some(Reason::Deploying)
    } else if sample.store_p99 > config.store_slow {
        Some(Reason::StoreSlow)
    } else {
        memory.off.is_some().then_some(Reason::SwitchedOff)
    }
}

/// Whether a move is to be given up that copies slower than its keys are written: for each of its rounds, bytes written over bytes copied.
#[must_use]
pub fn copying(rounds: &[f64]) -> Option<Reason> {
    let slow = rounds.len() >= SLOW_ROUNDS && rounds[rounds.len() - SLOW_ROUNDS..].iter().all(|rate| *rate > TOO_DIRTY);
    slow.then_some(Reason::NeverSmall)
}

/// How fast to copy: a little faster each second, and half as fast where the source's clients notice.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Throttle {
    rate: f64,
    most: f64,
    /// The source's slowest hundredth before the copy.
    usual: Span,
}

impl Throttle {
    /// Begins with a tenth of `most` bytes a second.
    #[must_use]
    pub const fn new(most: f64, usual: Span) -> Self {
        Self { rate: most / 10.0, most, usual }
    }

    /// Bytes in the next second, by the source's slowest hundredth in the last one.
    pub fn next(&mut self, p99: Span) -> f64 {
        let noticed = p99.as_nanos() as f64 > self.usual.as_nanos() as f64 * NOTICED;
        let least = self.most / 100.0;
        self.rate = if noticed { (self.rate / 2.0).max(least) } else { (self.rate + self.most / 10.0).min(self.most) };
        self.rate
    }
}

/// Source of these: shards.md "Thresholds".
const SLOW_ROUNDS: usize = 3;
const TOO_DIRTY: f64 = 0.8;
const NOTICED: f64 = 1.2;
