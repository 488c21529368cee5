//! Failure modes of a pool: what was found and on what it rests, what is done about it, and what waits for a person.
//!
//! A proposal's button posts with the token, which the script asks for once and keeps for the tab; without JavaScript
//! the command line does the same, and the text beside the button says how.

use maud::{Markup, html};

use super::view::PoolPanel;

/// The section of one pool; nothing while all is quiet.
pub(super) fn section(pool: &PoolPanel) -> Markup {
    let shown = &pool.failure_modes;
    if shown.modes.is_empty() && shown.measures.is_empty() && shown.proposals.is_empty() && shown.moved.is_none() {
        return html! {};
    }
    html! {
        div .modes {
            h3 { "Failure modes" }
            ul {
                @for mode in &shown.modes {
                    li class=(mode.stage) {
                        b { (mode.mode) } " "
                        @match &mode.sentence {
                            Some(sentence) => { "(" (mode.stage) "): " (sentence) "." },
                            None => { "(" (mode.stage) ")" },
                        }
                    }
                }
                @if let Some(moved) = &shown.moved {
                    li .found {
                        "The weight of " b { (moved.name) } " moved by " (percent(moved.by)) " within five minutes."
                    }
                }
            }
            @if !shown.measures.is_empty() {
                p { "Done about it, and undone when the cause is gone:" }
                ul {
                    @for measure in &shown.measures {
                        li {
                            (measure.sentence) " (" (measure.mode)
                            @if measure.approved { ", approved" }
                            ")"
                        }
                    }
                }
            }
            @if shown.refused > 0.0 {
                p { (percent(shown.refused)) " of the requests are refused until the pool recovers." }
            }
            @for proposal in &shown.proposals {
                p .proposal {
                    "Waits for approval: " b { (proposal.sentence) } " (" (proposal.mode) ") "
                    button type="button" data-approve=(format!("{}/{}", pool.name, proposal.number)) { "Approve" }
                    " or " code { "ambidex approve " (pool.name) " " (proposal.number) }
                }
            }
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
