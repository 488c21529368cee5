//! What is left: of each worker, of the pool without its largest, and how many workers the load takes as it lies and if it lay evenly.

use maud::{Markup, html};

use super::{badge, class};
use crate::doctor::{CapacityStatus, DoctorStatus, GroupStatus, LeftStatus, PlanStatus};
use crate::ui::text;

pub(super) fn section(told: &DoctorStatus) -> Markup {
    let known = told.groups.iter().filter_map(|group| Some((group, group.capacity.as_ref()?)));
    let unknown: Vec<&str> =
        told.groups.iter().filter(|group| group.capacity.is_none()).map(|group| group.name.as_str()).collect();
    html! {
        section #capacity aria-labelledby="capacity-title" {
            div .heading { h2 #capacity-title { "What is left" } }
            @for (group, capacity) in known { (pool(group, capacity)) }
            @if !unknown.is_empty() {
                p .calm { "No utilization is known of " (unknown.join(", ")) ": workers that report one, or have a limit, are told here." }
            }
            @if told.groups.is_empty() { p .calm { "Nothing was judged yet." } }
        }
    }
}

fn pool(group: &GroupStatus, capacity: &CapacityStatus) -> Markup {
    html! {
        div .group {
            h3 { (group.name) }
            p .facts {
                span { "by " (capacity.metric) ", used up to " (text::percent(capacity.theta)) }
                span { "today's load fits " b { (format!("{:.1}", capacity.surge)) } " times, "
                    b { (format!("{:.1}", capacity.surge_even)) } " if it lay evenly" }
                @if let Some(left) = capacity.left_without_one {
                    span { "without its largest " b { (left_over(left)) } " is left" }
                }
                span { b { (text::percent(capacity.stranded)) } " of the capacity is stranded" }
            }
            @if let Some(plan) = &capacity.plan { (needed(plan)) }
            table .workers .left {
                thead { tr { th { "Worker" } th .number { "Full (p95)" } th { "Left" } th .number { "Nothing left in" } th { "" } } }
                tbody { @for node in &capacity.nodes { (row(node)) } }
            }
            @if capacity.more_nodes > 0 { p .more { (capacity.more_nodes) " more workers are not shown; they have more left." } }
        }
    }
}

fn needed(plan: &PlanStatus) -> Markup {
    html! {
        p .needed {
            @match (plan.needed, plan.withheld) {
                (Some(needed), _) => {
                    "The load takes " b { (workers(needed)) } " as it lies, " b { (plan.even) } " if it lay evenly; there are "
                    b { (plan.nodes) } "."
                },
                (None, why) => { "How many workers the load takes is not told" @if let Some(why) = why { " (" (why) ")" } "." },
            }
            @if let Some(binding) = &plan.binding { " " (binding) }
        }
    }
}

fn workers(many: u32) -> String {
    if many == 1 { "1 worker".to_owned() } else { format!("{many} workers") }
}

fn row(node: &LeftStatus) -> Markup {
    // The bar shows what is used of all; what is beyond is full.
    let used = node.utilization.clamp(0.0, 1.0) * 100.0;
    let soon = match node.full_in_hours {
        Some(hours) if hours <= 0.0 => "now".to_owned(),
        Some(hours) => format!("{hours:.0} h"),
        None => "-".to_owned(),
    };
    html! {
        tr class=(class(node.level)) {
            th { (node.name) }
            td .number data-label="Full (p95)" { (text::percent(node.utilization)) }
            td .share data-label="Left" {
                svg .bar viewBox="0 0 100 10" preserveAspectRatio="none" role="img" aria-label={ (text::percent(node.utilization)) " used" } {
                    rect .ground width="100" height="10" {}
                    rect .share width=(format!("{used:.1}")) height="10" {}
                }
                span .figure { (left_over(node.left)) }
            }
            td .number data-label="Nothing left in" { (soon) }
            td { (badge(node.level)) }
        }
    }
}

/// A part of what may be used; under 0 it is beyond.
fn left_over(left: f64) -> String {
    if left < 0.0 { format!("{:.0} % beyond", -left * 100.0) } else { format!("{:.0} %", left * 100.0) }
}
