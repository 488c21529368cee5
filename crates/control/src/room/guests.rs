//! The room of a coordinator that gateways subscribe to: what they found in force, and what they count.

use std::collections::HashMap;
use std::sync::Arc;

use ambidex_core::guard::breaker::BreakerState;
use ambidex_core::plan::{PlanInput, Source};
use ambidex_core::time::Mono;
use ambidex_core::worker::{PoolId, WorkerId};
use ambidex_core::zone::MOST_ZONES;
use ambidex_wire::report::Arrived;
use ambidex_wire::subscription::{Counts, Wanted, Weighed};

use super::Room;

/// From each zone to each. Source: the zones of a pool that are told apart.
const MOST_FLOWS: usize = MOST_ZONES * MOST_ZONES;

/// Bytes of a gateway's name. Source: ours, the longest host with a number.
const MOST_NAME: usize = 80;

/// What one gateway said last, to be taken back when it leaves.
#[derive(Debug, Default)]
pub(crate) struct Guest {
    /// What people call it.
    name: Arc<str>,
    in_flight: HashMap<(PoolId, WorkerId), u32>,
    /// What its breakers do that do anything.
    breakers: HashMap<(PoolId, WorkerId), BreakerState>,
    /// Counts of it that could not be used.
    pub(crate) refused: u64,
}

impl Guest {
    /// A gateway of this name; a nameless one is an older one.
    pub(crate) fn named(name: &str) -> Self {
        let fits = !name.is_empty() && name.len() <= MOST_NAME && !name.contains(char::is_control);
        Self { name: if fits { name.into() } else { "a gateway".into() }, ..Self::default() }
    }
}

impl Room {
    /// A gateway comes with the weights by which its requests go. Where nothing is known yet, these go on.
    pub(crate) fn welcome(&mut self, now: Mono, wanted: &Wanted) {
        self.settle(now);
        let Some(at) = self.pools.iter().position(|pool| *pool.config.name == *wanted.pool) else { return };
        if self.pools[at].planner.ticks() == 0 {
            // The planner has to know the workers before it can take their weights over.
            self.pools[at].next_tick = now;
            self.due(now);
        }
        let id = |weighed: &Weighed| Some((self.pools[at].named(&weighed.worker)?.id, weighed.learned));
        let ids: Vec<(WorkerId, f64)> = wanted.weights.iter().filter_map(id).collect();
        let unknown = self.pools[at].planner.looks().any(|look| look.terms.estimate.is_none());
        if !ids.is_empty() && unknown {
            let planned = self.pools[at].plan(PlanInput::Found { at: now, weights: ids });
            self.record(at, planned);
            self.publish();
        }
    }

    /// Adds what a gateway counted, as if a thread of this process had.
    pub(crate) fn absorb(&mut self, now: Mono, counts: &Counts, guest: &mut Guest) {
        let Some(at) = self.pools.iter().position(|pool| *pool.config.name == *counts.pool) else { return };
        self.pools[at].paths.absorb(&counts.groups);
        if let Some(zones) = &self.pools[at].zones {
            for flow in counts.flows.iter().take(MOST_FLOWS) {
                match flow.counted() {
                    Some(count) => zones.spill.hear(&flow.home, &flow.zone, count),
                    None => guest.refused += 1,
                }
            }
        }
        let (mut reports, mut kept_out) = (Vec::new(), Vec::new());
        let pool = &self.pools[at];
        for count in &counts.workers {
            // Who left in the meantime counts no more.
            let Some(worker) = pool.named(&count.worker) else { continue };
            let (Some(counted), Ok(breaker)) = (count.counted(), count.breaker_state()) else {
                guest.refused += 1;
                continue;
            };
            if let Some(breaker) = breaker {
                kept_out.push((worker.id, breaker));
            }
            worker.cells.tally(0).absorb(&counted);
            let before = guest.in_flight.insert((pool.id, worker.id), count.in_flight).unwrap_or(0);
            worker.cells.load.adopt(before, count.in_flight);
            let Some(reported) = &count.report else { continue };
            match reported.report() {
                Ok(report) => {
                    let at = Mono::from_nanos(now.as_nanos().saturating_sub(reported.age().as_nanos()));
                    reports.push(Arrived { worker: worker.id, at, report, source: Source::Piggyback });
                }
                Err(_) => {
                    worker.cells.report_faults.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            }
        }
        let pool = &mut self.pools[at];
        for (worker, state) in kept_out {
            let before = guest.breakers.remove(&(pool.id, worker)).unwrap_or_default();
            pool.tracks.entry(worker).or_default().kept_out.hear(&guest.name, before, state);
            if state != BreakerState::Closed {
                guest.breakers.insert((pool.id, worker), state);
            }
        }
        reports.into_iter().for_each(|arrived| self.hear(arrived, None));
    }

    /// A gateway has left: its requests are none of ours any more.
    pub(crate) fn part(&mut self, guest: &mut Guest) {
        for ((pool, worker), state) in guest.breakers.drain() {
            let known = self.pools.iter_mut().find(|known| known.id == pool);
            if let Some(track) = known.and_then(|pool| pool.tracks.get_mut(&worker)) {
                track.kept_out.hear(&guest.name, state, BreakerState::Closed);
            }
        }
        for ((pool, worker), in_flight) in guest.in_flight.drain() {
            let known = self.pools.iter().find(|known| known.id == pool).and_then(|pool| pool.roster.worker(worker));
            if let Some(worker) = known {
                worker.cells.load.adopt(in_flight, 0);
            }
        }
    }
}
