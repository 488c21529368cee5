//! What a router knows of slices: the store's table, and over it what workers said of later epochs.

use alloc::collections::BTreeMap;

use crate::shard::holder::{Hint, Stands};
use crate::shard::records::{Epoch, SliceId};
use crate::shard::space::{Point, Range};
use crate::shard::table::Table;
use crate::worker::WorkerId;

/// What a router knows of slices. It only grows: later epochs beat earlier ones, and stopped beats served within one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Knowledge {
    table: Table,
    /// What was heard of slices that goes beyond the table.
    heard: BTreeMap<SliceId, Heard>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Heard {
    range: Range,
    epoch: Epoch,
    owner: WorkerId,
    stopped: bool,
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Way {
    /// Its slice.
    pub slice: SliceId,
    /// What it says of it.
    pub epoch: Epoch,
    /// To whom.
    pub owner: WorkerId,
    /// Whether the owner has stopped serving it in this epoch: there will be another one.
    pub stopped: bool,
}

impl Knowledge {
    /// What the store shows.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self { table, heard: BTreeMap::new() }
    }

    /// Takes a table over, if it is a later one; says whether it was.
    pub fn show(&mut self, table: Table) -> bool {
        if table.revision() <= self.table.revision() {
            return false;
        }
        self.table = table;
        let Self { table, heard } = self;
        heard.retain(|slice, heard| {
            let (shown, at) = table.look_up(heard.range.first());
            shown != *slice || (at.epoch, at.sealed) < (heard.epoch, heard.stopped)
        });
        // A hint of a slice that the table does not know (any more) stays until the table has a later epoch for its points.
        heard.retain(|_, heard| table.look_up(heard.range.first()).1.epoch <= heard.epoch);
        true
    }

    /// Takes over what the worker that a request was sent to said; says whether it was news.
    pub fn hear(&mut self, hint: Hint, from: WorkerId) -> bool {
        let Hint { slice, range, epoch, stands } = hint;
        let stopped = stands == Stands::Stopped;
        let known = self.way(range.first());
        if (known.epoch, known.stopped) >= (epoch, stopped) || self.heard.len() >= MOST_HEARD {
            return false;
        }
        self.heard.insert(slice, Heard { range, epoch, owner: from, stopped });
        true
    }

    /// Where the slice of a point begins, as the store shows it.
    #[must_use]
    pub fn first_of(&self, point: Point) -> Point {
        self.table.look_up(point).1.range.first()
    }

    /// Where a request to a point goes.
    #[must_use]
    pub fn way(&self, point: Point) -> Way {
        let (slice, shown) = self.table.look_up(point);
        let way = Way { slice, epoch: shown.epoch, owner: shown.owner, stopped: shown.sealed };
        match self.heard.get(&slice) {
            Some(heard) if heard.range.contains(point) && (heard.epoch, heard.stopped) > (way.epoch, way.stopped) => {
                Way { slice, epoch: heard.epoch, owner: heard.owner, stopped: heard.stopped }
            }
            Some(_) | None => way,
        }
    }
}

/// Slices of which more is known than the table shows. Source: ours; a table that is so far behind is about to be read anew.
const MOST_HEARD: usize = 1_024;
