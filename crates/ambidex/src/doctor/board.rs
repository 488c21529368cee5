//! The folder of reviews, as the process keeps it: findings of each round go in, the board comes out, and people's orders are told.
//!
//! One lock is held over everything that reads or writes the folder and over what is told of it, so that an order and a round never
//! overwrite each other's news. Other processes may use the folder as well: nobody holds it open between two questions.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ambidex_control::doctor::{
    BoardStatus, DoctorStatus, Observer, ReviewFault, ReviewHost, ReviewLine, ReviewOrder, Said,
};
use ambidex_core::review::{Abortion, Effect, Event, Expected, Moment, Number, Review, Step, Subject, Who};
use ambidex_core::time::Span;
use ambidex_insight::doctor::Diagnosis;
use ambidex_store::reviews::{Filed, Reviews, ReviewsError};

use super::carry::Call;
use crate::review::audit::Audit;
use crate::review::next::next;
use crate::review::record::moment;
use crate::review::take::{self, Taken};
use crate::review::{Folder, ReviewError, now, seen, title};

/// Keeps the folder.
#[derive(Debug)]
pub(super) struct Board {
    observer: Observer,
    folder: Mutex<Option<Folder>>,
    /// Why changes are not carried out that were approved.
    notes: Mutex<BTreeMap<Number, String>>,
    /// Who carries changes out.
    carrier: Sender<Call>,
}

impl Board {
    pub(super) fn new(observer: Observer, carrier: Sender<Call>) -> Self {
        Self { observer, folder: Mutex::new(None), notes: Mutex::default(), carrier }
    }

    /// Keeps reviews in this folder from now on, or nowhere.
    pub(super) fn keep_in(&self, folder: Option<PathBuf>) {
        *self.folder() = folder.map(Folder);
    }

    /// Takes a diagnosis in, where reviews are kept, and tells what was found and what became of it.
    pub(super) fn round(&self, diagnosis: &Diagnosis, mut status: DoctorStatus) {
        let folder = self.folder();
        if let Some(folder) = &*folder {
            let problems = match take::take(folder, diagnosis) {
                Ok(Taken { problems, .. }) => problems,
                Err(error) => vec![error.to_string()],
            };
            let contents = Contents::of(folder);
            name_reviews(&contents.all, diagnosis, &mut status);
            status.board = Some(self.board(folder, contents, problems));
        }
        self.observer.tell(status);
    }

    /// Tells how the doctor itself does; findings and board stay.
    pub(super) fn say(&self, change: impl FnOnce(&mut DoctorStatus)) {
        let _folder = self.folder();
        let mut status = (*self.observer.told()).clone();
        change(&mut status);
        self.observer.tell(status);
    }

    /// Looks what others made of the reviews.
    pub(super) fn refresh(&self) {
        let folder = self.folder();
        let Some(folder) = &*folder else { return };
        let mut status = (*self.observer.told()).clone();
        status.board = Some(self.board(folder, Contents::of(folder), Vec::new()));
        self.observer.tell(status);
    }

    /// Reviews whose change is ours and on its way (approved, in force, or to be taken back), and the folder that they are in.
    pub(super) fn changes(&self) -> Option<(Folder, Vec<Filed>)> {
        let folder = self.folder();
        let folder = folder.as_ref()?;
        let (all, _) = folder.all().ok()?;
        let is_ours = |filed: &Filed| filed.review.proposal().is_some_and(|proposal| proposal.action().is_ours());
        let on_its_way = |step: Step| matches!(step, Step::Approval | Step::Canary | Step::RollBack | Step::Watch);
        let open: Vec<Filed> =
            all.into_iter().filter(|filed| on_its_way(filed.review.step()) && is_ours(filed)).collect();
        self.notes().retain(|number, _| open.iter().any(|filed| filed.review.number() == *number));
        Some((folder.clone(), open))
    }

    /// Where a review is; `None` where that cannot be read.
    pub(super) fn step(&self, folder: &Folder, number: Number) -> Option<Step> {
        let _kept = self.folder();
        folder.get(number).ok().map(|filed| filed.review.step())
    }

    /// Tells a review what happened, in the folder that it was found in; what it wants done.
    pub(super) fn tell(&self, folder: &Folder, number: Number, event: Event) -> Result<Vec<Effect>, ReviewError> {
        let kept = self.folder();
        let (_, effects) = folder.tell(number, event)?;
        drop(kept);
        self.notes().remove(&number);
        self.refresh();
        Ok(effects)
    }

    /// Why a change is not carried out: it stands on the board until it is.
    pub(super) fn note(&self, number: Number, why: String) {
        if self.notes().insert(number, why.clone()) != Some(why) {
            self.refresh();
        }
    }

    /// The folder as a board.
    fn board(&self, folder: &Folder, contents: Contents, mut problems: Vec<String>) -> BoardStatus {
        problems.extend(contents.problems);
        problems.truncate(MOST_PROBLEMS);
        problems.extend(self.notes().values().cloned());
        let Contents { mut all, audit, .. } = contents;
        // Open ones by their number; of the closed ones the newest first.
        let closed_at = |filed: &Filed| filed.review.outcome().map(|(_, at)| std::cmp::Reverse(at));
        all.sort_by_key(|filed| (closed_at(filed), filed.review.number()));
        let reviews: Vec<ReviewLine> = all.iter().take(MOST_SHOWN).map(line).collect();
        let folder = folder.path().display().to_string();
        BoardStatus { folder, more: all.len() - reviews.len(), reviews, problems, audit }
    }

    fn notes(&self) -> MutexGuard<'_, BTreeMap<Number, String>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self) -> MutexGuard<'_, Option<Folder>> {
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReviewHost for Board {
    fn order(&self, number: Number, order: ReviewOrder, said: Said) -> Result<ReviewLine, ReviewFault> {
        let ordered = {
            let folder = self.folder();
            let folder = folder.as_ref().ok_or(ReviewFault::NotKept)?;
            let (by, why) = (Who::Person(said.by), said.why);
            let event = match order {
                ReviewOrder::Approve => Event::Approve { by, why },
                ReviewOrder::Reject => Event::Reject { by, why },
                ReviewOrder::Abort => Event::Abort { by, why: Abortion::Ordered { why } },
            };
            folder.tell(number, event).map(|(filed, _)| line(&filed)).map_err(fault)
        };
        self.refresh();
        // It may be ours to carry out; when nobody does, nobody hears.
        let _ = self.carrier.send(Call::Look);
        ordered
    }
}

fn fault(error: ReviewError) -> ReviewFault {
    match error {
        ReviewError::Reviews(error @ (ReviewsError::Unknown { .. } | ReviewsError::Missing(_))) => {
            ReviewFault::Unknown(error.to_string())
        }
        ReviewError::Refused(_) | ReviewError::Wrong(_) => ReviewFault::Refused(error.to_string()),
        ReviewError::Reviews(_) | ReviewError::Api(_) => ReviewFault::Folder(error.to_string()),
    }
}

/// What lies in a folder. One that is not there yet has nothing in it.
struct Contents {
    all: Vec<Filed>,
    problems: Vec<String>,
    audit: String,
}

impl Contents {
    fn of(folder: &Folder) -> Self {
        let (all, problems) = match folder.all() {
            Ok((all, broken)) => (all, broken.iter().map(ToString::to_string).collect()),
            Err(ReviewError::Reviews(ReviewsError::Missing(_))) => (Vec::new(), Vec::new()),
            Err(error) => (Vec::new(), vec![error.to_string()]),
        };
        let census = Reviews::existing(folder.path()).and_then(|reviews| {
            let census = take::census(&reviews)?;
            reviews.close()?;
            Ok(census)
        });
        let until = now();
        let since = Moment(until.0.saturating_sub(QUARTER.as_millis()));
        let audit = Audit::of(&all, census.unwrap_or_default().as_ref(), since, until).markdown();
        Self { all, problems, audit }
    }
}

/// Says of each finding in which review it is.
fn name_reviews(all: &[Filed], diagnosis: &Diagnosis, status: &mut DoctorStatus) {
    let open: Vec<&Review> =
        all.iter().map(|filed| &filed.review).filter(|review| review.step() != Step::Record).collect();
    let of = |subject: &Subject| {
        open.iter().find(|review| review.subject().is_same(subject)).map(|review| review.number().to_string())
    };
    for (told, finding) in status.findings.iter_mut().zip(&diagnosis.findings) {
        told.review = of(&seen::subject(finding));
    }
}

/// One review as a card.
fn line(filed: &Filed) -> ReviewLine {
    let review = &filed.review;
    let proposal = review.proposal();
    let predicted = proposal.and_then(|proposal| proposal.predicted()).map_or_else(Vec::new, |predicted| {
        let all =
            [("w", Some(predicted.w)), ("the largest", Some(predicted.r_max)), ("what is left (CMI)", predicted.cmi)];
        let phrase = |(name, one): (&str, Option<Expected>)| {
            one.map(|one| format!("{name}: {:.2} ({:.2} to {:.2})", one.mid, one.low, one.high))
        };
        all.into_iter().filter_map(phrase).collect()
    });
    let newest = review.history().items().iter().rev().take(MOST_HISTORY);
    ReviewLine {
        number: review.number().to_string(),
        step: review.step(),
        title: title(filed),
        since_ms: review.rounds().first.0,
        found: review.rounds().found,
        cause: review
            .cause()
            .map(|(cause, confirmed)| format!("{cause}{}", if confirmed { ", confirmed" } else { "" })),
        again_after: review.again_after().map(|number| number.to_string()),
        change: proposal.map(|proposal| proposal.action().to_string()),
        undone_by: proposal.map(|proposal| proposal.action().undone()),
        predicted,
        aborts: proposal.map_or_else(Vec::new, |proposal| proposal.aborts().iter().map(ToString::to_string).collect()),
        calibrated: review.calibrated(),
        outcome: review.outcome().map(|(outcome, at)| format!("{outcome} ({})", moment(at))),
        next: next(review),
        history: newest.map(|one| format!("{} {}", moment(one.at), one.sentence())).collect(),
    }
}

/// Source: R-D12.
const QUARTER: Span = Span::from_secs(2_160 * 3_600);
/// Cards of a board. Source: ours; more are searched, for which there is the command line.
const MOST_SHOWN: usize = 200;
/// Source: ours; more would not be read.
const MOST_PROBLEMS: usize = 10;
/// Transitions of a card. Source: ours; the command line shows all.
const MOST_HISTORY: usize = 12;
