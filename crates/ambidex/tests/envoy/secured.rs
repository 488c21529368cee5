//! Both sides show certificates, and changed files are taken up.

use std::fs;
use std::net::TcpListener;

use ambidex_lab::poll;
use tempfile::TempDir;

use crate::coordinated::bootstrap;
use crate::peer::{Envoy, PATIENCE};
use crate::process::Running;
use crate::process::authority::Authority;
use crate::served::workers;

#[test]
fn an_envoy_is_heard_once_the_authority_of_its_certificate_is_believed() {
    let folder = TempDir::new().expect("a folder");
    let at = folder.path();
    let [ours, envoys, others] = ["ours", "envoys", "others"].map(Authority::called);
    ours.issue(at, "coordinator", "127.0.0.2");
    ours.write(&at.join("ca.pem"));
    envoys.issue(at, "envoy", "envoy-1");
    others.write(&at.join("envoys.pem"));
    let workers = workers(1);
    let xds = TcpListener::bind("127.0.0.2:0").and_then(|free| free.local_addr()).expect("a port");
    let file = at.join("coordinator.yaml");
    let text = format!(
        "pools: {{api: {{workers: [\"http://{}\"]}}}}\nadmin: {{address: \"127.0.0.1:0\"}}\npublish:\n  mesh:\n    envoy:\n      \
         listen: \"{xds}\"\n      tls: {{certificates: [{{cert: coordinator.pem, key: coordinator.key}}], client_ca: envoys.pem}}\n",
        workers[0].address
    );
    fs::write(&file, text).expect("written");
    let running = Running::start(TempDir::new().expect("a folder"), &["coordinator", file.to_str().expect("UTF-8")]);
    let path = |name: &str| at.join(name).display().to_string();
    let [ca, cert, key] = ["ca.pem", "envoy.pem", "envoy.key"].map(path);
    let envoy = Envoy::begun(&bootstrap(&file, &["--ca", &ca, "--cert", &cert, "--key", &key]));
    let fault = || running.ask_json(&["publishers"])["publishers"][0]["fault"].as_str().map(str::to_owned);
    let refused = || fault().is_some_and(|why| why.contains("of no authority of `tls.client_ca`"));
    assert!(poll(PATIENCE, refused), "{:?}: {}", fault(), running.log());
    assert!(running.log().contains("a TLS handshake failed"), "{}", running.log());
    envoys.write(&at.join("envoys.pem"));
    envoy.until("it has the pool", |envoy| envoy.weights("api").len() == 1);
    assert!(poll(PATIENCE, || fault().is_none()), "{:?}", fault());
}
