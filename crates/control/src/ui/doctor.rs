//! The doctor's page: what it found, who has how much of what, what is left, and what became of findings.
//!
//! For: whoever asks why one worker has more than its part, and what to do about it. Levels are told by a shape and a word, relative
//! loads by a figure and a shape; colour only helps. All of it works without JavaScript but the two buttons of the board, beside which
//! the command stands that does the same.

mod board;
mod capacity;
mod findings;
mod heat;

use std::sync::Arc;

use maud::{DOCTYPE, Markup, html};

use super::{Part, head, text, top};
use crate::doctor::{DoctorState, DoctorStatus, Grave};

/// Everything on the page.
#[derive(Clone, Debug, Default)]
pub struct DoctorPage {
    /// Milliseconds since 1970, by the wall clock.
    pub wall_millis: u64,
    /// The program's version.
    pub version: String,
    /// What the doctor told last.
    pub told: Arc<DoctorStatus>,
}

/// The whole document.
pub(super) fn page(page: &DoctorPage) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-title="Doctor, Ambidex" {
            (head(&title(&page.told)))
            body {
                (top(page.wall_millis, "/doctor"))
                main #live data-events="/ui/events?page=doctor" { @for part in parts(page) { (part.html) } }
                footer {
                    "Ambidex " (page.version) ". Times are UTC. A relative load of 1 is a fair part; how it is judged stands in the \
                     documentation (diagnose.md). The same as JSON: " a href="/api/v1/doctor" { "/api/v1/doctor" } "."
                }
            }
        }
    }
}

/// The sections, in their order.
pub(super) fn parts(page: &DoctorPage) -> Vec<Part> {
    let told = &*page.told;
    let mut parts = vec![Part { id: "doctor".to_owned(), html: round(page) }];
    if told.state == DoctorState::Off {
        return parts;
    }
    parts.push(Part { id: "findings".to_owned(), html: findings::section(told) });
    parts.push(Part { id: "heat".to_owned(), html: heat::section(told) });
    parts.push(Part { id: "capacity".to_owned(), html: capacity::section(told) });
    parts.push(Part { id: "board".to_owned(), html: board::section(told) });
    parts
}

/// How the doctor itself does: on top, so that what is old is not taken for news.
fn round(page: &DoctorPage) -> Markup {
    let told = &*page.told;
    html! {
        section #doctor aria-label="The doctor" data-as-of=(text::time_of_day(page.wall_millis)) {
            @match told.state {
                DoctorState::Off => p .calm { "The doctor is off: " code { "doctor: off" } " in the configuration." },
                DoctorState::Waiting => p .calm { "The doctor looks, and has not judged yet" (because(told)) "." },
                DoctorState::Judged => p .calm { (judged(told)) },
                DoctorState::Failed => {
                    ul .attention { li .warning { "The last round broke off" (because(told)) ". What stands here is older." } }
                }
            }
            @if !told.remarks.is_empty() {
                details data-keep-open {
                    summary { "Remarks on what was seen: " (told.remarks.len()) }
                    ul { @for remark in &told.remarks { li { (remark) } } }
                }
            }
        }
    }
}

fn because(told: &DoctorStatus) -> String {
    told.why.as_ref().map_or_else(String::new, |why| format!(": {why}"))
}

fn judged(told: &DoctorStatus) -> String {
    let mut said = match told.judged_ms {
        Some((begin, end)) => format!("Judged: {} to {}", text::moment(begin), text::moment(end)),
        None => "There is no whole window to judge yet".to_owned(),
    };
    if let (Some(at), Some(took)) = (told.at_ms, told.took_ms) {
        said += &format!("; round {} at {}, {took:.0} ms", told.rounds, text::time_of_day(at));
    }
    said + "."
}

/// What a tab shows.
fn title(told: &DoctorStatus) -> String {
    match told.findings.iter().filter(|finding| finding.level >= Grave::Warning).count() {
        0 => "Doctor, Ambidex".to_owned(),
        grave => format!("({grave}) Doctor, Ambidex"),
    }
}

/// A level in a word.
const fn word(level: Grave) -> &'static str {
    match level {
        Grave::Well => "even",
        Grave::Notice => "notice",
        Grave::Warning => "warning",
        Grave::Critical => "critical",
    }
}

/// A level as a shape, so that no colour is needed to tell them apart.
const fn shape(level: Grave) -> &'static str {
    match level {
        Grave::Well => "·",
        Grave::Notice => "○",
        Grave::Warning => "◆",
        Grave::Critical => "▲",
    }
}

/// The style sheet's word.
const fn class(level: Grave) -> &'static str {
    match level {
        Grave::Well => "well",
        Grave::Notice => "note",
        Grave::Warning => "warning",
        Grave::Critical => "bad",
    }
}

/// A level as a badge.
fn badge(level: Grave) -> Markup {
    html! { span class={ "badge " (class(level)) } { (shape(level)) " " (word(level)) } }
}

/// Of these and more, by name.
fn named(names: &[String], more: usize) -> String {
    let shown = names.join(", ");
    if more > 0 { format!("{shown} and {more} more") } else { shown }
}

#[cfg(test)]
mod tests;
