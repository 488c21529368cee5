//! Carries approved changes out within the process: the same canary, roll-back and watch as `ambidex review carry-out`, on a thread of
//! their own, so that a long round of the doctor keeps nobody from looking.
//!
//! ```text
//! Approval --three looks--> Begin: half of it --looks--> all of it --looks--> Watch --looks, 48 h--> Record
//!                                    | aborted, or nobody looked for a minute
//!                                    +--> RollBack: as it was; again every 10 s until it is
//! ```
//! | what happens | what follows |
//! |---|---|
//! | the process ends in a canary | it is taken back before the coordinator ends |
//! | the process dies in a canary, or is killed | the machine's minute passes, then the next process takes it back; a watch goes on |
//! | somebody else carries it out with the command | its looks keep the canary alive; this one minds only what nobody looks at |
//! | the coordinator does not lead | nothing is begun or looked at: who leads orders |
//! | the pool is not here | the change is another coordinator's, and is left to it |
//!
//! Each step is written down before it is done. Two that begin the same change: the folder takes the first, the second is refused.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use ambidex_control::doctor::Observer;
use ambidex_core::review::{Abortion, Effect, Event, Look, Number, Proposal, Step, Who};
use ambidex_core::time::{Mono, Span};
use ambidex_store::reviews::Filed;

use super::board::Board;
use crate::review::change::Change;
use crate::review::pools::Pools;
use crate::review::{Folder, ReviewError};

/// What the thread is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Something was approved, or may have been.
    Look,
    End,
}

/// Carries out what is approved until it is told to end. `may`: whether the settings want that now.
pub(super) fn run(observer: &Observer, board: &Board, calls: &Receiver<Call>, may: impl Fn() -> bool) {
    let mut carriers = Carriers { observer, board, work: BTreeMap::new() };
    let mut wait = Span::ZERO;
    loop {
        match calls.recv_timeout(wait.into()) {
            Ok(Call::Look) | Err(RecvTimeoutError::Timeout) => {}
            Ok(Call::End) | Err(RecvTimeoutError::Disconnected) => return carriers.end(),
        }
        if !may() {
            // Switched off: what is in a canary is taken back.
            carriers.end();
            wait = IDLE;
            continue;
        }
        let turned = catch_unwind(AssertUnwindSafe(|| carriers.turn()));
        wait = turned.unwrap_or_else(|_| {
            tracing::error!(
                "carrying changes out broke off; a canary that is in force is taken back when its minute is over"
            );
            carriers.work.clear();
            IDLE
        });
    }
}

/// All changes that are on their way here.
struct Carriers<'o> {
    observer: &'o Observer,
    board: &'o Board,
    work: BTreeMap<Number, Work<'o>>,
}

/// One of them.
struct Work<'o> {
    folder: Folder,
    pools: Pools<'o>,
    change: Change,
    /// Looks before it is begun.
    before: Vec<Look>,
    /// Whether this process began it.
    mine: bool,
    next: Mono,
}

/// Between two looks of a canary: some forty of them, of a short one fewer.
fn pace(proposal: &Proposal) -> Span {
    Span::from_millis(proposal.canary().as_millis() / 40).clamp(LEAST_PACE, PACE)
}

impl Carriers<'_> {
    /// Does what is due; how long there is nothing more to do.
    fn turn(&mut self) -> Span {
        if !self.observer.leads() {
            self.work.clear();
            return IDLE;
        }
        let Some((folder, open)) = self.board.changes() else { return IDLE };
        self.work.retain(|number, _| open.iter().any(|filed| filed.review.number() == *number));
        for filed in open {
            let number = filed.review.number();
            if let Err(error) = self.mind(&folder, &filed) {
                tracing::warn!(review = %number, %error, "a change is not carried out");
                self.board.note(number, error.to_string());
            }
        }
        let now = self.observer.now();
        let next = self.work.values().map(|work| work.next.since(now)).min();
        next.map_or(IDLE, |next| next.clamp(LEAST_PAUSE, IDLE))
    }

    /// One review that has a change of ours.
    fn mind(&mut self, folder: &Folder, filed: &Filed) -> Result<(), ReviewError> {
        let (number, now) = (filed.review.number(), self.observer.now());
        let Some(change) = filed.review.proposal().and_then(Change::of) else { return Ok(()) };
        if !self.work.contains_key(&number) {
            let metric = filed.review.subject().metric.clone();
            // A pool that is not here is another coordinator's.
            let Ok(pools) = Pools::of(self.observer, &change.pool, &metric) else { return Ok(()) };
            let folder = folder.clone();
            self.work.insert(number, Work { folder, pools, change, before: Vec::new(), mine: false, next: now });
        }
        let Some(work) = self.work.get_mut(&number).filter(|work| work.next <= now) else { return Ok(()) };
        let pace = filed.review.proposal().map_or(PACE, pace);
        work.next = now + pace;
        match filed.review.step() {
            Step::Approval => self.prepare(number),
            Step::Canary if work.mine => self.look(number),
            // Somebody else looks at it, or nobody: then the machine takes it back when its minute is over.
            Step::Canary => Ok(()),
            Step::RollBack => {
                work.next = now + AGAIN;
                self.perform(number, vec![Effect::Undo])
            }
            Step::Watch => {
                let watch = filed.review.proposal().map_or(Span::ZERO, Proposal::watch);
                work.next = now + Span::from_millis(watch.as_millis() / LOOKS_OF_A_WATCH).clamp(pace, MOST_PAUSE);
                self.look(number)
            }
            Step::Finding | Step::Hypothesis | Step::Experiment | Step::Proposal | Step::Record => Ok(()),
        }
    }

    /// Three looks at how it is before, then the canary.
    fn prepare(&mut self, number: Number) -> Result<(), ReviewError> {
        let Some(work) = self.work.get_mut(&number) else { return Ok(()) };
        let place = work.pools.place(&work.change.worker)?;
        if let Err(other) = work.change.still_fits(&place) {
            work.before.clear();
            return Err(other);
        }
        work.before.extend(work.pools.look()?);
        if work.before.len() < LOOKS_BEFORE {
            return Ok(());
        }
        let before = Look::mean(&std::mem::take(&mut work.before));
        let before = before.ok_or_else(|| ReviewError::Wrong(format!("{number}: its workers change all the time")))?;
        let effects = self.board.tell(&work.folder, number, Event::Begin { by: Who::Carrier, before })?;
        work.mine = true;
        self.perform(number, effects)
    }

    /// Looks how it is; too little load is no look.
    fn look(&mut self, number: Number) -> Result<(), ReviewError> {
        let Some(work) = self.work.get_mut(&number) else { return Ok(()) };
        let Some(look) = work.pools.look()? else { return Ok(()) };
        let effects = self.board.tell(&work.folder, number, Event::Look(look))?;
        self.perform(number, effects)
    }

    /// Does what the machine wants.
    fn perform(&mut self, number: Number, effects: Vec<Effect>) -> Result<(), ReviewError> {
        let Some(work) = self.work.get_mut(&number) else { return Ok(()) };
        let mut left = effects;
        while !left.is_empty() {
            let event = match left.remove(0) {
                Effect::Apply { part } => match work.change.put(&work.pools, part) {
                    Ok(done) => {
                        let worker = &work.change.worker;
                        tracing::info!(review = %number, worker, done, "a change that was approved is in force");
                        continue;
                    }
                    Err(error) => {
                        let why = error.to_string().chars().take(500).collect();
                        Event::Abort { by: Who::Carrier, why: Abortion::NotMade { why } }
                    }
                },
                Effect::Undo => {
                    // What cannot be undone now is tried again.
                    work.change.take_back(&work.pools)?;
                    tracing::warn!(review = %number, worker = work.change.worker, "a change was taken back");
                    Event::RolledBack { by: Who::Carrier }
                }
                Effect::Learn(_) => continue,
            };
            left.extend(self.board.tell(&work.folder, number, event)?);
        }
        Ok(())
    }

    /// Takes back what this process has in a canary: nobody will look at it.
    fn end(&mut self) {
        let mine = self.work.iter().filter(|(_, work)| work.mine);
        let mine: Vec<(Number, Folder)> = mine.map(|(number, work)| (*number, work.folder.clone())).collect();
        for (number, folder) in mine {
            let why = Abortion::Ordered { why: "the process that carried it out ended".into() };
            // One that is in its watch, or over, is no canary.
            let is_canary = self.board.step(&folder, number) == Some(Step::Canary);
            if is_canary
                && let Ok(effects) = self.board.tell(&folder, number, Event::Abort { by: Who::Carrier, why })
                && let Err(error) = self.perform(number, effects)
            {
                tracing::warn!(review = %number, %error, "a canary could not be taken back; the next process does it");
            }
        }
        self.work.clear();
    }
}

/// Between two looks of a canary, at least. Source: ours; less is more asking than seeing.
const LEAST_PACE: Span = Span::from_millis(500);
/// The same at most. Source: review.md, as `carry-out`.
const PACE: Span = Span::from_secs(5);
/// Between two looks at what may have been approved elsewhere. Source: ours.
const IDLE: Span = Span::from_secs(60);
/// Source: ours; so that a clock that stands still starts no race.
const LEAST_PAUSE: Span = Span::from_millis(100);
/// Between two looks of a long watch, at most. Source: review.md.
const MOST_PAUSE: Span = Span::from_secs(300);
/// Looks that a watch is cut into. Source: review.md.
const LOOKS_OF_A_WATCH: u64 = 200;
/// How soon a roll-back that failed is tried again. Source: the machine.
const AGAIN: Span = Span::from_secs(10);
/// Looks that a change is compared with. Source: as many as a step of the canary takes.
const LOOKS_BEFORE: usize = 3;
