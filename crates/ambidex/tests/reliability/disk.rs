//! A disk that is full, under traffic: a small tmpfs for the data folder, where one can be mounted. Elsewhere this says
//! that it could not, and the store's injected failures stand alone.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Running, until};
use crate::scene::{admin, config_of, metric, page, served_on, trickle, workers};

/// A mounted tmpfs of a few megabytes; unmounted when dropped.
struct Small(PathBuf);

impl Small {
    /// The data folder in `folder`, as a small disk.
    fn mount(folder: &TempDir) -> Option<Self> {
        let data = folder.path().join("data");
        fs::create_dir(&data).expect("made");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=12m", "tmpfs"]).arg(&data).stderr(Stdio::null());
        if mount.status().is_ok_and(|status| status.success()) {
            return Some(Self(data));
        }
        eprintln!("NOTICE: no tmpfs can be mounted here; only the store's injected failures were tested");
        None
    }

    /// Takes all room there is.
    fn fill(&self) {
        let mut ballast = fs::File::options().append(true).create(true).open(self.0.join("ballast")).expect("a file");
        for size in [1 << 16, 1 << 12, 1] {
            let full = |error: std::io::Error| assert_eq!(error.kind(), ErrorKind::StorageFull);
            while ballast.write_all(&vec![1; size]).map_err(full).is_ok() {}
        }
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("ballast")).expect("it was filled");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// What the API says is wrong with the journal.
fn degraded(running: &Running) -> Option<String> {
    let answer = page(running, "/api/v1/status");
    let body = answer.split_once("\r\n\r\n").expect("a body").1;
    let status: Value = serde_json::from_str(body).expect("JSON");
    status["journal"]["degraded"].as_str().map(str::to_owned)
}

/// Orders until the queue before the disk is full: one connection, one order after the other.
fn order_until_records_are_dropped(running: &Running) {
    let token = fs::read_to_string(running.folder.path().join("data/token")).expect("made at the start");
    let mut stream = std::net::TcpStream::connect(admin(running)).expect("it listens");
    while metric(running, "ambidex_journal_dropped_total") == 0 {
        for weight in 1..=50 {
            let body = format!("{{\"weight\": {}}}", f64::from(weight) / 50.0);
            let head =
                "POST /api/v1/pools/api/workers/a/pin HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json";
            let request = format!(
                "{head}\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
                token.trim(),
                body.len()
            );
            stream.write_all(request.as_bytes()).expect("sent");
            let answer = crate::scene::answer(&mut stream);
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
    }
}

#[test]
fn a_full_disk_stops_the_journal_and_no_request() {
    let workers = workers(&["a", "b", "c"]);
    let folder = TempDir::new().expect("a folder");
    let Some(small) = Small::mount(&folder) else { return };
    let file = folder.path().join("gw.yaml");
    fs::write(&file, config_of(&workers, "")).expect("written");
    let running = Running::start(folder, &["run", file.to_str().expect("UTF-8")]);
    let load = trickle(&running);
    until(|| (metric(&running, "ambidex_journal_written_total") > 20).then_some(()));

    small.fill();
    let why = until(|| degraded(&running));
    assert!(why.contains("No space left"), "{why}");
    until(|| running.log().contains("the journal stopped: No space left").then_some(()));
    assert_eq!(metric(&running, "ambidex_journal_degraded"), 1);
    assert!(page(&running, "/readyz").starts_with("HTTP/1.1 200"), "what serves is ready");
    let ordered = running.ask_json(&["pin", "0.5", "a", "--yes"]);
    assert!(ordered["not_kept"].as_str().is_some_and(|why| why.contains("No space left")), "{ordered}");
    let told = running.asked(&["pin", "0.4", "a", "--yes"]);
    assert!(String::from_utf8_lossy(&told.stderr).contains("note: it is kept once the disk is back"), "{told:?}");
    let verify = running.asked(&["decisions", "verify"]);
    assert!(!verify.status.success(), "nothing can be read: {}", String::from_utf8_lossy(&verify.stdout));
    order_until_records_are_dropped(&running);
    served_on(&load, 50);

    small.empty();
    until(|| degraded(&running).is_none().then_some(()));
    until(|| running.log().contains("the journal is written again").then_some(()));
    // What comes after the dropped records cannot be replayed until the next checkpoint, and that is said.
    let verified = until(|| {
        let verified = running.ask_json(&["decisions", "verify"]);
        (verified["skipped"].as_u64() > Some(0)).then_some(verified)
    });
    assert_eq!(verified["differences"], Value::Array(Vec::new()), "{verified}");
    assert!(verified["inputs"].as_u64() > Some(20), "{verified}");
    assert_eq!(load.stop().failures.total(), 0);
}

#[test]
fn a_gateway_ends_and_starts_while_its_disk_is_full() {
    let workers = workers(&["a", "b"]);
    let folder = TempDir::new().expect("a folder");
    let Some(small) = Small::mount(&folder) else { return };
    let file = folder.path().join("gw.yaml");
    fs::write(&file, config_of(&workers, "")).expect("written");
    let mut running = Running::start(folder, &["run", file.to_str().expect("UTF-8")]);
    running.ask(&["drain", "b", "--yes"]);
    until(|| (metric(&running, "ambidex_journal_written_total") > 20).then_some(()));
    small.fill();
    until(|| degraded(&running));
    running.signal("TERM");
    assert_eq!(running.end(), Some(0), "{}", running.log());

    let folder = std::mem::replace(&mut running.folder, TempDir::new().expect("a folder"));
    let again = Running::start(folder, &["run", file.to_str().expect("UTF-8")]);
    let load = trickle(&again);
    served_on(&load, 20);
    until(|| degraded(&again));
    small.empty();
    until(|| degraded(&again).is_none().then_some(()));
    assert_eq!(load.stop().failures.total(), 0);
    let pools = again.ask_json(&["workers"]);
    assert_eq!(pools["pools"][0]["workers"][1]["drained"], true, "{pools}");
}
