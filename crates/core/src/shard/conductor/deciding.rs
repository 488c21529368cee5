//! What the store is asked, and what follows from its answers.

use alloc::vec::Vec;

use super::{Conductor, Effect, End, Found, Step, Why};
use crate::shard::bugs::Bug;
use crate::shard::messages::{Reply, Stand};
use crate::shard::records::{Key, Move, Phase, Record, Slice};
use crate::shard::store::{Outcome, Revision, Transaction};
use crate::time::Mono;

impl Conductor {
    /// The transaction to a phase, from the records as they were read or written last.
    pub(super) fn transaction(&self, phase: Option<Phase>) -> Transaction {
        let (slice, move_) = (Key::Slice(self.plan.slice), Key::Move(self.order.id));
        let mut transaction = Transaction::default().if_still(move_, self.revision);
        if !self.bugs.has(Bug::NoLeaderCompare) {
            transaction = transaction.if_still(Key::Leader, self.order.leader);
        }
        let Some(phase) = phase else { return transaction.take_away(move_) };
        transaction = transaction.put(move_, Record::Move(Move { phase, ..self.plan }));
        match self.slice_in(phase) {
            Some(new) => transaction.if_still(slice, self.slice.0).put(slice, Record::Slice(new)),
            None => transaction,
        }
    }

    /// The slice's record in a phase, where that is another one than before.
    fn slice_in(&self, phase: Phase) -> Option<Slice> {
        let slice = self.slice.1;
        let next = self.plan.epoch.next();
        match phase {
            Phase::Copying => Some(Slice { moving: Some(self.order.id), ..slice }),
            Phase::Sealing => Some(Slice { sealed: true, ..slice }),
            Phase::Committed => {
                Some(Slice { owner: self.plan.target, epoch: next, moving: None, sealed: false, ..slice })
            }
            Phase::Aborted => {
                let epoch = if self.bugs.has(Bug::AbortKeepsEpoch) { self.plan.epoch } else { next };
                Some(Slice { epoch, moving: None, sealed: false, ..slice })
            }
            Phase::Ready | Phase::Active | Phase::Releasing => None,
        }
    }

    /// Asks for a phase.
    pub(super) fn store(&mut self, now: Mono, phase: Option<Phase>, out: &mut Vec<Effect>) {
        self.until = None;
        self.enter(now, Step::Storing(phase), out);
    }

    pub(super) fn transacted(&mut self, now: Mono, outcome: Outcome, out: &mut Vec<Effect>) {
        let Step::Storing(phase) = self.step else { return };
        match outcome {
            Outcome::Done(revision) => self.stored(now, phase, revision, out),
            Outcome::Refused | Outcome::Unknown => self.enter(now, Step::Reading(phase), out),
        }
    }

    /// A phase is in the store, by our own transaction.
    fn stored(&mut self, now: Mono, phase: Option<Phase>, revision: Revision, out: &mut Vec<Effect>) {
        self.asked = None;
        let Some(phase) = phase else { return self.over(self.end(), out) };
        self.revision = revision;
        if let Some(slice) = self.slice_in(phase) {
            self.slice = (revision, slice);
        }
        self.plan.phase = phase;
        let undecided = matches!(phase, Phase::Copying | Phase::Sealing | Phase::Ready);
        if self.unwanted && undecided {
            return self.give_up(now, Why::Operator, out);
        }
        match (phase, self.pass.take()) {
            (Phase::Copying, _) => {
                self.give(now, self.config.silence);
                self.enter(now, Step::Offering, out);
            }
            (Phase::Sealing, Some(pass)) => {
                self.give(now, self.config.seal);
                self.enter(now, Step::Sealing(pass), out);
            }
            (phase, _) => self.go_on(now, phase, out),
        }
    }

    /// Goes on from a phase that somebody stored.
    pub(super) fn go_on(&mut self, now: Mono, phase: Phase, out: &mut Vec<Effect>) {
        self.until = None;
        match phase {
            Phase::Copying | Phase::Sealing => self.store(now, Some(Phase::Aborted), out),
            Phase::Ready => self.store(now, Some(Phase::Committed), out),
            Phase::Committed => self.enter(now, Step::Activating, out),
            Phase::Active => {
                self.asked = None;
                self.step = Step::Resting(now + self.config.rest);
            }
            Phase::Releasing => self.enter(now, Step::Releasing, out),
            Phase::Aborted => self.enter(now, Step::Telling(true, true), out),
        }
    }

    /// Reading after an outcome that is unknown, or a refusal.
    pub(super) fn found(&mut self, now: Mono, found: Found, out: &mut Vec<Effect>) {
        let Step::Reading(wanted) = self.step else { return };
        self.asked = None;
        if found.leader != self.order.leader && !self.bugs.has(Bug::NoLeaderCompare) {
            return self.over(End::Deposed, out);
        }
        let Some((revision, move_)) = found.move_ else {
            // It was never planned; or its record is away, which was the last thing to do.
            let planned = self.revision != Revision::ABSENT;
            if planned {
                return self.over(self.end(), out);
            }
            let same = found.slice.is_some_and(|slice| slice == self.slice);
            return if same { self.store(now, wanted, out) } else { self.over(End::NotPlanned, out) };
        };
        if Some(move_.phase) == wanted {
            return self.stored(now, wanted, revision, out);
        }
        let unchanged = revision == self.revision;
        self.revision = revision;
        self.plan.phase = move_.phase;
        self.slice = found.slice.unwrap_or(self.slice);
        if unchanged { self.store(now, wanted, out) } else { self.go_on(now, move_.phase, out) }
    }

    /// Tries to abort, where nothing is decided. Where a transaction is under way, its outcome comes first: it may be that there is
    /// nothing to abort any more.
    pub(super) fn abort(&mut self, now: Mono, why: Why, out: &mut Vec<Effect>) {
        match self.step {
            Step::Storing(_) | Step::Reading(_) | Step::Over => {}
            Step::Activating | Step::Resting(_) | Step::Releasing | Step::Telling(..) => {}
            Step::Offering | Step::Copying(..) | Step::Applying(..) => self.give_up(now, why, out),
            Step::Sealing(_) | Step::Finishing(..) | Step::Verifying(_) => self.give_up(now, why, out),
        }
    }

    /// Asks for the abort.
    pub(super) fn give_up(&mut self, now: Mono, why: Why, out: &mut Vec<Effect>) {
        self.why = why;
        self.store(now, Some(Phase::Aborted), out);
    }

    pub(super) fn activated(&mut self, now: Mono, reply: Reply, out: &mut Vec<Effect>) {
        if let Reply::Stands(Stand::Serves(epoch)) = reply
            && epoch > self.plan.epoch
        {
            return self.store(now, Some(Phase::Active), out);
        }
        self.wait_and_ask(now, Step::Activating);
    }

    pub(super) fn released(&mut self, now: Mono, reply: Reply, out: &mut Vec<Effect>) {
        match reply {
            Reply::Stands(Stand::Handed(move_)) if move_ == self.order.id => self.wait_and_ask(now, Step::Releasing),
            Reply::Stands(_) => self.store(now, None, out),
            Reply::Offered | Reply::Copied { .. } | Reply::Applied { .. } | Reply::Sealed { .. } | Reply::Verified => {
                self.wait_and_ask(now, Step::Releasing);
            }
            Reply::Differs { .. } | Reply::Stuck { .. } | Reply::Lost => self.wait_and_ask(now, Step::Releasing),
        }
    }

    pub(super) fn told(&mut self, now: Mono, (source, target): (bool, bool), reply: Reply, out: &mut Vec<Effect>) {
        let Reply::Stands(stand) = reply else { return self.wait_and_ask(now, Step::Telling(source, target)) };
        let still = match stand {
            Stand::Sealed(move_) | Stand::Handed(move_) | Stand::Staging(move_) => move_ == self.order.id,
            Stand::Nothing | Stand::Serves(_) => false,
        };
        match (still, source) {
            (true, _) => self.wait_and_ask(now, Step::Telling(source, target)),
            (false, true) => self.enter(now, Step::Telling(false, target), out),
            (false, false) => self.store(now, None, out),
        }
    }

    /// Asks the same again after a while: the worker is not there yet.
    fn wait_and_ask(&mut self, now: Mono, step: Step) {
        self.step = step;
        // A number that nobody is asked under: the next time is by the deadline.
        self.numbers += 1;
        self.asked = Some((self.numbers, now));
    }

    /// How it ended, once its record is away.
    fn end(&self) -> End {
        match self.plan.phase {
            Phase::Aborted => End::Aborted(self.why),
            Phase::Copying | Phase::Sealing | Phase::Ready => End::Deposed,
            Phase::Committed | Phase::Active | Phase::Releasing => End::Moved,
        }
    }
}
