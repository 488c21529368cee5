//! What clients claim of workers, of the way that they came and of themselves moves no weight and counts as nobody's
//! fault [reliability.md row 3]. What a worker sees of it is tested beside the gateway.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::process::{Running, until};
use crate::rogue::{Manner, Rogue};
use crate::scene::{config, metric};

/// Each holds 66666, by which it would be known at the worker.
const CLAIMS: [(&str, &str); 17] = [
    ("server-load", "in_flight=0, util=0, limit=66666"),
    ("endpoint-load-metrics", "TEXT application_utilization=0, rps_fractional=66666"),
    ("endpoint-load-metrics-bin", "CQAAAAAAAAAA66666"),
    ("server-load", "in_flight=-66666"),
    ("endpoint-load-metrics", "TEXT cpu_utilization=NaN66666"),
    ("forwarded", "for=66666"),
    ("x-forwarded-for", "66666"),
    ("x-forwarded-host", "66666"),
    ("x-forwarded-proto", "66666"),
    ("x-forwarded-port", "66666"),
    ("x-real-ip", "66666"),
    ("x-request-id", "66666"),
    ("ambidex-attempts", "66666"),
    ("ambidex-canary", "66666"),
    ("ambidex-zone", "66666"),
    ("ambidex-deadline-ms", "66666"),
    ("ambidex-error", "66666"),
];

/// Asks once with these header lines.
fn ask(running: &Running, lines: &str) -> String {
    let mut stream = TcpStream::connect(&running.listener).expect("it listens");
    let request = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{lines}\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn what_a_client_claims_reaches_no_worker_moves_no_weight_and_is_no_workers_fault() {
    let rogues = ["a", "b", "c"].map(|name| Rogue::start(name, Manner::Well));
    let members = rogues.iter().map(Rogue::member).collect::<Vec<_>>().join(", ");
    let running = Running::run(&config(&format!("[{members}]"), ""));
    let mut all = String::new();
    for (name, value) in CLAIMS {
        let line = format!("{name}: {value}\r\n");
        if !all.contains(name) {
            let _ = write!(all, "{line}");
        }
        for _ in 0..6 {
            assert!(ask(&running, &line).starts_with("HTTP/1.1 200 "), "{line}");
            for rogue in &rogues {
                assert!(!rogue.head().contains("66666"), "{line}: {}", rogue.head());
            }
        }
    }
    for _ in 0..200 {
        assert!(ask(&running, &all).starts_with("HTTP/1.1 200 "), "{all}");
    }
    assert!(rogues.iter().all(|rogue| rogue.asked() > 0 && !rogue.head().contains("66666")));
    let of = |name| metric(&running, &format!("ambidex_worker_requests_total{{pool=\"api\",worker=\"{name}\"}}"));
    until(|| (["a", "b", "c"].map(of).iter().sum::<u64>() >= 300).then_some(()));
    let pools = running.ask_json(&["workers"]);
    for worker in pools["pools"][0]["workers"].as_array().expect("a list") {
        let seen = (&worker["weight"], &worker["report"], &worker["report_faults"]);
        assert_eq!(seen, (&Value::from(1.0), &Value::Null, &Value::from(0)), "{worker}");
    }
    let decisions = running.ask_json(&["decisions"]);
    let moved = |one: &Value| one["decision"]["new"].as_f64().is_some_and(|new| (new - 1.0).abs() > 1e-9);
    assert!(!decisions["decisions"].as_array().expect("a list").iter().any(moved), "{decisions}");
}
