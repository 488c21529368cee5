//! From a simulated gateway's pool to what the lookout sees: the counts of a tick, as the coordinator takes them.

use ambidex_core::again::counts::{Came, Chance};
use ambidex_core::guard::breaker::BreakerState;
use ambidex_core::plan::{Happening, PoolEvent};
use ambidex_core::runbook::{Counted, Observation, Swinging, WorkerTick};
use ambidex_core::share::Share;
use ambidex_core::time::{Mono, Span};
use ambidex_core::view::PoolView;
use ambidex_core::worker::Standing;

/// Counts the ticks of one gateway's pool.
#[derive(Debug, Default)]
pub(super) struct Meter {
    at: Option<Mono>,
    again: u64,
    zones: Vec<String>,
}

/// One tick, as far as it is known. Lists are in the order of the pool's slots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    /// The pool as requests saw it in the tick.
    pub(super) pool: &'a PoolView,
    /// What became of its tries.
    pub(super) counted: &'a [Counted],
    /// What the planner decided.
    pub(super) weights: &'a [f64],
    /// What happened to the pool as a whole.
    pub(super) events: &'a [PoolEvent],
}

impl Meter {
    /// What came since the tick before.
    pub(super) fn read(&mut self, now: Mono, shown: Shown<'_>) -> Observation {
        let Shown { pool, counted, weights, events } = shown;
        let step = self.at.replace(now).map_or(Span::ZERO, |then| now.since(then));
        let taken = |chance| pool.budget.counts().get(chance, Came::Taken);
        let again: u64 =
            [Chance::Retry, Chance::RetryAnswer, Chance::FirstTry, Chance::Hedge].into_iter().map(taken).sum();
        let before = std::mem::replace(&mut self.again, again);
        let (share, learned, fixed) = (pool.learned_share.get(), &pool.learned, &pool.fixed);
        let part = |weight: f64, total: f64| if total > 0.0 { weight / total } else { 0.0 };
        let mut workers = Vec::with_capacity(pool.workers.len());
        for (slot, worker) in pool.workers.iter().enumerate() {
            let intended =
                share * part(learned.at(slot), learned.total()) + (1.0 - share) * part(fixed.at(slot), fixed.total());
            workers.push(WorkerTick {
                id: worker.id,
                path: self.path(&worker.zone),
                serving: worker.standing == Standing::Serving,
                weight: weights.get(slot).copied().unwrap_or(0.0),
                intended: Share::clamped(intended),
                counted: counted.get(slot).copied().unwrap_or_default(),
                in_flight: worker.cells.load.in_flight(),
                kept_out: matches!(worker.cells.breaker(), BreakerState::Open | BreakerState::Probing),
            });
        }
        let swinging = events.iter().find_map(swinging);
        Observation { at: now, step, workers, again: again.saturating_sub(before), swinging }
    }

    fn path(&mut self, zone: &str) -> u32 {
        let at = self.zones.iter().position(|known| known == zone).unwrap_or_else(|| {
            self.zones.push(zone.to_owned());
            self.zones.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }
}

fn swinging(event: &PoolEvent) -> Option<Swinging> {
    if let Happening::OscillationFound { worker, workers, period, doublings } = event.what {
        return Some(Swinging { worker, workers, period, doublings });
    }
    None
}
