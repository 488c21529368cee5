//! When a worker pauses and when its steps are due: time to what is then.

use std::collections::VecDeque;

use ambidex_core::time::{Mono, Span};

use super::options::{Change, Pauses, Step};

pub(super) struct Schedule {
    start: Mono,
    pub(super) pauses: Option<Pauses>,
    steps: VecDeque<Step>,
}

impl Schedule {
    pub(super) fn new(start: Mono, pauses: Option<Pauses>, steps: &[Step]) -> Self {
        let mut steps = steps.to_vec();
        steps.sort_by_key(|step| step.at);
        Self { start, pauses, steps: steps.into() }
    }

    /// The next step that is due.
    pub(super) fn due(&mut self, now: Mono) -> Option<Change> {
        let elapsed = now.since(self.start);
        self.steps.pop_front_if(|step| step.at <= elapsed).map(|step| step.change)
    }

    pub(super) fn is_paused(&self, now: Mono) -> bool {
        self.pauses.is_some_and(|pauses| match into_cycle(&pauses, now.since(self.start)) {
            Some(into) => into < pauses.length,
            None => false,
        })
    }

    /// When something changes next.
    pub(super) fn next(&self, now: Mono) -> Option<Mono> {
        let elapsed = now.since(self.start);
        let step = self.steps.front().map(|step| self.start + step.at);
        let edge = self.pauses.map(|pauses| match into_cycle(&pauses, elapsed) {
            None => self.start + pauses.first,
            Some(into) if into < pauses.length => now + (pauses.length - into),
            Some(into) => now + (pauses.every - into),
        });
        [step, edge].into_iter().flatten().min()
    }
}

/// How far the current cycle of pauses is; `None` before the first.
fn into_cycle(pauses: &Pauses, elapsed: Span) -> Option<Span> {
    (elapsed >= pauses.first).then(|| {
        let since_first = elapsed - pauses.first;
        Span::from_nanos(since_first.as_nanos() % pauses.every.as_nanos().max(1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Mono = Mono::from_nanos(7_000_000_000);

    fn at(millis: u64) -> Mono {
        START + Span::from_millis(millis)
    }

    fn pausing() -> Schedule {
        let pauses =
            Pauses { length: Span::from_millis(200), every: Span::from_secs(5), first: Span::from_millis(1_000) };
        Schedule::new(START, Some(pauses), &[])
    }

    #[test]
    fn pauses_come_and_go_on_their_edges() {
        let schedule = pausing();
        let paused: Vec<bool> = [0, 999, 1_000, 1_199, 1_200, 5_999, 6_000].map(|ms| schedule.is_paused(at(ms))).into();
        assert_eq!(paused, [false, false, true, true, false, false, true]);
    }

    #[test]
    fn the_next_edge_is_known_in_every_phase() {
        let schedule = pausing();
        let edges = [0, 1_100, 1_300].map(|ms| schedule.next(at(ms)));
        assert_eq!(edges, [Some(at(1_000)), Some(at(1_200)), Some(at(6_000))]);
    }

    #[test]
    fn a_step_is_due_once() {
        let step = Step { at: Span::from_millis(20), change: Change { slowdown: Some(10.0), ..Change::default() } };
        let mut schedule = Schedule::new(START, None, std::slice::from_ref(&step));
        assert_eq!((schedule.due(at(19)), schedule.next(at(19))), (None, Some(at(20))));
        assert_eq!((schedule.due(at(20)), schedule.due(at(21))), (Some(step.change), None));
    }
}
