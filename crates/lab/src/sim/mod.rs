//! The simulator: a scenario under a virtual clock, with the code that gateways run.
//!
//! ```text
//! arrivals ─> gateway ─> core's Attempt, seats, picks, breakers, budgets, hedges ─> worker (processor sharing) ─┐
//!    ^          ^  view ── core's Planner and Lookout, once a tick <── tallies, reports (late, lost) <──────────┤
//!  seed         └───────────────────────────── answers, failures, resets <─────────────────────────────────────┘
//! ```
//! Nothing sleeps and nothing is read from the machine, so the same scenario and seed give the same figures to the last
//! digit, on every machine, at about a million requests a second. What it leaves out: connections, bytes, the cost of
//! the gateway itself and the time on the network, which is none.

mod demand;
mod due;
mod gate;
mod gateway;
mod meter;
mod oracle;
mod requests;
mod run;
mod watchman;
mod window;
mod worker;

use ambidex_core::again::counts::{Came, Chance};
use ambidex_core::draw::Draw;
use ambidex_core::time::Span;

pub use gateway::Tick;
pub use oracle::Oracle;

use crate::load::{LoadError, arrivals};
use crate::measure::Figures;
use crate::scenario::{Arrivals, Scenario};

/// What came of a simulated run.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// Its figures.
    pub figures: Figures,
    /// Requests that came, the warm-up's included. Each has ended once.
    pub arrived: u64,
    /// Requests that were sent to workers.
    pub sent: u64,
    /// What came of second chances, over all gateways: those that happened at all.
    pub chances: Vec<(Chance, Came, u64)>,
}

/// The seed of a scenario's arrivals, classes and keys: the same for real gateways and simulated ones.
pub(crate) const fn seed_of_demand(scenario: &Scenario) -> u64 {
    Draw::seeded(scenario.seed).bits()
}

/// The times of a scenario's trace; none where it has none.
///
/// # Errors
/// A trace that cannot be used.
pub fn trace_of(scenario: &Scenario) -> Result<Vec<Span>, LoadError> {
    match &scenario.load.arrivals {
        Arrivals::Trace(file) => arrivals::read(file).map_err(|why| LoadError::Trace { file: file.clone(), why }),
        Arrivals::Poisson | Arrivals::Constant => Ok(Vec::new()),
    }
}

/// Runs a scenario. An oracle takes the place of the picks; `trace` is that of [`trace_of`].
#[must_use]
pub fn simulate(scenario: &Scenario, oracle: Option<Oracle>, trace: &[Span]) -> Simulated {
    watch(scenario, oracle, trace, |_| {})
}

/// As [`simulate`]; `watcher` sees every tick of every coordinator.
#[must_use]
pub fn watch(scenario: &Scenario, oracle: Option<Oracle>, trace: &[Span], watcher: impl FnMut(&Tick<'_>)) -> Simulated {
    run::Run::new(scenario, &scenario.route.attempt(), oracle, trace, watcher).run()
}

#[cfg(test)]
mod tests;
