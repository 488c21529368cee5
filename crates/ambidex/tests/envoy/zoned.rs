//! An Envoy whose requests come from one zone: they go where the coordinator's zones send them, and are counted there.

use std::fs;
use std::net::TcpListener;

use ambidex_core::time::Span;
use ambidex_lab::load::{LoadOptions, start};
use ambidex_lab::poll;
use serde_json::Value;
use tempfile::TempDir;

use crate::coordinated::bootstrap;
use crate::peer::{Envoy, PATIENCE};
use crate::process::Running;
use crate::served::workers;

#[test]
fn requests_stay_in_the_envoys_zone_and_all_leave_it_when_nobody_is_left_there() {
    let workers = workers(2);
    let [near, far] = [0, 1].map(|at: usize| workers[at].address.port());
    let xds = TcpListener::bind("127.0.0.2:0").and_then(|free| free.local_addr()).expect("a port");
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("coordinator.yaml");
    let text = format!(
        "pools:
  api:
    workers:
      - {{url: \"http://127.0.0.1:{near}\", name: near, zone: a, limit: 8}}
      - {{url: \"http://127.0.0.1:{far}\", name: far, zone: b, limit: 8}}
    weights: {{tick: 100ms}}
    zones: {{probes: 0%}}
publish:
  mesh:
    envoy: {{listen: \"{xds}\", pick: round-robin, load_reports: 200ms, zone: a}}
admin: {{address: \"127.0.0.1:0\"}}
"
    );
    fs::write(&file, text).expect("written");
    let arguments = ["coordinator", file.to_str().expect("UTF-8")];
    // In the folder of its file, where the token for orders is, too.
    let coordinator = Running::start(folder, &arguments);
    let envoy = Envoy::with(&bootstrap(&file, &[]));
    let rank = |envoy: &Envoy, port: u16| envoy.priorities("api").get(&port).copied();
    envoy.until("the other zone is asked last", |envoy| (rank(envoy, near), rank(envoy, far)) == (Some(0), Some(1)));
    let (rate, warm_up, duration) = (100.0, Span::ZERO, Span::from_secs(600));
    let load = start(LoadOptions { target: envoy.listener(), rate, warm_up, duration, ..LoadOptions::default() });
    let load = load.expect("load");
    let home = || -> Value {
        let said = coordinator.ask_json(&["zones"]);
        let zones = said.pointer("/pools/0/zones").and_then(Value::as_array).cloned().unwrap_or_default();
        zones.into_iter().find(|zone| zone["name"] == "a").unwrap_or_default()
    };
    let comes = |zone: &Value| zone["demand"].as_f64().is_some_and(|demand| demand > 50.0);
    assert!(poll(PATIENCE, || comes(&home())), "its requests are not counted: {}", home());
    coordinator.ask(&["drain", "near", "--yes"]);
    envoy.until("all go to the other zone", |envoy| rank(envoy, far) == Some(0));
    assert!(poll(PATIENCE, || home()["stage"] == "out"), "{}", home());
    coordinator.ask(&["undrain", "near", "--yes"]);
    envoy.until("they come back", |envoy| (rank(envoy, near), rank(envoy, far)) == (Some(0), Some(1)));
    let outcome = load.stop();
    assert_eq!(outcome.failures.total(), 0, "{outcome:?}");
}
