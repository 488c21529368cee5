//! A processor that sleeps: so many slots, and what happens when more requests than slots are in it.
//!
//! ```text
//! share: all n requests progress at speed * min(1, slots / n)      (processor sharing)
//! queue: the first `slots` progress at full speed, others wait     (first come, first served)
//! ```
//! Virtual time makes sharing cheap: it runs at the common rate, a request of work w that enters at virtual time v
//! ends at virtual v + w whatever enters or leaves, so one heap and one timer serve any number of requests.
//! Pure: time comes in, tickets come out. Used by the laboratory's workers and by its simulator.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use ambidex_core::time::{Mono, Span};
use serde::{Deserialize, Serialize};

/// What happens to requests beyond the slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Discipline {
    /// All progress, each more slowly.
    #[default]
    Share,
    /// They wait their turn.
    Queue,
}

/// Names one request inside the processor.
pub(crate) type Ticket = u64;

/// So many slots, and who is in them.
#[derive(Debug)]
pub(crate) struct Processor {
    slots: u32,
    discipline: Discipline,
    /// Work done per second on a slot of its own; 0 while paused.
    speed: f64,
    settled_to: Mono,
    /// Virtual nanoseconds.
    virtual_now: f64,
    /// By virtual end, the next one first.
    serving: BinaryHeap<Reverse<(u64, Ticket)>>,
    waiting: VecDeque<(Ticket, Span)>,
    finished: Vec<Ticket>,
    busy_slot_seconds: f64,
}

impl Processor {
    pub(crate) fn new(slots: u32, discipline: Discipline) -> Self {
        Self {
            slots: slots.max(1),
            discipline,
            speed: 1.0,
            settled_to: Mono::default(),
            virtual_now: 0.0,
            serving: BinaryHeap::new(),
            waiting: VecDeque::new(),
            finished: Vec::new(),
            busy_slot_seconds: 0.0,
        }
    }

    /// A request with `work` comes in.
    pub(crate) fn enter(&mut self, now: Mono, ticket: Ticket, work: Span) {
        self.settle(now);
        if self.discipline == Discipline::Queue && self.serving.len() >= self.slots as usize {
            self.waiting.push_back((ticket, work));
        } else {
            self.serve(ticket, work);
        }
    }

    /// A request goes away before it is done: its client gave up.
    pub(crate) fn leave(&mut self, now: Mono, ticket: Ticket) {
        self.settle(now);
        let before = self.serving.len();
        // Few give up, and few are in a processor: looking at all of them costs less than knowing where each is.
        self.serving.retain(|Reverse((_, serving))| *serving != ticket);
        if self.serving.len() < before {
            self.promote();
        } else {
            self.waiting.retain(|(waiting, _)| *waiting != ticket);
        }
    }

    /// Sets the work done per second on a slot; 0 pauses.
    pub(crate) fn set_speed(&mut self, now: Mono, speed: f64) {
        self.settle(now);
        self.speed = speed;
    }

    pub(crate) fn set_slots(&mut self, now: Mono, slots: u32) {
        self.settle(now);
        self.slots = slots.max(1);
        while self.discipline == Discipline::Queue && self.serving.len() < self.slots as usize && self.promote() {}
    }

    /// Lets time pass until `now`; who finished on the way comes out of [`Self::take_finished`].
    pub(crate) fn settle(&mut self, now: Mono) {
        while let Some(end) = self.next().filter(|end| *end <= now) {
            self.pass(end);
            // What is due is done, whatever rounding left of it; so every turn takes one out.
            if let Some(Reverse((due, ticket))) = self.serving.pop() {
                self.virtual_now = self.virtual_now.max(due as f64);
                self.finished.push(ticket);
                self.promote();
            }
        }
        self.pass(now);
    }

    /// Who is done, the first first.
    pub(crate) fn take_finished(&mut self) -> impl Iterator<Item = Ticket> + '_ {
        self.finished.drain(..)
    }

    /// Everybody goes away at once: the process died.
    pub(crate) fn clear(&mut self, now: Mono) -> Vec<Ticket> {
        self.settle(now);
        let serving = self.serving.drain().map(|Reverse((_, ticket))| ticket);
        let mut all: Vec<Ticket> = serving.chain(self.waiting.drain(..).map(|(ticket, _)| ticket)).collect();
        all.sort_unstable();
        all
    }

    /// When the next request will be done, if nothing comes between.
    pub(crate) fn next(&self) -> Option<Mono> {
        let Reverse((end, _)) = self.serving.peek()?;
        let rate = self.rate();
        if rate <= 0.0 {
            return None;
        }
        let left = (*end as f64 - self.virtual_now).max(0.0) / rate;
        Some(self.settled_to + Span::from_secs_f64((left / 1e9).min(FAR)) + Span::from_nanos(1))
    }

    pub(crate) fn serving(&self) -> usize {
        self.serving.len()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Slot-seconds in which a request occupied a slot, since the start.
    pub(crate) fn busy_slot_seconds(&self) -> f64 {
        self.busy_slot_seconds
    }

    pub(crate) fn slots(&self) -> u32 {
        self.slots
    }

    fn serve(&mut self, ticket: Ticket, work: Span) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole nanoseconds, never negative"
        )]
        let end = (self.virtual_now + work.as_nanos() as f64) as u64;
        self.serving.push(Reverse((end, ticket)));
    }

    fn promote(&mut self) -> bool {
        let next = self.waiting.pop_front();
        if let Some((ticket, work)) = next {
            self.serve(ticket, work);
        }
        next.is_some()
    }

    fn rate(&self) -> f64 {
        let crowd = self.serving.len().max(1) as f64;
        self.speed * (f64::from(self.slots) / crowd).min(1.0)
    }

    fn pass(&mut self, to: Mono) {
        let span = to.since(self.settled_to);
        self.virtual_now += span.as_nanos() as f64 * self.rate();
        self.busy_slot_seconds += span.as_secs_f64() * (self.serving.len() as f64).min(f64::from(self.slots));
        self.settled_to = self.settled_to.max(to);
    }
}

/// Seconds beyond which an end is as good as never.
const FAR: f64 = 1e6;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono::from_nanos(millis * 1_000_000)
    }

    fn ends_at(processor: &Processor) -> Option<u64> {
        processor.next().map(|end| end.as_nanos() / 1_000_000)
    }

    fn finished(processor: &mut Processor) -> Vec<Ticket> {
        processor.take_finished().collect()
    }

    #[test]
    fn requests_within_the_slots_do_not_slow_each_other() {
        let mut processor = Processor::new(2, Discipline::Share);
        processor.enter(at(0), 1, Span::from_millis(10));
        processor.enter(at(5), 2, Span::from_millis(10));
        assert_eq!(ends_at(&processor), Some(10));
        processor.settle(at(16));
        assert_eq!(finished(&mut processor), [1, 2]);
    }

    #[test]
    fn requests_beyond_the_slots_share_them() {
        let mut processor = Processor::new(1, Discipline::Share);
        processor.enter(at(0), 1, Span::from_millis(10));
        processor.enter(at(0), 2, Span::from_millis(20));
        // Both at half speed until the first ends at 20; the second has 10 ms of work left then.
        assert_eq!(ends_at(&processor), Some(20));
        processor.settle(at(21));
        assert_eq!((finished(&mut processor), ends_at(&processor)), (vec![1], Some(30)));
    }

    #[test]
    fn a_queue_serves_in_the_order_of_arrival() {
        let mut processor = Processor::new(1, Discipline::Queue);
        processor.enter(at(0), 1, Span::from_millis(10));
        processor.enter(at(0), 2, Span::from_millis(1));
        assert_eq!((processor.serving(), processor.waiting()), (1, 1));
        processor.settle(at(12));
        assert_eq!(finished(&mut processor), [1, 2]);
    }

    #[test]
    fn a_client_that_gives_up_frees_its_share() {
        let mut processor = Processor::new(1, Discipline::Share);
        processor.enter(at(0), 1, Span::from_millis(10));
        processor.enter(at(0), 2, Span::from_millis(10));
        processor.leave(at(4), 1);
        // 2 ms of work done at half speed, 8 left at full.
        assert_eq!(ends_at(&processor), Some(12));
    }

    #[test]
    fn a_processor_that_dies_lets_everybody_go() {
        let mut processor = Processor::new(1, Discipline::Queue);
        (1..4).for_each(|ticket| processor.enter(at(0), ticket, Span::from_millis(10)));
        assert_eq!((processor.clear(at(1)), processor.next()), (vec![1, 2, 3], None));
    }

    #[test]
    fn a_paused_processor_finishes_nothing_and_goes_on_where_it_was() {
        let mut processor = Processor::new(1, Discipline::Share);
        processor.enter(at(0), 1, Span::from_millis(10));
        processor.set_speed(at(4), 0.0);
        assert_eq!(processor.next(), None);
        processor.set_speed(at(204), 1.0);
        assert_eq!(ends_at(&processor), Some(210));
    }

    #[test]
    fn a_slowed_processor_takes_as_many_times_as_long() {
        let mut processor = Processor::new(1, Discipline::Share);
        processor.set_speed(at(0), 0.1);
        processor.enter(at(0), 1, Span::from_millis(10));
        assert_eq!(ends_at(&processor), Some(100));
    }

    #[test]
    fn the_time_in_which_slots_were_occupied_adds_up() {
        let mut processor = Processor::new(2, Discipline::Share);
        for ticket in 0..4 {
            processor.enter(at(0), ticket, Span::from_millis(10));
        }
        processor.settle(at(100));
        assert!((processor.busy_slot_seconds() - 0.04).abs() < 1e-6, "{}", processor.busy_slot_seconds());
    }
}
