//! What a diagnosis says of a review: what it is about, and how all nodes of its group stand.

use ambidex_core::review::{Look, Moment, Part, Subject};
use ambidex_insight::doctor::{Cause, Diagnosis, Finding, GroupReport};
use ambidex_insight::history::Metric;

/// What a finding is about.
pub(crate) fn subject(finding: &Finding) -> Subject {
    let first = finding.hypotheses.first();
    let cause = first.map_or(Cause::Unknown, |first| first.cause);
    Subject {
        group: short(&finding.group),
        metric: kind(finding),
        nodes: finding.nodes.iter().take(MOST_NAMED).map(|node| short(&node.node)).collect(),
        cause: word(cause),
        about: first.and_then(|first| first.subject.as_deref()).map(short),
    }
}

/// The metric; with what kind of finding it is, where that is not too much load: nothing left, nothing to do, or callers that leave
/// nodes out.
fn kind(finding: &Finding) -> String {
    let metric = finding.metric.to_string();
    let rest = finding.id.strip_prefix(&format!("{}/{metric}/", finding.group)).unwrap_or_default();
    let of = |kind: &str| rest.starts_with(&format!("{kind}/")).then(|| format!("{metric}/{kind}"));
    short(&of("left").or_else(|| of("idle")).or_else(|| of("callers")).unwrap_or(metric))
}

/// The word of a cause, as reports in JSON have it.
pub(crate) fn word(cause: Cause) -> String {
    serde_json::to_value(cause).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Every cause's word.
pub(crate) fn words() -> Vec<String> {
    Cause::ALL.into_iter().map(word).collect()
}

/// How the nodes of a review's group stand, by the review's metric, else by what says most of a load; `None` where the group was not
/// judged, or nothing of it is a load.
pub(crate) fn look(diagnosis: &Diagnosis, group: &str, metric: &str) -> Option<Look> {
    let report = judged(diagnosis, group)?;
    let metric = metric.split('/').next().unwrap_or(metric);
    let of = |wanted: &str| report.spreads.iter().find(|spread| spread.metric.to_string() == wanted);
    let usual = [Metric::Busy, Metric::Requests, Metric::Cpu, Metric::InFlight];
    let spread = of(metric).or_else(|| usual.iter().find_map(|metric| of(&metric.to_string())))?;
    let part = |part: &Part| Part { node: short(&part.node), ..part.clone() };
    let parts = spread.parts.iter().map(part).collect();
    let nodes = report.capacity.iter().flat_map(|capacity| &capacity.nodes);
    let cmi = nodes.map(|node| node.left.cmi).reduce(f64::min);
    let at = diagnosis.judged.map_or(0, |(_, end)| u64::try_from(end.0).unwrap_or(0));
    Some(Look { at: Moment(at), parts, cmi, errors: None, p99_ms: None }).filter(Look::is_sound)
}

/// A group that was judged.
pub(crate) fn judged<'d>(diagnosis: &'d Diagnosis, group: &str) -> Option<&'d GroupReport> {
    diagnosis.groups.iter().find(|report| short(&report.name) == group && report.insufficient.is_none())
}

/// A name in a length that is kept.
fn short(name: &str) -> String {
    name.chars().take(MOST_NAME).collect()
}

/// Source: ours; longer than any name that people gave.
const MOST_NAME: usize = 200;
/// Nodes of a finding by which it is known. Source: ours.
const MOST_NAMED: usize = 64;
