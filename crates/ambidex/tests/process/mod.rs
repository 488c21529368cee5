//! The binary as a running process: started on free ports in a folder of its own, asked through its command line.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod authority;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A running gateway; killed when dropped.
pub(crate) struct Running {
    child: Child,
    /// Holds the data folder, and the configuration when there is one.
    pub(crate) folder: TempDir,
    /// Where clients connect; empty for a coordinator.
    pub(crate) listener: String,
    /// Where the admin API is.
    pub(crate) admin: String,
    /// Where an agent reports load.
    pub(crate) load: String,
    /// Where gateways subscribe to a coordinator.
    pub(crate) gateways: String,
}

impl Running {
    /// `ambidex run` with this configuration, whose ports are 0.
    pub(crate) fn run(config: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        let file = folder.path().join("gw.yaml");
        fs::write(&file, config).expect("written");
        Self::start(folder, &["run", file.to_str().expect("UTF-8")])
    }

    /// `ambidex ARGUMENTS` with `folder` for its data.
    pub(crate) fn start(folder: TempDir, arguments: &[&str]) -> Self {
        Self::start_with(folder, arguments, &[])
    }

    /// The same with more in its environment.
    pub(crate) fn start_with(folder: TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let command = ambidex(folder.path());
        Self::spawn(folder, command, arguments, environment)
    }

    /// The same as a program that another one runs, such as `setpriv`.
    pub(crate) fn start_under(program: &[&str], folder: TempDir, arguments: &[&str]) -> Self {
        let plain = ambidex(folder.path());
        let mut command = Command::new(program[0]);
        command.args(&program[1..]).arg(plain.get_program()).env_clear().current_dir(folder.path());
        command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
        Self::spawn(folder, command, arguments, &[])
    }

    fn spawn(folder: TempDir, mut command: Command, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let log = fs::File::create(folder.path().join("log")).expect("a file");
        let mut child = command
            .args(arguments)
            .args(["--output", "json"])
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}{log}"));
        let listener = said["listeners"][0].as_str().unwrap_or_default().to_owned();
        let admin = said["dashboard"].as_str().unwrap_or_default().to_owned();
        let load = said["load"].as_str().unwrap_or_default().to_owned();
        let gateways = said["gateways"].as_str().unwrap_or_default().to_owned();
        Self { child, folder, listener, admin, load, gateways }
    }

    /// The configuration file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("gw.yaml")
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).expect("its log")
    }

    /// A command that asks it; fails the test when it fails.
    pub(crate) fn ask(&self, arguments: &[&str]) -> String {
        let output = self.asked(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// The same as data.
    pub(crate) fn ask_json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.ask(&[arguments, &["--output", "json"]].concat())).expect("JSON")
    }

    /// A command that asks it, however it ends.
    pub(crate) fn asked(&self, arguments: &[&str]) -> Output {
        ambidex(self.folder.path())
            .args(arguments)
            .env("AMBIDEX_ADMIN", &self.admin)
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs")
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Waits for its end; its exit code.
    pub(crate) fn end(&mut self) -> Option<i32> {
        let child = &mut self.child;
        until(|| child.try_wait().expect("ours")).code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The binary, with its data in `folder` and nothing else of our environment.
pub(crate) fn ambidex(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ambidex"));
    command.env_clear().env("AMBIDEX_DATA", folder.join("data")).current_dir(folder);
    command
}

/// Waits until something is there, for some minutes: of machines that check, four fifths are taken away at times.
pub(crate) fn until<T>(look: impl FnMut() -> Option<T>) -> T {
    until_within(Duration::from_secs(150), look)
}

/// The same for what comes later than that by itself.
#[expect(clippy::disallowed_methods, reason = "a test's deadline; the pause is between looks at another process")]
pub(crate) fn until_within<T>(longest: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + longest;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it did not come in {longest:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What `GET PATH` answers at an address, head and body.
pub(crate) fn get(address: &str, path: &str) -> String {
    use std::io::Write as _;
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    // What came before a connection broke is the answer.
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}
