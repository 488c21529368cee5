//! What the planner remembers from tick to tick: all that decisions rest on besides the sample of now.
//!
//! A plain value: who stores it with the samples can replay every decision.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::config::PlanConfig;
use super::sample::{Action, Sample, WorkerNow};
use crate::shard::records::SliceId;
use crate::shard::space::Range;
use crate::time::{Mono, Span};
use crate::worker::WorkerId;

/// What the planner remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    pub(super) workers: BTreeMap<WorkerId, Window>,
    /// Whether workers are being balanced: from the first hot one until all are level.
    pub(super) balancing: bool,
    /// Moves that were begun, the earliest first.
    pub(super) moved: VecDeque<Moved>,
    /// Until when slices are frozen, and how often they were.
    pub(super) frozen: BTreeMap<SliceId, (Mono, u32)>,
    /// Since when a slice and the one after it have been cold.
    pub(super) cold: BTreeMap<SliceId, Mono>,
    /// Moves that ended, whose gain is not measured yet.
    pub(super) trials: Vec<Trial>,
    /// Moves in a row that gained too little.
    pub(super) failed: u32,
    /// Until when automation is off, and how often it was.
    pub(super) off: Option<Mono>,
    pub(super) offs: u32,
    pub(super) pattern: Pattern,
}

/// A worker's last seconds, the latest in the lowest bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    warm: u32,
    hot: u32,
    waits: u32,
    over: u32,
}

/// A move that was begun.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Moved {
    pub(super) at: Mono,
    pub(super) slice: SliceId,
    pub(super) range: Range,
    pub(super) from: WorkerId,
    pub(super) load: f64,
}

/// A move that ended: what its source was over the mean before, and what it promised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Trial {
    pub(super) slice: SliceId,
    pub(super) from: WorkerId,
    /// When it ended.
    pub(super) at: Option<Mono>,
    pub(super) over: f64,
    pub(super) promised: f64,
}

/// How fast the hot set changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Pattern {
    /// Load over the mean of each of 64 parts of the space, at the last look.
    before: Vec<f64>,
    looked: Mono,
    /// When it was another one than at the look before.
    changes: VecDeque<Mono>,
}

impl Memory {
    /// Whether a worker is hot, by its windows.
    pub(super) fn is_hot(&self, config: &PlanConfig, worker: WorkerId) -> bool {
        let Some(window) = self.workers.get(&worker) else { return false };
        let warm = (window.warm & last(config.warm_of)).count_ones() >= config.warm_ticks;
        warm || run(window.hot) >= config.hot_ticks || run(window.waits) >= config.wait_ticks
    }

    /// Whether a worker has been out of balance for as long.
    pub(super) fn is_over(&self, config: &PlanConfig, worker: WorkerId) -> bool {
        let window = self.workers.get(&worker);
        window.is_some_and(|window| (window.over & last(config.warm_of)).count_ones() >= config.warm_ticks)
    }

    /// Takes a second's sample of the workers.
    pub(super) fn look(&mut self, config: &PlanConfig, sample: &Sample, mean: f64) {
        self.workers.retain(|known, _| sample.workers.iter().any(|worker| worker.worker == *known));
        let highest = sample.workers.iter().map(|worker| worker.utilization).fold(0.0, f64::max);
        for worker in sample.workers.iter().filter(|worker| worker.heard) {
            let WorkerNow { utilization, depth, depth_limit, wait_p95, wait_objective, .. } = *worker;
            let longest = wait_objective.as_nanos() as f64 * config.wait_factor;
            let waits = wait_objective > Span::ZERO && wait_p95.as_nanos() as f64 > longest;
            let full = depth_limit > 0.0 && depth > depth_limit;
            let over = utilization >= mean + config.above_mean && highest >= config.least_max;
            let window = self.workers.entry(worker.worker).or_default();
            window.warm = window.warm << 1 | u32::from(utilization >= config.warm);
            // A full queue is as hot as a worker can be.
            window.hot = window.hot << 1 | u32::from(utilization >= config.hot || full);
            window.waits = window.waits << 1 | u32::from(waits);
            window.over = window.over << 1 | u32::from(over);
        }
    }

    /// Somebody has begun to do this: budgets, rests and the test of gains go by it.
    pub fn began(&mut self, now: Mono, sample: &Sample, action: Action) {
        let moves: [Option<(SliceId, WorkerId, WorkerId)>; 2] = match action {
            Action::Move { slice, from, to } => [Some((slice, from, to)), None],
            Action::Swap { slice, from, to, back } => [Some((slice, from, to)), Some((back, to, from))],
            Action::Split { .. } | Action::Isolate { .. } | Action::Merge { .. } => {
                // The same load under other names is no other pattern.
                self.pattern.before.clear();
                return;
            }
        };
        let mean = super::mean(sample);
        let load_of = |slice| sample.slices.iter().find(|now| now.slice == slice).map_or(0.0, |now| now.load);
        let gain = moves.iter().flatten().fold(0.0, |sum, (slice, ..)| load_of(*slice) - sum).abs();
        for (place, (slice, from, _)) in moves.into_iter().flatten().enumerate() {
            let Some(known) = sample.slices.iter().find(|now| now.slice == slice) else { continue };
            if self.moved.len() >= MOST_REMEMBERED {
                self.moved.pop_front();
            }
            self.moved.push_back(Moved { at: now, slice, range: known.range, from, load: known.load });
            let before = sample.workers.iter().find(|worker| worker.worker == from);
            // Of one that can carry no more, nobody knows how much more it was asked.
            let before = before.filter(|worker| worker.utilization < SATURATED && place == 0);
            if let Some(before) = before.filter(|_| self.trials.len() < MOST_TRIALS) {
                let over = before.utilization - mean;
                self.trials.push(Trial { slice, from, at: None, over, promised: gain });
            }
        }
    }

    /// A move has ended; one that was aborted proves nothing.
    pub fn ended(&mut self, now: Mono, slice: SliceId, moved: bool) {
        self.trials.retain(|trial| moved || trial.slice != slice);
        for trial in self.trials.iter_mut().filter(|trial| trial.slice == slice) {
            trial.at = Some(now);
        }
    }

    /// Measures what moves gained that ended a while ago.
    pub(super) fn measure(&mut self, config: &PlanConfig, now: Mono, sample: &Sample, mean: f64) {
        let due = |trial: &Trial| trial.at.is_some_and(|at| now.since(at) >= MEASURED_AFTER);
        for trial in self.trials.iter().filter(|trial| due(trial)) {
            let Some(worker) = sample.workers.iter().find(|worker| worker.worker == trial.from) else { continue };
            let gained = trial.over - (worker.utilization - mean);
            self.failed = if gained < trial.promised * config.least_gain { self.failed + 1 } else { 0 };
            if self.failed >= 2 {
                let span = config.off_for.times(1 << self.offs.min(10));
                (self.off, self.offs, self.failed) = (Some(now + span), self.offs + 1, 0);
            }
        }
        self.trials.retain(|trial| !due(trial));
        if self.off.is_some_and(|until| until <= now) {
            self.off = None;
        }
    }

    /// Looks every five seconds whether the hot set is another one than at the look before.
    pub(super) fn watch(&mut self, now: Mono, sample: &Sample) {
        let pattern = &mut self.pattern;
        if now.since(pattern.looked) < LOOKED_EVERY && !pattern.before.is_empty() {
            return;
        }
        pattern.looked = now;
        let mut parts = alloc::vec![0.0; PARTS];
        for slice in &sample.slices {
            let (first, last) = (slice.range.first().0 >> PART_BITS, slice.range.last().0 >> PART_BITS);
            let each = slice.load / (last - first + 1) as f64;
            (first..=last).for_each(|part| parts[usize::try_from(part).unwrap_or(0)] += each);
        }
        let all: f64 = parts.iter().sum();
        let mean = all / PARTS as f64;
        parts.iter_mut().for_each(|part| *part = (*part - HOT_PART * mean).max(0.0));
        let hot = |parts: &[f64]| parts.iter().sum::<f64>();
        if !pattern.before.is_empty() && hot(&parts).max(hot(&pattern.before)) > LEAST_HOT * all {
            let pairs = || parts.iter().zip(&pattern.before);
            let common: f64 = pairs().map(|(one, other)| one.min(*other)).sum();
            let either: f64 = pairs().map(|(one, other)| one.max(*other)).sum();
            // Heat fades over some looks: they are one change.
            let new = pattern.changes.back().is_none_or(|last| now.since(*last) >= ONE_CHANGE);
            if common < 0.5 * either && new {
                pattern.changes.push_back(now);
                if pattern.changes.len() > MOST_CHANGES {
                    pattern.changes.pop_front();
                }
            }
        }
        pattern.before = parts;
    }

    /// After which time half of the hot set is another one; none where it was not seen to change more than twice lately.
    pub(super) fn half_life(&self, config: &PlanConfig, now: Mono) -> Option<Span> {
        let recent = self.pattern.changes.iter().filter(|at| now.since(**at) < config.back_within);
        let (first, last) = (recent.clone().next()?, recent.clone().next_back()?);
        let gaps = recent.count().saturating_sub(1) as u64;
        (gaps >= 2).then(|| Span::from_nanos(last.since(*first).as_nanos() / gaps / 2))
    }

    /// Forgets what no rule asks for any more.
    pub(super) fn forget(&mut self, config: &PlanConfig, now: Mono, sample: &Sample) {
        while self.moved.front().is_some_and(|moved| now.since(moved.at) > config.back_within) {
            self.moved.pop_front();
        }
        let there = |slice: SliceId| sample.slices.iter().any(|now| now.slice == slice);
        if self.frozen.len() > MOST_REMEMBERED || self.cold.len() > sample.slices.len() {
            self.frozen.retain(|slice, _| there(*slice));
            self.cold.retain(|slice, _| there(*slice));
        }
    }
}

const fn last(ticks: u32) -> u32 {
    if ticks >= 32 { u32::MAX } else { (1 << ticks) - 1 }
}

const fn run(bits: u32) -> u32 {
    bits.trailing_ones()
}

/// Moves that are remembered: over two a second in half an hour. Source: ours.
const MOST_REMEMBERED: usize = 4_096;
const MOST_TRIALS: usize = 64;
const MOST_CHANGES: usize = 16;
/// Utilization from which on nobody knows how much more there is. Source: ours.
const SATURATED: f64 = 0.98;
/// When a move's gain shows in utilizations that are means of ten seconds. Source: ours.
const MEASURED_AFTER: Span = Span::from_secs(30);
/// What of a part of the space is its hot set: what it has over so many times the mean. Source: ours.
const HOT_PART: f64 = 1.5;
/// A hot set of less of all load is none. Source: ours; a slice that is worth an action is 2 % of its worker.
const LEAST_HOT: f64 = 0.02;
/// Looks within this time after a change are of the same one. Source: ours, one and a half half-lives of heat.
const ONE_CHANGE: Span = Span::from_secs(15);
const LOOKED_EVERY: Span = Span::from_secs(5);
const PARTS: usize = 64;
const PART_BITS: u32 = 58;
