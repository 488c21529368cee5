//! The table of a keyspace's slices, as JSON for gateways and agents: what stands in the store, without what only coordinators need.
//!
//! ```text
//! {"map_id":"8a31..","keyspace":"carts","hash":"xxh3_64","revision":17,
//!  "slices":[{"id":"00..01","first":"00..","last":"7f..","owner":1,"epoch":3,"sealed":true,"moving":"00000004.."}, ..],
//!  "workers":{"1":{"name":"w1","address":"http://10.0.0.1:9000"}, ..}}
//! ```
//! Slices are in the order of the space, and tile it. `revision` grows with each table; it is the store's own.

use std::collections::BTreeMap;

use ambidex_core::shard::records::{Epoch, MoveId, Slice, SliceId};
use ambidex_core::shard::space::{Point, Range};
use ambidex_core::shard::store::Revision;
use ambidex_core::shard::table::{Table, TableError};
use ambidex_core::worker::WorkerId;
use serde::{Deserialize, Serialize};

use super::records::{MoveText, Named, hex, hex_option};

/// The table, as it travels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableText {
    /// Which map it is: tables of two maps have nothing to do with each other.
    #[serde(with = "hex")]
    pub map_id: u64,
    /// Of which keyspace.
    pub keyspace: String,
    /// By which function keys lie in the space.
    pub hash: String,
    /// The store's revision that it shows.
    pub revision: u64,
    /// All slices.
    pub slices: Vec<SliceRow>,
    /// Workers by number: all that own slices, take part in a move, or may be given slices.
    pub workers: BTreeMap<u32, Named>,
}

/// A slice of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceRow {
    /// Its number.
    #[serde(with = "hex")]
    pub id: u64,
    /// Its first point.
    #[serde(with = "hex")]
    pub first: u64,
    /// Its last point.
    #[serde(with = "hex")]
    pub last: u64,
    /// Its owner's number.
    pub owner: u32,
    /// What requests for it must say.
    pub epoch: u64,
    /// Whether requests for it wait.
    #[serde(default)]
    pub sealed: bool,
    /// The move that it is in.
    #[serde(default, with = "hex_option", skip_serializing_if = "Option::is_none")]
    pub moving: Option<u64>,
}

/// A move, as the store had it at the moment of asking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveNow {
    /// Its number.
    #[serde(rename = "move", with = "hex")]
    pub id: u64,
    /// What stands there; none: there is no such move.
    pub record: Option<MoveText>,
}

/// Why a table that came is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableTextError {
    /// Its slices do not tile the space.
    #[error(transparent)]
    Slices(#[from] TableError),
    /// A slice without points.
    #[error("slice {0:016x} ends before it begins")]
    Range(u64),
    /// Keys lie elsewhere than is known here.
    #[error("its keys are hashed by `{0}`, which is not known here: a newer version may have made it")]
    Hash(String),
}

impl SliceRow {
    /// Of a slice.
    #[must_use]
    pub fn of(SliceId(id): SliceId, slice: Slice) -> Self {
        let Slice { range, owner, epoch, moving, sealed } = slice;
        let (first, last, moving) = (range.first().0, range.last().0, moving.map(|MoveId(number)| number));
        Self { id, first, last, owner: owner.0, epoch: epoch.0, sealed, moving }
    }
}

impl TableText {
    /// As core looks slices up.
    ///
    /// # Errors
    /// They do not tile the space, or lie by another hash.
    pub fn table(&self) -> Result<Table, TableTextError> {
        if self.hash != super::records::XXH3_64 {
            return Err(TableTextError::Hash(self.hash.clone()));
        }
        let slice = |row: &SliceRow| {
            let range = Range::new(Point(row.first), Point(row.last)).ok_or(TableTextError::Range(row.id))?;
            let (owner, epoch) = (WorkerId(row.owner), Epoch(row.epoch));
            let (moving, sealed) = (row.moving.map(MoveId), row.sealed);
            Ok((SliceId(row.id), Slice { range, owner, epoch, moving, sealed }))
        };
        let slices = self.slices.iter().map(slice).collect::<Result<_, TableTextError>>()?;
        Ok(Table::new(Revision(self.revision), slices)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> TableText {
        let slice = |id, first, last, owner| {
            let range = Range::new(Point(first), Point(last)).expect("in order");
            let (epoch, moving) = (Epoch(3), (id == 2).then_some(MoveId(9)));
            SliceRow::of(SliceId(id), Slice { range, owner: WorkerId(owner), epoch, moving, sealed: moving.is_some() })
        };
        let named = Named { name: "w1".to_owned(), address: "http://10.0.0.1:9000".to_owned() };
        TableText {
            map_id: 7,
            keyspace: "carts".to_owned(),
            hash: super::super::records::XXH3_64.to_owned(),
            revision: 17,
            slices: vec![slice(1, 0, 99, 1), slice(2, 100, u64::MAX, 1)],
            workers: BTreeMap::from([(1, named)]),
        }
    }

    #[test]
    fn a_table_comes_back_as_it_went() {
        let json = serde_json::to_string(&text()).expect("it is JSON");
        assert_eq!(serde_json::from_str::<TableText>(&json).expect("it is one"), text());
        let table = text().table().expect("it tiles the space");
        let (id, slice) = table.look_up(Point(100));
        assert_eq!((id, slice.epoch, slice.moving, slice.sealed), (SliceId(2), Epoch(3), Some(MoveId(9)), true));
        assert_eq!(table.revision(), Revision(17));
    }

    #[test]
    fn a_table_with_a_hole_or_by_another_hash_is_refused() {
        let mut holed = text();
        holed.slices.pop();
        assert!(matches!(holed.table(), Err(TableTextError::Slices(_))));
        let other = TableText { hash: "crc16".to_owned(), ..text() };
        assert!(matches!(other.table(), Err(TableTextError::Hash(_))));
    }
}
