//! Weights that swing, at any period from 2 s to 10 min: half of the workers become slower in turn with the others.

use ambidex_core::time::Span;

use super::scenarios::Drawn;
use crate::scenario::Scenario;

/// Periods in tenths of a second.
const PERIODS: [u64; 10] = [20, 30, 50, 80, 150, 300, 600, 1_500, 3_000, 6_000];

/// From when they swing, in seconds after the warm-up.
pub(super) const AT: u64 = 5;

/// The run of a seed: the seeds go round the periods.
pub(super) fn of(seed: u64) -> (Scenario, u64, Span) {
    let mut drawn = Drawn::new(seed, 8);
    let period = PERIODS[drawn.draw.below(PERIODS.len())];
    let swing = Swing::of(&mut drawn, period);
    (swing.scenario(&drawn, seed, AT + (period * 9 / 20).max(20)), AT, Span::from_millis(period * 100))
}

/// How they swing.
pub(super) struct Swing {
    /// In tenths of a second.
    period: u64,
    load: u64,
    to: u64,
    /// How often the oscillation guard may damp the loop.
    doublings: u8,
    /// A group beside them, and what goes wrong with it.
    pub(super) more: Option<(String, String)>,
}

impl Swing {
    /// A swing of this period.
    pub(super) fn of(drawn: &mut Drawn, period: u64) -> Self {
        drawn.workers = 4 + 2 * drawn.below(3);
        // Long runs are simulated with slow requests, so that they are not many.
        if period >= 1_000 {
            (drawn.workers, drawn.slots, drawn.service) = (4, 2, 60);
        }
        drawn.report = "server-load";
        let (load, to) = (35 + drawn.below(11), 25 + drawn.below(16));
        // A loop that is set to follow at once; the guard, which would calm the quick ones before anybody sees them, is on
        // in half of the slow ones.
        let doublings = if period < 80 || drawn.below(2) == 0 { 0 } else { 4 };
        Self { period, load, to, doublings, more: None }
    }

    /// The scenario, of so many seconds.
    pub(super) fn scenario(&self, drawn: &Drawn, seed: u64, duration: u64) -> Scenario {
        let Self { period, load, to, doublings, more } = self;
        // A tick of a twelfth of the period, from 0.1 s to the default of 1 s, and averages that can follow.
        let tick = (period * 100 / 12).clamp(100, 1_000);
        let constant = (period * 100 / 30).clamp(100, 2_000);
        let half = drawn.workers / 2;
        let curve = |shift: u64| {
            format!("{{square: {{first: {}ms, period: {}ms, duty: 50%}}}}", AT * 1_000 + shift, period * 100)
        };
        let fault =
            |on: &str, shift| format!("{{on: [{on}], what: slots, to: {}%, curve: {}}}", 1_000 / to, curve(shift));
        let groups = [Some(drawn.named("a", half, "")), Some(drawn.named("b", half, ""))];
        let faults = [Some(fault("a", 0)), Some(fault("b", period * 50))];
        let (group, wrong) = more.clone().unzip();
        let join =
            |all: [Option<String>; 2], last| all.into_iter().chain([last]).flatten().collect::<Vec<_>>().join(", ");
        let rest = format!(
            "load: {{rate: {load}%}}\nfaults: [{}]\n\
             balancer: {{weights: {{policy: capacity, tick: {tick}ms, time_constant: {constant}ms, \
             hysteresis: {{ticks: 1}}, oscillation: {{doublings: {doublings}}}}}}}\nroute: {{deadline: 60s}}",
            join(faults, wrong),
        );
        drawn.scenario(seed, duration, &join(groups, group), &rest)
    }
}
