//! What a closed review leaves: an alert rule that fires on the same again, a runbook, and the pattern by which it is known again.

use std::fmt::Write as _;

use ambidex_core::review::{Moment, Outcome, Review, Subject};
use ambidex_insight::export;
use ambidex_insight::history::At;
use ambidex_insight::report::words::rfc3339;
use ambidex_insight::sources::prometheus::{Exported, exported, names};
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
    let about = review.subject().about.as_ref().map_or_else(String::new, |about| format!(" ({})", quoted(about)));
    let series = format!("{}:relative", export::series(metric));
    let all = selectors(review.subject(), cause);
    let each: Vec<String> =
        all.iter().map(|selector| format!("          avg_over_time({series}{selector}[3h]) >= {limit:.2}\n")).collect();
    Some(format!(
        "groups:\n  - name: ambidex-reviews\n    rules:\n      - alert: AmbidexSeenBefore{number}\n        expr: |-\n{}        \
         for: 15m\n        labels: {{severity: warning, review: {number}, cause: {}}}\n        annotations:\n          \
         summary: 'as in {number}: {}{about}'\n          description: 'ambidex review show {number}'\n",
        each.join("          or\n"),
        word(cause),
        quoted(cause)
    ))
}

/// Which of the recorded series a finding's are, by set: those of its group, and where the cause is a node's own, of its nodes. All of them
/// where no set has labels that could name the group.
fn selectors(subject: &Subject, cause: &str) -> Vec<String> {
    let known: Vec<String> = names().into_iter().map(str::to_owned).collect();
    let sets = exported(&known, "").unwrap_or_default();
    let metric = export::series(&subject.metric);
    let recorded = |set: &&Exported| set.queries.iter().any(|(one, _)| export::series(&one.to_string()) == metric);
    // A group is called by its service, then by version and role.
    let service = subject.group.split(' ').next().unwrap_or_default();
    let named = |set: &Exported| {
        let labels: Vec<&str> = set.service.split(", ").filter(|label| !label.is_empty()).collect();
        let values: Vec<&str> = service.splitn(labels.len().max(1), '/').collect();
        let mut matchers = vec![format!("set=\"{}\"", set.name)];
        match (set.name, &values[..]) {
            // A pod's service is its workload, by which its name begins.
            ("kubernetes", _) => {
                let (namespace, workload) = service.split_once('/')?;
                matchers.push(format!("namespace=\"{}\"", escaped(namespace)));
                matchers.push(format!("pod=~\"{}-.+\"", escaped(&literal(workload))));
            }
            (_, values) if values.len() == labels.len() => {
                let each = labels.iter().zip(values);
                matchers.extend(each.map(|(label, value)| format!("{label}=\"{}\"", escaped(value))));
            }
            (_, _) => return None,
        }
        if OF_NODES.contains(&cause) && !subject.nodes.is_empty() {
            let nodes: Vec<String> = subject.nodes.iter().map(|node| literal(node)).collect();
            matchers.push(format!("{}=~\"{}\"", set.node, escaped(&nodes.join("|"))));
        }
        Some(format!("{{{}}}", matchers.join(", ")))
    };
    let found: Vec<String> = sets.iter().filter(recorded).filter_map(named).collect();
    if found.is_empty() || subject.group == ALL { vec![String::new()] } else { found }
}

/// A name as a regular expression that is nothing else.
fn literal(name: &str) -> String {
    name.chars().fold(String::new(), |mut out, c| {
        if !(c.is_alphanumeric() || matches!(c, '_' | '-' | ':' | '/')) {
            out.push('\\');
        }
        out.push(c);
        out
    })
}

/// A text within double quotes of PromQL, on one line.
fn escaped(text: &str) -> String {
    one_line_plain(text).replace('\\', "\\\\").replace('"', "\\\"")
}

fn one_line_plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A text within single quotes of YAML, in which Prometheus sees no template.
fn quoted(text: &str) -> String {
    one_line(text).replace('\'', "''").replace("{{", "{ {")
}

/// The value of a label.
fn word(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
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

/// Causes that are a node's own: the same on another node is something else.
const OF_NODES: [&str; 8] = [
    "hardware",
    "interrupts",
    "remote_memory",
    "quota",
    "garbage_collection",
    "cold_cache",
    "cron",
    "ejection_flapping",
];
/// The group of a source that tells no services.
const ALL: &str = "all nodes";
/// What `ambidex export rules` records. A test holds it against what that writes.
const EXPORTED: [&str; 7] = ["requests", "busy time", "in flight", "cpu", "memory", "disk", "network"];

#[cfg(test)]
mod tests {
    use ambidex_insight::doctor::Cause;
    use ambidex_insight::export::rules;

    use super::*;

    #[test]
    fn rules_are_made_of_series_that_are_recorded() {
        let all: Vec<String> = names().into_iter().map(str::to_owned).collect();
        let recorded = rules::yaml(&exported(&all, "").expect("they are known"));
        for metric in EXPORTED {
            assert!(recorded.contains(&format!("record: {}:relative", export::series(metric))), "{metric}");
        }
    }

    fn subject(group: &str, metric: &str) -> Subject {
        let nodes = vec!["10.0.0.1:9100".to_owned(), "b".to_owned()];
        Subject { group: group.into(), metric: metric.into(), nodes, cause: String::new(), about: None }
    }

    #[test]
    fn a_rule_is_of_the_group_that_the_review_was_about() {
        let of = |group, metric, cause: &str| selectors(&subject(group, metric), cause).join(" ");
        let cpu = of("db", "cpu", "weights");
        assert!(cpu.contains(r#"{set="node", job="db"}"#) && !cpu.contains("instance"), "{cpu}");
        let pods = of("shop/web 5d4f8c7b9", "cpu", "weights");
        assert!(pods.contains(r#"{set="kubernetes", namespace="shop", pod=~"web-.+"}"#), "{pods}");
        let servers = of("lb/api", "requests", "narrow_caller");
        assert!(servers.contains(r#"{set="haproxy", job="lb", proxy="api"}"#), "{servers}");
        assert_eq!(of("all nodes", "cpu", "weights"), "", "nothing names the group");
    }

    #[test]
    fn a_cause_that_is_a_nodes_own_is_looked_for_on_that_node() {
        let found = selectors(&subject("db", "cpu"), "hardware").join(" ");
        assert!(found.contains(r#"job="db", instance=~"10\\.0\\.0\\.1:9100|b""#), "{found}");
        for cause in OF_NODES {
            assert!(super::super::seen::words().iter().any(|word| word == cause), "{cause}");
        }
        assert_eq!(super::super::seen::word(Cause::Hardware), "hardware");
    }

    #[test]
    fn names_from_elsewhere_do_not_end_what_they_stand_in() {
        let subject = subject("a\"}b\nc", "cpu");
        let found = selectors(&subject, "weights").join(" ");
        assert!(found.contains(r#"job="a\"}b c""#), "{found}");
        assert_eq!(quoted("it's {{ $value }} <b>"), "it''s { { $value }}  b ");
    }
}
