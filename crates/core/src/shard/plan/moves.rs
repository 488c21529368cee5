//! Which slice goes where: what is in the way of a move, and which one helps most.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::config::PlanConfig;
use super::memory::Memory;
use super::reason::Reason;
use super::sample::{Action, Sample, SliceNow};
use crate::shard::records::SliceId;
use crate::time::{Mono, Span};
use crate::worker::WorkerId;

/// What may still be done in this second, and what workers will carry once all that is under way is done.
pub(super) struct Ledger<'a> {
    config: &'a PlanConfig,
    now: Mono,
    memory: &'a Memory,
    /// What workers give away is off them.
    carries: BTreeMap<WorkerId, f64>,
    /// What workers get counts twice: it may be hotter than it looks, and copying costs.
    room: BTreeMap<WorkerId, f64>,
    moving: BTreeSet<SliceId>,
    pairs: Vec<(WorkerId, WorkerId)>,
    minute: f64,
    all: f64,
    slices: usize,
    reshapes: usize,
    workers: usize,
    /// Slices that this second's plan would have sent back.
    froze: Vec<SliceId>,
}

/// What would be done, and by how much it relieves.
pub(super) struct Best {
    pub(super) action: Action,
    pub(super) gain: f64,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(config: &'a PlanConfig, memory: &'a Memory, now: Mono, sample: &Sample) -> Self {
        let carries: BTreeMap<_, _> = sample.workers.iter().map(|worker| (worker.worker, worker.utilization)).collect();
        let healthy = sample.workers.iter().filter(|worker| worker.heard && worker.healthy);
        let last_minute = memory.moved.iter().filter(|moved| now.since(moved.at) < MINUTE);
        let mut ledger = Self {
            config,
            now,
            memory,
            room: healthy.map(|worker| (worker.worker, worker.utilization)).collect(),
            moving: BTreeSet::new(),
            pairs: Vec::new(),
            minute: last_minute.map(|moved| moved.load).sum(),
            all: carries.values().sum(),
            carries,
            slices: sample.slices.len(),
            reshapes: 0,
            workers: sample.workers.len(),
            froze: Vec::new(),
        };
        let loads: BTreeMap<SliceId, f64> = sample.slices.iter().map(|slice| (slice.slice, slice.load)).collect();
        for going in &sample.moves {
            ledger.go(going.slice, loads.get(&going.slice).copied().unwrap_or(0.0), going.from, going.to);
        }
        ledger
    }

    fn go(&mut self, slice: SliceId, load: f64, from: WorkerId, to: WorkerId) {
        self.moving.insert(slice);
        self.pairs.push((from, to));
        if let Some(carries) = self.carries.get_mut(&from) {
            *carries -= load;
        }
        if let Some(room) = self.room.get_mut(&to) {
            *room += 2.0 * load;
        }
    }

    /// Takes down what this second's plan does.
    pub(super) fn take(&mut self, action: Action, sample: &Sample) {
        let load = |id: SliceId| sample.slices.iter().find(|slice| slice.slice == id).map_or(0.0, |slice| slice.load);
        match action {
            Action::Move { slice, from, to } => {
                self.minute += load(slice);
                self.go(slice, load(slice), from, to);
            }
            Action::Swap { slice, from, to, back } => {
                self.minute += load(slice) + load(back);
                self.go(slice, load(slice) - load(back), from, to);
                self.moving.insert(back);
            }
            Action::Split { slice, .. } => self.reshape(&[slice], 1),
            Action::Isolate { slice, .. } => self.reshape(&[slice], 2),
            Action::Merge { left, right } => self.reshape(&[left, right], 0),
        }
    }

    fn reshape(&mut self, touched: &[SliceId], more: usize) {
        self.reshapes += 1;
        self.slices += more;
        self.moving.extend(touched);
    }

    /// What a worker will carry.
    pub(super) fn carries(&self, worker: WorkerId) -> f64 {
        self.carries.get(&worker).copied().unwrap_or(0.0)
    }

    /// What is in the way of touching a slice.
    pub(super) fn held(&self, slice: &SliceNow) -> Option<Reason> {
        if self.moving.contains(&slice.slice) {
            return Some(Reason::Moving);
        }
        if self.memory.frozen.get(&slice.slice).is_some_and(|(until, _)| self.now < *until) {
            return Some(Reason::Frozen);
        }
        let rest = self.config.rest_after_move;
        let moved = |slice: &SliceNow| {
            let mut late = self.memory.moved.iter().rev().take_while(|moved| self.now.since(moved.at) < rest);
            late.any(|moved| moved.range.overlap(slice.range).is_some())
        };
        moved(slice).then_some(Reason::Resting)
    }

    /// What is in the way of another split or merge.
    pub(super) fn no_reshape(&self, more: usize) -> Option<Reason> {
        let most = (self.config.slices_per_worker * self.workers).min(crate::shard::table::MOST_SLICES);
        if self.reshapes >= self.config.reshapes_per_tick {
            Some(Reason::TickSpent)
        } else {
            (more > 0 && self.slices + more > most).then_some(Reason::SliceCap)
        }
    }

    /// How many slices there will be.
    pub(super) fn count(&self) -> usize {
        self.slices
    }

    /// Two slices became one.
    pub(super) fn merged(&mut self) {
        self.slices -= 1;
    }

    /// Whether a worker is hot or out of balance, by its last seconds.
    pub(super) fn is_hot(&self, worker: WorkerId) -> bool {
        self.memory.is_hot(self.config, worker) || self.memory.is_over(self.config, worker)
    }

    /// Whether workers were being balanced before this second.
    pub(super) fn was_balancing(&self) -> bool {
        self.memory.balancing
    }

    /// A slice is not touched any more in this second's plan, and for a while after it.
    pub(super) fn freeze(&mut self, slice: SliceId) {
        self.froze.push(slice);
        self.moving.insert(slice);
    }

    /// Slices that were frozen in this second's plan.
    pub(super) fn frozen(&self) -> Vec<SliceId> {
        self.froze.clone()
    }

    /// What is in the way of another move of this worker.
    pub(super) fn no_move(&self, from: WorkerId) -> Option<Reason> {
        let busy = |worker| self.pairs.iter().filter(|(one, other)| *one == worker || *other == worker).count();
        let at_most = self.workers as f64 * self.config.moving_part;
        let most = (1..=self.workers).take_while(|count| *count as f64 <= at_most).last().unwrap_or(1);
        if busy(from) >= self.config.moves_per_worker {
            Some(Reason::WorkerBusy)
        } else if self.pairs.len() >= most {
            Some(Reason::AllBusy)
        } else {
            (self.minute >= self.config.per_minute * self.all && self.minute > 0.0).then_some(Reason::MinuteSpent)
        }
    }

    /// Where a worker's slices may go, the emptiest first.
    fn targets(&self, from: WorkerId) -> Vec<(WorkerId, f64)> {
        let busy = |worker| self.pairs.iter().filter(|(one, other)| *one == worker || *other == worker).count();
        let pair = |to| self.pairs.iter().any(|pair| *pair == (from, to) || *pair == (to, from));
        let mut targets: Vec<_> = self.room.iter().map(|(worker, room)| (*worker, *room)).collect();
        targets.retain(|(to, _)| *to != from && !pair(*to) && busy(*to) < self.config.moves_per_worker);
        targets.sort_by(|one, other| one.1.total_cmp(&other.1));
        targets
    }

    /// The move or swap that brings a worker nearest to the mean without overshooting; else why there is none.
    pub(super) fn best(
        &self,
        from: WorkerId,
        mean: f64,
        slices: &[&SliceNow],
        sample: &Sample,
    ) -> Result<Best, Reason> {
        let need = self.carries(from) - mean;
        let targets = self.targets(from);
        let Some((to, room)) = targets.first().copied() else { return Err(Reason::PairBusy) };
        let goal = mean * (1.0 + self.config.settled);
        if room >= mean {
            return Err(Reason::NoRoom);
        }
        let load = self.carries(from);
        let free: Vec<&SliceNow> = slices.iter().copied().filter(|slice| self.held(slice).is_none()).collect();
        if free.is_empty() {
            return Err(slices.first().and_then(|slice| self.held(slice)).unwrap_or(Reason::TooSmall));
        }
        let large: Vec<&SliceNow> =
            free.iter().copied().filter(|slice| slice.load >= self.config.least_slice * load).collect();
        let small = || free.iter().copied().filter(|slice| slice.load >= self.config.least_slice * load / SMALLEST);
        // Small slices are worth it where no larger one helps.
        let found = self
            .fits(&large, (need, goal - room))
            .or_else(|| self.fits(&small().collect::<Vec<_>>(), (need, goal - room)));
        if let Some(slice) = found {
            self.paid(slice.bytes, slice.load)?;
            return Ok(Best { action: Action::Move { slice: slice.slice, from, to }, gain: slice.load });
        }
        if large.is_empty() {
            return Err(Reason::TooSmall);
        }
        self.swap(from, (to, goal - room), need, &large, sample)
    }

    /// The heaviest slice that fits into need and room, and of those almost as heavy the one with the fewest bytes.
    fn fits<'s>(&self, slices: &[&'s SliceNow], (need, room): (f64, f64)) -> Option<&'s SliceNow> {
        let fitting = || slices.iter().filter(|slice| slice.load <= need.min(room));
        let heaviest = fitting().map(|slice| slice.load).fold(0.0, f64::max);
        let alone = |slice: &&&SliceNow| {
            let spent = self.minute + slice.load > self.config.per_minute * self.all;
            !spent || self.minute <= 0.0
        };
        let near = fitting().filter(|slice| slice.load >= ALMOST * heaviest).filter(alone);
        near.min_by_key(|slice| slice.bytes).copied()
    }

    fn swap(
        &self,
        from: WorkerId,
        (to, room): (WorkerId, f64),
        need: f64,
        slices: &[&SliceNow],
        sample: &Sample,
    ) -> Result<Best, Reason> {
        let theirs = sample.slices.iter().filter(|slice| slice.owner == to && self.held(slice).is_none());
        let theirs: Vec<&SliceNow> = theirs.collect();
        let mut best: Option<(f64, &SliceNow, &SliceNow)> = None;
        for ours in slices.iter().take(SWAPPED) {
            for back in &theirs {
                let gain = ours.load - back.load;
                let helps = gain <= need.min(room) && gain >= self.config.least_slice * self.carries(from);
                if helps && best.is_none_or(|(most, ..)| gain > most) {
                    best = Some((gain, ours, back));
                }
            }
        }
        let (gain, ours, back) = best.ok_or(Reason::Overshoots)?;
        self.paid(ours.bytes + back.bytes, gain)?;
        Ok(Best { action: Action::Swap { slice: ours.slice, from, to, back: back.slice }, gain })
    }

    /// Whether a move gains enough for what it costs, and is over before the hot set is another one.
    fn paid(&self, bytes: u64, gain: f64) -> Result<(), Reason> {
        let takes = self.config.move_takes(bytes);
        let half_life = self.memory.half_life(self.config, self.now);
        let least = seconds(self.config.detect + takes) * self.config.lasting;
        if half_life.is_some_and(|half_life| seconds(half_life) < least) {
            return Err(Reason::PatternFasterThanRebalance);
        }
        let half = half_life.map_or(f64::INFINITY, |half_life| seconds(half_life) / 2.0);
        let horizon = seconds(self.config.horizon).min(half);
        let cost = 2.0 * self.config.copy_load * seconds(takes);
        if gain * horizon < self.config.benefit * cost { Err(Reason::CostsMore) } else { Ok(()) }
    }

    /// Which slices of an action would be back where they were a short time ago.
    pub(super) fn back(&self, action: Action, sample: &Sample) -> Vec<SliceId> {
        let was_at = |id: SliceId, to: WorkerId| {
            let range = sample.slices.iter().find(|slice| slice.slice == id).map(|slice| slice.range);
            let late = self.memory.moved.iter().filter(|moved| self.now.since(moved.at) < self.config.back_within);
            late.filter(|moved| moved.from == to)
                .any(|moved| range.is_some_and(|range| moved.range.overlap(range).is_some()))
        };
        let moves = match action {
            Action::Move { slice, to, .. } => [Some((slice, to)), None],
            Action::Swap { slice, from, to, back } => [Some((slice, to)), Some((back, from))],
            Action::Split { .. } | Action::Isolate { .. } | Action::Merge { .. } => [None, None],
        };
        moves.into_iter().flatten().filter(|(slice, to)| was_at(*slice, *to)).map(|(slice, _)| slice).collect()
    }
}

fn seconds(span: Span) -> f64 {
    span.as_nanos() as f64 / 1e9
}

const MINUTE: Span = Span::from_secs(60);
/// Slices of at least this part of the heaviest that fits are as good. Source: ours.
const ALMOST: f64 = 0.9;
/// Of the hottest slices of a worker, so many are looked at for a swap. Source: ours; bounds the pairs of a tick.
const SWAPPED: usize = 16;
/// How much under the least slice that is worth an action one may be where no larger one helps. Source: measured, `shardcheck plan`:
/// beside a hot key that fills half of its worker, all others are small, and they are what must go.
const SMALLEST: f64 = 8.0;
