//! Carrying a change out: its canary by looks at the coordinator, its roll-back, and its watch; for as long as that takes.
//!
//! ```text
//! Approval --3 looks--> Canary: half, whole --borne--> Watch .. over --> Record
//!                          | aborted, interrupted, cannot be made          ^
//!                          +--> RollBack: undone, and again until it is ---+
//! ```
//! Each step is written down before it is done. Whoever begins it again goes on where it was: a canary that nobody has looked at for
//! a minute is taken back, a roll-back is done, a watch is gone on with. Who interrupts it (Ctrl-C, `kill`, a terminal that goes) has
//! a canary taken back; a watch goes on with the next carry-out, or with `ambidex diagnose --review`.

use std::time::Duration;

use ambidex_core::review::{Abortion, Effect, Event, Look, Moment, Number, Review, Step, Who};
use ambidex_core::time::Span;
use ambidex_store::reviews::Filed;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::change::Change;
use super::pools::Pools;
use super::{Folder, ReviewError, now};
use crate::api::Api;

/// How a change is carried out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Between two looks of a canary.
    pub(crate) every: Span,
    /// Whether it ends with the canary, and leaves the watch to others.
    pub(crate) canary_only: bool,
}

/// Who carries one change out.
pub(crate) struct Carrier<'a> {
    folder: &'a Folder,
    number: Number,
    pools: Pools<'a>,
    change: Change,
    pace: Pace,
    runtime: Runtime,
    interrupts: Interrupts,
    /// Tells people what happens.
    say: &'a mut dyn FnMut(&str),
}

/// All by which a process is told to end while it could still put things back: Ctrl-C, `kill` or a supervisor, a terminal that goes.
struct Interrupts([Signal; 3]);

impl Interrupts {
    /// Within a runtime.
    fn listen() -> std::io::Result<Self> {
        let of = |kind| signal(kind);
        Ok(Self([of(SignalKind::interrupt())?, of(SignalKind::terminate())?, of(SignalKind::hangup())?]))
    }

    /// Until one comes; one that came before is not lost.
    async fn come(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

impl<'a> Carrier<'a> {
    /// Of a review whose change is ours.
    pub(crate) fn of(
        folder: &'a Folder,
        filed: &Filed,
        api: &'a Api,
        pace: Pace,
        say: &'a mut dyn FnMut(&str),
    ) -> Result<Self, ReviewError> {
        let number = filed.review.number();
        let proposal = filed.review.proposal().ok_or_else(|| {
            ReviewError::Wrong(format!("{number} has no proposal: make one with `ambidex review propose {number}`"))
        })?;
        let change = Change::of(proposal).ok_or_else(|| {
            let what = proposal.action();
            ReviewError::Wrong(format!(
                "{number} is done by people ({what}): when it is, say `ambidex review done {number}`"
            ))
        })?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| ReviewError::Wrong(format!("no runtime: {error}")))?;
        // Listened for from the begin, so that none is lost.
        let interrupts = runtime.block_on(async { Interrupts::listen() });
        let interrupts =
            interrupts.map_err(|error| ReviewError::Wrong(format!("Ctrl-C cannot be listened for: {error}")))?;
        let pools = Pools::of(api, &change.pool, &filed.review.subject().metric)?;
        Ok(Self { folder, number, pools, change, pace, runtime, interrupts, say })
    }

    /// Carries it out as far as that goes: to its record, or to its watch where that is left to others. The review then.
    pub(crate) fn run(mut self) -> Result<Filed, ReviewError> {
        let mut filed = self.folder.get(self.number)?;
        let held = |review: &Review| review.step() == Step::Canary && review.deadline().is_some_and(|at| at > now());
        if held(&filed.review) {
            let seconds = filed.review.deadline().map_or(0, |at| at.since(now()).as_millis() / 1_000);
            return Err(ReviewError::Wrong(format!(
                "somebody carries {} out and looks at it; if that process is gone, its change is taken back in {seconds} s by \
                 the next `ambidex review carry-out {}`",
                self.number, self.number
            )));
        }
        let mut effects = Vec::new();
        if filed.review.step() == Step::Approval {
            (filed, effects) = self.begin()?;
        }
        let mut interrupted = false;
        loop {
            filed = self.perform(filed, effects)?;
            match filed.review.step() {
                Step::Record => return Ok(filed),
                Step::Watch if self.pace.canary_only || interrupted => return Ok(filed),
                Step::RollBack if interrupted => {
                    (self.say)("interrupted: it is not taken back yet; carry it out again to do so");
                    return Ok(filed);
                }
                Step::Canary | Step::RollBack | Step::Watch => {}
                step @ (Step::Finding | Step::Hypothesis | Step::Experiment | Step::Proposal | Step::Approval) => {
                    return Err(ReviewError::Wrong(format!(
                        "{} is at {step}: only what was approved is carried out; `--dry-run` shows what would be done",
                        self.number
                    )));
                }
            }
            interrupted = self.pause(&filed.review);
            let event = match filed.review.step() {
                Step::Canary if interrupted => {
                    let why = Abortion::Ordered { why: "carry-out was interrupted".into() };
                    Event::Abort { by: Who::Carrier, why }
                }
                Step::Canary | Step::Watch => self.seen()?.map_or(Event::Due, Event::Look),
                Step::Finding
                | Step::Hypothesis
                | Step::Experiment
                | Step::Proposal
                | Step::Approval
                | Step::RollBack
                | Step::Record => Event::Due,
            };
            let before = filed.review.history().items().len();
            (filed, effects) = self.folder.tell(self.number, event)?;
            for transition in &filed.review.history().items()[before.min(filed.review.history().items().len())..] {
                (self.say)(&transition.sentence());
            }
        }
    }

    /// Three looks, then the canary.
    fn begin(&mut self) -> Result<(Filed, Vec<Effect>), ReviewError> {
        let place = self.pools.place(&self.change.worker)?;
        self.change.still_fits(&place)?;
        (self.say)("looking at how it is before");
        let mut before = Vec::new();
        let (mut left, patience) = (LOOKS_BEFORE, now().after(PATIENCE));
        while left > 0 {
            if now() > patience {
                return Err(ReviewError::Wrong(format!(
                    "pool `{}` has too little load to judge a change by: nothing was changed",
                    place.pool
                )));
            }
            if self.sleep(self.pace.every) {
                return Err(ReviewError::Wrong("interrupted: nothing was changed".into()));
            }
            if let Some(look) = self.pools.look()? {
                before.push(look);
                left -= 1;
            }
        }
        let before = Look::mean(&before).ok_or_else(|| ReviewError::Wrong("its workers change all the time".into()))?;
        (self.say)(&format!("before: w {:.2}, r_max {:.2}", before.w(), before.r_max()));
        self.folder.tell(self.number, Event::Begin { by: Who::Carrier, before })
    }

    /// Does what the machine wants.
    fn perform(&mut self, mut filed: Filed, effects: Vec<Effect>) -> Result<Filed, ReviewError> {
        let mut left: Vec<Effect> = effects;
        // A roll-back that another process began is ours by now.
        if left.is_empty()
            && filed.review.step() == Step::RollBack
            && filed.review.deadline().is_none_or(|at| at <= now())
        {
            left.push(Effect::Undo);
        }
        while !left.is_empty() {
            let effect = left.remove(0);
            let event = match effect {
                Effect::Apply { part } => match self.change.put(&self.pools, part) {
                    Ok(done) => {
                        (self.say)(&format!("{}: {done}", self.change.worker));
                        continue;
                    }
                    Err(error) => {
                        let why = error.to_string().chars().take(500).collect();
                        Event::Abort { by: Who::Carrier, why: Abortion::NotMade { why } }
                    }
                },
                Effect::Undo => {
                    let worker = &self.change.worker;
                    match self.change.take_back(&self.pools) {
                        Ok(()) => {
                            (self.say)(&format!("{worker}: taken back"));
                            Event::RolledBack { by: Who::Carrier }
                        }
                        Err(error) => {
                            (self.say)(&format!("{worker}: not taken back, and tried again: {error}"));
                            continue;
                        }
                    }
                }
                Effect::Learn(_) => continue,
            };
            let (then, more) = self.folder.tell(self.number, event)?;
            (self.say)(&then.review.history().items().last().map_or_else(String::new, |last| last.sentence()));
            filed = then;
            left.extend(more);
        }
        Ok(filed)
    }

    /// A look, where there is one; a coordinator that does not answer is no look, and no reason to leave a change alone.
    fn seen(&mut self) -> Result<Option<Look>, ReviewError> {
        match self.pools.look() {
            Ok(look) => Ok(look),
            Err(ReviewError::Api(error)) => {
                (self.say)(&format!("no look: {error}"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Until the next look; whether it was interrupted.
    fn pause(&mut self, review: &Review) -> bool {
        let left = review.deadline().map_or(Span::ZERO, |at: Moment| at.since(now()));
        let length = match (review.step(), review.proposal()) {
            // Some hundred looks of a watch, and one at its end.
            (Step::Watch, Some(proposal)) => {
                let paced = Span::from_millis(proposal.watch().as_millis() / 200).max(self.pace.every).min(MOST_PAUSE);
                paced.min(left + Span::from_millis(10))
            }
            (Step::RollBack, _) => left + Span::from_millis(10),
            (_, _) => self.pace.every,
        };
        self.sleep(length)
    }

    fn sleep(&mut self, length: Span) -> bool {
        let interrupts = &mut self.interrupts;
        self.runtime.block_on(async {
            tokio::select! {
                () = interrupts.come() => true,
                () = tokio::time::sleep(Duration::from(length)) => false,
            }
        })
    }
}

/// Looks that a change is compared with. Source: ours; as many as a step of the canary takes.
const LOOKS_BEFORE: u32 = 3;
/// How long enough load is waited for. Source: ours.
const PATIENCE: Span = Span::from_secs(600);
/// Between two looks of a long watch. Source: ours; a diagnosis goes by as much.
const MOST_PAUSE: Span = Span::from_secs(300);
