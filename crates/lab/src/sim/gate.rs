//! The agent before a worker: core's shedder, and the requests that wait at it.

use ambidex_core::guard::limit::{Ended, Served};
use ambidex_core::guard::shed::{self, Shed, ShedConfig, Shedder, Turn, Verdict};
use ambidex_core::time::{Mono, Span};

use crate::worker::processor::Ticket;

/// The gate of one worker.
#[derive(Debug)]
pub(super) struct Gate {
    shedder: Shedder,
    waiting: Vec<Waiting>,
    /// Who is served, since when. Few are at once.
    inside: Vec<(Ticket, Mono)>,
    turns: Vec<Turn>,
}

#[derive(Debug)]
struct Waiting {
    place: shed::Ticket,
    ticket: Ticket,
    work: Span,
}

/// What becomes of a request at the gate.
#[derive(Debug)]
pub(super) enum Word {
    /// It is served from now on; this much work.
    Begin(Ticket, Span),
    /// It waits, but no longer than this.
    Wait(Mono),
    /// It is not served.
    Shed(Ticket, Shed),
}

impl Gate {
    pub(super) fn new(config: ShedConfig) -> Self {
        Self { shedder: Shedder::new(config), waiting: Vec::new(), inside: Vec::new(), turns: Vec::new() }
    }

    /// A request comes; what becomes of it and of others goes to `words`.
    pub(super) fn arrive(&mut self, now: Mono, ticket: Ticket, work: Span, words: &mut Vec<Word>) {
        let verdict = self.shedder.arrive(now, shed::Asked::default(), &mut self.turns);
        self.tell(now, words);
        words.push(match verdict {
            Verdict::Admit => {
                self.inside.push((ticket, now));
                Word::Begin(ticket, work)
            }
            Verdict::Wait { ticket: place, until } => {
                self.waiting.push(Waiting { place, ticket, work });
                Word::Wait(until)
            }
            Verdict::Shed(shed) => Word::Shed(ticket, shed),
        });
    }

    /// A request has ended, if it began; `answered`: well, else it says nothing of the worker.
    pub(super) fn leave(&mut self, now: Mono, ticket: Ticket, answered: bool, words: &mut Vec<Word>) {
        let Some(at) = self.inside.iter().position(|(inside, _)| *inside == ticket) else { return };
        let (_, began) = self.inside.swap_remove(at);
        let how = if answered { Ended::Answered } else { Ended::Ignored };
        self.shedder.leave(now, Served { began, took: now.since(began), how }, &mut self.turns);
        self.tell(now, words);
    }

    /// A request has waited as long as it may, if it still waits.
    pub(super) fn give_up(&mut self, now: Mono, ticket: Ticket, words: &mut Vec<Word>) {
        let Some(at) = self.waiting.iter().position(|waiting| waiting.ticket == ticket) else { return };
        if let Some(shed) = self.shedder.give_up(now, self.waiting[at].place) {
            self.waiting.remove(at);
            words.push(Word::Shed(ticket, shed));
        }
    }

    /// The client of a waiting request has left; says whether it waited.
    pub(super) fn forget(&mut self, now: Mono, ticket: Ticket) -> bool {
        let Some(at) = self.waiting.iter().position(|waiting| waiting.ticket == ticket) else { return false };
        let Waiting { place, .. } = self.waiting.remove(at);
        self.shedder.forget(now, place)
    }

    /// Requests served, requests waiting, and the limit.
    pub(super) fn stand(&self) -> (u32, u32, Option<u32>) {
        (self.shedder.in_flight(), self.shedder.waiting(), self.shedder.limit())
    }

    fn tell(&mut self, now: Mono, words: &mut Vec<Word>) {
        for turn in self.turns.drain(..) {
            let (place, shed) = match turn {
                Turn::Start(place) => (place, None),
                Turn::Shed(place, shed) => (place, Some(shed)),
            };
            let Some(at) = self.waiting.iter().position(|waiting| waiting.place == place) else { continue };
            let Waiting { ticket, work, .. } = self.waiting.remove(at);
            if shed.is_none() {
                self.inside.push((ticket, now));
            }
            words.push(shed.map_or(Word::Begin(ticket, work), |shed| Word::Shed(ticket, shed)));
        }
    }
}
