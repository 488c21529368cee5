//! What the planner says: proposals with their buttons, decisions with their reasons, what is hottest, and what was done.

use ambidex_shard::plan::{DecisionText, PlanStatus, ProposalText};
use maud::{Markup, html};

use crate::ui::text;

pub(super) fn proposals(plan: &PlanStatus) -> Markup {
    html! {
        @if !plan.proposals.is_empty() {
            h3 { "To be approved" }
            div .proposals { @for one in &plan.proposals { (proposal(plan, one)) } }
        }
    }
}

fn proposal(plan: &PlanStatus, one: &ProposalText) -> Markup {
    let number = one.proposal.trim_start_matches('0');
    html! {
        article .card id=(text::anchor("proposal", &one.proposal)) data-keyspace=(plan.keyspace) data-proposal=(one.proposal) {
            p .what { b { (one.action.words) } }
            p { (one.why) " " code { (one.code) } }
            p .facts {
                span { "carries " (text::percent(one.load)) " of a worker" }
                @if one.gain > 0.0 { span { "gains " (text::percent(one.gain)) } }
                span { "expires in " (one.expires_millis.div_ceil(60_000)) " min" }
            }
            p .order-buttons {
                button type="button" data-shard-order="approve" { "Approve" } " "
                button type="button" data-shard-order="reject" { "Reject" }
                span .unit { " or " code { "ambidex shard approve " (number) " --keyspace " (plan.keyspace) } }
            }
        }
    }
}

pub(super) fn decisions(plan: &PlanStatus) -> Markup {
    html! {
        @if !plan.decisions.is_empty() {
            h3 { "What is done, and what is not" }
            ul .plain-list {
                @for one in plan.decisions.iter().take(MOST_DECISIONS) { li { (decision(one)) } }
            }
            @if plan.decisions.len() > MOST_DECISIONS {
                p .more { (plan.decisions.len() - MOST_DECISIONS) " more: " code { "ambidex shard plan --output json" } }
            }
        }
    }
}

fn decision(one: &DecisionText) -> Markup {
    html! {
        @match (&one.action, one.fate) {
            (Some(action), Some("done")) => { b { "Done: " } (action.words) },
            (Some(action), Some("asked")) => { b { "Proposed: " } (action.words) },
            (Some(action), _) => { b { "Would: " } (action.words) },
            (None, _) => { b { "Nothing" } " for " @if one.subject == "keyspace" { "the keyspace" } @else { (one.subject) } },
        }
        ": " (one.why) " " code { (one.code) }
        @if one.gain > 0.0 { ", gains " (text::percent(one.gain)) " of a worker" }
    }
}

/// Slices and keys that take the most.
pub(super) fn hottest(plan: &PlanStatus) -> Markup {
    let slices: Vec<_> = plan.slices.iter().filter(|slice| slice.load > 0.0).take(MOST_HOT).collect();
    let keys: Vec<_> = plan.keys.iter().filter(|key| key.load >= LEAST_KEY).take(MOST_HOT).collect();
    html! {
        @if !slices.is_empty() {
            h3 { "Hottest slices and keys" }
            div .scroll {
                table .heat {
                    thead { tr { th scope="col" { "Slice" } th scope="col" { "Owner" } th scope="col" { "Load" } th scope="col" { "Requests/s" } th scope="col" { "One key" } th scope="col" { "Left alone" } } }
                    tbody {
                        @for slice in slices {
                            tr {
                                th scope="row" { code { (slice.slice) } }
                                td { (slice.owner) } td { (text::percent(slice.load)) } td { (text::three_digits(slice.rate)) }
                                td { @if slice.hottest > 0.0 { (text::percent(slice.hottest)) } @else { "-" } }
                                td { @match slice.held { Some(code) => code { (code) }, None => "-" } }
                            }
                        }
                    }
                }
            }
            @if !keys.is_empty() {
                p .facts .keys {
                    @for key in keys {
                        span { @match &key.key { Some(name) => code { (name) }, None => { "a key at " code { (key.point) } } } " of " (key.owner) ": " b { (text::percent(key.load)) } }
                    }
                }
            }
        }
    }
}

pub(super) fn deeds(plan: &PlanStatus) -> Markup {
    html! {
        @if !plan.deeds.is_empty() {
            details data-keep-open open {
                summary { "What became of it: " (plan.deeds.len()) }
                ul .plain-list {
                    @for one in plan.deeds.iter().take(MOST_DEEDS) {
                        li {
                            time { (text::time_of_day(one.at_ms)) } " " b { (one.how) } ": " (one.action.words) " " code { (one.code) }
                            @if let Some(why) = &one.refused { ": " (why) }
                        }
                    }
                }
            }
        }
    }
}

/// Source: ours, what a person looks through.
const MOST_DECISIONS: usize = 20;
const MOST_HOT: usize = 12;
const MOST_DEEDS: usize = 30;
/// A key of this part of a worker is named. Source: half of what isolates it.
const LEAST_KEY: f64 = 0.025;
