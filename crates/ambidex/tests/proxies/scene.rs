//! A real HAProxy, a pair of the laboratory's workers for any proxy, and a coordinator that steers it.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use ambidex_core::time::Span;
use ambidex_lab::peer::{Process, free_port, get};
use ambidex_lab::worker::{self, Worker, WorkerOptions};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Running, ambidex, until};

/// HAProxy with a backend `app`, and what it is configured with. It may be stopped and started.
pub(crate) struct Haproxy {
    folder: TempDir,
    pub(crate) address: SocketAddr,
    /// Where its runtime API listens beside its socket.
    tcp: Option<SocketAddr>,
    process: Option<Process>,
}

impl Haproxy {
    /// Started, with these lines in its backend; its runtime API lets everything be changed.
    pub(crate) fn start(backend: &str) -> Self {
        let mut haproxy = Self::stopped(backend, "admin");
        haproxy.run();
        haproxy
    }

    /// Not started, with a runtime API of this level.
    pub(crate) fn stopped(backend: &str, level: &str) -> Self {
        let (folder, address) = (TempDir::new().expect("a folder"), free_port().expect("a port"));
        let haproxy = Self { folder, address, tcp: None, process: None };
        haproxy.configure(backend, level);
        haproxy
    }

    /// Started, with a runtime API that is reached by TCP, too.
    pub(crate) fn over_tcp(backend: &str) -> Self {
        let mut haproxy = Self { tcp: Some(free_port().expect("a port")), ..Self::stopped(backend, "admin") };
        haproxy.configure(backend, "admin");
        haproxy.run();
        haproxy
    }

    /// For the next start.
    pub(crate) fn configure(&self, backend: &str, level: &str) {
        let (socket, address) = (self.socket(), self.address);
        let more = self.tcp.map_or_else(String::new, |tcp| format!("  stats socket {tcp} level {level}\n"));
        let text = format!(
            "global\n  stats socket {} level {level}\n{more}  maxconn 500\ndefaults\n  mode http\n  timeout connect 5s\n  \
             timeout client 60s\n  timeout server 60s\n  retries 1\nfrontend clients\n  bind {address}\n  \
             default_backend app\nbackend app\n{backend}",
            socket.display()
        );
        std::fs::write(self.folder.path().join("haproxy.cfg"), text).expect("written");
    }

    pub(crate) fn run(&mut self) {
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(self.folder.path().join("haproxy.cfg"));
        let process = Process::start("haproxy", command, TempDir::new().expect("a folder")).expect("haproxy starts");
        self.process = Some(process);
        until(|| UnixStream::connect(self.socket()).ok());
    }

    pub(crate) fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.signal("KILL").expect("it runs");
        process.wait_for_end(Span::from_secs(20)).expect("it ends");
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("admin.sock")
    }

    /// What it answers to a command.
    pub(crate) fn ask(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).expect("it listens");
        stream.write_all(format!("{command}\n").as_bytes()).expect("sent");
        stream.shutdown(Shutdown::Write).expect("a socket");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// A column of `show servers state`, by server.
    fn column(&self, index: usize) -> Vec<u32> {
        let state = self.ask("show servers state app");
        let lines = state.lines().filter(|line| line.contains(" app "));
        lines.map(|line| line.split(' ').nth(index).and_then(|text| text.parse().ok()).expect("a number")).collect()
    }

    /// The weights now, by server.
    pub(crate) fn weights(&self) -> Vec<u32> {
        self.column(7)
    }

    /// Who took a server out, by server: 0 nobody, 1 maintenance, 8 a drain.
    pub(crate) fn out(&self) -> Vec<u32> {
        self.column(6)
    }

    /// A coordinator for it, with a pool of these workers by name and address; `keys` are more of the pool.
    pub(crate) fn coordinated(&self, workers: &[(&str, SocketAddr)], pool: &str, publish: &str) -> Running {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("gw.yaml");
        std::fs::write(&file, self.file(workers, pool, publish)).expect("written");
        Running::start(folder, &["coordinator", file.to_str().expect("UTF-8")])
    }

    /// Its configuration.
    pub(crate) fn file(&self, workers: &[(&str, SocketAddr)], pool: &str, publish: &str) -> String {
        let mut text = String::from("admin: {address: \"127.0.0.1:0\"}\npools:\n  api:\n    workers:\n");
        for (worker, address) in workers {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "      - {{url: \"http://{address}\", {worker}}}");
        }
        let api = self.tcp.map_or_else(|| format!("unix:{}", self.socket().display()), |tcp| tcp.to_string());
        let _ =
            write!(text, "{pool}publish:\n  edge:\n    haproxy: {{address: \"{api}\", every: 100ms, {publish}}}\n",);
        text
    }
}

/// What the one publisher of a coordinator says of itself.
pub(crate) fn publisher(running: &Running) -> Value {
    running.ask_json(&["publishers"])["publishers"][0].clone()
}

/// Its fault, once it has one.
pub(crate) fn fault(running: &Running) -> String {
    until(|| publisher(running)["fault"].as_str().map(str::to_owned))
}

/// Two workers, a and b, and a coordinator by which b gets three times as much.
pub(crate) struct Pair(pub(crate) Vec<Worker>);

impl Pair {
    pub(crate) fn start() -> Self {
        let of = |name: &str| WorkerOptions { name: name.into(), ..WorkerOptions::default() };
        Self(worker::start_all(["a", "b"].map(of).into()).expect("workers"))
    }

    /// The coordinator, with this publisher.
    pub(crate) fn coordinated(&self, publisher: &str) -> Running {
        let (a, b) = (self.0[0].address, self.0[1].address);
        let text = format!(
            "admin: {{address: \"127.0.0.1:0\"}}\npools:\n  api:\n    workers:\n      - {{url: \"http://{a}\", name: a}}\n      \
             - {{url: \"http://{b}\", name: b, weight: 3}}\n    weights: static\npublish:\n  edge:\n{publisher}"
        );
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("gw.yaml");
        std::fs::write(&file, text).expect("written");
        Running::start_with(folder, &["coordinator", file.to_str().expect("UTF-8")], &[("PATH", PATH)])
    }

    /// How many of so many requests to this address each worker served.
    pub(crate) fn served(&self, address: SocketAddr, requests: usize) -> Vec<u64> {
        let served = || self.0.iter().map(Worker::served).collect::<Vec<_>>();
        let before = served();
        // What is refused was served by nobody.
        (0..requests).for_each(|_| drop(get(address, "/")));
        served().iter().zip(before).map(|(now, before)| now - before).collect()
    }
}

/// `ambidex coordinator FILE --release` after the coordinator's end; what it said.
pub(crate) fn release(mut running: Running) -> String {
    running.signal("TERM");
    assert_eq!(running.end(), Some(0));
    let mut command = ambidex(running.folder.path());
    let output = command.env("PATH", PATH).arg("coordinator").arg(running.file()).arg("--release").output();
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

/// A program that came as a Python wheel; `cargo xtask test` installs it.
pub(crate) fn wheel(program: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers").join(program);
    let found = folder.join("bin").join(program);
    assert!(found.is_file(), "{}: `cargo xtask test` installs it", found.display());
    found
}

/// Where Debian has its programs.
pub(crate) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
