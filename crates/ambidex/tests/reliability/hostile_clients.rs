//! Hostile clients before the whole process: each ends within its limit, hears what can still be said, and frees what it
//! held; good clients and the workers notice nothing of them.

use std::fs;
use std::net::SocketAddr;

use ambidex_lab::Span;
use ambidex_lab::load::{self, Load, LoadOptions};
use ambidex_lab::worker::Worker;

use crate::crowd::kind::{Kind, Limit, MOST_BODY};
use crate::crowd::taker::Taker;
use crate::crowd::{Crowd, Ended, in_time, room_for};
use crate::process::Running;
use crate::scene::{metric, page, resident_kib, served_on, value, workers};

/// The gateway before a worker for each path, impatient in this way.
fn before(taker: &Taker, well: &Worker, threads: &str, patience: &str) -> Running {
    let pool = |name: &str, address: SocketAddr| {
        format!(
            "  {name}: {{workers: [{{url: \"http://{address}\", name: {name}}}], upstream: {{idle_timeout: 1s}}}}\n"
        )
    };
    let routes = "- {match: {path_prefix: /good}, pool: well}\n- {pool: taker}\n";
    Running::run(&format!(
        "listeners:\n- address: \"127.0.0.1:0\"\n  header_timeout: {patience}\n  idle_timeout: {patience}\n  \
         max_header_bytes: 16KiB\n  max_body: {}KiB\nadmin: {{address: \"127.0.0.1:0\"}}\nthreads: {threads}\npools:\n{}{}routes:\n{routes}",
        MOST_BODY >> 10,
        pool("taker", taker.address),
        pool("well", well.address),
    ))
}

fn address(running: &Running) -> SocketAddr {
    running.listener.parse().expect("an address")
}

/// What the gateway counts.
struct Counts {
    /// Client connections that are open.
    open: u64,
    /// Client connections that it let in so far.
    accepted: u64,
    /// Tries at the hostile clients' worker.
    in_flight: u64,
}

/// All of it at one look, which costs a busy machine something.
fn counts(running: &Running) -> Counts {
    let page = page(running, "/metrics");
    let of = |name: &str| value(&page, &format!("ambidex_gateway_{name}{{listener=\"{}\"}}", running.listener));
    let in_flight = value(&page, "ambidex_worker_in_flight{pool=\"taker\",worker=\"taker\"}");
    Counts { open: of("connections_open"), accepted: of("connections_total"), in_flight }
}

fn open(running: &Running) -> u64 {
    counts(running).open
}

/// Bytes that the kernel holds at the gateway's end of its clients' connections, those that it has closed among them: to
/// be sent, and to be read.
fn queues(running: &Running) -> (u64, u64) {
    let port = format!(":{:04X}", address(running).port());
    let table = fs::read_to_string("/proc/net/tcp").expect("Linux");
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let number = |text: &str| u64::from_str_radix(text, 16).expect("hexadecimal");
    lines.filter(|words| words[1].ends_with(&port)).fold((0, 0), |(sent, read), words| {
        let (to_send, to_read) = words[4].split_once(':').expect("two queues");
        (sent + number(to_send), read + number(to_read))
    })
}

/// Descriptors that the process has open.
fn files(running: &Running) -> usize {
    fs::read_dir(format!("/proc/{}/fd", running.id())).expect("it runs").count()
}

/// Good clients, who ask all the time.
fn good(running: &Running) -> Load {
    let options = LoadOptions {
        target: address(running),
        path: "/good".into(),
        rate: 100.0,
        connections: GOOD,
        warm_up: Span::ZERO,
        duration: Span::from_secs(600),
        timeout: Span::from_secs(20),
        ..LoadOptions::default()
    };
    load::start(options).expect("load")
}

/// Each was borne as long as it should be at least, and told what can be told.
fn as_they_should(ends: &[Ended], patience: Span) {
    for Ended { kind, status, took } in ends {
        let missed = *status == 0 && kind.may_miss();
        assert!(*status == kind.hears() || missed, "{kind:?} heard {status}");
        let least = match kind.limit() {
            Limit::Header | Limit::Idle => patience,
            Limit::None => Span::ZERO,
        };
        assert!((least..patience + SLACK).contains(took), "{kind:?} took {took}, its limit is {least}");
    }
}

/// Nothing of what happened counts against the worker.
fn worker_is_unharmed(running: &Running) {
    assert_eq!(metric(running, "ambidex_worker_failures_total{pool=\"taker\",worker=\"taker\"}"), 0);
    assert_eq!(metric(running, "ambidex_worker_breaker_openings_total{pool=\"taker\",worker=\"taker\"}"), 0);
    assert!(!running.log().contains("panic"), "{}", running.log());
}

#[test]
fn two_thousand_at_once_end_in_their_time_and_good_clients_do_not_wait_for_them() {
    let (count, patience) = (room_for(2_000), Span::from_secs(10));
    let (taker, well) = (Taker::start(), workers(&["well"]));
    let running = before(&taker, &well[0], "2", "10s");
    let good = good(&running);
    served_on(&good, 200);
    let (quiet, files_before, memory) = (good.lately().latency.p99_ms, files(&running), resident_kib(&running));
    let lasting = Crowd::gather(address(&running), &Kind::LASTING, count);
    let passing = Crowd::gather(address(&running), &Kind::PASSING, count / 10);
    in_time("all came", || counts(&running).accepted >= (count + count / 10) as u64);
    assert!(lasting.most() > count / 2, "{} of {count} were there at once", lasting.most());
    let held = resident_kib(&running).saturating_sub(memory);
    // Those who were due while two thousand connected waited for the machine.
    served_on(&good, 50);
    drop(good.lately());
    served_on(&good, 300);
    let among = good.lately().latency.p99_ms;
    as_they_should(&passing.ends(), patience);
    in_time("the good are left", || open(&running) <= GOOD as u64);
    lasting.look_up();
    as_they_should(&lasting.ends(), patience);
    in_time("the worker is free", || counts(&running).in_flight == 0 && taker.busy() == 0);
    eprintln!(
        "good p99: {quiet} ms before, {among} ms among {count}, of which each held {} B",
        (held << 10) / count as u64
    );
    let outcome = good.stop();
    assert_eq!(outcome.failures.total(), 0, "{outcome}");
    // Who waits for a hostile one waits for its limit; who waits for a busy machine, less.
    assert!(among <= 10.0 * quiet + patience.as_secs_f64() * 1e3, "p99 was {quiet} ms, and {among} ms among {count}");
    assert!(held <= 64 * count as u64, "{held} KiB for {count}");
    in_time("all connections are closed", || open(&running) == 0);
    in_time("its descriptors are what they were", || files(&running) <= files_before);
    worker_is_unharmed(&running);
}

#[test]
fn each_kind_alone_ends_in_its_time_and_frees_what_it_held() {
    let patience = Span::from_millis(600);
    let (taker, well) = (Taker::start(), workers(&["well"]));
    let running = before(&taker, &well[0], "2", "600ms");
    let mut accepted = 0;
    for kind in Kind::PASSING.into_iter().chain(Kind::LASTING) {
        eprintln!("{kind:?}");
        let crowd = Crowd::gather(address(&running), &[kind], ALONE);
        accepted += ALONE as u64;
        in_time("all came, all are gone, and their worker is free", || {
            let now = counts(&running);
            now.accepted == accepted && now.open == 0 && now.in_flight == 0 && taker.busy() == 0
        });
        let unread = queues(&running).0;
        assert!(unread <= 1 << 10, "{kind:?}: the kernel holds {unread} bytes that nobody reads");
        crowd.look_up();
        as_they_should(&crowd.ends(), patience);
    }
    worker_is_unharmed(&running);
}

#[test]
fn a_slow_head_costs_little_memory_and_leaves_none_behind() {
    let count = room_for(2_000);
    let (taker, well) = (Taker::start(), workers(&["well"]));
    // Longer than two thousand take to connect to a machine that stands still.
    let running = before(&taker, &well[0], "1", "600s");
    let memory = resident_kib(&running);
    let rounds: Vec<_> = (0..3)
        .map(|_| {
            let crowd = Crowd::gather(address(&running), &[Kind::HalfHead], count);
            in_time("all are there", || open(&running) == count as u64 && queues(&running).1 == 0);
            let held = resident_kib(&running) - memory;
            drop(crowd);
            in_time("all are gone", || open(&running) == 0);
            (held << 10) / count as u64
        })
        .collect();
    eprintln!("bytes for each of {count}, each round: {rounds:?}");
    assert!(rounds.iter().all(|held| *held <= SLOW_HEAD), "{rounds:?}");
    let before = rounds[..2].iter().max().expect("two");
    assert!(rounds[2] <= before + (1 << 10), "it grows: {rounds:?}");
}

/// Good clients' connections.
const GOOD: usize = 16;
/// Clients of one kind.
const ALONE: usize = 20;
/// Bytes that a slow head of one KiB may cost. Source: issue 3 (6 KiB); measured: 4.7 KB in a release build, 2 of them its
/// buffer, and 5.3 to 6.5 in a debug build, whose tasks are larger.
const SLOW_HEAD: u64 = if cfg!(debug_assertions) { 8 << 10 } else { 6 << 10 };
/// A busy machine is late.
const SLACK: Span = Span::from_secs(150);
