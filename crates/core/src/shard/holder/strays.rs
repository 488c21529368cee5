//! What a worker serves though the store says that it is another one's.
//!
//! Ownership leaves a worker by its own seal alone. So one that serves a range which another one owns in a later epoch has forgotten a
//! seal: its records are those of an older day, put back by somebody, or by a disk that lost what it had said was durable. Routers with
//! the newest table do not ask it any more; one with an old table would, and what it acknowledged then would be nowhere else.
//!
//! It stops at once and durably, and keeps its data: nobody can know what was acknowledged into it. It goes on as one that has handed
//! over by nobody's move: it admits nothing, takes no offer, and deletes nothing, until a person has looked at it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{Effect, Holder, Kept, State, Work};
use crate::shard::messages::Stand;
use crate::shard::records::{MoveId, Slice, SliceId};

/// The move of what was not handed over by one.
const NOBODYS: MoveId = MoveId(0);

/// What a worker serves that is another one's; `others` are the slices of all other workers, from one read of the store.
#[must_use]
pub fn strays(holders: &BTreeMap<SliceId, Holder>, others: &[(SliceId, Slice)]) -> Vec<SliceId> {
    let is_stray = |holder: &Holder| match &holder.state {
        State::Serving { epoch, .. } => {
            let over = |slice: &Slice| *epoch < slice.epoch && holder.range.overlap(slice.range).is_some();
            others.iter().any(|(_, slice)| over(slice))
        }
        State::Nothing | State::Sealed { .. } | State::Handed { .. } | State::Staging { .. } => false,
    };
    holders.iter().filter(|(_, holder)| is_stray(holder)).map(|(id, _)| *id).collect()
}

impl Holder {
    /// Stops serving what is another one's, unless something is being made durable just now: then it is to be asked again. Says whether
    /// it did.
    pub fn disown(&mut self, out: &mut Vec<Effect>) -> bool {
        let State::Serving { epoch, .. } = self.state else { return false };
        if self.busy_keeping() {
            return false;
        }
        self.state = State::Handed { move_: NOBODYS, epoch };
        self.read_at = None;
        let work = self.begin(Work::Keep(None, None));
        out.push(Effect::Keep { work, kept: Kept::Handed(NOBODYS, epoch) });
        true
    }
}

impl Stand {
    /// Whether a worker stands so with what it served, and was another one's.
    #[must_use]
    pub fn is_stray(self) -> bool {
        self == Self::Handed(NOBODYS)
    }
}

impl State {
    /// Whether it waits for the end of no move.
    pub(super) fn is_stray(&self) -> bool {
        matches!(self, Self::Handed { move_: NOBODYS, .. })
    }
}
