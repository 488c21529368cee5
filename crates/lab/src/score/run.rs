//! One labelled run: the simulator, and a lookout over each of its gateways.

use ambidex_core::again::Mode;
use ambidex_core::plan::PlanInput;
use ambidex_core::runbook::{Effect, Finding, Lookout, Runbooks};
use ambidex_core::time::{Mono, Span};

use super::Meter;
use crate::scenario::Scenario;
use crate::sim;

/// A finding, and when: from the end of the warm-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// What was found.
    pub finding: Finding,
    /// When; zero in the warm-up.
    pub at: Span,
    /// When it was over, if it was.
    pub until: Option<Span>,
}

/// What the lookout of the first gateway finds in a simulated run.
#[must_use]
pub fn judge(scenario: &Scenario) -> Vec<Seen> {
    let (mut meter, mut lookout) = (Meter::default(), Lookout::new(Runbooks::all(Mode::Observe)));
    let begins = Mono::default() + scenario.warm_up;
    let (mut seen, mut effects) = (Vec::new(), Vec::new());
    let _ = sim::watch(scenario, None, &[], |tick| {
        if tick.gateway > 0 {
            return;
        }
        let PlanInput::Tick { at, workers } = tick.input else { return };
        let observation = meter.read(*at, tick.pool, workers, tick.events);
        lookout.on(&observation, &mut effects);
        for effect in effects.drain(..) {
            if let Effect::Found(finding) = effect {
                seen.push(Seen { finding, at: finding.at.since(begins), until: None });
            } else if let Effect::Cleared { mode, .. } = effect
                && let Some(open) = seen.iter_mut().rfind(|seen: &&mut Seen| seen.finding.evidence.mode() == mode)
            {
                open.until = Some(at.since(begins));
            }
        }
    });
    seen
}
