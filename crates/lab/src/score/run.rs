//! One labelled run: the simulator, what its lookout finds, and what its clients got.

use ambidex_core::plan::PlanInput;
use ambidex_core::runbook::{Effect, Finding};
use ambidex_core::time::{Mono, Span};

use super::shown::{Went, settle};
use super::{Kind, Labelled};
use crate::measure::Series;
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

/// A run that was simulated.
#[derive(Clone, Debug)]
pub struct Judged {
    /// By which it can be had again.
    pub seed: u64,
    /// The run; its modes are those that it showed.
    pub labelled: Labelled,
    /// How it went.
    pub went: Went,
    /// What was found.
    pub seen: Vec<Seen>,
}

/// The runs of a kind, from this seed on, until one shows what is meant; the next seed is so far away.
pub(super) fn until_shown(kind: Kind, seed: u64, apart: u64) -> Vec<Judged> {
    let mut runs: Vec<Judged> = Vec::new();
    for draw in 0..MOST_DRAWS {
        let judged = judge(kind, seed + draw * apart);
        let went = judged.went;
        runs.push(judged);
        if went == Went::AsMeant {
            break;
        }
    }
    runs
}

/// Simulates one run.
#[must_use]
pub fn judge(kind: Kind, seed: u64) -> Judged {
    let mut labelled = kind.labelled(seed);
    let (seen, clients) = watch(&labelled.scenario);
    let went = settle(&mut labelled, &clients);
    Judged { seed, labelled, went, seen }
}

/// What the lookout of the first gateway finds in a simulated run, and what clients get.
fn watch(scenario: &Scenario) -> (Vec<Seen>, Series) {
    let begins = Mono::default() + scenario.warm_up;
    let mut seen = Vec::new();
    let simulated = sim::watch(scenario, None, &[], |tick| {
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
    (seen, simulated.figures.series)
}

/// Source: ours; a kind that shows nothing in so many draws is badly made, and its row says so by its count.
const MOST_DRAWS: u64 = 10;
