//! Which numbered writes a slice has had, so that one that comes again gets its answer and no second run.
//!
//! A producer numbers its writes from 1, each number once. For each producer the last 1,024 are known with a digest of
//! their answers. What falls out of that raises the *floor*: a number at or under it may have been had, so it is refused
//! rather than run. A producer that was silent for 15 minutes is forgotten as a whole, by the clock of whoever holds the
//! slice; its window begins anew with whoever gets the slice, so it is kept longer there, never shorter.
//!
//! | a number that | gets |
//! |---|---|
//! | was had, and is known | its answer |
//! | was begun, and nobody knows how it ended | a refusal |
//! | is over the floor, and is not known | its run |
//! | is at or under the floor, and is not known | a refusal: nobody knows |
//! | is of a producer for whom there is no room | a refusal: it is not run, since its repeat could not be told |
//!
//! Splitting a slice copies this to both parts, merging joins two of them by the higher floor: both may refuse more than
//! needed, and never run twice.

use alloc::collections::BTreeMap;

use crate::time::{Mono, Span};

/// What a producer names a write by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId {
    /// Who.
    pub producer: u64,
    /// Which of its writes, from 1.
    pub number: u64,
}

/// What is known of a numbered write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It was never had.
    New,
    /// It was had, and answered so.
    Answered(u64),
    /// Nobody knows any more.
    Forgotten,
    /// There is no room for another producer.
    Crowded,
}

/// The writes of all producers that a slice has had lately.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    producers: BTreeMap<u64, Window>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Window {
    /// By number: the digest of the answer; none where nobody knows how it ended.
    answers: BTreeMap<u64, Option<u64>>,
    floor: u64,
    heard: Mono,
}

impl Seen {
    /// What is known of a write.
    #[must_use]
    pub fn look(&self, op: OpId) -> Known {
        match self.producers.get(&op.producer) {
            Some(window) => match window.answers.get(&op.number) {
                Some(Some(answer)) => Known::Answered(*answer),
                Some(None) => Known::Forgotten,
                None if op.number <= window.floor => Known::Forgotten,
                None => Known::New,
            },
            None if op.number == 0 => Known::Forgotten,
            None if self.producers.len() >= MOST_PRODUCERS => Known::Crowded,
            None => Known::New,
        }
    }

    /// Takes down that a write was had, and a digest of its answer.
    pub fn note(&mut self, now: Mono, op: OpId, answer: u64) {
        self.take(now, op, Some(answer));
    }

    /// Takes down that a write was begun, and that nobody knows whether it did anything: it is never run again.
    pub fn doubt(&mut self, now: Mono, op: OpId) {
        self.take(now, op, None);
    }

    /// All that is known, by producer: its floor, and by number the digest of the answer, or none where nobody knows how it ended.
    pub fn windows(&self) -> impl ExactSizeIterator<Item = (u64, u64, &BTreeMap<u64, Option<u64>>)> {
        self.producers.iter().map(|(producer, window)| (*producer, window.floor, &window.answers))
    }

    /// Of what [`windows`](Self::windows) said elsewhere, as heard now. What is over the bounds raises the floor, as it does here; producers
    /// beyond [`MOST_PRODUCERS`] make it none.
    #[must_use]
    pub fn of(now: Mono, windows: impl IntoIterator<Item = (u64, u64, BTreeMap<u64, Option<u64>>)>) -> Option<Self> {
        let mut producers = BTreeMap::new();
        for (producer, floor, answers) in windows {
            let mut window = Window { answers, floor, heard: now };
            window.trim();
            producers.insert(producer, window);
            if producers.len() > MOST_PRODUCERS {
                return None;
            }
        }
        Some(Self { producers })
    }

    fn take(&mut self, now: Mono, op: OpId, answer: Option<u64>) {
        let new = Window { answers: BTreeMap::new(), floor: 0, heard: now };
        let window = self.producers.entry(op.producer).or_insert(new);
        window.heard = now;
        window.answers.insert(op.number, answer);
        window.trim();
    }

    /// Forgets producers that were silent for too long, and says when to come back.
    pub fn forget_silent(&mut self, now: Mono) -> Option<Mono> {
        self.producers.retain(|_, window| now.since(window.heard) < KEPT_FOR);
        self.producers.values().map(|window| window.heard + KEPT_FOR).min()
    }

    /// All of both, from now on.
    pub fn join(&mut self, now: Mono, other: &Self) {
        for (producer, theirs) in &other.producers {
            let new = Window { answers: BTreeMap::new(), floor: 0, heard: now };
            let ours = self.producers.entry(*producer).or_insert(new);
            for (number, answer) in &theirs.answers {
                let known = ours.answers.entry(*number).or_insert(*answer);
                *known = known.or(*answer);
            }
            ours.floor = ours.floor.max(theirs.floor);
            ours.heard = now;
            ours.trim();
        }
    }
}

impl Window {
    fn trim(&mut self) {
        while self.answers.len() > WINDOW {
            if let Some((number, _)) = self.answers.pop_first() {
                self.floor = self.floor.max(number);
            }
        }
    }
}

/// Known writes of one producer. Source: shards.md "How no write is lost".
pub const WINDOW: usize = 1_024;
/// How long a silent producer is known. Source: shards.md "How no write is lost".
pub const KEPT_FOR: Span = Span::from_secs(15 * 60);
/// Producers that one slice knows at once. Source: ours; 4,096 full windows are 128 MiB, and most are far from full.
pub const MOST_PRODUCERS: usize = 4_096;

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const fn op(number: u64) -> OpId {
        OpId { producer: 7, number }
    }

    fn at(secs: u64) -> Mono {
        Mono::from_nanos(0) + Span::from_secs(secs)
    }

    fn seen(numbers: impl IntoIterator<Item = u64>) -> Seen {
        let mut seen = Seen::default();
        numbers.into_iter().for_each(|number| seen.note(at(0), op(number), number));
        seen
    }

    #[test]
    fn a_write_that_comes_again_gets_its_answer() {
        assert_eq!(seen([3]).look(op(3)), Known::Answered(3));
    }

    #[test]
    fn a_late_write_over_the_floor_is_new() {
        assert_eq!(seen([3]).look(op(2)), Known::New);
    }

    #[test]
    fn a_write_that_nobody_knows_the_end_of_is_not_run_again_unless_somebody_knows() {
        let mut seen = Seen::default();
        seen.doubt(at(0), op(3));
        assert_eq!(seen.look(op(3)), Known::Forgotten);
        assert_eq!(seen.look(op(2)), Known::New);
        let mut elsewhere = Seen::default();
        elsewhere.note(at(0), op(3), 7);
        seen.join(at(1), &elsewhere);
        assert_eq!(seen.look(op(3)), Known::Answered(7));
    }

    #[test]
    fn what_is_written_down_is_read_as_it_was() {
        let mut seen = seen(1..=WINDOW as u64 + 5);
        seen.doubt(at(0), op(9_999));
        let windows: Vec<_> = seen.windows().map(|(producer, floor, all)| (producer, floor, all.clone())).collect();
        assert_eq!(Seen::of(at(0), windows), Some(seen));
        let many = (0..=MOST_PRODUCERS as u64).map(|producer| (producer, 0, BTreeMap::new()));
        assert_eq!(Seen::of(at(0), many), None);
    }

    #[test]
    fn what_fell_out_of_the_window_is_refused_and_not_run() {
        let seen = seen(1..=WINDOW as u64 + 5);
        assert_eq!(seen.look(op(5)), Known::Forgotten);
        assert_eq!(seen.look(op(6)), Known::Answered(6));
    }

    #[test]
    fn a_silent_producer_is_forgotten_after_its_time_and_not_before() {
        let mut seen = seen([1]);
        assert_eq!(seen.forget_silent(at(899)), Some(at(900)));
        assert_eq!(seen.look(op(1)), Known::Answered(1));
        assert_eq!(seen.forget_silent(at(900)), None);
        assert_eq!(seen.look(op(1)), Known::New);
    }

    #[test]
    fn with_no_room_for_another_producer_its_writes_are_refused() {
        let mut seen = Seen::default();
        for producer in 0..MOST_PRODUCERS as u64 {
            seen.note(at(0), OpId { producer, number: 1 }, 0);
        }
        assert_eq!(seen.look(OpId { producer: u64::MAX, number: 1 }), Known::Crowded);
        assert_eq!(seen.look(OpId { producer: 0, number: 2 }), Known::New);
    }

    proptest! {
        #[test]
        fn nothing_that_was_had_is_new_again_after_a_join(
            ours in proptest::collection::vec(1..3_000_u64, 0..1_500),
            theirs in proptest::collection::vec(1..3_000_u64, 0..1_500),
        ) {
            let mut joined = seen(ours.iter().copied());
            joined.join(at(1), &seen(theirs.iter().copied()));
            let had: BTreeSet<u64> = ours.into_iter().chain(theirs).collect();
            let new: Vec<u64> = had.into_iter().filter(|number| joined.look(op(*number)) == Known::New).collect();
            prop_assert!(new.is_empty(), "{new:?}");
        }
    }
}
