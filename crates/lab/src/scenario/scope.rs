//! What a run of a scenario is measured by.

use ambidex_core::share::Share;
use ambidex_core::time::{Mono, Span};

use super::{Scenario, Worker};
use crate::fault::{self, Condition};
use crate::measure::{Event, Scope};

impl Scenario {
    /// What a recorder must know; the clock of the run is zero at the start of the warm-up.
    #[must_use]
    pub fn scope(&self) -> Scope {
        let workers = self.workers();
        Scope {
            begins: Mono::default() + self.warm_up,
            duration: self.duration,
            workers: workers.iter().map(|worker| worker.name.clone()).collect(),
            slots: workers.iter().map(|worker| worker.group.slots).collect(),
            classes: self.load.classes.iter().map(|class| class.name.clone()).collect(),
            gateways: self.gateways.count as usize,
            slow_over: self.load.slow_over,
            home: self.at_home(&workers),
            event: self.event.map(|at| happening(&workers, at, self.duration)),
        }
    }
}

impl Scenario {
    /// Which workers are in the zone that requests come from; empty where zones do not matter.
    fn at_home(&self, workers: &[Worker<'_>]) -> Vec<bool> {
        if self.load.zone.is_empty() {
            return Vec::new();
        }
        workers.iter().map(|worker| worker.group.zone == self.load.zone).collect()
    }
}

/// Whom the event hits, and what share of the capacity they had before it and have left at their worst after it.
fn happening(workers: &[Worker<'_>], at: Span, end: Span) -> Event {
    // Nothing is wrong before the measured time begins.
    let then = |worker: &Worker<'_>| match at {
        Span::ZERO => carried(worker, Condition::SOUND),
        _ => capacity(worker, at - Span::from_nanos(1)),
    };
    let before: Vec<f64> = workers.iter().map(then).collect();
    let worst: Vec<f64> = workers.iter().map(|worker| worst(worker, at, end)).collect();
    // Who was away and comes back is hit where it comes back with less than it had.
    let sound = |worker: usize| carried(&workers[worker], Condition::SOUND);
    let had = |worker: usize| if before[worker] > 0.0 { before[worker] } else { sound(worker) };
    let hit: Vec<usize> = (0..workers.len()).filter(|worker| worst[*worker] < had(*worker) * (1.0 - HIT)).collect();
    let share = |of: &dyn Fn(usize) -> f64| {
        let all: f64 = (0..workers.len()).map(of).sum();
        let part: f64 = hit.iter().map(|worker| of(*worker)).sum();
        if all > 0.0 { part / all } else { 0.0 }
    };
    let after = |worker: usize| if hit.contains(&worker) { worst[worker] } else { before[worker] };
    let (before, after) = (share(&|worker| before[worker]), share(&after));
    Event { at, hit, before, after }
}

/// The least that a worker can carry from a moment on.
fn worst(worker: &Worker<'_>, from: Span, end: Span) -> f64 {
    let (mut at, mut least) = (from, capacity(worker, from));
    for _ in 0..MOST_CHANGES {
        match fault::next_change(&worker.faults, at).filter(|next| *next < end) {
            Some(next) => at = next,
            None => break,
        }
        least = least.min(capacity(worker, at));
    }
    least
}

/// Requests of cost 1 a second that it can answer well.
fn capacity(worker: &Worker<'_>, elapsed: Span) -> f64 {
    carried(worker, Condition::of(&worker.faults, elapsed))
}

fn carried(worker: &Worker<'_>, condition: Condition) -> f64 {
    if condition.is_paused || condition.refuses || condition.is_blackhole {
        return 0.0;
    }
    let slots = f64::from(condition.slots_of(worker.group.slots));
    let well = |share: Share| share.rest().get();
    let speed = 1.0 / (worker.group.service.mean.as_secs_f64() * condition.slowdown);
    slots * speed * well(condition.errors) * well(condition.resets) * well(condition.truncate)
}

/// Who loses less of its capacity is not hit. Source: ours; what a run tells from chance.
const HIT: f64 = 0.05;
/// Changes of a worker's faults that are looked at: two ramps, or the first periods of a wave.
const MOST_CHANGES: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: u32, faults: &str) -> Event {
        let text = format!(
            "scenario: T\ntitle: a test\nduration: 60s\nevent: {at}s\nworkers: [{{name: w, count: 4}}]\n\
             load: {{rate: 50%}}\nfaults: [{faults}]\n"
        );
        let scenario = Scenario::read("a test", text).unwrap_or_else(|findings| panic!("{}", findings.render(false)));
        scenario.scope().event.expect("an event")
    }

    #[test]
    fn who_becomes_slower_is_hit() {
        let event = event(20, "{on: [w-2], what: slowdown, to: 4, curve: {step: {at: 20s}}}");
        assert_eq!((event.hit, event.before), (vec![1], 0.25));
        assert!((event.after - 0.25 / 3.25).abs() < 1e-9);
    }

    #[test]
    fn who_comes_back_cold_is_hit_and_loses_nothing() {
        let away = "{on: [w-2], what: refuse, curve: {step: {at: 10s, until: 20s}}}";
        let cold = "{on: [w-2], what: slowdown, to: 5, curve: {fall: {from: 20s, until: 35s}}}";
        let back = event(20, &format!("{away}, {cold}"));
        assert_eq!((back.hit, back.before), (vec![1], 0.0));
        assert!(event(20, away).hit.is_empty(), "it comes back as it was");
    }
}
