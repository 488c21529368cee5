//! The table of a keyspace's slices on its way to gateways: whole at first, then what is another than in the one before. A move changes one
//! slice at a time, of up to 16,384.
//!
//! ```text
//! whole    from = 0, all slices, all workers
//! after    from = the revision that it follows: slices by number that are another or came, numbers that are gone, all workers if one is
//!          another
//! ```
//! Whoever has another revision than `from`, or another map, takes nothing and comes again: it is greeted with the whole. What is put
//! together must tile the space, else it is not believed.

use std::collections::{BTreeMap, HashMap, HashSet};

use ambidex_core::shard::table::MOST_SLICES;
use prost::Message;

use crate::shard::records::Named;
use crate::shard::table::{SliceRow, TableText, TableTextError};

/// A table, or what is another than in the one before.
#[derive(Clone, PartialEq, Message)]
pub struct TableNews {
    /// Of which keyspace.
    #[prost(string, tag = "1")]
    pub keyspace: String,
    /// Of which map.
    #[prost(fixed64, tag = "2")]
    pub map_id: u64,
    /// By which function keys lie in the space.
    #[prost(string, tag = "3")]
    pub hash: String,
    /// The revision that it follows; 0: it is whole.
    #[prost(uint64, tag = "4")]
    pub from: u64,
    /// The revision with it.
    #[prost(uint64, tag = "5")]
    pub revision: u64,
    /// Slices that are another, or came.
    #[prost(message, repeated, tag = "6")]
    pub slices: Vec<SliceNews>,
    /// Numbers of slices that are gone.
    #[prost(fixed64, repeated, tag = "7")]
    pub gone: Vec<u64>,
    /// All workers, if one is another.
    #[prost(message, optional, tag = "8")]
    pub workers: Option<WorkersNews>,
}

/// One slice.
#[derive(Clone, PartialEq, Message)]
#[expect(missing_docs, reason = "the fields are those of `SliceRow`")]
pub struct SliceNews {
    #[prost(fixed64, tag = "1")]
    pub id: u64,
    #[prost(fixed64, tag = "2")]
    pub first: u64,
    #[prost(fixed64, tag = "3")]
    pub last: u64,
    #[prost(uint32, tag = "4")]
    pub owner: u32,
    #[prost(uint64, tag = "5")]
    pub epoch: u64,
    #[prost(bool, tag = "6")]
    pub sealed: bool,
    #[prost(fixed64, optional, tag = "7")]
    pub moving: Option<u64>,
}

/// All workers that the table names.
#[derive(Clone, PartialEq, Message)]
pub struct WorkersNews {
    /// Each of them.
    #[prost(message, repeated, tag = "1")]
    pub workers: Vec<WorkerNews>,
}

/// One worker.
#[derive(Clone, PartialEq, Message)]
pub struct WorkerNews {
    /// Its number in the map.
    #[prost(uint32, tag = "1")]
    pub id: u32,
    /// What its pool calls it.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Its URL.
    #[prost(string, tag = "3")]
    pub address: String,
}

/// A table that a gateway has.
#[derive(Clone, PartialEq, Message)]
pub struct KnownTable {
    /// Of which keyspace.
    #[prost(string, tag = "1")]
    pub keyspace: String,
    /// Of which map; nothing where there is none yet.
    #[prost(fixed64, tag = "2")]
    pub map_id: u64,
    /// Its revision; 0: there is none yet.
    #[prost(uint64, tag = "3")]
    pub revision: u64,
}

/// Why news make no table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableNewsError {
    /// They follow another one.
    #[error("the table of `{keyspace}` follows revision {from}, and {here} is here")]
    Gap {
        /// Of which keyspace.
        keyspace: String,
        /// Which they follow.
        from: u64,
        /// Which is here; 0: none.
        here: u64,
    },
    /// More than a keyspace has.
    #[error("the table of `{0}` names more than {MOST_SLICES} slices, or more than {MOST_WORKERS} workers")]
    TooMany(String),
    /// What they make.
    #[error("the table of `{0}`: {1}")]
    Table(String, #[source] TableTextError),
}

impl TableNews {
    /// All of a table.
    #[must_use]
    pub fn whole(table: &TableText) -> Self {
        Self {
            from: 0,
            slices: table.slices.iter().map(SliceNews::of).collect(),
            workers: Some(WorkersNews::of(&table.workers)),
            ..Self::head(table)
        }
    }

    /// What makes this table of an `old` one; none where only the whole does.
    #[must_use]
    pub fn since(table: &TableText, old: &TableText) -> Option<Self> {
        let follows =
            old.map_id == table.map_id && old.hash == table.hash && (1..table.revision).contains(&old.revision);
        if !follows {
            return None;
        }
        let known: HashMap<u64, &SliceRow> = old.slices.iter().map(|row| (row.id, row)).collect();
        let stay: HashSet<u64> = table.slices.iter().map(|row| row.id).collect();
        let another = table.slices.iter().filter(|row| known.get(&row.id) != Some(row));
        Some(Self {
            from: old.revision,
            slices: another.map(SliceNews::of).collect(),
            gone: old.slices.iter().map(|row| row.id).filter(|id| !stay.contains(id)).collect(),
            workers: (old.workers != table.workers).then(|| WorkersNews::of(&table.workers)),
            ..Self::head(table)
        })
    }

    fn head(table: &TableText) -> Self {
        Self {
            keyspace: table.keyspace.clone(),
            map_id: table.map_id,
            hash: table.hash.clone(),
            revision: table.revision,
            ..Self::default()
        }
    }

    /// The table that they make of the one that is here.
    ///
    /// # Errors
    /// They do not follow it, or what they make is no table.
    pub fn table(self, here: Option<&TableText>) -> Result<TableText, TableNewsError> {
        let Self { keyspace, map_id, hash, from, revision, slices, gone, workers } = self;
        if slices.len() > MOST_SLICES || workers.as_ref().is_some_and(|all| all.workers.len() > MOST_WORKERS) {
            return Err(TableNewsError::TooMany(keyspace));
        }
        let (mut rows, before) = match here.filter(|here| from > 0 && here.map_id == map_id && here.revision == from) {
            _ if from == 0 => (Vec::new(), BTreeMap::new()),
            Some(here) => {
                let anew: HashSet<u64> = slices.iter().map(|slice| slice.id).chain(gone).collect();
                let stay = here.slices.iter().filter(|row| !anew.contains(&row.id));
                (stay.cloned().collect(), here.workers.clone())
            }
            None => {
                let here = here.map_or(0, |here| here.revision);
                return Err(TableNewsError::Gap { keyspace, from, here });
            }
        };
        rows.extend(slices.into_iter().map(SliceRow::from));
        rows.sort_unstable_by_key(|row: &SliceRow| row.first);
        let workers = workers.map_or(before, WorkersNews::named);
        let table = TableText { map_id, keyspace, hash, revision, slices: rows, workers };
        match table.table() {
            Ok(_) => Ok(table),
            Err(why) => Err(TableNewsError::Table(table.keyspace, why)),
        }
    }
}

impl SliceNews {
    fn of(row: &SliceRow) -> Self {
        let SliceRow { id, first, last, owner, epoch, sealed, moving } = *row;
        Self { id, first, last, owner, epoch, sealed, moving }
    }
}

impl From<SliceNews> for SliceRow {
    fn from(news: SliceNews) -> Self {
        let SliceNews { id, first, last, owner, epoch, sealed, moving } = news;
        Self { id, first, last, owner, epoch, sealed, moving }
    }
}

impl WorkersNews {
    fn of(workers: &BTreeMap<u32, Named>) -> Self {
        let news = |(id, named): (&u32, &Named)| WorkerNews {
            id: *id,
            name: named.name.clone(),
            address: named.address.clone(),
        };
        Self { workers: workers.iter().map(news).collect() }
    }

    fn named(self) -> BTreeMap<u32, Named> {
        let named = |news: WorkerNews| (news.id, Named { name: news.name, address: news.address });
        self.workers.into_iter().map(named).collect()
    }
}

/// Workers that a table may name. Source: ours; ten times R-C6.
const MOST_WORKERS: usize = 100_000;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::shard::records::XXH3_64;

    /// A table whose slices begin where `cuts` say, each with a number made of its first point and some owner.
    fn table(revision: u64, cuts: &BTreeSet<u8>, owners: &[u8], workers: u8) -> TableText {
        let firsts: Vec<u64> = [0].into_iter().chain(cuts.iter().map(|cut| (u64::from(*cut) + 1) << 32)).collect();
        let row = |(at, first): (usize, &u64)| SliceRow {
            id: first + 1,
            first: *first,
            last: firsts.get(at + 1).map_or(u64::MAX, |next| next - 1),
            owner: u32::from(owners[at % owners.len()]),
            epoch: 1 + u64::from(owners[at % owners.len()]),
            sealed: owners[at % owners.len()].is_multiple_of(2),
            moving: None,
        };
        let named = |id: u8| (u32::from(id), Named { name: format!("w{id}"), address: format!("http://w{id}:1") });
        TableText {
            map_id: 7,
            keyspace: "carts".to_owned(),
            hash: XXH3_64.to_owned(),
            revision,
            slices: firsts.iter().enumerate().map(row).collect(),
            workers: (0..workers).map(named).collect(),
        }
    }

    fn small(revision: u64) -> TableText {
        table(revision, &BTreeSet::from([3, 9]), &[1, 2], 3)
    }

    #[test]
    fn what_follows_another_revision_or_another_map_is_not_taken() {
        let news = TableNews::since(&small(9), &small(5)).expect("it follows");
        assert_eq!(news.clone().table(Some(&small(5))), Ok(small(9)));
        let gap = |here| TableNewsError::Gap { keyspace: "carts".to_owned(), from: 5, here };
        assert_eq!(news.clone().table(Some(&small(6))), Err(gap(6)));
        assert_eq!(news.clone().table(None), Err(gap(0)));
        assert_eq!(news.table(Some(&TableText { map_id: 8, ..small(5) })), Err(gap(5)));
    }

    #[test]
    fn another_map_and_a_revision_that_went_back_are_told_whole() {
        assert_eq!(TableNews::since(&small(9), &TableText { map_id: 8, ..small(5) }), None);
        assert_eq!(TableNews::since(&small(5), &small(5)), None);
        assert_eq!(TableNews::since(&small(4), &small(5)), None);
        assert_eq!(TableNews::whole(&small(4)).table(Some(&small(5))), Ok(small(4)));
    }

    #[test]
    fn what_does_not_tile_the_space_is_not_believed() {
        let mut news = TableNews::whole(&small(9));
        news.slices.pop();
        assert!(matches!(news.table(None), Err(TableNewsError::Table(..))));
        let mut news = TableNews::since(&small(9), &small(5)).expect("it follows");
        news.gone.push(1);
        assert!(matches!(news.table(Some(&small(5))), Err(TableNewsError::Table(..))));
        let endless = vec![SliceNews::default(); MOST_SLICES + 1];
        let news = TableNews { slices: endless, ..TableNews::whole(&small(9)) };
        assert_eq!(news.table(None), Err(TableNewsError::TooMany("carts".to_owned())));
    }

    #[test]
    fn one_slice_that_moves_is_told_alone() {
        let (old, mut new) = (small(5), small(6));
        new.slices[1].epoch += 1;
        let news = TableNews::since(&new, &old).expect("it follows");
        assert_eq!((news.slices.len(), news.gone.len(), news.workers.is_none()), (1, 0, true));
    }

    proptest! {
        #[test]
        fn news_make_the_new_table_of_the_old_one(
            old: BTreeSet<u8>,
            new: BTreeSet<u8>,
            owners in prop::collection::vec(0..4_u8, 1..5),
            others in prop::collection::vec(0..4_u8, 1..5),
            workers in 0..4_u8,
        ) {
            let (old, new) = (table(5, &old, &owners, 2), table(6, &new, &others, workers));
            let bytes = TableNews::since(&new, &old).expect("it follows").encode_to_vec();
            let news = TableNews::decode(&*bytes).expect("ours");
            prop_assert_eq!(news.table(Some(&old)), Ok(new.clone()));
            prop_assert_eq!(TableNews::whole(&new).table(None), Ok(new));
        }

        #[test]
        fn no_bytes_make_a_table_that_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(news) = TableNews::decode(&*bytes) {
                drop(news.clone().table(None));
                drop(TableNews { from: 5, ..news }.table(Some(&small(5))));
            }
        }
    }
}
