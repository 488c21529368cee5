//! What is sent of a notice: JSON of our own, or alerts as Alertmanager takes them. Both answer "why".

use serde_json::{Value, json};

use super::{Change, Notice};
use crate::doctor::{Finding, Level};
use crate::report::words;

/// The body of a POST to a webhook: all notices of a round.
#[must_use]
pub fn webhook(source: &str, notices: &[Notice]) -> Value {
    json!({ "schema_version": 1, "source": source, "notices": notices })
}

/// The body of a POST to Alertmanager's `/api/v2/alerts`: what opened or grew begins, what closed ends. What is inconclusive is sent
/// again, so that it does not end by itself. `ends_after` milliseconds after a notice Alertmanager ends what nobody repeats.
#[must_use]
pub fn alertmanager(source: &str, notices: &[Notice], ends_after: i64) -> Value {
    let alert = |notice: &Notice| {
        let finding = &notice.finding;
        let ends = match notice.change {
            Change::Opened | Change::Escalated | Change::Inconclusive => notice.at.0.saturating_add(ends_after),
            Change::Closed => notice.at.0,
        };
        json!({
            "labels": {
                "alertname": "AmbidexImbalance",
                "severity": severity(finding.level, notice.page),
                "group": finding.group,
                "cause": notice.grouped_by.1,
                "metric": finding.metric.to_string(),
                "finding": finding.id,
            },
            "annotations": {
                "summary": finding.title,
                "description": why(finding),
                "source": source,
                "now": finding.remedies.immediate,
                "for_good": finding.remedies.durable,
            },
            "startsAt": words::rfc3339(notice.opened),
            "endsAt": words::rfc3339(crate::history::At(ends)),
        })
    };
    Value::Array(notices.iter().map(alert).collect())
}

const fn severity(level: Level, page: bool) -> &'static str {
    match (level, page) {
        (_, true) => "page",
        (Level::Critical, false) => "critical",
        (Level::Warn, false) => "warning",
        (Level::Notice | Level::Well, false) => "info",
    }
}

/// The first reasons with their evidence, in lines.
fn why(finding: &Finding) -> String {
    let mut lines = vec![words::verdict(finding.verdict).to_owned()];
    for hypothesis in words::reasons(finding) {
        let subject = hypothesis.subject.as_ref().map_or_else(String::new, |subject| format!(": {subject}"));
        lines.push(format!("{}{subject}", hypothesis.cause));
        let sign = |strength: f64| if strength < 0.0 { "-" } else { "+" };
        lines.extend(hypothesis.evidence.iter().map(|one| format!("  {} {}", sign(one.strength), one.seen)));
    }
    let costs = words::costs(finding);
    if !costs.is_empty() {
        lines.push(costs.join(", "));
    }
    lines.join("\n")
}
