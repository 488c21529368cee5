//! The target: stages what nobody sees, and serves it when it has read that it owns it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Effect, Holder, Kept, State, Work};
use crate::shard::bugs::Bug;
use crate::shard::messages::{Caller, Digest, Entry, Reply};
use crate::shard::records::{Epoch, Move, MoveId, Phase};
use crate::shard::seen::Seen;
use crate::shard::space::Range;
use crate::time::Mono;

impl Holder {
    pub(super) fn offered(
        &mut self,
        now: Mono,
        caller: Caller,
        move_: MoveId,
        (range, epoch): (Range, Epoch),
        out: &mut Vec<Effect>,
    ) {
        let reply = match &self.state {
            State::Nothing => {
                self.range = range;
                self.read_at = Some(now + super::READ_EVERY);
                // Whatever an earlier staging left is gone before the first batch.
                let state = State::Staging { move_, epoch, next: 0, verified: false };
                return self.keep(Kept::Nothing, state, Some((caller, Reply::Offered)), out);
            }
            State::Staging { move_: ours, .. } if *ours == move_ => Reply::Offered,
            State::Staging { .. } | State::Serving { .. } | State::Sealed { .. } | State::Handed { .. } => Reply::Lost,
        };
        out.push(Effect::Reply { caller, move_, reply });
    }

    pub(super) fn apply(
        &mut self,
        caller: Caller,
        move_: MoveId,
        (number, entries, seen): (u32, Vec<Entry>, Option<Arc<Seen>>),
        out: &mut Vec<Effect>,
    ) {
        let reply = match &self.state {
            State::Staging { move_: ours, next, verified: false, .. } if *ours == move_ && number == *next => {
                let work = self.begin(Work::Import(caller, seen));
                return out.push(Effect::Import { work, entries });
            }
            State::Staging { move_: ours, next, verified, .. } if *ours == move_ && (*verified || number < *next) => {
                Reply::Applied { number }
            }
            State::Staging { .. } | State::Nothing | State::Serving { .. } => Reply::Lost,
            State::Sealed { .. } | State::Handed { .. } => Reply::Lost,
        };
        out.push(Effect::Reply { caller, move_, reply });
    }

    pub(super) fn imported(&mut self, now: Mono, caller: Caller, seen: Option<Arc<Seen>>, out: &mut Vec<Effect>) {
        let State::Staging { move_, next, .. } = &mut self.state else { return };
        let (move_, number) = (*move_, *next);
        *next += 1;
        if let Some(seen) = seen {
            self.seen = Seen::default();
            self.seen.join(now, &seen);
            self.forget_at = Some(now + crate::shard::seen::KEPT_FOR);
        }
        out.push(Effect::Reply { caller, move_, reply: Reply::Applied { number } });
    }

    pub(super) fn verify(&mut self, caller: Caller, move_: MoveId, digest: Digest, out: &mut Vec<Effect>) {
        let reply = match &self.state {
            State::Staging { move_: ours, verified: false, .. } if *ours == move_ => {
                let work = self.begin(Work::Digest(caller, digest));
                return out.push(Effect::Digest { work });
            }
            State::Staging { move_: ours, verified: true, .. } if *ours == move_ => Reply::Verified,
            State::Staging { .. } | State::Nothing | State::Serving { .. } => Reply::Lost,
            State::Sealed { .. } | State::Handed { .. } => Reply::Lost,
        };
        out.push(Effect::Reply { caller, move_, reply });
    }

    pub(super) fn digested(&mut self, caller: Caller, wanted: Digest, digest: Digest, out: &mut Vec<Effect>) {
        let State::Staging { move_, epoch, next, .. } = &self.state else { return };
        let (move_, epoch, next) = (*move_, *epoch, *next);
        // Keys that were not tracked would be noticed here: so that bug is looked for with the digest off.
        let off = self.bugs.has(Bug::CommitWithoutDigest) || self.bugs.has(Bug::TrackAfterSnapshot);
        if wanted != digest && !off {
            return out.push(Effect::Reply { caller, move_, reply: Reply::Differs { digest } });
        }
        let state = State::Staging { move_, epoch, next, verified: true };
        let mut reply = Some((caller, Reply::Verified));
        if self.bugs.has(Bug::SayBeforeSync) {
            out.extend(reply.take().map(|(caller, reply)| Effect::Reply { caller, move_, reply }));
        }
        let seen = Arc::new(self.seen.clone());
        self.keep(Kept::Staged(move_, epoch, seen), state, reply, out);
    }

    /// What the store says to a target.
    pub(super) fn read_as_target(&mut self, _: MoveId, found: Option<Move>, out: &mut Vec<Effect>) {
        let State::Staging { epoch, verified, .. } = &self.state else { return };
        match (found.map(|found| found.phase), *verified) {
            (Some(Phase::Committed | Phase::Active | Phase::Releasing), true) => {
                let epoch = epoch.next();
                self.keep(Kept::Serving(epoch), State::Serving { epoch, leaving: None }, None, out);
            }
            (Some(Phase::Aborted), _) | (None, false) => self.keep(Kept::Nothing, State::Nothing, None, out),
            // Nothing commits before it is verified, and no record is taken away before whoever verified has said how it stands.
            (Some(Phase::Committed | Phase::Active | Phase::Releasing), false) | (None, true) => {}
            (Some(Phase::Copying | Phase::Sealing | Phase::Ready), _) => {}
        }
    }
}
