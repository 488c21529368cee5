//! What was told beside what was so.

use ambidex_core::time::Span;
use serde::Serialize;

use super::episodes::Told;
use super::{Label, Labels, Options, RuleSet, Try};
use crate::doctor::Cause;
use crate::history::{At, History};

/// Of a backtest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Of this form.
    pub schema_version: u32,
    /// What was read.
    pub source: String,
    /// The first round and the last.
    pub span: (At, At),
    /// Rounds.
    pub rounds: usize,
    /// Milliseconds between two.
    pub every_ms: u64,
    /// Weeks between the first and the last.
    pub weeks: f64,
    /// Labels of this time that say what was so.
    pub labels: usize,
    /// Labels of this time that say what was noise.
    pub noise: usize,
    /// Labels of another time: left out.
    pub elsewhere: usize,
    /// Whether labels name all that there was.
    pub complete: bool,
    /// In the order that was asked for.
    pub sets: Vec<Score>,
}

/// Of a rule set.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// As it is written: `effect@1.5`.
    pub name: String,
    /// Which.
    #[serde(flatten)]
    pub set: RuleSet,
    /// Findings that would have been told.
    pub alerts: u64,
    /// Of these, how many would have woken somebody.
    pub pages: u64,
    /// Alerts a week.
    pub per_week: f64,
    /// How often a node was named, from when to when: right, wrong, and of which nobody says.
    pub right: usize,
    /// See `right`.
    pub wrong: usize,
    /// See `right`.
    pub unknown: usize,
    /// `None`: nothing was told of which it is known.
    pub precision: Option<f64>,
    /// `None`: there are no labels of what was so.
    pub recall: Option<f64>,
    /// Labels that were told.
    pub found: usize,
    /// Milliseconds from a label's begin until it was told: half of them, and 95 % of them, at most. `None`: none was told.
    pub delay_ms: Option<(i64, i64)>,
    /// Of labels with a cause that were told: how many, and of how many it was the likeliest.
    pub causes: (usize, usize),
    /// Those that were wrong: the first 20.
    pub wrong_ones: Vec<Episode>,
    /// Labels that were not told: the first 20.
    pub missed: Vec<Missed>,
}

/// A node was named.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Episode {
    /// Which.
    pub node: String,
    /// From when.
    pub from: At,
    /// Until when.
    pub to: At,
    /// By what first.
    pub title: String,
}

/// A label that was not told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Missed {
    /// Of which node.
    pub node: String,
    /// From when.
    pub from: At,
    /// Until when.
    pub to: At,
    /// Why it was so.
    pub cause: Option<String>,
}

pub(super) fn report(history: &History, options: &Options, labels: &Labels, moments: &[At], tries: Vec<Try>) -> Report {
    let span = (moments.first().copied().unwrap_or_default(), moments.last().copied().unwrap_or_default());
    let (here, elsewhere): (Vec<&Label>, Vec<&Label>) =
        labels.all.iter().partition(|label| label.from <= span.1 && label.to >= span.0);
    let (so, noise): (Vec<&Label>, Vec<&Label>) = here.into_iter().partition(|label| label.so);
    let judged = i64::from(options.doctor.hours) * 3_600_000;
    let weeks = (span.1.0 - span.0.0).max(1) as f64 / WEEK;
    let known = Known { so, noise, complete: labels.complete, judged };
    Report {
        schema_version: SCHEMA_VERSION,
        source: history.source.clone(),
        span,
        rounds: moments.len(),
        every_ms: options.every.max(Span::from_secs(u64::from(history.step))).as_millis(),
        weeks,
        labels: known.so.len(),
        noise: known.noise.len(),
        elsewhere: elsewhere.len(),
        complete: labels.complete,
        sets: tries.into_iter().map(|one| known.score(one, weeks)).collect(),
    }
}

/// What is known of the time.
struct Known<'l> {
    so: Vec<&'l Label>,
    noise: Vec<&'l Label>,
    complete: bool,
    /// Milliseconds for which what was so is seen after its end.
    judged: i64,
}

impl Known<'_> {
    fn score(&self, one: Try, weeks: f64) -> Score {
        let Try { set, episodes, .. } = one;
        let (alerts, pages) = (episodes.alerts, episodes.pages);
        let told = episodes.all();
        let (mut right, mut wrong, mut unknown, mut wrong_ones) = (0, 0, 0, Vec::new());
        for one in &told {
            let is = |label: &&&Label| self.about(one, label);
            if self.so.iter().any(|label| is(&label)) {
                right += 1;
            } else if self.complete || self.noise.iter().any(|label| is(&label)) {
                wrong += 1;
                let Told { node, from, to, title, .. } = one.clone();
                wrong_ones.push(Episode { node, from, to, title });
            } else {
                unknown += 1;
            }
        }
        wrong_ones.truncate(SHOWN);
        let first = |label: &Label| told.iter().find(|one| self.about(one, label));
        let (mut delays, mut causes, mut missed) = (Vec::new(), (0, 0), Vec::new());
        for label in &self.so {
            let Some(one) = first(label) else {
                let Label { node, from, to, cause, .. } = (*label).clone();
                missed.push(Missed { node, from, to, cause });
                continue;
            };
            delays.push((one.from.0 - label.from.0).max(0));
            if let Some(cause) = &label.cause {
                causes.0 += 1;
                causes.1 += usize::from(*cause == written(one.cause));
            }
        }
        missed.truncate(SHOWN);
        delays.sort_unstable();
        let rank = |part: usize| delays.get((delays.len() * part).div_ceil(100).max(1) - 1).copied();
        let part = |some: usize, of: usize| (of > 0).then(|| some as f64 / of as f64);
        Score {
            name: set.to_string(),
            set,
            alerts,
            pages,
            per_week: alerts as f64 / weeks,
            right,
            wrong,
            unknown,
            precision: part(right, right + wrong),
            recall: part(delays.len(), self.so.len()),
            found: delays.len(),
            delay_ms: rank(50).zip(rank(95)),
            causes,
            wrong_ones,
            missed,
        }
    }

    /// Whether what was told is about a label.
    fn about(&self, told: &Told, label: &Label) -> bool {
        told.node == label.node && told.from.0 <= label.to.0.saturating_add(self.judged) && told.to >= label.from
    }
}

/// A cause as files write it.
fn written(cause: Cause) -> String {
    serde_json::to_value(cause).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Grows when a field changes its meaning or goes.
const SCHEMA_VERSION: u32 = 1;
/// Milliseconds.
const WEEK: f64 = 7.0 * 86_400_000.0;
/// Source: ours; a screen.
const SHOWN: usize = 20;
