//! Which tool for which hot spot.

use alloc::vec::Vec;

use super::memory::Memory;
use super::reason::Reason;
use super::sample::{Action, SliceNow, Subject};
use super::{Ordering, Plan};
use crate::shard::space::Point;
use crate::worker::WorkerId;

impl Plan<'_> {
    /// Relieves workers that are hot or out of balance, the hottest first.
    pub(super) fn balance(&mut self, memory: &mut Memory) {
        let begins = |worker: &WorkerId| self.ledger.is_hot(*worker);
        let mut workers: Vec<WorkerId> =
            self.sample.workers.iter().filter(|worker| worker.heard).map(|worker| worker.worker).collect();
        workers.sort_by(|one, other| self.ledger.carries(*other).total_cmp(&self.ledger.carries(*one)));
        let level = self.mean * (1.0 + self.config.settled);
        let highest = workers.first().map_or(0.0, |worker| self.ledger.carries(*worker));
        let hot: Vec<WorkerId> = workers.iter().copied().filter(begins).collect();
        let matters = highest > level && highest >= self.config.least_max;
        let balancing = matters && (self.ledger.was_balancing() || !hot.is_empty());
        for worker in workers {
            let is_hot = hot.contains(&worker);
            if is_hot || (balancing && self.ledger.carries(worker) > level) {
                let reason = if is_hot { Reason::WorkerHot } else { Reason::OutOfBalance };
                self.relieve(worker, reason);
            }
        }
        let frozen = self.ledger.frozen();
        memory.balancing = balancing;
        for slice in frozen {
            let (_, times) = memory.frozen.get(&slice).copied().unwrap_or_default();
            let until = self.now + self.config.frozen_for.times(1 << times.min(10));
            memory.frozen.insert(slice, (until, times + 1));
        }
    }

    fn relieve(&mut self, worker: WorkerId, reason: Reason) {
        let sample = self.sample;
        let mut slices: Vec<&SliceNow> = sample.slices.iter().filter(|slice| slice.owner == worker).collect();
        slices.sort_by(|one, other| other.load.total_cmp(&one.load));
        let load: f64 = slices.iter().map(|slice| slice.load).sum();
        let subject = Subject::Worker(worker);
        let Some(first) = slices.first() else { return self.nothing(subject, Reason::TooSmall, load) };
        let mut reshaped = false;
        for slice in slices.iter().take(LOOKED_AT) {
            reshaped |= self.cut(slice, load);
        }
        if reshaped {
            return;
        }
        if first.load > self.config.key_too_hot && is_one_key(first) {
            let salted = self.config.merges_values && self.config.ordering != Ordering::PerShard;
            let reason = if salted { Reason::SaltWanted } else { Reason::KeyTooHot };
            self.nothing(Subject::Slice(first.slice), reason, first.load);
        }
        let carries = self.ledger.carries(worker);
        if carries <= self.mean * (1.0 + self.config.settled) {
            // It is hot, as all others are, or will not be once its moves are over.
            let waits = sample.moves.iter().any(|going| going.from == worker);
            return self.nothing(subject, if waits { Reason::Moving } else { Reason::NoRoom }, carries);
        }
        if let Some(reason) = self.ledger.no_move(worker) {
            return self.nothing(subject, reason, carries);
        }
        match self.ledger.best(worker, self.mean, &slices, sample) {
            Ok(best) => {
                let back = self.ledger.back(best.action, sample);
                if back.is_empty() {
                    return self.act(subject, best.action, reason, carries, best.gain);
                }
                for slice in back {
                    self.ledger.freeze(slice);
                    self.nothing(Subject::Slice(slice), Reason::BackAndForth, carries);
                }
            }
            Err(reason) => self.nothing(subject, reason, carries),
        }
    }

    /// Splits a slice, or isolates its hottest key, where either is called for; says whether.
    fn cut(&mut self, slice: &SliceNow, load: f64) -> bool {
        let share = slice.load / load.max(f64::MIN_POSITIVE);
        let subject = Subject::Slice(slice.slice);
        let hot_key = slice.hottest.filter(|(_, part)| {
            let of_worker = part * slice.load;
            let matters = slice.load >= self.config.least_slice * load;
            matters && (*part >= self.config.key_of_slice || of_worker >= self.config.key_of_worker * load)
        });
        let key = hot_key.map(|(key, _)| key).filter(|_| !is_one_key(slice));
        let wanted = key.is_some() || share > self.config.split_over;
        if !wanted {
            return false;
        }
        let refused = if is_one_key(slice) {
            Some(Reason::OneKey)
        } else if let Some(reason) = self.config.split_refused() {
            Some(reason)
        } else if key.is_none() && slice.last_part > self.config.monotone {
            Some(Reason::MonotoneKeys)
        } else {
            self.ledger.held(slice).filter(|reason| *reason != Reason::Resting)
        };
        let more = if key.is_some() { 2 } else { 1 };
        if let Some(reason) = refused.or_else(|| self.ledger.no_reshape(more)) {
            self.nothing(subject, reason, slice.load);
            return false;
        }
        match (key, slice.middle.and_then(|middle| inside(slice, middle))) {
            (Some(key), _) => {
                self.act(subject, Action::Isolate { slice: slice.slice, key }, Reason::KeyHot, slice.load, 0.0);
            }
            (None, Some(at)) => {
                self.act(subject, Action::Split { slice: slice.slice, at }, Reason::SliceHot, slice.load, 0.0);
            }
            (None, None) => {
                self.nothing(subject, Reason::OneKey, slice.load);
                return false;
            }
        }
        true
    }

    /// Splits for a time that is known, and where a forecast says that one slice will be too much.
    pub(super) fn presplit(&mut self) {
        let sample = self.sample;
        let due = |plan: &&super::Presplit| plan.from <= self.now && self.now < plan.until;
        let points: Vec<Point> = sample.presplits.iter().filter(due).flat_map(|plan| plan.points.clone()).collect();
        for at in points {
            let slice = sample.slices.iter().find(|slice| slice.range.contains(at) && slice.range.first() != at);
            if let Some(slice) = slice {
                self.split_early(slice, at, Reason::Scheduled);
            }
        }
        for slice in &sample.slices {
            let Some(forecast) = slice.forecast.filter(|forecast| *forecast > slice.load) else { continue };
            let others = sample.slices.iter().filter(|other| other.owner == slice.owner);
            let all: f64 = others.map(|other| other.forecast.unwrap_or(other.load)).sum();
            let hot = all >= self.config.warm && forecast > self.config.split_over * all;
            if let Some(at) = slice.middle.and_then(|middle| inside(slice, middle)).filter(|_| hot) {
                self.split_early(slice, at, Reason::Forecast);
            }
        }
    }

    fn split_early(&mut self, slice: &SliceNow, at: Point, reason: Reason) {
        let held = self.ledger.held(slice).filter(|reason| *reason != Reason::Resting);
        let refused = self.config.split_refused().or(held).or_else(|| self.ledger.no_reshape(1));
        let subject = Subject::Slice(slice.slice);
        match refused {
            Some(refused) => self.nothing(subject, refused, slice.load),
            None => self.act(subject, Action::Split { slice: slice.slice, at }, reason, slice.load, 0.0),
        }
    }
}

fn is_one_key(slice: &SliceNow) -> bool {
    slice.range.points() == 1
}

/// A point of a slice that both parts of it are left by: the nearest to this one.
fn inside(slice: &SliceNow, at: Point) -> Option<Point> {
    let at = at.max(Point(slice.range.first().0.checked_add(1)?));
    slice.range.split_at(at).map(|_| at)
}

/// Of a worker's slices, so many of the hottest are looked at for a cut: five at most can each be over a fifth of it. Source: ours.
const LOOKED_AT: usize = 8;
