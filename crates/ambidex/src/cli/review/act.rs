//! The steps that people take with a review.

use ambidex_core::review::{Abortion, Event, Number, Outcome, Step, Trial};
use ambidex_core::time::Span;
use ambidex_store::reviews::Filed;
use clap::Args;
use serde_json::json;

use super::super::{End, Output, answer, answer_json, complain};
use super::{ByArguments, FolderArguments, left, number, show};
use crate::api::Api;
use crate::review::carry::{Carrier, Pace};
use crate::review::record::Left;
use crate::review::{Folder, ReviewError, seen};

#[derive(Debug, Args)]
pub(in crate::cli) struct SupposeArguments {
    /// Which review, such as R3.
    #[arg(value_name = "REVIEW", value_parser = number)]
    review: Number,
    /// The cause, as the doctor calls it: `hot_key`, `weights`, `hardware`, ..
    cause: String,
    /// Why you think so.
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
    #[command(flatten)]
    by: ByArguments,
    #[command(flatten)]
    folder: FolderArguments,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ExperimentArguments {
    /// Which review, such as R3.
    #[arg(value_name = "REVIEW", value_parser = number)]
    review: Number,
    /// What is done. Default: what the doctor says would show the cause.
    #[arg(long, value_name = "TEXT", requires_all = ["predicted", "otherwise"])]
    what: Option<String>,
    /// The first node's relative load then, if it is so.
    #[arg(long, value_name = "R")]
    predicted: Option<f64>,
    /// What it stays at if it is not.
    #[arg(long, value_name = "R")]
    otherwise: Option<f64>,
    /// The experiment is over: what the first node's relative load was.
    #[arg(long, value_name = "R", conflicts_with_all = ["what", "predicted", "otherwise", "give_up"])]
    measured: Option<f64>,
    /// The experiment is not made: why.
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["what", "predicted", "otherwise"])]
    give_up: Option<String>,
    #[command(flatten)]
    by: ByArguments,
    #[command(flatten)]
    folder: FolderArguments,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct WhyArguments {
    /// Which review, such as R3.
    #[arg(value_name = "REVIEW", value_parser = number)]
    review: Number,
    /// Why.
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
    #[command(flatten)]
    by: ByArguments,
    #[command(flatten)]
    folder: FolderArguments,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct BecauseArguments {
    /// Which review, such as R3.
    #[arg(value_name = "REVIEW", value_parser = number)]
    review: Number,
    /// Why: it stays in the record.
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    by: ByArguments,
    #[command(flatten)]
    folder: FolderArguments,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DoneArguments {
    /// Which review, such as R3.
    #[arg(value_name = "REVIEW", value_parser = number)]
    review: Number,
    /// What was done.
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
    /// The change was taken back.
    #[arg(long)]
    undone: bool,
    #[command(flatten)]
    by: ByArguments,
    #[command(flatten)]
    folder: FolderArguments,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RecordArguments {
    /// Which review, such as R3.
    #[arg(value_name = "REVIEW", value_parser = number)]
    review: Number,
    /// Close it: the finding is none, and why.
    #[arg(long, value_name = "WHY", conflicts_with = "accepted")]
    noise: Option<String>,
    /// Close it: it is so and stays so, and why.
    #[arg(long, value_name = "WHY")]
    accepted: Option<String>,
    #[command(flatten)]
    by: ByArguments,
    #[command(flatten)]
    folder: FolderArguments,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CarryArguments {
    /// Which review, such as R3.
    #[arg(value_name = "REVIEW", value_parser = number)]
    review: Number,
    /// The admin API of the coordinator or gateway. Default: `$AMBIDEX_ADMIN`, else 127.0.0.1:9901.
    #[arg(long, value_name = "URL")]
    coordinator: Option<String>,
    /// Show what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Between two looks of the canary.
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    every: Span,
    /// End when the canary is over; the watch goes on with a later carry-out, or by diagnoses.
    #[arg(long)]
    canary_only: bool,
    #[command(flatten)]
    folder: FolderArguments,
}

pub(super) fn suppose(arguments: &SupposeArguments, output: Output) -> Result<End, ReviewError> {
    let SupposeArguments { review, cause, why, by, folder } = arguments;
    let causes = seen::words();
    if !causes.contains(cause) {
        let (message, help) = crate::config::unknown("cause", cause, causes.iter().map(String::as_str));
        let help = help.map_or_else(
            || format!("causes: {}", causes.join(", ")),
            |help| format!("{help}; causes: {}", causes.join(", ")),
        );
        return Err(ReviewError::Wrong(format!("{message}; {help}")));
    }
    let event = Event::Suppose { by: by.person()?, cause: cause.clone(), why: why.clone() };
    tell(&folder.folder(), *review, event, output)
}

pub(super) fn experiment(arguments: &ExperimentArguments, output: Output) -> Result<End, ReviewError> {
    let ExperimentArguments { review, what, predicted, otherwise, measured, give_up, by, folder } = arguments;
    let (by, folder) = (by.person()?, folder.folder());
    let event = if let Some(r) = measured {
        Event::Tried { by, r: *r }
    } else if let Some(why) = give_up {
        Event::GiveUp { by, why: why.clone() }
    } else if let (Some(what), Some(predicted_r), Some(else_r)) = (what, predicted, otherwise) {
        Event::Try { by, trial: Trial { what: what.clone(), predicted_r: *predicted_r, else_r: *else_r } }
    } else {
        let trial = told(&folder.get(*review)?).ok_or_else(|| {
            ReviewError::Wrong(format!(
                "the doctor knows no experiment for the cause of {review}: say --what, --predicted and --otherwise"
            ))
        })?;
        Event::Try { by, trial }
    };
    tell(&folder, *review, event, output)
}

/// The doctor's experiment for the cause that is supposed.
fn told(filed: &Filed) -> Option<Trial> {
    let (cause, _) = filed.review.cause()?;
    let hypotheses = filed.finding["hypotheses"].as_array()?;
    let experiment = &hypotheses.iter().find(|one| one["cause"] == cause)?["experiment"];
    Some(Trial {
        what: experiment["what"].as_str()?.chars().take(500).collect(),
        predicted_r: experiment["predicted_r"].as_f64()?,
        else_r: experiment["else_r"].as_f64()?,
    })
}

pub(super) fn approve(arguments: &WhyArguments, output: Output) -> Result<End, ReviewError> {
    let event = Event::Approve { by: arguments.by.person()?, why: arguments.why.clone() };
    tell(&arguments.folder.folder(), arguments.review, event, output)
}

pub(super) fn reject(arguments: &BecauseArguments, output: Output) -> Result<End, ReviewError> {
    let event = Event::Reject { by: arguments.by.person()?, why: arguments.why.clone() };
    tell(&arguments.folder.folder(), arguments.review, event, output)
}

pub(super) fn abort(arguments: &BecauseArguments, output: Output) -> Result<End, ReviewError> {
    let why = Abortion::Ordered { why: arguments.why.clone() };
    let event = Event::Abort { by: arguments.by.person()?, why };
    tell(&arguments.folder.folder(), arguments.review, event, output)
}

pub(super) fn done(arguments: &DoneArguments, output: Output) -> Result<End, ReviewError> {
    let (by, folder) = (arguments.by.person()?, arguments.folder.folder());
    let event = if arguments.undone {
        let ours = folder.get(arguments.review)?.review.proposal().is_some_and(|proposal| proposal.action().is_ours());
        if ours {
            let number = arguments.review;
            return Err(ReviewError::Wrong(format!(
                "Ambidex takes the change of {number} back itself: `ambidex review carry-out {number}`"
            )));
        }
        Event::RolledBack { by }
    } else {
        Event::DoneByHand { by, why: arguments.why.clone(), before: None }
    };
    tell(&folder, arguments.review, event, output)
}

pub(super) fn record(arguments: &RecordArguments, output: Output) -> Result<End, ReviewError> {
    let RecordArguments { review, noise, accepted, by, folder } = arguments;
    let folder = folder.folder();
    let outcome = match (noise, accepted) {
        (Some(why), _) => Some(Outcome::Noise { why: why.clone() }),
        (None, Some(why)) => Some(Outcome::Accepted { why: why.clone() }),
        (None, None) => None,
    };
    if let Some(outcome) = outcome {
        return tell(&folder, *review, Event::Close { by: by.person()?, outcome }, output);
    }
    let filed = folder.get(*review)?;
    let Some(found) = Left::of(&filed) else {
        let step = filed.review.step();
        return Err(ReviewError::Wrong(if step == Step::Record {
            format!("{review} was noise: it leaves nothing")
        } else {
            format!("{review} is at {step}: close it with --noise WHY or --accepted WHY, or see it to its end")
        }));
    };
    match output {
        Output::Json => answer_json(
            &json!({"schema_version": 1, "rule": found.rule, "runbook": found.runbook, "pattern": found.pattern}),
        ),
        Output::Text => answer(&left(&found)),
    }
    Ok(End::Worked)
}

pub(super) fn carry_out(arguments: &CarryArguments, output: Output) -> Result<End, ReviewError> {
    let folder = arguments.folder.folder();
    if !(LEAST_EVERY..=MOST_EVERY).contains(&arguments.every) {
        return Err(ReviewError::Wrong(format!(
            "--every {}: it must be {LEAST_EVERY} to {MOST_EVERY}",
            arguments.every
        )));
    }
    let filed = folder.get(arguments.review)?;
    if arguments.dry_run {
        match filed.review.proposal() {
            Some(_) => answer(&show::text(&filed, &[])),
            None => return Err(ReviewError::Wrong(format!("{} has no proposal", arguments.review))),
        }
        return Ok(End::Worked);
    }
    let api = Api::at(arguments.coordinator.as_deref())?;
    let pace = Pace { every: arguments.every, canary_only: arguments.canary_only };
    let mut say = |text: &str| complain(&format!("{text}\n"));
    let filed = Carrier::of(&folder, &filed, &api, pace, &mut say)?.run()?;
    shown(&filed, output);
    Ok(match filed.review.outcome() {
        Some((outcome, _)) if !outcome.helped() => End::Failed,
        Some(_) => End::Worked,
        None if filed.review.step() == Step::RollBack => End::Failed,
        None => End::Worked,
    })
}

/// Tells a review what happened, and says where it is then.
fn tell(folder: &Folder, number: Number, event: Event, output: Output) -> Result<End, ReviewError> {
    let (filed, _) = folder.tell(number, event)?;
    shown(&filed, output);
    Ok(End::Worked)
}

pub(super) fn shown(filed: &Filed, output: Output) {
    match output {
        Output::Json => {
            let mut short = show::in_short(filed);
            short["schema_version"] = json!(1);
            answer_json(&short);
        }
        Output::Text => {
            let last = filed.review.history().items().last().map_or_else(String::new, |last| last.sentence());
            answer(&format!("{} {last}\n", filed.review.number()));
        }
    }
}

/// Between two looks. Source: ours; less is more asking than seeing.
const LEAST_EVERY: Span = Span::from_millis(200);
/// Source: ours; three looks of a step are within the minute after which a canary counts as unseen.
const MOST_EVERY: Span = Span::from_secs(20);
