//! The order of one connection: of replies, and of units that touch the same slot.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

/// Replies in the order of their commands, whenever they come.
#[derive(Debug, Default)]
pub(super) struct Line(VecDeque<Rc<Answer>>);

/// A place in line.
#[derive(Debug, Default)]
pub(super) struct Answer(RefCell<Option<Bytes>>);

impl Answer {
    pub(super) fn set(&self, said: Bytes) {
        self.0.replace(Some(said));
    }
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Answers now.
    pub(super) fn say(&mut self, said: Bytes) {
        self.wait().set(said);
    }

    /// Answers later.
    pub(super) fn wait(&mut self) -> Rc<Answer> {
        let place = Rc::<Answer>::default();
        self.0.push_back(Rc::clone(&place));
        place
    }

    /// Takes out what is there from the front.
    pub(super) fn take_ready(&mut self, out: &mut BytesMut) {
        while let Some(said) = self.0.front().and_then(|place| place.0.take()) {
            out.extend_from_slice(&said);
            self.0.pop_front();
        }
    }
}

/// That something is done, for whoever waits for it.
#[derive(Debug, Default)]
pub(super) struct Done {
    is: Cell<bool>,
    told: Notify,
}

impl Done {
    pub(super) fn ring(&self) {
        self.is.set(true);
        self.told.notify_waiters();
    }

    pub(super) async fn wait(&self) {
        // One thread: nothing happens between the look and the wait.
        if !self.is.get() {
            self.told.notified().await;
        }
    }
}

/// Which units wait for which: a writer for all before it at its place, a reader for the last writer.
#[derive(Debug, Default)]
pub(super) struct Turns(HashMap<Option<u16>, Turn>);

#[derive(Debug, Default)]
struct Turn {
    writer: Option<Rc<Done>>,
    readers: Vec<Rc<Done>>,
}

impl Turns {
    /// The next unit of a place (none: of all): what it waits for, and what it rings.
    pub(super) fn next(&mut self, place: Option<u16>, write: bool) -> (Vec<Rc<Done>>, Rc<Done>) {
        let turn = self.0.entry(place).or_default();
        let done = Rc::<Done>::default();
        let mut before: Vec<Rc<Done>> = turn.writer.iter().cloned().collect();
        // A place without an order of its own has one for all.
        if write || place.is_none() {
            before.append(&mut turn.readers);
            turn.writer = Some(Rc::clone(&done));
        } else {
            turn.readers.retain(|reader| !reader.is.get());
            turn.readers.push(Rc::clone(&done));
        }
        before.retain(|earlier| !earlier.is.get());
        (before, done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_go_out_in_the_order_of_their_commands() {
        let (mut line, mut out) = (Line::default(), BytesMut::new());
        let (first, second) = (line.wait(), line.wait());
        line.say(Bytes::from_static(b"3"));
        second.set(Bytes::from_static(b"2"));
        line.take_ready(&mut out);
        assert!(out.is_empty());
        first.set(Bytes::from_static(b"1"));
        line.take_ready(&mut out);
        assert!(line.is_empty() && out[..] == b"123"[..]);
    }

    #[test]
    fn readers_wait_for_writers_and_writers_for_all() {
        let mut turns = Turns::default();
        let waits = |turns: &mut Turns, place, write| turns.next(place, write).0.len();
        let (_, first) = turns.next(Some(1), true);
        assert_eq!(waits(&mut turns, Some(1), false), 1);
        assert_eq!(waits(&mut turns, Some(1), false), 1);
        assert_eq!(waits(&mut turns, Some(2), true), 0);
        assert_eq!(waits(&mut turns, Some(1), true), 3);
        first.ring();
        assert_eq!(waits(&mut turns, Some(1), false), 1);
    }

    #[test]
    fn without_places_all_go_one_after_the_other() {
        let mut turns = Turns::default();
        let (none, _) = turns.next(None, false);
        let (one, _) = turns.next(None, false);
        assert_eq!((none.len(), one.len()), (0, 1));
    }
}
