//! What every test here begins with: a gateway before workers of the laboratory, a trickle of load, and what is asked
//! of it meanwhile.

use std::fs;
use std::io::Read;

use ambidex_lab::load::{self, Load, LoadOptions};
use ambidex_lab::worker::{self, Worker, WorkerOptions};
use ambidex_lab::{Service, Span};

use crate::process::{Running, get, until};

/// Quick workers with room for all that is sent.
pub(crate) fn workers(names: &[&str]) -> Vec<Worker> {
    let quick = |name: &&str| WorkerOptions {
        name: (*name).into(),
        slots: 64,
        service: Service::constant(Span::from_millis(2)),
        ..WorkerOptions::default()
    };
    worker::start_all(names.iter().map(quick).collect()).expect("workers")
}

/// They, as a list of members.
pub(crate) fn listed(workers: &[Worker]) -> String {
    let one = |worker: &Worker| format!("- {{url: \"http://{}\", name: {}}}\n", worker.address, worker.name);
    workers.iter().map(one).collect()
}

/// A configuration on free ports with one pool of these members (a list in one line), and `more` sections.
pub(crate) fn config(members: &str, more: &str) -> String {
    format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\npools: {{api: {{workers: {members}, weights: {{tick: 100ms}}}}}}\n\
         admin: {{address: \"127.0.0.1:0\"}}\nthreads: 2\n{more}"
    )
}

/// The same with these workers.
pub(crate) fn config_of(workers: &[Worker], more: &str) -> String {
    let one = |worker: &Worker| format!("{{url: \"http://{}\", name: {}}}", worker.address, worker.name);
    config(&format!("[{}]", workers.iter().map(one).collect::<Vec<_>>().join(", ")), more)
}

/// Load that lasts as long as a test.
pub(crate) fn trickle(running: &Running) -> Load {
    let target = running.listener.parse().expect("an address");
    load::start(LoadOptions { connections: 16, ..LoadOptions::beside(target, 100.0) }).expect("load")
}

/// Waits until `count` more requests of the load were answered.
pub(crate) fn served_on(load: &Load, count: u64) {
    let before = load.so_far();
    let enough = before.ok + before.failures.total() + count;
    until(|| {
        let now = load.so_far();
        (now.ok + now.failures.total() >= enough).then_some(())
    });
}

/// Where the admin API is, as host and port.
pub(crate) fn admin(running: &Running) -> &str {
    running.admin.trim_start_matches("http://").trim_end_matches('/')
}

/// What the admin API answers.
pub(crate) fn page(running: &Running, path: &str) -> String {
    get(admin(running), path)
}

/// The whole number of one series of `/metrics`, 0 where there is none; `name` with its labels.
pub(crate) fn metric(running: &Running, name: &str) -> u64 {
    value(&page(running, "/metrics"), name)
}

/// The same on a page that was read already.
pub(crate) fn value(page: &str, name: &str) -> u64 {
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or("0");
    value.trim().split('.').next().and_then(|whole| whole.parse().ok()).expect("a number")
}

/// How many series `/metrics` has.
pub(crate) fn series(running: &Running) -> usize {
    let page = page(running, "/metrics");
    assert!(page.trim_end().ends_with("# EOF"), "{page}");
    page.lines().filter(|line| line.starts_with("ambidex_")).count()
}

/// The process's resident memory.
pub(crate) fn resident_kib(running: &Running) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", running.id())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The text of the first source's problem; none when it is believed.
pub(crate) fn doubt(running: &Running) -> Option<String> {
    let pools = running.ask_json(&["workers"]);
    pools["pools"][0]["sources"][0]["problem"].as_str().map(str::to_owned)
}

/// One answer with a length, read from a connection that stays open.
pub(crate) fn answer(stream: &mut impl Read) -> String {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("it answers") > 0 {
        answer.extend_from_slice(&byte);
    }
    let head = String::from_utf8_lossy(&answer).to_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).expect("a body");
    answer.extend_from_slice(&body);
    String::from_utf8_lossy(&answer).into_owned()
}
