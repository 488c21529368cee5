//! The routing table: which slice a point lies in, who owns it, and in which epoch. Immutable; readers swap it whole.
//!
//! Slices tile the space, so their first points in order are all that a look-up needs: a binary search over 8-byte numbers
//! that lie side by side, then one entry. No store is read for a request.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::records::{Epoch, Slice, SliceId};
use super::space::{Point, Range};
use super::store::Revision;

/// All slices of a keyspace, as they were at one revision of the store. Clones share them: each thread of a gateway has one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    revision: Revision,
    firsts: Arc<[u64]>,
    slices: Arc<[(SliceId, Slice)]>,
}

/// Why slices are no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// There is none.
    #[error("there are no slices: a keyspace has at least one")]
    Empty,
    /// There are more than a keyspace may have.
    #[error("{0} slices are more than the {MOST_SLICES} that a keyspace may have: merge some")]
    TooMany(usize),
    /// Some points lie in no slice.
    #[error("no slice holds point {0}")]
    Gap(Point),
    /// Some points lie in two slices.
    #[error("point {0} lies in two slices")]
    Overlap(Point),
    /// An epoch that no slice ever has.
    #[error("slice {} has epoch 0: epochs begin with 1", .0.0)]
    Epoch(SliceId),
}

impl Table {
    /// Of slices that tile the space, in any order.
    ///
    /// # Errors
    /// They do not tile it; there are too many.
    pub fn new(revision: Revision, mut slices: Vec<(SliceId, Slice)>) -> Result<Self, TableError> {
        if slices.len() > MOST_SLICES {
            return Err(TableError::TooMany(slices.len()));
        }
        slices.sort_unstable_by_key(|(_, slice)| slice.range.first());
        let mut next = Some(Range::ALL.first());
        for (id, slice) in &slices {
            let first = slice.range.first();
            if slice.epoch < Epoch::FIRST {
                return Err(TableError::Epoch(*id));
            }
            match next {
                Some(next) if next < first => return Err(TableError::Gap(next)),
                Some(next) if next == first => {}
                Some(_) | None => return Err(TableError::Overlap(first)),
            }
            next = slice.range.last().0.checked_add(1).map(Point);
        }
        match next {
            _ if slices.is_empty() => Err(TableError::Empty),
            Some(next) => Err(TableError::Gap(next)),
            None => {
                let firsts = slices.iter().map(|(_, slice)| slice.range.first().0).collect();
                Ok(Self { revision, firsts, slices: slices.into() })
            }
        }
    }

    /// The slice that a point lies in.
    #[must_use]
    pub fn look_up(&self, point: Point) -> (SliceId, Slice) {
        // The first slice begins with the first point of the space, so at least one begins at or before any point.
        let after = self.firsts.partition_point(|first| *first <= point.0);
        self.slices[after.saturating_sub(1)]
    }

    /// The store's revision that it shows.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Its slices, in the order of the space.
    #[must_use]
    pub fn slices(&self) -> &[(SliceId, Slice)] {
        &self.slices
    }
}

/// Source: shards.md "Data model": 32 to 64 slices for each of 256 nodes and more.
pub const MOST_SLICES: usize = 16_384;

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::worker::WorkerId;

    fn slice(first: u64, last: u64) -> Slice {
        let range = Range::new(Point(first), Point(last)).expect("in order");
        Slice { range, owner: WorkerId(1), epoch: Epoch::FIRST, moving: None, sealed: false }
    }

    fn table(slices: &[(u64, u64)]) -> Result<Table, TableError> {
        let slices = slices.iter().zip(1..).map(|((first, last), id)| (SliceId(id), slice(*first, *last)));
        Table::new(Revision(1), slices.collect())
    }

    #[test]
    fn slices_that_leave_a_point_out_are_refused() {
        assert_eq!(table(&[(0, 9), (11, u64::MAX)]), Err(TableError::Gap(Point(10))));
        assert_eq!(table(&[(0, 9)]), Err(TableError::Gap(Point(10))));
        assert_eq!(table(&[(1, u64::MAX)]), Err(TableError::Gap(Point(0))));
    }

    #[test]
    fn slices_that_share_a_point_are_refused() {
        assert_eq!(table(&[(0, 10), (10, u64::MAX)]), Err(TableError::Overlap(Point(10))));
        assert_eq!(table(&[(0, u64::MAX), (u64::MAX, u64::MAX)]), Err(TableError::Overlap(Point(u64::MAX))));
    }

    #[test]
    fn no_slices_are_refused() {
        assert_eq!(table(&[]), Err(TableError::Empty));
    }

    #[test]
    fn too_many_slices_are_refused() {
        let slices = vec![(SliceId(1), slice(0, u64::MAX)); MOST_SLICES + 1];
        assert_eq!(Table::new(Revision(1), slices), Err(TableError::TooMany(MOST_SLICES + 1)));
    }

    proptest! {
        #[test]
        fn every_point_is_found_in_the_slice_that_contains_it(cuts: BTreeSet<u64>, points: Vec<u64>) {
            let mut parts = vec![];
            let mut rest = Range::ALL;
            for cut in &cuts {
                if let Some((left, right)) = rest.split_at(Point(*cut)) {
                    parts.push((left.first().0, left.last().0));
                    rest = right;
                }
            }
            parts.push((rest.first().0, rest.last().0));
            let table = table(&parts).expect("they tile the space");
            for point in points.into_iter().chain(cuts).chain([0, u64::MAX]) {
                prop_assert!(table.look_up(Point(point)).1.range.contains(Point(point)));
            }
        }
    }
}
