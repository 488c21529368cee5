//! A process that we started: ended when its owner goes, its use of the machine read from `/proc`.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use ambidex_core::time::Span;
use tempfile::TempDir;

use super::PeerError;
use crate::clock::poll;

/// A running process with a folder of its own. Dropping it kills the process and removes the folder.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    dir: TempDir,
}

impl Process {
    /// Starts `command` with its output in files of `dir`.
    ///
    /// # Errors
    /// The program is not installed, or cannot be started.
    pub fn start(name: &str, mut command: Command, dir: TempDir) -> Result<Self, PeerError> {
        let failed = |source| PeerError::Start { name: name.to_owned(), source };
        let output = File::create(dir.path().join("stdout")).map_err(failed)?;
        let errors = File::create(dir.path().join("stderr")).map_err(failed)?;
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().map_err(failed)?;
        Ok(Self { child, name: name.to_owned(), dir })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its folder: configuration, `stdout`, `stderr`.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it has printed on standard output.
    #[must_use]
    pub fn stdout(&self) -> String {
        fs::read_to_string(self.dir.path().join("stdout")).unwrap_or_default()
    }

    /// What it has printed on standard error.
    #[must_use]
    pub fn stderr(&self) -> String {
        fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
    }

    /// Waits until `address` answers `GET path` with any status under 500.
    ///
    /// # Errors
    /// It ended, or did not answer within a minute, which a machine that stalls may need; with what it printed.
    pub fn wait_until_it_answers(&mut self, address: SocketAddr, path: &str) -> Result<(), PeerError> {
        let mut ended = None;
        let answers = poll(Span::from_secs(60), || {
            ended = self.child.try_wait().ok().flatten();
            ended.is_some() || get(address, path).is_ok_and(|(status, _)| status < 500)
        });
        if answers && ended.is_none() {
            return Ok(());
        }
        Err(PeerError::Silent {
            name: self.name.clone(),
            address,
            output: format!("{}{}", self.stdout(), self.stderr()),
        })
    }

    /// Sends a signal by name, such as `TERM`, `INT` or `HUP`.
    ///
    /// # Errors
    /// The process is gone.
    pub fn signal(&self, signal: &str) -> Result<(), PeerError> {
        let failed = |source| PeerError::Start { name: format!("kill -{signal} {}", self.name), source };
        let status =
            Command::new("kill").arg(format!("-{signal}")).arg(self.id().to_string()).status().map_err(failed)?;
        if status.success() { Ok(()) } else { Err(failed(io::Error::other("no such process"))) }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It did not end within `patience`.
    pub fn wait_for_end(&mut self, patience: Span) -> Result<ExitStatus, PeerError> {
        let mut ended = None;
        poll(patience, || {
            ended = self.child.try_wait().ok().flatten();
            ended.is_some()
        });
        ended.ok_or_else(|| PeerError::Endless { name: self.name.clone(), patience })
    }

    /// Processor time of all its threads, and of those of its children, since its start; zero where `/proc` does not
    /// say.
    #[must_use]
    pub fn cpu(&self) -> Span {
        let all = std::iter::once(self.id()).chain(self.children());
        all.filter_map(cpu_of).fold(Span::ZERO, |sum, one| sum + one)
    }

    /// Resident memory in KiB, that of its children with it; zero where `/proc` does not say.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        std::iter::once(self.id()).chain(self.children()).filter_map(resident_kib_of).sum()
    }

    /// The most memory that it ever held resident, in KiB, without its children; zero where `/proc` does not say.
    #[must_use]
    pub fn peak_kib(&self) -> u64 {
        status_kib(self.id(), "VmHWM:").unwrap_or(0)
    }

    /// The processes that its first thread started: nginx's, when it is a master.
    fn children(&self) -> Vec<u32> {
        let id = self.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        children.split_whitespace().filter_map(|id| id.parse().ok()).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A master that is killed would leave its children behind; one that is asked ends them.
        if !self.children().is_empty() && self.signal("TERM").is_ok() {
            poll(Span::from_secs(2), || self.child.try_wait().is_ok_and(|ended| ended.is_some()));
        }
        // Already gone is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn resident_kib_of(id: u32) -> Option<u64> {
    status_kib(id, "VmRSS:")
}

/// A figure of a process's status.
fn status_kib(id: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// User and system time of all threads, in ticks of 10 ms.
fn cpu_of(id: u32) -> Option<Span> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name may hold anything, so count from its closing parenthesis: utime is the 12th field after it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Span::from_millis(ticks * 10))
}

/// Asks `address` for `path` on a connection of its own; gives the status and the whole answer.
///
/// # Errors
/// No connection, or no HTTP answer within five seconds.
pub fn get(address: SocketAddr, path: &str) -> io::Result<(u16, Vec<u8>)> {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n"))
}

/// Posts JSON with a bearer token on a connection of its own; gives the status and the whole answer.
///
/// # Errors
/// As [`get`].
pub fn post(address: SocketAddr, path: &str, token: &str, json: &str) -> io::Result<(u16, Vec<u8>)> {
    let length = json.len();
    exchange(
        address,
        &format!(
            "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{json}"
        ),
    )
}

/// Sends these bytes and reads until the other side closes.
///
/// # Errors
/// As [`get`].
pub fn exchange(address: SocketAddr, request: &str) -> io::Result<(u16, Vec<u8>)> {
    let patience = Duration::from_secs(5);
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let status = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    status.map(|status| (status, answer)).ok_or_else(|| io::Error::other("no HTTP answer"))
}

/// A port of 127.0.0.1 that was free a moment ago, for programs that cannot say which one they took.
///
/// # Errors
/// The system has none left.
pub fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// A UDP port of loopback that is free.
///
/// # Errors
/// What the system said.
pub fn free_udp_port() -> io::Result<SocketAddr> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Writes a file into a new folder for one process.
pub(super) fn folder_with(name: &str, text: &str) -> Result<(TempDir, PathBuf), PeerError> {
    let failed = |source| PeerError::Start { name: name.to_owned(), source };
    let dir = TempDir::new().map_err(failed)?;
    let file = dir.path().join(name);
    fs::write(&file, text).map_err(failed)?;
    Ok((dir, file))
}
