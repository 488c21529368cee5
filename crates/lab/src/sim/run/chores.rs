//! What happens by the clock: ticks of coordinators, polls, heartbeats, changes of faults, reports that come late.

use ambidex_core::draw::Draw;
use ambidex_core::plan;
use ambidex_core::share::Share;
use ambidex_core::signal::Report;
use ambidex_core::time::{Mono, Span};

use super::super::gateway::Tick;
use super::Run;
use crate::scenario::Worker as Written;
use crate::worker::ReportStyle;

/// Something that happens by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Chore {
    /// The measured time begins.
    Begin,
    /// It ends.
    End,
    /// What is wrong with a worker changes.
    Change(usize),
    /// A gateway's coordinator weighs.
    Tick(usize),
    /// A worker sends its heartbeat to every gateway's coordinator.
    Beat(usize),
    /// A gateway's coordinator asks a worker for its load.
    Poll {
        /// Which gateway.
        gateway: usize,
        /// Which worker.
        worker: usize,
        /// How often it does.
        every: Span,
    },
}

/// A report under way.
#[derive(Debug)]
pub(super) struct Late {
    /// When it arrives, in nanoseconds.
    pub(super) at: u64,
    gateway: usize,
    worker: usize,
    report: Report,
    source: plan::Source,
    period: Span,
}

impl<W: FnMut(&Tick<'_>)> Run<'_, W> {
    /// Plans the first of each. Coordinators and polls keep step neither with each other nor with what goes wrong: a tick
    /// at the moment of a fault would see nothing but failures a second later.
    pub(super) fn plan_chores(&mut self, written: &[Written<'_>]) {
        let begins = Mono::default() + self.scenario.warm_up;
        self.chores.push(begins, Chore::Begin);
        self.chores.push(begins + self.scenario.duration, Chore::End);
        for (at, _) in written.iter().enumerate().filter(|(_, worker)| !worker.faults.is_empty()) {
            self.chores.push(begins, Chore::Change(at));
        }
        for worker in (0..written.len()).filter(|at| written[*at].group.report == ReportStyle::Heartbeat) {
            let first = self.part_of(BEAT);
            self.chores.push(Mono::default() + first, Chore::Beat(worker));
        }
        // Of a lot of its own, so that the requests of a seed are the same whatever the pace.
        let mut phase = Draw::seeded(self.scenario.seed ^ PHASE);
        for gateway in 0..self.gateways.len() {
            let pace = self.gateways[gateway].pace();
            let first = Span::from_secs_f64(pace.as_secs_f64() * phase.unit());
            self.chores.push(Mono::default() + first, Chore::Tick(gateway));
            for (worker, Written { group, .. }) in written.iter().enumerate() {
                if group.report == ReportStyle::Endpoint {
                    let first = self.part_of(group.poll);
                    self.chores.push(Mono::default() + first, Chore::Poll { gateway, worker, every: group.poll });
                }
            }
        }
    }

    /// Does the next one.
    pub(super) fn chore(&mut self) {
        let Some((_, chore)) = self.chores.pop() else { return };
        match chore {
            Chore::Begin => self.busy = self.busy_now(),
            Chore::End => {
                let busy = self.busy_now().iter().zip(&self.busy).map(|(now, then)| now - then).collect();
                self.recorder.busy(busy);
                self.is_over = true;
            }
            Chore::Change(worker) => {
                if let Some(next) = self.workers[worker].change(self.now, &mut self.news) {
                    self.chores.push(next, Chore::Change(worker));
                }
                self.done.set(worker, self.workers[worker].due());
            }
            Chore::Tick(number) => {
                let is_away = self.coordinator_is_away();
                let gateway = &mut self.gateways[number];
                if !is_away {
                    gateway.tick(self.now, number, &mut self.watcher);
                }
                if number == 0 {
                    self.recorder.weights(self.now, gateway.view.learned.as_slice());
                }
                self.chores.push(self.now + gateway.pace(), Chore::Tick(number));
            }
            Chore::Beat(worker) => {
                if let Some(report) = self.workers[worker].said(self.now) {
                    for gateway in 0..self.gateways.len() {
                        self.report(gateway, worker, report, plan::Source::Heartbeat, BEAT);
                    }
                }
                // A tenth early or late, as senders do it.
                let next = BEAT.times(9) + self.part_of(BEAT.times(2));
                self.chores.push(self.now + Span::from_nanos(next.as_nanos() / 10), Chore::Beat(worker));
            }
            Chore::Poll { gateway, worker, every } => {
                if let Some(report) = self.workers[worker].said(self.now) {
                    self.report(gateway, worker, report, plan::Source::Poll, every);
                }
                self.chores.push(self.now + every, Chore::Poll { gateway, worker, every });
            }
        }
    }

    /// Sends a report on its way.
    pub(super) fn report(&mut self, gateway: usize, worker: usize, report: Report, source: plan::Source, period: Span) {
        let settings = &self.scenario.gateways;
        let loss = settings.report_loss.get();
        if loss > 0.0 && self.draw.unit() < loss {
            return;
        }
        if settings.report_delay == Span::ZERO {
            return self.gateways[gateway].hear(self.now, worker, report, source, period);
        }
        let at = (self.now + settings.report_delay).as_nanos();
        self.late.push_back(Late { at, gateway, worker, report, source, period });
    }

    /// The next late report arrives.
    pub(super) fn late_report(&mut self) {
        let Some(Late { gateway, worker, report, source, period, .. }) = self.late.pop_front() else { return };
        self.gateways[gateway].hear(self.now, worker, report, source, period);
    }

    fn coordinator_is_away(&self) -> bool {
        let begins = Mono::default() + self.scenario.warm_up;
        let away = self.scenario.gateways.coordinator_away.filter(|_| self.now >= begins);
        away.is_some_and(|curve| curve.level(self.now.since(begins), Share::NONE) >= 0.5)
    }

    fn busy_now(&mut self) -> Vec<f64> {
        let now = self.now;
        self.workers.iter_mut().map(|worker| worker.busy(now)).collect()
    }

    fn part_of(&mut self, span: Span) -> Span {
        Span::from_secs_f64(span.as_secs_f64() * self.draw.unit())
    }
}

/// How often heartbeats are sent. Source: R-S3.
const BEAT: Span = Span::from_millis(500);
/// Any number.
const PHASE: u64 = 0x7469_636b;
