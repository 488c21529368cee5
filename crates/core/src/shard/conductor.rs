//! A coordinator's part: conducts one move from its plan to its end.
//!
//! ```text
//!   1 PLAN      txn  slice unmoved, at e                 -> move Copying
//!   2 OFFER     ask  target makes staging
//!   3 COPY      ask  source: first pass, from before its first read tracking what is written;  target: apply each batch
//!   4 CATCH-UP  ask  rounds of written keys, until the next one fits the pause
//!   5 SEAL      txn  move Copying -> Sealing, slice sealed (routers begin to hold requests back);  ask source to seal
//!   6 READY     ask  target: apply the final batch, verify the digest;   txn  move Sealing -> Ready
//!   7 COMMIT    txn  move Ready -> Committed, slice: owner = target, epoch = e + 1
//!   8 ACTIVATE  ask  target to look;                     txn  move Committed -> Active
//!   9 RELEASE   wait;  txn  move Active -> Releasing;  ask source to look;  txn  the move's record goes
//!     ABORT     txn  move Copying, Sealing or Ready -> Aborted, slice: epoch = e + 1;  ask both to look;  the record goes
//! ```
//! **Every transaction compares the leader's key, and the revision of each record that it writes.** The second makes COMMIT and ABORT,
//! and late repeats of either, exclude each other: all of them write the move's record. The first makes what a coordinator decided from
//! its whole picture (which workers there are, which have left) void once another one leads.
//!
//! **An outcome that is unknown is read, not guessed**: leader, slice and move in one read. Whatever phase is found there is gone on from;
//! so a new leader begins with the same read ([`Conductor::taken_over`]). It never resumes a copy, because it cannot know what of
//! it arrived: what is not [`Phase::Ready`] yet is aborted.
//!
//! **A deadline only tries to abort.** Once Ready is stored, nothing but an operator aborts.

use alloc::vec::Vec;

use super::bugs::Bugs;
use super::messages::{Bytes, Caller, Cursor, Entry, Message, Reply};
use super::records::{Move, MoveId, Phase, Slice, SliceId};
use super::store::{Outcome, Revision, Transaction};
use crate::time::Mono;
use crate::worker::WorkerId;

mod config;
mod copying;
mod deciding;
#[cfg(test)]
mod tests;

pub use config::ConductorConfig;

/// Which move, and in whose name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Order {
    /// The move's number, never given before.
    pub id: MoveId,
    /// What moves.
    pub slice: SliceId,
    /// To whom.
    pub target: WorkerId,
    /// The coordinator.
    pub who: u32,
    /// The revision of the leader's key since it leads.
    pub leader: Revision,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A transaction ended.
    Transacted {
        /// Which.
        number: u64,
        /// How.
        outcome: Outcome,
    },
    /// What was read.
    Found {
        /// For which effect.
        number: u64,
        /// The leader's key, the slice and the move.
        found: Found,
    },
    /// A worker answered.
    Answered {
        /// Which question.
        number: u64,
        /// What.
        reply: Reply,
    },
    /// An operator wants an end of it.
    AbortWanted,
    /// Time has passed.
    Due,
}

/// Leader, slice and move, from one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Found {
    /// Since when the leader leads.
    pub leader: Revision,
    /// The slice.
    pub slice: Option<(Revision, Slice)>,
    /// The move.
    pub move_: Option<(Revision, Move)>,
}

/// What is to be done. Whatever has a number may be repeated with another one; only the last one's answer counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Do a transaction: [`Event::Transacted`].
    Transact {
        /// Its number.
        number: u64,
        /// It.
        transaction: Transaction,
    },
    /// Read leader, slice and move: [`Event::Found`].
    Read {
        /// Its number.
        number: u64,
    },
    /// Ask a worker: [`Event::Answered`].
    Ask {
        /// Who asks, and the question's number.
        caller: Caller,
        /// Whom.
        to: WorkerId,
        /// What.
        message: Message,
    },
    /// It is over.
    Over(End),
}

/// How a move ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The target serves, and the source has deleted what it had.
    Moved,
    /// The source serves as before.
    Aborted(Why),
    /// It never began: the slice is not as it was when this was decided.
    NotPlanned,
    /// Another one leads, and goes on with it.
    Deposed,
}

/// Why a move was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// An operator wanted it.
    Operator,
    /// A worker did not answer in time.
    Silent,
    /// A worker does not know the move, or lost what it needs of it.
    Lost,
    /// Keys are written faster than they are copied.
    NeverSmall,
    /// Writes in flight did not end in time.
    Stuck,
    /// The target's copy is not the source's.
    Differs,
    /// Another leader had begun it.
    TakenOver,
}

/// Conducts one move.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Conductor {
    config: ConductorConfig,
    order: Order,
    /// As it was planned.
    plan: Move,
    slice: (Revision, Slice),
    revision: Revision,
    step: Step,
    numbers: u64,
    /// What is asked and not answered, and since when.
    asked: Option<(u64, Mono)>,
    /// When to give the step up.
    until: Option<Mono>,
    why: Why,
    /// An operator wants an end of it, which waits for a transaction's outcome.
    unwanted: bool,
    /// Where copying stood when the seal was asked of the store.
    pass: Option<Pass>,
    bugs: Bugs,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    /// A transaction to this phase is under way; none takes the record away.
    Storing(Option<Phase>),
    /// Its outcome is unknown, or it was refused.
    Reading(Option<Phase>),
    Offering,
    Copying(Pass, Cursor),
    Applying(Pass, Vec<Entry>, Option<Bytes>, usize),
    Sealing(Pass),
    Finishing(Pass, Reply),
    Verifying(Message),
    Activating,
    Resting(Mono),
    Releasing,
    /// Both are to know that it was aborted: the source does not yet, the target does not yet.
    Telling(bool, bool),
    Over,
}

/// How far copying is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Pass {
    /// The next batch.
    batch: u32,
    round: u32,
    /// When the round began, and how many keys it has had.
    since: Mono,
    keys: usize,
}

impl Conductor {
    /// Begins a move of a slice as it was read.
    pub fn planned(
        now: Mono,
        config: ConductorConfig,
        order: Order,
        slice: (Revision, Slice),
        bugs: Bugs,
        out: &mut Vec<Effect>,
    ) -> Self {
        let Slice { range, owner, epoch, .. } = slice.1;
        let plan =
            Move { slice: order.slice, range, epoch, source: owner, target: order.target, phase: Phase::Copying };
        let mut conductor = Self::new(config, order, plan, slice, bugs);
        if slice.1.moving.is_some() || owner == order.target {
            conductor.over(End::NotPlanned, out);
        } else {
            conductor.store(now, Some(Phase::Copying), out);
        }
        conductor
    }

    /// Goes on with a move that another leader began, as it was read. `slice`: its slice, unless that was merged away since.
    pub fn taken_over(
        now: Mono,
        config: ConductorConfig,
        order: Order,
        slice: Option<(Revision, Slice)>,
        (revision, plan): (Revision, Move),
        bugs: Bugs,
        out: &mut Vec<Effect>,
    ) -> Self {
        let Move { range, source: owner, epoch, .. } = plan;
        let none = Slice { range, owner, epoch, moving: None, sealed: false };
        let mut conductor = Self::new(config, order, plan, slice.unwrap_or((Revision::ABSENT, none)), bugs);
        conductor.revision = revision;
        conductor.why = Why::TakenOver;
        conductor.go_on(now, plan.phase, out);
        conductor
    }

    fn new(config: ConductorConfig, order: Order, plan: Move, slice: (Revision, Slice), bugs: Bugs) -> Self {
        Self {
            config,
            order,
            plan,
            slice,
            revision: Revision::ABSENT,
            step: Step::Over,
            // So that no answer to an earlier leadership's question is taken for one to ours.
            numbers: order.leader.0.wrapping_shl(24),
            asked: None,
            until: None,
            why: Why::Silent,
            unwanted: false,
            pass: None,
            bugs,
        }
    }

    /// Which move.
    #[must_use]
    pub fn order(&self) -> Order {
        self.order
    }

    /// The move, and how far it is by what this coordinator knows.
    #[must_use]
    pub fn plan(&self) -> Move {
        self.plan
    }

    /// When to call with [`Event::Due`].
    #[must_use]
    pub fn deadline(&self) -> Option<Mono> {
        let again = self.asked.map(|(_, since)| since + self.config.ask_again);
        let rest = if let Step::Resting(until) = self.step { Some(until) } else { None };
        [again, self.until, rest].into_iter().flatten().min()
    }

    /// Handles one event.
    pub fn on(&mut self, now: Mono, event: Event, out: &mut Vec<Effect>) {
        match event {
            Event::Transacted { number, outcome } if self.is_asked(number) => self.transacted(now, outcome, out),
            Event::Found { number, found } if self.is_asked(number) => self.found(now, found, out),
            Event::Answered { number, reply } if self.is_asked(number) => self.answered(now, reply, out),
            Event::Transacted { .. } | Event::Found { .. } | Event::Answered { .. } => {}
            Event::AbortWanted => {
                self.unwanted = true;
                self.abort(now, Why::Operator, out);
            }
            Event::Due => self.due(now, out),
        }
    }

    fn due(&mut self, now: Mono, out: &mut Vec<Effect>) {
        if self.until.is_some_and(|until| until <= now) {
            self.until = None;
            return self.abort(now, Why::Silent, out);
        }
        if let Step::Resting(until) = self.step
            && until <= now
        {
            return self.store(now, Some(Phase::Releasing), out);
        }
        if self.asked.is_some_and(|(_, since)| since + self.config.ask_again <= now) {
            if let Step::Storing(phase) = self.step {
                // It may have happened.
                self.step = Step::Reading(phase);
            }
            self.ask(now, out);
        }
    }

    fn answered(&mut self, now: Mono, reply: Reply, out: &mut Vec<Effect>) {
        self.asked = None;
        match core::mem::replace(&mut self.step, Step::Over) {
            Step::Offering => self.offered(now, reply, out),
            Step::Copying(pass, cursor) => self.copied(now, pass, cursor, reply, out),
            Step::Applying(pass, _, next, dirty) => self.applied(now, pass, (next, dirty), reply, out),
            Step::Sealing(pass) => self.sealed(now, pass, reply, out),
            Step::Finishing(pass, sealed) => self.finished(now, pass, sealed, reply, out),
            Step::Verifying(message) => self.verified(now, message, reply, out),
            Step::Activating => self.activated(now, reply, out),
            Step::Releasing => self.released(now, reply, out),
            Step::Telling(source, target) => self.told(now, (source, target), reply, out),
            step @ (Step::Storing(_) | Step::Reading(_) | Step::Resting(_) | Step::Over) => self.step = step,
        }
    }

    /// Whether a number is of what is asked now.
    fn is_asked(&self, number: u64) -> bool {
        self.asked.is_some_and(|(asked, _)| asked == number)
    }

    /// Takes a step, and asks what it asks.
    fn enter(&mut self, now: Mono, step: Step, out: &mut Vec<Effect>) {
        self.step = step;
        self.ask(now, out);
    }

    /// Asks what the step asks, for the first time or again.
    fn ask(&mut self, now: Mono, out: &mut Vec<Effect>) {
        self.numbers += 1;
        let number = self.numbers;
        let caller = Caller { who: self.order.who, ask: number };
        let (source, target) = (self.plan.source, self.plan.target);
        let epoch = self.plan.epoch;
        let effect = match &self.step {
            Step::Storing(phase) => Effect::Transact { number, transaction: self.transaction(*phase) },
            Step::Reading(_) => Effect::Read { number },
            Step::Offering => {
                let message = Message::Offer { slice: self.plan.slice, range: self.plan.range, epoch };
                Effect::Ask { caller, to: target, message }
            }
            Step::Copying(_, cursor) => {
                Effect::Ask { caller, to: source, message: Message::Copy { epoch, cursor: cursor.clone() } }
            }
            Step::Applying(pass, entries, ..) => {
                let message = Message::Apply { number: pass.batch, entries: entries.clone(), seen: None };
                Effect::Ask { caller, to: target, message }
            }
            Step::Sealing(_) => Effect::Ask { caller, to: source, message: Message::Seal { epoch } },
            Step::Finishing(pass, Reply::Sealed { entries, seen, .. }) => {
                let (entries, seen) = (entries.clone(), Some(seen.clone()));
                Effect::Ask { caller, to: target, message: Message::Apply { number: pass.batch, entries, seen } }
            }
            Step::Verifying(message) => Effect::Ask { caller, to: target, message: message.clone() },
            Step::Activating | Step::Telling(false, _) => Effect::Ask { caller, to: target, message: Message::Look },
            Step::Releasing | Step::Telling(true, _) => Effect::Ask { caller, to: source, message: Message::Look },
            Step::Finishing(..) | Step::Resting(_) | Step::Over => {
                self.asked = None;
                return;
            }
        };
        self.asked = Some((number, now));
        out.push(effect);
    }

    fn over(&mut self, end: End, out: &mut Vec<Effect>) {
        self.step = Step::Over;
        (self.asked, self.until) = (None, None);
        out.push(Effect::Over(end));
    }
}
