//! The trial of a pool: where it stands, how both groups do, and what is missing.

use ambidex_core::trial::{Side, Stage};
use maud::{Markup, html};

use super::text;
use super::view::PoolPanel;

/// The section of one pool; nothing where there never was a trial.
pub(super) fn section(pool: &PoolPanel) -> Markup {
    let Some(trial) = &pool.trial else { return html! {} };
    let class = if trial.stage == Stage::Aborted { "found" } else { "trial" };
    html! {
        div .modes {
            h3 { (trial.kind.name()) " of " (trial.candidate) }
            p class=(class) {
                b { (trial.share) } " of the requests, step " (trial.step) " of " (trial.steps.len()) ": " (trial.why)
            }
            @if trial.figures.exposed > 0 {
                table {
                    thead { tr { th { "group" } th { "requests" } th { "failed" } th { "p50" } th { "p99" } } }
                    tbody {
                        (row("candidate", &trial.figures.candidate))
                        (row("control", &trial.figures.control))
                    }
                }
                ul {
                    @for progress in &trial.figures.progress {
                        li {
                            (progress.what.to_string()) ": as good " (percent(progress.as_good)) ", worse "
                            (percent(progress.worse)) " of the proof"
                        }
                    }
                }
            }
        }
    }
}

fn row(group: &str, side: &Side) -> Markup {
    html! {
        tr {
            td { (group) }
            td { (side.requests) }
            td { (side.failed) }
            td { (side.p50.map_or_else(|| "-".to_owned(), text::latency)) }
            td { (side.p99.map_or_else(|| "-".to_owned(), text::latency)) }
        }
    }
}

fn percent(part: f64) -> String {
    format!("{:.0} %", part.min(1.0) * 100.0)
}
