//! From a simulated gateway's pool to what the lookout sees: the counts of a tick, as the coordinator takes them.

use ambidex_core::again::counts::{Came, Chance};
use ambidex_core::guard::breaker::BreakerState;
use ambidex_core::plan::{Happening, PoolEvent, Seen};
use ambidex_core::runbook::{Counted, Observation, Swinging, WorkerTick};
use ambidex_core::share::Share;
use ambidex_core::stats::histogram::TallyState;
use ambidex_core::time::{Mono, Span};
use ambidex_core::view::PoolView;
use ambidex_core::worker::{Standing, WorkerId};

/// Counts the ticks of one gateway's pool.
#[derive(Debug, Default)]
pub struct Meter {
    at: Option<Mono>,
    again: u64,
    tallies: Vec<TallyState>,
    zones: Vec<String>,
}

impl Meter {
    /// What came since the tick before; `seen` is what the planner saw of each worker.
    pub fn read(&mut self, now: Mono, pool: &PoolView, seen: &[(WorkerId, Seen)], events: &[PoolEvent]) -> Observation {
        let step = self.at.replace(now).map_or(Span::ZERO, |then| now.since(then));
        let taken = |chance| pool.budget.counts().get(chance, Came::Taken);
        let again: u64 =
            [Chance::Retry, Chance::RetryAnswer, Chance::FirstTry, Chance::Hedge].into_iter().map(taken).sum();
        let before = std::mem::replace(&mut self.again, again);
        self.tallies.resize(pool.workers.len(), TallyState::default());
        let (share, learned, fixed) = (pool.learned_share.get(), &pool.learned, &pool.fixed);
        let part = |weight: f64, total: f64| if total > 0.0 { weight / total } else { 0.0 };
        let mut workers = Vec::with_capacity(pool.workers.len());
        for (slot, worker) in pool.workers.iter().enumerate() {
            let totals = worker.cells.totals();
            let passive = seen.iter().find(|(id, _)| *id == worker.id).and_then(|(_, seen)| seen.passive);
            let counted =
                passive.map(|passive| Counted::between(&self.tallies[slot], &totals, &passive)).unwrap_or_default();
            self.tallies[slot] = totals;
            let intended =
                share * part(learned.at(slot), learned.total()) + (1.0 - share) * part(fixed.at(slot), fixed.total());
            workers.push(WorkerTick {
                id: worker.id,
                path: self.path(&worker.zone),
                serving: worker.standing == Standing::Serving,
                weight: learned.at(slot),
                intended: Share::clamped(intended),
                counted,
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
