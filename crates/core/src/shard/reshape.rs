//! Splits, merges, and a worker's leave: one transaction each, and no data moves.
//!
//! Each compares the leader's key and the slices that it changes, so it happens to slices as they were when it was decided, and by
//! whoever leads, or not at all. A slice in a move is neither split nor merged. Both parts of a split, and what is merged, have a
//! later epoch than anything they are made of.

use super::bugs::{Bug, Bugs};
use super::records::{Epoch, Key, Membership, Record, Slice, SliceId};
use super::space::Point;
use super::store::{Revision, Transaction};
use crate::worker::WorkerId;

/// Why slices are not reshaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReshapeError {
    /// A slice is in a move.
    #[error("slice {} is in a move: wait for its end, or abort it", .0.0)]
    Moving(SliceId),
    /// There is nothing on one side of the point.
    #[error("slice {} cannot be split at {at}: both parts must hold points, and it has {}", .slice.0, .has)]
    Edge {
        /// Which.
        slice: SliceId,
        /// Where.
        at: Point,
        /// Its range.
        has: super::space::Range,
    },
    /// They do not lie side by side, in this order.
    #[error("slices {} and {} do not lie side by side in this order: only neighbours are merged", .0.0, .1.0)]
    Apart(SliceId, SliceId),
    /// Their owners are unlike.
    #[error("slices {} and {} have different owners: move one of them first", .0.0, .1.0)]
    Owners(SliceId, SliceId),
}

/// A slice as it was read.
pub type Known = (SliceId, Revision, Slice);

/// One slice becomes two: what lies before `at` keeps its number, the rest gets `new`, which is the number after `ids`, the highest that was
/// given.
///
/// # Errors
/// It is in a move, or one part would be empty.
pub fn split(
    leader: Revision,
    (id, revision, slice): Known,
    at: Point,
    (ids, highest): (Revision, u64),
    bugs: Bugs,
) -> Result<Transaction, ReshapeError> {
    if slice.moving.is_some() {
        return Err(ReshapeError::Moving(id));
    }
    let edge = ReshapeError::Edge { slice: id, at, has: slice.range };
    let (left, right) = slice.range.split_at(at).ok_or(edge)?;
    let epoch = slice.epoch.next();
    let new = highest.saturating_add(1);
    Ok(led(leader, bugs)
        .if_still(Key::Ids, ids)
        .if_still(Key::Slice(id), revision)
        .if_still(Key::Slice(SliceId(new)), Revision::ABSENT)
        .put(Key::Ids, Record::Ids(new))
        .put(Key::Slice(id), Record::Slice(Slice { range: left, epoch, ..slice }))
        .put(Key::Slice(SliceId(new)), Record::Slice(Slice { range: right, epoch, ..slice })))
}

/// Two slices become one, with the number of the first.
///
/// # Errors
/// They are not neighbours in this order, have different owners, or one is in a move.
pub fn merge(leader: Revision, left: Known, right: Known, bugs: Bugs) -> Result<Transaction, ReshapeError> {
    let ((id, revision, one), (other_id, other_revision, other)) = (left, right);
    if let Some((id, ..)) = [left, right].into_iter().find(|(.., slice)| slice.moving.is_some()) {
        return Err(ReshapeError::Moving(id));
    }
    if one.owner != other.owner {
        return Err(ReshapeError::Owners(id, other_id));
    }
    let range = one.range.joined(other.range).ok_or(ReshapeError::Apart(id, other_id))?;
    let epoch = Epoch(one.epoch.0.max(other.epoch.0)).next();
    Ok(led(leader, bugs)
        .if_still(Key::Slice(id), revision)
        .if_still(Key::Slice(other_id), other_revision)
        .put(Key::Slice(id), Record::Slice(Slice { range, epoch, ..one }))
        .take_away(Key::Slice(other_id)))
}

/// A worker that has nothing gets nothing any more, and may be switched off. What makes this safe is the leader's key alone: that no slice
/// and no move names the worker is what the leader knows of *all* of them, and nobody else can add one.
#[must_use]
pub fn leave(leader: Revision, worker: WorkerId, bugs: Bugs) -> Transaction {
    led(leader, bugs).put(Key::Worker(worker), Record::Worker(Membership::Left))
}

fn led(leader: Revision, bugs: Bugs) -> Transaction {
    if bugs.has(Bug::NoLeaderCompare) {
        Transaction::default()
    } else {
        Transaction::default().if_still(Key::Leader, leader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    use crate::shard::records::{Leader, MoveId};
    use crate::shard::space::Range;
    use crate::shard::store::{MemoryStore, Outcome};
    use crate::shard::table::Table;

    fn store() -> MemoryStore {
        let mut store = MemoryStore::new();
        let slice = Slice { range: Range::ALL, owner: WorkerId(1), epoch: Epoch::FIRST, moving: None, sealed: false };
        let start = Transaction::default()
            .put(Key::Leader, Record::Leader(Leader { who: 1, term: 1 }))
            .put(Key::Ids, Record::Ids(1))
            .put(Key::Slice(SliceId(1)), Record::Slice(slice));
        store.transact(&start);
        store
    }

    fn known(store: &MemoryStore, id: u64) -> Known {
        let slice = store.slices().into_iter().find(|(slice, _)| *slice == SliceId(id)).expect("it is there").1;
        (SliceId(id), store.revision_of(Key::Slice(SliceId(id))), slice)
    }

    fn split_at(store: &MemoryStore, at: u64) -> Result<Transaction, ReshapeError> {
        let ids = (store.revision_of(Key::Ids), 1);
        split(store.revision_of(Key::Leader), known(store, 1), Point(at), ids, Bugs::default())
    }

    #[test]
    fn what_is_split_and_merged_again_is_the_same_range_in_a_later_epoch() {
        let mut store = store();
        let splitting = split_at(&store, 100).expect("it can be split");
        assert!(matches!(store.transact(&splitting), Outcome::Done(_)));
        assert!(Table::new(store.revision(), store.slices()).is_ok());
        let leader = store.revision_of(Key::Leader);
        let merging = merge(leader, known(&store, 1), known(&store, 2), Bugs::default()).expect("neighbours");
        assert!(matches!(store.transact(&merging), Outcome::Done(_)));
        let whole = known(&store, 1).2;
        assert_eq!((whole.range, whole.epoch, store.slices().len()), (Range::ALL, Epoch(3), 1));
    }

    #[test]
    fn a_split_of_a_slice_that_changed_meanwhile_is_refused() {
        let mut store = store();
        let (one, two) = (split_at(&store, 100).expect("it can"), split_at(&store, 200).expect("it can"));
        assert!(matches!(store.transact(&one), Outcome::Done(_)));
        assert_eq!(store.transact(&two), Outcome::Refused);
    }

    #[test]
    fn a_deposed_leader_reshapes_nothing() {
        let mut store = store();
        let transactions = [split_at(&store, 100).expect("it can"), leave(Revision(1), WorkerId(2), Bugs::default())];
        store.transact(&Transaction::default().put(Key::Leader, Record::Leader(Leader { who: 2, term: 2 })));
        assert!(transactions.iter().all(|transaction| store.transact(transaction) == Outcome::Refused));
    }

    #[test]
    fn a_part_without_points_is_refused_with_the_range() {
        let error = split_at(&store(), 0).expect_err("nothing lies before 0");
        assert!(error.to_string().contains("0000000000000000..=ffffffffffffffff"), "{error}");
    }

    #[test]
    fn a_slice_in_a_move_is_neither_split_nor_merged() {
        let store = store();
        let (id, revision, slice) = known(&store, 1);
        let moving = (id, revision, Slice { moving: Some(MoveId(9)), ..slice });
        let leader = store.revision_of(Key::Leader);
        let splitting = split(leader, moving, Point(5), (Revision(1), 1), Bugs::default());
        assert_eq!(splitting, Err(ReshapeError::Moving(SliceId(1))));
        assert_eq!(merge(leader, moving, known(&store, 1), Bugs::default()), Err(ReshapeError::Moving(SliceId(1))));
    }

    #[test]
    fn slices_that_are_no_neighbours_are_not_merged() {
        let mut store = store();
        let splitting = split_at(&store, 100).expect("it can be split");
        store.transact(&splitting);
        let merging = merge(Revision(1), known(&store, 2), known(&store, 1), Bugs::default());
        assert_eq!(merging, Err(ReshapeError::Apart(SliceId(2), SliceId(1))));
    }
}
