//! The room of a coordinator that gateways subscribe to: what they found in force, and what they count.

use std::collections::HashMap;

use ambidex_core::plan::{PlanInput, Source};
use ambidex_core::time::Mono;
use ambidex_core::worker::{PoolId, WorkerId};
use ambidex_core::zone::MOST_ZONES;
use ambidex_wire::report::Arrived;
use ambidex_wire::subscription::{Counts, Wanted, Weighed};

use super::Room;

/// From each zone to each. Source: the zones of a pool that are told apart.
const MOST_FLOWS: usize = MOST_ZONES * MOST_ZONES;

/// What one gateway said last, to be taken back when it leaves.
#[derive(Debug, Default)]
pub(crate) struct Guest {
    in_flight: HashMap<(PoolId, WorkerId), u32>,
    /// Counts of it that could not be used.
    pub(crate) refused: u64,
}

impl Room {
    /// A gateway comes with the weights by which its requests go. Where nothing is known yet, these go on.
    pub(crate) fn welcome(&mut self, now: Mono, wanted: &Wanted) {
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
        let mut reports = Vec::new();
        let pool = &self.pools[at];
        for count in &counts.workers {
            // Who left in the meantime counts no more.
            let Some(worker) = pool.named(&count.worker) else { continue };
            let Some(counted) = count.counted() else {
                guest.refused += 1;
                continue;
            };
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
        reports.into_iter().for_each(|arrived| self.hear(arrived, None));
    }

    /// A gateway has left: its requests are none of ours any more.
    pub(crate) fn part(&mut self, guest: &mut Guest) {
        for ((pool, worker), in_flight) in guest.in_flight.drain() {
            let known = self.pools.iter().find(|known| known.id == pool).and_then(|pool| pool.roster.worker(worker));
            if let Some(worker) = known {
                worker.cells.load.adopt(in_flight, 0);
            }
        }
    }
}
