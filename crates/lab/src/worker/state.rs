//! What a worker is in the middle of: the requests in its processor, what is wrong with it, what it would report.

use std::collections::HashMap;

use ambidex_core::draw::Draw;
use ambidex_core::share::Share;
use ambidex_core::time::{Mono, Span};
use bytes::Bytes;
use tokio::sync::oneshot;

use super::change::Change;
use super::options::WorkerOptions;
use super::processor::{Processor, Ticket};
use super::report::{Numbers, Past, Window};
use super::schedule::Schedule;
use crate::fault::Condition;

pub(super) struct State {
    pub(super) options: WorkerOptions,
    pub(super) condition: Condition,
    pub(super) body: Bytes,
    processor: Processor,
    schedule: Schedule,
    window: Window,
    draw: Draw,
    past: Past,
    waiters: HashMap<Ticket, oneshot::Sender<()>>,
    next_ticket: Ticket,
    /// When it wanted to be called next.
    due: Option<Mono>,
}

/// What becomes of a request, drawn when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Served,
    Failed,
    /// Its connection is reset before the answer begins.
    Reset,
    /// Its connection is reset in the middle of the answer.
    Truncated,
}

impl State {
    pub(super) fn new(options: WorkerOptions, start: Mono) -> Self {
        let mut state = Self {
            condition: Condition::SOUND,
            processor: Processor::new(options.slots, options.discipline),
            schedule: Schedule::new(start, &options.steps),
            window: Window::new(options.report_window, start),
            draw: Draw::seeded(options.seed),
            past: Past::new(options.report_delay),
            waiters: HashMap::new(),
            next_ticket: 0,
            due: None,
            body: body(options.answer_bytes),
            options,
        };
        state.follow(start);
        state
    }

    /// Draws what becomes of a request.
    pub(super) fn fate(&mut self) -> Fate {
        let Condition { resets, truncate, errors, .. } = self.condition;
        let drawn = self.draw.unit();
        if drawn < resets.get() {
            Fate::Reset
        } else if drawn < resets.get() + truncate.get() {
            Fate::Truncated
        } else if drawn < resets.get() + truncate.get() + errors.get() {
            Fate::Failed
        } else {
            Fate::Served
        }
    }

    /// Takes a request for `path` in; what comes back rings when it is done.
    pub(super) fn enter(&mut self, now: Mono, path: &str) -> (Ticket, oneshot::Receiver<()>) {
        let drawn = self.options.service.draw(&mut self.draw);
        let work = Span::from_secs_f64(drawn.as_secs_f64() * self.options.cost(path));
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let (sender, done) = oneshot::channel();
        self.waiters.insert(ticket, sender);
        self.processor.enter(now, ticket, work);
        (ticket, done)
    }

    /// A request goes away; says whether it had not been done.
    pub(super) fn leave(&mut self, now: Mono, ticket: Ticket) -> bool {
        let waited = self.waiters.remove(&ticket).is_some();
        if waited {
            self.processor.leave(now, ticket);
        }
        waited
    }

    pub(super) fn answered(&mut self, now: Mono, latency: Span, failed: bool) {
        self.window.record(now, latency, failed);
    }

    /// Makes a change, which has been checked.
    pub(super) fn change(&mut self, now: Mono, change: &Change) {
        change.apply(&mut self.options);
        if change.faults.is_some() {
            self.schedule.faults_begin(now);
        }
        if change.cold_start.is_some() {
            self.schedule.chill(now);
        }
        if let Some(bytes) = change.answer_bytes {
            self.body = body(bytes);
        }
        self.follow(now);
    }

    /// Does what is due, wakes who is done, and says when to look again.
    pub(super) fn tick(&mut self, now: Mono) -> Option<Mono> {
        while let Some(change) = self.schedule.due(now) {
            self.change(now, &change);
        }
        self.follow(now);
        for ticket in self.processor.take_finished() {
            if let Some(waiter) = self.waiters.remove(&ticket) {
                // A receiver that is gone left by itself.
                let _ = waiter.send(());
            }
        }
        self.due = [self.processor.next(), self.schedule.next(&self.options, now)].into_iter().flatten().min();
        self.due
    }

    /// How much later than it wanted it is called, if it wanted to be called by now.
    pub(super) fn lateness(&self, now: Mono) -> Option<Span> {
        self.due.filter(|due| *due <= now).map(|due| now.since(due))
    }

    /// What it reports now: of some time ago where reports come late; nothing while it is silent, and where one is lost.
    pub(super) fn report(&mut self, now: Mono) -> Option<Numbers> {
        let loss = self.options.report_loss;
        if self.condition.is_silent || (loss > Share::NONE && self.draw.unit() < loss.get()) {
            return None;
        }
        let numbers = self.numbers(now);
        self.past.say(now, numbers)
    }

    /// Makes the processor what options and faults say it is now.
    fn follow(&mut self, now: Mono) {
        let refused = self.condition.refuses;
        self.condition = self.schedule.condition(&self.options, now);
        if refused && !self.condition.refuses {
            self.schedule.chill(now);
            self.condition = self.schedule.condition(&self.options, now);
        }
        let slots = self.condition.slots_of(self.options.slots);
        if slots != self.processor.slots() {
            self.processor.set_slots(now, slots);
        }
        self.processor.set_speed(now, if self.condition.is_paused { 0.0 } else { 1.0 / self.condition.slowdown });
    }

    /// Slot-seconds in which a request occupied a slot.
    pub(super) fn busy(&mut self, now: Mono) -> Span {
        self.processor.settle(now);
        Span::from_secs_f64(self.processor.busy_slot_seconds())
    }

    pub(super) fn in_flight(&self) -> usize {
        self.processor.serving() + self.processor.waiting()
    }

    fn numbers(&mut self, now: Mono) -> Numbers {
        self.processor.settle(now);
        let in_flight = self.in_flight();
        let mut numbers = Numbers {
            in_flight,
            queue: in_flight.saturating_sub(self.processor.slots() as usize),
            limit: self.processor.slots(),
            ..Numbers::default()
        };
        self.window.read(now, self.processor.busy_slot_seconds(), self.processor.slots(), &mut numbers);
        numbers
    }
}

fn body(bytes: usize) -> Bytes {
    Bytes::from(vec![b'x'; bytes])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::from_nanos(millis * 1_000_000)
    }

    fn state(text: &str) -> State {
        State::new(serde_json::from_str(text).expect("options"), at(0))
    }

    #[test]
    fn each_fate_meets_its_share_of_the_requests() {
        let mut state = state(r#"{"error_share": "20%", "reset_share": "10%", "truncate_share": "5%"}"#);
        let fates: Vec<Fate> = (0..20_000).map(|_| state.fate()).collect();
        let percent = |fate| fates.iter().filter(|other| **other == fate).count() / 200;
        let percent = [Fate::Reset, Fate::Truncated, Fate::Failed, Fate::Served].map(percent);
        assert!(matches!(percent, [9..=10, 4..=5, 19..=20, 64..=66]), "{percent:?}");
    }

    #[test]
    fn a_dear_route_costs_as_many_times_as_much() {
        let mut state = state(r#"{"costs": {"/dear": 50}}"#);
        let (_dear, _cheap) = (state.enter(at(0), "/dear/1"), state.enter(at(0), "/cheap"));
        let ends = [state.tick(at(0)), state.tick(at(20)), state.tick(at(600))];
        // 10 ms and 500 ms, on slots of their own.
        let millis = ends.map(|end| end.map(|end| end.as_nanos() / 1_000_000));
        assert_eq!(millis, [Some(10), Some(500), None]);
    }

    #[test]
    fn a_neighbour_that_takes_slots_slows_who_is_there() {
        let mut state =
            state(r#"{"slots": 4, "faults": [{"what": "slots", "to": "50%", "curve": {"step": {"at": "5ms"}}}]}"#);
        let _requests: Vec<_> = (0..4).map(|_| state.enter(at(0), "/")).collect();
        assert_eq!(state.tick(at(0)), Some(at(5)));
        // Half of the work is done; the rest goes at half the speed.
        assert_eq!(state.tick(at(5)).map(|end| end.as_nanos() / 1_000_000), Some(15));
    }

    #[test]
    fn a_worker_that_comes_back_is_cold() {
        let mut state = state(
            r#"{"cold_start": {"factor": 5, "over": "10s"},
                "faults": [{"what": "refuse", "curve": {"step": {"at": "20s", "until": "30s"}}}]}"#,
        );
        let mut slowdown = |millis| {
            state.tick(at(millis));
            state.condition.slowdown.to_string()
        };
        assert_eq!([0, 20_000, 30_000, 35_000].map(&mut slowdown), ["5", "1", "5", "3"]);
    }
}
