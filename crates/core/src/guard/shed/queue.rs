//! Who waits, by class, and since when there was always somebody.

use alloc::collections::VecDeque;

use super::{CLASSES, Class, LAST, Ticket};
use crate::time::Mono;

/// A request that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) ticket: Ticket,
    pub(super) arrived: Mono,
    pub(super) deadline: Option<Mono>,
}

/// All that wait, those of each class in the order in which they came. Its owner bounds it.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    lines: [VecDeque<Waiting>; CLASSES],
    length: usize,
    /// Since when the lines up to each class have held somebody.
    since: [Option<Mono>; CLASSES],
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Since when this class, or a more important one, has had somebody waiting.
    pub(super) fn since(&self, class: Class) -> Option<Mono> {
        self.since[class.at()]
    }

    /// All classes, the most important first, of which somebody waits.
    pub(super) fn classes(&self) -> impl DoubleEndedIterator<Item = Class> + use<> {
        let waits = core::array::from_fn::<bool, CLASSES, _>(|class| !self.lines[class].is_empty());
        (0..=LAST).map(Class).filter(move |class| waits[class.at()])
    }

    pub(super) fn push(&mut self, now: Mono, waiting: Waiting) {
        self.lines[waiting.ticket.class.at()].push_back(waiting);
        self.length += 1;
        self.note(now);
    }

    /// Takes the newest or the oldest of a class.
    pub(super) fn pop(&mut self, now: Mono, class: Class, newest: bool) -> Option<Waiting> {
        let line = &mut self.lines[class.at()];
        let waiting = if newest { line.pop_back() } else { line.pop_front() }?;
        self.length -= 1;
        self.note(now);
        Some(waiting)
    }

    /// Takes one by its ticket: numbers grow along a line.
    pub(super) fn remove(&mut self, now: Mono, ticket: Ticket) -> Option<Waiting> {
        let line = &mut self.lines[ticket.class.at()];
        let at = line.binary_search_by_key(&ticket.number, |waiting| waiting.ticket.number).ok()?;
        let waiting = line.remove(at)?;
        self.length -= 1;
        self.note(now);
        Some(waiting)
    }

    fn note(&mut self, now: Mono) {
        let mut waits = false;
        for (line, since) in self.lines.iter().zip(&mut self.since) {
            waits |= !line.is_empty();
            match (waits, *since) {
                (true, None) => *since = Some(now),
                (false, _) => *since = None,
                (true, Some(_)) => {}
            }
        }
    }
}
