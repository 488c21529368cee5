//! The shared server from outside: a real one, away, frozen, restarted, with a password, with TLS.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ambidex_core::time::Span;
use ambidex_store::remote::{Remote, RemoteConfig, RemoteError, Said, Script};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

/// A server of Debian's package; it goes with its owner. Listens on a socket in `folder`, so that no port is taken.
struct Server(Child);

impl Server {
    fn start(folder: &Path, more: &str) -> Self {
        let file = folder.join("redis.conf");
        let dir = folder.display();
        let text = format!("port 0\nunixsocket {dir}/socket\ndir {dir}\nsave \"\"\nappendonly no\n{more}\n");
        fs::write(&file, text).expect("written");
        let child = Command::new("redis-server").arg(&file).stdout(Stdio::null()).spawn();
        Self(child.expect("redis-server is installed by `cargo xtask test`"))
    }

    fn signal(&self, signal: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn config(folder: &Path, more: &str) -> RemoteConfig {
    let text = format!(r#"{{"url": "unix://{}/socket", "timeout": "2s"{more}}}"#, folder.display());
    serde_json::from_str(&text).expect("right")
}

async fn until(remote: &Remote, here: bool) {
    let reached = async {
        while remote.is_here() != here {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(60), reached).await.expect("within half a minute");
}

const KEEP: Span = Span::from_secs(60);

#[tokio::test]
async fn values_and_scripts_go_there_and_back() {
    let folder = TempDir::new().expect("a folder");
    let _server = Server::start(folder.path(), "");
    let remote = Remote::start(config(folder.path(), "")).expect("a thread");
    until(&remote, true).await;
    assert_eq!(remote.get(b"a").await, Ok(None));
    remote.set(b"a", b"\0\r\nb", KEEP).await.expect("set");
    assert_eq!(remote.get(b"a").await, Ok(Some(b"\0\r\nb".to_vec())));
    let script = Script::new("return {redis.call('GET', KEYS[1]), #ARGV, false}");
    let said = remote.run(&script, &[b"a"], vec![vec![1], vec![2]]).await;
    assert_eq!(said, Ok(Said::List(vec![Said::Bytes(b"\0\r\nb".to_vec()), Said::Number(2), Said::Nil])));
    remote.remove(&[b"a", b"b"]).await.expect("removed");
    assert_eq!(remote.get(b"a").await, Ok(None));
    let wrong = remote.run(&Script::new("return redis.call('NONE')"), &[], vec![]).await.expect_err("no such command");
    assert!(matches!(&wrong, RemoteError::Refused(_)) && !wrong.may_have_run(), "{wrong}");
    assert_eq!(remote.status().failed, 1);
}

#[tokio::test]
async fn a_server_that_is_away_is_told_at_once_and_found_again() {
    let folder = TempDir::new().expect("a folder");
    let remote = Remote::start(config(folder.path(), "")).expect("a thread");
    assert_eq!(remote.get(b"a").await, Err(RemoteError::Away));
    let server = Server::start(folder.path(), "");
    until(&remote, true).await;
    remote.set(b"a", b"1", KEEP).await.expect("set");
    drop(server);
    until(&remote, false).await;
    assert_eq!(remote.get(b"a").await, Err(RemoteError::Away));
    let _server = Server::start(folder.path(), "");
    until(&remote, true).await;
    assert_eq!(remote.get(b"a").await, Ok(None));
    assert_eq!(remote.status().connected, 2);
}

#[tokio::test]
async fn a_frozen_server_costs_one_patience_and_is_away_then() {
    let folder = TempDir::new().expect("a folder");
    let server = Server::start(folder.path(), "");
    let remote = Remote::start(config(folder.path(), r#", "connect_timeout": "100ms""#)).expect("a thread");
    until(&remote, true).await;
    server.signal("-STOP");
    let error = timeout(Duration::from_secs(60), remote.set(b"a", b"1", KEEP)).await.expect("never a hang");
    assert_eq!(error, Err(RemoteError::Late));
    assert!(RemoteError::Late.may_have_run());
    until(&remote, false).await;
    assert_eq!(remote.get(b"a").await, Err(RemoteError::Away));
    server.signal("-CONT");
    until(&remote, true).await;
}

#[tokio::test]
async fn a_password_is_read_from_its_file_at_each_connecting_and_shown_nowhere() {
    const SECRET: &str = "canary-of-a-password";
    let folder = TempDir::new().expect("a folder");
    let _server = Server::start(folder.path(), &format!("requirepass {SECRET}"));
    let file = folder.path().join("password");
    fs::write(&file, "another one\n").expect("written");
    let config = config(folder.path(), &format!(r#", "password_file": "{}""#, file.display()));
    let remote = Remote::start(config.clone()).expect("a thread");
    assert_eq!(remote.get(b"a").await, Err(RemoteError::Away));
    fs::write(&file, format!("{SECRET}\n")).expect("written");
    until(&remote, true).await;
    assert_eq!(remote.get(b"a").await, Ok(None));
    let shown = format!("{remote:?} {config:?} {}", serde_json::to_string(&config).expect("json"));
    assert!(!shown.contains(SECRET), "{shown}");
}

#[tokio::test]
async fn a_server_with_tls_is_believed_by_its_authority_only() {
    let folder = TempDir::new().expect("a folder");
    let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("cert.pem"), issued.cert.pem()).expect("written");
    fs::write(path("key.pem"), issued.signing_key.serialize_pem()).expect("written");
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    fs::write(path("other.pem"), other.cert.pem()).expect("written");
    let dir = folder.path().display();
    // A port that was free a moment ago: another one is taken when somebody was faster.
    for _ in 0..10 {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("bound");
        let port = free.port();
        let mut server = Server::start(
            folder.path(),
            &format!(
                "bind 127.0.0.1\ntls-port {port}\ntls-cert-file {dir}/cert.pem\ntls-key-file {dir}/key.pem\n\
                 tls-ca-cert-file {dir}/cert.pem\ntls-auth-clients no"
            ),
        );
        let speak = |ca: &str| {
            let text = format!(r#"{{"url": "rediss://localhost:{port}", "timeout": "2s", "ca": "{dir}/{ca}"}}"#);
            Remote::start(serde_json::from_str(&text).expect("right")).expect("a thread")
        };
        let remote = speak("cert.pem");
        let settled = async {
            while !remote.is_here() && server.0.try_wait().expect("ours").is_none() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(60), settled).await.expect("within half a minute");
        if remote.is_here() {
            remote.set(b"a", b"1", KEEP).await.expect("set");
            assert_eq!(speak("other.pem").get(b"a").await, Err(RemoteError::Away));
            return;
        }
    }
    panic!("no port in ten tries");
}
