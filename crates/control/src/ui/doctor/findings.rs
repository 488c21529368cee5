//! Findings, those first that hurt most: what, where, since when, why, what it costs, what helps, and what would show the reason.

use maud::{Markup, html};

use super::{badge, class, named};
use crate::doctor::{DoctorState, DoctorStatus, FindingStatus, ReasonStatus};
use crate::ui::text;

pub(super) fn section(told: &DoctorStatus) -> Markup {
    html! {
        section #findings aria-labelledby="findings-title" {
            div .heading { h2 #findings-title { "Findings" } }
            @if told.findings.is_empty() {
                p .calm { (nothing(told)) }
            }
            @for finding in &told.findings { (card(finding)) }
            @if told.more_findings > 0 { p .more { (told.more_findings) " more are not shown." } }
        }
    }
}

fn nothing(told: &DoctorStatus) -> &'static str {
    let judged = told.groups.iter().any(|group| group.insufficient.is_none());
    match (told.state, judged) {
        (DoctorState::Waiting, _) => "Nothing was judged yet.",
        (DoctorState::Off | DoctorState::Judged | DoctorState::Failed, true) => "Nothing stands out.",
        (DoctorState::Off | DoctorState::Judged | DoctorState::Failed, false) => {
            "There is too little load or time to judge anything; nothing is said of it."
        }
    }
}

fn card(finding: &FindingStatus) -> Markup {
    let nodes: Vec<String> = finding.nodes.iter().map(|node| format!("{} {:.2}", node.name, node.r)).collect();
    html! {
        article class={ "finding " (class(finding.level)) } id=(text::anchor("finding", &finding.id)) {
            h3 { (badge(finding.level)) " " (finding.title) }
            p .facts {
                span { "pool " b { (finding.group) } }
                span { (finding.verdict) }
                @if let Some(since) = &finding.since {
                    span {
                        "since " b { (text::moment(since.at_ms)) } (format!(" ({:.2} before, {:.2} since)", since.before, since.after))
                        @if let Some(happened) = &since.happened { ", about when: " (happened) }
                    }
                }
                @if let Some(review) = &finding.review {
                    span { a href={ "#" (text::anchor("review", review)) } { (review) } }
                }
            }
            dl {
                dt { "where" } dd { (named(&nodes, finding.more_nodes)) " times a fair part of " (finding.metric) }
                @for (rank, reason) in finding.reasons.iter().enumerate() {
                    dt { @if rank == 0 { "why" } @else { "or" } }
                    dd { (because(reason)) }
                }
                @if !finding.costs.is_empty() { dt { "costs" } dd { (finding.costs.join(" · ")) } }
                dt { "at once" } dd { (finding.at_once) }
                dt { "for good" } dd { (finding.for_good) }
                @if let Some(experiment) = finding.reasons.first().and_then(|first| first.experiment.as_ref()) {
                    dt { "test" }
                    dd {
                        (experiment.what)
                        (format!(": if it is so, {:.2} instead of {:.2}", experiment.predicted_r, experiment.else_r))
                    }
                }
            }
        }
    }
}

fn because(reason: &ReasonStatus) -> Markup {
    html! {
        (reason.cause)
        @if let Some(about) = &reason.about { ": " (about) }
        @if !reason.evidence.is_empty() {
            ul {
                @for evidence in &reason.evidence {
                    li { b { @if evidence.strength < 0.0 { "against: " } @else { "for: " } } (evidence.seen) }
                }
            }
        }
    }
}
