//! The page of shards: for each keyspace the ring of its slices with owners and heat, what moves, what waits for approval, and why
//! what is not done is not.
//!
//! For: whoever asks which slice or key is hot, and whether anything is done about it. Heat is told by the length of a bar and a figure;
//! colour only says whose a slice is, and the table beside it names them. All of it works without JavaScript but the buttons, beside
//! which the command stands that does the same.

mod plan;
mod ring;

use std::sync::Arc;

use ambidex_shard::plan::PlanStatus;
use ambidex_shard::status::{MoveStatus, Status};
use maud::{DOCTYPE, Markup, html};

use super::{Part, head, text, top};

/// Everything on the page.
#[derive(Clone, Debug, Default)]
pub struct ShardsPage {
    /// Milliseconds since 1970, by the wall clock.
    pub wall_millis: u64,
    /// The program's version.
    pub version: String,
    /// How each keyspace stands, and what its planner says.
    pub keyspaces: Vec<(Arc<Status>, Arc<PlanStatus>)>,
}

/// The whole document.
pub(super) fn page(page: &ShardsPage) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-title="Shards, Ambidex" {
            (head("Shards, Ambidex"))
            body {
                (top(page.wall_millis, "/shards"))
                main #live data-events="/ui/events?page=shards" { @for part in parts(page) { (part.html) } }
                footer {
                    "Ambidex " (page.version) ". Times are UTC. A load of 100 % is one worker's whole capacity. What each reason means stands \
                     in the documentation (shard-planner.md). The same as JSON: " a href="/api/v1/keyspaces" { "/api/v1/keyspaces" } "."
                }
            }
        }
    }
}

/// The sections, in their order.
pub(super) fn parts(page: &ShardsPage) -> Vec<Part> {
    let mut parts = vec![Part { id: "shards".to_owned(), html: about(page) }];
    parts.extend(page.keyspaces.iter().map(|(status, plan)| {
        let id = text::anchor("keyspace", &status.keyspace);
        Part { html: keyspace(&id, status, plan), id }
    }));
    parts
}

/// What is wrong, or that nothing is.
fn about(page: &ShardsPage) -> Markup {
    let reasons = page.keyspaces.iter().flat_map(|(status, _)| {
        status.reasons.iter().map(move |reason| (&status.keyspace, reason.code, reason.why.as_str()))
    });
    let alerts = page.keyspaces.iter().flat_map(|(status, plan)| {
        let alerting = plan.decisions.iter().filter(|decision| decision.alerts);
        alerting.map(move |decision| (&status.keyspace, decision.code, decision.why))
    });
    let told: Vec<_> = reasons.chain(alerts).collect();
    html! {
        section #shards aria-label="Keyspaces" data-as-of=(text::time_of_day(page.wall_millis)) {
            @if page.keyspaces.is_empty() {
                p .calm { "This process decides about no keyspace: name one in " code { "keyspaces" } ", or ask the coordinator that does." }
            } @else if told.is_empty() {
                p .calm { "All keyspaces are led and served." }
            } @else {
                ul .attention {
                    @for (keyspace, code, why) in &told { li .warning { b { (keyspace) } ": " (why) " " code { (code) } } }
                }
            }
        }
    }
}

fn keyspace(id: &str, status: &Status, plan: &PlanStatus) -> Markup {
    html! {
        section .keyspace id=(id) {
            div .heading {
                h2 { (status.keyspace) }
                p .facts {
                    span { b { (status.slices) } " slices" }
                    span { "planner: " b { (plan.mode) } }
                    @if !status.leads { span { "led elsewhere" } }
                    @if let Some(at) = plan.looked_ms { span { "looked at " (text::time_of_day(at)) } }
                }
            }
            @if plan.ring.is_empty() {
                p .calm { "The planner has not looked yet, or looks elsewhere." }
            } @else {
                div .ring-and-workers { (ring::ring(plan)) (ring::workers(status, plan)) }
            }
            (plan::proposals(plan))
            (moves(status))
            (plan::decisions(plan))
            (plan::hottest(plan))
            (plan::deeds(plan))
        }
    }
}

/// Moves under way, those that wait, and the last ones.
fn moves(status: &Status) -> Markup {
    if status.moves.is_empty() && status.waiting.is_empty() && status.ended.is_empty() {
        return html! {};
    }
    html! {
        h3 { "Moves" }
        ul .plain-list {
            @for one in &status.moves { li data-keyspace=(status.keyspace) data-move=(one.id) { (moving(one)) } }
            @for one in &status.waiting {
                li { "waits: slice " code { (one.slice) } " to " (one.to.as_deref().unwrap_or("any worker")) ": " (one.why) " " code { (one.code) } }
            }
        }
        @if !status.ended.is_empty() {
            details data-keep-open {
                summary { "The last that ended: " (status.ended.len()) }
                ul .plain-list {
                    @for one in status.ended.iter().take(MOST_ENDED) {
                        li {
                            "slice " code { (one.slice) } ", " (one.from) " to " (one.to) ": " b { (one.end) }
                            @if let Some(why) = one.why { " (" (why) ")" }
                            ", " (one.entries) " entries in " (one.millis) " ms"
                            @if let Some(pause) = one.pause_millis { ", writes waited " (format!("{pause:.1}")) " ms" }
                        }
                    }
                }
            }
        }
    }
}

fn moving(one: &MoveStatus) -> Markup {
    let undecided = matches!(one.phase, "copying" | "sealing" | "ready");
    html! {
        "slice " code { (one.slice) } ", " (one.from) " to " (one.to) ": " b { (one.phase) } ", " (one.entries) " entries, " (one.millis) " ms"
        @if let Some(fault) = &one.fault { "; " span .hot { (fault) } }
        @if undecided {
            " " button type="button" data-shard-order="abort" { "Abort" } " "
            span .unit { "or " code { "ambidex shard abort " (one.id) } }
        }
    }
}

/// Moves that ended and are shown. Source: ours.
const MOST_ENDED: usize = 20;

#[cfg(test)]
mod tests;
