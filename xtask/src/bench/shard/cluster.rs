//! The peer: a Redis Cluster of two nodes, all slots of the first of which `redis-cli --cluster reshard` moves to the second.

use std::net::SocketAddr;
use std::process::{Command, Stdio};

use ambidex_lab::peer::{Process, free_port};
use ambidex_lab::{Clock, Span, poll};
use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;

/// The nodes; ended when dropped.
pub(super) struct Cluster {
    /// Where they are.
    pub(super) nodes: [SocketAddr; 2],
    ids: [String; 2],
    /// Which of them has all slots.
    at: usize,
    _processes: Vec<Process>,
}

/// What is installed; none: nothing.
pub(super) fn version() -> Option<String> {
    let said = Command::new("redis-server").arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    Some(text.split_once("v=")?.1.split(' ').next()?.to_owned())
}

impl Cluster {
    /// Starts them; nothing is written to a disk, as our worker in memory writes nothing.
    pub(super) fn start() -> Result<Self> {
        let (nodes, buses) = ([free_port()?, free_port()?], [free_port()?, free_port()?]);
        let mut processes = Vec::new();
        for (node, bus) in nodes.iter().zip(&buses) {
            let dir = TempDir::new()?;
            let mut command = Command::new("redis-server");
            command.args(["--bind", "127.0.0.1", "--port", &node.port().to_string()]);
            command.args(["--cluster-enabled", "yes", "--cluster-port", &bus.port().to_string()]);
            command.args(["--save", "", "--appendonly", "no", "--cluster-allow-replica-migration", "no", "--dir"]);
            command.arg(dir.path());
            processes.push(Process::start("redis-server", command, dir)?);
        }
        for node in nodes {
            if !poll(PATIENCE, || said(node, &["PING"]).is_ok_and(|said| said == "PONG")) {
                bail!("redis-server at {node} does not answer");
            }
        }
        said(nodes[0], &["CLUSTER", "ADDSLOTSRANGE", "0", "16383"])?;
        let (port, bus) = (nodes[1].port().to_string(), buses[1].port().to_string());
        said(nodes[0], &["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
        let whole = |node| {
            said(node, &["CLUSTER", "INFO"])
                .is_ok_and(|info| info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:2"))
        };
        if !poll(PATIENCE, || nodes.iter().all(|node| whole(*node))) {
            bail!("the nodes of Redis do not meet: {}", said(nodes[0], &["CLUSTER", "INFO"])?);
        }
        let ids = [said(nodes[0], &["CLUSTER", "MYID"])?, said(nodes[1], &["CLUSTER", "MYID"])?];
        Ok(Self { nodes, ids, at: 0, _processes: processes })
    }

    /// Moves all slots to the other node; when it began and when it was over, in nanoseconds of the clock.
    pub(super) fn move_all(&mut self, clock: Clock) -> Result<(u64, u64)> {
        let [from, to] = [self.at, 1 - self.at];
        let began = clock.now().as_nanos();
        let mut command = Command::new("redis-cli");
        command.args(["--cluster", "reshard", &self.nodes[0].to_string(), "--cluster-slots", "16384", "--cluster-yes"]);
        command.args(["--cluster-from", &self.ids[from], "--cluster-to", &self.ids[to]]).stdout(Stdio::null());
        let ended = command.status().context("redis-cli")?;
        if !ended.success() {
            bail!("redis-cli --cluster reshard ended with {ended}");
        }
        self.at = to;
        Ok((began, clock.now().as_nanos()))
    }
}

/// What a node says to a command.
fn said(node: SocketAddr, words: &[&str]) -> Result<String> {
    let port = node.port().to_string();
    let said = Command::new("redis-cli").args(["-h", "127.0.0.1", "-p", &port]).args(words).output()?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

const PATIENCE: Span = Span::from_secs(30);
