//! A gateway in a folder of its own: started, asked, reloaded, ended.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Output};

use ambidex_lab::peer::{Origin, OriginOptions, Process, Upstream, configuration, get};
use ambidex_lab::worker::Worker;
use ambidex_lab::{Span, poll};
use serde_json::Value;
use tempfile::TempDir;

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_ambidex");

/// A running gateway; dropping it kills it.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) process: Process,
    file: PathBuf,
}

impl Gateway {
    /// Starts one before `upstreams` and waits until it answers.
    pub(crate) fn start(upstreams: &[Upstream]) -> Self {
        Self::start_with(upstreams, |text| text)
    }

    /// Starts one whose configuration `edit` has changed.
    pub(crate) fn start_with(upstreams: &[Upstream], edit: impl Fn(String) -> String) -> Self {
        let dir = TempDir::new().expect("a folder");
        let file = dir.path().join("ambidex.yaml");
        fs::write(&file, edit(configuration(ANY_PORT, ANY_PORT, "auto", upstreams)))
            .expect("the configuration is written");
        let mut command = Command::new(BINARY);
        command.args(["run", "--output", "json"]).arg(&file).env("AMBIDEX_DATA", dir.path().join("data"));
        let mut process = Process::start("ambidex", command, dir).expect("the binary starts");
        let said = poll(Span::from_secs(150), || process.stdout().ends_with('\n'));
        assert!(said, "it never said where it listens:\n{}", process.stderr());
        let (address, admin) = addresses(&process.stdout());
        process.wait_until_it_answers(address, "/").expect("the gateway answers");
        Self { address, admin, process, file }
    }

    /// The text of its configuration file.
    pub(crate) fn configuration(&self) -> String {
        fs::read_to_string(&self.file).expect("the configuration is read")
    }

    /// Replaces its configuration file and tells it so.
    pub(crate) fn reconfigure(&self, text: &str) {
        fs::write(&self.file, text).expect("the configuration is written");
        self.process.signal("HUP").expect("it runs");
    }

    /// Runs another subcommand that asks this gateway.
    pub(crate) fn ask(&self, words: &[&str]) -> Output {
        let admin = format!("http://{}", self.admin);
        let mut command = Command::new(BINARY);
        command.args(words).args(["--admin", &admin]).env("AMBIDEX_DATA", self.process.dir().join("data"));
        command.output().expect("the binary runs")
    }

    /// The admin API's answer, as text.
    pub(crate) fn admin(&self, path: &str) -> String {
        let (status, answer) = get(self.admin, path).expect("the admin API answers");
        assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&answer));
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// Reads where it listens: `{"listeners": ["127.0.0.1:40001"], "dashboard": "http://127.0.0.1:40002/", ..}`.
fn addresses(stdout: &str) -> (SocketAddr, SocketAddr) {
    let said: Value = serde_json::from_str(stdout.lines().next().unwrap_or_default()).expect("JSON");
    let dashboard = said["dashboard"].as_str().and_then(|url| url.strip_prefix("http://")?.strip_suffix('/'));
    let listener = said["listeners"][0].as_str();
    let address = |text: Option<&str>| text.and_then(|text| text.parse().ok()).expect("an address");
    (address(listener), address(dashboard))
}

/// The system chooses.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Names for the workers of the laboratory.
pub(crate) fn upstreams_of(workers: &[Worker]) -> Vec<Upstream> {
    let upstream = |worker: &Worker| Upstream { name: worker.name.clone(), address: worker.address, weight: 1 };
    workers.iter().map(upstream).collect()
}

/// Real workers: one nginx each, which sends so many bytes a second (0 is no limit).
pub(crate) fn nginx_workers(rates: &[(&'static str, u64)]) -> (Vec<Origin>, Vec<Upstream>) {
    let start = |(name, limit_rate): &(&'static str, u64)| {
        Origin::start(&[name], OriginOptions { limit_rate: *limit_rate, ..OriginOptions::default() })
            .expect("nginx starts")
    };
    let origins: Vec<Origin> = rates.iter().map(start).collect();
    let named = origins.iter().zip(rates);
    let upstreams = named
        .map(|(origin, (name, _))| Upstream { name: (*name).into(), address: origin.addresses[0], weight: 1 })
        .collect();
    (origins, upstreams)
}

/// Runs a client and gives what it printed; it must succeed.
pub(crate) fn printed(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {words:?} failed:\n{text}");
    text
}
