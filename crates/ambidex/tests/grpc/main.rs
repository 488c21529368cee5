//! A stock gRPC client that finds its workers, stock gRPC servers, by xDS from a coordinator.

#[path = "../process/mod.rs"]
mod process;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use ambidex_core::time::Span;
use ambidex_lab::peer::Process;
use ambidex_lab::poll;
use process::authority::Authority;
use process::{Running, ambidex};
use serde::Deserialize;
use tempfile::TempDir;

fn python(word: &str) -> Command {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages: PathBuf = here.join("../../target/peers/python");
    assert!(packages.is_dir(), "no {}: `cargo xtask test` installs it", packages.display());
    let mut command = Command::new("python3");
    command.arg(here.join("tests/grpc/peer.py")).arg(word).env("PYTHONPATH", packages);
    command
}

/// A gRPC server, and its port.
fn worker() -> (Process, u16) {
    let process = Process::start("worker", python("serve"), TempDir::new().expect("a folder")).expect("python starts");
    assert!(
        poll(PATIENCE, || process.stdout().ends_with('\n')),
        "it never said where it listens: {}",
        process.stderr()
    );
    let port = process.stdout().trim().parse().expect("a port");
    (process, port)
}

/// A gRPC client of `xds:///api`; killed when dropped.
struct Client {
    child: Child,
    words: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    folder: TempDir,
}

/// What became of some calls.
#[derive(Debug, Deserialize)]
struct Calls {
    /// How many each port answered.
    answered: BTreeMap<u16, u32>,
    /// How many failed, by why.
    failed: BTreeMap<String, u32>,
}

impl Calls {
    fn of(&self, port: u16) -> u32 {
        self.answered.get(&port).copied().unwrap_or_default()
    }
}

impl Client {
    fn start(bootstrap: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("bootstrap.json");
        fs::write(&file, bootstrap).expect("written");
        let errors = fs::File::create(folder.path().join("stderr")).expect("a file");
        let mut command = python("ask");
        command.env("GRPC_XDS_BOOTSTRAP", file).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().expect("python starts");
        let words = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, words, answers, folder }
    }

    /// Makes so many calls, one after the other; none may fail.
    fn call(&mut self, count: u32) -> Calls {
        writeln!(self.words, "{count}").expect("it runs");
        let errors = || fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default();
        let line = self.answers.next().unwrap_or_else(|| panic!("the client ended: {}", errors())).expect("a line");
        let calls: Calls = serde_json::from_str(&line).expect("JSON");
        assert!(calls.failed.is_empty(), "{calls:?}: {}", errors());
        assert_eq!(calls.answered.values().sum::<u32>(), count);
        calls
    }

    /// Waits until it is connected to both workers: who is connected first gets all calls meanwhile.
    fn knows_both(&mut self) {
        assert!(poll(PATIENCE, || self.call(20).answered.len() == 2), "one of the workers gets no call");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A coordinator of these workers whose file and port outlive it.
struct Scene {
    folder: TempDir,
    coordinator: Option<Running>,
}

impl Scene {
    fn new(ports: &[u16], tls: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        // An address that no client's own port is ever at.
        let xds: SocketAddr = TcpListener::bind("127.0.0.2:0").and_then(|free| free.local_addr()).expect("a port");
        let workers: Vec<_> =
            ports.iter().map(|port| format!("{{url: \"http://127.0.0.1:{port}\", name: w{port}}}")).collect();
        let text = format!(
            "pools: {{api: {{workers: [{}], weights: {{policy: static, tick: 100ms}}}}}}\nadmin: {{address: \"127.0.0.1:0\"}}\n\
             publish: {{clients: {{grpc: {{listen: \"{xds}\"{tls}}}}}}}\n",
            workers.join(", ")
        );
        fs::write(folder.path().join("coordinator.yaml"), text).expect("written");
        Self { folder, coordinator: None }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("coordinator.yaml")
    }

    fn start(&mut self) {
        let file = self.file();
        let arguments = ["coordinator", file.to_str().expect("UTF-8")];
        self.coordinator = Some(Running::start(TempDir::new().expect("a folder"), &arguments));
    }

    fn coordinator(&self) -> &Running {
        self.coordinator.as_ref().expect("it runs")
    }

    /// A client that starts with what `ambidex grpc bootstrap` prints.
    fn client(&self, more: &[&str]) -> Client {
        let mut command = ambidex(self.folder.path());
        let output = command.args(["grpc", "bootstrap"]).arg(self.file()).args(more).output().expect("the binary runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Client::start(&String::from_utf8(output.stdout).expect("UTF-8"))
    }

    fn order(&self, words: &[&str]) {
        self.coordinator().ask(&[words, &["--yes"]].concat());
    }
}

#[test]
fn calls_go_by_the_decided_weights_and_none_to_a_drained_worker() {
    let ((_first, heavy), (_second, light)) = (worker(), worker());
    let mut scene = Scene::new(&[heavy, light], "");
    scene.start();
    let mut client = scene.client(&[]);
    client.knows_both();
    let calls = client.call(400);
    assert!((120..=280).contains(&calls.of(light)), "half of them, seven deviations and more allowed: {calls:?}");

    let name = format!("w{light}");
    scene.order(&["pin", "0.25", &name]);
    // A quarter of a fair share, whatever the other has.
    let share = || {
        let workers = scene.coordinator().ask_json(&["workers"]);
        let workers = workers["pools"][0]["workers"].as_array().expect("a list").clone();
        workers
            .iter()
            .find(|worker| worker["name"] == *name)
            .and_then(|worker| worker["share"].as_f64())
            .expect("a share")
    };
    assert!(poll(PATIENCE, || share() < 0.3), "{}", share());
    let settled = poll(PATIENCE, || client.call(100).of(light) < 35);
    assert!(settled, "calls do not follow the weight");
    let (wanted, calls) = (share() * 400.0, client.call(400));
    let deviation = (wanted * (1.0 - share())).sqrt();
    assert!((f64::from(calls.of(light)) - wanted).abs() < 6.0 * deviation, "{wanted}: {calls:?}");

    scene.order(&["drain", &name]);
    assert!(poll(PATIENCE, || client.call(20).of(light) == 0), "a drained worker is called");
    assert_eq!(client.call(200).of(light), 0);

    // What the client counted came back as reports of the workers.
    let publisher = || scene.coordinator().ask_json(&["publishers"])["publishers"][0].clone();
    let reported = poll(PATIENCE, || {
        client.call(5);
        publisher()["counts"]["reports"].as_u64().is_some_and(|reports| reports > 0)
    });
    assert!(reported && publisher()["fault"].is_null(), "{}", publisher());
}

#[test]
fn a_coordinator_that_is_killed_and_comes_back_drops_no_call_over_tls() {
    let ((_first, one), (_second, other)) = (worker(), worker());
    let files = TempDir::new().expect("a folder");
    let at = |name: &str| files.path().join(name).display().to_string();
    let [ours, clients] = ["ours", "clients"].map(Authority::called);
    ours.issue(files.path(), "coordinator", "127.0.0.2");
    ours.write(&files.path().join("ca.pem"));
    clients.issue(files.path(), "client", "client-1");
    clients.write(&files.path().join("clients.pem"));
    let tls = format!(
        ", tls: {{certificates: [{{cert: {}, key: {}}}], client_ca: {}}}",
        at("coordinator.pem"),
        at("coordinator.key"),
        at("clients.pem")
    );
    let mut scene = Scene::new(&[one, other], &tls);
    scene.start();
    let mut client = scene.client(&["--ca", &at("ca.pem"), "--cert", &at("client.pem"), "--key", &at("client.key")]);
    client.knows_both();
    drop(scene.coordinator.take());
    assert_eq!(client.call(100).answered.len(), 2);
    scene.start();
    client.call(100);
    scene.order(&["drain", &format!("w{other}")]);
    assert!(poll(PATIENCE, || client.call(20).of(other) == 0), "it does not hear the new coordinator");
}

/// How long anything may take on a machine that does much else.
const PATIENCE: Span = Span::from_secs(45);
