//! The lookout over a simulated gateway's pool, and what its runbooks do there, as the coordinator does it.
//!
//! Actions that tune run by themselves where the scenario's `runbooks` say `on`. What waits for approval waits: nobody is
//! there to approve it. Sources are not asked again, because a simulated pool has none.

use ambidex_core::again::Mode;
use ambidex_core::guard::breaker::BreakerConfig;
use ambidex_core::runbook::{Effect, FailureMode, Lookout, Observation, Runbooks, Tuning};
use ambidex_core::time::Mono;

use super::meter::{Meter, Shown};

/// Keeps the lookout over one pool.
#[derive(Debug)]
pub(super) struct Watchman {
    core: Lookout,
    meter: Meter,
    /// Whether anything is looked for at all.
    watches: bool,
    /// What holds on the request path.
    pub(super) tuning: Tuning,
    /// Who is in quarantine, by slot.
    held: Vec<bool>,
    /// What was seen in the newest tick, and what came of it.
    pub(super) observation: Observation,
    pub(super) effects: Vec<Effect>,
}

impl Watchman {
    pub(super) fn new(runbooks: Runbooks) -> Self {
        Self {
            core: Lookout::new(runbooks),
            meter: Meter::default(),
            watches: FailureMode::ALL.into_iter().any(|mode| runbooks.of(mode) != Mode::Off),
            tuning: Tuning::default(),
            held: Vec::new(),
            observation: Observation::default(),
            effects: Vec::new(),
        }
    }

    /// One tick. Whether requests must see another picture of the pool for what came of it.
    pub(super) fn tick(&mut self, now: Mono, shown: Shown<'_>) -> bool {
        if !self.watches {
            return false;
        }
        self.effects.clear();
        self.observation = self.meter.read(now, shown);
        self.core.on(&self.observation, &mut self.effects);
        let tuning = self.core.tuning();
        let before = std::mem::replace(&mut self.tuning, tuning);
        let held: Vec<bool> = shown.pool.workers.iter().map(|worker| self.core.is_quarantined(worker.id)).collect();
        let moved = self.held != held;
        self.held = held;
        moved || (before.latency_breaker, before.by_weight) != (tuning.latency_breaker, tuning.by_weight)
    }

    /// Whether the worker in a slot is to get nothing now.
    pub(super) fn holds(&self, slot: usize) -> bool {
        self.held.get(slot).copied().unwrap_or(false)
    }

    /// Weights by slot, and none for those in quarantine, unless that leaves nobody.
    pub(super) fn without_held(&self, weights: &[f64]) -> Vec<f64> {
        let free = |slot: usize| !self.holds(slot);
        let left: Vec<f64> =
            weights.iter().enumerate().map(|(slot, weight)| if free(slot) { *weight } else { 0.0 }).collect();
        if left.iter().sum::<f64>() > 0.0 { left } else { weights.to_vec() }
    }

    /// When breakers open: as configured, and by latency, too, while a runbook wants it.
    pub(super) fn breaker(&self, configured: BreakerConfig) -> BreakerConfig {
        if self.tuning.latency_breaker { configured.by_latency() } else { configured }
    }
}
