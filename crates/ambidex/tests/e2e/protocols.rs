//! gRPC and WebSocket through the gateway, between servers and clients of other people's making.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use ambidex_lab::peer::{Process, Upstream};
use ambidex_lab::{Span, poll};
use tempfile::TempDir;

use crate::gateway::Gateway;

/// One of the scripts beside this file, with the packages that it needs.
fn python(script: &str, words: &[&str]) -> Command {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let packages: PathBuf = here.join("../../target/peers/python");
    assert!(packages.is_dir(), "no {}: `cargo xtask test` installs it", packages.display());
    let mut command = Command::new("python3");
    command.arg(here.join("tests/e2e/peers").join(script)).args(words).env("PYTHONPATH", packages);
    command
}

/// Starts a script's server.
fn serve(script: &str) -> (Process, Upstream) {
    let process = Process::start(script, python(script, &["serve"]), TempDir::new().expect("a folder"));
    let process = process.expect("python starts");
    let said = poll(Span::from_secs(150), || process.stdout().ends_with('\n'));
    assert!(said, "it never said where it listens:\n{}", process.stderr());
    let port: u16 = process.stdout().trim().parse().expect("a port");
    (process, Upstream { name: "a".into(), address: SocketAddr::from(([127, 0, 0, 1], port)), weight: 1 })
}

/// Runs a script's client against the gateway; what it saw.
fn ask(script: &str, word: &str, gateway: &Gateway) -> Vec<String> {
    let output = python(script, &[word, &gateway.address.to_string()]).output().expect("python runs");
    let (saw, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script} {word}: {saw}{said}{}", gateway.process.stderr());
    saw.lines().map(ToOwned::to_owned).collect()
}

fn by_http_2(text: &str) -> String {
    text.replace("    weights: capacity\n", "    weights: capacity\n    upstream: {protocol: h2}\n")
}

#[test]
fn grpc_of_every_kind_goes_through_with_its_metadata_and_status() {
    let (_server, upstream) = serve("grpc_peer.py");
    let gateway = Gateway::start_with(&[upstream], |text| by_http_2(&text));
    let saw = ask("grpc_peer.py", "ask", &gateway);
    assert_eq!(
        saw,
        [
            "say hello yes yes False",
            "large True",
            "count 5 5000",
            "talk ONE TWO THREE",
            "fail NOT_FOUND no such thing: \u{e4}",
            "nothing UNIMPLEMENTED Method not found!",
            "many 100",
        ]
    );
}

#[test]
fn a_websocket_goes_through_on_a_connection_and_on_a_stream() {
    let (_server, upstream) = serve("websocket_peer.py");
    let gateway = Gateway::start(&[upstream]);
    let saw = ask("websocket_peer.py", "ask", &gateway);
    assert_eq!(saw, ["agreed chat", "echoed True", "echoed True", "ping True", "closed 4000 as you wish"]);
    let saw = ask("websocket_peer.py", "ask-h2", &gateway);
    assert_eq!(saw, ["announced 1", "answered 200 chat", "echoed True"]);
}
