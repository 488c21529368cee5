//! Quorum reads without a leader: several workers are asked, and what enough of them say is the answer.
//!
//! ```text
//! ask   sent at once; the others of `most` follow when one fails, or takes longer than a hedge waits
//! need  as many good answers decide
//! rule  first: the first good answer.  newest: the highest version.  majority: what most say; ties: who came first
//! ```
//! The answers are compared by a mark each (a version header, or a digest of the body), which the shell works out. That
//! they differ is told as data; the rule decides what the client gets.

use serde::{Deserialize, Serialize};

use crate::again::Mode;
use crate::share::Share;

/// A version or a digest of an answer: equal marks, equal answers. For versions, more is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark(pub u64);

/// Whose answer wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum QuorumRule {
    /// Who came first; nothing is compared.
    First,
    /// The highest mark; an answer without one is older than all others.
    Newest,
    /// The mark that most have; with as many for each, who came first.
    #[default]
    Majority,
}

/// How many workers are asked, and how many decide. Checked: what could never be met cannot exist.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuorumConfig {
    mode: Mode,
    ask: u8,
    need: u8,
    most: u8,
    rule: QuorumRule,
    share: Share,
}

/// Why quorum settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuorumError {
    /// It would never decide, or without an answer.
    #[error("quorum: {need} answers of {ask} that are asked: write 1 <= need <= ask")]
    Need {
        /// Answers that decide.
        need: u8,
        /// Workers asked at once.
        ask: u8,
    },
    /// More at once than in all, or more than one request may ask.
    #[error("quorum: {ask} at once of {most}: write ask <= most <= {}", crate::balance::MOST_TRIES)]
    Most {
        /// Workers asked at once.
        ask: u8,
        /// Workers asked at most.
        most: u8,
    },
}

impl QuorumConfig {
    /// Reads from `ask` workers at once and from `most` in all, decided by `rule` over `need` answers, for at most
    /// `share` of the pool's requests: above it, and while the pool is over 80 % utilized, a read asks one worker.
    ///
    /// # Errors
    /// Numbers that cannot be met.
    pub fn new(mode: Mode, ask: u8, need: u8, most: u8, rule: QuorumRule, share: Share) -> Result<Self, QuorumError> {
        if need == 0 || need > ask {
            return Err(QuorumError::Need { need, ask });
        }
        if ask > most || usize::from(most) > crate::balance::MOST_TRIES {
            return Err(QuorumError::Most { ask, most });
        }
        Ok(Self { mode, ask, need, most, rule, share })
    }

    /// Whether it acts.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// How many are asked at once.
    #[must_use]
    pub const fn ask(&self) -> u8 {
        self.ask
    }

    /// How many good answers decide.
    #[must_use]
    pub const fn need(&self) -> u8 {
        self.need
    }

    /// How many are asked in all.
    #[must_use]
    pub const fn most(&self) -> u8 {
        self.most
    }

    /// Most of the pool's requests that may read from several workers.
    #[must_use]
    pub const fn share(&self) -> Share {
        self.share
    }

    /// Whose answer wins.
    #[must_use]
    pub const fn rule(&self) -> QuorumRule {
        self.rule
    }

    /// Whether answers have to be compared.
    #[must_use]
    pub const fn compares(&self) -> bool {
        match self.rule {
            QuorumRule::First => false,
            QuorumRule::Newest | QuorumRule::Majority => true,
        }
    }

    /// Whose answer wins, of marks in the order in which they came. At least one.
    #[must_use]
    pub fn decide(&self, marks: &[Option<Mark>]) -> Verdict {
        let votes = |at: usize| marks.iter().filter(|mark| **mark == marks[at]).count();
        // Of equals, `max_by_key` returns the last: counting from the end makes that the first that came.
        let winner = match self.rule {
            QuorumRule::First => Some(0),
            QuorumRule::Newest => (0..marks.len()).rev().max_by_key(|at| marks[*at]),
            QuorumRule::Majority => (0..marks.len()).rev().max_by_key(|at| votes(*at)),
        };
        let winner = winner.unwrap_or(0);
        Verdict { winner, agreeing: if self.compares() { votes(winner) } else { marks.len() } }
    }
}

/// What a quorum says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Place of the answer that wins.
    pub winner: usize,
    /// How many say the same, the winner among them.
    pub agreeing: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(rule: QuorumRule, marks: &[u64]) -> (usize, usize) {
        let config = QuorumConfig::new(Mode::On, 3, 3, 5, rule, Share::ALL).expect("valid");
        let marks: alloc::vec::Vec<_> = marks.iter().map(|mark| (*mark > 0).then_some(Mark(*mark))).collect();
        let verdict = config.decide(&marks);
        (verdict.winner, verdict.agreeing)
    }

    #[test]
    fn each_rule_finds_its_winner_and_who_agrees() {
        assert_eq!(decide(QuorumRule::First, &[1, 2, 3]), (0, 3));
        assert_eq!(decide(QuorumRule::Newest, &[1, 7, 7]), (1, 2));
        assert_eq!(decide(QuorumRule::Newest, &[0, 0, 2]), (2, 1));
        assert_eq!(decide(QuorumRule::Majority, &[9, 2, 2]), (1, 2));
        assert_eq!(decide(QuorumRule::Majority, &[3, 1, 2]), (0, 1));
    }

    #[test]
    fn what_can_never_be_met_is_refused() {
        let new = |ask, need, most| QuorumConfig::new(Mode::On, ask, need, most, QuorumRule::First, Share::ALL);
        assert_eq!(new(2, 3, 3).expect_err("more than asked"), QuorumError::Need { need: 3, ask: 2 });
        assert_eq!(new(2, 0, 3).expect_err("nothing"), QuorumError::Need { need: 0, ask: 2 });
        assert_eq!(new(3, 2, 2).expect_err("at once"), QuorumError::Most { ask: 3, most: 2 });
        assert_eq!(new(3, 2, 200).expect_err("too many"), QuorumError::Most { ask: 3, most: 200 });
    }
}
