//! Zones of a running gateway: who is asked, and what is said of it.

use ambidex_lab::worker::{self, WorkerOptions};
use serde_json::Value;

use super::process::{Running, get, until};

fn zone<'v>(zones: &'v Value, name: &str) -> Option<&'v Value> {
    zones["pools"][0]["zones"].as_array()?.iter().find(|zone| zone["name"] == name)
}

#[test]
fn requests_stay_in_their_clients_zone_and_all_leave_it_when_nobody_is_left() {
    let start = |name: &str| worker::start(WorkerOptions { name: name.into(), ..WorkerOptions::default() });
    let (near, far) = (start("near").expect("it listens"), start("far").expect("it listens"));
    let running = Running::run(&format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]
zones: {{networks: {{127.0.0.0/8: a}}}}
pools:
  api:
    workers:
      - {{url: \"http://{}\", name: near, zone: a}}
      - {{url: \"http://{}\", name: far, zone: b}}
    zones: {{probes: 0%}}
admin: {{address: \"127.0.0.1:0\"}}
threads: 1
",
        near.address, far.address
    ));
    until(|| zone(&running.ask_json(&["zones"]), "b").is_some().then_some(()));
    for _ in 0..20 {
        assert!(get(&running.listener, "/").contains("x-worker: near"));
    }
    running.ask(&["drain", "near", "--yes"]);
    assert!(get(&running.listener, "/").contains("x-worker: far"));
    let why = until(|| {
        let zones = running.ask_json(&["zones"]);
        let home = zone(&zones, "a").filter(|home| home["stage"] == "out")?;
        home["why"].as_str().map(str::to_owned)
    });
    assert!(why.contains("nobody in zone a takes requests"), "{why}");
    assert!(running.ask(&["decisions"]).contains("nobody in zone a takes requests"));
    assert!(running.ask(&["zones"]).contains("b 100 %"));
    let admin = running.admin.trim_start_matches("http://").trim_end_matches('/');
    let metrics = get(admin, "/metrics");
    assert!(metrics.contains("ambidex_zone_requests_total{pool=\"api\",zone=\"a\",to=\"a\"} 20"), "{metrics}");
}
