//! Slices were split or merged: the same data under other names.
//!
//! What a worker serves cannot leave it without its own seal. So whatever the store now calls slices of this worker, within what it
//! serves anyway, is its own: it takes over the names, ranges and epochs, splits or joins what it has seen of producers, and
//! nothing in flight is disturbed. An abort that it has not heard of is the same with one slice.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{Holder, State};
use crate::shard::records::{Epoch, Slice, SliceId};
use crate::shard::space::Range;
use crate::time::Mono;

/// What becomes of a worker's slices, all in one durable step, and before any request is admitted by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recut {
    /// What it holds from now on. The data of each is what lies in its range.
    pub put: Vec<(SliceId, Holder)>,
    /// Names that are no more.
    pub gone: Vec<SliceId>,
}

/// Compares what a worker holds with the slices that it owns by the store, all from one read. What is in a move, or being made durable,
/// is left as it is: ask again when it is not.
#[must_use]
pub fn recut(now: Mono, holders: &BTreeMap<SliceId, Holder>, owned: &[(SliceId, Slice)]) -> Recut {
    let mut recut = Recut::default();
    let mut used = BTreeSet::new();
    for (id, slice) in owned {
        let free = holders.get(id).is_none_or(|holder| holder.cuttable().is_some() || holder.state == State::Nothing);
        let parts: Vec<(SliceId, &Holder)> = holders
            .iter()
            .filter(|(_, holder)| holder.cuttable().is_some_and(|epoch| epoch < slice.epoch))
            .filter(|(_, holder)| holder.range.overlap(slice.range).is_some())
            .map(|(id, holder)| (*id, holder))
            .collect();
        let covered: u128 = parts.iter().map(|(_, part)| common(part.range, slice.range)).sum();
        if free && covered == slice.range.points() {
            used.extend(parts.iter().map(|(id, _)| *id));
            recut.put.push((*id, joined(now, *id, *slice, &parts)));
        }
    }
    // What a part had must all be in the new ones: else its data would have no place.
    let whole = used.iter().filter_map(|id| holders.get(id)).all(|part| {
        recut.put.iter().map(|(_, new)| common(part.range, new.range)).sum::<u128>() == part.range.points()
    });
    if !whole {
        return Recut::default();
    }
    used.retain(|id| recut.put.iter().all(|(new, _)| new != id));
    recut.gone.extend(used);
    recut
}

fn joined(now: Mono, id: SliceId, slice: Slice, parts: &[(SliceId, &Holder)]) -> Holder {
    let mut holder = Holder::new(id, slice.range);
    holder.state = State::Serving { epoch: slice.epoch, leaving: None };
    for (_, part) in parts {
        holder.seen.join(now, &part.seen);
        let running = part.running.iter().filter(|(_, op)| slice.range.contains(op.point));
        holder.running.extend(running.map(|(ticket, op)| (*ticket, op.clone())));
        holder.works = holder.works.max(part.works);
        holder.bugs = part.bugs;
    }
    holder.forget_at = Some(now + crate::shard::seen::KEPT_FOR);
    holder
}

fn common(one: Range, other: Range) -> u128 {
    one.overlap(other).map_or(0, Range::points)
}

impl Holder {
    /// Its epoch, if it serves and nothing of that is being made durable.
    fn cuttable(&self) -> Option<Epoch> {
        match &self.state {
            State::Serving { epoch, .. } => (!self.busy_keeping()).then_some(*epoch),
            State::Nothing | State::Sealed { .. } | State::Handed { .. } | State::Staging { .. } => None,
        }
    }
}
