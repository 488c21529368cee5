//! Workers that lie about themselves: about what they carry, in what no report should be, at the endpoint that is
//! polled. What they may gain by it is bounded, what they may take from others too [reliability.md row 2].

use ambidex_lab::Span;
use ambidex_lab::load::{self, Load, LoadOptions};
use ambidex_lab::worker::{self, ReportStyle, WorkerOptions};
use serde_json::Value;

use crate::process::{Running, get, until};
use crate::rogue::{Manner, Rogue, member};
use crate::scene::{metric, resident_kib, served_on};

fn config(members: &[String], more: &str) -> String {
    format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\nadmin: {{address: \"127.0.0.1:0\"}}\n\
         pools: {{api: {{workers: [{}], weights: {{tick: 200ms}}{more}}}}}\n",
        members.join(", ")
    )
}

fn load_on(running: &Running, rate: f64) -> Load {
    let target = running.listener.parse().expect("an address");
    let options = LoadOptions { connections: 64, ..LoadOptions::beside(target, rate) };
    load::start(options).expect("load")
}

fn workers(running: &Running) -> Vec<Value> {
    let pools = running.ask_json(&["workers"]);
    pools["pools"][0]["workers"].as_array().expect("a list").clone()
}

fn worker(running: &Running, name: &str) -> Value {
    workers(running).into_iter().find(|worker| worker["name"] == name).expect("it is in the pool")
}

fn faults(running: &Running, name: &str) -> u64 {
    metric(running, &format!("ambidex_worker_report_faults_total{{pool=\"api\",worker=\"{name}\"}}"))
}

/// A worker that is slow, and says that it does nothing and could do anything.
fn braggart(claim: &str) -> Rogue {
    Rogue::start("liar", Manner::Says(format!("{claim}\r\n"), Span::from_millis(60)))
}

fn honest(styles: &[(&str, ReportStyle)]) -> Vec<worker::Worker> {
    let one = |(name, report): &(&str, ReportStyle)| WorkerOptions {
        name: (*name).into(),
        report: *report,
        report_window: Span::from_secs(2),
        ..WorkerOptions::default()
    };
    worker::start_all(styles.iter().map(one).collect()).expect("workers")
}

#[test]
fn a_slow_worker_that_says_it_idles_stays_within_its_bounds_and_takes_no_floor_from_others() {
    for claim in [
        "server-load: in_flight=0, queue=0, p50_ms=0.01, p99_ms=0.01, err=0, util=0, limit=1000000",
        "endpoint-load-metrics: TEXT application_utilization=0, cpu_utilization=0, rps_fractional=1000000",
    ] {
        let liar = braggart(claim);
        let good = honest(&[("a", ReportStyle::ServerLoad), ("b", ReportStyle::ServerLoad)]);
        let members: Vec<_> = good.iter().map(|one| member(one.address, &one.name)).chain([liar.member()]).collect();
        let running = Running::run(&config(&members, ""));
        let load = load_on(&running, 150.0);
        for _ in 0..20 {
            served_on(&load, 30);
            for worker in workers(&running) {
                let (share, fair) = (worker["share"].as_f64().expect("a share"), 1.0 / 3.0);
                let most = 0.8 + 0.005;
                assert!(share <= most, "{claim}: {worker}");
                // The floor is 5 % of a fair share; decisions within half a percent are not made.
                assert!(share >= 0.05 * fair * 0.99, "{claim}: {worker}");
            }
        }
        let outcome = load.stop();
        assert_eq!(outcome.failures.total(), 0, "{outcome}");
        let decisions = running.ask_json(&["decisions", "--worker", "liar", "--limit", "1000"]);
        assert_steps(&decisions);
        let seen = worker(&running, "liar");
        assert!(seen["mean_ms"].as_f64().is_none_or(|mean| mean >= 50.0), "its own word counts: {seen}");
        assert_eq!(seen["report_faults"], 0, "{seen}");
        let others: u64 = outcome.workers.iter().filter(|one| one.name != "liar").map(|one| one.requests).sum();
        let all: u64 = outcome.workers.iter().map(|one| one.requests).sum();
        assert!(others * 5 >= all, "the others got under 20 %: {outcome}");
    }
}

/// No weight rose by more than a step at once.
fn assert_steps(decisions: &Value) {
    let list = decisions["decisions"].as_array().expect("a list");
    assert!(!list.is_empty(), "{decisions}");
    for one in list {
        let (old, new) = (one["decision"]["old"].as_f64(), one["decision"]["new"].as_f64());
        let (Some(old), Some(new)) = (old, new) else { panic!("{one}") };
        // 1.25 a tick, of weights that are then brought back to a mean of one.
        assert!(old <= 0.0 || new <= old * 1.6, "{one}");
    }
}

/// Reports that are none, one a line.
fn bad_reports() -> Vec<String> {
    let long = "y".repeat(5 << 10);
    [
        "server-load: in_flight=-3",
        "server-load: util=NaN",
        "server-load: util=inf",
        "server-load: in_flight=1e308",
        "server-load: p50_ms=99999999999",
        "server-load: err=7",
        "endpoint-load-metrics: TEXT cpu_utilization=NaN",
        "endpoint-load-metrics: TEXT cpu_utilization=0.1, cpu_utilization=0.2",
        "endpoint-load-metrics: TEXT rps_fractional=1, eps=2",
        "endpoint-load-metrics: JSON [1]",
        "endpoint-load-metrics: JSON {\"cpu_utilization\": {\"a\": 1}}",
        "endpoint-load-metrics-bin: !!",
    ]
    .iter()
    .map(|line| (*line).to_owned())
    .chain([format!("server-load: in_flight=3, x=\"{long}\""), format!("endpoint-load-metrics: TEXT x={long}")])
    .collect()
}

#[test]
fn reports_that_are_none_are_counted_move_nothing_and_reach_no_client() {
    let rogues = ["a", "b", "liar"].map(|name| Rogue::start(name, Manner::Well));
    let members: Vec<_> = rogues.iter().map(Rogue::member).collect();
    let running = Running::run(&config(&members, ", balance: round-robin"));
    let liar = &rogues[2];
    for line in bad_reports() {
        let (before, asked) = (faults(&running, "liar"), liar.asked());
        let shown: String = line.chars().take(80).collect();
        liar.turn(Manner::Says(format!("{line}\r\n"), Span::ZERO));
        while liar.asked() < asked + 2 {
            let answer = get(&running.listener, "/").to_lowercase();
            assert!(answer.starts_with("http/1.1 200 "), "{shown}: {answer}");
            assert!(!answer.contains("server-load") && !answer.contains("endpoint-load"), "{shown}: {answer}");
        }
        until(|| (faults(&running, "liar") >= before + 2).then_some(()));
    }
    for worker in workers(&running) {
        assert_eq!((&worker["weight"], &worker["report"]), (&Value::from(1.0), &Value::Null), "{worker}");
    }
    assert_eq!((faults(&running, "a"), faults(&running, "b")), (0, 0));
    assert!(!running.log().contains("panic"), "{}", running.log());
}

#[test]
fn workers_that_report_as_they_should_never_count_as_faulty() {
    let styles = [
        ("a", ReportStyle::ServerLoad),
        ("b", ReportStyle::OrcaText),
        ("c", ReportStyle::OrcaJson),
        ("d", ReportStyle::Endpoint),
    ];
    let good = honest(&styles);
    let members: Vec<_> = good.iter().map(|one| member(one.address, &one.name)).collect();
    // Seconds for an answer: on a busy machine an endpoint may be late, and that would count.
    let more = ", reports: {poll: {path: /load, interval: 4s, timeout: 4s}}";
    let running = Running::run(&config(&members, more));
    let load = load_on(&running, 200.0);
    served_on(&load, 1_000);
    until(|| workers(&running).iter().all(|worker| worker["report"].is_object()).then_some(()));
    for (name, _) in styles {
        let seen = worker(&running, name);
        assert_eq!((&seen["poll_fault"], faults(&running, name)), (&Value::Null, 0), "{seen}");
    }
    assert_eq!(load.stop().failures.total(), 0);
}

#[test]
fn a_worker_that_stops_reporting_gets_less_and_is_not_taken_as_idle() {
    let idle = Manner::Says("server-load: in_flight=1, util=0.1, limit=16\r\n".into(), Span::from_millis(2));
    let rogues = ["a", "b", "silent"].map(|name| Rogue::start(name, idle.clone()));
    let members: Vec<_> = rogues.iter().map(Rogue::member).collect();
    let running = Running::run(&config(&members, ""));
    let load = load_on(&running, 120.0);
    until(|| workers(&running).iter().all(|worker| worker["report"].is_object()).then_some(()));
    rogues[2].turn(Manner::Says(String::new(), Span::from_millis(2)));
    until(|| (worker(&running, "silent")["weight"].as_f64()? <= 0.6).then_some(()));
    served_on(&load, 200);
    let seen = worker(&running, "silent");
    assert!(seen["weight"].as_f64().is_some_and(|weight| weight <= 0.6), "{seen}");
    assert_eq!(load.stop().failures.total(), 0);
}

/// Answers that a poll should not take.
fn polled(trap: &Rogue) -> Vec<(&'static str, Manner)> {
    let ok = |body: &str| format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes();
    let redirect = format!("HTTP/1.1 302 Found\r\nlocation: http://{}/load\r\ncontent-length: 0\r\n\r\n", trap.address);
    let huge = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), b"[1,".repeat(8 << 20)].concat();
    vec![
        ("garbage", Manner::Load(b"\x00\x01 no HTTP\r\n\r\n".to_vec())),
        ("no-json", Manner::Load(ok("<html>"))),
        ("absurd", Manner::Load(ok("{\"current_load\": -5}"))),
        ("nested", Manner::Load(ok(&"[".repeat(60_000)))),
        ("huge", Manner::Load(huge)),
        ("redirects", Manner::Load(redirect.into_bytes())),
        ("never-answers", Manner::LoadSilent),
    ]
}

#[test]
fn an_endpoint_that_lies_is_counted_followed_nowhere_and_moves_nothing() {
    let trap = Rogue::start("trap", Manner::Well);
    let rogues: Vec<_> = polled(&trap).into_iter().map(|(name, manner)| Rogue::start(name, manner)).collect();
    let members: Vec<_> = rogues.iter().map(Rogue::member).collect();
    let more = ", reports: {poll: {path: /load, interval: 200ms, timeout: 200ms}}";
    let running = Running::run(&config(&members, more));
    let load = load_on(&running, 100.0);
    until(|| rogues.iter().all(|rogue| faults(&running, &rogue.name) >= 2).then_some(()));
    let before = resident_kib(&running);
    until(|| rogues.iter().all(|rogue| faults(&running, &rogue.name) >= 6).then_some(()));
    served_on(&load, 200);
    for worker in workers(&running) {
        assert_eq!((&worker["weight"], &worker["report"]), (&Value::from(1.0), &Value::Null), "{worker}");
        assert!(worker["poll_fault"].as_str().is_some_and(|why| (1..500).contains(&why.len())), "{worker}");
    }
    assert_eq!(trap.asked(), 0, "a redirect was followed");
    assert!(resident_kib(&running) < before + (50 << 10), "{before} KiB grew to {} KiB", resident_kib(&running));
    assert_eq!(load.stop().failures.total(), 0);
}
