//! The breakers of one seat: which workers of a pool are kept out, so that failing ones are and the pool is not.
//!
//! ```text
//! at most a third of the pool is kept out at once (one always may be): a fault that hits all is not the workers'
//! under half of the pool usable: nobody is kept out (panic); failing requests beat none being tried
//! ```
//! Kept by [`WorkerId`] through all views: a changed weight or a worker that joins must not close a breaker. A seat
//! asks at each request, and while no breaker is in trouble that costs one comparison.
//!
//! A probe is sent, not waited for: the picks price what failed so high that it would not be asked again for a minute.
//! It is the first try of a request, so that another worker can still answer if it fails.
//!
//! The only worker of a pool is asked even while its breaker is open (panic), unless it was opened by an absolute
//! latency: whoever sets that says that no answer, or a fallback, is better than a late one.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::draw::Draw;
use crate::guard::breaker::{Breaker, BreakerConfig, BreakerState, Cause, Change, Room, Trip, Verdict};
use crate::guard::pace::{Medians, Pace, Usual};
use crate::load::{Cells, Outcome};
use crate::stats::ring::Counts;
use crate::time::Mono;
use crate::view::{Arm, PoolView};
use crate::worker::WorkerId;

mod told;
mod watch;

pub use told::{Panic, RECENT, Shift, Told, Transition};
pub use watch::Ended;

/// All breakers of a seat.
#[derive(Debug)]
pub struct Breakers {
    seat: usize,
    revision: Option<u64>,
    config: BreakerConfig,
    /// By slot of the revision.
    entries: Vec<Entry>,
    /// Slots whose breaker is not closed.
    troubled: Vec<usize>,
    /// There are some, or there were at the last [`admit`](Self::admit).
    in_trouble: bool,
    /// Workers with a configured weight, and with a learned one.
    configured: usize,
    learned: usize,
    kept_out: Vec<u64>,
    /// Those of them that are kept out only by the lot of their ramp.
    by_lot: Vec<u64>,
    panic: bool,
    /// What was told last of panic, by arm.
    panicked: [bool; 2],
    untold: told::Untold,
    /// What requests usually take, and the workers' typical pace beside it in the last window.
    usual: Usual,
    typical: Option<f64>,
    window_ends: Option<Mono>,
    /// What all workers did in ten seconds, and when that was counted.
    all_outcomes: Option<(Mono, Counts)>,
    /// Of the last window and of this one, kept for their memory.
    medians: [Medians; 2],
}

#[derive(Clone, Debug)]
struct Entry {
    worker: WorkerId,
    cells: Arc<Cells>,
    breaker: Breaker,
    /// What opened it last.
    opened_by: Option<Trip>,
    pace: Pace,
    /// Its pace was judged at this window's end.
    judged: bool,
    /// When a trigger that only watches last said something.
    observed: Option<Mono>,
    /// When it was last told that the pool has no room for it.
    refused: Option<Mono>,
}

/// A probe that should be sent instead of a pick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// To this worker.
    pub slot: usize,
    /// Its number.
    pub serial: u16,
}

impl Breakers {
    /// Closed breakers, of a seat that publishes in this place of the workers' [`Cells`].
    #[must_use]
    pub fn new(seat: usize) -> Self {
        Self {
            seat,
            revision: None,
            config: BreakerConfig::default(),
            entries: Vec::new(),
            troubled: Vec::new(),
            in_trouble: false,
            configured: 0,
            learned: 0,
            kept_out: Vec::new(),
            by_lot: Vec::new(),
            panic: false,
            panicked: [false; 2],
            untold: told::Untold::default(),
            usual: Usual::default(),
            typical: None,
            window_ends: None,
            all_outcomes: None,
            medians: <[Medians; 2]>::default(),
        }
    }

    /// Prepares for one request's pick: afterwards [`kept_out`](Self::kept_out) says who must not be asked. With
    /// `may_probe`, a probe that is due comes back; the request must then be sent as that probe.
    pub fn admit(&mut self, now: Mono, pool: &PoolView, arm: Arm, may_probe: bool, draw: &mut Draw) -> Option<Probe> {
        self.follow(pool);
        if !self.in_trouble {
            return None;
        }
        if self.troubled.is_empty() {
            self.calm(now);
            return None;
        }
        for words in [&mut self.kept_out, &mut self.by_lot] {
            words.clear();
            words.resize(self.entries.len().div_ceil(64), 0);
        }
        let weights = pool.arm(arm);
        let (mut lost, mut due, mut settled) = (0, None, false);
        for at in 0..self.troubled.len() {
            let slot = self.troubled[at];
            let entry = &mut self.entries[slot];
            if let Some(change) = entry.breaker.settle(now, &self.config) {
                self.record(now, slot, change);
                settled = true;
                continue;
            }
            let (word, bit) = (slot / 64, 1 << (slot % 64));
            match entry.breaker.admit(now, &self.config) {
                Verdict::Pass => {}
                Verdict::Part(share) if draw.unit() < share.get() => {}
                Verdict::Part(_) => self.by_lot[word] |= bit,
                verdict @ (Verdict::Probe | Verdict::Refuse { .. }) => {
                    self.kept_out[word] |= bit;
                    let weighty = weights.at(slot) > 0.0;
                    lost += usize::from(weighty);
                    if verdict == Verdict::Probe && weighty {
                        due = due.or(Some(slot));
                    }
                }
            }
        }
        if settled {
            self.list_troubled();
        }
        let weighty = match arm {
            Arm::Learned => Some(self.learned),
            Arm::Fixed => Some(self.configured),
            // Requests of a path on trial that finds nobody go the stable way: there is nothing to ignore.
            Arm::Path => None,
        };
        let panics = |weighty: usize| self.config.panics(weighty - lost, self.configured) && !self.is_late_alone();
        self.panic = weighty.is_some_and(panics);
        if let Some(weighty) = weighty.filter(|_| self.panic != self.panicked[arm as usize]) {
            self.panicked[arm as usize] = self.panic;
            self.tell_panic(now, self.panic, weighty - lost);
        }
        if self.panic {
            self.kept_out.fill(0);
        }
        for (out, lot) in self.kept_out.iter_mut().zip(&self.by_lot) {
            *out |= lot;
        }
        let slot = due.filter(|_| may_probe)?;
        let (serial, change) = self.entries[slot].breaker.probe(now, &self.config);
        if let Some(change) = change {
            self.record(now, slot, change);
        }
        Some(Probe { slot, serial })
    }

    /// Who must not be asked, one bit a slot, since the last [`admit`](Self::admit).
    #[must_use]
    pub fn kept_out(&self) -> &[u64] {
        if self.troubled.is_empty() { &[] } else { &self.kept_out }
    }

    /// Lets those in whom only the lot of their ramp kept out, for a request that found nobody else. Whether there
    /// were any.
    pub fn soften(&mut self) -> bool {
        let mut any = false;
        for (out, lot) in self.kept_out.iter_mut().zip(&mut self.by_lot) {
            any |= *lot != 0;
            *out &= !*lot;
            *lot = 0;
        }
        any && !self.troubled.is_empty()
    }

    /// Whether the breaker of this slot keeps every ordinary request out, as of the last [`admit`](Self::admit).
    #[must_use]
    pub fn ejects(&self, slot: usize) -> bool {
        !self.panic && self.entries.get(slot).is_some_and(Entry::is_out)
    }

    /// Hears how a request to a worker ended; `slot` is where it was when the request was sent.
    pub fn outcome(
        &mut self,
        now: Mono,
        slot: usize,
        worker: WorkerId,
        probe: Option<u16>,
        ended: impl Into<Ended>,
        draw: &mut Draw,
    ) {
        let ended = ended.into();
        let there = self.entries.get(slot).is_some_and(|entry| entry.worker == worker);
        let slot = if there { Some(slot) } else { self.entries.iter().position(|entry| entry.worker == worker) };
        let Some(slot) = slot else { return };
        let room = if ended.outcome == Outcome::Good { Room { out: 0, most: 0 } } else { self.room() };
        let slow = probe.and_then(|serial| Some((serial, self.too_slow_for_a_probe(slot, ended)?)));
        let breaker = &mut self.entries[slot].breaker;
        let change = match slow {
            Some((serial, by)) => breaker.slow_probe(now, serial, by, &self.config, draw.unit()),
            None => breaker.on(now, probe, ended.outcome, &self.config, room, draw.unit()),
        };
        if let Some(change) = change {
            self.changed(now, slot, change);
        }
        self.watch(now, slot, ended, draw);
    }

    fn room(&self) -> Room {
        let out = self.entries.iter().filter(|entry| entry.is_out()).count();
        Room { out: small(out), most: small(self.config.room(self.configured)) }
    }

    /// Whether the pool has one worker, which an absolute latency keeps out.
    fn is_late_alone(&self) -> bool {
        let late = |entry: &Entry| entry.is_out() && matches!(entry.opened_by, Some(Trip::Late { .. }));
        self.configured == 1 && self.config.pace.slow_over.is_some() && self.entries.iter().any(late)
    }

    fn changed(&mut self, now: Mono, slot: usize, change: Change) {
        let window = self.config.pace.window;
        let entry = &mut self.entries[slot];
        match change.cause {
            // A worker that comes back slow is as slow as it was: the limit that it was opened by stays its limit.
            Cause::Tripped { by: Trip::SlowProbe { .. } | Trip::Probe, .. } => {}
            Cause::Tripped { by, .. } => entry.opened_by = Some(by),
            Cause::Observed { .. } | Cause::Refused { .. } => {
                // Each failure would say it again: once a window is enough.
                let refused = matches!(change.cause, Cause::Refused { .. });
                let told = if refused { &mut entry.refused } else { &mut entry.observed };
                let lately = told.is_some_and(|then| now < then + window);
                if !lately && !matches!(change.from, BreakerState::Open | BreakerState::Probing) {
                    *told = Some(now);
                    self.record(now, slot, change);
                }
                return;
            }
            Cause::Cooled | Cause::Probed { .. } | Cause::Ramped => {}
        }
        if change.to == BreakerState::Ramping {
            entry.cells.load.renew();
            entry.pace = Pace::default();
        }
        self.record(now, slot, change);
        self.list_troubled();
    }

    /// Takes the oldest transition that was not taken yet. Only the newest [`RECENT`] are kept.
    pub fn take_transition(&mut self) -> Option<Transition> {
        self.untold.take()
    }

    /// No breaker is in trouble any more: there is nothing left to ignore.
    #[cold]
    fn calm(&mut self, now: Mono) {
        self.in_trouble = false;
        if self.panicked != [false; 2] {
            self.panicked = [false; 2];
            self.tell_panic(now, false, self.configured);
        }
    }

    #[cold]
    fn tell_panic(&mut self, now: Mono, on: bool, usable: usize) {
        let (usable, of, under) = (small(usable), small(self.configured), self.config.panic_under());
        self.untold.push(now, Shift::Panic(Panic { on, usable, of, under }));
    }

    /// Takes over the workers of the view, if it is a new one.
    fn follow(&mut self, pool: &PoolView) {
        if self.revision == Some(pool.revision) {
            return;
        }
        self.revision = Some(pool.revision);
        self.config = pool.breaker;
        let weighty =
            |weights: &crate::view::Weights| weights.as_slice().iter().filter(|weight| **weight > 0.0).count();
        (self.configured, self.learned) = (weighty(&pool.fixed), weighty(&pool.learned));
        let same = self.entries.len() == pool.workers.len()
            && self.entries.iter().zip(&pool.workers).all(|(entry, worker)| entry.worker == worker.id);
        if same {
            return;
        }
        let mut known = core::mem::take(&mut self.entries);
        known.sort_unstable_by_key(|entry| entry.worker);
        let entry = |worker: &crate::view::WorkerView| {
            let cells = Arc::clone(&worker.cells);
            match known.binary_search_by_key(&worker.id, |entry| entry.worker) {
                Ok(at) => Entry { cells, ..known[at].clone() },
                Err(_) => Entry::new(worker.id, cells),
            }
        };
        self.entries = pool.workers.iter().map(entry).collect();
        self.list_troubled();
    }

    fn list_troubled(&mut self) {
        self.troubled.clear();
        let troubled = |(_, entry): &(usize, &Entry)| entry.breaker.state() != BreakerState::Closed;
        self.troubled.extend(self.entries.iter().enumerate().filter(troubled).map(|(slot, _)| slot));
        self.in_trouble |= !self.troubled.is_empty();
    }

    fn record(&mut self, now: Mono, slot: usize, change: Change) {
        let entry = &self.entries[slot];
        if change.from != change.to {
            entry.cells.publish_breaker(self.seat, change.to);
        }
        self.untold.push(now, Shift::Breaker { worker: entry.worker, change });
    }
}

impl Entry {
    fn new(worker: WorkerId, cells: Arc<Cells>) -> Self {
        let (breaker, pace) = (Breaker::default(), Pace::default());
        Self { worker, cells, breaker, opened_by: None, pace, judged: false, observed: None, refused: None }
    }

    fn is_out(&self) -> bool {
        matches!(self.breaker.state(), BreakerState::Open | BreakerState::Probing)
    }
}

fn small(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
