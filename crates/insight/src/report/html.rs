//! The report as one HTML file: no script, nothing loaded from elsewhere, so that it can be sent and kept.
//!
//! Findings as in the terminal; below them, by group, routes on nodes as a heat map, every node's relative load over the judged
//! windows as strips, spread by hour of the week, and why nodes are as busy as they are as bars.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::words;
use crate::analysis::parts::Factors;
use crate::doctor::{Callers, Diagnosis, Finding, GroupReport, Routes, Steadiness};
use crate::history::Metric;

/// The file's text.
#[must_use]
pub fn page(diagnosis: &Diagnosis) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Diagnosis: " (diagnosis.source) }
                style { (PreEscaped(include_str!("report.css"))) }
            }
            body {
                h1 { "Diagnosis: " (diagnosis.source) }
                @if let Some((begin, end)) = diagnosis.judged {
                    p.soft { "Judged: " (words::moment(begin)) " to " (words::moment(end)) " UTC." }
                }
                @if diagnosis.partial { p { strong { "Partial:" } " not all that was asked for could be read; see the end." } }
                h2 { "Findings" }
                @if diagnosis.findings.is_empty() { p { "Nothing stands out." } }
                @for finding in &diagnosis.findings { (finding_card(finding)) }
                @for group in &diagnosis.groups { (group_section(group)) }
                @if !diagnosis.remarks.is_empty() {
                    h2 { "Of the source" }
                    ul { @for remark in &diagnosis.remarks { li { (remark.what) @if remark.times > 1 { " (" (remark.times) " times)" } } } }
                }
            }
        }
    };
    markup.into_string()
}

fn finding_card(finding: &Finding) -> Markup {
    let level = words::level(finding.level);
    html! {
        article class=(level) {
            span.mark { (words::shape(finding.level)) " " (level) } " " strong { (finding.title) }
            p.soft {
                (words::verdict(finding.verdict))
                @if let Some(since) = &finding.since {
                    ", since " (words::moment(since.at)) " UTC (" (format!("{:.2} before, {:.2} since", since.before, since.after)) ")"
                    @if let Some(happened) = &since.happened { ", about when: " (happened.text) }
                }
            }
            dl {
                @for (rank, hypothesis) in words::reasons(finding).enumerate() {
                    dt { @if rank == 0 { "why" } @else { "or" } }
                    dd {
                        (hypothesis.cause.to_string())
                        @if let Some(subject) = &hypothesis.subject { ": " (subject) }
                        ul.soft {
                            @for evidence in &hypothesis.evidence {
                                li { @if evidence.strength < 0.0 { "against: " } (evidence.seen) }
                            }
                        }
                    }
                }
                @let costs = words::costs(finding);
                @if !costs.is_empty() { dt { "costs" } dd { (costs.join(" · ")) } }
                dt { "now" } dd { (finding.remedies.immediate) }
                dt { "for good" } dd { (finding.remedies.durable) }
                @if let Some(experiment) = finding.hypotheses.first().and_then(|first| first.experiment.as_ref()) {
                    dt { "test" }
                    dd { (experiment.what) (format!(": if it is so, {:.2} instead of {:.2}", experiment.predicted_r, experiment.else_r)) }
                }
            }
        }
    }
}

fn group_section(group: &GroupReport) -> Markup {
    html! {
        h2 { (group.name) }
        @if let Some(why) = &group.insufficient { p { "Not judged: " (why) } }
        @if let Some(split) = &group.split { p { (words::split(split)) } }
        @if !group.spreads.is_empty() { h3 { "How unevenly each load lies" } (spreads(group)) }
        @if let Some(routes) = &group.routes { h3 { "Routes on nodes" } (heat_map(group, routes)) }
        @if let Some(callers) = &group.callers { h3 { "Who sends where" } (callers_map(group, callers)) }
        @if let Some(steadiness) = foremost(group) { h3 { "Relative load over time: " (steadiness.metric.to_string()) } (strips(steadiness)) }
        @if group.factors.iter().any(Option::is_some) { h3 { "Why nodes are as busy as they are" } (bars(group)) }
        @if let Some(week) = &group.week { h3 { "Spread by hour of the week (UTC)" } (hours(week)) }
        @for out in &group.not_judged { p.soft { "Not judged: " (out.node) " (" (out.why.words()) ")" } }
    }
}

fn spreads(group: &GroupReport) -> Markup {
    html! {
        div.scroll { table {
            tr { th { "load" } th { "w" } th { "last 30 min" } th { "least" } th { "most" } th { "capacity lost" } th { "" } }
            @for spread in &group.spreads {
                tr {
                    td { (spread.metric.to_string()) }
                    td { (format!("{:.3}", spread.w_adj)) }
                    td { (spread.w_now.map_or_else(|| "-".into(), |w| format!("{w:.3}"))) }
                    td { (format!("{:.2} {}", spread.r_min.0, spread.r_min.1)) }
                    td { (format!("{:.2} {}", spread.r_max.0, spread.r_max.1)) }
                    td { (format!("{:.0} %", spread.stranded * 100.0)) }
                    @match &spread.insufficient {
                        Some(why) => td { "insufficient: " (why) },
                        None => td class=(words::level(spread.level)) { span.mark { (words::shape(spread.level)) " " (words::level(spread.level)) } (words::usual(spread)) },
                    }
                }
            }
        } }
    }
}

/// Routes by nodes: a cell's figure is its relative load, its colour how far that is from 1.
fn heat_map(group: &GroupReport, routes: &Routes) -> Markup {
    let shown = group.nodes.len().min(MOST_NODES);
    html! {
        p.soft {
            (routes.requests) " requests. " (format!("{:.0} %", routes.part_of_interaction * 100.0))
            " of their unevenness is routes on nodes, the rest nodes. 1 is a fair part."
        }
        div.scroll { table {
            tr { th { "route" } @for node in &group.nodes[..shown] { th { (node) } } }
            @for route in &routes.routes {
                tr {
                    td { (route.route) }
                    @for r in route.relative.iter().take(shown) { td style=(shade(*r)) { (format!("{r:.2}")) } }
                }
            }
        } }
        (cut(group.nodes.len(), shown))
    }
}

/// Callers by nodes, as routes are; those that leave nodes out are marked.
fn callers_map(group: &GroupReport, callers: &Callers) -> Markup {
    let shown = group.nodes.len().min(MOST_NODES);
    let bound = |caller: &str| callers.narrow.iter().any(|narrow| narrow.caller == caller);
    html! {
        p.soft { (words::called(callers)) ". 1 is a fair part." }
        div.scroll { table {
            tr { th { "from" } th { "caller" } th { "requests" } @for node in &group.nodes[..shown] { th { (node) } } }
            @for row in &callers.callers {
                tr {
                    td { (row.from.as_deref().unwrap_or("-")) }
                    td { (row.caller) @if bound(&row.caller) { " " span.mark { "◆ leaves nodes out" } } }
                    td { (format!("{:.0}", row.requests)) }
                    @for r in row.relative.iter().take(shown) { td style=(shade(*r)) { (format!("{r:.2}")) } }
                }
            }
        } }
        (cut(group.nodes.len(), shown))
    }
}

fn strips(steadiness: &Steadiness) -> Markup {
    let mut nodes: Vec<_> = steadiness.nodes.iter().collect();
    nodes.sort_by(|a, b| b.r.total_cmp(&a.r));
    let shown = nodes.len().min(MOST_NODES);
    html! {
        p.soft { "A cell is a quarter of an hour, the newest at the right; an empty one has too few samples." }
        div.scroll { table.strip {
            @for standing in &nodes[..shown] {
                tr {
                    td { (standing.node) (format!(" {:.2}", standing.r)) }
                    @for r in &standing.windows {
                        @match r {
                            Some(r) => td style=(shade(*r)) title=(format!("{r:.2}")) {},
                            None => td {},
                        }
                    }
                }
            }
        } }
        (cut(nodes.len(), shown))
    }
}

fn hours(week: &[Option<f64>]) -> Markup {
    html! {
        div.scroll { table.strip {
            tr { th { "" } @for hour in 0..24 { th { (hour) } } }
            @for (day, name) in ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].iter().enumerate() {
                tr {
                    td { (name) }
                    @for w in week.iter().skip(day * 24).take(24) {
                        @match w {
                            Some(w) => td style=(shade(1.0 + w)) title=(format!("w {w:.2}")) {},
                            None => td {},
                        }
                    }
                }
            }
        } }
    }
}

/// Rate, mix and speed of each node: bars from the middle, which is 1; twice is as far right as half is left.
fn bars(group: &GroupReport) -> Markup {
    let known = group.nodes.iter().zip(&group.factors).filter_map(|(node, factors)| Some((node, (*factors)?)));
    let mut known: Vec<(&String, Factors)> = known.collect();
    known.sort_by(|a, b| b.1.total().total_cmp(&a.1.total()));
    let shown = known.len().min(MOST_NODES);
    let bar = |value: f64| {
        let long = (value.log2() * 40.0).clamp(-60.0, 60.0);
        let (from, colour) = if long < 0.0 { (60.0 + long, "var(--cold)") } else { (60.0, "var(--hot)") };
        html! {
            div.factors {
                svg width="120" height="12" role="img" aria-label=(format!("{value:.2}")) {
                    rect x=(format!("{from:.1}")) y="1" width=(format!("{:.1}", long.abs().max(1.0))) height="10" style=(format!("fill: rgb({colour})")) {}
                    line x1="60" x2="60" y1="0" y2="12" stroke="currentColor" {}
                }
                (format!("{value:.2}"))
            }
        }
    };
    html! {
        p.soft { "Busy time = rate (requests) x mix (how dear they are) x speed (how long the node takes for the same); 1 is as the others." }
        div.scroll { table {
            tr { th { "node" } th { "busy" } th { "rate" } th { "mix" } th { "speed" } }
            @for (node, factors) in &known[..shown] {
                tr { td { (node) } td { (format!("{:.2}", factors.total())) } td { (bar(factors.rate)) } td { (bar(factors.mix)) } td { (bar(factors.speed)) } }
            }
        } }
        (cut(known.len(), shown))
    }
}

/// The metric that says most of what nodes have to do.
fn foremost(group: &GroupReport) -> Option<&Steadiness> {
    let of = |metric: &Metric| {
        group
            .steadiness
            .iter()
            .find(|one| one.metric == *metric && one.nodes.iter().any(|node| !node.windows.is_empty()))
    };
    [Metric::Busy, Metric::Cpu, Metric::Requests, Metric::InFlight, Metric::LatencyP50].iter().find_map(of)
}

/// The colour of a relative load: none at 1, full at twice as much or nothing.
fn shade(r: f64) -> String {
    let far = (r - 1.0).clamp(-1.0, 1.0);
    let colour = if far < 0.0 { "var(--cold)" } else { "var(--hot)" };
    format!("background: rgba({colour}, {:.2})", far.abs() * 0.75)
}

fn cut(all: usize, shown: usize) -> Markup {
    html! { @if shown < all { p.soft { (all - shown) " more nodes are in the JSON form." } } }
}

/// Nodes that are shown. Source: ours; a page.
const MOST_NODES: usize = 60;
