//! Splits, merges, and what workers may be given: one change of the store after another, until what was wanted is there.
//!
//! Each step is worked out from the picture, which must show all that this leader has done before; so a step that was refused is
//! simply worked out again.

use std::fmt;

use ambidex_core::shard::Bugs;
use ambidex_core::shard::records::{Key, Membership, Record, SliceId};
use ambidex_core::shard::reshape::{self, Known};
use ambidex_core::shard::space::Point;
use ambidex_core::shard::store::{Revision, Transaction};
use ambidex_core::shard::table::MOST_SLICES;
use ambidex_core::worker::WorkerId;
use ambidex_store::shards::{Change, Picture};
use ambidex_wire::shard::records::Path;

use crate::orders::Refusal;

/// What is wanted of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Split { slice: SliceId, at: Option<Point> },
    Merge { left: SliceId, right: SliceId },
    Isolate { point: Point },
    Presplit { slices: usize },
    Mark { worker: WorkerId, membership: Membership },
    Leave { worker: WorkerId },
}

impl Work {
    /// The next change; `None`: it is done. `before`: how many changes it has had.
    pub(crate) fn next(&self, leader: Revision, picture: &Picture, before: usize) -> Result<Option<Change>, Refusal> {
        match *self {
            Self::Split { .. } | Self::Merge { .. } | Self::Leave { .. } if before > 0 => Ok(None),
            Self::Split { slice, at } => {
                let known = known(picture, slice)?;
                let range = known.2.range;
                let middle = range.first().0 + (range.last().0 - range.first().0) / 2;
                // The second half begins after the middle.
                split(leader, picture, known, at.unwrap_or(Point(middle.saturating_add(1)))).map(Some)
            }
            Self::Merge { left, right } => {
                let (left, right) = (known(picture, left)?, known(picture, right)?);
                Ok(Some(change(&reshape::merge(leader, left, right, Bugs::default())?)))
            }
            Self::Isolate { point } => isolate(leader, picture, point),
            Self::Presplit { slices } => presplit(leader, picture, slices, before),
            Self::Mark { worker, membership } => Ok(mark(leader, picture, worker, membership)),
            Self::Leave { worker } => Ok(Some(change(&reshape::leave(leader, worker, Bugs::default())))),
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Split { slice, at: Some(at) } => write!(f, "split slice {:016x} at {:016x}", slice.0, at.0),
            Self::Split { slice, at: None } => write!(f, "split slice {:016x} in halves", slice.0),
            Self::Merge { left, right } => write!(f, "merge slices {:016x} and {:016x}", left.0, right.0),
            Self::Isolate { point } => write!(f, "give the key at {:016x} a slice of its own", point.0),
            Self::Presplit { slices } => write!(f, "split until there are {slices} slices"),
            Self::Mark { worker, membership: Membership::In } => write!(f, "worker {} may be given slices", worker.0),
            Self::Mark { worker, membership: Membership::Leaving } => write!(f, "worker {} is drained", worker.0),
            Self::Mark { worker, membership: Membership::Left } => write!(f, "worker {} may be switched off", worker.0),
            Self::Leave { worker } => write!(f, "worker {} has left", worker.0),
        }
    }
}

fn change(transaction: &Transaction) -> Change {
    Change::from(transaction)
}

fn known(picture: &Picture, id: SliceId) -> Result<Known, Refusal> {
    let (revision, slice) = picture.slice(id).ok_or(Refusal::UnknownSlice(id.0))?;
    Ok((id, revision, slice))
}

fn split(leader: Revision, picture: &Picture, slice: Known, at: Point) -> Result<Change, Refusal> {
    let slices = picture.slices().count();
    if slices >= MOST_SLICES {
        return Err(Refusal::TooManySlices(slices + 1));
    }
    let ids = picture.ids().unwrap_or((Revision::ABSENT, 0));
    Ok(change(&reshape::split(leader, slice, at, ids, Bugs::default())?))
}

/// First what lies before the key is cut off, then what lies after it.
fn isolate(leader: Revision, picture: &Picture, point: Point) -> Result<Option<Change>, Refusal> {
    let Some((id, slice)) = picture.slices().find(|(_, slice)| slice.range.contains(point)) else { return Ok(None) };
    let at = if slice.range.first() < point {
        point
    } else if point < slice.range.last() {
        Point(point.0 + 1)
    } else {
        return Ok(None);
    };
    split(leader, picture, known(picture, id)?, at).map(Some)
}

/// The largest slice that is in no move is halved.
fn presplit(leader: Revision, picture: &Picture, slices: usize, before: usize) -> Result<Option<Change>, Refusal> {
    let has = picture.slices().count();
    match has {
        _ if slices > MOST_SLICES => return Err(Refusal::TooManySlices(slices)),
        _ if has < slices => {}
        _ if before > 0 => return Ok(None),
        _ => return Err(Refusal::EnoughSlices { has, asked: slices }),
    }
    let free = picture.slices().filter(|(_, slice)| slice.moving.is_none());
    let Some((id, slice)) = free.max_by_key(|(id, slice)| (slice.range.points(), core::cmp::Reverse(*id))) else {
        return Err(Refusal::Changed);
    };
    let middle = slice.range.first().0 + (slice.range.last().0 - slice.range.first().0) / 2;
    split(leader, picture, known(picture, id)?, Point(middle.saturating_add(1))).map(Some)
}

fn mark(leader: Revision, picture: &Picture, worker: WorkerId, membership: Membership) -> Option<Change> {
    let path = Path::Record(Key::Worker(worker));
    let record = Record::Worker(membership);
    if picture.record(Key::Worker(worker)).is_some_and(|(_, known)| known == record) {
        return None;
    }
    let led = Change::default().if_still(Path::Record(Key::Leader), leader);
    Some(led.if_still(path, picture.revision_of(path)).put_record(Key::Worker(worker), record))
}

#[cfg(test)]
mod tests {
    use ambidex_core::shard::records::{Epoch, Slice};
    use ambidex_core::shard::space::Range;
    use ambidex_core::shard::table::Table;
    use ambidex_store::shards::Written;

    use super::*;

    fn picture() -> Picture {
        let mut picture = Picture::default();
        let slice = Slice { range: Range::ALL, owner: WorkerId(1), epoch: Epoch::FIRST, moving: None, sealed: false };
        let start = Change::default().put_record(Key::Ids, Record::Ids(1));
        let start = start.put_record(Key::Slice(SliceId(1)), Record::Slice(slice));
        picture.take(&Written { revision: Revision(1), writes: start.writes });
        picture
    }

    fn done(work: &Work, picture: &mut Picture) -> Result<usize, Refusal> {
        for before in 0..100 {
            let Some(change) = work.next(Revision::ABSENT, picture, before)? else { return Ok(before) };
            assert!(picture.allows(&change));
            picture.take(&Written { revision: Revision(picture.revision.0 + 1), writes: change.writes });
            assert!(Table::new(picture.revision, picture.slices().collect()).is_ok());
        }
        panic!("{work:?} does not end");
    }

    #[test]
    fn a_key_that_is_isolated_has_a_slice_of_its_own_wherever_it_lies() {
        for point in [0, 1, 77, u64::MAX - 1, u64::MAX] {
            let mut picture = picture();
            done(&Work::Isolate { point: Point(point) }, &mut picture).expect("it can");
            let alone = picture.slices().find(|(_, slice)| slice.range.contains(Point(point))).expect("it is there").1;
            assert_eq!(alone.range.points(), 1);
        }
    }

    #[test]
    fn a_presplit_makes_so_many_slices_of_about_one_size() {
        let mut picture = picture();
        assert_eq!(done(&Work::Presplit { slices: 24 }, &mut picture), Ok(23));
        let sizes: Vec<u128> = picture.slices().map(|(_, slice)| slice.range.points()).collect();
        assert_eq!(sizes.len(), 24);
        assert!(sizes.iter().max() <= sizes.iter().min().map(|least| least * 2 + 2).as_ref(), "{sizes:?}");
        let again = done(&Work::Presplit { slices: 24 }, &mut picture);
        assert_eq!(again, Err(Refusal::EnoughSlices { has: 24, asked: 24 }));
    }

    #[test]
    fn a_split_without_a_point_halves_and_a_merge_makes_it_whole() {
        let mut picture = picture();
        assert_eq!(done(&Work::Split { slice: SliceId(1), at: None }, &mut picture), Ok(1));
        assert_eq!(picture.slice(SliceId(2)).expect("it is there").1.range.first(), Point(1 << 63));
        assert_eq!(done(&Work::Merge { left: SliceId(1), right: SliceId(2) }, &mut picture), Ok(1));
        assert_eq!(picture.slices().count(), 1);
    }
}
