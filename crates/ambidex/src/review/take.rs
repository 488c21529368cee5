//! A diagnosis comes into a folder of reviews: a finding that is there is counted, a new one opens, one that is gone is missed.
//!
//! The same finding found again is one review with its history. One that is found after its review was closed is a new review that
//! names the closed one. What was closed before and is alike is told with what came of it ("seen before").

use std::collections::BTreeMap;

use ambidex_core::review::{Event, Moment, Number, Pattern, Review, Step, Subject};
use ambidex_insight::doctor::{Diagnosis, Finding};
use ambidex_store::reviews::{Filed, Reviews, ReviewsError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Folder, ReviewError, now, seen};

/// What became of a diagnosis.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Reviews that opened, with what was seen before.
    pub(crate) opened: Vec<(Number, String, Vec<Before>)>,
    /// Reviews whose finding is there still.
    pub(crate) again: Vec<Number>,
    /// Reviews that were closed by it.
    pub(crate) closed: Vec<Number>,
    /// What could not be read or recorded.
    pub(crate) problems: Vec<String>,
}

/// A closed review that is like a finding.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Before {
    /// How much, of `0..=1`.
    pub(crate) likeness: f64,
    /// What it left.
    pub(crate) pattern: Pattern,
}

/// What was looked at and what was found, since reviews are kept: what never fires shows here.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Census {
    /// When it began.
    pub(crate) since: Moment,
    /// Diagnoses.
    pub(crate) rounds: u64,
    /// By metric: in how many rounds it was seen, and in how many a finding rested on it.
    pub(crate) metrics: BTreeMap<String, Uses>,
    /// By cause: in how many rounds it was thought to be the first.
    pub(crate) causes: BTreeMap<String, u64>,
}

/// Of one metric.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Uses {
    /// Rounds in which it was seen.
    pub(crate) seen: u64,
    /// Rounds in which a finding rested on it, or had it beside.
    pub(crate) used: u64,
}

/// Takes a diagnosis into a folder, which is made where it is missing.
pub(crate) fn take(folder: &Folder, diagnosis: &Diagnosis) -> Result<Taken, ReviewError> {
    let reviews = Reviews::open(folder.path())?;
    let (mut all, broken) = reviews.all();
    let mut taken = Taken { problems: broken.iter().map(ToString::to_string).collect(), ..Taken::default() };
    let mut found: Vec<Number> = Vec::new();
    for finding in &diagnosis.findings {
        let subject = seen::subject(finding);
        let open = all.iter_mut().find(|filed| is_open(filed) && filed.review.subject().is_same(&subject));
        if let Some(filed) = open {
            if !found.contains(&filed.review.number()) {
                round(filed, diagnosis, Some(finding))?;
                reviews.put(filed)?;
                found.push(filed.review.number());
            }
            continue;
        }
        match opened(&reviews, &all, diagnosis, finding, subject) {
            Ok(filed) => {
                let before = before(&all, filed.review.subject());
                taken.opened.push((filed.review.number(), finding.title.clone(), before));
                found.push(filed.review.number());
                all.push(filed);
            }
            Err(error) => {
                let problem = format!("`{}` is not recorded: {error}", finding.title);
                taken.problems.push(problem);
            }
        }
    }
    for filed in all.iter_mut().filter(|filed| is_open(filed) && !found.contains(&filed.review.number())) {
        if is_judged(diagnosis, filed.review.subject()) {
            round(filed, diagnosis, None)?;
            reviews.put(filed)?;
            taken.closed.extend((filed.review.step() == Step::Record).then(|| filed.review.number()));
        }
    }
    let aborted = all.iter().filter(|filed| filed.review.step() == Step::RollBack);
    taken.problems.extend(aborted.map(|filed| {
        let number = filed.review.number();
        format!("{number} is to be taken back: `ambidex review carry-out {number}`; what people changed, by people")
    }));
    let opened: Vec<Number> = taken.opened.iter().map(|(number, ..)| *number).collect();
    taken.again = found.into_iter().filter(|number| !opened.contains(number)).collect();
    count(&reviews, diagnosis)?;
    reviews.close()?;
    Ok(taken)
}

/// Closed reviews that are like a subject, the likest first, three at most.
pub(crate) fn before(all: &[Filed], subject: &Subject) -> Vec<Before> {
    let like = |filed: &Filed| {
        let pattern = filed.review.pattern()?;
        let likeness = pattern.likeness(subject)?;
        Some(Before { likeness, pattern })
    };
    let mut found: Vec<Before> = all.iter().filter_map(like).collect();
    found.sort_by(|a, b| b.likeness.total_cmp(&a.likeness).then(b.pattern.at.cmp(&a.pattern.at)));
    found.truncate(3);
    found
}

fn opened(
    reviews: &Reviews,
    all: &[Filed],
    diagnosis: &Diagnosis,
    finding: &Finding,
    subject: Subject,
) -> Result<Filed, ReviewsError> {
    let number = reviews.next()?;
    let same = |filed: &&Filed| !is_open(filed) && filed.review.subject().is_same(&subject);
    let again_after = all.iter().rev().find(same).map(|filed| filed.review.number());
    let look = seen::look(diagnosis, &subject.group, &subject.metric);
    let review = Review::open(number, now(), subject, look, again_after);
    let filed = Filed { review, finding: told(finding) };
    reviews.put(&filed)?;
    Ok(filed)
}

fn round(filed: &mut Filed, diagnosis: &Diagnosis, finding: Option<&Finding>) -> Result<(), ReviewError> {
    let subject = filed.review.subject();
    let look = seen::look(diagnosis, &subject.group, &subject.metric);
    // What the nodes are called by who watches a change need not be what the doctor's source calls them.
    let known = |look: &ambidex_core::review::Look| {
        filed.review.before().is_none_or(|before| {
            let both = look.parts.iter().filter(|part| before.r(&part.node).is_some()).count();
            2 * both >= before.parts.len().max(look.parts.len())
        })
    };
    let look = look.filter(known);
    filed.review.on(now(), Event::Round { found: finding.is_some(), look }, &mut Vec::new())?;
    if let Some(finding) = finding {
        filed.finding = told(finding);
    }
    Ok(())
}

fn is_open(filed: &Filed) -> bool {
    filed.review.step() != Step::Record
}

/// Whether a diagnosis says anything of a subject that it did not find.
fn is_judged(diagnosis: &Diagnosis, subject: &Subject) -> bool {
    let group = seen::judged(diagnosis, &subject.group);
    group.is_some_and(|group| subject.nodes.iter().any(|node| group.nodes.contains(node)))
}

/// A finding in a size that is kept.
fn told(finding: &Finding) -> Value {
    let mut finding = finding.clone();
    finding.nodes.truncate(MOST_TOLD);
    finding.hypotheses.truncate(5);
    for hypothesis in &mut finding.hypotheses {
        hypothesis.evidence.truncate(MOST_TOLD);
    }
    json!(finding)
}

/// Counts a round.
fn count(reviews: &Reviews, diagnosis: &Diagnosis) -> Result<(), ReviewsError> {
    let mut census = reviews.beside::<Census>(CENSUS)?.unwrap_or_else(|| Census { since: now(), ..Census::default() });
    census.rounds += 1;
    let room = |map: usize| map < MOST_COUNTED;
    let mut seen_now: Vec<String> = Vec::new();
    for group in diagnosis.groups.iter().filter(|group| group.insufficient.is_none()) {
        seen_now.extend(group.steadiness.iter().map(|one| one.metric.to_string()));
        seen_now.extend(group.spreads.iter().map(|one| one.metric.to_string()));
    }
    let mut used: Vec<String> = Vec::new();
    let mut causes: Vec<String> = Vec::new();
    for finding in &diagnosis.findings {
        used.push(finding.metric.to_string());
        used.extend(finding.nodes.iter().flat_map(|node| &node.also).map(|(metric, _)| metric.to_string()));
        causes.extend(finding.hypotheses.first().map(|first| seen::word(first.cause)));
    }
    for list in [&mut seen_now, &mut used, &mut causes] {
        list.sort();
        list.dedup();
    }
    for (names, is_used) in [(seen_now, false), (used, true)] {
        for name in names {
            if room(census.metrics.len()) || census.metrics.contains_key(&name) {
                let uses = census.metrics.entry(name).or_default();
                if is_used { uses.used += 1 } else { uses.seen += 1 }
            }
        }
    }
    for cause in causes {
        *census.causes.entry(cause).or_default() += 1;
    }
    reviews.put_beside(CENSUS, &census)
}

/// The census of a folder.
pub(crate) fn census(reviews: &Reviews) -> Result<Option<Census>, ReviewsError> {
    reviews.beside(CENSUS)
}

const CENSUS: &str = "census";
/// Source: ours; a page of them.
const MOST_TOLD: usize = 64;
/// Metrics that are counted. Source: ours; more than any source of ours has.
const MOST_COUNTED: usize = 500;
