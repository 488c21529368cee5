//! A coordinator of ours beside a balancer that stays what it is: it learns from what the balancer counts, and sets its
//! weights. HAProxy by its runtime API, Envoy by xDS. The workers are not touched.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use ambidex_core::time::Span;
use tempfile::TempDir;

use super::process::folder_with;
use super::{Peer, PeerError, Process, Upstream, free_port, get};
use crate::clock::poll;

/// That a coordinator stands beside a balancer, and what that one is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steered {
    /// Our binary.
    pub ours: PathBuf,
    /// How many requests each worker takes at once, in the order of the upstreams: for Envoy, which counts nothing of
    /// that kind. HAProxy's workers are known by what they do alone.
    pub slots: Vec<u32>,
}

/// Where a balancer listens for its coordinator, or the coordinator for it.
#[derive(Debug)]
pub(super) enum Way {
    /// HAProxy's runtime API is this socket of a folder.
    Haproxy(TempDir),
    /// Envoys ask here.
    Envoy(SocketAddr),
}

impl Way {
    /// How this balancer is steered; `None` for those that cannot be.
    pub(super) fn of(peer: &Peer) -> Result<Option<Self>, PeerError> {
        let failed = |source| PeerError::Start { name: peer.name(), source };
        match peer {
            Peer::Haproxy { .. } => Ok(Some(Self::Haproxy(TempDir::new().map_err(failed)?))),
            Peer::Envoy { .. } => Ok(Some(Self::Envoy(free_port().map_err(failed)?))),
            Peer::Ambidex { .. } | Peer::Nginx { .. } | Peer::Traefik { .. } => Ok(None),
        }
    }

    /// The line of HAProxy's `global` section.
    fn socket_line(&self) -> String {
        match self {
            Self::Haproxy(folder) => format!("    stats socket {}/admin.sock level admin\n", folder.path().display()),
            Self::Envoy(_) => String::new(),
        }
    }

    /// The coordinator's file. Envoy counts no latency and no room, so its workers' slots are said.
    fn file(&self, admin: SocketAddr, upstreams: &[Upstream], slots: &[u32]) -> String {
        let mut text = format!("admin: {{address: \"{admin}\"}}\npools:\n  workers:\n    workers:\n");
        for (at, Upstream { name, address, .. }) in upstreams.iter().enumerate() {
            let limit = match (self, slots.get(at)) {
                (Self::Envoy(_), Some(slots)) => format!(", limit: {slots}"),
                (Self::Envoy(_), None) | (Self::Haproxy(_), _) => String::new(),
            };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "      - {{url: \"http://{address}\", name: {name}{limit}}}");
        }
        let publish = match self {
            Self::Haproxy(folder) => {
                let socket = folder.path().join("admin.sock");
                format!("haproxy: {{address: \"unix:{}\", backends: {{workers: workers}}}}", socket.display())
            }
            Self::Envoy(listen) => format!("envoy: {{listen: \"{listen}\"}}"),
        };
        text + &format!("publish:\n  beside: {{{publish}}}\n")
    }

    /// Starts the coordinator.
    pub(super) fn start(self, by: &Steered, upstreams: &[Upstream]) -> Result<Coordinator, PeerError> {
        let failed = |source| PeerError::Start { name: NAME.to_owned(), source };
        let admin = free_port().map_err(failed)?;
        let (dir, file) = folder_with("coordinator.yaml", &self.file(admin, upstreams, &by.slots))?;
        let mut command = Command::new(&by.ours);
        command.arg("coordinator").arg(&file).env("AMBIDEX_DATA", dir.path().join("data"));
        let mut process = Process::start(NAME, command, dir)?;
        process.wait_until_it_answers(admin, "/healthz")?;
        Ok(Coordinator { process, admin, way: self })
    }
}

/// A coordinator that runs.
#[derive(Debug)]
pub struct Coordinator {
    pub(super) process: Process,
    pub(super) admin: SocketAddr,
    /// HAProxy's socket is in its folder for as long as it steers.
    way: Way,
}

impl Coordinator {
    /// The line of HAProxy's `global` section.
    pub(super) fn socket_line(&self) -> String {
        self.way.socket_line()
    }

    /// What an Envoy starts with that asks this coordinator and listens at `address`.
    pub(super) fn bootstrap(&self, ours: &Path, address: SocketAddr) -> Result<String, PeerError> {
        let failed = |source| PeerError::Start { name: NAME.to_owned(), source };
        let admin = free_port().map_err(failed)?;
        let mut command = Command::new(ours);
        command.args(["envoy", "bootstrap"]).arg(self.process.dir().join("coordinator.yaml"));
        command.args(["--listen", &format!("workers={address}"), "--admin", &admin.to_string()]);
        let output = command.output().map_err(failed)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let output = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(PeerError::Silent { name: NAME.to_owned(), address, output })
    }

    /// Waits until the balancer has weights of ours.
    pub(super) fn wait_until_it_steers(&self) -> Result<(), PeerError> {
        let mut said = String::new();
        let steers = poll(PATIENCE, || {
            let answer = get(self.admin, "/api/v1/publishers");
            said = answer.map(|(_, body)| String::from_utf8_lossy(&body).into_owned()).unwrap_or_default();
            said.contains("\"applied\":{")
        });
        if steers {
            return Ok(());
        }
        Err(PeerError::Silent { name: NAME.to_owned(), address: self.admin, output: said + &self.process.stderr() })
    }
}

const NAME: &str = "the coordinator beside it";
/// A machine that stalls may need as long.
const PATIENCE: Span = Span::from_secs(60);
