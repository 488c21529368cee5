//! The receiver's memory of who sends: a session for each, and which of its last sequences came.
//!
//! ```text
//! nobody --signed--> offered S --carries S--> current S, offered T --carries T--> current T, offered U ...
//! ```
//! The session in force stays until another one that was offered is carried, and the same offer is made until then: an old
//! datagram that is sent again ends nothing, and an answer on its way is never out of date.

use std::collections::HashMap;

use super::Session;

/// Who sends, by name; of each the last `WORDS * 64` sequences are told apart.
#[derive(Clone, Debug)]
pub(crate) struct Sessions<const WORDS: usize> {
    most: usize,
    known: HashMap<String, Known<WORDS>>,
}

/// One sender's session that is believed, and the one that was offered last.
#[derive(Clone, Debug)]
struct Known<const WORDS: usize> {
    current: Option<(Session, Window<WORDS>)>,
    offered: Session,
}

/// What a signed datagram is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// It is believed.
    Heard {
        /// Whether a later one came before it.
        late: bool,
        /// Whether it is the first of its session.
        first: bool,
    },
    /// It lacks a session: this one is offered.
    Greet(Session),
    /// It came before, or may have.
    Replayed,
    /// No session could be drawn.
    NoSession,
    /// So many send already, and it is none of them.
    Full(usize),
}

impl<const WORDS: usize> Sessions<WORDS> {
    /// Of at most so many.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, known: HashMap::new() }
    }

    /// Takes a signed datagram of `name`; `fresh` draws an unpredictable session.
    pub(crate) fn admit(
        &mut self,
        name: &str,
        session: &Session,
        sequence: u64,
        fresh: impl FnOnce() -> Option<Session>,
    ) -> Admitted {
        let Some(known) = self.known.get_mut(name) else {
            if self.known.len() >= self.most {
                return Admitted::Full(self.most);
            }
            let Some(offered) = fresh() else { return Admitted::NoSession };
            self.known.insert(name.to_owned(), Known { current: None, offered });
            return Admitted::Greet(offered);
        };
        match &mut known.current {
            Some((current, window)) if current == session => {
                window.admit(sequence).map_or(Admitted::Replayed, |late| Admitted::Heard { late, first: false })
            }
            _ if known.offered == *session => {
                let Some(next) = fresh() else { return Admitted::NoSession };
                known.current = Some((known.offered, Window::beginning(sequence)));
                known.offered = next;
                Admitted::Heard { late: false, first: true }
            }
            _ => Admitted::Greet(known.offered),
        }
    }

    /// Forgets those of whom `keeps` says no.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(&str) -> bool) {
        self.known.retain(|name, _| keeps(name));
    }

    /// How many are known.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}

/// The last sequences of a session, of which each is admitted once (after RFC 4303, 3.4.3).
#[derive(Clone, Copy, Debug)]
struct Window<const WORDS: usize> {
    newest: u64,
    /// Bit n, from the lowest of the first word: `newest - n` came.
    came: [u64; WORDS],
}

impl<const WORDS: usize> Window<WORDS> {
    fn beginning(sequence: u64) -> Self {
        let mut came = [0; WORDS];
        came[0] = 1;
        Self { newest: sequence, came }
    }

    /// Admits a sequence once and says whether a later one came before it; `None` when it came, or may have.
    fn admit(&mut self, sequence: u64) -> Option<bool> {
        if sequence > self.newest {
            self.move_on(sequence - self.newest);
            self.came[0] |= 1;
            self.newest = sequence;
            return Some(false);
        }
        let behind = usize::try_from(self.newest - sequence).ok()?;
        let word = self.came.get_mut(behind / 64)?;
        let bit = 1 << (behind % 64);
        if *word & bit != 0 {
            return None;
        }
        *word |= bit;
        Some(true)
    }

    fn move_on(&mut self, ahead: u64) {
        let words = usize::try_from(ahead / 64).unwrap_or(usize::MAX);
        let bits = ahead % 64;
        let of = |came: &[u64; WORDS], at: usize| at.checked_sub(words).map_or(0, |from| came[from]);
        let before = self.came;
        for (at, word) in self.came.iter_mut().enumerate() {
            let carried = if bits > 0 && at > 0 { of(&before, at - 1) >> (64 - bits) } else { 0 };
            *word = of(&before, at) << bits | carried;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by a list of all that came.
    fn slowly(came: &mut Vec<u64>, sequence: u64, span: u64) -> Option<bool> {
        let newest = came.iter().copied().max().unwrap_or(0);
        let admits = sequence > newest || newest - sequence < span && !came.contains(&sequence);
        came.push(sequence);
        admits.then_some(sequence < newest)
    }

    proptest! {
        #[test]
        fn each_of_the_last_sequences_is_admitted_once(steps in prop::collection::vec(-250_i64..250, 1..200)) {
            let mut at = 1_000_i64;
            let (mut window, mut came) = (Window::<3>::beginning(1_000), vec![1_000]);
            for step in steps {
                at = (at + step).max(1);
                let sequence = u64::try_from(at).expect("positive");
                prop_assert_eq!(window.admit(sequence), slowly(&mut came, sequence, 192), "{}", sequence);
            }
        }
    }

    #[test]
    fn a_sequence_far_ahead_forgets_all_before() {
        let mut window = Window::<2>::beginning(1);
        assert_eq!(
            [u64::MAX, 1, u64::MAX - 127, u64::MAX - 128].map(|at| window.admit(at)),
            [Some(false), None, Some(true), None]
        );
    }
}
