//! Who may be served now: the slice is served here, and the request's epoch is exactly ours [reliability row 14].
//!
//! An epoch names one owner and one range. So a request with the right epoch was sent by somebody who knew both, and one with an
//! older or a newer epoch is not guessed about: it is told what is known here, and its router looks again.

use alloc::vec::Vec;

use super::{Effect, Holder, Seal, State};
use crate::shard::bugs::Bug;
use crate::shard::messages::Bytes;
use crate::shard::records::{Epoch, MoveId, SliceId};
use crate::shard::seen::{Known, OpId};
use crate::shard::space::{Point, Range};
use crate::time::Mono;

/// A request, by the number that the shell gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A request to a slice.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Op {
    /// Its key.
    pub key: Bytes,
    /// Where that lies, by the keyspace's hash.
    pub point: Point,
    /// What it does with it.
    pub access: Access,
    /// What its producer calls it.
    pub id: Option<OpId>,
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// It changes something.
    Write,
    /// It reads what was acknowledged last.
    Read,
    /// It reads, and while the slice is sealed what was acknowledged before is good enough.
    StaleRead,
}

/// What to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Run it; a write's end is told by [`Holder::ran`].
    Run,
    /// Run this read, and say that what it sees may be old: the slice is sealed.
    RunStale,
    /// It was run before, and this is its answer's digest.
    Answered(u64),
    /// It runs now: ask again.
    Running,
    /// It may have been run before, and nobody knows any more. It is not run.
    Forgotten,
    /// There are too many producers. It is not run.
    Crowded,
    /// It is not admitted here: 421, with what is known.
    Misdirected(Option<Hint>),
}

/// What a worker knows of a slice that it does not admit a request to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hint {
    /// Which slice.
    pub slice: SliceId,
    /// Its range in this epoch.
    pub range: Range,
    /// An epoch that it has had.
    pub epoch: Epoch,
    /// How the worker stands in it.
    pub stands: Stands,
}

/// How a worker stands with a slice in an epoch, to a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stands {
    /// It serves it.
    Serves,
    /// It has stopped serving in this epoch, and there will be another one.
    Stopped,
}

impl Holder {
    /// Says whether a request with this epoch is run.
    pub fn admit(&mut self, ticket: Ticket, epoch: Epoch, op: &Op) -> Verdict {
        if !self.admits(epoch, op) {
            return Verdict::Misdirected(self.hint());
        }
        match op.access {
            Access::Write => {}
            Access::StaleRead if matches!(self.state, State::Sealed { .. }) => return Verdict::RunStale,
            Access::Read | Access::StaleRead => return Verdict::Run,
        }
        if let Some(id) = op.id {
            match self.seen.look(id) {
                Known::Answered(answer) => return Verdict::Answered(answer),
                Known::Forgotten => return Verdict::Forgotten,
                Known::Crowded => return Verdict::Crowded,
                Known::New => {}
            }
            if self.running.values().any(|running| running.id == Some(id)) {
                return Verdict::Running;
            }
        }
        self.running.insert(ticket, op.clone());
        Verdict::Run
    }

    /// A write that was admitted has ended: what it did is durable, and so is its answer's digest. None: it failed, and may have
    /// done something all the same.
    pub fn ran(&mut self, now: Mono, ticket: Ticket, answer: Option<u64>, out: &mut Vec<Effect>) {
        let Some(op) = self.running.remove(&ticket) else { return };
        if let (Some(id), Some(answer)) = (op.id, answer) {
            self.seen.note(now, id, answer);
            self.forget_at = self.forget_at.or(Some(now + crate::shard::seen::KEPT_FOR));
        }
        let late = self.bugs.has(Bug::TrackAfterSnapshot);
        match &mut self.state {
            State::Serving { leaving: Some(leaving), .. } if !late || leaving.round > 0 => {
                leaving.dirty.insert(op.key);
            }
            State::Sealed { leaving: Some(leaving), .. } => {
                leaving.dirty.insert(op.key);
            }
            State::Serving { .. } | State::Sealed { .. } => {}
            State::Nothing | State::Handed { .. } | State::Staging { .. } => {}
        }
        self.drained(out);
    }

    /// Nobody knows whether a write that was admitted did anything, and none will ever know: so it is not run again under the same id. Say
    /// so before [`ran`](Self::ran).
    pub fn doubt(&mut self, now: Mono, ticket: Ticket) {
        if let Some(id) = self.running.get(&ticket).and_then(|op| op.id) {
            self.seen.doubt(now, id);
            self.forget_at = self.forget_at.or(Some(now + crate::shard::seen::KEPT_FOR));
        }
    }

    /// Writes that were admitted and have not ended.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.running.len()
    }

    /// Whether a write that was admitted under this number has not ended.
    #[must_use]
    pub fn runs(&self, ticket: Ticket) -> bool {
        self.running.contains_key(&ticket)
    }

    fn admits(&self, epoch: Epoch, op: &Op) -> bool {
        match &self.state {
            State::Serving { epoch: ours, .. } => {
                *ours == epoch || (epoch < *ours && self.bugs.has(Bug::OlderEpochAdmitted))
            }
            // Nothing deletes what a sealed slice has: that takes being handed over first.
            State::Sealed { epoch: ours, .. } if op.access == Access::StaleRead => *ours == epoch,
            State::Sealed { epoch: ours, .. } | State::Handed { epoch: ours, .. } => {
                *ours == epoch && op.access == Access::Read && self.bugs.has(Bug::ReadsAfterSeal)
            }
            State::Nothing | State::Staging { .. } => false,
        }
    }

    fn hint(&self) -> Option<Hint> {
        let (epoch, stands) = match &self.state {
            State::Serving { epoch, .. } => (*epoch, Stands::Serves),
            State::Sealed { epoch, .. } | State::Handed { epoch, .. } => (*epoch, Stands::Stopped),
            State::Nothing | State::Staging { .. } => return None,
        };
        Some(Hint { slice: self.slice, range: self.range, epoch, stands })
    }

    /// Whether a seal waits for writes in flight.
    pub(super) fn draining(&self) -> Option<(MoveId, Seal)> {
        match &self.state {
            State::Sealed { move_, seal: seal @ Seal::Draining(..), .. } => Some((*move_, *seal)),
            State::Sealed { .. } | State::Nothing | State::Serving { .. } => None,
            State::Handed { .. } | State::Staging { .. } => None,
        }
    }
}
