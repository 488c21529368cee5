//! Our own binary's right hand as processes: the laboratory's worker, to be killed or frozen.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::{PeerError, Process, Upstream, free_port};

/// A worker that is a process of its own.
#[derive(Debug)]
pub struct WorkerProcess {
    /// What it calls itself.
    pub name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// The process.
    pub process: Process,
}

impl WorkerProcess {
    /// Starts `ambidex lab worker` by this name, with more options as `KEY=VALUE`, and waits until it answers.
    ///
    /// # Errors
    /// It cannot be started, or does not answer; with its own words.
    pub fn start(binary: &Path, name: &str, options: &[&str]) -> Result<Self, PeerError> {
        let failed = |source| PeerError::Start { name: name.to_owned(), source };
        let address = free_port().map_err(failed)?;
        let mut command = Command::new(binary);
        command.args(["lab", "worker", &format!("name={name}"), &format!("listen={address}")]).args(options);
        let mut process = Process::start(name, command, TempDir::new().map_err(failed)?)?;
        process.wait_until_it_answers(address, "/admin")?;
        Ok(Self { name: name.to_owned(), address, process })
    }

    /// As a balancer's configuration names it.
    #[must_use]
    pub fn upstream(&self) -> Upstream {
        Upstream { name: self.name.clone(), address: self.address, weight: 1 }
    }
}
