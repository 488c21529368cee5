//! A worker under a virtual clock: the laboratory's processor, what is wrong with it, its agent, its reports.

use ambidex_core::draw::Draw;
use ambidex_core::guard::shed::{Shed, ShedConfig};
use ambidex_core::signal::Report;
use ambidex_core::time::{Mono, Span};

use super::due::NEVER;
use super::gate::{Gate, Word};
use super::window::Window;
use crate::fault::{self, Condition, Placed};
use crate::scenario::Worker as Written;
use crate::service::Service;
use crate::worker::ReportStyle;
use crate::worker::processor::{Processor, Ticket};

/// A simulated worker.
#[derive(Debug)]
pub(super) struct Worker {
    processor: Processor,
    service: Service,
    slots: u32,
    style: ReportStyle,
    faults: Vec<Placed>,
    /// The end of the warm-up: what goes wrong counts from there.
    begins: Mono,
    condition: Condition,
    draw: Draw,
    window: Window,
    gate: Option<Gate>,
    words: Vec<Word>,
}

/// What a worker has to say to a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum News {
    /// It is done; `broken`: the answer breaks off after its head.
    Done {
        /// Whether it breaks off.
        broken: bool,
    },
    /// It failed, and says so.
    Failed,
    /// It was not served.
    Shed(Shed),
    /// No connection was made.
    Refused,
    /// The connection broke before the answer.
    Reset,
}

/// What the run must know of a request that comes to a worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Entered {
    /// It is in, or it waits for its turn.
    In,
    /// It waits at the gate no longer than this.
    Until(Mono),
    /// It is out already.
    Out(News),
}

/// How a request left a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Answered well.
    Answered,
    /// Failed, by the worker's word or without it.
    Failed,
    /// Whoever sent it gave it up.
    GivenUp,
}

impl Worker {
    pub(super) fn new(written: &Written<'_>, agents: Option<ShedConfig>, begins: Mono, seed: u64) -> Self {
        let group = written.group;
        Self {
            processor: Processor::new(group.slots, group.discipline),
            service: Service::clone(&group.service),
            slots: group.slots,
            style: group.report,
            faults: written.faults.clone(),
            begins,
            condition: Condition::SOUND,
            draw: Draw::seeded(seed),
            window: Window::new(),
            gate: agents.map(Gate::new),
            words: Vec::new(),
        }
    }

    /// A request comes, which costs so many times the service time. What its coming means for others goes to `out`.
    pub(super) fn enter(&mut self, now: Mono, ticket: Ticket, cost: f64, out: &mut Vec<(Ticket, News)>) -> Entered {
        if self.condition.refuses {
            return Entered::Out(News::Refused);
        }
        let work = Span::from_secs_f64(self.service.draw(&mut self.draw).as_secs_f64() * cost);
        let Some(gate) = &mut self.gate else {
            return self.serve(now, ticket, work).map_or(Entered::In, Entered::Out);
        };
        let mut words = std::mem::take(&mut self.words);
        gate.arrive(now, ticket, work, &mut words);
        let mut entered = Entered::In;
        for word in words.drain(..) {
            match word {
                Word::Wait(until) => entered = Entered::Until(until),
                Word::Shed(who, shed) if who == ticket => entered = Entered::Out(News::Shed(shed)),
                Word::Shed(who, shed) => out.push((who, News::Shed(shed))),
                Word::Begin(who, work) => match self.serve(now, who, work) {
                    Some(news) if who == ticket => entered = Entered::Out(news),
                    Some(news) => out.push((who, news)),
                    None => {}
                },
            }
        }
        self.words = words;
        entered
    }

    /// Takes a request to the processor, unless it is out at once.
    fn serve(&mut self, now: Mono, ticket: Ticket, work: Span) -> Option<News> {
        let Condition { errors, resets, .. } = self.condition;
        if errors.get() > 0.0 && self.draw.unit() < errors.get() {
            return Some(News::Failed);
        }
        if resets.get() > 0.0 && self.draw.unit() < resets.get() {
            return Some(News::Reset);
        }
        self.processor.enter(now, ticket, work);
        None
    }

    /// A request is out, however that came: its place is free, for others maybe. Says whether that changes when the next
    /// one is done.
    pub(super) fn leave(&mut self, now: Mono, ticket: Ticket, how: Left, out: &mut Vec<(Ticket, News)>) -> bool {
        if how == Left::GivenUp {
            let waited = self.gate.as_mut().is_some_and(|gate| gate.forget(now, ticket));
            if waited {
                return false;
            }
            self.processor.leave(now, ticket);
        }
        if let Some(gate) = &mut self.gate {
            gate.leave(now, ticket, how == Left::Answered, &mut self.words);
            self.tell(now, out);
        }
        self.gate.is_some() || how == Left::GivenUp
    }

    /// A request has waited at the gate as long as it may.
    pub(super) fn give_up(&mut self, now: Mono, ticket: Ticket, out: &mut Vec<(Ticket, News)>) {
        if let Some(gate) = &mut self.gate {
            gate.give_up(now, ticket, &mut self.words);
            self.tell(now, out);
        }
    }

    fn tell(&mut self, now: Mono, out: &mut Vec<(Ticket, News)>) {
        let mut words = std::mem::take(&mut self.words);
        for word in words.drain(..) {
            match word {
                Word::Begin(who, work) => out.extend(self.serve(now, who, work).map(|news| (who, news))),
                Word::Shed(who, shed) => out.push((who, News::Shed(shed))),
                Word::Wait(_) => {}
            }
        }
        self.words = words;
    }

    /// Lets time pass; who is done goes to `out`.
    pub(super) fn settle(&mut self, now: Mono, out: &mut Vec<(Ticket, News)>) {
        self.processor.settle(now);
        let Condition { is_blackhole, truncate, .. } = self.condition;
        for ticket in self.processor.take_finished() {
            if !is_blackhole {
                let broken = truncate.get() > 0.0 && self.draw.unit() < truncate.get();
                out.push((ticket, News::Done { broken }));
            }
        }
    }

    /// What is wrong with it changes; whom it loses by that goes to `out`. Says when it changes next.
    pub(super) fn change(&mut self, now: Mono, out: &mut Vec<(Ticket, News)>) -> Option<Mono> {
        let elapsed = now.since(self.begins);
        let before = self.condition;
        self.condition = Condition::of(&self.faults, elapsed);
        self.settle(now, out);
        let Condition { slowdown, is_paused, refuses, .. } = self.condition;
        self.processor.set_speed(now, if is_paused { 0.0 } else { 1.0 / slowdown });
        self.processor.set_slots(now, self.condition.slots_of(self.slots));
        if refuses && !before.refuses {
            out.extend(self.processor.clear(now).into_iter().map(|ticket| (ticket, News::Reset)));
        }
        fault::next_change(&self.faults, elapsed).map(|at| self.begins + at)
    }

    /// When the next request is done, in nanoseconds.
    pub(super) fn due(&self) -> u64 {
        self.processor.next().map_or(NEVER, Mono::as_nanos)
    }

    /// Counts an answer, for reports.
    pub(super) fn answered(&mut self, now: Mono, took: Span, failed: bool) {
        self.window.record(now, took, failed);
    }

    /// Requests in it, over its slots: how full it is.
    pub(super) fn fullness(&self) -> f64 {
        (self.processor.serving() + self.processor.waiting()) as f64 / f64::from(self.slots)
    }

    /// Slot-seconds in which a slot was occupied.
    pub(super) fn busy(&mut self, now: Mono) -> f64 {
        self.processor.settle(now);
        self.processor.busy_slot_seconds()
    }

    /// What an answer says of its load; nothing when it is silent or says so only when asked.
    pub(super) fn report(&mut self, now: Mono) -> Option<Report> {
        match self.style {
            ReportStyle::None | ReportStyle::Endpoint | ReportStyle::Heartbeat => None,
            ReportStyle::ServerLoad => self.said(now),
            ReportStyle::OrcaText | ReportStyle::OrcaJson => {
                let rate = self.window.told(now).rate;
                self.said(now).map(|report| Report { rate: Some(rate), ..report })
            }
        }
    }

    /// What its endpoint says when asked, and its heartbeat of itself.
    pub(super) fn said(&mut self, now: Mono) -> Option<Report> {
        if self.condition.is_silent || self.condition.refuses || self.condition.is_blackhole {
            return None;
        }
        let told = self.window.told(now);
        let inside = u32::try_from(self.processor.serving() + self.processor.waiting()).unwrap_or(u32::MAX);
        let slots = self.processor.slots();
        let common =
            Report { p50: Some(told.p50), p99: Some(told.p99), errors: Some(told.errors), ..Report::default() };
        if let Some((in_flight, queue, limit)) = self.gate.as_ref().map(Gate::stand) {
            let busy = |limit: u32| f64::from(in_flight + queue) / f64::from(limit.max(1));
            let (in_flight, queue, rate) = (Some(in_flight), Some(queue), Some(told.rate));
            return Some(Report { in_flight, queue, rate, limit, utilization: limit.map(busy), ..common });
        }
        let busy = self.processor.busy_slot_seconds();
        let utilization = self.window.utilization(now, busy, slots);
        Some(Report {
            in_flight: Some(inside),
            queue: Some(inside.saturating_sub(self.slots)),
            limit: Some(slots),
            utilization: Some(utilization),
            ..common
        })
    }
}
