//! A running gateway through its command line: orders, reloads, going back, and its end.

#[path = "running/events.rs"]
mod events;
#[path = "running/followed.rs"]
mod followed;
mod process;
#[path = "running/silences.rs"]
mod silences;
#[path = "running/zones.rs"]
mod zones;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use ambidex_core::time::Span;
use ambidex_lab::Service;
use ambidex_lab::worker::{self, WorkerOptions};
use process::{Running, ambidex, get, until};
use serde_json::Value;
use tempfile::TempDir;

/// Two workers that nobody has to answer for; free ports.
const CONFIG: &str = "\
listeners: [{address: \"127.0.0.1:0\"}]
pools: {api: {workers: [{url: \"http://127.0.0.1:9\", name: a}, {url: \"http://127.0.0.1:10\", name: b}]}}
admin: {address: \"127.0.0.1:0\"}
threads: 1
";

fn worker<'v>(pools: &'v Value, name: &str) -> &'v Value {
    let workers = pools["pools"][0]["workers"].as_array().expect("a list");
    workers.iter().find(|worker| worker["name"] == name).expect("it is in the pool")
}

fn changes(running: &Running) -> usize {
    running.ask_json(&["config", "history"])["history"].as_array().expect("a list").len()
}

#[test]
fn a_drained_worker_gets_no_share_until_it_is_undrained() {
    let running = Running::run(CONFIG);
    running.ask(&["drain", "a", "--yes"]);
    assert_eq!(worker(&running.ask_json(&["workers"]), "a")["share"], 0.0);
    assert!(running.ask(&["workers"]).contains("drained"));
    running.ask(&["undrain", "api/a", "--yes"]);
    assert_eq!(worker(&running.ask_json(&["workers"]), "a")["drained"], false);
}

#[test]
fn a_pinned_worker_keeps_the_weight_it_was_given() {
    let running = Running::run(CONFIG);
    running.ask(&["pin", "0.25", "b", "--yes"]);
    assert_eq!(worker(&running.ask_json(&["workers"]), "b")["pinned"], 0.25);
    running.ask(&["unpin", "b", "--yes"]);
    assert_eq!(worker(&running.ask_json(&["workers"]), "b")["pinned"], Value::Null);
}

#[test]
fn a_frozen_pool_says_so() {
    let running = Running::run(CONFIG);
    running.ask(&["freeze", "api", "--yes"]);
    assert_eq!(running.ask_json(&["workers"])["pools"][0]["frozen"], true);
    running.ask(&["unfreeze", "api", "--yes"]);
    assert_eq!(running.ask_json(&["workers"])["pools"][0]["frozen"], false);
}

#[test]
fn nothing_changes_without_a_terminal_or_yes() {
    let running = Running::run(CONFIG);
    let output = running.asked(&["drain", "a"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("will drain worker `a` of pool `api`") && said.contains("add --yes"), "{said}");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(worker(&running.ask_json(&["workers"]), "a")["drained"], false);
}

#[test]
fn an_unknown_worker_gets_a_suggestion() {
    let running = Running::run(&CONFIG.replace("name: a", "name: alpha"));
    let output = running.asked(&["drain", "alhpa", "--yes"]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "unknown worker `alhpa`; did you mean `alpha`?\n");
}

#[test]
fn a_weight_is_explained_and_its_decision_made_again() {
    let running = Running::run(CONFIG);
    let why = until(|| Some(running.ask(&["explain", "weight", "a"])).filter(|why| why.contains("fair share")));
    assert!(why.starts_with("a "), "{why}");
    until(|| running.ask(&["decisions", "--worker", "a"]).contains("api: a ").then_some(()));
    let verified = running.ask_json(&["decisions", "verify"]);
    assert_eq!(verified["differences"], Value::Array(Vec::new()), "{verified}");
}

/// Nobody listens at either worker, so that both fail; one of two may be kept out.
#[test]
fn a_breaker_that_opens_and_one_that_may_not_are_decisions_that_explain_themselves() {
    let running = Running::run(&CONFIG.replace("]}}", "], balance: round-robin}}"));
    let decided = |what: &str| {
        let item = |all: &Value| {
            let all = all["decisions"].as_array().expect("a list");
            all.iter().find(|item| item.pointer("/cause").is_some_and(|cause| cause.get(what).is_some())).cloned()
        };
        until(|| {
            get(&running.listener, "/");
            item(&running.ask_json(&["decisions"]))
        })
    };
    let (opened, refused) = (decided("tripped"), decided("refused"));
    assert_eq!(opened.pointer("/cause/tripped/by/consecutive/limit"), Some(&Value::from(5)), "{opened}");
    assert_eq!((&refused["cause"]["refused"]["out"], &refused["from"]), (&1.into(), &"closed".into()), "{refused}");
    let name = opened["worker"].as_str().expect("a name");
    let why = running.ask(&["explain", "weight", name]);
    assert!(why.contains(&format!("But the breaker of {name} opened: 5 failures in a row, and 5 are enough")), "{why}");
    let then = running.ask(&["explain", "weight", name, "--at", "0s"]);
    assert!(then.contains("it gets nothing for 1"), "{then}");
    let pools = running.ask_json(&["workers"]);
    assert!(worker(&pools, name)["breaker_why"].as_str().is_some_and(|why| why.contains("opened")), "{pools}");
    let verified = running.ask_json(&["decisions", "verify"]);
    assert_eq!(verified["differences"], Value::Array(Vec::new()), "{verified}");
}

#[test]
fn decisions_are_those_since_the_date_that_was_given() {
    let running = Running::run(CONFIG);
    until(|| running.ask(&["decisions"]).contains("api: a ").then_some(()));
    assert!(running.ask(&["decisions", "--since", "1h"]).contains("api: a "));
    assert_eq!(running.ask(&["decisions", "--since", "9999999999999"]), "");
}

#[test]
fn a_refusal_is_told_in_its_words() {
    let running = Running::run(CONFIG);
    let output = running.asked(&["pin", "1000", "a", "--yes"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.ends_with("400 Bad Request: 1000 is no weight: use 0 to 100 fair shares\n"), "{said}");
}

#[test]
fn a_changed_file_is_taken_over_by_itself() {
    let running = Running::run(CONFIG);
    fs::write(running.file(), CONFIG.replace("name: b", "name: c")).expect("written");
    until(|| (changes(&running) == 2).then_some(()));
    let pools = running.ask_json(&["workers"]);
    assert_eq!(worker(&pools, "c")["url"], "http://127.0.0.1:10");
}

#[test]
fn what_a_file_names_is_found_beside_it_wherever_the_process_was_started() {
    let folder = TempDir::new().expect("a folder");
    let conf = folder.path().join("conf");
    fs::create_dir(&conf).expect("made");
    let text = CONFIG.replace(
        "[{url: \"http://127.0.0.1:9\", name: a}, {url: \"http://127.0.0.1:10\", name: b}]",
        "[\"file:list.yaml\"]",
    );
    fs::write(conf.join("gw.yaml"), text + "access_log: {path: requests.log}\n").expect("written");
    fs::write(conf.join("list.yaml"), "[http://127.0.0.1:9]").expect("written");
    let running = Running::start(folder, &["run", "conf/gw.yaml"]);
    until(|| {
        let pools = running.ask_json(&["workers"]);
        (pools["pools"][0]["workers"][0]["url"] == "http://127.0.0.1:9").then_some(())
    });
    get(&running.listener, "/asked");
    until(|| fs::read_to_string(conf.join("requests.log")).is_ok_and(|log| log.contains("/asked")).then_some(()));
}

#[test]
fn a_sighup_reads_the_file_again() {
    let running = Running::run(CONFIG);
    running.signal("HUP");
    until(|| running.log().contains("configuration reloaded").then_some(()));
}

#[test]
fn a_swapped_link_as_of_a_config_map_is_seen() {
    let folder = TempDir::new().expect("a folder");
    for (version, name) in [("one", "b"), ("two", "c")] {
        fs::create_dir(folder.path().join(version)).expect("made");
        let text = CONFIG.replace("name: b", &format!("name: {name}"));
        fs::write(folder.path().join(version).join("gw.yaml"), text).expect("written");
    }
    symlink("one", folder.path().join("..data")).expect("linked");
    symlink("..data/gw.yaml", folder.path().join("gw.yaml")).expect("linked");
    let file = folder.path().join("gw.yaml").to_str().expect("UTF-8").to_owned();
    let running = Running::start(folder, &["run", &file]);
    symlink("two", running.folder.path().join("..new")).expect("linked");
    fs::rename(running.folder.path().join("..new"), running.folder.path().join("..data")).expect("swapped");
    until(|| (changes(&running) == 2).then_some(()));
}

#[test]
fn a_bad_file_changes_nothing_and_is_told_with_its_line() {
    let running = Running::run(CONFIG);
    fs::write(running.file(), format!("{CONFIG}lgo: {{}}\n")).expect("written");
    until(|| running.log().contains("gw.yaml:5:1: error: unknown key `lgo`").then_some(()));
    assert!(running.log().contains("the last good one stays"));
    assert_eq!(changes(&running), 1);
}

#[test]
fn one_step_back_is_one_command() {
    let running = Running::run(CONFIG);
    fs::write(running.file(), CONFIG.replace("name: b", "name: c")).expect("written");
    until(|| (changes(&running) == 2).then_some(()));
    running.ask(&["config", "rollback", "--yes"]);
    assert_eq!(worker(&running.ask_json(&["workers"]), "b")["url"], "http://127.0.0.1:10");
    let differs = running.ask(&["config", "diff", running.file().to_str().expect("UTF-8")]);
    assert!(differs.contains("workers[c].name"), "{differs}");
}

#[test]
fn the_history_outlives_the_process() {
    let mut running = Running::run(CONFIG);
    fs::write(running.file(), CONFIG.replace("name: b", "name: c")).expect("written");
    until(|| (changes(&running) == 2).then_some(()));
    running.signal("TERM");
    assert_eq!(running.end(), Some(0));
    let folder = std::mem::replace(&mut running.folder, TempDir::new().expect("a folder"));
    let file = folder.path().join("gw.yaml").to_str().expect("UTF-8").to_owned();
    let again = Running::start(folder, &["run", &file]);
    assert_eq!(changes(&again), 2);
}

#[test]
fn a_second_process_is_told_whose_data_it_would_share() {
    let running = Running::run(CONFIG);
    let output = ambidex(running.folder.path()).arg("run").arg(running.file()).output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("in use by another process"), "{said}");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let running = Running::run(CONFIG);
    let folder = TempDir::new().expect("a folder");
    let output = ambidex(folder.path())
        .args(["proxy", "--listen", &running.listener, "--to", "http://127.0.0.1:9", "--admin", "off"])
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&running.listener), "{said}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn who_reads_from_another_machine_shows_the_token() {
    let running = Running::run(&CONFIG.replace("admin: {address: \"127.0.0.1:0\"}", "admin: {address: \"0.0.0.0:0\"}"));
    assert!(running.ask(&["workers"]).contains("serving"));
    let without = ambidex(running.folder.path())
        .args(["workers"])
        .env("AMBIDEX_ADMIN", &running.admin)
        .env("AMBIDEX_TOKEN_FILE", "nowhere")
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(!without.status.success() && said.contains("AMBIDEX_TOKEN_FILE"), "{said}");
    let authority = running.admin.trim_start_matches("http://").trim_end_matches('/');
    for (path, status) in [("/", "HTTP/1.1 401 "), ("/metrics", "HTTP/1.1 200 ")] {
        let answer = get(authority, path);
        assert!(answer.starts_with(status), "{path}: {answer}");
    }
}

#[test]
fn the_gateways_numbers_are_in_the_metrics() {
    let running = Running::run(CONFIG);
    let authority = running.admin.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let page = get(&authority, "/metrics");
    for name in
        ["ambidex_gateway_connections_open", "ambidex_gateway_access_log_lines_total", "ambidex_journal_written"]
    {
        assert!(page.contains(name), "{name} is not in\n{page}");
    }
}

#[test]
fn what_runs_says_where_each_of_its_values_came_from() {
    let running = Running::run(CONFIG);
    let shown = running.ask(&["config", "show", "--effective"]);
    let line = |start: &str| shown.lines().find(|line| line.trim_start().starts_with(start)).expect("shown").to_owned();
    assert!(line("threads: 1").ends_with("gw.yaml:4"), "{shown}");
    assert!(line("path: null").contains("# environment: AMBIDEX_DATA="), "{shown}");
    let folder = TempDir::new().expect("a folder");
    let arguments = ["proxy", "--listen", "127.0.0.1:0", "--to", "http://127.0.0.1:9", "--admin", "127.0.0.1:0"];
    let proxy = Running::start(folder, &arguments);
    assert!(proxy.ask(&["config", "show", "--effective"]).contains("- http://127.0.0.1:9"));
    assert!(proxy.ask(&["config", "show", "--effective"]).contains("# command line"));
}

#[test]
fn both_signals_end_it_with_success() {
    for signal in ["TERM", "INT"] {
        let mut running = Running::run(CONFIG);
        running.signal(signal);
        assert_eq!(running.end(), Some(0), "{signal}: {}", running.log());
    }
}

#[test]
fn the_token_stands_nowhere_but_in_its_file() {
    let running = Running::run(CONFIG);
    let token = fs::read_to_string(running.folder.path().join("data/token")).expect("made at the start");
    running.ask(&["drain", "a", "--yes"]);
    let said = [
        running.log(),
        running.ask(&["workers", "--output", "json"]),
        running.ask(&["decisions", "--output", "json"]),
        running.ask(&["config", "history", "--output", "json"]),
        running.ask(&["config", "show", running.file().to_str().expect("UTF-8"), "--effective"]),
    ];
    assert!(token.trim().len() >= 32 && said.iter().all(|said| !said.contains(token.trim())));
}

#[test]
fn a_gateway_needs_no_file() {
    let worker = worker::start(WorkerOptions { name: "only".into(), ..WorkerOptions::default() }).expect("it listens");
    let folder = TempDir::new().expect("a folder");
    let to = format!("http://{}", worker.address);
    let arguments = ["proxy", "--listen", "127.0.0.1:0", "--to", &to, "--threads", "1", "--admin", "127.0.0.1:0"];
    let running = Running::start(folder, &arguments);
    let answer = get(&running.listener, "/");
    assert!(answer.contains("x-worker: only"), "{answer}");
}

#[test]
fn requests_under_way_are_answered_before_the_end() {
    let slow = Service::constant(Span::from_millis(700));
    let worker = worker::start(WorkerOptions { service: slow, ..WorkerOptions::default() }).expect("it listens");
    let config = CONFIG.replace("http://127.0.0.1:9\"", &format!("http://{}\"", worker.address));
    let mut running = Running::run(&config.replace(", {url: \"http://127.0.0.1:10\", name: b}", ""));
    let listener = running.listener.clone();
    let asked = std::thread::spawn(move || get(&listener, "/"));
    until(|| (worker_in_flight(&running) > 0).then_some(()));
    running.signal("TERM");
    assert_eq!(running.end(), Some(0));
    let answer = asked.join().expect("asked");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn worker_in_flight(running: &Running) -> u64 {
    worker(&running.ask_json(&["workers"]), "a")["in_flight"].as_u64().unwrap_or(0)
}

#[test]
fn a_second_signal_cuts_what_is_left() {
    let endless = Service::constant(Span::from_secs(60));
    let worker = worker::start(WorkerOptions { service: endless, ..WorkerOptions::default() }).expect("it listens");
    let config = CONFIG.replace("http://127.0.0.1:9\"", &format!("http://{}\"", worker.address));
    let mut running = Running::run(&config.replace(", {url: \"http://127.0.0.1:10\", name: b}", ""));
    let listener = running.listener.clone();
    let asked = std::thread::spawn(move || get(&listener, "/"));
    until(|| (worker_in_flight(&running) > 0).then_some(()));
    running.signal("TERM");
    until(|| running.log().contains("draining").then_some(()));
    running.signal("TERM");
    assert_eq!(running.end(), Some(0));
    assert!(!asked.join().expect("asked").starts_with("HTTP/1.1 200"));
}

#[test]
fn what_is_left_after_the_grace_is_cut_without_a_second_signal() {
    let endless = Service::constant(Span::from_secs(60));
    let worker = worker::start(WorkerOptions { service: endless, ..WorkerOptions::default() }).expect("it listens");
    let config = CONFIG.replace("http://127.0.0.1:9\"", &format!("http://{}\"", worker.address));
    let config = config.replace(", {url: \"http://127.0.0.1:10\", name: b}", "");
    let mut running = Running::run(&format!("{config}drain: {{grace: 200ms}}\n"));
    let listener = running.listener.clone();
    let asked = std::thread::spawn(move || get(&listener, "/"));
    until(|| (worker_in_flight(&running) > 0).then_some(()));
    running.signal("TERM");
    assert_eq!(running.end(), Some(0));
    let log = running.log();
    // Cut counts connections; the asking client has one.
    assert!(log.contains("requests under way have 200ms") && log.contains("drained cut=1"), "{log}");
    assert!(!asked.join().expect("asked").starts_with("HTTP/1.1 200"));
}

#[test]
fn decisions_are_followed_as_they_are_made() {
    use std::io::{BufRead as _, BufReader};
    let running = Running::run(CONFIG);
    let mut following = ambidex(running.folder.path())
        .args(["decisions", "--follow", "--admin", &running.admin])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(following.stdout.take().expect("piped")).lines();
    let told = std::thread::spawn(move || lines.next());
    // Each order makes a decision; the first ones may come before the stream is open.
    let mut weight = 0.1;
    until(|| {
        weight = if weight > 0.5 { 0.1 } else { weight + 0.1 };
        running.ask(&["pin", &weight.to_string(), "a", "--yes"]);
        told.is_finished().then_some(())
    });
    let line = told.join().expect("it read").expect("a line").expect("UTF-8");
    following.kill().expect("ours");
    following.wait().expect("ours");
    assert!(line.contains("api: a"), "{line}");
}

/// A worker of our own: what `/healthz` answers is the test's, all else is 200 with the worker's name.
fn checked_worker(name: &'static str, health: std::sync::Arc<std::sync::Mutex<&'static str>>) -> std::net::SocketAddr {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let health = std::sync::Arc::clone(&health);
            std::thread::spawn(move || {
                let mut head = [0_u8; 4096];
                while let Ok(read @ 1..) = stream.read(&mut head) {
                    let asked = head[..read].starts_with(b"GET /healthz ");
                    let status = if asked { *health.lock().expect("whole") } else { "200 OK" };
                    let answer = format!("HTTP/1.1 {status}\r\nx-worker: {name}\r\ncontent-length: 0\r\n\r\n");
                    if stream.write_all(answer.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[test]
fn a_worker_whose_health_endpoint_fails_or_redirects_gets_nothing_until_it_is_well_again() {
    use std::sync::{Arc, Mutex};
    let health = Arc::new(Mutex::new("200 OK"));
    let well = checked_worker("well", Arc::new(Mutex::new("200 OK")));
    let odd = checked_worker("odd", Arc::clone(&health));
    let running = Running::run(&format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\nadmin: {{address: \"127.0.0.1:0\"}}\nthreads: 1\npools: {{api: {{balance: \
         round-robin, weights: static, workers: [{{url: \"http://{well}\", name: well}}, {{url: \"http://{odd}\", name: \
         odd}}], health: {{http: {{path: /healthz}}, every: 100ms}}}}}}\n"
    ));
    let standing = || worker(&running.ask_json(&["workers"]), "odd")["standing"].as_str().map(str::to_owned);
    let is = |wanted: &str| until(|| (standing()? == wanted).then_some(()));
    let names = || (0..6).map(|_| get(&running.listener, "/")).collect::<String>();
    for status in ["503 Unwell", "302 Found\r\nlocation: /"] {
        *health.lock().expect("whole") = status;
        is("unhealthy");
        assert!(!names().contains("x-worker: odd"), "{status}");
        assert_eq!(worker(&running.ask_json(&["workers"]), "odd")["share"], 0.0);
        // Decided at the next tick, which must come before it is well again.
        until(|| running.ask(&["decisions"]).contains("because its health checks fail").then_some(()));
        *health.lock().expect("whole") = "200 OK";
        is("serving");
        // With the next tick it has a weight again.
        until(|| names().contains("x-worker: odd").then_some(()));
    }
    let authority = running.admin.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let page = get(&authority, "/metrics");
    assert!(page.contains(r#"ambidex_worker_unhealthy{pool="api",worker="odd"} 0"#), "{page}");
}
