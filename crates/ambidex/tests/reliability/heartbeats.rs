//! Heartbeats between real processes: silence with and without traffic, returns, keys, and floods of what is none.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, UdpSocket};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use ambidex_lab::worker::{self, Change, HeartbeatOptions, ReportStyle, Worker, WorkerOptions};
use ambidex_lab::{Service, Span};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::authority::Authority;
use crate::process::{Running, ambidex, until};
use crate::scene::{listed, metric, page, resident_kib, served_on, trickle};

const SECRET: &str = "canary-of-the-heartbeats-key-0123456789";

/// A process that hears heartbeats of workers that it learns of by a reload: their port is known only when it listens.
struct Heard {
    running: Running,
    port: String,
    folder: TempDir,
}

impl Heard {
    /// `ambidex run`.
    fn by_a_gateway() -> Self {
        let folder = folder();
        let running =
            Running::run(&file(&folder, "listeners: [{address: \"127.0.0.1:0\"}]\n", "      - http://127.0.0.1:1\n"));
        let port = port(&running);
        Self { running, port, folder }
    }

    /// Lets it have these workers.
    fn has(&self, workers: &str) {
        let text = file(&self.folder, "listeners: [{address: \"127.0.0.1:0\"}]\n", workers);
        fs::write(self.running.file(), text).expect("written");
        let wanted = workers.lines().count();
        until(|| (self.workers().len() == wanted).then_some(()));
        assert_eq!(port(&self.running), self.port, "a reload keeps the socket");
    }

    fn workers(&self) -> Vec<Value> {
        let pools = self.running.ask_json(&["workers"]);
        pools["pools"][0]["workers"].as_array().cloned().unwrap_or_default()
    }

    fn weight(&self, name: &str) -> f64 {
        let worker = self.workers().into_iter().find(|worker| worker["name"] == name).expect("it is in the pool");
        worker["learned"].as_f64().expect("a weight")
    }

    /// Waits until each of them was heard.
    fn hears_all(&self) {
        until(|| self.workers().iter().all(|worker| worker["report"].is_object()).then_some(()));
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("beats.key")
    }
}

fn folder() -> TempDir {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("beats.key"), SECRET).expect("written");
    folder
}

fn file(folder: &TempDir, more: &str, workers: &str) -> String {
    let key = folder.path().join("beats.key");
    format!(
        "{more}admin: {{address: \"127.0.0.1:0\"}}\npools:\n  api:\n    weights: {{tick: 200ms}}\n    workers:\n{workers}\
         heartbeats:\n  listen: 127.0.0.1:0\n  every: 1s\n  keys: [{{id: 1, file: {key:?}, workers: [\"*\"]}}]\n"
    )
}

fn status(running: &Running) -> Value {
    let answer = page(running, "/api/v1/status");
    serde_json::from_str(answer.split_once("\r\n\r\n").expect("a head").1).expect("JSON")
}

fn port(running: &Running) -> String {
    status(running)["heartbeats"]["listen"].as_str().expect("it hears").to_owned()
}

/// Workers of the laboratory that send heartbeats there.
fn beating(names: &[&str], heard: &Heard) -> Vec<Worker> {
    let to = vec![heard.port.parse().expect("an address")];
    let heartbeat = HeartbeatOptions { to, key_file: heard.key(), key_id: 1, every: Span::from_millis(500) };
    let one = |name: &&str| WorkerOptions {
        name: (*name).into(),
        // A quarter of it is used by what the tests send: of a worker that idles nothing can be told.
        slots: 2,
        service: Service::constant(Span::from_millis(20)),
        report: ReportStyle::Heartbeat,
        heartbeat: Some(heartbeat.clone()),
        ..WorkerOptions::default()
    };
    worker::start_all(names.iter().map(one).collect()).expect("workers")
}

fn members(workers: &[Worker]) -> String {
    listed(workers).lines().map(|line| format!("      {line}\n")).collect()
}

/// What a worker is told to make it silent, and to end that.
fn silent(is: bool) -> Change {
    let faults = if is { json!([{"what": "silence"}]) } else { json!([]) };
    serde_json::from_value(json!({"faults": faults})).expect("a change")
}

#[test]
fn a_worker_that_stops_its_heartbeats_is_held_while_it_answers_and_gets_nothing_without_traffic() {
    let heard = Heard::by_a_gateway();
    let workers = beating(&["a", "b", "c", "d"], &heard);
    heard.has(&members(&workers));
    heard.hears_all();
    let load = trickle(&heard.running);
    served_on(&load, 50);
    workers[3].change(silent(true)).expect("it is told");
    until(|| (0.3..=0.6).contains(&heard.weight("d")).then_some(()));
    served_on(&load, 100);
    until(|| (0.2..=0.6).contains(&heard.weight("d")).then_some(()));
    assert_eq!(load.stop().failures.total(), 0);
    until(|| (heard.weight("d") == 0.0).then_some(()));
    workers[3].change(silent(false)).expect("it is told");
    // It grows from there: how far it is when somebody looks is up to the machine.
    until(|| (heard.weight("d") > 0.05).then_some(()));
    let told = heard.running.ask_json(&["decisions", "--worker", "d", "--limit", "1000"]).to_string();
    assert!(told.contains("silence") && told.contains("return"), "{told}");
}

#[test]
fn an_agent_tells_its_coordinator_of_its_worker_and_is_missed_when_it_stands_still() {
    let heard = Heard::by_a_gateway();
    let backs = crate::scene::workers(&["1", "2", "3"]);
    let agent = |(back, name): (&Worker, &str)| {
        let folder = TempDir::new().expect("a folder");
        let url = format!("http://{}", back.address);
        let key = heard.key();
        let mut arguments = vec!["agent", "--for", &url, "--listen", "127.0.0.1:0", "--endpoint", "off"];
        arguments.extend(["--admin", "127.0.0.1:0", "--heartbeat-to", &heard.port, "--heartbeat-name", name]);
        arguments.extend(["--heartbeat-key-file", key.to_str().expect("UTF-8"), "--reports", "none"]);
        Running::start(folder, &arguments)
    };
    let agents: Vec<Running> = backs.iter().zip(["a", "b", "c"]).map(agent).collect();
    let member =
        |(agent, name): (&Running, &str)| format!("      - {{url: \"http://{}\", name: {name}}}\n", agent.listener);
    let members: String = agents.iter().zip(["a", "b", "c"]).map(member).collect();
    heard.has(&members);
    heard.hears_all();
    let welcomed = metric(&agents[0], "ambidex_worker_heartbeats_total{came=\"welcomed\"}");
    assert!(welcomed >= 1, "{welcomed}");
    agents[2].signal("STOP");
    until(|| (heard.weight("c") == 0.0).then_some(()));
    agents[2].signal("CONT");
    until(|| (heard.weight("c") > 0.0).then_some(()));
    // The one that ends says so before: it wants nothing new.
    agents[0].signal("TERM");
    until(|| (heard.weight("a") == 0.0).then_some(()));
}

#[test]
fn an_agent_sends_its_heartbeats_by_grpc_where_no_datagrams_go_and_is_told_why_it_is_not_heard() {
    let folder = folder();
    let path = folder.path().join("coordinator.yaml");
    let key = folder.path().join("beats.key");
    let text = |names: &[&str]| {
        let member = |(at, name)| format!("      - {{url: \"http://127.0.0.1:{}\", name: {name}}}\n", at + 1);
        file(&folder, "", &names.iter().enumerate().map(member).collect::<String>())
            .replace("  every: 1s\n", "  every: 1s\n  grpc: {address: \"127.0.0.1:0\"}\n")
    };
    fs::write(&path, text(&["b"])).expect("written");
    let running = Running::start(TempDir::new().expect("a folder"), &["coordinator", path.to_str().expect("UTF-8")]);
    let to = format!("grpc://{}", status(&running)["heartbeats"]["grpc"].as_str().expect("it hears streams"));
    let back = crate::scene::workers(&["1"]);
    let url = format!("http://{}", back[0].address);
    let mut arguments = vec!["agent", "--for", &url, "--listen", "127.0.0.1:0", "--endpoint", "off"];
    arguments.extend(["--admin", "127.0.0.1:0", "--heartbeat-to", &to, "--heartbeat-name", "a"]);
    arguments.extend(["--heartbeat-key-file", key.to_str().expect("UTF-8"), "--reports", "none"]);
    let agent = Running::start(TempDir::new().expect("a folder"), &arguments);
    until(|| agent.log().contains("it refused: there is no worker a").then_some(()));
    fs::write(&path, text(&["a", "b"])).expect("written");
    let came = |what: &str| metric(&running, &format!("ambidex_heartbeats_total{{came=\"{what}\"}}"));
    until(|| (came("heard") > 2).then_some(()));
    until(|| (metric(&agent, "ambidex_worker_heartbeats_total{came=\"welcomed\"}") > 0).then_some(()));
}

#[test]
fn an_agent_speaks_tls_to_a_coordinator_that_it_believes_and_says_why_it_does_not() {
    let folder = folder();
    let at = folder.path();
    let (path, key, ca) = (at.join("coordinator.yaml"), at.join("beats.key"), at.join("ca.pem"));
    let [ours, others] = ["ours", "others"].map(Authority::called);
    ours.issue(at, "own", "elsewhere.example");
    others.write(&ca);
    let member = "      - {url: \"http://127.0.0.1:1\", name: a}\n";
    let grpc = "  grpc: {address: \"127.0.0.1:0\", tls: {certificates: [{cert: own.pem, key: own.key}]}}\n";
    let text = file(&folder, "", member).replace("  every: 1s\n", &format!("  every: 1s\n{grpc}"));
    fs::write(&path, text).expect("written");
    let running = Running::start(TempDir::new().expect("a folder"), &["coordinator", path.to_str().expect("UTF-8")]);
    let to = format!("grpcs://{}", status(&running)["heartbeats"]["grpc"].as_str().expect("it hears streams"));
    let back = crate::scene::workers(&["1"]);
    let url = format!("http://{}", back[0].address);
    let mut arguments = vec!["agent", "--for", &url, "--listen", "127.0.0.1:0", "--endpoint", "off"];
    arguments.extend(["--admin", "127.0.0.1:0", "--heartbeat-to", &to, "--heartbeat-name", "a"]);
    arguments.extend(["--heartbeat-key-file", key.to_str().expect("UTF-8"), "--reports", "none"]);
    arguments.extend(["--heartbeat-ca", ca.to_str().expect("UTF-8")]);
    let agent = Running::start(TempDir::new().expect("a folder"), &arguments);
    until(|| agent.log().contains("name the file of its authority as `agent.heartbeats.tls.ca`").then_some(()));
    ours.write(&ca);
    until(|| agent.log().contains("is not made out to `127.0.0.1`: write one of its names").then_some(()));
    ours.issue_until(at, "own", "127.0.0.1", 2020);
    until(|| agent.log().contains("the coordinator's certificate has expired").then_some(()));
    ours.issue(at, "own", "127.0.0.1");
    let came = |what: &str| metric(&running, &format!("ambidex_heartbeats_total{{came=\"{what}\"}}"));
    until(|| (came("heard") > 2).then_some(()));
}

#[test]
fn an_agent_streams_its_reports_to_a_coordinator_that_asks_by_orca_and_is_missed_when_it_stands_still() {
    let backs = crate::scene::workers(&["1", "2", "3"]);
    let agent = |back: &Worker| {
        let url = format!("http://{}", back.address);
        let arguments = ["agent", "--for", &url, "--listen", "127.0.0.1:0", "--endpoint", "127.0.0.1:0"];
        Running::start(TempDir::new().expect("a folder"), &arguments)
    };
    let agents: Vec<Running> = backs.iter().map(agent).collect();
    // Each agent's endpoint is the worker here: of the workers themselves nothing is asked.
    let at = |agent: &Running| agent.load.trim_end_matches("/load").to_owned();
    let members: Vec<_> = agents
        .iter()
        .zip(["a", "b", "c"])
        .map(|(agent, name)| format!("{{url: \"{}\", name: {name}}}", at(agent)))
        .collect();
    let text = format!(
        "admin: {{address: \"127.0.0.1:0\"}}\npools: {{api: {{weights: {{tick: 200ms}}, reports: {{orca: {{interval: 500ms}}}}, \
         workers: [{}]}}}}\n",
        members.join(", ")
    );
    let folder = folder();
    let path = folder.path().join("coordinator.yaml");
    fs::write(&path, text).expect("written");
    let running = Running::start(TempDir::new().expect("a folder"), &["coordinator", path.to_str().expect("UTF-8")]);
    let heard = Heard { running, port: String::new(), folder };
    heard.hears_all();
    agents[2].signal("STOP");
    until(|| (heard.weight("c") == 0.0).then_some(()));
    agents[2].signal("CONT");
    until(|| (heard.weight("c") > 0.0).then_some(()));
}

#[test]
fn a_coordinator_that_stood_still_takes_nobody_for_silent_whose_heartbeats_came_meanwhile() {
    let heard = Heard::by_a_gateway();
    let _workers = beating(&["a", "b", "c", "d"], &heard);
    heard.has(
        "      - {url: \"http://127.0.0.1:1\", name: a}\n      - {url: \"http://127.0.0.1:2\", name: b}\n      \
               - {url: \"http://127.0.0.1:3\", name: c}\n      - {url: \"http://127.0.0.1:4\", name: d}\n",
    );
    heard.hears_all();
    let came = || metric(&heard.running, "ambidex_heartbeats_total{came=\"heard\"}");
    let before = came();
    heard.running.signal("STOP");
    // Somebody who hears nothing but time: five periods, in which each sends ten heartbeats.
    let clock = ambidex_lab::Clock::starting_now();
    let stopped = clock.now();
    until(|| (clock.now().since(stopped) >= Span::from_secs(5)).then_some(()));
    heard.running.signal("CONT");
    until(|| (came() >= before + 40).then_some(()));
    let decided = heard.running.ask_json(&["decisions", "--limit", "1000"]).to_string();
    assert!(!decided.contains("silence") && !decided.contains("stand still"), "{decided}");
}

/// A Prometheus page that says `busy` until it is changed; empty, it is no page.
fn page_of(busy: &'static str) -> (String, Arc<Mutex<&'static str>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/metrics", listener.local_addr().expect("bound"));
    let shown = Arc::new(Mutex::new(busy));
    let said = Arc::clone(&shown);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // Whoever asks sends its head in one piece.
            drop(stream.read(&mut [0; 1024]));
            let body = *said.lock().expect("no panic");
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ";
            drop(stream.write_all(format!("{head}{}\r\n\r\n{body}", body.len()).as_bytes()));
        }
    });
    (url, shown)
}

#[test]
fn an_agent_beside_its_worker_makes_heartbeats_of_its_metrics_and_is_silent_without_them() {
    let heard = Heard::by_a_gateway();
    let _others = beating(&["b", "c"], &heard);
    heard.has(
        "      - {url: \"http://127.0.0.1:1\", name: a}\n      - {url: \"http://127.0.0.1:2\", name: b}\n      \
               - {url: \"http://127.0.0.1:3\", name: c}\n",
    );
    let (url, page) = page_of("# TYPE busy gauge\nbusy{pool=\"x\"} 7\nother 1\n");
    let config = format!(
        "listeners: []\npools: {{}}\nadmin: off\nthreads: 1\nagent:\n  scrape: {{url: \"{url}\", beside: true, interval: 500ms, \
         fields: {{in_flight: {{gauge: busy}}}}}}\n  heartbeats: {{to: [\"{}\"], name: a, key: {{file: {:?}}}}}\n",
        heard.port,
        heard.key()
    );
    let _agent = Running::run(&config);
    heard.hears_all();
    let report =
        || heard.workers().into_iter().find(|worker| worker["name"] == "a").expect("it is there")["report"].clone();
    until(|| (report()["in_flight"] == 7 && report()["queue"].is_null()).then_some(()));
    *page.lock().expect("no panic") = "nothing 1\n";
    until(|| (heard.weight("a") == 0.0).then_some(()));
}

#[test]
fn a_coordinator_by_itself_hears_heartbeats_and_takes_new_keys_by_a_reload() {
    let folder = folder();
    let path = folder.path().join("coordinator.yaml");
    let workers = "      - {url: \"http://127.0.0.1:1\", name: a}\n";
    fs::write(&path, file(&folder, "", workers)).expect("written");
    let data = TempDir::new().expect("a folder");
    let running = Running::start(data, &["coordinator", path.to_str().expect("UTF-8")]);
    let (listens, key) = (port(&running), folder.path().join("beats.key"));
    let heard = Heard { running, port: listens, folder };
    let _worker = beating(&["a"], &heard);
    heard.hears_all();
    fs::write(&key, "another key that signs nothing of what comes").expect("written");
    heard.running.ask(&["config", "reload", "--yes"]);
    let refused = || metric(&heard.running, "ambidex_heartbeats_refused_total{why=\"unsigned\"}");
    until(|| (refused() > 0).then_some(()));
    fs::write(&key, "short").expect("written");
    let said = String::from_utf8_lossy(&heard.running.asked(&["config", "reload", "--yes"]).stderr).into_owned();
    assert!(said.contains("beats.key has 5 bytes: at least 32"), "{said}");
    fs::write(&key, SECRET).expect("written");
    heard.running.ask(&["config", "reload", "--yes"]);
    let before = metric(&heard.running, "ambidex_heartbeats_total{came=\"heard\"}");
    until(|| (metric(&heard.running, "ambidex_heartbeats_total{came=\"heard\"}") > before).then_some(()));
    let log = heard.running.log();
    assert!(!log.contains(SECRET) && !log.contains("another key"), "{log}");
}

#[test]
fn a_flood_of_what_is_no_heartbeat_takes_no_memory_and_no_weight() {
    let heard = Heard::by_a_gateway();
    let workers = beating(&["a", "b", "c"], &heard);
    heard.has(&members(&workers));
    heard.hears_all();
    let before = resident_kib(&heard.running);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut forged = b"AHB\x01\0\0\0\x01".to_vec();
    forged.extend([7; 200]);
    for at in 0..100_000_u32 {
        forged[50..54].copy_from_slice(&at.to_be_bytes());
        let length = if at % 3 == 0 { 20 } else { forged.len() };
        // What the system drops of it never came.
        drop(socket.send_to(&forged[..length], &heard.port));
    }
    let refused = |why: &str| metric(&heard.running, &format!("ambidex_heartbeats_refused_total{{why=\"{why}\"}}"));
    until(|| (refused("unsigned") > 500 && refused("length") > 200).then_some(()));
    let came = || metric(&heard.running, "ambidex_heartbeats_total{came=\"heard\"}");
    let heard_then = came();
    until(|| (came() > heard_then + 6).then_some(()));
    let grown = resident_kib(&heard.running).saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB");
    let lines = heard.running.log().lines().filter(|line| line.contains("a heartbeat is refused")).count();
    assert!(lines <= 8, "{lines} lines");
}

#[test]
fn an_agent_without_its_key_does_not_start_and_says_why() {
    let folder = TempDir::new().expect("a folder");
    let mut command = ambidex(folder.path());
    command.args(["agent", "--for", "http://127.0.0.1:1", "--listen", "127.0.0.1:0", "--endpoint", "off"]);
    command.args(["--heartbeat-to", "127.0.0.1:9", "--heartbeat-name", "w", "--heartbeat-key-file", "no.key"]);
    let output = command.output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("the key file no.key cannot be read"), "{said}");
}
