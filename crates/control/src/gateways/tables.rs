//! Tables of keyspaces for gateways: to each the whole once, and to all what is another since, as soon as a mover shows it.
//!
//! Their revisions are the metadata store's. Between a coordinator and its gateways each table has a number besides, which only grows: another
//! map begins with any revision.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use ambidex_wire::shard::table::TableText;
use ambidex_wire::subscription::TableNews;
use bytes::Bytes;
use tokio::task::JoinSet;

use super::news::{Sent, Topic};
use super::{Gateways, encode};

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct TablesTold {
    /// Under which term.
    term: u64,
    /// Of the table that was told last.
    number: u64,
    keyspaces: BTreeMap<Arc<str>, Told>,
}

#[derive(Debug)]
struct Told {
    table: Arc<TableText>,
    number: u64,
    /// The whole table, once somebody wanted it.
    whole: Option<Bytes>,
}

/// A table for who has none, or lost count.
#[derive(Debug)]
pub(super) struct Latest {
    /// Its number.
    pub(super) number: u64,
    /// All of it.
    pub(super) whole: Bytes,
    map_id: u64,
    revision: u64,
}

impl TablesTold {
    /// Takes a table that a mover shows; what is to be told of it under this term.
    pub(super) fn take(&mut self, table: Arc<TableText>, term: u64) -> Option<Sent> {
        if std::mem::replace(&mut self.term, term) != term {
            self.keyspaces.clear();
        }
        let before = self.keyspaces.get(table.keyspace.as_str());
        if before.is_some_and(|before| Arc::ptr_eq(&before.table, &table)) {
            return None;
        }
        self.number += 1;
        let keyspace: Arc<str> = table.keyspace.as_str().into();
        let mut told = Told { table, number: self.number, whole: None };
        let news = before.and_then(|before| Some((before.number, TableNews::since(&told.table, &before.table)?)));
        let (from, message) = match news {
            Some((from, news)) => (Some(from), encode::table(news, term)),
            None => (None, told.whole(term)),
        };
        self.keyspaces.insert(Arc::clone(&keyspace), told);
        let about = Some(Topic::Keyspace(keyspace));
        Some(Sent { term, about, from, revision: self.number, messages: [message].into() })
    }

    /// The whole table of a keyspace.
    pub(super) fn latest(&mut self, keyspace: &str) -> Option<Latest> {
        let term = self.term;
        let told = self.keyspaces.get_mut(keyspace)?;
        let whole = told.whole(term);
        Some(Latest { number: told.number, whole, map_id: told.table.map_id, revision: told.table.revision })
    }
}

impl Told {
    fn whole(&mut self, term: u64) -> Bytes {
        self.whole.get_or_insert_with(|| encode::table(TableNews::whole(&self.table), term)).clone()
    }
}

impl Latest {
    /// Whether it is this one.
    pub(super) fn is(&self, map_id: u64, revision: u64) -> bool {
        (self.map_id, self.revision) == (map_id, revision)
    }
}

impl Gateways {
    /// What was told of tables, once what movers show now is told as well.
    pub(super) fn tables(&self, term: u64) -> MutexGuard<'_, TablesTold> {
        let mut told = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        for board in self.shared.boards.get().into_iter().flat_map(BTreeMap::values) {
            let shown = board.tables().borrow().clone();
            if let Some(sent) = shown.and_then(|table| told.take(table, term)) {
                // While it is locked, so that all get them in order.
                self.send(sent);
            }
        }
        told
    }

    /// Whether this process has a mover of the keyspace.
    pub(super) fn decides_about(&self, keyspace: &str) -> bool {
        self.shared.boards.get().is_some_and(|boards| boards.contains_key(keyspace))
    }
}

/// Tells all gateways of each table, until it is dropped.
pub(super) async fn tell(gateways: &Arc<Gateways>) {
    let mut all = JoinSet::new();
    for board in gateways.shared.boards.get().into_iter().flat_map(BTreeMap::values) {
        let (ours, mut tables) = (Arc::clone(gateways), board.tables());
        all.spawn(async move {
            while tables.changed().await.is_ok() {
                drop(tables.borrow_and_update());
                // Who leads later tells all of it when gateways come.
                if let Some(term) = ours.shared.leadership.may_publish() {
                    drop(ours.tables(term));
                }
            }
        });
    }
    while all.join_next().await.is_some() {}
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use ambidex_wire::shard::records::{Named, XXH3_64};
    use ambidex_wire::shard::table::SliceRow;
    use ambidex_wire::subscription::{Down, Told as Said};
    use prost::Message as _;

    use super::*;

    fn table(map_id: u64, revision: u64) -> Arc<TableText> {
        let moving = None;
        let row = SliceRow { id: 1, first: 0, last: u64::MAX, owner: 1, epoch: revision, sealed: false, moving };
        let named = Named { name: "a".to_owned(), address: "http://a:1".to_owned() };
        Arc::new(TableText {
            map_id,
            keyspace: "carts".to_owned(),
            hash: XXH3_64.to_owned(),
            revision,
            slices: vec![row],
            workers: BTreeMap::from([(1, named)]),
        })
    }

    fn news(bytes: &Bytes) -> TableNews {
        match Down::decode(&**bytes).expect("ours").told {
            Some(Said::Table(news)) => news,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_change_follows_what_was_told_and_another_map_begins_anew() {
        let mut told = TablesTold::default();
        let first = told.take(table(1, 5), 3).expect("news");
        assert_eq!((first.from, first.revision, news(&first.messages[0]).from), (None, 1, 0));
        let second = told.take(table(1, 8), 3).expect("news");
        assert_eq!((second.from, second.revision, news(&second.messages[0]).from), (Some(1), 2, 5));
        let other = told.take(table(2, 4), 3).expect("news");
        assert_eq!((other.from, other.revision, news(&other.messages[0]).from), (None, 3, 0));
        let latest = told.latest("carts").expect("told");
        assert!(latest.number == 3 && latest.is(2, 4) && !latest.is(1, 8));
        assert!(told.latest("cats").is_none());
    }

    #[test]
    fn what_was_told_under_another_term_is_followed_by_nothing() {
        let mut told = TablesTold::default();
        let shown = table(1, 5);
        assert!(told.take(Arc::clone(&shown), 3).is_some());
        assert!(told.take(Arc::clone(&shown), 3).is_none());
        let again = told.take(shown, 4).expect("said under this term");
        assert_eq!((again.from, again.revision, again.term), (None, 2, 4));
    }
}
