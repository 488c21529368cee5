//! What a review is about: a finding by what it says, not by how it was worded; and what a closed one leaves, by which later ones are
//! known again.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::told::Outcome;
use super::{Moment, Number};

/// A finding, by what it says. Names are the finder's; the core compares them and reads nothing into them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The group of peers.
    pub group: String,
    /// By which metric.
    pub metric: String,
    /// The nodes that stand out, the farthest first.
    pub nodes: Vec<String>,
    /// The likeliest cause.
    pub cause: String,
    /// What that is about: a key, a client, a route; `None`: nothing of its own.
    pub about: Option<String>,
}

/// What a closed review leaves: by what it is known again, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    /// Of which review.
    pub number: Number,
    /// What it was about.
    pub subject: Subject,
    /// When it was closed.
    pub at: Moment,
    /// What came of it.
    pub outcome: Outcome,
    /// What was done, in words; `None`: nothing.
    pub done: Option<String>,
}

impl Subject {
    /// Whether another finding is the same one: of one group and metric, and most of its nodes are the same. The cause may have been
    /// seen more clearly since.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.group == other.group && self.metric == other.metric && self.common(other) >= HALF
    }

    /// The part of both's nodes that both have.
    fn common(&self, other: &Self) -> f64 {
        let (mine, theirs): (BTreeSet<&String>, BTreeSet<&String>) =
            (self.nodes.iter().collect(), other.nodes.iter().collect());
        let all = mine.union(&theirs).count();
        if all == 0 { 0.0 } else { mine.intersection(&theirs).count() as f64 / all as f64 }
    }
}

impl Pattern {
    /// How much a finding is like this one, of `0..=1`; `None`: not enough to be worth a word. What counts is the cause; without one
    /// ("unknown") only the same nodes of the same group count.
    #[must_use]
    pub fn likeness(&self, subject: &Subject) -> Option<f64> {
        let own = &self.subject;
        let same_cause = own.cause == subject.cause && own.cause != UNKNOWN;
        let parts = [
            (same_cause, 0.4),
            (own.group == subject.group, 0.25),
            (own.metric == subject.metric, 0.1),
            (own.about.is_some() && own.about == subject.about, 0.1),
        ];
        let sum: f64 = parts.iter().filter(|(holds, _)| *holds).map(|(_, part)| part).sum();
        let likeness = sum + 0.15 * own.common(subject);
        (likeness >= LIKE).then_some(likeness.min(1.0))
    }
}

/// The cause of what has none. Source: the doctor's word.
const UNKNOWN: &str = "unknown";
/// Source: ours; of two nodes one.
const HALF: f64 = 0.5;
/// Source: ours; a cause alone is not enough, a cause with its metric or its group is, and so are the same nodes of one group.
const LIKE: f64 = 0.49;
