//! The source: tracks what is written before it reads the first key, stops when it is sealed, and goes on or deletes only by what it
//! has read.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Effect, Holder, Kept, Leaving, Seal, State, Work};
use crate::shard::bugs::Bug;
use crate::shard::messages::{Bytes, Caller, Cursor, Digest, Entry, Reply};
use crate::shard::records::{Epoch, Move, MoveId, Phase};
use crate::shard::seen::Seen;
use crate::time::{Mono, Span};

impl Holder {
    pub(super) fn copy(
        &mut self,
        now: Mono,
        caller: Caller,
        move_: MoveId,
        (epoch, cursor): (Epoch, Cursor),
        out: &mut Vec<Effect>,
    ) {
        let lost = Effect::Reply { caller, move_, reply: Reply::Lost };
        let State::Serving { epoch: ours, leaving } = &mut self.state else { return out.push(lost) };
        if *ours != epoch {
            return out.push(lost);
        }
        if cursor == Cursor::Start && leaving.as_ref().is_none_or(|leaving| leaving.move_ != move_) {
            *leaving = Some(Leaving { move_, dirty: BTreeSet::new(), round: 0, out: Vec::new() });
            self.read_at = Some(now + super::READ_EVERY);
        }
        let Some(leaving) = leaving.as_mut().filter(|leaving| leaving.move_ == move_) else { return out.push(lost) };
        let round = match &cursor {
            Cursor::Start | Cursor::After(_) => 0,
            Cursor::Round(round) => *round,
        };
        if round == leaving.round + 1 {
            leaving.out = core::mem::take(&mut leaving.dirty).into_iter().collect();
            leaving.round = round;
        } else if round != leaving.round {
            // A question of long ago.
            return;
        }
        let keys = leaving.out.clone();
        let work = self.begin(Work::Copy(caller));
        out.push(match cursor {
            Cursor::Start => Effect::Export { work, after: None },
            Cursor::After(key) => Effect::Export { work, after: Some(key) },
            Cursor::Round(_) => Effect::ExportKeys { work, keys },
        });
    }

    pub(super) fn exported(
        &mut self,
        work: Work,
        entries: Vec<Entry>,
        next: Option<Bytes>,
        digest: Digest,
        out: &mut Vec<Effect>,
    ) {
        match (work, &mut self.state) {
            (Work::Copy(caller), State::Serving { leaving: Some(leaving), .. }) => {
                leaving.put_back(&entries);
                let reply = Reply::Copied { entries, next, dirty: leaving.dirty.len() };
                out.push(Effect::Reply { caller, move_: leaving.move_, reply });
            }
            (Work::Finish(caller), State::Sealed { move_, .. }) => {
                let left_behind = self.bugs.has(Bug::SeenLeftBehind);
                let seen = Arc::new(if left_behind { Seen::default() } else { self.seen.clone() });
                out.push(Effect::Reply { caller, move_: *move_, reply: Reply::Sealed { entries, seen, digest } });
                if self.bugs.has(Bug::DeleteBeforeActivate) {
                    out.push(Effect::Keep { work: 0, kept: Kept::Nothing });
                }
            }
            (Work::Copy(_) | Work::Finish(_) | Work::Import(..) | Work::Digest(..) | Work::Keep(..), _) => {}
        }
    }

    pub(super) fn seal(&mut self, caller: Caller, move_: MoveId, epoch: Epoch, out: &mut Vec<Effect>) {
        match &mut self.state {
            State::Serving { epoch: ours, leaving }
                if *ours == epoch && leaving.as_ref().is_some_and(|leaving| leaving.move_ == move_) =>
            {
                // From here on nothing is admitted, whatever becomes of the marker.
                let leaving = leaving.take();
                self.state = State::Sealed { move_, epoch, leaving, seal: Seal::Keeping(caller) };
                // The state stays this one: writes in flight go on to mark their keys in it.
                let work = self.begin(Work::Keep(None, None));
                out.push(Effect::Keep { work, kept: Kept::Sealed(move_, epoch) });
            }
            State::Sealed { move_: sealed, seal, leaving: Some(_), .. } if *sealed == move_ => match seal {
                Seal::Keeping(whom) | Seal::Draining(whom, _) => *whom = caller,
                Seal::Done => self.finish(caller, out),
            },
            State::Serving { .. } | State::Sealed { .. } | State::Nothing => {
                out.push(Effect::Reply { caller, move_, reply: Reply::Lost });
            }
            State::Handed { .. } | State::Staging { .. } => {
                out.push(Effect::Reply { caller, move_, reply: Reply::Lost });
            }
        }
    }

    /// The marker is durable: what is in flight may end.
    pub(super) fn sealed_on_disk(&mut self, now: Mono, out: &mut Vec<Effect>) {
        if let State::Sealed { seal, .. } = &mut self.state
            && let Seal::Keeping(caller) = *seal
        {
            *seal = Seal::Draining(caller, now + DRAIN_FOR);
            self.drained(out);
        }
    }

    /// Hands over the rest once nothing is in flight.
    pub(super) fn drained(&mut self, out: &mut Vec<Effect>) {
        let Some((_, Seal::Draining(caller, _))) = self.draining() else { return };
        if self.running.is_empty() || self.bugs.has(Bug::InFlightNotDrained) {
            if let State::Sealed { seal, .. } = &mut self.state {
                *seal = Seal::Done;
            }
            self.finish(caller, out);
        }
    }

    /// Says that writes in flight do not end. They stay admitted, and the slice sealed: only the store reopens it.
    pub(super) fn drained_too_long(&mut self, now: Mono, out: &mut Vec<Effect>) {
        let Some((move_, Seal::Draining(caller, until))) = self.draining() else { return };
        if until <= now {
            if let State::Sealed { seal, .. } = &mut self.state {
                *seal = Seal::Draining(caller, now + DRAIN_FOR);
            }
            let reply = Reply::Stuck { writes: self.running.len() };
            out.push(Effect::Reply { caller, move_, reply });
        }
    }

    /// Only with a bug on purpose.
    pub(super) fn resumed_on_a_timer(&mut self, out: &mut Vec<Effect>) {
        if let State::Sealed { epoch, seal: Seal::Done, .. } = &self.state
            && self.bugs.has(Bug::ResumeOnTimer)
            && self.work.is_none()
        {
            let epoch = *epoch;
            self.keep(Kept::Serving(epoch), State::Serving { epoch, leaving: None }, None, out);
        }
    }

    fn finish(&mut self, caller: Caller, out: &mut Vec<Effect>) {
        let State::Sealed { leaving: Some(leaving), .. } = &self.state else { return };
        let keys = leaving.dirty.iter().cloned().collect();
        let work = self.begin(Work::Finish(caller));
        out.push(Effect::Finish { work, keys });
    }

    /// What the store says to a source.
    pub(super) fn read_as_source(&mut self, move_: MoveId, found: Option<Move>, out: &mut Vec<Effect>) {
        let phase = found.map(|found| found.phase);
        match (&mut self.state, phase) {
            (State::Serving { leaving, .. }, None) => *leaving = None,
            (State::Serving { epoch, .. } | State::Sealed { epoch, .. }, Some(Phase::Aborted)) => {
                let next = if self.bugs.has(Bug::AbortKeepsEpoch) { *epoch } else { epoch.next() };
                self.keep(Kept::Serving(next), State::Serving { epoch: next, leaving: None }, None, out);
            }
            (
                State::Serving { epoch, .. } | State::Sealed { epoch, .. },
                Some(Phase::Committed | Phase::Active | Phase::Releasing),
            ) => {
                // Of one that serves this cannot be read unless its disk forgot the seal: then it must stop all the same.
                let epoch = *epoch;
                self.keep(Kept::Handed(move_, epoch), State::Handed { move_, epoch }, None, out);
            }
            (State::Handed { .. }, Some(Phase::Releasing)) => {
                self.keep(Kept::Nothing, State::Nothing, None, out);
            }
            // That a record is not there is no news to one who is sealed: it is taken away after he has said that he is not.
            (State::Sealed { .. } | State::Handed { .. }, None) => {}
            (
                State::Serving { .. } | State::Sealed { .. } | State::Handed { .. },
                Some(Phase::Copying | Phase::Sealing | Phase::Ready),
            ) => {}
            (State::Handed { .. }, Some(Phase::Committed | Phase::Active | Phase::Aborted)) => {}
            (State::Nothing | State::Staging { .. }, _) => {}
        }
    }
}

impl Leaving {
    /// Keys of a round that storage did not give, because there were too many bytes of them, are for the next round.
    fn put_back(&mut self, given: &[Entry]) {
        if self.round > 0 && given.len() < self.out.len() {
            let given: BTreeSet<&Bytes> = given.iter().map(|entry| &entry.key).collect();
            self.dirty.extend(self.out.iter().filter(|key| !given.contains(key)).cloned());
        }
    }
}

/// How long writes in flight may take once a slice is sealed. Source: shards.md "Protocol", step 5.
const DRAIN_FOR: Span = Span::from_secs(1);
