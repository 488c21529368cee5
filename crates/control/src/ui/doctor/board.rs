//! The board: every review in the column of where it is, with its change, what that should do and what it did, and its history.
//!
//! The buttons of a proposal, and that of a change in force, post with the token, as those of runbooks do; who and why are asked for in the card, since both stay in
//! the record.

use ambidex_core::review::{Calibrated, Compared, Step};
use maud::{Markup, html};

use crate::doctor::{BoardStatus, DoctorStatus, ReviewLine};
use crate::ui::text;

/// The columns, and which steps are in them.
const COLUMNS: [(&str, &[Step]); 5] = [
    ("Found", &[Step::Finding, Step::Hypothesis, Step::Experiment]),
    ("To be approved", &[Step::Proposal]),
    ("Approved", &[Step::Approval]),
    ("In force", &[Step::Canary, Step::Watch, Step::RollBack]),
    ("Closed", &[Step::Record]),
];

pub(super) fn section(told: &DoctorStatus) -> Markup {
    html! {
        section #board aria-labelledby="board-title" {
            div .heading { h2 #board-title { "What became of findings" } }
            @match &told.board {
                Some(board) => (columns(board)),
                None => p .calm { "No reviews are kept: name a folder for them, " code { "doctor: {reviews: FOLDER}" } "." },
            }
        }
    }
}

fn columns(board: &BoardStatus) -> Markup {
    html! {
        @for problem in &board.problems { p .problem { (problem) } }
        div .board {
            @for (name, steps) in COLUMNS {
                @let cards = in_column(board, steps);
                div .column {
                    h3 { (name) " " span .unit { (cards.len()) } }
                    @for line in &cards { (card(line)) }
                    @if cards.is_empty() { p .none { "none" } }
                }
            }
        }
        @if board.more > 0 { p .more { (board.more) " closed ones are not shown: " code { "ambidex review list --all" } } }
        details data-keep-open { summary { "Audit of the last quarter" } pre .audit { (board.audit) } }
        p .more { "Kept in " (board.folder) "." }
    }
}

fn in_column<'b>(board: &'b BoardStatus, steps: &[Step]) -> Vec<&'b ReviewLine> {
    board.reviews.iter().filter(|line| steps.contains(&line.step)).collect()
}

fn card(line: &ReviewLine) -> Markup {
    html! {
        article .card id=(text::anchor("review", &line.number)) data-review=(line.number) {
            h4 { (line.number) " " span .step { (line.step.to_string()) } }
            p .what { (line.title) }
            p .facts {
                span { "since " (text::moment(line.since_ms)) } span { "found " (line.found) " times" }
                @if let Some(cause) = &line.cause { span { "cause: " (cause) } }
                @if let Some(before) = &line.again_after { span { "came back after " (before) } }
            }
            @if let Some(change) = &line.change { (proposed(line, change)) }
            @if let Some(calibrated) = &line.calibrated { (compared(calibrated)) }
            @if let Some(outcome) = &line.outcome { p .outcome { (outcome) } }
            @if !line.next.is_empty() { p .next { "Next: " (line.next) } }
            @match line.step {
                Step::Proposal => (buttons(line, &[("approve", "Approve"), ("reject", "Reject")])),
                Step::Canary | Step::Watch => (buttons(line, &[("abort", "Take it back")])),
                Step::Finding | Step::Hypothesis | Step::Experiment | Step::Approval | Step::RollBack | Step::Record => {}
            }
            @if !line.history.is_empty() {
                details data-keep-open { summary { "History" } ul { @for one in &line.history { li { (one) } } } }
            }
        }
    }
}

fn proposed(line: &ReviewLine, change: &str) -> Markup {
    html! {
        p .change { b { (change) } @if let Some(undone) = &line.undone_by { "; undone by: " (undone) } }
        @if !line.predicted.is_empty() || !line.aborts.is_empty() {
            details data-keep-open {
                summary { "What it should do" }
                ul {
                    @for one in &line.predicted { li { (one) } }
                    @for one in &line.aborts { li { "taken back when " (one) } }
                }
            }
        }
    }
}

/// What was predicted beside what came.
fn compared(calibrated: &Calibrated) -> Markup {
    let rows = [("w", Some(calibrated.w)), ("largest", Some(calibrated.r_max)), ("left", calibrated.cmi)];
    let known = rows.into_iter().filter_map(|(name, one)| Some((name, one?)));
    html! {
        table .compared {
            thead { tr { td {} th scope="col" { "before" } th scope="col" { "predicted" } th scope="col" { "came" } } }
            tbody {
                @for (name, one) in known {
                    @let Compared { before, predicted, actual, held } = one;
                    tr {
                        th scope="row" { (name) }
                        td { (format!("{before:.2}")) }
                        td { (format!("{:.2} ({:.2} to {:.2})", predicted.mid, predicted.low, predicted.high)) }
                        td { (format!("{actual:.2}")) " " @if held { "✓" } @else { "✗" } }
                    }
                }
            }
        }
    }
}

/// Buttons that post an order with who and why.
fn buttons(line: &ReviewLine, orders: &[(&str, &str)]) -> Markup {
    let first = orders.first().map_or("", |(order, _)| order);
    let id = |of: &str| format!("{}-{of}", text::anchor("review", &line.number));
    html! {
        div .order {
            label for=(id("by")) { "Your name" } input type="text" name="by" maxlength="100" autocomplete="name" id=(id("by"));
            label for=(id("why")) { "Why" } input type="text" name="why" maxlength="500" autocomplete="off" id=(id("why"));
            @for (order, name) in orders { button type="button" data-order=(order) { (name) } }
            p .more { "or " code { "ambidex review " (first) " " (line.number) } }
        }
    }
}
