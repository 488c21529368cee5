//! What every metadata store must give, asked of each: by core's store in memory, on the disk, and in a real etcd.

mod peer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::draw::Draw;
use ambidex_core::shard::records::{Epoch, Key, Leader, MoveId, Record, Slice, SliceId};
use ambidex_core::shard::space::Range;
use ambidex_core::shard::store::{Compare, MemoryStore, Outcome, Revision, Transaction, Write};
use ambidex_core::worker::WorkerId;
use ambidex_store::shards::{Change, EmbeddedMetadata, EmbeddedOpenError, EtcdMetadata};
use ambidex_store::shards::{MemoryMetadata, Metadata, MetadataError, Picture, Written};
use ambidex_wire::shard::records::{Map, Named, Path, Value, XXH3_64};
use tempfile::TempDir;

use peer::Etcd;

fn within<T>(run: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(SOON, run).await.expect("in time") })
}

const SOON: Duration = Duration::from_secs(60);

fn slice(owner: u32) -> Record {
    let (owner, moving) = (WorkerId(owner), owner.is_multiple_of(2).then_some(MoveId(9)));
    Record::Slice(Slice { range: Range::ALL, owner, epoch: Epoch(1), moving, sealed: moving.is_some() })
}

fn keys() -> [Key; 4] {
    [Key::Leader, Key::Ids, Key::Slice(SliceId(1)), Key::Slice(SliceId(u64::MAX))]
}

fn record(draw: &mut Draw, key: Key) -> Record {
    let number = u32::try_from(draw.below(1_000)).expect("small");
    match key {
        Key::Leader => Record::Leader(Leader { who: number, term: 1 }),
        Key::Slice(_) => slice(number),
        Key::Ids | Key::Worker(_) | Key::Move(_) => Record::Ids(u64::from(number)),
    }
}

/// Does the same to a store and to core's own, and compares outcomes and contents. Revisions are other numbers in the same order.
async fn agrees_with_core(store: &dyn Metadata, seed: u64) {
    let (mut draw, mut ours, mut theirs) = (Draw::seeded(seed), MemoryStore::new(), BTreeMap::new());
    for step in 0..150 {
        let mut transaction = Transaction::default();
        let mut change = Change::default();
        for key in keys() {
            if draw.below(2) == 0 {
                let known = ours.revision_of(key);
                // Now and then one that is past.
                let is = if draw.below(8) == 0 { Revision(known.0.saturating_sub(1)) } else { known };
                transaction.compares.push(Compare { key, is });
                let is = theirs.get(&is).copied().unwrap_or(Revision(if is == Revision::ABSENT {
                    0
                } else {
                    u64::MAX >> 1
                }));
                change.compares.push((Path::Record(key), is));
            }
            if draw.below(3) == 0 {
                let record = (draw.below(4) > 0).then(|| record(&mut draw, key));
                transaction.writes.push(Write { key, record });
                change.writes.push((Path::Record(key), record.map(Value::Record)));
            }
        }
        if transaction.writes.is_empty() {
            continue;
        }
        let done = store.transact(change).await.expect("it answers");
        match (ours.transact(&transaction), done) {
            (Outcome::Done(mine), Outcome::Done(its)) => {
                let last = theirs.last_key_value().map_or(Revision::ABSENT, |(_, its)| *its);
                // Where nothing was there to be taken away, etcd has written nothing.
                let wrote = transaction.writes.iter().any(|write| write.record.is_some());
                assert!(its > last || (!wrote && its == last), "seed {seed}, step {step}: a revision was given twice");
                theirs.insert(mine, its);
            }
            (Outcome::Refused, Outcome::Refused) => {}
            (mine, its) => panic!("seed {seed}, step {step}: {mine:?} by core, {its:?} by the store"),
        }
        let paths = keys().map(Path::Record).to_vec();
        let (some, all) = (store.read(paths).await.expect("it answers"), store.list().await.expect("it answers"));
        let wanted: BTreeMap<Path, (Revision, Value)> = ours
            .iter()
            .map(|(key, revision, record)| (Path::Record(key), (theirs[&revision], Value::Record(record))))
            .collect();
        assert_eq!(some.items, wanted, "seed {seed}, step {step}: of these paths");
        assert_eq!(all.items, wanted, "seed {seed}, step {step}: of all");
    }
}

/// Watches from the beginning, while others write.
async fn tells_everything_in_order(store: Arc<dyn Metadata>) {
    let before = store.list().await.expect("it answers");
    let mut watch = store.watch(before.revision).await.expect("it can be watched");
    let mut seen = before.clone();
    let writer = Arc::clone(&store);
    let writing = tokio::spawn(async move {
        let mut draw = Draw::seeded(1);
        for at in 0..50_u64 {
            let key = Key::Slice(SliceId(at % 5));
            let change = Change::default().put_record(key, record(&mut draw, key));
            let change = if at % 7 == 3 { change.take_away(Path::Record(Key::Ids)) } else { change };
            let change = if at % 7 == 4 { change.put_record(Key::Ids, Record::Ids(at)) } else { change };
            writer.transact(change).await.expect("it answers");
        }
        writer.list().await.expect("it answers")
    });
    let mut last = before.revision;
    let mut told = 0;
    while told < 50 {
        let written = watch.next().await.expect("it goes on");
        assert!(written.revision > last, "in order, and one change at once");
        last = written.revision;
        told += 1;
        seen.take(&written);
    }
    let after = writing.await.expect("it writes");
    assert_eq!(seen.items, after.items);
    // From a later moment only what came after it.
    let mut late = store.watch(after.revision).await.expect("it can be watched");
    let done = store.transact(Change::default().put_record(Key::Ids, Record::Ids(99))).await;
    let Ok(Outcome::Done(revision)) = done else { panic!("{done:?}") };
    let writes = vec![(Path::Record(Key::Ids), Some(Value::Record(Record::Ids(99))))];
    assert_eq!(late.next().await, Ok(Written { revision, writes }));
}

/// What is beside the protocol's own records.
async fn keeps_names_and_the_map(store: &dyn Metadata) {
    let named = Named { name: "w1".to_owned(), address: "http://127.0.0.1:1".to_owned() };
    let map = Map { id: 7, keyspace: "carts".to_owned(), hash: XXH3_64.to_owned() };
    let name = Path::Name(WorkerId(3));
    let give = Change::default()
        .if_still(name, Revision::ABSENT)
        .put(name, Value::Name(named.clone()))
        .put(Path::Map, Value::Map(map.clone()));
    assert!(matches!(store.transact(give.clone()).await, Ok(Outcome::Done(_))));
    assert_eq!(store.transact(give).await, Ok(Outcome::Refused), "a number is given once");
    let picture = store.list().await.expect("it answers");
    assert_eq!((picture.number_of("w1"), picture.map()), (Some(WorkerId(3)), Some(&map)));
    assert_eq!(picture.names().collect::<Vec<_>>(), [(WorkerId(3), &named)]);
    store.transact(Change::default().take_away(name).take_away(Path::Map)).await.expect("it answers");
}

async fn conforms(store: Arc<dyn Metadata>) {
    keeps_names_and_the_map(&*store).await;
    tells_everything_in_order(Arc::clone(&store)).await;
}

async fn emptied(store: &dyn Metadata) {
    let all = store.list().await.expect("it answers");
    let change = all.items.keys().fold(Change::default(), |change, path| change.take_away(*path));
    store.transact(change).await.expect("it answers");
}

#[test]
fn a_store_in_memory_does_as_cores() {
    for seed in 0..20 {
        within(agrees_with_core(&MemoryMetadata::new(), seed));
    }
    within(conforms(Arc::new(MemoryMetadata::new())));
}

#[test]
fn a_store_on_the_disk_does_as_cores() {
    for seed in 0..3 {
        let folder = TempDir::new().expect("a folder");
        let store = EmbeddedMetadata::open(folder.path()).expect("it opens");
        within(agrees_with_core(&store, seed));
    }
    let folder = TempDir::new().expect("a folder");
    within(conforms(Arc::new(EmbeddedMetadata::open(folder.path()).expect("it opens"))));
}

#[test]
fn a_store_in_an_etcd_does_as_cores() {
    let etcd = Etcd::start();
    within(async {
        let store = EtcdMetadata::new(etcd.client(), "/maps/carts");
        // Another map beside it is none of its business.
        let beside = EtcdMetadata::new(etcd.client(), "/maps/carts2/");
        beside.transact(Change::default().put_record(Key::Ids, Record::Ids(1))).await.expect("it answers");
        for seed in 0..3 {
            agrees_with_core(&store, seed).await;
            emptied(&store).await;
        }
        conforms(Arc::new(store)).await;
        assert_eq!(beside.list().await.expect("it answers").ids().map(|(_, highest)| highest), Some(1));
    });
}

#[test]
fn what_was_done_is_there_after_a_restart_and_no_revision_is_given_again() {
    let folder = TempDir::new().expect("a folder");
    let before = within(async {
        let store = EmbeddedMetadata::open(folder.path()).expect("it opens");
        agrees_with_core(&store, 5).await;
        // The last change takes away: its revision is in no record.
        emptied(&store).await;
        store.transact(Change::default().put_record(Key::Ids, Record::Ids(3))).await.expect("it answers");
        store.transact(Change::default().take_away(Path::Record(Key::Ids))).await.expect("it answers");
        store.list().await.expect("it answers")
    });
    within(async {
        let store = EmbeddedMetadata::open(folder.path()).expect("it opens");
        assert_eq!(store.list().await.expect("it answers"), before);
        let done = store.transact(Change::default().put_record(Key::Ids, Record::Ids(4))).await;
        assert_eq!(done, Ok(Outcome::Done(Revision(before.revision.0 + 1))));
    });
}

#[test]
fn a_folder_that_another_store_has_open_is_refused_with_what_to_do() {
    let folder = TempDir::new().expect("a folder");
    let _first = EmbeddedMetadata::open(folder.path()).expect("it opens");
    let second = EmbeddedMetadata::open(folder.path());
    let Err(EmbeddedOpenError::InUse(_)) = second else { panic!("{second:?}") };
}

#[test]
fn who_is_too_far_behind_lists_anew() {
    within(async {
        let store = MemoryMetadata::new();
        let mut watch = store.watch(Revision::ABSENT).await.expect("it can be watched");
        for at in 0..2_000 {
            store.transact(Change::default().put_record(Key::Ids, Record::Ids(at))).await.expect("it answers");
        }
        assert_eq!(watch.next().await, Err(MetadataError::Forgotten));
    });
}

#[test]
fn an_etcd_that_has_compacted_says_so_to_who_watches_from_before() {
    let etcd = Etcd::start();
    within(async {
        let store = EtcdMetadata::new(etcd.client(), "/maps/carts");
        let before = store.list().await.expect("it answers");
        for at in 0..3 {
            store.transact(Change::default().put_record(Key::Ids, Record::Ids(at))).await.expect("it answers");
        }
        etcd.compact();
        let mut watch = store.watch(before.revision).await.expect("it can be watched");
        assert_eq!(watch.next().await, Err(MetadataError::Forgotten));
    });
}

#[test]
fn an_etcd_that_is_frozen_or_away_is_an_error_in_time_and_what_it_did_is_read_afterwards() {
    let mut etcd = Etcd::start();
    within(async {
        let store = EtcdMetadata::new(etcd.client(), "/maps/carts");
        let known = store.list().await.expect("it answers").revision;
        let first = Change::default().put_record(Key::Ids, Record::Ids(1));
        assert!(matches!(store.transact(first).await, Ok(Outcome::Done(revision)) if revision > known));
        etcd.signal("STOP");
        let asked = Change::default().put_record(Key::Ids, Record::Ids(2));
        let unknown = store.transact(asked).await;
        assert!(matches!(unknown, Err(MetadataError::Away(_))), "{unknown:?}");
        assert!(matches!(store.list().await, Err(MetadataError::Away(_))));
        etcd.signal("CONT");
        // It had the question all the while; whether it did it, only a read says.
        let highest = until(|| async { store.list().await.ok()?.ids() }).await.1;
        assert!(matches!(highest, 1 | 2), "{highest}");
        etcd.stop();
        let away = store.read(vec![Path::Record(Key::Ids)]).await;
        assert!(matches!(away, Err(MetadataError::Away(_))), "{away:?}");
        etcd.begin();
        let again = until(|| async { store.list().await.ok()?.ids() }).await.1;
        assert!(again >= highest, "{again} after {highest}: what was read once stays");
    });
}

#[test]
fn a_guarded_etcd_is_spoken_to_over_tls_with_user_and_password() {
    let etcd = Etcd::guarded("canary-of-the-password");
    within(async {
        let store = EtcdMetadata::new(etcd.client(), "/maps/carts");
        until(|| async { store.list().await.ok() }).await;
        let done = store.transact(Change::default().put_record(Key::Ids, Record::Ids(1))).await;
        assert!(matches!(done, Ok(Outcome::Done(_))), "{done:?}");
        etcd.forget_password();
        let stranger = EtcdMetadata::new(etcd.client(), "/maps/carts");
        let refused = stranger.list().await;
        let Err(MetadataError::Refused(why)) = refused else { panic!("{refused:?}") };
        assert!(why.contains("authentication failed") && !why.contains("canary"), "{why}");
    });
}

#[test]
fn what_somebody_else_has_written_under_the_prefix_is_told_by_its_path_and_left_alone() {
    let etcd = Etcd::start();
    etcd.put("/maps/carts/slices/0000000000000001", r#"{"from":"elsewhere"}"#);
    within(async {
        let store = EtcdMetadata::new(etcd.client(), "/maps/carts");
        let read: Result<Picture, MetadataError> = store.list().await;
        let Err(MetadataError::Record(why)) = read else { panic!("{read:?}") };
        assert!(why.to_string().contains("slices/0000000000000001"), "{why}");
    });
}

/// Asks until there is an answer.
async fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    loop {
        match ask().await {
            Some(answer) => return answer,
            None => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
