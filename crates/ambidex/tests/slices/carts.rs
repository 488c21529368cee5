//! Carts: an application of the examples that holds slices, its agent, and clients that write lines into carts.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ambidex_core::shard::space::Point;
use serde_json::Value;
use tempfile::TempDir;

use super::process::Running;

/// An application of the examples; ended when dropped.
pub(crate) struct Application {
    child: Child,
    /// Where it is.
    pub(crate) url: String,
    _folder: TempDir,
}

impl Application {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shard-worker/sqlite_worker.py");
        let mut command = Command::new("python3");
        command.arg(script).arg("127.0.0.1:0").arg(folder.path().join("carts.db")).stdout(Stdio::piped());
        let mut child = command.spawn().expect("python3 runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
        let url = line.trim().rsplit(' ').next().expect("a URL").to_owned();
        Self { child, url, _folder: folder }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The agent `name` before an application, which asks the coordinator with this admin API.
pub(crate) fn agent(name: &str, port: u16, application: &str, coordinator: &str, tokens: &[PathBuf; 2]) -> Running {
    let folder = TempDir::new().expect("a folder");
    let listen = format!("127.0.0.1:{port}");
    let records = folder.path().join("held");
    let [contract, admin] = tokens;
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let arguments: Vec<String> = [
        ["agent", "--for", application, "--listen", "127.0.0.1:0", "--endpoint", "off"].map(str::to_owned).to_vec(),
        ["--keyspace", "carts", "--shard-listen", &listen, "--shard-name", name].map(str::to_owned).to_vec(),
        vec!["--shard-data".to_owned(), text(&records), "--shard-token-file".to_owned(), text(contract)],
        vec!["--shard-coordinator".to_owned(), coordinator.to_owned()],
        vec!["--shard-coordinator-token-file".to_owned(), text(admin)],
    ]
    .concat();
    Running::start(folder, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Where a cart's requests go, and what they say of its slice.
pub(crate) struct Place {
    address: String,
    slice: String,
    epoch: u64,
}

impl Place {
    pub(crate) fn of(table: &Value, cart: &str) -> Option<Self> {
        let point = Point::of(cart.as_bytes()).to_string();
        let within = |row: &&Value| row["first"].as_str() <= Some(&*point) && Some(&*point) <= row["last"].as_str();
        let row = table["slices"].as_array()?.iter().find(within)?;
        let address = table["workers"][row["owner"].to_string()]["address"].as_str()?.trim_start_matches("http://");
        Some(Self { address: address.to_owned(), slice: row["id"].as_str()?.to_owned(), epoch: row["epoch"].as_u64()? })
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) fn send(place: &Place, method: &str, cart: &str, number: Option<u64>, body: &str) -> Answer {
    let Place { address, slice, epoch } = place;
    let op = number.map_or(String::new(), |number| format!("ambidex-op-id: 7:{number}\r\n"));
    let request = format!(
        "{method} /carts/{cart} HTTP/1.1\r\nhost: carts\r\nconnection: close\r\nambidex-keyspace: carts\r\nambidex-slice: {slice}\r\n\
         ambidex-epoch: {epoch}\r\nambidex-key: {cart}\r\n{op}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(address, &request)
}

/// A client that knows nothing of slices; `op`: the producer, and the number of its write.
pub(crate) fn through(gateway: &str, method: &str, cart: &str, op: Option<(u64, u64)>, body: &str) -> Answer {
    let op = op.map_or(String::new(), |(producer, number)| format!("ambidex-op-id: {producer}:{number}\r\n"));
    let request = format!(
        "{method} /carts/{cart} HTTP/1.1\r\nhost: carts\r\nconnection: close\r\ncart-id: {cart}\r\n{op}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(gateway, &request)
}

pub(crate) fn exchange(address: &str, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    // What came before a connection broke is the answer.
    drop(stream.read_to_end(&mut answer));
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}
