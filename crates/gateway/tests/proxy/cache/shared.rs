//! The second level that gateways share: what one kept another answers with, and nobody waits for it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use super::{Scripted, answer, on};
use crate::common::{Setup, eventually};

/// A server of a test's own, at a socket in its folder.
struct Server(Child);

impl Server {
    fn start(folder: &Path) -> Self {
        let (file, dir) = (folder.join("redis.conf"), folder.display());
        let text = format!("port 0\nunixsocket {dir}/socket\ndir {dir}\nsave \"\"\nappendonly no\n");
        fs::write(&file, text).expect("written");
        let child = Command::new("redis-server").arg(&file).stdout(Stdio::null()).spawn();
        let server = Self(child.expect("redis-server is installed by `cargo xtask test`"));
        eventually("the server listens", || folder.join("socket").exists());
        server
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

/// How many keys the server holds.
fn kept_in(folder: &Path) -> u64 {
    let output = Command::new("redis-cli").arg("-s").arg(folder.join("socket")).arg("dbsize").output();
    let text = String::from_utf8(output.expect("redis-cli comes with redis-server").stdout).expect("text");
    text.trim().trim_start_matches("(integer) ").parse().expect("a number")
}

fn gateway(worker: &Scripted, folder: &Path) -> Setup {
    let mut wanted = worker.wanted(on());
    wanted.cache = json!({"shared": true});
    wanted.redis = json!({"url": format!("unix://{}/socket", folder.display())});
    wanted.start()
}

/// Has `one` keep answers and `other` asked for them until it found one there: 20 ms may be short on a busy machine. The
/// path and what it got.
fn found(one: &Setup, other: &Setup, begin: u32) -> (String, super::Got) {
    let (mut number, mut got) = (begin, None);
    eventually("the other found what the one kept", || {
        number += 1;
        let path = format!("/{number}");
        one.get(&path, "");
        let before = other.gateway.stats().cache.shared_hits;
        let answer = other.get(&path, "");
        if other.gateway.stats().cache.shared_hits > before {
            got = Some((path, answer));
        }
        got.is_some()
    });
    got.expect("found")
}

#[test]
fn what_one_gateway_keeps_another_answers_with_and_what_one_throws_out_is_gone() {
    let folder = TempDir::new().expect("a folder");
    let _server = Server::start(folder.path());
    let one_s = Scripted::new(|_, _| answer("cache-control: max-age=60\r\nage: 7\r\nvary: accept", "of the one"));
    let others = Scripted::new(|_, _| answer("cache-control: max-age=60", "of the other"));
    let (one, other) = (gateway(&one_s, folder.path()), gateway(&others, folder.path()));
    let (path, got) = found(&one, &other, 0);
    assert_eq!(got.body, "of the one");
    assert!(got.field("age").is_some_and(|age| age.parse::<u32>().expect("a number") >= 7), "{}", got.head);
    assert!(got.cache().starts_with("ambidex; hit"), "{}", got.cache());
    // Kept here now; and for those only who select it.
    assert_eq!(other.get(&path, "").body, "of the one");
    assert_eq!(other.get(&path, "accept: x").body, "of the other");
    let before = kept_in(folder.path());
    one.get("/gone", "");
    eventually("it is kept there", || kept_in(folder.path()) == before + 1);
    one.by("DELETE", "/gone", "content-length: 0");
    eventually("it is gone there", || kept_in(folder.path()) == before);
    assert_eq!(other.get("/gone", "").body, "of the other");
}

#[test]
fn a_second_level_that_is_frozen_or_gone_is_not_waited_for() {
    let folder = TempDir::new().expect("a folder");
    let server = Server::start(folder.path());
    let worker = Scripted::new(|_, _| answer("cache-control: max-age=60", "answered"));
    let setup = gateway(&worker, folder.path());
    server.signal("-STOP");
    for number in 0..20 {
        assert_eq!(setup.get(&format!("/{number}"), "").body, "answered");
        assert_eq!(setup.get(&format!("/{number}"), "").body, "answered");
    }
    server.signal("-CONT");
    drop(server);
    for number in 20..40 {
        assert_eq!(setup.get(&format!("/{number}"), "").body, "answered");
    }
    let stats = setup.gateway.stats().cache;
    assert_eq!((stats.hits, worker.asked()), (20, 40));
    assert!(stats.shared_failures >= 30 && stats.shared_hits == 0, "{stats:?}");
}
