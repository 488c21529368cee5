//! The scenario as a report shows it: what happens in a few lines, and its faults as curves to draw behind the plots.

use ambidex_core::time::Span;

use crate::fault::Kind;
use crate::scenario::{Scenario, Worker};
use crate::worker::Discipline;

/// A scenario, for readers of a report.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Its name.
    pub name: String,
    /// What happens.
    pub title: String,
    /// Seed of the first repeat.
    pub seed: u64,
    /// The time before anything counts.
    pub warm_up: Span,
    /// The time that counts.
    pub duration: Span,
    /// When it happens.
    pub event: Option<Span>,
    /// Requests that take longer are over the objective.
    pub slow_over: Span,
    /// Workers, load, faults: a line each.
    pub lines: Vec<String>,
    /// What goes wrong, over time.
    pub shades: Vec<Shade>,
    /// The workers that anything goes wrong at, by index.
    pub troubled: Vec<usize>,
}

/// A fault's course.
#[derive(Clone, Debug, PartialEq)]
pub struct Shade {
    /// What it is and at whom.
    pub label: String,
    /// From each of these seconds on, so much of it: 0 to 1, the mean over the workers that it is at.
    pub points: Vec<(f64, f64)>,
}

impl Head {
    /// What a report shows of a scenario.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        let workers = scenario.workers();
        let troubled = (0..workers.len()).filter(|at| !workers[*at].faults.is_empty()).collect();
        Self {
            name: scenario.name.clone(),
            title: scenario.title.clone(),
            seed: scenario.seed,
            warm_up: scenario.warm_up,
            duration: scenario.duration,
            event: scenario.event,
            slow_over: scenario.load.slow_over,
            lines: lines(scenario),
            shades: shades(scenario, &workers),
            troubled,
        }
    }
}

fn lines(scenario: &Scenario) -> Vec<String> {
    let groups = scenario.workers.iter().map(|group| {
        format!(
            "workers {} x{}: {} slots, service {}, {}, reports {}",
            group.name,
            group.count,
            group.slots,
            group.service,
            match group.discipline {
                Discipline::Share => "all progress",
                Discipline::Queue => "the rest waits",
            },
            group.report
        )
    });
    let rates = scenario.rates();
    let rate = |(at, rate): &(Span, f64)| format!("{rate:.0}/s from {at}");
    let rates: Vec<String> = rates.iter().map(rate).collect();
    let load = if rates.is_empty() { "load: from a trace".to_owned() } else { format!("load: {}", rates.join(", ")) };
    let faults =
        scenario.faults.iter().map(|fault| format!("fault: {} at {}", named(&fault.fault.kind), on(&fault.on)));
    groups.chain([load]).chain(faults).collect()
}

fn shades(scenario: &Scenario, workers: &[Worker<'_>]) -> Vec<Shade> {
    let of = |fault: &crate::scenario::Fault| {
        let places: Vec<_> = workers
            .iter()
            .flat_map(|worker| &worker.faults)
            .filter(|placed| placed.fault == fault.fault)
            .map(|placed| placed.place)
            .collect();
        let curve = &fault.fault.curve;
        let level =
            |at: Span| places.iter().map(|place| curve.level(at, *place)).sum::<f64>() / places.len().max(1) as f64;
        let next = |at: Span| places.iter().filter_map(|place| curve.next_change(at, *place)).min();
        let mut points = vec![(0.0, level(Span::ZERO))];
        let mut at = Span::ZERO;
        while let Some(change) = next(at).filter(|change| *change < scenario.duration && points.len() < MOST_POINTS) {
            at = change;
            points.push((at.as_secs_f64(), level(at)));
        }
        Shade { label: format!("{} at {}", named(&fault.fault.kind), on(&fault.on)), points }
    };
    scenario.faults.iter().map(of).collect()
}

/// A fault in words: `10 times slower`.
fn named(kind: &Kind) -> String {
    match kind {
        Kind::Slowdown(to) => format!("{to} times slower"),
        Kind::Pause => "paused".to_owned(),
        Kind::Slots(to) => format!("{to} of the slots left"),
        Kind::Errors(to) => format!("{to} fail"),
        Kind::Resets(to) => format!("{to} reset"),
        Kind::Truncate(to) => format!("{to} broken in the middle"),
        Kind::Refuse => "refuses".to_owned(),
        Kind::Blackhole => "answers nothing".to_owned(),
        Kind::Silence => "reports nothing".to_owned(),
    }
}

/// The names that a fault is written at, a few of them.
fn on(names: &[String]) -> String {
    if names.len() <= FEW {
        names.join(", ")
    } else {
        format!("{} and {} more", names[..FEW].join(", "), names.len() - FEW)
    }
}

const FEW: usize = 4;
/// Beyond so many changes a curve is a grey area.
const MOST_POINTS: usize = 2_000;
