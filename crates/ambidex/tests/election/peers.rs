//! An etcd and a Redis of Debian's packages, which go with their owner.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::authority::Authority;
use crate::process::until;

/// One member, at an address of this machine that nobody else uses, so that it is there again after a restart.
pub(crate) struct Etcd {
    child: Child,
    folder: TempDir,
    clients: SocketAddr,
    peers: SocketAddr,
    guarded: bool,
}

impl Etcd {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let ip = own_address();
        let (clients, peers) = (free(ip), free(ip));
        let child = spawn(folder.path(), clients, peers, false);
        let etcd = Self { child, folder, clients, peers, guarded: false };
        etcd.wait();
        etcd
    }

    /// One that speaks TLS, and knows one user, `root`.
    pub(crate) fn guarded(password: &str) -> Self {
        let mut etcd = Self::start();
        let at = etcd.folder.path();
        fs::write(at.join("password"), format!("{password}\n")).expect("written");
        let authority = Authority::called("etcd");
        authority.write(&at.join("ca.pem"));
        authority.issue(at, "etcd", &etcd.clients.ip().to_string());
        etcd.ask("/v3/auth/user/add", &json!({"name": "root", "password": password}));
        etcd.ask("/v3/auth/user/grant", &json!({"user": "root", "role": "root"}));
        etcd.ask("/v3/auth/enable", &json!({}));
        etcd.stop();
        etcd.guarded = true;
        etcd.child = spawn(etcd.folder.path(), etcd.clients, etcd.peers, true);
        etcd
    }

    /// The file with the password of a guarded one.
    pub(crate) fn password(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    /// The section of a configuration.
    pub(crate) fn section(&self) -> String {
        if self.guarded {
            let at = self.folder.path().display();
            return format!(
                "{{endpoints: [\"https://{}\"], ca: {at}/ca.pem, user: root, password_file: {at}/password}}",
                self.clients
            );
        }
        format!("{{endpoints: [\"http://{}\"], timeout: 1s}}", self.clients)
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Away, as if its machine had lost its power.
    pub(crate) fn stop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Back, with what it had.
    pub(crate) fn begin(&mut self) {
        self.child = spawn(self.folder.path(), self.clients, self.peers, self.guarded);
        self.wait();
    }

    /// What it has now, for [`restore`](Self::restore). It is away for a moment.
    pub(crate) fn snapshot(&mut self) -> TempDir {
        self.stop();
        let kept = TempDir::new().expect("a folder");
        copy(&self.data(), &kept.path().join("data"));
        self.begin();
        kept
    }

    /// Back, with what it had then.
    pub(crate) fn restore(&mut self, kept: &TempDir) {
        self.stop();
        fs::remove_dir_all(self.data()).expect("its own");
        copy(&kept.path().join("data"), &self.data());
        self.begin();
    }

    pub(crate) fn put(&self, key: &str, value: &str) {
        self.ask("/v3/kv/put", &json!({"key": STANDARD.encode(key), "value": STANDARD.encode(value)}));
    }

    pub(crate) fn delete(&self, key: &str) {
        self.ask("/v3/kv/deleterange", &json!({"key": STANDARD.encode(key)}));
    }

    /// The value of a key.
    pub(crate) fn value(&self, key: &str) -> Option<String> {
        let answer = self.ask("/v3/kv/range", &json!({"key": STANDARD.encode(key)}));
        let value = STANDARD.decode(answer["kvs"][0]["value"].as_str()?).expect("base64");
        Some(String::from_utf8_lossy(&value).into_owned())
    }

    /// Forgets all that came before now.
    pub(crate) fn compact(&self) {
        let answer = self.ask("/v3/kv/range", &json!({"key": STANDARD.encode("none")}));
        self.ask("/v3/kv/compaction", &json!({"revision": answer["header"]["revision"]}));
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn wait(&self) {
        until(|| self.asked("/v3/kv/range", &json!({"key": STANDARD.encode("none")})));
    }

    fn ask(&self, path: &str, question: &Value) -> Value {
        until(|| self.asked(path, question))
    }

    /// Through its gateway for JSON, which speaks HTTP/1.
    fn asked(&self, path: &str, question: &Value) -> Option<Value> {
        let body = question.to_string();
        let mut stream = TcpStream::connect(self.clients).ok()?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: etcd\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        // What comes in pieces has their lengths between them.
        let body = &body[body.find('{')?..=body.rfind('}')?];
        head.starts_with("HTTP/1.1 200").then(|| serde_json::from_str(body).expect("JSON"))
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(folder: &Path, clients: SocketAddr, peers: SocketAddr, tls: bool) -> Child {
    let (clients, peers) = (format!("{}://{clients}", if tls { "https" } else { "http" }), format!("http://{peers}"));
    let tls: &[&str] = if tls { &["--cert-file", "etcd.pem", "--key-file", "etcd.key"] } else { &[] };
    let log = fs::File::create(folder.join("log")).expect("a file");
    let child = Command::new("etcd")
        .args(["--name", "one", "--data-dir", "data", "--log-level", "warn"])
        .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
        .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
        .args(["--initial-cluster", &format!("one={peers}")])
        .args(tls)
        .current_dir(folder)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    child.expect("etcd is installed by `cargo xtask test`")
}

/// An address of this machine that is this test's alone: of 127.0.0.0/8, by the process and the test within it.
fn own_address() -> IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, high.max(1), low, NEXT.fetch_add(1, Relaxed)).into()
}

fn free(ip: IpAddr) -> SocketAddr {
    TcpListener::bind((ip, 0)).and_then(|socket| socket.local_addr()).expect("a free port")
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-a", from.to_str().expect("UTF-8"), to.to_str().expect("UTF-8")]).status();
    assert!(copied.expect("cp runs").success());
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args(["-s", name, &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

/// A server that listens on a socket in its folder.
pub(crate) struct Redis {
    child: Child,
    folder: TempDir,
}

impl Redis {
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let dir = folder.path().display();
        let text = format!("port 0\nunixsocket {dir}/socket\ndir {dir}\nsave \"\"\nappendonly no\n");
        fs::write(folder.path().join("redis.conf"), text).expect("written");
        let child = Command::new("redis-server").arg(folder.path().join("redis.conf")).stdout(Stdio::null()).spawn();
        let redis = Self { child: child.expect("redis-server is installed by `cargo xtask test`"), folder };
        until(|| redis.socket().exists().then_some(()));
        redis
    }

    /// The section of a configuration.
    pub(crate) fn section(&self) -> String {
        format!("{{url: \"unix://{}\", timeout: 2s}}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Forgets everything.
    pub(crate) fn flush(&self) {
        let socket = self.socket();
        let done = Command::new("redis-cli").args(["-s", socket.to_str().expect("UTF-8"), "flushall"]).output();
        assert!(done.expect("redis-cli comes with redis-server").status.success());
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
