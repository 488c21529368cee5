//! A program that a test runs, in a folder of its own; ended when the test is.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// A running program.
pub(crate) struct Process {
    child: Child,
    dir: TempDir,
}

impl Process {
    pub(crate) fn start(mut command: Command, dir: TempDir) -> Self {
        let file = |name| File::create(dir.path().join(name)).expect("a file");
        command.stdin(Stdio::null()).stdout(file("stdout")).stderr(file("stderr"));
        let child = command.spawn().unwrap_or_else(|why| panic!("{command:?}: {why}; `cargo xtask test` installs it"));
        Self { child, dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|ended| ended.is_some())
    }

    /// What it said.
    pub(crate) fn words(&self) -> String {
        let read = |name| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        read("stdout") + &read("stderr")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody had a moment ago, for programs that cannot choose one themselves.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Waits until it is so; says whether it came to be.
pub(crate) async fn poll(mut so: impl AsyncFnMut() -> bool) -> bool {
    let patient = tokio::time::timeout(PATIENCE, async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    patient.await.is_ok()
}

/// How long anything may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);
