//! Rules on a history, as if they had been in force: how often they would have told something, and how often rightly, before they are
//! enabled.
//!
//! ```text
//! round after round (15 minutes: one more disjoint window each)
//!   what was known then --diagnose--> findings --only nodes of a rule's threshold--> book of alerts (opens after 3 rounds, ends as slowly)
//!                                                                                      |
//! alerts: what the book opened            episodes: from when to when a node was named by something open
//! an episode is  right    it lies about a label of its node: begun before that ended or within the judged hours after, ended after it began
//!                wrong    it does not, and labels name all that there was; or people called what it was about noise
//!                unknown  nobody says
//! precision = right / (right + wrong)      recall = labels that an episode is right for / labels
//! ```
//! Nothing of a later time is known in a round: figures end with the last whole window, requests by route with the last whole hour
//! (a live doctor has those of the hour's begin as well: its causes are a little surer). What a history was made coarser by is not
//! undone: where windows are longer than a round, rounds are as long.

mod episodes;
mod score;

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;

use ambidex_core::time::Span;
use serde::Serialize;

pub use score::{Episode, Missed, Report, Score};

use crate::alerts::Book;
use crate::doctor::{self, Diagnosis, Rules, diagnose};
use crate::history::{At, History};
use crate::sources::Progress;
use episodes::Episodes;

/// By what is told: rules, and from which relative load of a node on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RuleSet {
    /// Which rules.
    pub rules: Rules,
    /// Only of nodes with at least so many times a fair part; `None`: of all that the rules find.
    pub least: Option<f64>,
}

/// How rules are tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Those that are compared.
    pub sets: Vec<RuleSet>,
    /// How is judged; the rules are those of the sets.
    pub doctor: doctor::Options,
    /// Between two rounds. Default: 15 minutes; source: diagnosis.md "structural", whose windows are disjoint.
    pub every: Span,
    /// How far back a round sees. Default: 24 h; source: what `--listen` keeps at least.
    pub reach: Span,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sets: vec![RuleSet { rules: Rules::Effect, least: None }],
            doctor: doctor::Options::default(),
            every: Span::from_secs(900),
            reach: Span::from_secs(86_400),
        }
    }
}

/// What was so, or was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Of which node.
    pub node: String,
    /// From when on.
    pub from: At,
    /// Until when.
    pub to: At,
    /// Why, as [`doctor::Cause`] is written; `None`: nobody says.
    pub cause: Option<String>,
    /// Whether it was so; else what was told of the node then was noise.
    pub so: bool,
}

/// What is known of what was so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// In any order.
    pub all: Vec<Label>,
    /// Whether they name all that there was: then what is told beside them is wrong.
    pub complete: bool,
}

/// Why nothing can be said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BacktestError {
    /// No such pace.
    #[error("rounds of {0} cannot be made: a minute to a day is expected")]
    Every(Span),
    /// It is over before anything can be judged.
    #[error("the history is too short: it has {0} rounds, and something is told after three at the soonest")]
    Short(usize),
    /// A label of a node that there is not.
    #[error("a label is of node `{node}`, which the history does not have{near}")]
    Node {
        /// Which.
        node: String,
        /// What may be meant.
        near: String,
    },
    /// A label of no time.
    #[error("a label of node `{0}` ends before it begins")]
    Backwards(String),
}

/// Tries rules on a history, beside what is known of it.
///
/// # Errors
/// A pace that cannot be, a history of under three rounds, a label that cannot be.
pub fn run(
    history: &History,
    options: &Options,
    labels: &Labels,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, BacktestError> {
    if !(LEAST_PAUSE..=MOST_PAUSE).contains(&options.every) {
        return Err(BacktestError::Every(options.every));
    }
    check(history, labels)?;
    let moments = moments(history, options.every);
    if moments.len() < LEAST_ROUNDS {
        return Err(BacktestError::Short(moments.len()));
    }
    let mut tries: Vec<Try> = options.sets.iter().map(|set| Try::new(*set)).collect();
    let rules: Vec<Rules> = [Rules::Effect, Rules::Classic]
        .into_iter()
        .filter(|rules| options.sets.iter().any(|set| set.rules == *rules))
        .collect();
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    for (done, moments) in moments.chunks(threads * ROUNDS_AT_ONCE).enumerate() {
        let judged = judged(history, options, &rules, moments, threads);
        for (at, diagnoses) in moments.iter().zip(&judged) {
            for one in &mut tries {
                let diagnosis = diagnoses.iter().find(|diagnosis| diagnosis.rules == one.set.rules);
                diagnosis.into_iter().for_each(|diagnosis| one.round(*at, diagnosis));
            }
        }
        let done = (done * threads * ROUNDS_AT_ONCE + moments.len()) as u64;
        progress(Progress { what: "trying rules".into(), done, of: None });
    }
    Ok(score::report(history, options, labels, &moments, tries))
}

/// A rule set at work.
struct Try {
    set: RuleSet,
    book: Book,
    episodes: Episodes,
}

impl Try {
    fn new(set: RuleSet) -> Self {
        Self { set, book: Book::default(), episodes: Episodes::default() }
    }

    fn round(&mut self, at: At, diagnosis: &Diagnosis) {
        let told = self.set.least.map(|least| beyond(diagnosis, least));
        let notices = self.book.round(at, told.as_ref().unwrap_or(diagnosis));
        self.episodes.round(at, &notices, self.book.open());
    }
}

/// A diagnosis with those nodes alone that have so many times a fair part.
fn beyond(diagnosis: &Diagnosis, least: f64) -> Diagnosis {
    let mut told = diagnosis.clone();
    for finding in &mut told.findings {
        finding.nodes.retain(|node| node.r >= least);
    }
    told.findings.retain(|finding| !finding.nodes.is_empty());
    told
}

/// What doctors would have said at these moments, by each of the rules: several rounds at once, for none needs another.
fn judged(
    history: &History,
    options: &Options,
    rules: &[Rules],
    moments: &[At],
    threads: usize,
) -> Vec<Vec<Diagnosis>> {
    let hours = Span::from_secs(u64::from(options.doctor.hours + 1) * 3_600);
    let one = |at: &At| -> Vec<Diagnosis> {
        let past = history.past(*at, options.reach.max(hours), hours);
        rules.iter().map(|rules| diagnose(&past, &doctor::Options { rules: *rules, ..options.doctor })).collect()
    };
    let part = moments.len().div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = (moments.chunks(part))
            .map(|part| scope.spawn(move || part.iter().map(one).collect::<Vec<Vec<Diagnosis>>>()))
            .collect();
        // One that panics is a bug of ours, and ends all of it.
        parts.into_iter().flat_map(|part| part.join().unwrap_or_else(|why| std::panic::resume_unwind(why))).collect()
    })
}

/// When is judged: at each end of a round from the first that is whole.
fn moments(history: &History, every: Span) -> Vec<At> {
    let Some((first, last)) = history.span else { return Vec::new() };
    let every = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(i64::from(history.step) * 1_000);
    let half = i64::from(history.step) * 500;
    let (begin, end) = (first.0.div_euclid(every) + 1, (last.0 + half).div_euclid(every));
    (begin..=end).map(|round| At(round * every)).collect()
}

fn check(history: &History, labels: &Labels) -> Result<(), BacktestError> {
    for Label { node, from, to, .. } in &labels.all {
        if to < from {
            return Err(BacktestError::Backwards(node.clone()));
        }
        // What people said of nodes that are gone is no mistake of theirs.
        if labels.complete && !history.nodes.iter().any(|one| one.name == *node) {
            let alike = |one: &&crate::history::Node| strsim::jaro_winkler(&one.name, node);
            let near = history.nodes.iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
            let near = near.map_or_else(String::new, |near| format!(": is `{}` meant?", near.name));
            return Err(BacktestError::Node { node: node.clone(), near });
        }
    }
    Ok(())
}

impl fmt::Display for RuleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.rules {
            Rules::Effect => "effect",
            Rules::Classic => "classic",
        })?;
        self.least.map_or(Ok(()), |least| write!(f, "@{least}"))
    }
}

impl FromStr for RuleSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no rule set: `effect` or `classic`, with a threshold as `effect@1.5` (from 1 to 100 times a fair part)"
            )
        };
        let (rules, least) = text.split_once('@').map_or((text, None), |(rules, least)| (rules, Some(least)));
        let rules = match rules {
            "effect" => Rules::Effect,
            "classic" => Rules::Classic,
            _ => return Err(wrong()),
        };
        let least =
            least.map(|least| least.parse().ok().filter(|least| (1.0..=100.0).contains(least)).ok_or_else(wrong));
        Ok(Self { rules, least: least.transpose()? })
    }
}

/// Source: ours; nothing is seen sooner.
const LEAST_PAUSE: Span = Span::from_secs(60);
/// Source: ours.
const MOST_PAUSE: Span = Span::from_secs(86_400);
/// Source: diagnosis.md "structural", the ladder.
const LEAST_ROUNDS: usize = 3;
/// Of each thread, before books are told. Source: ours; what is said of 1,000 nodes is some MB.
const ROUNDS_AT_ONCE: usize = 8;

#[cfg(test)]
mod tests;
