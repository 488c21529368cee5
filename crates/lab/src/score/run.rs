//! One labelled run: the simulator, and what its lookout finds.

use ambidex_core::plan::PlanInput;
use ambidex_core::runbook::{Effect, Finding};
use ambidex_core::time::{Mono, Span};

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
    let begins = Mono::default() + scenario.warm_up;
    let mut seen = Vec::new();
    let _ = sim::watch(scenario, None, &[], |tick| {
        let PlanInput::Tick { at, .. } = tick.input else { return };
        for effect in tick.effects.iter().filter(|_| tick.gateway == 0) {
            if let Effect::Found(finding) = *effect {
                seen.push(Seen { finding, at: finding.at.since(begins), until: None });
            } else if let Effect::Cleared { mode, .. } = *effect
                && let Some(open) = seen.iter_mut().rfind(|seen: &&mut Seen| seen.finding.evidence.mode() == mode)
            {
                open.until = Some(at.since(begins));
            }
        }
    });
    seen
}
