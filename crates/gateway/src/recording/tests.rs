//! What becomes of exchanges in good files and bad ones.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use ambidex_wire::recording::Recording as Read;
use tempfile::TempDir;

use super::*;

fn recorder(path: &Path, most: &str) -> (Recorder, Ended) {
    let config = serde_json::json!({"path": path, "sample": "100%", "most": most});
    let config = serde_json::from_value(config).expect("right");
    Recorder::start(&config, Clock::starting_now()).expect("a thread")
}

fn put(recorder: &Recorder, targets: impl IntoIterator<Item = String>) {
    let reel = recorder.reel();
    for target in targets {
        reel.put(Exchange { method: "GET".into(), target, ..Exchange::default() });
    }
}

/// Waits until the recorder has written all and ended; its numbers then.
fn end(recorder: Recorder, ended: &Ended) -> RecordingStats {
    let counters = Arc::clone(&recorder.counters);
    drop(recorder);
    assert_eq!(ended.recv_timeout(Duration::from_secs(60)), Err(RecvTimeoutError::Disconnected));
    let of = |count: &AtomicU64| count.load(Relaxed);
    let Counters { written, dropped, failed, beyond } = &*counters;
    RecordingStats { written: of(written), dropped: of(dropped), failed: of(failed), beyond: of(beyond) }
}

fn read(path: &Path) -> Read {
    Read::read(&*fs::read(path).expect("a file")).expect("a recording")
}

fn targets(recording: &Read) -> Vec<&str> {
    recording.exchanges.iter().map(|exchange| &*exchange.target).collect()
}

/// Waits until the writer has dealt with `count` exchanges.
fn dealt_with(recorder: &Recorder, count: u64) {
    let all = || {
        let RecordingStats { written, dropped, failed, beyond } = recorder.stats();
        written + dropped + failed + beyond
    };
    while all() < count {
        std::thread::yield_now();
    }
}

#[test]
fn every_exchange_of_every_reel_is_written_and_only_the_owner_reads_it() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("traffic.jsonl");
    let (recorder, ended) = recorder(&path, "1GiB");
    let reels = [recorder.reel(), recorder.reel()];
    for n in 0..500 {
        reels.iter().for_each(|reel| reel.put(Exchange { target: format!("/{n}"), ..Exchange::default() }));
    }
    drop(reels);
    assert_eq!(end(recorder, &ended), RecordingStats { written: 1_000, ..RecordingStats::default() });
    assert_eq!(read(&path).exchanges.len(), 1_000);
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn at_the_bound_it_stops_until_the_file_is_moved_away() {
    let folder = TempDir::new().expect("a folder");
    let (path, old) = (folder.path().join("traffic.jsonl"), folder.path().join("old.jsonl"));
    let (recorder, ended) = recorder(&path, "64KiB");
    let long = "x".repeat(1_000);
    put(&recorder, (0..100).map(|n| format!("/{n}/{long}")));
    dealt_with(&recorder, 100);
    let stats = recorder.stats();
    assert!(stats.written > 40 && stats.beyond == 100 - stats.written, "{stats:?}");
    assert!(fs::metadata(&path).expect("there").len() <= 64 << 10);
    fs::rename(&path, &old).expect("moved");
    put(&recorder, ["/after".to_owned()]);
    let last = end(recorder, &ended);
    assert_eq!((last.written, last.beyond), (stats.written + 1, stats.beyond));
    assert_eq!((read(&old).exchanges.len() as u64, targets(&read(&path))), (stats.written, vec!["/after"]));
}

#[test]
fn a_full_disk_loses_exchanges_and_counts_them() {
    let (recorder, ended) = recorder(Path::new("/dev/full"), "1GiB");
    put(&recorder, (0..10).map(|n| format!("/{n}")));
    assert_eq!(end(recorder, &ended), RecordingStats { failed: 10, ..RecordingStats::default() });
}

#[test]
fn a_folder_that_comes_later_is_written_to_then() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("later/traffic.jsonl");
    let (recorder, ended) = recorder(&path, "1GiB");
    put(&recorder, ["/lost".to_owned()]);
    dealt_with(&recorder, 1);
    fs::create_dir(folder.path().join("later")).expect("made");
    put(&recorder, ["/kept".to_owned()]);
    assert_eq!(end(recorder, &ended), RecordingStats { written: 1, failed: 1, ..RecordingStats::default() });
    assert_eq!(targets(&read(&path)), ["/kept"]);
}

#[test]
fn a_file_that_is_something_else_is_left_as_it_is() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("gw.yaml");
    fs::write(&path, "listeners: []\n").expect("written");
    let (recorder, ended) = recorder(&path, "1GiB");
    put(&recorder, ["/".to_owned()]);
    assert_eq!(end(recorder, &ended).failed, 1);
    assert_eq!(fs::read_to_string(&path).expect("there"), "listeners: []\n");
}

#[test]
fn a_recording_that_was_torn_goes_on_with_another_part() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("traffic.jsonl");
    let (first, ended) = recorder(&path, "1GiB");
    put(&first, ["/a".to_owned(), "/torn".to_owned()]);
    end(first, &ended);
    let text = fs::read(&path).expect("there");
    fs::write(&path, &text[..text.len() - 9]).expect("written");
    let (second, ended) = recorder(&path, "1GiB");
    put(&second, ["/b".to_owned()]);
    end(second, &ended);
    let recording = read(&path);
    assert_eq!((targets(&recording), recording.torn.clone(), recording.parts.len()), (vec!["/a", "/b"], vec![3], 2));
}

#[test]
fn a_recorder_waits_for_the_one_before_it() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("traffic.jsonl");
    let (first, first_ended) = recorder(&path, "1GiB");
    put(&first, ["/a".to_owned()]);
    dealt_with(&first, 1);
    let (second, second_ended) = recorder(&path, "1GiB");
    put(&second, ["/b".to_owned()]);
    put(&first, ["/c".to_owned()]);
    assert_eq!(end(first, &first_ended).written, 2);
    assert_eq!(end(second, &second_ended).written, 1);
    let recording = read(&path);
    assert_eq!((recording.exchanges.len(), recording.parts.len()), (3, 2));
}
