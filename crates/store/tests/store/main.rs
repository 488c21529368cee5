//! The store from outside: bounds, restarts, a process that is killed, a disk that is full; the shared server.

mod remote;
mod reviews;
mod shards;

use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ambidex_core::size::Size;
use ambidex_core::time::Span;
use ambidex_store::{Condition, Entry, Limits, OpenError, Order, Query, Store};

const SOON: Duration = Duration::from_secs(30);

fn limits() -> Limits {
    Limits { max_bytes: Size::mib(64), max_age: Span::from_secs(3_600) }
}

fn open(folder: &Path) -> Store {
    Store::open(folder, limits()).expect("a store")
}

fn all(store: &Store) -> Vec<Entry> {
    store.journal.read(&Query::default()).expect("readable")
}

#[test]
fn what_was_appended_is_read_back_after_a_restart_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    for at in 0..100_u8 {
        assert!(store.journal.append(at % 3, 1_000 + u64::from(at), vec![at]).is_some());
    }
    assert!(store.close(SOON));
    let store = open(folder.path());
    let entries = all(&store);
    assert_eq!(entries.iter().map(|entry| entry.bytes[0]).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    assert!(entries.windows(2).all(|pair| pair[0].sequence < pair[1].sequence));
    let next = store.journal.append(0, 2_000, vec![]).expect("room");
    assert!(next > entries[99].sequence);
}

#[test]
fn a_query_finds_by_kind_time_order_and_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    for at in 0..100_u8 {
        store.journal.append(at % 3, u64::from(at) * 10, vec![at]);
    }
    assert!(store.flush(SOON));
    let query = Query { kinds: vec![1], wall_millis: 200..=800, order: Order::Newest, limit: 2, ..Query::default() };
    let found = store.journal.read(&query).expect("readable");
    assert_eq!(found.iter().map(|entry| entry.bytes[0]).collect::<Vec<_>>(), [79, 76]);
    let from = found[1].sequence;
    let query = Query { sequences: from + 1..=from + 3, ..Query::default() };
    assert_eq!(store.journal.read(&query).expect("readable").len(), 3);
}

#[test]
fn the_oldest_records_go_when_there_are_too_many_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let small = Limits { max_bytes: Size::kib(256), max_age: Span::from_secs(3_600) };
    let store = Store::open(folder.path(), small).expect("a store");
    for round in 0..40_u64 {
        for at in 0..100 {
            assert!(store.journal.append(0, round * 100 + at, vec![7; 1_000]).is_some());
        }
        assert!(store.flush(SOON));
        assert!(store.status().bytes <= small.max_bytes.get(), "{:?}", store.status());
    }
    let entries = all(&store);
    assert_eq!(entries.last().expect("some").wall_millis, 3_999);
    let bytes: usize = entries.iter().map(|entry| entry.bytes.len()).sum();
    assert!((200 << 10..=256 << 10).contains(&bytes), "{bytes}");
    assert!(store.close(SOON));
    let store = Store::open(folder.path(), small).expect("a store");
    assert_eq!(all(&store).len(), entries.len());
}

#[test]
fn records_beyond_the_greatest_age_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    let hour = 3_600_000;
    for at in 0..10_000 {
        store.journal.append(0, at, vec![0; 1_000]);
        if at % 1_000 == 0 {
            assert!(store.flush(SOON));
        }
    }
    store.journal.append(0, hour + 5_000, vec![]);
    assert!(store.flush(SOON));
    let oldest = all(&store)[0].wall_millis;
    assert!((4_000..=5_000).contains(&oldest), "{oldest}");
}

#[test]
fn state_is_read_at_once_and_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(folder.path());
    store.state.put("config/1", b"a").expect("room");
    store.state.put("config/2", b"b").expect("room");
    store.state.put("pin/api/w1", b"c").expect("room");
    store.state.remove("config/1");
    assert_eq!(store.state.get("config/2").as_deref(), Some(b"b".as_slice()));
    assert!(store.close(SOON));
    let store = open(folder.path());
    assert_eq!(store.state.keys("config/"), ["config/2"]);
    assert_eq!(store.state.get("pin/api/w1").as_deref(), Some(b"c".as_slice()));
    assert!(store.state.put("large", &vec![0; 2 << 20]).is_err());
}

#[test]
fn a_folder_in_use_is_refused_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let _store = open(folder.path());
    let error = Store::open(folder.path(), limits()).expect_err("in use");
    assert!(matches!(error, OpenError::InUse(_)), "{error}");
}

/// The other half of the next test: appends until it is killed, and says what is safely written.
#[test]
fn appends_for_ever_when_told_to() {
    let Some(folder) = std::env::args().skip_while(|arg| arg != "--skip").nth(1).filter(|arg| arg.starts_with('/'))
    else {
        return;
    };
    let store = open(Path::new(&folder));
    let mut out = std::io::stdout().lock();
    loop {
        let mut newest = 0;
        for _ in 0..50 {
            newest = store.journal.append(1, 1, vec![9; 500]).expect("room");
        }
        assert!(store.flush(SOON));
        writeln!(out, "\nWRITTEN {newest}").expect("a reader");
    }
}

#[test]
fn nothing_that_was_written_is_lost_when_the_process_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut floor = 0;
    for rounds in [3, 17, 40] {
        // `--skip FOLDER` is a filter that matches nothing, and a way to pass an argument through the test harness.
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", "appends_for_ever_when_told_to", "--nocapture", "--skip"])
            .arg(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map(|line| line.expect("text"));
        let written =
            lines.filter_map(|line| line.strip_prefix("WRITTEN ").map(|n| n.parse::<u64>().expect("a number")));
        floor = written.take(rounds).last().expect("the child writes").max(floor);
        child.kill().expect("killed");
        child.wait().expect("gone");
        let store = open(folder.path());
        assert_eq!(store.status().condition, Condition::Healthy);
        let entries = all(&store);
        assert!(entries.last().expect("some").sequence >= floor);
        assert!(
            entries.iter().zip(1..).all(|(entry, sequence)| entry.sequence == sequence && entry.bytes.len() == 500)
        );
        floor = entries.len() as u64;
        assert!(store.close(SOON));
    }
}
