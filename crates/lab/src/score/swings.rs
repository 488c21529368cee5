//! Weights that swing, at any period from 2 s to 10 min: half of the workers become slower in turn with the others.

use super::scenarios::Drawn;
use crate::scenario::Scenario;

/// Periods in tenths of a second.
const PERIODS: [u64; 10] = [20, 30, 50, 80, 150, 300, 600, 1_500, 3_000, 6_000];

/// The run of a seed: the seeds go round the periods.
pub(super) fn of(seed: u64) -> (Scenario, u64) {
    let mut drawn = Drawn::new(seed, 8);
    let period = PERIODS[drawn.draw.below(PERIODS.len())];
    swing(&mut drawn, seed, period)
}

/// A swing of this period, in tenths of a second.
pub(super) fn swing(drawn: &mut Drawn, seed: u64, period: u64) -> (Scenario, u64) {
    drawn.workers = 4 + 2 * drawn.below(3);
    // Long runs are simulated with slow requests, so that they are not many.
    if period >= 1_000 {
        (drawn.workers, drawn.slots, drawn.service) = (4, 2, 60);
    }
    drawn.report = "server-load";
    let (load, to) = (35 + drawn.below(11), 25 + drawn.below(16));
    let at = 5;
    // A tick of a twelfth of the period, from 0.1 s to the default of 1 s, and averages that can follow.
    let tick = (period * 100 / 12).clamp(100, 1_000);
    let constant = (period * 100 / 30).clamp(100, 2_000);
    // A loop that is set to follow at once; the guard, which would calm the quick ones before anybody sees them, is on in
    // half of the slow ones.
    let doublings = if period < 80 || drawn.below(2) == 0 { 0 } else { 4 };
    let half = drawn.workers / 2;
    let workers = format!("{}, {}", drawn.named("a", half, ""), drawn.named("b", half, ""));
    let curve =
        |shift: u64| format!("{{square: {{first: {}ms, period: {}ms, duty: 50%}}}}", at * 1_000 + shift, period * 100);
    let fault =
        |on: &str, shift| format!("{{on: [{on}], what: slots, to: {}%, curve: {}}}", 100 * 10 / to, curve(shift));
    let rest = format!(
        "load: {{rate: {load}%}}\nfaults: [{}, {}]\n\
         balancer: {{weights: {{policy: capacity, tick: {tick}ms, time_constant: {constant}ms, \
         hysteresis: {{ticks: 1}}, oscillation: {{doublings: {doublings}}}}}}}\nroute: {{deadline: 60s}}",
        fault("a", 0),
        fault("b", period * 50),
    );
    let duration = at + (period * 9 / 20).max(20);
    (drawn.scenario(seed, duration, &workers, &rest), at)
}
