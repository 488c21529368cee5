//! What is to be done next with a review, and by when: for lists, and for the board.

use ambidex_core::review::{Review, Step};
use ambidex_core::time::Span;

use super::now;

/// What is to be done next, and by when.
pub(crate) fn next(review: &Review) -> String {
    let by = review.deadline().map(|at| in_time(at.since(now()))).unwrap_or_default();
    let ours = review.proposal().is_some_and(|proposal| proposal.action().is_ours());
    let number = review.number();
    match review.step() {
        Step::Finding => "suppose a cause, or propose a change".into(),
        Step::Hypothesis => "try it, or propose a change".into(),
        Step::Experiment => format!("say what it measured: `ambidex review experiment {number} --measured R`"),
        Step::Proposal => format!("approve or reject it{by}"),
        Step::Approval if ours => format!("carry it out{by}"),
        Step::Approval => format!("make the change, and say so: `ambidex review done {number}`{by}"),
        Step::Canary => "its carry-out looks at it".into(),
        Step::RollBack if ours => format!("its carry-out takes it back: `ambidex review carry-out {number}`"),
        Step::RollBack => format!("take it back, and say so: `ambidex review done {number} --undone`"),
        Step::Watch => format!("it is watched{by}"),
        Step::Record => String::new(),
    }
}

fn in_time(left: Span) -> String {
    let hours = left.as_millis() / 3_600_000;
    match hours {
        0 => format!(" within {} min", left.as_millis() / 60_000),
        1..48 => format!(" within {hours} h"),
        _ => format!(" within {} days", hours / 24),
    }
}
