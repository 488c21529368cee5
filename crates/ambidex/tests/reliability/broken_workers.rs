//! Workers that break while load runs, with the defaults that a user has: what it costs, who gets the traffic meanwhile,
//! and that a worker that is well again gets its part.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Stdio};

use ambidex_lab::load::{self, Load, LoadOptions, Outcome};
use ambidex_lab::worker::{self, Worker, WorkerOptions};
use ambidex_lab::{Service, Span, poll, undisturbed};

use crate::process::{Running, ambidex, get, until};
use crate::rogue::{Manner, Rogue, member};
use crate::scene::{metric, served_on};

/// Quick workers with room for all that is sent.
fn quick(name: &str, listen: SocketAddr) -> WorkerOptions {
    let service = Service::constant(Span::from_millis(1));
    WorkerOptions { name: name.into(), listen, slots: 256, service, ..WorkerOptions::default() }
}

/// Well, and slower than the one that breaks, so that this one is the first choice.
fn honest(names: &[&str]) -> Vec<Worker> {
    let listen = WorkerOptions::default().listen;
    let slow = || Service::constant(Span::from_millis(20));
    let one = |name: &&str| WorkerOptions { service: slow(), ..quick(name, listen) };
    worker::start_all(names.iter().map(one).collect()).expect("workers")
}

/// An address of this process alone, so that a port that was left can be had again.
fn own() -> SocketAddr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    SocketAddr::from((Ipv4Addr::new(127, 77, high, low.clamp(1, 254)), 0))
}

/// One pool for each name, with a route of its name.
fn config(pools: &[(&str, Vec<String>)]) -> String {
    let pool = |(name, members): &(&str, Vec<String>)| {
        format!("  {name}: {{balance: {}, workers: [{}]}}\n", balance(name), members.join(", "))
    };
    let route = |(name, _): &(&str, Vec<String>)| {
        format!("  - {{match: {{path: /{name}}}, pool: {name}, deadline: {}}}\n", deadline(name))
    };
    format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\nadmin: {{address: \"127.0.0.1:0\"}}\npools:\n{}routes:\n{}",
        pools.iter().map(pool).collect::<String>(),
        pools.iter().map(route).collect::<String>(),
    )
}

/// By turns where the breaker has to do it; the default prices a failure so high that no second request is sent. A
/// breaker goes by the heads of answers, so that one which breaks off later counts in the price alone.
fn balance(pool: &str) -> &'static str {
    if ["api", "breaks-off"].contains(&pool) { "auto" } else { "round-robin" }
}

/// Short only where it is what ends a request: a busy machine is slow too.
fn deadline(pool: &str) -> &'static str {
    if pool == "never-answers" { "2s" } else { "30s" }
}

fn load_on(running: &Running, path: &str, rate: f64) -> Load {
    let target = running.listener.parse().expect("an address");
    let options = LoadOptions { path: path.into(), connections: 64, ..LoadOptions::beside(target, rate) };
    load::start(options).expect("load")
}

fn answers_of(outcome: &Outcome, worker: &str) -> u64 {
    outcome.workers.iter().find(|one| one.name == worker).map_or(0, |one| one.requests - one.failed)
}

/// Waits until a worker got nothing while the load had so many answers.
fn avoided(load: &Load, answers: u64, asked: impl Fn() -> u64) {
    until(|| {
        let before = asked();
        served_on(load, answers);
        (asked() == before).then_some(())
    });
}

/// Waits longer than a failure's price and a breaker's ramp last.
fn in_time(what: &str, done: impl FnMut() -> bool) {
    assert!(poll(Span::from_secs(120), done), "{what}");
}

const FAULTS: [(&str, Manner); 5] = [
    ("resets-at-once", Manner::ResetAtOnce),
    ("resets-in-head", Manner::ResetInHead),
    ("breaks-off", Manner::BreakOff),
    ("garbage", Manner::Garbage),
    ("never-answers", Manner::Silent),
];

#[test]
fn a_worker_that_breaks_costs_no_request_that_it_did_not_get_and_returns_when_it_is_well() {
    // What a worker got is counted when it has read it: on a machine that stands still, the gateway has given it up before.
    undisturbed(breaks_and_returns);
}

fn breaks_and_returns() {
    let good = honest(&["a", "b"]);
    let rogues: Vec<_> = FAULTS.iter().map(|(name, _)| Rogue::start(name, Manner::Well)).collect();
    let members = |rogue: &Rogue| {
        good.iter().map(|one| member(one.address, &one.name)).chain([rogue.member()]).collect::<Vec<_>>()
    };
    let pools: Vec<_> = FAULTS.iter().zip(&rogues).map(|((name, _), rogue)| (*name, members(rogue))).collect();
    let running = Running::run(&config(&pools));
    let loads: Vec<_> = FAULTS.iter().map(|(name, _)| load_on(&running, &format!("/{name}"), 30.0)).collect();
    for rogue in &rogues {
        until(|| (rogue.asked() >= 10).then_some(()));
    }
    let before: Vec<_> = rogues.iter().map(Rogue::asked).collect();
    for ((_, manner), rogue) in FAULTS.iter().zip(&rogues) {
        rogue.turn(manner.clone());
    }
    for ((name, _), load) in FAULTS.iter().zip(&loads) {
        let rogue = rogues.iter().find(|rogue| rogue.name == *name).expect("one of each");
        eprintln!("{name}: until it is avoided");
        avoided(load, 40, || rogue.asked());
    }
    for (((name, _), rogue), before) in FAULTS.iter().zip(&rogues).zip(&before) {
        let got = rogue.asked() - before;
        assert!(got <= 100, "{name}: it was asked {got} times");
    }
    let got: Vec<_> = rogues.iter().map(Rogue::asked).collect();
    rogues.iter().for_each(|rogue| rogue.turn(Manner::Well));
    for (((name, _), rogue), got) in FAULTS.iter().zip(&rogues).zip(&got) {
        in_time(name, || rogue.asked() >= got + 20);
    }
    for ((((name, _), load), got), before) in FAULTS.iter().zip(loads).zip(&got).zip(&before) {
        let outcome = load.stop();
        // A request that came as it was turned may count on either side.
        assert!(outcome.failures.total() <= got - before + 2, "{name}: {outcome}");
        assert_eq!((outcome.failures.timeout, outcome.failures.garbled), (0, 0), "{name}: {outcome}");
    }
    assert!(!running.log().contains("panic"), "{}", running.log());
}

#[test]
fn a_worker_that_refuses_costs_no_request_and_returns_when_it_listens_again() {
    let good = honest(&["a", "b"]);
    let refusing = worker::start(quick("c", own())).expect("a worker");
    let address = refusing.address;
    let members = good.iter().chain([&refusing]).map(|one| member(one.address, &one.name)).collect();
    let running = Running::run(&config(&[("api", members)]));
    let load = load_on(&running, "/api", 100.0);
    until(|| (refusing.served() >= 10).then_some(()));
    refusing.stop();
    let failed = "ambidex_worker_failures_total{pool=\"api\",worker=\"c\"}";
    until(|| (metric(&running, failed) > 0).then_some(()));
    // Those that it had when it stopped may have run, so that nobody asks again.
    until(|| (in_flight(&running, "c") == 0).then_some(()));
    served_on(&load, 64);
    let lost = load.so_far().failures.total();
    assert!(lost <= 40, "{lost} requests were with it");
    avoided(&load, 60, || metric(&running, failed));
    let again = worker::start(quick("c", address)).expect("its port is its own");
    in_time("it returns", || again.served() >= 30);
    let outcome = load.stop();
    assert_eq!(outcome.failures.total(), lost, "{outcome}");
}

/// `ambidex lab worker` as a process of its own.
fn process(folder: &std::path::Path, listen: SocketAddr) -> (Child, SocketAddr) {
    let mut child = ambidex(folder)
        .args(["lab", "worker", "name=c", "slots=256", "service=1ms", &format!("listen={listen}")])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let address = line.trim().rsplit("http://").next().expect("an address").parse().expect("an address");
    (child, address)
}

#[test]
fn a_worker_killed_among_1_200_requests_costs_none_that_it_had_not_taken() {
    let good = honest(&["a", "b"]);
    let folder = tempfile::tempdir().expect("a folder");
    let (mut killed, address) = process(folder.path(), own());
    let members = good.iter().map(|one| member(one.address, &one.name)).chain([member(address, "c")]).collect();
    let running = Running::run(&config(&[("api", members)]));
    let load = load_on(&running, "/api", 100.0);
    until(|| (answers_of(&load.so_far(), "c") >= 30).then_some(()));
    killed.kill().expect("ours");
    killed.wait().expect("ours");
    // Those that it had taken may have run, so that nobody asks again.
    until(|| (in_flight(&running, "c") == 0).then_some(()));
    served_on(&load, 64);
    let lost = load.so_far().failures.total();
    assert!(lost <= 40, "{lost} requests were with it");
    served_on(&load, 400);
    let (mut again, _) = process(folder.path(), address);
    let before = answers_of(&load.so_far(), "c");
    in_time("it returns", || answers_of(&load.so_far(), "c") >= before + 20);
    let left = 1_200_u64.saturating_sub(load.so_far().offered);
    served_on(&load, left.min(600));
    let outcome = load.stop();
    again.kill().expect("ours");
    again.wait().expect("ours");
    assert!(outcome.offered >= 1_000 && outcome.failures.total() == lost, "{lost} when it was killed: {outcome}");
}

fn in_flight(running: &Running, worker: &str) -> u64 {
    metric(running, &format!("ambidex_worker_in_flight{{pool=\"api\",worker=\"{worker}\"}}"))
}

#[test]
fn an_answer_that_nobody_asked_for_reaches_nobody() {
    let rogues = ["a", "b"].map(|name| Rogue::start(name, Manner::OneMore));
    let running = Running::run(&config(&[("api", rogues.iter().map(Rogue::member).collect())]));
    let load = load_on(&running, "/api", 200.0);
    served_on(&load, 600);
    let outcome = load.stop();
    assert_eq!(answers_of(&outcome, "poison"), 0, "{outcome}");
    // A request that met such a connection may fail; it is never sent twice.
    assert!(outcome.failures.total() * 20 <= outcome.offered, "{outcome}");
}

/// Tries of all workers together.
fn tries(running: &Running) -> u64 {
    let of = |worker| metric(running, &format!("ambidex_worker_requests_total{{pool=\"api\",worker=\"{worker}\"}}"));
    ["a", "b", "c"].map(of).iter().sum()
}

#[test]
fn when_all_are_down_clients_hear_it_at_once_few_are_asked_twice_and_all_is_well_when_they_return() {
    let fleet = ["a", "b", "c"].map(|name| quick(name, own()));
    let workers = worker::start_all(fleet.to_vec()).expect("workers");
    let addresses: Vec<_> = workers.iter().map(|one| (one.name.clone(), one.address)).collect();
    let members = addresses.iter().map(|(name, address)| member(*address, name)).collect();
    let running = Running::run(&config(&[("api", members)]));
    let load = load_on(&running, "/api", 200.0);
    served_on(&load, 100);
    workers.into_iter().for_each(Worker::stop);
    until(|| (load.so_far().failures.status_5xx > 20).then_some(()));
    let (asked, tried) = (load.so_far(), tries(&running));
    served_on(&load, 600);
    let (now, tried) = (load.so_far(), tries(&running) - tried);
    let requests = now.ok + now.failures.total() - asked.ok - asked.failures.total();
    // 20 % of the requests, the floor of 10/s over the time that they took and the window before it, and what was on its way.
    let seconds = now.seconds - asked.seconds;
    let most = requests as f64 * 1.2 + 10.0 * (seconds + 10.0) + 50.0;
    assert!((tried as f64) <= most, "{tried} tries for {requests} requests in {seconds} s");
    let answer = get(&running.listener, "/api");
    assert!(answer.starts_with("HTTP/1.1 502 ") || answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.to_lowercase().contains("\r\nambidex-error: "), "{answer}");
    let again: Vec<_> = addresses.iter().map(|(name, address)| quick(name, *address)).collect();
    let again = worker::start_all(again).expect("their ports are their own");
    until(|| (again.iter().map(Worker::served).sum::<u64>() >= 10).then_some(()));
    // Nothing fails any more.
    until(|| {
        let before = load.so_far();
        served_on(&load, 100);
        (load.so_far().failures.total() == before.failures.total()).then_some(())
    });
    in_time("all get their part", || again.iter().all(|one| one.served() >= 1));
    let outcome = load.stop();
    assert_eq!((outcome.failures.timeout, outcome.failures.connect, outcome.failures.reset), (0, 0, 0), "{outcome}");
}
