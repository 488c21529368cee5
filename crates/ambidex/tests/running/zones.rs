//! Zones of a running gateway: who is asked, and what is said of it.

use std::fs;

use ambidex_lab::worker::{self, WorkerOptions};
use serde_json::Value;
use tempfile::TempDir;

use super::process::{Running, get, until};
use places::{Place, database};

#[path = "../../../gateway/src/atlas/sample.rs"]
mod places;

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

/// Two gateways at two places follow one coordinator, which knows who can carry what, and not where requests come from.
#[test]
fn gateways_that_follow_serve_requests_where_they_came_from_and_tell_their_coordinator() {
    let start = |name: &str| worker::start(WorkerOptions { name: name.into(), ..WorkerOptions::default() });
    let (east, west) = (start("east").expect("it listens"), start("west").expect("it listens"));
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("coordinator.yaml");
    let config = format!(
        "pools:
  api:
    workers:
      - {{url: \"http://{}\", name: east, zone: e}}
      - {{url: \"http://{}\", name: west, zone: w}}
    zones: {{probes: 0%}}
    weights: {{tick: 200ms}}
gateways: {{address: \"127.0.0.1:0\"}}
admin: {{address: \"127.0.0.1:0\"}}
",
        east.address, west.address
    );
    fs::write(&file, config).expect("written");
    let coordinator = Running::start(folder, &["coordinator", file.to_str().expect("UTF-8")]);
    let gateway = |own: &str| {
        Running::run(&format!(
            "listeners: [{{address: \"127.0.0.1:0\"}}]
pools: {{api: {{}}}}
zones: {{own: {own}}}
coordinator: {{url: \"{}\", token_file: {}}}
admin: {{address: \"127.0.0.1:0\"}}
threads: 1
",
            coordinator.gateways,
            coordinator.folder.path().join("data/gateways-token").display()
        ))
    };
    let gateways = [(gateway("e"), "east", "west"), (gateway("w"), "west", "east")];
    for (running, near, far) in &gateways {
        until(|| zone(&running.ask_json(&["zones"]), "w").is_some().then_some(()));
        for _ in 0..20 {
            let answer = get(&running.listener, "/");
            assert!(answer.contains(&format!("x-worker: {near}")) && !answer.contains(far), "{answer}");
        }
    }
    let counted = |home: &str| {
        let zones = coordinator.ask_json(&["zones"]);
        zone(&zones, home)?["to"].as_array()?.iter().map(|flow| flow["requests"].as_u64()).sum::<Option<u64>>()
    };
    for home in ["e", "w"] {
        until(|| counted(home).filter(|counted| *counted == 20));
    }
    coordinator.ask(&["drain", "east", "--yes"]);
    let (running, ..) = &gateways[0];
    until(|| get(&running.listener, "/").contains("x-worker: west").then_some(()));
    until(|| zone(&coordinator.ask_json(&["zones"]), "e").filter(|zone| zone["stage"] == "out").map(drop));
    assert!(running.ask(&["zones"]).contains("w 100 %") || running.ask(&["zones"]).contains("spilling"));
}

/// A place's database is brought anew while requests are served, then a broken one.
#[test]
fn requests_go_by_their_clients_place_as_the_newest_sound_database_says_it() {
    let start = |name: &str| worker::start(WorkerOptions { name: name.into(), ..WorkerOptions::default() });
    let (near, far) = (start("near").expect("it listens"), start("far").expect("it listens"));
    let folder = TempDir::new().expect("a folder");
    let of = |continent, country| {
        database("GeoLite2-Country", &[Place { network: "127.0.0.0/8", continent, country, parts: &[] }])
    };
    let bring = |bytes: &[u8]| {
        fs::write(folder.path().join("new"), bytes).expect("written");
        fs::rename(folder.path().join("new"), folder.path().join("places.mmdb")).expect("in its place");
    };
    bring(&of("EU", "FR"));
    let running = Running::run(&format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]
zones: {{own: b, maxmind: {{file: {}/places.mmdb, countries: {{FR: a}}, continents: {{NA: b}}}}}}
pools:
  api:
    workers:
      - {{url: \"http://{}\", name: near, zone: a}}
      - {{url: \"http://{}\", name: far, zone: b}}
    zones: {{probes: 0%}}
admin: {{address: \"127.0.0.1:0\"}}
threads: 1
",
        folder.path().display(),
        near.address,
        far.address
    ));
    let served = |name: &str| get(&running.listener, "/").contains(&format!("x-worker: {name}")).then_some(());
    let failing = |wanted: &str| {
        let admin = running.admin.trim_start_matches("http://").trim_end_matches('/');
        get(admin, "/metrics").contains(&format!("ambidex_gateway_places_failing {wanted}")).then_some(())
    };
    until(|| zone(&running.ask_json(&["zones"]), "b").is_some().then_some(()));
    assert!(served("near").is_some() && failing("0").is_some());
    bring(&of("NA", "US"));
    until(|| served("far"));
    bring(b"half of a file");
    until(|| failing("1"));
    assert!(served("far").is_some(), "the last good one stays");
    until(|| running.log().contains("is no sound MaxMind database").then_some(()));
    bring(&of("EU", "FR"));
    until(|| served("near"));
    until(|| failing("0"));
}
