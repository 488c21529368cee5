//! The view: all that the request path needs to know, as one immutable snapshot.
//!
//! The coordinator makes a new view whenever something changed and swaps it in at once; a request reads one view from
//! its beginning to its end, so it never sees half of a change. Live numbers ([`Cells`]) are not part of the snapshot:
//! views point at them, and they outlive every view.
//!
//! ```text
//! View revision 41 ── pools: api ── workers (slot 0, 1, 2 ..) ── cells (shared with revision 40 and 42)
//!                               ├── learned weights, sampler     for `learned_share` of the requests
//!                               ├── fixed weights, sampler       for the rest: control group, and fallback
//!                               └── split                        while a trial goes on: who is in which group
//! ```

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;

use crate::again::budget::Budget;
use crate::balance::{Pick, PickPolicy, ring::RingTable};
use crate::cost::Costs;
use crate::drill::Drill;
use crate::guard::breaker::BreakerConfig;
use crate::guard::pool::PoolGuards;
use crate::load::{Cells, Fates, Load};
use crate::share::Share;
use crate::trial::{Drawn, Group, Split};
use crate::worker::{PoolId, Standing, WorkerId};
use crate::zone::{Home, ZoneTable};

/// One picture of all pools.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Grows by one with each new view of this process.
    pub revision: u64,
    pools: Vec<Arc<PoolView>>,
}

impl View {
    /// A view of `pools`, to be found by their ids.
    #[must_use]
    pub fn new(revision: u64, mut pools: Vec<Arc<PoolView>>) -> Self {
        pools.sort_by_key(|pool| pool.id);
        Self { revision, pools }
    }

    /// The pool of this id, while it exists.
    #[must_use]
    pub fn pool(&self, id: PoolId) -> Option<&Arc<PoolView>> {
        self.pools.binary_search_by_key(&id, |pool| pool.id).ok().map(|at| &self.pools[at])
    }

    /// All pools, by id.
    #[must_use]
    pub fn pools(&self) -> &[Arc<PoolView>] {
        &self.pools
    }
}

/// One pool in a view.
#[derive(Debug)]
pub struct PoolView {
    /// Its identity.
    pub id: PoolId,
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Grows by one with each change of this pool; equal revisions have equal slots.
    pub revision: u64,
    /// The workers, draining ones among them. An index into this is a *slot*, valid for this view only.
    pub workers: Vec<WorkerView>,
    /// How one of them is picked.
    pub pick: PickPolicy,
    /// Weights of the loop.
    pub learned: Weights,
    /// Weights of the configuration.
    pub fixed: Weights,
    /// Which share of the requests goes by the learned weights [R-O5]; 0 is observe-only.
    pub learned_share: Share,
    /// The hash ring, when the pick needs one.
    pub ring: Option<Arc<RingTable>>,
    /// How many points of it each worker has, by slot, where that is not by the configured weights.
    points: Option<Arc<[u32]>>,
    /// When a seat keeps requests from a worker.
    pub breaker: BreakerConfig,
    /// Its budget for second tries; like the cells it outlives views.
    pub budget: Arc<Budget>,
    /// What guards it beside the breakers; its counts outlive views.
    pub guards: PoolGuards,
    /// The drill of one of its workers, if one is drilled: its clients' requests are counted.
    pub drill: Option<Arc<Drill>>,
    /// Where requests of each zone go, if the pool has several and minds them.
    zones: Option<Box<ZoneTable>>,
    /// What classes of its requests cost, if it tells them apart.
    costs: Option<Arc<Costs>>,
    /// What its clients got, if that is counted.
    fates: Option<Arc<Fates>>,
    /// The trial of one of its paths or of its weights, while one goes on.
    pub split: Option<Split>,
    /// The workers' cells once more, side by side: picks of big pools run at the speed of the memory they touch.
    cells: Box<[Arc<Cells>]>,
}

/// What a [`PoolView`] is made of; the tables that picks need are derived from it in [`PoolView::new`].
#[derive(Clone, Debug)]
pub struct PoolParts {
    /// Its identity.
    pub id: PoolId,
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// One more than the revision that it replaces.
    pub revision: u64,
    /// The workers, in the order of their slots.
    pub workers: Vec<WorkerView>,
    /// How one of them is picked.
    pub pick: PickPolicy,
    /// Weights of the loop, by slot; a missing one counts as 0.
    pub learned: Vec<f64>,
    /// Weights of the configuration, by slot; a missing one counts as 0.
    pub fixed: Vec<f64>,
    /// Which share of the requests goes by the learned weights.
    pub learned_share: Share,
    /// When to keep requests from a worker.
    pub breaker: BreakerConfig,
    /// The budget for second tries, the same through all views.
    pub budget: Arc<Budget>,
}

/// One worker in a view.
#[derive(Clone, Debug)]
pub struct WorkerView {
    /// Its identity.
    pub id: WorkerId,
    /// What people call it: the `name` given, else its URL.
    pub name: Arc<str>,
    /// Its URL as configured: scheme and authority.
    pub url: Arc<str>,
    /// Where it listens; looked up before the view was made, so that no request waits for DNS.
    pub address: Address,
    /// Zone label, empty when none was given.
    pub zone: Arc<str>,
    /// Whether it takes new requests.
    pub standing: Standing,
    /// Its live numbers.
    pub cells: Arc<Cells>,
    /// The fault that is put on the way to it on purpose, if one is.
    pub drill: Option<Arc<Drill>>,
}

/// Where a worker listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// TCP.
    Ip(SocketAddr),
    /// A Unix socket's path.
    Unix(Arc<str>),
}

impl PoolView {
    /// A view of these parts, with the tables that its picks read: samplers, and the hash ring when the policy is
    /// [`PickPolicy::Ring`]. A draining or unhealthy worker gets weight 0 in both arms. `previous` is the view that this one
    /// replaces: a ring that would come out the same is taken over from it, so that a tick of the weights stays cheap.
    #[must_use]
    pub fn new(parts: PoolParts, previous: Option<&Self>) -> Self {
        Self::placed(parts, None, previous)
    }

    /// The same with these numbers of points on the ring, by slot, instead of those of the configured weights.
    #[must_use]
    pub fn placed(parts: PoolParts, points: Option<Arc<[u32]>>, previous: Option<&Self>) -> Self {
        let PoolParts { id, name, revision, workers, pick, learned, fixed, learned_share, breaker, budget } = parts;
        let serving = |weights: Vec<f64>| {
            let weights = weights.into_iter().chain(core::iter::repeat(0.0));
            let of = |(worker, weight): (&WorkerView, f64)| match worker.standing {
                Standing::Serving => weight,
                Standing::Draining | Standing::Unhealthy => 0.0,
            };
            Weights::new(workers.iter().zip(weights).map(of))
        };
        let cells = workers.iter().map(|worker| Arc::clone(&worker.cells)).collect();
        let (learned, fixed) = (serving(learned), serving(fixed));
        let guards = PoolGuards::default();
        let ring = (pick == PickPolicy::Ring).then(|| {
            let members = workers.iter().map(|worker| &*worker.name).zip(fixed.as_slice().iter().copied());
            let known = previous.and_then(|view| view.ring.as_ref());
            let Some(points) = &points else { return RingTable::reused(known, members) };
            let points = points.iter().copied().chain(core::iter::repeat(1));
            let serving = |((name, weight), points)| (name, if weight > 0.0 { points } else { 0 });
            RingTable::reused_with(known, members.zip(points).map(serving))
        });
        let drill = workers.iter().find_map(|worker| worker.drill.clone());
        Self {
            id,
            name,
            revision,
            workers,
            pick,
            learned,
            fixed,
            learned_share,
            ring,
            points,
            breaker,
            budget,
            guards,
            drill,
            zones: None,
            costs: None,
            fates: None,
            split: None,
            cells,
        }
    }

    /// The same with these zones; none where there is but one.
    #[must_use]
    pub fn zoned(self, table: ZoneTable) -> Self {
        let zones = table.with(&self.workers, &self.learned, &self.fixed).map(Box::new);
        Self { zones, ..self }
    }

    /// The same with these costs of its requests' classes.
    #[must_use]
    pub fn costing(self, costs: Arc<Costs>) -> Self {
        Self { costs: Some(costs), ..self }
    }

    /// What classes of its requests cost, if it tells them apart.
    #[must_use]
    pub fn costs(&self) -> Option<&Arc<Costs>> {
        self.costs.as_ref()
    }

    /// The same with its clients' fates counted here.
    #[must_use]
    pub fn counting(self, fates: Arc<Fates>) -> Self {
        Self { fates: Some(fates), ..self }
    }

    /// What its clients got, if that is counted.
    #[inline]
    #[must_use]
    pub fn fates(&self) -> Option<&Fates> {
        self.fates.as_deref()
    }

    /// Where requests of each zone go.
    #[inline]
    #[must_use]
    pub fn zones(&self) -> Option<&ZoneTable> {
        self.zones.as_deref()
    }

    /// The same while a trial goes on. `previous` is the view that this one replaces, as in [`new`](Self::new).
    #[must_use]
    pub fn tried(self, split: Option<Split>, previous: Option<&Self>) -> Self {
        let split = split.map(|split| {
            let of =
                |(worker, weight): (&WorkerView, f64)| if worker.standing == Standing::Serving { weight } else { 0.0 };
            let weights = split.weights.as_slice().iter().copied().chain(core::iter::repeat(0.0));
            let weights = Weights::new(self.workers.iter().zip(weights).map(of));
            let ring = (self.pick == PickPolicy::Ring).then(|| {
                let members = self.workers.iter().map(|worker| &*worker.name).zip(weights.as_slice().iter().copied());
                let known = previous.and_then(|view| view.split.as_ref()?.ring.as_ref());
                // What is learned each second does not move keys.
                let members = members.map(|(name, weight)| (name, if weight > 0.0 { 1.0 } else { 0.0 }));
                RingTable::reused(known, members)
            });
            Split { weights, ring, ..split }
        });
        Self { split, ..self }
    }

    /// The same with these guards.
    #[must_use]
    pub fn guarded(self, guards: PoolGuards) -> Self {
        Self { guards, ..self }
    }

    /// Whether the worker in a slot has as many requests as it may.
    #[must_use]
    pub fn is_full(&self, slot: usize) -> bool {
        self.guards
            .bulkhead()
            .is_some_and(|bulkhead| bulkhead.mode.acts() && bulkhead.is_full(self.load(slot).in_flight()))
    }

    /// This pool with requests for the workers of one zone only: the slots stay, so that a seat can be used for both.
    /// `None` when nobody there takes requests.
    #[must_use]
    pub fn within(&self, zone: &str) -> Option<Self> {
        let here = |weights: &Weights| {
            let of = |(worker, weight): (&WorkerView, &f64)| if *worker.zone == *zone { *weight } else { 0.0 };
            self.workers.iter().zip(weights.as_slice()).map(of).collect::<Vec<_>>()
        };
        let parts = PoolParts {
            id: self.id,
            name: Arc::clone(&self.name),
            revision: self.revision,
            workers: self.workers.clone(),
            pick: self.pick,
            learned: here(&self.learned),
            fixed: here(&self.fixed),
            learned_share: self.learned_share,
            breaker: self.breaker,
            budget: Arc::clone(&self.budget),
        };
        let view = Self::placed(parts, self.points.clone(), None);
        (view.learned.total() > 0.0 || view.fixed.total() > 0.0).then_some(view)
    }

    /// The live load of the worker in a slot.
    #[must_use]
    pub fn load(&self, slot: usize) -> &Load {
        &self.cells[slot].load
    }

    /// The live loads of all workers, by slot.
    #[inline]
    pub fn loads(&self) -> impl Iterator<Item = &Load> {
        self.cells.iter().map(|cells| &cells.load)
    }

    /// The weights of an arm.
    #[must_use]
    pub fn arm(&self, arm: Arm) -> &Weights {
        match arm {
            Arm::Learned => &self.learned,
            Arm::Fixed => &self.fixed,
            Arm::Path => self.split.as_ref().map_or(&self.fixed, |split| &split.weights),
        }
    }

    /// The hash ring of an arm's workers, when the pick needs one.
    #[must_use]
    pub fn ring_of(&self, arm: Arm) -> Option<&RingTable> {
        match arm {
            Arm::Learned | Arm::Fixed => self.ring.as_deref(),
            Arm::Path => self.split.as_ref().and_then(|split| split.ring.as_deref()),
        }
    }

    /// How many points of the ring the worker in a slot has, where that follows what it can carry.
    #[must_use]
    pub fn points(&self, slot: usize) -> Option<u32> {
        self.points.as_ref()?.get(slot).copied()
    }

    /// The weights that a request goes by, and its group in the trial that goes on, if one does.
    #[must_use]
    pub fn assign(&self, draw: &mut crate::draw::Draw, key: Option<u64>) -> Drawn {
        let drawn = draw.unit();
        let Some(split) = &self.split else { return Drawn { arm: self.weights(drawn).0, group: None } };
        let group = split.group(drawn, key);
        let arm = match (split.kind.is_of_path(), group) {
            (true, Some(Group::Candidate)) => Arm::Path,
            (true, Some(Group::Control) | None) => self.weights(draw.unit()).0,
            (false, Some(Group::Candidate)) => Arm::Learned,
            (false, Some(Group::Control) | None) => Arm::Fixed,
        };
        Drawn { arm, group }
    }

    /// The weights that a request draws: learned for `learned_share` of them. `drawn` is even in `[0, 1)`.
    #[must_use]
    pub fn weights(&self, drawn: f64) -> (Arm, &Weights) {
        if drawn < self.learned_share.get() { (Arm::Learned, &self.learned) } else { (Arm::Fixed, &self.fixed) }
    }

    /// The share of the requests that the worker in a slot is to get, both arms together; 0 where nobody has weight.
    #[must_use]
    pub fn share(&self, slot: usize) -> f64 {
        self.share_of(slot, None)
    }

    /// The same, of the requests that came from one home; of all where that is not said.
    #[must_use]
    pub fn share_of(&self, slot: usize, home: Option<Home>) -> f64 {
        let part = |arm: Arm| {
            let weights = self.arm(arm);
            let whole = if weights.total() > 0.0 { weights.at(slot) / weights.total() } else { 0.0 };
            self.zones().filter(|_| arm != Arm::Path).map_or(whole, |zones| match home {
                Some(home) => zones.share_of(home, slot, arm, whole),
                None => zones.share(slot, arm, whole),
            })
        };
        let by_loop = self.learned_share.get();
        let usual = by_loop * part(Arm::Learned) + (1.0 - by_loop) * part(Arm::Fixed);
        match &self.split {
            Some(split) if split.kind.is_of_path() && split.weights.total() > 0.0 => {
                let share = split.share.get();
                share * part(Arm::Path) + (1.0 - share) * usual
            }
            Some(_) | None => usual,
        }
    }

    /// The worker that a pick chose.
    #[must_use]
    pub fn picked(&self, pick: Pick) -> &WorkerView {
        &self.workers[pick.slot]
    }
}

/// Which weights a request went by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm {
    /// The loop's.
    Learned,
    /// The configuration's.
    Fixed,
    /// Those of a path that is on trial.
    Path,
}

/// Weights by slot, with what is needed to sample in proportion to them in constant time (Walker's alias method).
#[derive(Clone, Debug, Default)]
pub struct Weights {
    by_slot: Box<[f64]>,
    burdens: Box<[f64]>,
    total: f64,
    alias: Box<[(f64, u32)]>,
}

impl Weights {
    /// Weights by slot: finite and not negative, anything else counts as 0. A draining worker has 0.
    #[must_use]
    pub fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let by_slot: Box<[f64]> =
            weights.into_iter().map(|weight| if weight.is_finite() { weight.max(0.0) } else { 0.0 }).collect();
        let total: f64 = by_slot.iter().sum();
        let mean = total / by_slot.iter().filter(|weight| **weight > 0.0).count().max(1) as f64;
        let burden = |weight: &f64| if *weight > 0.0 { mean / weight } else { f64::INFINITY };
        let burdens = by_slot.iter().map(burden).collect();
        let alias = if total > 0.0 { alias_table(&by_slot, total) } else { Box::default() };
        Self { by_slot, burdens, total, alias }
    }

    /// The weight at a slot.
    #[must_use]
    pub fn at(&self, slot: usize) -> f64 {
        self.by_slot[slot]
    }

    /// How much one request fills the worker at a slot, in requests to an average worker of the pool: the mean weight
    /// over its own. Infinite for a weight of 0. Load times burden is what picks compare, so that no pick divides.
    #[must_use]
    pub fn burden(&self, slot: usize) -> f64 {
        self.burdens[slot]
    }

    /// All burdens, by slot.
    #[must_use]
    pub fn burdens(&self) -> &[f64] {
        &self.burdens
    }

    /// How many slots there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_slot.len()
    }

    /// Whether there is no slot.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_slot.is_empty()
    }

    /// All weights, by slot.
    #[must_use]
    pub fn as_slice(&self) -> &[f64] {
        &self.by_slot
    }

    /// The sum of all weights; 0 when nobody may be asked.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.total
    }

    /// A slot in proportion to its weight; `None` when nobody has any.
    pub fn sample(&self, draw: &mut crate::draw::Draw) -> Option<usize> {
        if self.alias.is_empty() {
            return None;
        }
        let (slot, rest) = draw.below_and_unit(self.alias.len());
        let (kept, other) = self.alias[slot];
        // Chosen by index: a branch would be guessed wrong half of the time.
        Some([other as usize, slot][usize::from(rest < kept)])
    }
}

/// Vose's construction: each slot keeps its own draw with probability `.0` and gives the rest to slot `.1`.
#[expect(clippy::cast_possible_truncation, reason = "a pool has at most 2^32 workers (worker ids are u32)")]
fn alias_table(weights: &[f64], total: f64) -> Box<[(f64, u32)]> {
    let scale = weights.len() as f64 / total;
    let mut left: Vec<f64> = weights.iter().map(|weight| weight * scale).collect();
    let mut table: Box<[(f64, u32)]> = (0..weights.len()).map(|slot| (1.0, slot as u32)).collect();
    let (mut poor, mut rich): (Vec<usize>, Vec<usize>) = (0..weights.len()).partition(|&slot| left[slot] < 1.0);
    while let (Some(&needy), Some(&giver)) = (poor.last(), rich.last()) {
        poor.pop();
        table[needy] = (left[needy], giver as u32);
        left[giver] -= 1.0 - left[needy];
        if left[giver] < 1.0 {
            rich.pop();
            poor.push(giver);
        }
    }
    // Rounding may leave a slot of weight 0 without a giver: it must give its draws away all the same.
    if let Some(heaviest) = (0..weights.len()).max_by(|&a, &b| weights[a].total_cmp(&weights[b])) {
        for &slot in poor.iter().filter(|&&slot| weights[slot] == 0.0) {
            table[slot] = (0.0, heaviest as u32);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::draw::Draw;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_weight_of_zero_is_never_sampled(
            weights in prop::collection::vec(prop_oneof![Just(0.0), 1e-9..1e9_f64], 1..40), seed: u64
        ) {
            let table = Weights::new(weights.clone());
            let mut draw = Draw::seeded(seed);
            for _ in 0..64 {
                match table.sample(&mut draw) {
                    Some(slot) => prop_assert!(weights[slot] > 0.0),
                    None => prop_assert!(weights.iter().all(|weight| *weight == 0.0)),
                }
            }
        }
    }

    #[test]
    fn samples_follow_the_weights() {
        let weights = Weights::new([1.0, 2.0, 0.0, 7.0]);
        let mut draw = Draw::seeded(3);
        let mut counts = vec![0_u32; 4];
        for _ in 0..100_000 {
            counts[weights.sample(&mut draw).expect("total is 10")] += 1;
        }
        assert_eq!(counts[2], 0);
        for (count, share) in [(counts[0], 0.1), (counts[1], 0.2), (counts[3], 0.7)] {
            assert!((f64::from(count) / 100_000.0 - share).abs() < 0.01, "{counts:?}");
        }
    }

    #[test]
    fn what_is_no_weight_counts_as_none() {
        let weights = Weights::new([f64::NAN, -1.0, f64::INFINITY]);
        assert_eq!((weights.total(), weights.sample(&mut Draw::seeded(1))), (0.0, None));
    }
}
