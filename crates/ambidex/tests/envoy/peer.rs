//! An Envoy as a process, and what its admin page says.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use ambidex_core::time::Span;
use ambidex_lab::peer::Process;
use ambidex_lab::poll;
use ambidex_xds::bootstrap::Bootstrap;
use ambidex_xds::stream::Dialect;
use serde_json::Value;

/// A running Envoy; killed when dropped.
pub(crate) struct Envoy {
    process: Process,
    admin: String,
}

impl Envoy {
    /// Starts `envoy-1`, which takes pool `api` from this server, and waits until it is ready.
    pub(crate) fn start(server: SocketAddr, dialect: Dialect) -> Self {
        Self::named("envoy-1", server, dialect)
    }

    /// The same by another name.
    pub(crate) fn named(node: &str, server: SocketAddr, dialect: Dialect) -> Self {
        let free = SocketAddr::from(([127, 0, 0, 1], 0));
        let listeners = vec![("api".to_owned(), free)];
        let node = node.into();
        Self::with(&Bootstrap { node, server, dialect, tls: None, sni: None, admin: free, listeners }.yaml())
    }

    /// Starts one with this bootstrap, whose ports may be 0, and waits until it is ready.
    pub(crate) fn with(bootstrap: &str) -> Self {
        let envoy = Self::begun(bootstrap);
        envoy.until("it is ready", |envoy| envoy.ask("/ready").starts_with("LIVE"));
        // One that waited too long for its clusters is ready without them.
        envoy.until("it has the pool", |envoy| !envoy.weights("api").is_empty());
        envoy
    }

    /// Starts one, and waits for no more than its admin page.
    pub(crate) fn begun(bootstrap: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (file, told) = (dir.path().join("envoy.yaml"), dir.path().join("admin"));
        fs::write(&file, bootstrap).expect("written");
        let mut command = Command::new(binary());
        command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warn", "-c"]).arg(file);
        command.arg("--admin-address-path").arg(&told);
        let process = Process::start("envoy", command, dir).expect("Envoy runs");
        let mut envoy = Self { process, admin: String::new() };
        let came = poll(PATIENCE, || {
            envoy.admin = fs::read_to_string(&told).unwrap_or_default();
            !envoy.admin.is_empty()
        });
        assert!(came, "no admin address; it said: {}", envoy.process.stderr());
        envoy
    }

    /// Where clients of the pool connect.
    pub(crate) fn listener(&self) -> SocketAddr {
        let said = self.ask_json("/listeners?format=json");
        let port = said.pointer("/listener_statuses/0/local_address/socket_address/port_value").and_then(Value::as_u64);
        let port = port.and_then(|port| u16::try_from(port).ok()).expect("it listens");
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// The endpoints of a cluster: weight and health by port.
    pub(crate) fn endpoints(&self, cluster: &str) -> BTreeMap<u16, (u64, String)> {
        let said = self.ask_json("/clusters?format=json");
        let clusters = said["cluster_statuses"].as_array().into_iter().flatten();
        let hosts = clusters.filter(|one| one["name"] == cluster).filter_map(|one| one["host_statuses"].as_array());
        let endpoint = |host: &Value| {
            let port = host.pointer("/address/socket_address/port_value").and_then(Value::as_u64);
            let health = host.pointer("/health_status/eds_health_status").and_then(Value::as_str);
            let port = u16::try_from(port.expect("a TCP address")).expect("a port");
            (port, (host["weight"].as_u64().expect("a weight"), health.unwrap_or("HEALTHY").to_owned()))
        };
        hosts.flatten().map(endpoint).collect()
    }

    /// The priorities of a cluster's endpoints by port: 0 is asked first.
    pub(crate) fn priorities(&self, cluster: &str) -> BTreeMap<u16, u64> {
        let said = self.ask_json("/clusters?format=json");
        let clusters = said["cluster_statuses"].as_array().into_iter().flatten();
        let hosts = clusters.filter(|one| one["name"] == cluster).filter_map(|one| one["host_statuses"].as_array());
        let rank = |host: &Value| {
            let port = host.pointer("/address/socket_address/port_value").and_then(Value::as_u64)?;
            // What is 0 is left out.
            Some((u16::try_from(port).ok()?, host["priority"].as_u64().unwrap_or(0)))
        };
        hosts.flatten().filter_map(rank).collect()
    }

    /// The weights of a cluster's endpoints by port.
    pub(crate) fn weights(&self, cluster: &str) -> BTreeMap<u16, u64> {
        self.endpoints(cluster).into_iter().map(|(port, (weight, _))| (port, weight)).collect()
    }

    /// Waits until it is so.
    pub(crate) fn until(&self, what: &str, so: impl Fn(&Self) -> bool) {
        let came = poll(PATIENCE, || so(self));
        assert!(came, "{what}: not within {PATIENCE}; {}\n{}", self.ask("/clusters"), self.process.stderr());
    }

    /// What its admin page says.
    pub(crate) fn ask(&self, path: &str) -> String {
        let output = Command::new("curl").args(["-s", "-m", "30"]).arg(format!("http://{}{path}", self.admin)).output();
        String::from_utf8(output.expect("curl runs").stdout).expect("UTF-8")
    }

    fn ask_json(&self, path: &str) -> Value {
        serde_json::from_str(&self.ask(path)).unwrap_or_default()
    }
}

fn binary() -> PathBuf {
    let binary = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/peers/envoy/envoy/_bin/envoy");
    assert!(binary.exists(), "Envoy is not installed: `cargo xtask test` does that");
    binary
}

/// How long anything may take on a machine that does much else.
pub(crate) const PATIENCE: Span = Span::from_secs(45);
