//! Proposing a change: a worker's weight, by what the coordinator has and what would be fair; its drain; or what people do.

use ambidex_core::review::{Abort, Action, ActionClass, Blast, Draft, Event, Look, Number, Predicted, Proposal};
use ambidex_core::share::Share;
use ambidex_core::time::Span;
use ambidex_store::reviews::Filed;
use clap::{Args, ValueEnum};

use super::super::{End, Output};
use super::{ByArguments, FolderArguments, act, number};
use crate::api::Api;
use crate::review::pools::{self, Place};
use crate::review::{Folder, ReviewError, foremost, trust};

#[derive(Debug, Args)]
pub(in crate::cli) struct ProposeArguments {
    /// Which review, such as R3.
    #[arg(value_name = "REVIEW", value_parser = number)]
    review: Number,
    /// The admin API of the coordinator or gateway whose weight is to be changed. Default: `$AMBIDEX_ADMIN`, else 127.0.0.1:9901.
    #[arg(long, value_name = "URL", conflicts_with = "by_hand")]
    coordinator: Option<String>,
    /// The pool there. Default: the one that has the finding's first node.
    #[arg(long, value_name = "POOL", conflicts_with = "by_hand")]
    pool: Option<String>,
    /// The worker there. Default: the finding's first node.
    #[arg(long, value_name = "WORKER", conflicts_with = "by_hand")]
    worker: Option<String>,
    /// Its weight, in fair shares. Default: what makes its part fair.
    #[arg(long, value_name = "WEIGHT", conflicts_with = "by_hand")]
    weight: Option<f64>,
    /// Drain the worker instead: its requests go to the others.
    #[arg(long, conflicts_with_all = ["weight", "by_hand"])]
    drain: bool,
    /// A change that people make.
    #[arg(long, value_name = "TEXT", requires = "undo")]
    by_hand: Option<String>,
    /// How people undo it.
    #[arg(long, value_name = "TEXT")]
    undo: Option<String>,
    /// What kind of change it is.
    #[arg(long, value_enum, default_value_t = Kind::Configuration)]
    class: Kind,
    /// How long the canary lasts: half of the change first, then all of it.
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    canary: Span,
    /// How long the change is watched.
    #[arg(long, value_name = "DURATION", default_value = "48h")]
    watch: Span,
    /// How long it can be approved and carried out.
    #[arg(long, value_name = "DURATION", default_value = "168h")]
    valid: Span,
    #[command(flatten, next_help_heading = "Taken back when, in two looks one after the other")]
    aborts: AbortArguments,
    /// Let it go without a person where changes of its kind have earned that: 20 that did what was predicted, and 90 % of all.
    #[arg(long)]
    auto_approve: bool,
    #[command(flatten)]
    by: ByArguments,
    #[command(flatten)]
    folder: FolderArguments,
}

#[derive(Debug, Args)]
struct AbortArguments {
    /// The spread w grew by more than this.
    #[arg(long, value_name = "W", default_value_t = 0.05)]
    abort_spread: f64,
    /// A node that had less has over so many times its part.
    #[arg(long, value_name = "R", default_value_t = 1.5)]
    abort_node: f64,
    /// The fullest has less than this left (CMI).
    #[arg(long, value_name = "CMI", default_value_t = 0.2)]
    abort_left: f64,
    /// So much more of the requests fail.
    #[arg(long, value_name = "SHARE", default_value = "1%")]
    abort_errors: Share,
    /// The slowest node's p99 is over so many times what it was.
    #[arg(long, value_name = "TIMES", default_value_t = 1.5)]
    abort_slower: f64,
}

impl AbortArguments {
    fn all(&self) -> Vec<Abort> {
        vec![
            Abort::SpreadGrew { by: self.abort_spread },
            Abort::NodeOver { r: self.abort_node },
            Abort::LeftUnder { cmi: self.abort_left },
            Abort::ErrorsGrew { by: self.abort_errors.get() },
            Abort::SlowerBy { times: self.abort_slower },
        ]
    }
}

/// Kinds of changes that people make.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Settings.
    Configuration,
    /// Code.
    Code,
    /// What is where.
    Architecture,
}

pub(super) fn propose(arguments: &ProposeArguments, output: Output) -> Result<End, ReviewError> {
    let (by, folder) = (arguments.by.person()?, arguments.folder.folder());
    let filed = folder.get(arguments.review)?;
    let wrong = |error: ambidex_core::review::ProposalError| ReviewError::Wrong(error.to_string());
    let draft = match &arguments.by_hand {
        Some(what) => by_hand(arguments, what),
        None if arguments.drain => drain(arguments, &filed)?,
        None => weight(arguments, &filed)?,
    };
    let proposal = Proposal::try_from(draft).map_err(wrong)?;
    let class = proposal.action().class();
    let earned = if arguments.auto_approve { Some(trust(&all(&folder)?, class)) } else { None };
    let (filed, _) = folder.tell(arguments.review, Event::Propose { by, proposal, trust: earned })?;
    act::shown(&filed, output);
    if let Some(earned) = earned.filter(|earned| !earned.suffices()) {
        let of = earned.succeeded + earned.failed;
        super::complain(&format!(
            "a person is to approve it: {} of {of} such changes did what was predicted, and it takes 20 and 90 %\n",
            earned.succeeded
        ));
    }
    Ok(End::Worked)
}

fn all(folder: &Folder) -> Result<Vec<Filed>, ReviewError> {
    Ok(folder.all()?.0)
}

fn by_hand(arguments: &ProposeArguments, what: &str) -> Draft {
    let class = match arguments.class {
        Kind::Configuration => ActionClass::Configuration,
        Kind::Code => ActionClass::Code,
        Kind::Architecture => ActionClass::Architecture,
    };
    let undo = arguments.undo.clone().unwrap_or_default();
    arguments.draft(Action::ByHand { class, what: what.to_owned(), undo }, None)
}

impl ProposeArguments {
    /// A proposal of that, which should do what was `told`.
    fn draft(&self, action: Action, told: Option<(Predicted, Blast)>) -> Draft {
        let (predicted, blast) = told.unzip();
        let (aborts, canary, watch, valid) = (self.aborts.all(), self.canary, self.watch, self.valid);
        Draft { action, predicted, blast, aborts, canary, watch, valid }
    }

    /// The worker that is meant, and what it weighs.
    fn place(&self, node: &str) -> Result<(Place, f64), ReviewError> {
        let api = Api::at(self.coordinator.as_deref())?;
        let place = pools::worker_of(&api, self.worker.as_deref().unwrap_or(node), self.pool.as_deref())?;
        let from = place.pinned.unwrap_or(place.weight);
        Ok((place, from))
    }
}

/// A worker's drain: what it has goes to the others.
fn drain(arguments: &ProposeArguments, filed: &Filed) -> Result<Draft, ReviewError> {
    let node = foremost(filed);
    let (place, from) = arguments.place(node)?;
    place.drainable()?;
    let look = filed.review.looks().items().last();
    let told = look.and_then(|look| Predicted::of_drain(look, node));
    let pinned = place.pinned.is_some();
    Ok(arguments.draft(Action::Drain { pool: place.pool, worker: place.worker, from, pinned }, told))
}

/// A worker's weight: what it has, and what makes its part fair or was asked for.
fn weight(arguments: &ProposeArguments, filed: &Filed) -> Result<Draft, ReviewError> {
    let node = foremost(filed);
    let (place, from) = arguments.place(node)?;
    let look = filed.review.looks().items().last();
    let r = look.and_then(|look| look.r(node)).or_else(|| filed.finding["nodes"][0]["r"].as_f64());
    let fair = || {
        let r = r
            .filter(|r| r.is_finite() && *r > 0.0)
            .ok_or_else(|| ReviewError::Wrong(format!("nothing is known of how much {node} has: say --weight")))?;
        Ok::<f64, ReviewError>(round(from / r))
    };
    let to = match arguments.weight {
        Some(weight) => weight,
        None => fair()?,
    };
    let factor = to / from.max(1e-9);
    let told = look.and_then(|look: &Look| Predicted::of_weight(look, node, factor));
    let pinned = place.pinned.is_some();
    Ok(arguments.draft(Action::Weight { pool: place.pool, worker: place.worker, from, pinned, to }, told))
}

/// To hundredths: what people read is what is done.
fn round(weight: f64) -> f64 {
    (weight * 100.0).round() / 100.0
}
