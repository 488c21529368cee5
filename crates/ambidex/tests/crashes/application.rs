//! The example on SQLite as a party, and a look into its file: what should not be there any more.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::party::Process;

pub(crate) fn start(name: &str, folder: &Path) -> Process {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shard-worker/sqlite_worker.py");
    let (carts, log) = (file(folder), folder.join("log"));
    Process::start(name, log, true, move || {
        let mut command = Command::new("python3");
        command.arg(&script).arg("127.0.0.1:0").arg(&carts);
        command
    })
}

/// Where it listens, by its first line.
pub(crate) fn address(said: &str) -> std::net::SocketAddr {
    let url = said.trim().rsplit(' ').next().unwrap_or_default();
    url.trim_start_matches("http://").parse().expect("an address")
}

fn file(folder: &Path) -> PathBuf {
    folder.join("carts.db")
}

/// Entries that a staging still has.
pub(crate) fn staged(folder: &Path) -> u64 {
    counted(folder, "SELECT count(*) FROM staged")
}

/// Entries between two points, both included.
pub(crate) fn between(folder: &Path, first: &str, last: &str) -> u64 {
    counted(folder, &format!("SELECT count(*) FROM carts WHERE point BETWEEN '{first}' AND '{last}'"))
}

fn counted(folder: &Path, sql: &str) -> u64 {
    let program = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])";
    let output =
        Command::new("python3").args(["-c", program]).arg(file(folder)).arg(sql).output().expect("python3 runs");
    let said = String::from_utf8_lossy(&output.stdout);
    said.trim().parse().unwrap_or_else(|_| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)))
}
