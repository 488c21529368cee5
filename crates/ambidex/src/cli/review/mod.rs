//! `ambidex review ..`: what became of findings, and the steps that people take with them.
//!
//! `ambidex diagnose .. --review DIR` puts findings there. Nothing here changes a running system but `carry-out`, and that only what
//! was approved.

mod act;
mod propose;
mod show;

use std::path::PathBuf;

use ambidex_core::review::Number;
use ambidex_core::time::Span;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{End, Output, answer, answer_json, complain};
use crate::env;
use crate::review::audit::Audit;
use crate::review::record::Left;
use crate::review::{Folder, ReviewError, now, take};

#[derive(Debug, Subcommand)]
pub(super) enum ReviewCommand {
    /// Every review that is open: what was found, where it is, and what is to be done next.
    List(ListArguments),
    /// One review: its finding, its change, what was predicted and what came, and its history.
    Show(OneArguments),
    /// Say what the cause may be.
    Suppose(act::SupposeArguments),
    /// Begin an experiment, say what it measured, or give it up.
    Experiment(act::ExperimentArguments),
    /// Propose a change: a worker's weight, which Ambidex can carry out, or something that people do.
    #[command(after_help = PROPOSE)]
    Propose(Box<propose::ProposeArguments>),
    /// Let a proposed change be made.
    Approve(act::WhyArguments),
    /// Do not let it be made.
    Reject(act::BecauseArguments),
    /// Make an approved change: half of it, all of it, and take it back by itself where it does harm; then watch it.
    #[command(after_help = CARRY_OUT)]
    CarryOut(act::CarryArguments),
    /// Say that an approved change was made by people; it is watched from then on.
    Done(act::DoneArguments),
    /// Have a change that is in force taken back.
    Abort(act::BecauseArguments),
    /// Close a review as noise or as accepted; of a closed one, print the rule, the runbook and the pattern that it leaves.
    Record(act::RecordArguments),
    /// What was found most often, what was done, what came back, what was noise or never fired, and how good predictions were.
    Audit(AuditArguments),
}

/// Where reviews are kept.
#[derive(Debug, Args)]
pub(super) struct FolderArguments {
    /// The folder of reviews. Default: `reviews` in the data folder.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Who says so.
#[derive(Debug, Args)]
pub(super) struct ByArguments {
    /// Who says so, for the record. Default: who is logged in.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct ListArguments {
    /// Closed ones, too.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    folder: FolderArguments,
}

#[derive(Debug, Args)]
pub(super) struct OneArguments {
    /// Which review, such as R3.
    #[arg(value_name = "REVIEW", value_parser = number)]
    review: Number,
    #[command(flatten)]
    folder: FolderArguments,
}

#[derive(Debug, Args)]
pub(super) struct AuditArguments {
    /// Of how long.
    #[arg(long, value_name = "DURATION", default_value = "2160h")]
    since: Span,
    #[command(flatten)]
    folder: FolderArguments,
}

const PROPOSE: &str = "Examples:
  ambidex review propose R3 --coordinator 127.0.0.1:9901             the weight that makes the first node's part fair
  ambidex review propose R3 --coordinator 127.0.0.1:9901 --pool api --worker b --weight 0.8
  ambidex review propose R3 --coordinator 127.0.0.1:9901 --drain     its requests go to the others
  ambidex review propose R3 --by-hand 'salt the key of tenant 7' --class code --undo 'revert the release'";

const CARRY_OUT: &str = "A dry run shows what would be done and needs no approval. Ctrl-C takes a canary back; a watch goes on with \
                         the next `carry-out`, or with `ambidex diagnose .. --review DIR`.";

pub(super) fn run(command: &ReviewCommand, output: Output) -> End {
    let ended = match command {
        ReviewCommand::List(arguments) => list(arguments, output),
        ReviewCommand::Show(OneArguments { review, folder }) => show::one(&folder.folder(), *review, output),
        ReviewCommand::Suppose(arguments) => act::suppose(arguments, output),
        ReviewCommand::Experiment(arguments) => act::experiment(arguments, output),
        ReviewCommand::Propose(arguments) => propose::propose(arguments, output),
        ReviewCommand::Approve(arguments) => act::approve(arguments, output),
        ReviewCommand::Reject(arguments) => act::reject(arguments, output),
        ReviewCommand::CarryOut(arguments) => act::carry_out(arguments, output),
        ReviewCommand::Done(arguments) => act::done(arguments, output),
        ReviewCommand::Abort(arguments) => act::abort(arguments, output),
        ReviewCommand::Record(arguments) => act::record(arguments, output),
        ReviewCommand::Audit(arguments) => audit(arguments, output),
    };
    ended.unwrap_or_else(|error| {
        complain(&format!("{error}\n"));
        match error {
            ReviewError::Api(_) | ReviewError::Reviews(_) => End::Failed,
            ReviewError::Refused(_) | ReviewError::Wrong(_) => End::Wrong,
        }
    })
}

fn list(arguments: &ListArguments, output: Output) -> Result<End, ReviewError> {
    let (all, broken) = arguments.folder.folder().all()?;
    let wanted = |filed: &&ambidex_store::reviews::Filed| arguments.all || filed.review.outcome().is_none();
    let shown: Vec<_> = all.iter().filter(wanted).collect();
    match output {
        Output::Json => {
            let reviews: Vec<_> = shown.iter().map(|filed| show::in_short(filed)).collect();
            let broken: Vec<String> = broken.iter().map(ToString::to_string).collect();
            answer_json(&json!({"schema_version": 1, "reviews": reviews, "unreadable": broken}));
        }
        Output::Text if shown.is_empty() => {
            let closed = all.len();
            answer(&format!(
                "no review is open; {} closed: `ambidex review list --all`\n",
                super::counted(closed, "review")
            ));
        }
        Output::Text => answer(&format!("{}\n", show::table(&shown))),
    }
    for problem in &broken {
        complain(&format!("{problem}\n"));
    }
    Ok(if broken.is_empty() { End::Worked } else { End::Failed })
}

fn audit(arguments: &AuditArguments, output: Output) -> Result<End, ReviewError> {
    let folder = arguments.folder.folder();
    let (all, broken) = folder.all()?;
    let reviews = ambidex_store::reviews::Reviews::existing(folder.path())?;
    let census = take::census(&reviews)?;
    reviews.close()?;
    let until = now();
    let since = ambidex_core::review::Moment(until.0.saturating_sub(arguments.since.as_millis()));
    let audit = Audit::of(&all, census.as_ref(), since, until);
    match output {
        Output::Json => answer_json(&json!(audit)),
        Output::Text => answer(&audit.markdown()),
    }
    for problem in &broken {
        complain(&format!("{problem}\n"));
    }
    Ok(if broken.is_empty() { End::Worked } else { End::Failed })
}

impl FolderArguments {
    fn folder(&self) -> Folder {
        Folder(self.folder.clone().unwrap_or_else(|| env::data_folder(None).join("reviews")))
    }
}

impl ByArguments {
    fn person(&self) -> Result<ambidex_core::review::Who, ReviewError> {
        let name = self.by.clone().or_else(env::user);
        name.map(ambidex_core::review::Who::Person)
            .ok_or_else(|| ReviewError::Wrong("nobody is logged in by a name: say who you are with --by NAME".into()))
    }
}

/// `R3`, or `3`.
fn number(text: &str) -> Result<Number, String> {
    let digits = text.strip_prefix(['R', 'r']).unwrap_or(text);
    let number = digits.parse().ok().filter(|number| *number > 0).map(Number);
    number.ok_or_else(|| format!("`{text}` is no review: write its number, such as R3 (`ambidex review list`)"))
}

/// What a closed review leaves, for people.
fn left(left: &Left) -> String {
    let mut out = left.runbook.clone();
    match &left.rule {
        Some(rule) => out.push_str(&format!("\n## Rule\n\n```yaml\n{rule}```\n")),
        None => out.push_str(
            "\n## Rule\n\nNo recording rule of `ambidex export rules` has its metric: the doctor tells it again.\n",
        ),
    }
    out.push_str(&format!("\n## Pattern\n\n```json\n{:#}\n```\n", left.pattern));
    out
}
