//! Heat maps: routes, and loads of a worker as a whole, by workers. A cell is a figure and a shape; its colour says the same.
//!
//! | relative load | 2.00 and more | 1.50 | 1.25 | between | 0.75 and less | 0.50 and less |
//! |---|---|---|---|---|---|---|
//! | shape | ▲ | ◆ | ○ | | ▿ | ▾ |

use maud::{Markup, html};

use super::badge;
use crate::doctor::{DoctorStatus, GroupStatus, HeatRow};

pub(super) fn section(told: &DoctorStatus) -> Markup {
    html! {
        section #heat aria-labelledby="heat-title" {
            div .heading {
                h2 #heat-title { "Who has how much" }
                p .facts {
                    span { "1 is a fair part" } span { "▲ twice and more" } span { "◆ from 1.5" } span { "○ from 1.25" }
                    span { "▿ 0.75 or less" } span { "▾ half or less" }
                }
            }
            @for group in &told.groups { (map(group)) }
            @if told.groups.is_empty() { p .calm { "Nothing was judged yet." } }
            @if told.more_groups > 0 { p .more { (told.more_groups) " more pools are not shown." } }
        }
    }
}

fn map(group: &GroupStatus) -> Markup {
    let heat = &group.heat;
    html! {
        div .group {
            h3 { (group.name) " " @if group.insufficient.is_none() { (badge(group.level)) } }
            p .facts {
                @if let Some(why) = &group.insufficient { span { "not judged: " (why) } }
                @if let Some(w) = group.spread { span { "spread w " b { (format!("{w:.2}")) } } }
                @if let Some(part) = heat.by_routes {
                    span { (format!("{:.0} %", part * 100.0)) " of the unevenness is routes on workers, the rest workers" }
                }
                @if !group.left_out.is_empty() { span { "not judged: " (group.left_out.join(", ")) } }
            }
            @if !heat.rows.is_empty() {
                div .scroll tabindex="0" role="region" aria-label={ "Relative loads of " (group.name) } {
                    table .heat {
                        thead { tr { td {} @for node in &heat.nodes { th scope="col" { (node) } } } }
                        tbody { @for line in &heat.rows { (row(line)) } }
                    }
                }
                @if heat.more_nodes > 0 { p .more { (heat.more_nodes) " more workers are not shown." } }
            }
        }
    }
}

fn row(row: &HeatRow) -> Markup {
    html! {
        tr {
            th scope="row" { (row.name) @if row.route { span .unit { " route" } } }
            @for cell in &row.cells {
                @match cell {
                    Some(r) => td class=(Shade::of(*r).class()) { (format!("{r:.2}")) span .shape aria-hidden="true" { (Shade::of(*r).shape()) } },
                    None => td .none { "-" },
                }
            }
        }
    }
}

/// How far a cell is from a fair part. Source of the limits: diagnosis.md "structural" and "RFA".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shade {
    Empty,
    Low,
    Fair,
    Notice,
    Hot,
    Twice,
}

impl Shade {
    fn of(r: f64) -> Self {
        match r {
            ..=0.5 => Self::Empty,
            ..=0.75 => Self::Low,
            2.0.. => Self::Twice,
            1.5.. => Self::Hot,
            1.25.. => Self::Notice,
            _ => Self::Fair,
        }
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Empty => "cold-2",
            Self::Low => "cold-1",
            Self::Fair => "fair",
            Self::Notice => "hot-1",
            Self::Hot => "hot-2",
            Self::Twice => "hot-3",
        }
    }

    const fn shape(self) -> &'static str {
        match self {
            Self::Empty => "▾",
            Self::Low => "▿",
            Self::Fair => "",
            Self::Notice => "○",
            Self::Hot => "◆",
            Self::Twice => "▲",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_begin_where_findings_do() {
        for (r, shade) in [
            (0.0, Shade::Empty),
            (0.5, Shade::Empty),
            (0.75, Shade::Low),
            (1.0, Shade::Fair),
            (1.249, Shade::Fair),
            (1.25, Shade::Notice),
            (1.5, Shade::Hot),
            (2.0, Shade::Twice),
            (40.0, Shade::Twice),
        ] {
            assert_eq!(Shade::of(r), shade, "{r}");
        }
    }
}
