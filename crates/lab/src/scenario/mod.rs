//! Scenarios: one experiment as a file, for the simulator and for real processes alike.
//!
//! For: `ambidex lab simulate`, `lab run`, `lab compare`, `lab ablate`, and the scores of the failure-mode detectors. The
//! files of the catalogue lie in `lab/scenarios/`; `docs/scenarios.md` explains each key.
//!
//! ```text
//! text -> tree (places) -> Scenario (types checked one by one) -> checks across sections -> Scenario, or Findings
//!                              \__ workers(): groups told apart as single workers, each with its faults
//! ```
//! Times within a run count from the end of the warm-up; nothing goes wrong before it.

mod amount;
mod checks;
mod fault;
mod live;
mod load;
mod scope;
mod setup;
mod workers;

use std::path::Path;

use ambidex_core::guard::shed::ShedConfig;
use ambidex_core::time::Span;
use ambidex_yaml::{Node, text_of};
use serde::{Deserialize, Serialize};

pub use crate::load::{Arrivals, Http};
pub use ambidex_yaml::Findings;
pub use amount::{Amount, AmountError, Goal, Rate, RateError};
pub use fault::Fault;
pub use live::NotLive;
pub use load::{ClassShare, Keys, Load, RateAt, Tenants};
pub use setup::{Balancer, Gateways, Retry, Route};
pub use workers::{Group, Worker};

/// One experiment. Read by [`Scenario::load`] or [`Scenario::read`], which check it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its name in the catalogue, such as `X6`.
    #[serde(rename = "scenario")]
    pub name: String,
    /// What happens, in one line.
    pub title: String,
    /// Seed of arrivals, work and faults. Default 1.
    #[serde(default = "one")]
    pub seed: u64,
    /// The time before anything counts. Default 5s.
    #[serde(default = "five_seconds")]
    pub warm_up: Span,
    /// The time that counts, after the warm-up.
    pub duration: Span,
    /// When it happens, for the time to converge and to shift. Default: nothing happens at one moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Span>,
    /// Who serves.
    pub workers: Vec<Group>,
    /// Who asks.
    pub load: Load,
    /// What goes wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
    /// What stands between.
    #[serde(default)]
    pub gateways: Gateways,
    /// How the gateway's pool is configured.
    #[serde(default)]
    pub balancer: Balancer,
    /// How the gateway's route is configured.
    #[serde(default)]
    pub route: Route,
    /// An agent before each worker, which sheds by these settings. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agents: Option<ShedConfig>,
    /// What must come of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub goals: Vec<Goal>,
}

impl Scenario {
    /// Reads and checks the file at `path`; files that it names lie beside it.
    ///
    /// # Errors
    /// Every mistake found, with its line.
    pub fn load(path: &Path) -> Result<Self, Findings> {
        let text = text_of(path, "scenario", "leave something out: a scenario is a page")?;
        let mut scenario = Self::read(&path.display().to_string(), text)?;
        if let (Arrivals::Trace(trace), Some(folder)) = (&mut scenario.load.arrivals, path.parent()) {
            *trace = folder.join(&*trace);
        }
        Ok(scenario)
    }

    /// Reads and checks a scenario's text; `name` is what it is called in messages.
    ///
    /// # Errors
    /// Every mistake found, with its line.
    pub fn read(name: &str, text: String) -> Result<Self, Findings> {
        let read = Node::parse(&text).map_err(|problem| vec![problem]).and_then(|tree| {
            let scenario: Self = ambidex_yaml::read(&tree)?;
            let found = checks::across(&scenario, &tree);
            if found.is_empty() { Ok(scenario) } else { Err(found) }
        });
        read.map_err(|problems| Findings { file: name.to_owned(), text, problems })
    }

    /// The same queues at a slower pace: service takes `factor` times as long, and so do answers before they count as slow;
    /// requests come as many times more rarely. What happens when, and how long it is looked at, stays.
    #[must_use]
    pub fn slowed(mut self, factor: u32) -> Self {
        let longer = |span: Span| span.times(u64::from(factor));
        for group in &mut self.workers {
            group.service.mean = longer(group.service.mean);
        }
        let load = &mut self.load;
        load.slow_over = longer(load.slow_over);
        for rate in load.rate.iter_mut().chain(load.rates.iter_mut().map(|step| &mut step.rate)) {
            // A share of what the workers can carry is slowed with them.
            if let Rate::PerSecond(rate) = rate {
                *rate /= f64::from(factor);
            }
        }
        self
    }

    /// Every worker, in the order of the file.
    #[must_use]
    pub fn workers(&self) -> Vec<Worker<'_>> {
        workers::all(self)
    }

    /// Requests a second that all workers can carry as configured: slots over the mean work of a request, whose cost is
    /// that of the classes' mix.
    #[must_use]
    pub fn capacity(&self) -> f64 {
        self.workers.iter().map(Group::capacity).sum::<f64>() / self.load.mean_cost()
    }

    /// Requests a second, from each of these times on; the first from the start. Nothing for a trace, which has its own.
    #[must_use]
    pub fn rates(&self) -> Vec<(Span, f64)> {
        let capacity = self.capacity();
        let first = self.load.rate.iter().map(|rate| (Span::ZERO, rate.of(capacity)));
        first.chain(self.load.rates.iter().map(|step| (step.at, step.rate.of(capacity)))).collect()
    }
}

const fn one() -> u64 {
    1
}

const fn five_seconds() -> Span {
    Span::from_secs(5)
}

#[cfg(test)]
mod tests;
