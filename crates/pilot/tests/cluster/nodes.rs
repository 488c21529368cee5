//! A cluster of redis-servers of the test's own, on free ports of loopback.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::{Connection, Value};
use tempfile::TempDir;

pub(crate) struct Nodes {
    pub(crate) all: Vec<Node>,
    /// What clients say, if anything.
    password: Option<String>,
    folder: TempDir,
}

/// A redis-server with a log of all writes; killed when dropped.
pub(crate) struct Node {
    child: Child,
    pub(crate) port: u16,
    file: PathBuf,
}

impl Nodes {
    /// So many primaries, each with an even part of the slots.
    pub(crate) fn start(count: u16) -> Self {
        Self::start_with(count, "", None)
    }

    /// With more in their configuration.
    pub(crate) fn start_with(count: u16, more: &str, password: Option<&str>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let all = (0..count).map(|number| Node::start(&folder.path().join(number.to_string()), more)).collect();
        let nodes = Self { all, password: password.map(str::to_owned), folder };
        let each = 16_384 / count;
        for (number, node) in (0..).zip(&nodes.all) {
            let last = if number + 1 == count { 16_383 } else { each * (number + 1) - 1 };
            until(|| nodes.open(node.port));
            nodes.ask(node.port, &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()]);
            nodes.ask(node.port, &["CLUSTER", "ADDSLOTSRANGE", &(each * number).to_string(), &last.to_string()]);
        }
        let first = nodes.all[0].port;
        for node in &nodes.all[1..] {
            nodes.ask(first, &["CLUSTER", "MEET", "127.0.0.1", &node.port.to_string(), &node.bus().to_string()]);
        }
        nodes.ready();
        nodes
    }

    /// An instance by itself.
    pub(crate) fn plain() -> Self {
        let folder = TempDir::new().expect("a folder");
        let node = Node::start(folder.path(), "cluster-enabled no");
        let nodes = Self { all: vec![node], password: None, folder };
        until(|| nodes.open(nodes.all[0].port));
        nodes
    }

    /// Waits until every node takes the cluster for whole.
    pub(crate) fn ready(&self) {
        for node in &self.all {
            until(|| {
                let mut connection = self.open(node.port)?;
                let said: String = redis::cmd("CLUSTER").arg("INFO").query(&mut connection).ok()?;
                let known = format!("cluster_known_nodes:{}", self.all.len());
                (said.contains("cluster_state:ok") && said.lines().any(|line| line.trim() == known)).then_some(())
            });
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.all[0].port)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn open(&self, port: u16) -> Option<Connection> {
        let secret = self.password.as_ref().map_or(String::new(), |password| format!(":{password}@"));
        redis::Client::open(format!("redis://{secret}127.0.0.1:{port}/")).ok()?.get_connection().ok()
    }

    /// Asks a node itself.
    pub(crate) fn ask(&self, port: u16, words: &[&str]) -> Value {
        let mut connection = until(|| self.open(port));
        let mut command = redis::Cmd::new();
        words.iter().for_each(|word| _ = command.arg(*word));
        command.query(&mut connection).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// The name of a node.
    pub(crate) fn id(&self, node: usize) -> String {
        let said = self.ask(self.all[node].port, &["CLUSTER", "MYID"]);
        let Value::BulkString(id) = said else { panic!("{said:?}") };
        String::from_utf8(id).expect("text")
    }
}

impl Node {
    fn start(folder: &Path, more: &str) -> Self {
        std::fs::create_dir_all(folder).expect("made");
        let (port, bus, file) = (free_port(), free_port(), folder.join("redis.conf"));
        let mut config = format!(
            "port {port}\nbind 127.0.0.1\ncluster-enabled yes\ncluster-port {bus}\ncluster-node-timeout 15000\nsave \"\"\n\
             appendonly yes\ndir {}\n",
            folder.display()
        );
        let _ = writeln!(config, "{more}");
        std::fs::write(&file, config).expect("written");
        Self { child: Self::run(&file), port, file }
    }

    fn run(file: &Path) -> Child {
        let child = Command::new("redis-server").arg(file).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        child.expect("redis-server is installed by `cargo xtask test`")
    }

    fn bus(&self) -> u16 {
        let config = std::fs::read_to_string(&self.file).expect("its file");
        let line = config.lines().find_map(|line| line.strip_prefix("cluster-port ")).expect("a line");
        line.parse().expect("a port")
    }

    /// Kills it at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("ours");
    }

    /// Starts it with what it has on disk.
    pub(crate) fn come_back(&mut self) {
        self.child = Self::run(&self.file);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// Waits until something is there, at most two minutes: machines that check stand still for seconds.
#[expect(clippy::disallowed_methods, reason = "a test's deadline; the pause is between looks at another process")]
pub(crate) fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}
