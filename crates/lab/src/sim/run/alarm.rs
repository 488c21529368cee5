//! Alarms: when a request's machine, or a request that waits at a gate, is to be looked at again.
//!
//! An alarm that is no longer meant stays in the queue until its time and is passed over then: most are set for a hedge
//! that is not needed, and soon due.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ambidex_core::attempt::Event;
use ambidex_core::time::Mono;

use super::super::due::NEVER;
use super::super::gateway::Tick;
use super::super::requests::RequestId;
use super::Run;
use crate::worker::processor::Ticket;

/// Times, and what is to be done then; at the same time in the order of what it is.
#[derive(Debug)]
pub(super) struct Queue<T>(BinaryHeap<Reverse<(u64, T)>>);

impl<T: Ord> Default for Queue<T> {
    fn default() -> Self {
        Self(BinaryHeap::new())
    }
}

impl<T: Ord> Queue<T> {
    pub(super) fn push(&mut self, at: Mono, what: T) {
        self.0.push(Reverse((at.as_nanos(), what)));
    }

    /// When the next one is due, in nanoseconds.
    pub(super) fn at(&self) -> u64 {
        self.0.peek().map_or(NEVER, |Reverse((at, _))| *at)
    }

    pub(super) fn pop(&mut self) -> Option<(u64, T)> {
        self.0.pop().map(|Reverse(next)| next)
    }
}

/// What is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// A request's machine.
    Machine(RequestId),
    /// A try that waits at its worker's gate.
    Gate {
        /// The worker.
        worker: u32,
        /// What it calls the try.
        ticket: Ticket,
    },
}

impl<W: FnMut(&Tick<'_>)> Run<'_, W> {
    /// Sets a request's alarm as its machine wants it. The end of all patience needs none.
    pub(super) fn set_alarm(&mut self, id: RequestId) {
        let patience = self.patience;
        let Some(request) = self.requests.get(id) else { return };
        let wanted = request.attempt.deadline().filter(|at| *at < request.due + patience);
        let at = wanted.map_or(NEVER, Mono::as_nanos);
        if at != request.alarm {
            request.alarm = at;
            if let Some(at) = wanted {
                self.alarms.push(at, Alarm::Machine(id));
            }
        }
    }

    /// Does what the next alarm is for.
    pub(super) fn alarm(&mut self) {
        let Some((at, alarm)) = self.alarms.pop() else { return };
        match alarm {
            Alarm::Machine(id) => {
                if self.requests.get(id).is_some_and(|request| request.take_alarm(at)) {
                    self.advance(id, Event::Due);
                }
            }
            Alarm::Gate { worker, ticket } => {
                let worker = worker as usize;
                self.workers[worker].give_up(self.now, ticket, &mut self.news);
                self.done.set(worker, self.workers[worker].due());
            }
        }
    }
}
