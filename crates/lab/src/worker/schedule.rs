//! What is to be wrong with a worker and when: its faults, pauses, cold start and steps; time to what is then.

use std::collections::VecDeque;

use ambidex_core::time::{Mono, Span};

use super::change::Change;
use super::options::{Pauses, Step, WorkerOptions};
use crate::fault::{self, Condition, Kind};

pub(super) struct Schedule {
    start: Mono,
    /// From when on the faults' times count.
    faults_from: Mono,
    cold_from: Mono,
    steps: VecDeque<Step>,
}

impl Schedule {
    pub(super) fn new(start: Mono, steps: &[Step]) -> Self {
        let mut steps = steps.to_vec();
        steps.sort_by_key(|step| step.at);
        Self { start, faults_from: start, cold_from: start, steps: steps.into() }
    }

    /// The next step that is due.
    pub(super) fn due(&mut self, now: Mono) -> Option<Change> {
        let elapsed = now.since(self.start);
        self.steps.pop_front_if(|step| step.at <= elapsed).map(|step| step.change)
    }

    /// The faults of a worker were told anew.
    pub(super) fn faults_begin(&mut self, now: Mono) {
        self.faults_from = now;
    }

    /// The worker begins anew, with nothing warm.
    pub(super) fn chill(&mut self, now: Mono) {
        self.cold_from = now;
    }

    /// All that is wrong with a worker of these options now.
    pub(super) fn condition(&self, options: &WorkerOptions, now: Mono) -> Condition {
        let mut condition = Condition::of(&options.faults, now.since(self.faults_from));
        condition.add(Kind::Errors(options.error_share), 1.0);
        condition.add(Kind::Resets(options.reset_share), 1.0);
        condition.add(Kind::Truncate(options.truncate_share), 1.0);
        condition.slowdown *= options.slowdown;
        if let Some(cold) = &options.cold_start {
            condition.slowdown *= cold.factor(now.since(self.cold_from));
        }
        condition.is_paused |= options.pauses.is_some_and(|pauses| match into_cycle(&pauses, now.since(self.start)) {
            Some(into) => into < pauses.length,
            None => false,
        });
        condition
    }

    /// When something changes next.
    pub(super) fn next(&self, options: &WorkerOptions, now: Mono) -> Option<Mono> {
        let elapsed = now.since(self.start);
        let step = self.steps.front().map(|step| self.start + step.at);
        let edge = options.pauses.map(|pauses| match into_cycle(&pauses, elapsed) {
            None => self.start + pauses.first,
            Some(into) if into < pauses.length => now + (pauses.length - into),
            Some(into) => now + (pauses.every - into),
        });
        let fault = fault::next_change(&options.faults, now.since(self.faults_from)).map(|at| self.faults_from + at);
        let since = now.since(self.cold_from);
        let warmer = options.cold_start.and_then(|cold| cold.next_change(since)).map(|at| self.cold_from + at);
        [step, edge, fault, warmer].into_iter().flatten().min()
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

    fn options(text: &str) -> WorkerOptions {
        serde_json::from_str(text).expect("options")
    }

    fn pausing() -> WorkerOptions {
        options(r#"{"pauses": {"length": "200ms", "every": "5s", "first": "1s"}}"#)
    }

    #[test]
    fn pauses_come_and_go_on_their_edges() {
        let schedule = Schedule::new(START, &[]);
        let paused = |ms| schedule.condition(&pausing(), at(ms)).is_paused;
        let paused = [0, 999, 1_000, 1_199, 1_200, 5_999, 6_000].map(paused);
        assert_eq!(paused, [false, false, true, true, false, false, true]);
    }

    #[test]
    fn the_next_edge_is_known_in_every_phase() {
        let schedule = Schedule::new(START, &[]);
        let edges = [0, 1_100, 1_300].map(|ms| schedule.next(&pausing(), at(ms)));
        assert_eq!(edges, [Some(at(1_000)), Some(at(1_200)), Some(at(6_000))]);
    }

    #[test]
    fn a_step_is_due_once() {
        let step = Step { at: Span::from_millis(20), change: Change { slowdown: Some(10.0), ..Change::default() } };
        let mut schedule = Schedule::new(START, std::slice::from_ref(&step));
        let next = schedule.next(&WorkerOptions::default(), at(19));
        assert_eq!((schedule.due(at(19)), next), (None, Some(at(20))));
        assert_eq!((schedule.due(at(20)), schedule.due(at(21))), (Some(step.change), None));
    }

    #[test]
    fn faults_count_from_when_they_were_told() {
        let options =
            options(r#"{"slowdown": 2, "faults": [{"what": "slowdown", "to": 5, "curve": {"step": {"at": "1s"}}}]}"#);
        let mut schedule = Schedule::new(START, &[]);
        schedule.faults_begin(at(3_000));
        let slowdowns = [3_999, 4_000].map(|ms| schedule.condition(&options, at(ms)).slowdown.to_string());
        assert_eq!((slowdowns, schedule.next(&options, at(3_500))), (["2".into(), "10".into()], Some(at(4_000))));
    }

    #[test]
    fn a_worker_is_cold_again_when_it_begins_anew() {
        let options = options(r#"{"cold_start": {"factor": 5, "over": "10s"}}"#);
        let mut schedule = Schedule::new(START, &[]);
        let slowdown = |schedule: &Schedule, ms| schedule.condition(&options, at(ms)).slowdown.to_string();
        assert_eq!([0, 5_000, 10_000].map(|ms| slowdown(&schedule, ms)), ["5", "3", "1"]);
        schedule.chill(at(20_000));
        assert_eq!([20_000, 25_000].map(|ms| slowdown(&schedule, ms)), ["5", "3"]);
    }
}
