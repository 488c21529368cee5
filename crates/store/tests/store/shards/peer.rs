//! An etcd of Debian's package, which goes with its owner.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use ambidex_store::etcd::{Etcd as Client, EtcdConfig};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

/// One member, at the same address after a restart.
pub(super) struct Etcd {
    child: Child,
    folder: TempDir,
    clients: SocketAddr,
    peers: SocketAddr,
    guarded: bool,
}

impl Etcd {
    pub(super) fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let (clients, peers) = (free(), free());
        let child = spawn(&folder, clients, peers, false);
        let etcd = Self { child, folder, clients, peers, guarded: false };
        etcd.wait();
        etcd
    }

    /// One that speaks TLS, and knows one user, `root`.
    pub(super) fn guarded(password: &str) -> Self {
        let mut etcd = Self::start();
        let at = etcd.folder.path();
        fs::write(at.join("password"), format!("{password}\n")).expect("written");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        fs::write(at.join("ca.pem"), params.self_signed(&key).expect("signed").pem()).expect("written");
        let issuer = Issuer::new(params, key);
        let own = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
        fs::write(at.join("etcd.pem"), params.signed_by(&own, &issuer).expect("signed").pem()).expect("written");
        fs::write(at.join("etcd.key"), own.serialize_pem()).expect("written");
        etcd.ask("/v3/auth/user/add", &json!({"name": "root", "password": password}));
        etcd.ask("/v3/auth/user/grant", &json!({"user": "root", "role": "root"}));
        etcd.ask("/v3/auth/enable", &json!({}));
        etcd.stop();
        etcd.guarded = true;
        etcd.child = spawn(&etcd.folder, etcd.clients, etcd.peers, true);
        etcd
    }

    /// A client of it, within a runtime.
    pub(super) fn client(&self) -> Client {
        let at = self.folder.path();
        let config = if self.guarded {
            json!({
                "endpoints": [format!("https://{}", self.clients)],
                "ca": at.join("ca.pem"), "user": "root", "password_file": at.join("password"), "timeout": "2s",
            })
        } else {
            json!({"endpoints": [format!("http://{}", self.clients)], "timeout": "2s"})
        };
        let config: EtcdConfig = serde_json::from_value(config).expect("a configuration");
        Client::new(&config)
    }

    pub(super) fn forget_password(&self) {
        fs::write(self.folder.path().join("password"), "another").expect("written");
    }

    pub(super) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    pub(super) fn stop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }

    pub(super) fn begin(&mut self) {
        self.child = spawn(&self.folder, self.clients, self.peers, self.guarded);
        self.wait();
    }

    pub(super) fn put(&self, key: &str, value: &str) {
        self.ask("/v3/kv/put", &json!({"key": base64(key), "value": base64(value)}));
    }

    /// Forgets all that came before now.
    pub(super) fn compact(&self) {
        let answer = self.ask("/v3/kv/range", &json!({"key": base64("none")}));
        self.ask("/v3/kv/compaction", &json!({"revision": answer["header"]["revision"]}));
    }

    fn wait(&self) {
        self.ask("/v3/kv/range", &json!({"key": base64("none")}));
    }

    /// Through its gateway for JSON, until it answers; whoever waits for the test has a deadline.
    fn ask(&self, path: &str, question: &Value) -> Value {
        for _ in 0..6_000 {
            if let Some(answer) = self.asked(path, question) {
                return answer;
            }
            #[expect(clippy::disallowed_methods, reason = "a process of another kind starts")]
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        panic!("etcd does not answer {path}: {log}");
    }

    fn asked(&self, path: &str, question: &Value) -> Option<Value> {
        let body = question.to_string();
        let mut stream = TcpStream::connect(self.clients).ok()?;
        let length = body.len();
        let head =
            format!("POST {path} HTTP/1.1\r\nhost: etcd\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all((head + &body).as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let body = &body[body.find('{')?..=body.rfind('}')?];
        head.starts_with("HTTP/1.1 200").then(|| serde_json::from_str(body).expect("JSON"))
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(folder: &TempDir, clients: SocketAddr, peers: SocketAddr, tls: bool) -> Child {
    let (clients, peers) = (format!("{}://{clients}", if tls { "https" } else { "http" }), format!("http://{peers}"));
    let tls: &[&str] = if tls { &["--cert-file", "etcd.pem", "--key-file", "etcd.key"] } else { &[] };
    let log = fs::File::create(folder.path().join("log")).expect("a file");
    let child = Command::new("etcd")
        .args(["--name", "one", "--data-dir", "data", "--log-level", "warn"])
        .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
        .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
        .args(["--initial-cluster", &format!("one={peers}")])
        .args(tls)
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn();
    child.expect("etcd is installed by `cargo xtask test`")
}

fn free() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr()).expect("a free port")
}

/// Of short texts, without a library for it.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in text.as_bytes().chunks(3) {
        let number = three.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
        for at in 0..4 {
            let digit = if at <= three.len() { char::from(DIGITS[number >> (18 - 6 * at) & 63]) } else { '=' };
            out.push(digit);
        }
    }
    out
}
