//! Labelled runs: what clients see is what was arranged, and the evidence is what an operator would have.

use std::fs;

use ambidex_lab::labelled::{Case, Evidence, Ill, Label, run};

/// Of a fleet of four in which one node has twice its part.
fn label(ill: Option<Ill>, number: usize, folder: &std::path::Path) -> Label {
    let severity = if ill.is_some() { 2.0 } else { 1.0 };
    let case = Case { number, ill, severity, nodes: 4, seed: 1 };
    run(&case, folder, 5).unwrap_or_else(|error| panic!("{ill:?}: {error}"))
}

#[test]
fn what_nginx_logs_holds_what_is_wrong() {
    let folder = tempfile::TempDir::new().expect("a folder");
    for (number, ill) in
        [Ill::HotKey, Ill::OneClient, Ill::BiasedPartitioner, Ill::StickySessions].into_iter().enumerate()
    {
        let label = label(Some(ill), number, folder.path());
        assert!((1.4..2.6).contains(&label.seen), "{label:?}");
        let Evidence::AccessLog(path) = &label.evidence else { panic!("{label:?}") };
        let log = fs::read_to_string(path).expect("a log");
        let of_it =
            log.lines().filter(|line| line.contains(&format!("\"upstream_addr\":\"{}\"", label.nodes[0]))).count();
        assert!(of_it * 3 > log.lines().count() && label.requests > 100, "{of_it} of {}", log.lines().count());
    }
}

#[test]
fn slow_nodes_and_bound_routes_are_busy() {
    let folder = tempfile::TempDir::new().expect("a folder");
    for (number, ill) in [Ill::Hardware, Ill::RouteAffinity, Ill::GarbageCollection].into_iter().enumerate() {
        let label = label(Some(ill), number, folder.path());
        // A machine that is late makes all of them slow alike.
        assert!((1.1..4.0).contains(&label.seen), "{label:?}");
    }
}

#[test]
fn what_clients_count_is_a_table() {
    let folder = tempfile::TempDir::new().expect("a folder");
    for (number, ill) in [Ill::Weights, Ill::ConnectionSkew].into_iter().enumerate() {
        let label = label(Some(ill), number, folder.path());
        assert!((1.4..2.6).contains(&label.seen), "{label:?}");
        let Evidence::Csv(path) = &label.evidence else { panic!("{label:?}") };
        let table = fs::read_to_string(path).expect("a table");
        assert_eq!(table.lines().count(), 1 + 4 * 5, "{table}");
        assert!(table.lines().any(|row| row.split(',').nth(1) == Some(&label.nodes[0])), "{table}");
    }
}

#[test]
fn a_healthy_fleet_is_even() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let label = label(None, 0, folder.path());
    assert!(label.nodes.is_empty() && label.seen < 1.4, "{label:?}");
}
