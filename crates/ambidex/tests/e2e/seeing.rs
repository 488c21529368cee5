//! What an operator sees of a running gateway: commands, metrics, the dashboard, the demo.

use std::process::Command;

use ambidex_lab::Span;
use ambidex_lab::load::{self, LoadOptions};
use ambidex_lab::worker::{self, ReportStyle, Worker, WorkerOptions};

use crate::gateway::{BINARY, Gateway, printed, upstreams_of};

fn unlike() -> Vec<Worker> {
    let fleet = [("brisk", 1.0), ("weary", 8.0)].map(|(name, slowdown)| WorkerOptions {
        name: name.into(),
        slowdown,
        report: ReportStyle::ServerLoad,
        ..WorkerOptions::default()
    });
    worker::start_all(fleet.into()).expect("workers")
}

fn loaded(gateway: &Gateway) {
    let outcome =
        load::start(LoadOptions { duration: Span::from_secs(5), ..LoadOptions::beside(gateway.address, 200.0) })
            .expect("load")
            .finish();
    assert_eq!(outcome.failures.total(), 0, "{outcome}");
}

#[test]
fn the_loop_shows_and_explains_what_it_learned() {
    let workers = unlike();
    let gateway = Gateway::start(&upstreams_of(&workers));
    loaded(&gateway);
    let metrics = gateway.admin("/metrics");
    assert!(metrics.contains("brisk") && metrics.contains("weary"), "{metrics}");
    let decisions = gateway.ask(&["decisions", "--output", "json"]);
    let text = String::from_utf8_lossy(&decisions.stdout);
    assert!(
        decisions.status.success() && text.contains("weary"),
        "{text}{}",
        String::from_utf8_lossy(&decisions.stderr)
    );
    let explained = gateway.ask(&["explain", "weight", "weary"]);
    let text = String::from_utf8_lossy(&explained.stdout);
    assert!(
        explained.status.success() && text.contains("weary"),
        "{text}{}",
        String::from_utf8_lossy(&explained.stderr)
    );
}

#[test]
fn the_dashboard_names_the_workers_without_a_script() {
    let workers = unlike();
    let gateway = Gateway::start(&upstreams_of(&workers));
    let page = printed("curl", &["-sS", &format!("http://{}/", gateway.admin)]);
    assert!(page.contains("<table") && page.contains("brisk") && page.contains("weary"), "{page}");
}

#[test]
fn the_demo_ends_by_itself_with_its_table() {
    let dir = tempfile::tempdir().expect("a folder");
    let output = Command::new(BINARY)
        .args(["demo", "--for", "10s", "--admin", "127.0.0.1:0"])
        .env("AMBIDEX_DATA", dir.path())
        .output()
        .expect("the binary runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    for word in ["round robin", "p50", "p99"] {
        assert!(text.contains(word), "no {word}: {text}");
    }
}
