//! Other proxies that go by our weights: what each was told, what that changed, and why not where it was not.

use ambidex_core::plan::Mode;
use maud::{Markup, html};

use super::text;
use super::view::Page;
use crate::publish::PublisherState;

/// The section of all publishers.
pub(super) fn section(page: &Page) -> Markup {
    html! {
        section #publishers aria-label="Other proxies" {
            h2 { "Other proxies" }
            table .workers {
                thead {
                    tr {
                        th { "name" } th { "kind" } th { "where" } th { "state" } th { "revision" } th { "last change" }
                    }
                }
                tbody { @for state in &page.publishers { (row(state)) } }
            }
        }
    }
}

fn row(state: &PublisherState) -> Markup {
    let carried = &state.carried;
    let does = match (&carried.fault, state.mode) {
        (Some(why), Mode::Observe | Mode::Apply) => why.as_str(),
        (None, Mode::Observe) => "changes nothing (observe)",
        (None, Mode::Apply) => "in force",
    };
    html! {
        tr .bad[carried.fault.is_some()] {
            td { b { (state.name) } }
            td { (state.kind) }
            td data-label="Where" { (state.target) }
            td data-label="State" {
                (does)
                @for remark in &carried.remarks { br; span .unit { (remark) } }
            }
            td {
                @match carried.applied {
                    Some(applied) => { (applied.revision) " at " (text::time_of_day(applied.wall_ms)) },
                    None => "none yet",
                }
            }
            td {
                @if let Some(first) = carried.changes.first() {
                    (first)
                    @if carried.changes.len() > 1 { " (and " (carried.changes.len() - 1) " more)" }
                }
            }
        }
    }
}
