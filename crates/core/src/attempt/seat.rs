//! What one thread keeps for one pool, and lends to the machine for the time of one event.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::Asked;
use super::config::RouteId;
use super::pickers::Pickers;
use crate::again::adaptive::Adaptive;
use crate::again::memory::Memory;
use crate::balance::{Ask, Barred, Pick, PickPolicy, PickReason};
use crate::draw::Draw;
use crate::guard::bulkhead::BulkheadConfig;
use crate::guard::ejection::{Breakers, Ended, Transition};
use crate::guard::pool::Kept;
use crate::guard::throttle::Throttle;
use crate::time::{Mono, Span};
use crate::view::{Arm, PoolView};

/// What one thread keeps for one pool. The shell decides whether it sits behind a lock (clients) or in a thread
/// (gateway).
#[derive(Debug)]
pub struct Seat {
    /// Which tally of each worker this seat writes.
    pub index: usize,
    pickers: Pickers,
    breakers: Breakers,
    pub(super) draw: Draw,
    pub(super) throttle: Throttle,
    /// Who must not be asked by breakers and bulkheads, while one pick lasts.
    closed: Vec<u64>,
    /// By route. Only routes that want to know have one.
    memories: Vec<(RouteId, Box<Memory>)>,
}

/// What the machine works with while it handles one event.
#[derive(Debug)]
pub struct Desk<'a> {
    /// The pool, in the one view that this request reads.
    pub pool: &'a PoolView,
    /// The thread's own state.
    pub seat: &'a mut Seat,
}

impl Seat {
    /// A fresh seat. `index` names the tally that it alone writes; `seed` must differ between seats.
    #[must_use]
    pub fn new(index: usize, policy: PickPolicy, seed: u64) -> Self {
        let (pickers, breakers) = (Pickers::new(policy), Breakers::new(index));
        Self {
            index,
            pickers,
            breakers,
            draw: Draw::seeded(seed),
            throttle: Throttle::default(),
            closed: Vec::new(),
            memories: Vec::new(),
        }
    }

    /// Hears how the try of `pick` ended, once for each [`Effect::Send`](super::Effect::Send): what the breaker of its
    /// worker goes by. The worker's own [`Load::observe`](crate::load::Load::observe) is the caller's to tell.
    pub fn outcome(&mut self, now: Mono, pick: Pick, ended: impl Into<Ended>) {
        let probe = if let PickReason::Probe { serial } = pick.why { Some(serial) } else { None };
        self.breakers.outcome(now, pick.slot, pick.worker, probe, ended, &mut self.draw);
    }

    /// Takes the oldest change of a breaker that was not taken yet, for logs and events.
    pub fn take_transition(&mut self) -> Option<Transition> {
        self.breakers.take_transition()
    }

    /// What is remembered of a route; made when it is asked for first. Beyond [`MOST_ROUTES`] routes share one.
    pub fn memory(&mut self, route: RouteId) -> &mut Memory {
        let at = match self.memories.binary_search_by_key(&route, |(known, _)| *known) {
            Ok(at) => at,
            Err(at) if self.memories.len() < MOST_ROUTES => {
                self.memories.insert(at, (route, Box::default()));
                at
            }
            Err(at) => at.min(MOST_ROUTES - 1),
        };
        &mut self.memories[at].1
    }

    /// The deadline of a request that arrives now on a route whose deadline follows what it takes.
    pub fn deadline(&mut self, now: Mono, route: RouteId, adaptive: &Adaptive) -> Span {
        adaptive.deadline(self.memory(route).quantile(now, adaptive.quantile))
    }

    /// Picks a worker for a try, and counts where a request that came from a zone went first.
    pub(super) fn pick(
        &mut self,
        now: Mono,
        pool: &PoolView,
        arm: Arm,
        tried: &[usize],
        asked: Asked,
    ) -> Result<Pick, Nobody> {
        // A path on trial is asked as a whole, wherever its workers are.
        let homed = pool.zones().zip(asked.home).filter(|_| arm != Arm::Path);
        let zone = homed.and_then(|(zones, home)| match tried.len() {
            // One that failed is no sign of its zone; a second one is.
            0 | 1 => zones.draw(home, &mut self.draw),
            2.. => zones.elsewhere(home, arm, &mut self.draw),
        });
        let wants = Wants { key: asked.key, zone, cost: asked.cost };
        let picked = self.choose(now, pool, arm, tried, wants)?;
        if let Some((zones, home)) = homed.filter(|_| tried.is_empty()) {
            zones.count(home, picked.slot);
        }
        Ok(picked)
    }

    /// In `zone`, if the request is to be served in one and somebody there may be asked; else anywhere.
    #[inline]
    fn choose(&mut self, now: Mono, pool: &PoolView, arm: Arm, tried: &[usize], wants: Wants) -> Result<Pick, Nobody> {
        let Wants { key, zone, cost } = wants;
        self.pickers.follow(pool);
        if let Some(probe) = self.breakers.admit(now, pool, arm, tried.is_empty(), &mut self.draw) {
            let (slot, why) = (probe.slot, PickReason::Probe { serial: probe.serial });
            return Ok(Pick { slot, worker: pool.workers[slot].id, why });
        }
        let ask = Ask { now, pool, arm, weights: pool.arm(arm), barred: &Barred { tried, open: &[] }, key, cost };
        let mut pick = |open: &[u64]| {
            let barred = &Barred { tried, open };
            self.pickers.pick(&Ask { barred, ..ask }, zone, &mut self.draw)
        };
        let picked = match pick(self.breakers.kept_out()) {
            None if self.breakers.soften() => pick(self.breakers.kept_out()),
            picked => picked,
        };
        let picked = picked.ok_or(Nobody::Ready)?;
        match pool.guards.bulkhead() {
            Some(bulkhead) if bulkhead.is_full(pool.load(picked.slot).in_flight()) => {
                self.divert(&ask, zone, bulkhead, picked)
            }
            Some(_) | None => Ok(picked),
        }
    }

    /// The picked worker is full: another one that has room.
    #[cold]
    fn divert(
        &mut self,
        ask: &Ask<'_>,
        zone: Option<usize>,
        bulkhead: &BulkheadConfig,
        picked: Pick,
    ) -> Result<Pick, Nobody> {
        let pool = ask.pool;
        if !bulkhead.mode.acts() {
            pool.guards.counts.add(Kept::FullWatched);
            return Ok(picked);
        }
        self.closed.clear();
        self.closed.extend_from_slice(self.breakers.kept_out());
        self.closed.resize(pool.workers.len().div_ceil(64), 0);
        for (slot, load) in pool.loads().enumerate() {
            if bulkhead.is_full(load.in_flight()) {
                self.closed[slot / 64] |= 1 << (slot % 64);
            }
        }
        let barred = &Barred { open: &self.closed, ..*ask.barred };
        let diverted = self.pickers.pick(&Ask { barred, ..*ask }, zone, &mut self.draw).ok_or(Nobody::HasRoom)?;
        pool.guards.counts.add(Kept::Diverted);
        Ok(diverted)
    }

    /// Whether this many workers that were not tried take requests.
    pub(super) fn others(&self, pool: &PoolView, arm: Arm, tried: &[usize], wanted: usize) -> bool {
        let weights = pool.arm(arm);
        let open = |slot: &usize| {
            weights.at(*slot) > 0.0 && !tried.contains(slot) && !self.breakers.ejects(*slot) && !pool.is_full(*slot)
        };
        (0..weights.len()).filter(open).take(wanted).count() == wanted
    }
}

/// What a request wants of the worker that is picked for it.
#[derive(Clone, Copy, Debug)]
struct Wants {
    /// To be the one that this key belongs to.
    key: Option<u64>,
    /// To be in this zone.
    zone: Option<usize>,
    /// To have room for so much.
    cost: Option<f64>,
}

/// Why nobody is picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nobody {
    /// No worker that was not tried takes requests.
    Ready,
    /// All that do are full.
    HasRoom,
}

/// Whether over half of the workers that take requests fail every second one.
pub(super) fn is_overloaded(now: Mono, pool: &PoolView, arm: Arm) -> bool {
    let weights = pool.arm(arm);
    let takes = |slot: &usize| weights.at(*slot) > 0.0;
    let takers = (0..weights.len()).filter(takes);
    let (mut all, mut failing) = (0_usize, 0_usize);
    for slot in takers {
        all += 1;
        failing += usize::from(pool.load(slot).fails_half(now));
    }
    failing * 2 > all
}

/// How many routes a seat remembers on their own. Source: ours; 5.5 KB each.
pub const MOST_ROUTES: usize = 1_024;
