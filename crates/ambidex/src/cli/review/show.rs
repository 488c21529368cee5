//! Reviews for people and for programs.

use std::fmt::Write as _;

use ambidex_core::review::{Number, Review};
use ambidex_store::reviews::Filed;
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::super::{End, Output, answer, answer_json};
use crate::review::next::next;
use crate::review::record::{Left, moment};
use crate::review::take::{Before, before};
use crate::review::{Folder, ReviewError, title};

pub(super) fn one(folder: &Folder, number: Number, output: Output) -> Result<End, ReviewError> {
    let (all, _) = folder.all()?;
    // Asked again, so that a number that is not there is told with the folder.
    let filed =
        all.iter().find(|filed| filed.review.number() == number).cloned().map_or_else(|| folder.get(number), Ok)?;
    let others: Vec<Filed> = all.into_iter().filter(|other| other.review.number() != number).collect();
    let seen_before = before(&others, filed.review.subject());
    match output {
        Output::Json => answer_json(&in_full(&filed, &seen_before)),
        Output::Text => answer(&text(&filed, &seen_before)),
    }
    Ok(End::Worked)
}

/// For a list.
pub(super) fn in_short(filed: &Filed) -> Value {
    let review = &filed.review;
    json!({
        "number": review.number().to_string(),
        "step": review.step(),
        "title": title(filed),
        "level": filed.finding["level"],
        "subject": review.subject(),
        "rounds": review.rounds(),
        "cause": review.cause().map(|(cause, _)| cause),
        "confirmed": review.cause().is_some_and(|(_, confirmed)| confirmed),
        "deadline": review.deadline(),
        "outcome": review.outcome().map(|(outcome, _)| outcome.word()),
        "again_after": review.again_after().map(|number| number.to_string()),
        "next": next(review),
    })
}

fn in_full(filed: &Filed, seen_before: &[Before]) -> Value {
    let review = &filed.review;
    let mut whole = in_short(filed);
    whole["schema_version"] = json!(1);
    whole["finding"] = filed.finding.clone();
    whole["refuted"] = json!(review.refuted());
    whole["experiment"] = json!(review.trial());
    whole["proposal"] = json!(review.proposal());
    whole["before"] = json!(review.before());
    whole["looks"] = json!(review.looks().items());
    whole["shift"] = json!(review.shift());
    whole["calibrated"] = json!(review.calibrated());
    whole["closed"] = json!(review.outcome().map(|(outcome, at)| json!({"at": at, "outcome": outcome})));
    whole["history"] = json!(review.history().items());
    whole["history_left_out"] = json!(review.history().left_out());
    whole["seen_before"] = json!(seen_before);
    let left = Left::of(filed);
    whole["left"] =
        json!(left.map(|left| json!({"rule": left.rule, "runbook": left.runbook, "pattern": left.pattern})));
    whole
}

pub(super) fn table(all: &[&Filed]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["review", "step", "found", "since", "what", "next"]);
    for filed in all {
        let review = &filed.review;
        let step = match review.outcome() {
            Some((outcome, _)) => outcome.word().to_owned(),
            None => review.step().to_string(),
        };
        table.add_row([
            review.number().to_string(),
            step,
            format!("{}x", review.rounds().found),
            moment(review.rounds().first).chars().take(16).collect::<String>().replace('T', " "),
            title(filed),
            next(review),
        ]);
    }
    table
}

pub(super) fn text(filed: &Filed, seen_before: &[Before]) -> String {
    let review = &filed.review;
    let mut out = String::new();
    let rounds = review.rounds();
    let _ = writeln!(out, "{} {}: {}", review.number(), review.step(), title(filed));
    let _ =
        writeln!(out, "  found {} times, first {}, last {}", rounds.found, moment(rounds.first), moment(rounds.last));
    for (key, when) in [("immediate", "at once"), ("durable", "for good")] {
        if let Some(what) = filed.finding["remedies"][key].as_str() {
            let _ = writeln!(out, "  {when}: {what}");
        }
    }
    if let Some(number) = review.again_after() {
        let _ = writeln!(out, "  it came back: {number} was closed before");
    }
    for Before { likeness, pattern } in seen_before {
        let done = pattern.done.as_deref().unwrap_or("nothing was done");
        let _ = writeln!(
            out,
            "  seen before: {} ({:.0} % alike, {}): {done}: {}",
            pattern.number,
            likeness * 100.0,
            pattern.subject.cause,
            pattern.outcome
        );
    }
    if let Some((cause, confirmed)) = review.cause() {
        let _ = writeln!(out, "  cause: {cause}{}", if confirmed { ", confirmed" } else { "" });
    }
    if !review.refuted().is_empty() {
        let _ = writeln!(out, "  refuted: {}", review.refuted().join(", "));
    }
    change(review, &mut out);
    let next = next(review);
    if !next.is_empty() {
        let _ = writeln!(out, "  next: {next}");
    }
    let _ = writeln!(out, "  history");
    let left_out = review.history().left_out();
    for (at, transition) in review.history().items().iter().enumerate() {
        if at == ambidex_core::review::MOST_HISTORY / 8 && left_out > 0 {
            let _ = writeln!(out, "    .. {left_out} left out");
        }
        let _ = writeln!(out, "    {}  {}", moment(transition.at), transition.sentence());
    }
    out
}

/// What is changed, what that should do, and what it did.
fn change(review: &Review, out: &mut String) {
    if let Some(proposal) = review.proposal() {
        let _ = writeln!(out, "  change: {}", proposal.action());
        let _ = writeln!(out, "    undone by: {}", proposal.action().undone());
        if let Some(blast) = proposal.blast() {
            let _ = writeln!(out, "    touches {} nodes, {:.1} % of the load moves", blast.nodes, blast.share * 100.0);
        }
        if let Some(predicted) = proposal.predicted() {
            let all = [("w", Some(predicted.w)), ("r_max", Some(predicted.r_max)), ("cmi", predicted.cmi)];
            for (name, one) in all.into_iter().filter_map(|(name, one)| Some((name, one?))) {
                let _ = writeln!(out, "    predicted {name}: {:.2} ({:.2} to {:.2})", one.mid, one.low, one.high);
            }
        }
        for abort in proposal.aborts() {
            let _ = writeln!(out, "    taken back when: {abort}");
        }
    }
    if let Some(before) = review.before() {
        let _ = writeln!(out, "  before: w {:.2}, r_max {:.2}", before.w(), before.r_max());
    }
    if let Some(after) = review.after() {
        let _ = writeln!(out, "  after:  w {:.2}, r_max {:.2}", after.w(), after.r_max());
    }
    if let Some(shift) = review.shift() {
        for (what, nodes) in [("relieved", shift.relieved), ("still", shift.stayed), ("now", shift.burdened)] {
            if !nodes.is_empty() {
                let _ = writeln!(out, "    {what}: {}", nodes.join(", "));
            }
        }
    }
}
