//! Requests with idempotency keys: counted where they run, by gateways that share a server, while workers break, the
//! server dies and freezes, and processes start anew [reliability.md rows 5 and 6].

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use tempfile::TempDir;

use crate::process::{Running, until};
use crate::scene::{metric, page};
use crate::twice::{Effects, breaking};

/// Debian's server, listening on a socket in `folder`.
struct Server(Child);

impl Server {
    fn start(folder: &Path) -> Self {
        Self::with(folder, "")
    }

    fn with(folder: &Path, more: &str) -> Self {
        let dir = folder.display();
        let text = format!("port 0\nunixsocket {dir}/socket\ndir {dir}\nsave \"\"\nappendonly no\n{more}\n");
        fs::write(folder.join("redis.conf"), text).expect("written");
        let child = Command::new("redis-server").arg(folder.join("redis.conf")).stdout(Stdio::null()).spawn();
        Self(child.expect("redis-server is installed by `cargo xtask test`"))
    }

    fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args(["-s", signal, &self.0.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A gateway before these workers: every second chance is on; `a.example` refuses while the server is away, others run.
fn config(workers: &[std::net::SocketAddr], server: &Path, more: &str) -> String {
    let listed: Vec<_> = workers.iter().map(|worker| format!("\"http://{worker}\"")).collect();
    let chances = "pool: api, retry: {sent: on, answers: on}, hedge: {after: 30ms, budget: 100%}, deadline: 5s";
    format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\nadmin: {{address: \"127.0.0.1:0\"}}\nthreads: 2\npools:\n  api:\n    \
         workers: [{}]\n    balance: round-robin\n    breaker: {{consecutive: 1000, errors: off}}\nredis: {{url: \"unix://{}/socket\", \
         {more}}}\nroutes:\n  - {{match: {{host: a.example}}, {chances}, deduplicate: {{store: redis}}}}\n  - {{{chances}, \
         deduplicate: {{store: redis, when_store_is_away: run}}}}\n",
        listed.join(", "),
        server.display()
    )
}

/// Posts an operation under its own number as key; gives the whole answer.
fn post(gateway: &str, host: &str, number: usize) -> String {
    let mut stream = TcpStream::connect(gateway).expect("connects");
    let request = format!(
        "POST /{number} HTTP/1.1\r\nhost: {host}\r\nidempotency-key: {number}\r\nconnection: close\r\n\
         content-length: 5\r\n\r\nhello"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    // What breaks off breaks off.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn ready(gateways: &[Running]) {
    for gateway in gateways {
        until(|| (metric(gateway, "ambidex_redis_up") == 1).then_some(()));
    }
}

#[test]
fn no_request_with_a_key_runs_twice_by_two_gateways_that_share_a_server() {
    let folder = TempDir::new().expect("a folder");
    let _server = Server::start(folder.path());
    let effects = Effects::default();
    let workers: Vec<_> = (0..3).map(|_| breaking(&effects)).collect();
    let config = config(&workers, folder.path(), "timeout: 10s");
    let gateways = [Running::run(&config), Running::run(&config)];
    ready(&gateways);
    let next = AtomicUsize::new(0);
    // Each operation comes four times, from all sides at once.
    thread::scope(|scope| {
        for client in 0..8 {
            let (gateways, next) = (&gateways, &next);
            scope.spawn(move || {
                loop {
                    let turn = next.fetch_add(1, SeqCst);
                    if turn >= 4 * OPERATIONS {
                        return;
                    }
                    post(&gateways[client % 2].listener, "a.example", turn / 4);
                }
            });
        }
    });
    let ran = |number: usize| effects.lock().expect("unpoisoned").get(&("POST".to_owned(), number)).copied();
    for number in 0..OPERATIONS {
        assert_eq!(ran(number), Some(1), "operation {number}");
        // Whoever is asked now has the same to say: the answer, or that it is lost.
        let answers = [0, 1].map(|gateway: usize| post(&gateways[gateway].listener, "a.example", number));
        for answer in &answers {
            let replayed = answer.contains("ambidex-replayed: true");
            let lost = answer.starts_with("HTTP/1.1 409 ") && answer.contains("ambidex-error: answer-lost");
            let (answers, breaks) = (number % 9 >= 3 && number % 9 != 5, [0, 1, 2, 5].contains(&(number % 9)));
            assert!((replayed && answers) || (lost && breaks), "operation {number}: {answer}");
        }
        assert_eq!(ran(number), Some(1), "operation {number} again");
    }
}

#[test]
fn a_server_that_is_away_is_met_as_each_route_says_and_never_waited_for() {
    let folder = TempDir::new().expect("a folder");
    let server = Server::start(folder.path());
    let effects = Effects::default();
    let worker = [breaking(&effects)];
    let gateway = Running::run(&config(&worker, folder.path(), "timeout: 500ms"));
    ready(std::slice::from_ref(&gateway));
    // Numbers that the worker answers: 6, 7, 8 and so on by nines.
    until(|| post(&gateway.listener, "a.example", 6).starts_with("HTTP/1.1 200 ").then_some(()));
    for harm in ["STOP", "KILL"] {
        server.signal(harm);
        let number = if harm == "STOP" { 15 } else { 24 };
        let refused = post(&gateway.listener, "a.example", number);
        assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("ambidex-error: store-away"), "{refused}");
        assert!(refused.contains("retry-after: 1"), "{refused}");
        let ran = post(&gateway.listener, "b.example", number + 1);
        assert!(ran.starts_with("HTTP/1.1 200 ") && ran.contains("ambidex-uncovered: away"), "{ran}");
        assert_eq!(effects.lock().expect("unpoisoned").get(&("POST".to_owned(), number)), None, "refused is not run");
        assert_eq!(effects.lock().expect("unpoisoned").get(&("POST".to_owned(), number + 1)), Some(&1));
        until(|| (metric(&gateway, "ambidex_redis_up") == 0).then_some(()));
    }
    drop(server);
    let _server = Server::start(folder.path());
    until(|| (metric(&gateway, "ambidex_redis_up") == 1).then_some(()));
    assert!(post(&gateway.listener, "a.example", 33).starts_with("HTTP/1.1 200 "));
}

#[test]
fn answers_outlive_the_process_in_its_data_folder() {
    let data = TempDir::new().expect("a folder");
    let effects = Effects::default();
    let config = format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\npools: {{api: {{workers: [\"http://{}\"]}}}}\nadmin: off\nthreads: 2\n\
         journal: {{path: \"{}\"}}\nroutes: [{{pool: api, deduplicate: {{}}}}]\n",
        breaking(&effects),
        data.path().display()
    );
    let mut gateway = Running::run(&config);
    let first = post(&gateway.listener, "a", 6);
    assert!(first.starts_with("HTTP/1.1 200 ") && first.ends_with("hi"), "{first}");
    assert!(post(&gateway.listener, "a", 0).starts_with("HTTP/1.1 502 "));
    gateway.signal("TERM");
    assert_eq!(gateway.end(), Some(0));
    drop(gateway);
    let gateway = Running::run(&config);
    let again = post(&gateway.listener, "a", 6);
    assert!(again.starts_with("HTTP/1.1 200 ") && again.contains("ambidex-replayed: true"), "{again}");
    assert!(again.ends_with("hi"), "{again}");
    assert!(post(&gateway.listener, "a", 0).contains("ambidex-error: answer-lost"));
    assert!(effects.lock().expect("unpoisoned").values().all(|ran| *ran == 1));
}

#[test]
fn the_password_of_the_server_comes_out_nowhere() {
    const SECRET: &str = "canary-of-the-servers-password";
    let folder = TempDir::new().expect("a folder");
    let _server = Server::with(folder.path(), &format!("requirepass {SECRET}"));
    let effects = Effects::default();
    fs::write(folder.path().join("wrong"), format!("{SECRET}-not")).expect("written");
    let file = folder.path().join("password");
    fs::copy(folder.path().join("wrong"), &file).expect("written");
    let more = format!("timeout: 10s, password_file: \"{}\"", file.display());
    let gateway =
        Running::run(&format!("{}log: {{level: trace}}\n", config(&[breaking(&effects)], folder.path(), &more)));
    assert!(post(&gateway.listener, "a.example", 6).contains("ambidex-error: store-away"));
    fs::write(&file, format!("{SECRET}\n")).expect("written");
    ready(std::slice::from_ref(&gateway));
    let mut said = post(&gateway.listener, "a.example", 6);
    assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
    for words in [&["config", "show", "--effective"][..], &["config", "show"], &["workers"], &["config", "history"]] {
        let output = gateway.asked(words);
        said.push_str(&String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    }
    said.push_str(&page(&gateway, "/metrics"));
    said.push_str(&gateway.log());
    assert!(said.contains("ambidex_redis_up") && said.contains("password_file"), "there is something to search");
    assert!(!said.contains(SECRET), "{said}");
}

/// How many are asked for, four times each. A multiple of the worker's nine ways.
const OPERATIONS: usize = 90;
