//! A real disk that is full: a small tmpfs, where one can be mounted. Elsewhere this prints that it could not, and the
//! injected failures in `writer.rs` stand alone.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ambidex_core::size::Size;
use ambidex_core::time::Span;
use ambidex_store::{Condition, Limits, Query, Store};

/// A mounted tmpfs of a few megabytes; unmounted when dropped.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=12m", "tmpfs"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        mounted.then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "a deadline of the test")]
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(60), "not within 60 s: {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_full_disk_stops_the_journal_and_nothing_else_until_there_is_room() {
    let Some(small) = Small::mount() else {
        eprintln!("NOTICE: no tmpfs can be mounted here; only injected failures were tested");
        return;
    };
    let limits = Limits { max_bytes: Size::mib(64), max_age: Span::from_secs(3_600) };
    let store = Store::open(&small.path().join("data"), limits).expect("a store");
    let record = vec![7; 16_000];
    for _ in 0..FIRST {
        store.journal.append(0, 1, record.clone());
    }
    until("the first records are written", || store.status().written == FIRST);
    std::fs::write(small.path().join("ballast"), vec![1; 6 << 20]).expect("room for ballast");
    until("the disk is full", || {
        store.journal.append(0, 1, record.clone());
        matches!(store.status().condition, Condition::Degraded(_))
    });
    until("the queue is full", || store.journal.append(0, 1, record.clone()).is_none());
    let kept = store.status().written;
    assert!(kept >= FIRST, "{:?}", store.status());
    store.state.put("pin", b"1").expect("memory does not need the disk");

    std::fs::remove_file(small.path().join("ballast")).expect("removed");
    until("it writes again", || store.status().condition == Condition::Healthy || store.status().written > kept);
    drop(store);
    until("it is closed", || {
        let Ok(store) = Store::open(&small.path().join("data"), limits) else { return false };
        store.journal.read(&Query::default()).is_ok_and(|entries| entries.len() as u64 >= kept)
    });
}

/// Records that are on the disk before it is full. How many more fit depends on how the writer groups them.
const FIRST: u64 = 10;

#[test]
fn a_full_disk_stops_changes_of_a_map_and_no_reads_until_there_is_room() {
    use ambidex_core::shard::records::{Key, Record};
    use ambidex_core::shard::store::Outcome;
    use ambidex_store::shards::{Change, EmbeddedMetadata, Metadata as _, MetadataError};

    let Some(small) = Small::mount() else {
        eprintln!("NOTICE: no tmpfs can be mounted here; nothing was tested");
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let store = EmbeddedMetadata::open(&small.path().join("map")).expect("it opens");
        let put = |number| Change::default().put_record(Key::Ids, Record::Ids(number));
        assert!(matches!(store.transact(put(1)).await, Ok(Outcome::Done(_))));
        let ballast = small.path().join("ballast");
        // Until nothing more fits.
        assert!(std::fs::write(&ballast, vec![1; 16 << 20]).is_err());
        let mut last = 1;
        let failed = loop {
            match store.transact(put(last + 1)).await {
                Ok(_) => last += 1,
                Err(why) => break why,
            }
        };
        assert!(matches!(failed, MetadataError::Away(_)), "{failed}");
        let known = store.list().await.expect("reads go on").ids().expect("it is there").1;
        assert_eq!(known, last);
        std::fs::remove_file(&ballast).expect("removed");
        let revision = store.list().await.expect("reads go on").revision;
        let done = store.transact(put(1_000_000)).await;
        assert!(matches!(done, Ok(Outcome::Done(now)) if now > revision), "{done:?}");
    });
}
