//! Our own rules of weights against each other in the simulator, for goals `against: rules` where real runs have no time
//! for six more arms.

use ambidex_core::plan::{PlanConfig, Rule};

use super::contenders::RULES;
use crate::report::{Arm, Judged, Kind, Report, State};
use crate::scenario::{Arrivals, Goal, Scenario};
use crate::sim;

/// The name by which goals know the rules.
const GOAL: &str = "rules";

/// A scenario's goals against the rules, judged by the simulator over this many seeds, and over eight times as many where
/// only chance speaks for us. `None`: it has none, or its arrivals come from a file, which this does not read.
#[must_use]
pub fn rules(scenario: &Scenario, repeats: usize) -> Option<Report> {
    let goals = with(scenario, |goal| goal.against.as_deref() == Some(GOAL));
    if goals.goals.is_empty() || matches!(scenario.load.arrivals, Arrivals::Trace(_)) {
        return None;
    }
    let report = compared(&goals, repeats);
    let is_open = report.goals.iter().any(Judged::is_open);
    Some(if is_open { compared(&goals, repeats * CLOSER) } else { report })
}

fn compared(scenario: &Scenario, repeats: usize) -> Report {
    let ours = arm("ambidex, simulated", Kind::Ours, None, scenario, repeats);
    let others = RULES.iter().map(|rule| {
        let name = format!("ambidex weights {rule}, simulated");
        arm(&name, Kind::OursOtherwise, Some(*rule), scenario, repeats)
    });
    Report::new("simulation", scenario, std::iter::once(ours).chain(others).collect())
}

/// A scenario that real processes cannot run, in the simulator over this many seeds.
#[must_use]
pub fn simulated(scenario: &Scenario, repeats: usize) -> Report {
    Report::new("simulation", scenario, vec![arm("ambidex, simulated", Kind::Ours, None, scenario, repeats)])
}

/// The scenario without those goals.
#[must_use]
pub fn without_rules(scenario: &Scenario) -> Scenario {
    with(scenario, |goal| goal.against.as_deref() != Some(GOAL))
}

fn with(scenario: &Scenario, keep: impl Fn(&Goal) -> bool) -> Scenario {
    let goals = scenario.goals.iter().filter(|goal| keep(goal)).cloned().collect();
    Scenario { goals, ..scenario.clone() }
}

fn arm(name: &str, kind: Kind, rule: Option<Rule>, scenario: &Scenario, repeats: usize) -> Arm {
    let mut scenario = scenario.clone();
    if let Some(rule) = rule {
        scenario.balancer.weights = PlanConfig::of(rule);
    }
    let run = |repeat: usize| {
        let seed = scenario.seed.wrapping_add(repeat as u64);
        sim::simulate(&Scenario { seed, ..scenario.clone() }, None, &[]).figures
    };
    Arm {
        name: name.to_owned(),
        kind,
        known_as: if rule.is_some() { vec![GOAL.to_owned()] } else { Vec::new() },
        setup: vec!["in the simulator".to_owned()],
        state: State::Ran((0..repeats).map(run).collect()),
    }
}

/// How many times as many seeds look at what is open. Source: ours; of 1.2 times as much, forty pairs show what five leave
/// open, and take half a minute.
const CLOSER: usize = 8;
