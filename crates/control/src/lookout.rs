//! The lookout over one pool: what core's `runbook` is shown each tick, and what of it the shell performs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ambidex_core::again::counts::{Came, Chance, Counts};
use ambidex_core::guard::breaker::BreakerState;
use ambidex_core::plan::{Happening, Planner, PoolEvent};
use ambidex_core::runbook::{Effect, Handover, Lookout, Observation, Runbooks, Swinging, Tuning, WorkerTick};
use ambidex_core::share::Share;
use ambidex_core::time::{Mono, Span};
use ambidex_core::worker::{Standing, WorkerId};
use serde::{Deserialize, Serialize};

use crate::pool::Applied;
use crate::roster::Worker;
use crate::track::Track;

/// Keeps the lookout over one pool.
#[derive(Debug)]
pub(crate) struct Watchman {
    pub(crate) core: Lookout,
    /// Zones, by the number that the lookout knows them by.
    zones: Vec<Arc<str>>,
    at: Option<Mono>,
    /// Second tries since the start.
    again: u64,
    /// What holds on the request path.
    pub(crate) tuning: Tuning,
    held: HashSet<WorkerId>,
    /// To be told.
    pub(crate) effects: Vec<Effect>,
    /// When sources were asked again last.
    looked: Option<Mono>,
}

/// What one watchman hands to the next, on another machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct HandedLookout {
    core: Handover,
    zones: Vec<Arc<str>>,
}

/// What the lookout is shown of a pool.
pub(crate) struct Shown<'a> {
    pub(crate) workers: &'a [Worker],
    pub(crate) tracks: &'a HashMap<WorkerId, Track>,
    pub(crate) applied: &'a HashMap<WorkerId, Applied>,
    pub(crate) planner: &'a Planner,
    pub(crate) counts: &'a Counts,
    pub(crate) events: &'a [PoolEvent],
}

impl Watchman {
    pub(crate) fn new(runbooks: Runbooks) -> Self {
        Self {
            core: Lookout::new(runbooks),
            zones: Vec::new(),
            at: None,
            again: 0,
            tuning: Tuning::default(),
            held: HashSet::new(),
            effects: Vec::new(),
            looked: None,
        }
    }

    /// One tick. Whether the request path must see another picture for what came of it.
    pub(crate) fn tick(&mut self, now: Mono, shown: &Shown<'_>) -> bool {
        let seen = self.observation(now, shown);
        self.core.on(&seen, &mut self.effects);
        self.follow(shown.workers)
    }

    /// Takes over what holds now; whether the picture of the pool must change for it.
    pub(crate) fn follow(&mut self, workers: &[Worker]) -> bool {
        let tuning = self.core.tuning();
        let before = std::mem::replace(&mut self.tuning, tuning);
        let held: HashSet<WorkerId> =
            workers.iter().map(|worker| worker.id).filter(|worker| self.core.is_quarantined(*worker)).collect();
        let moved = self.held != held;
        self.held = held;
        moved || (before.latency_breaker, before.by_weight) != (tuning.latency_breaker, tuning.by_weight)
    }

    /// What the next one needs; `name` gives a worker's name.
    pub(crate) fn hand_over(&self, now: Mono, name: impl Fn(WorkerId) -> String) -> HandedLookout {
        HandedLookout { core: self.core.hand_over(now, name), zones: self.zones.clone() }
    }

    /// Goes on where another one stood; `id` says who is called so here. Whether the picture of the pool must change for it.
    pub(crate) fn take_handover(
        &mut self,
        now: Mono,
        handed: &HandedLookout,
        id: impl Fn(&str) -> Option<WorkerId>,
        workers: &[Worker],
    ) -> bool {
        self.core.take_handover(now, &handed.core, id);
        self.zones = handed.zones.iter().take(MOST_ZONES).cloned().collect();
        // The first tick has nothing to be compared with.
        self.at = None;
        self.follow(workers)
    }

    /// Whether the worker is to get nothing now.
    pub(crate) fn holds(&self, worker: WorkerId) -> bool {
        self.held.contains(&worker)
    }

    /// Whether the pool's sources are to be asked again.
    pub(crate) fn wants_look(&mut self, now: Mono) -> bool {
        if !self.tuning.look_again {
            self.looked = None;
            return false;
        }
        let due = self.looked.is_none_or(|at| now.since(at) >= LOOKS_AGAIN);
        if due {
            self.looked = Some(now);
        }
        due
    }

    /// What a path is called.
    pub(crate) fn path(&self, number: u32) -> String {
        match usize::try_from(number).ok().and_then(|at| self.zones.get(at)) {
            Some(zone) if zone.is_empty() => "the workers without a zone".to_owned(),
            Some(zone) => format!("zone {zone}"),
            None => "the other zones".to_owned(),
        }
    }

    fn observation(&mut self, now: Mono, shown: &Shown<'_>) -> Observation {
        let again: u64 = [Chance::Retry, Chance::RetryAnswer, Chance::FirstTry, Chance::Hedge]
            .map(|chance| shown.counts.get(chance, Came::Taken))
            .iter()
            .sum();
        let before = std::mem::replace(&mut self.again, again);
        let step = self.at.replace(now).map_or(Span::ZERO, |then| now.since(then));
        let weights: HashMap<WorkerId, f64> = shown.planner.weights().collect();
        let tick = |worker: &Worker| WorkerTick {
            id: worker.id,
            path: self.number(&worker.found.zone),
            serving: worker.standing() == Standing::Serving,
            weight: weights.get(&worker.id).copied().unwrap_or(0.0),
            intended: Share::clamped(shown.applied.get(&worker.id).map_or(0.0, |applied| applied.share)),
            counted: shown.tracks.get(&worker.id).map(|track| track.watch.counted()).unwrap_or_default(),
            in_flight: worker.cells.load.in_flight(),
            kept_out: matches!(worker.cells.breaker(), BreakerState::Open | BreakerState::Probing),
        };
        let workers = shown.workers.iter().map(tick).collect();
        let swinging = shown.events.iter().find_map(|event| swinging(&event.what));
        Observation { at: now, step, workers, again: again.saturating_sub(before), swinging }
    }

    /// The number of a zone. What comes after the first [`MOST_ZONES`] shares one.
    fn number(&mut self, zone: &Arc<str>) -> u32 {
        let known = self.zones.iter().position(|known| known == zone);
        let at = known.unwrap_or_else(|| {
            if self.zones.len() < MOST_ZONES {
                self.zones.push(Arc::clone(zone));
                self.zones.len() - 1
            } else {
                MOST_ZONES
            }
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }
}

/// What the oscillation guard found, if it did.
fn swinging(what: &Happening) -> Option<Swinging> {
    match *what {
        Happening::OscillationFound { worker, workers, period, doublings } => {
            Some(Swinging { worker, workers, period, doublings })
        }
        Happening::MostSilent { .. }
        | Happening::HeardAgain
        | Happening::MostUnhealthy { .. }
        | Happening::ChecksBelieved
        | Happening::OscillationRelaxed { .. }
        | Happening::NothingLeft
        | Happening::NoHeadroom
        | Happening::Overcommitted { .. }
        | Happening::Relieved
        | Happening::ProbeWanted { .. }
        | Happening::Frozen
        | Happening::Unfrozen
        | Happening::Reconfigured => None,
    }
}

/// Zones that are told apart. Source: core's bound of paths.
const MOST_ZONES: usize = 64;
/// How often sources are asked while a worker is not where they said. Source: the shortest time to live that resolvers
/// keep to in practice.
const LOOKS_AGAIN: Span = Span::from_secs(5);

#[cfg(test)]
mod tests;
