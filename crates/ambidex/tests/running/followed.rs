//! What a coordinator is told of the gateways that follow it.

use std::fs;

use ambidex_lab::worker::{self, WorkerOptions};
use tempfile::TempDir;

use super::process::{Running, get, until};
use super::worker as of;

/// Nobody listens where the second worker should be: the gateway's breaker opens, which no coordinator can see by itself.
#[test]
fn a_breaker_that_opens_at_a_gateway_is_seen_at_the_coordinator_until_the_gateway_leaves() {
    let well = worker::start(WorkerOptions { name: "well".into(), ..WorkerOptions::default() }).expect("it listens");
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("coordinator.yaml");
    let config = format!(
        "pools: {{api: {{balance: round-robin, workers: [{{url: \"http://{}\", name: well}}, {{url: \"http://127.0.0.1:9\", name: dead}}], \
         weights: {{tick: 200ms}}}}}}\ngateways: {{address: \"127.0.0.1:0\"}}\nadmin: {{address: \"127.0.0.1:0\"}}\n",
        well.address
    );
    fs::write(&file, config).expect("written");
    let coordinator = Running::start(folder, &["coordinator", file.to_str().expect("UTF-8")]);
    let gateway = Running::run(&format!(
        "listeners: [{{address: \"127.0.0.1:0\"}}]\npools: {{api: {{}}}}\nadmin: {{address: \"127.0.0.1:0\"}}\nthreads: 1\n\
         coordinator: {{url: \"{}\", token_file: {}}}\n",
        coordinator.gateways,
        coordinator.folder.path().join("data/gateways-token").display()
    ));
    let kept_out = || of(&coordinator.ask_json(&["workers"]), "dead")["kept_out"].clone();
    let open = until(|| {
        get(&gateway.listener, "/");
        Some(kept_out()).filter(|kept_out| kept_out["open"] == 1)
    });
    let name = open["gateways"][0].as_str().expect("a name");
    assert!(name.ends_with(&format!(":{}", gateway.id())), "{name}");
    let admin = coordinator.admin.trim_start_matches("http://").trim_end_matches('/').to_owned();
    assert!(get(&admin, "/").contains("has breakers of 1 gateway that keep all requests from it"));
    let metrics = get(&admin, "/metrics");
    assert!(metrics.contains("ambidex_worker_breakers_elsewhere{pool=\"api\",worker=\"dead\"} 1"), "{metrics}");
    drop(gateway);
    until(|| (kept_out()["open"] == 0).then_some(()));
}
