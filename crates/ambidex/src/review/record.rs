//! What a closed review leaves: an alert rule that fires on the same again, a runbook, and the pattern by which it is known again.

use std::fmt::Write as _;

use ambidex_core::review::{Moment, Outcome, Review};
use ambidex_insight::export;
use ambidex_insight::history::At;
use ambidex_insight::report::words::rfc3339;
use ambidex_store::reviews::Filed;
use serde_json::{Value, json};

use super::title;

/// All three; `None` of one that is open, or was noise: noise is not to be known again but as noise.
pub(crate) struct Left {
    /// A rule for a Prometheus with the recording rules of `ambidex export rules`; `None` where those do not record the metric.
    pub(crate) rule: Option<String>,
    /// In Markdown.
    pub(crate) runbook: String,
    /// As data.
    pub(crate) pattern: Value,
}

impl Left {
    pub(crate) fn of(filed: &Filed) -> Option<Self> {
        let review = &filed.review;
        let pattern = review.pattern()?;
        if matches!(pattern.outcome, Outcome::Noise { .. }) {
            return None;
        }
        Some(Self { rule: rule(filed), runbook: runbook(filed)?, pattern: json!(pattern) })
    }
}

/// A moment as people read it.
pub(crate) fn moment(at: Moment) -> String {
    rfc3339(At(i64::try_from(at.0).unwrap_or(i64::MAX)))
}

/// Fires before it is as bad as it was: at four fifths of what the foremost node had too much.
fn rule(filed: &Filed) -> Option<String> {
    let review = &filed.review;
    let metric = review.subject().metric.as_str();
    if !EXPORTED.contains(&metric) {
        return None;
    }
    let r = filed.finding["nodes"][0]["r"].as_f64().filter(|r| r.is_finite() && *r > 1.25)?;
    let limit = (1.0 + (r - 1.0) * 0.8).clamp(1.25, 1.5);
    let (number, cause) = (review.number(), cause(review));
    Some(format!(
        "groups:\n  - name: ambidex-reviews\n    rules:\n      - alert: AmbidexSeenBefore{number}\n        expr: |-\n          \
         avg_over_time({}:relative[3h]) >= {limit:.2}\n        for: 15m\n        labels: {{severity: warning, review: {number}}}\n        \
         annotations:\n          summary: 'as in {number}: {cause}'\n          description: 'ambidex review show {number}'\n",
        export::series(metric)
    ))
}

fn runbook(filed: &Filed) -> Option<String> {
    let review = &filed.review;
    let (outcome, at) = review.outcome()?;
    let subject = review.subject();
    let mut out = String::new();
    let _ = writeln!(out, "# {}: {}\n", review.number(), one_line(&title(filed)));
    let _ =
        writeln!(out, "- group `{}`, metric `{}`, nodes {}", subject.group, subject.metric, subject.nodes.join(", "));
    let about = subject.about.as_ref().map_or_else(String::new, |about| format!(": {about}"));
    let confirmed =
        if review.cause().is_some_and(|(_, confirmed)| confirmed) { ", confirmed by an experiment" } else { "" };
    let _ = writeln!(out, "- cause: {}{about}{confirmed}", cause(review));
    if !review.refuted().is_empty() {
        let _ = writeln!(out, "- it was not: {}", review.refuted().join(", "));
    }
    let _ = writeln!(out, "- closed {}: {outcome}\n\n## How it is known again\n", moment(at));
    for evidence in filed.finding["hypotheses"][0]["evidence"].as_array().into_iter().flatten() {
        let sign = if evidence["strength"].as_f64().unwrap_or(0.0) < 0.0 { "against it" } else { "for it" };
        let _ = writeln!(out, "- {sign}: {}", one_line(evidence["seen"].as_str().unwrap_or_default()));
    }
    if let Some(what) = filed.finding["hypotheses"][0]["experiment"]["what"].as_str() {
        let _ = writeln!(out, "- experiment: {}", one_line(what));
    }
    let _ = writeln!(out, "\n## What to do\n");
    match review.proposal().filter(|_| review.before().is_some()) {
        Some(proposal) => {
            let _ = writeln!(out, "- done then: {}", one_line(&proposal.action().to_string()));
            let _ = writeln!(out, "- it is undone by: {}", one_line(&proposal.action().undone()));
            for abort in proposal.aborts() {
                let _ = writeln!(out, "- take it back when: {abort}");
            }
        }
        None => {
            let _ = writeln!(out, "- nothing was done then");
        }
    }
    for (key, when) in [("immediate", "at once"), ("durable", "for good")] {
        if let Some(what) = filed.finding["remedies"][key].as_str() {
            let _ = writeln!(out, "- {when}: {}", one_line(what));
        }
    }
    if let Some(all) = review.calibrated() {
        let _ = writeln!(out, "\n## What it did\n\n| | before | predicted | came |\n|---|---|---|---|");
        let rows = [("w", Some(all.w)), ("r_max", Some(all.r_max)), ("cmi", all.cmi)];
        for (name, one) in rows.into_iter().filter_map(|(name, one)| Some((name, one?))) {
            let _ = writeln!(
                out,
                "| {name} | {:.2} | {:.2} ({:.2} to {:.2}) | {:.2} |",
                one.before, one.predicted.mid, one.predicted.low, one.predicted.high, one.actual
            );
        }
    }
    Some(out)
}

fn cause(review: &Review) -> &str {
    review.cause().map_or(review.subject().cause.as_str(), |(cause, _)| cause)
}

/// Names and keys come from logs: in a page they are one line, and no markup.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c == '|' || c == '<' || c == '>' { ' ' } else { c }).collect()
}

/// What `ambidex export rules` records. A test holds it against what that writes.
const EXPORTED: [&str; 7] = ["requests", "busy time", "in flight", "cpu", "memory", "disk", "network"];

#[cfg(test)]
mod tests {
    use ambidex_insight::export::rules;
    use ambidex_insight::sources::prometheus::{exported, names};

    use super::*;

    #[test]
    fn rules_are_made_of_series_that_are_recorded() {
        let all: Vec<String> = names().into_iter().map(str::to_owned).collect();
        let recorded = rules::yaml(&exported(&all, "").expect("they are known"));
        for metric in EXPORTED {
            assert!(recorded.contains(&format!("record: {}:relative", export::series(metric))), "{metric}");
        }
    }
}
