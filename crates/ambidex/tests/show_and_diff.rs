//! `config show`, `diff` and `schema`: what is in use, where it came from, and what differs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

const FILE: &str = "\
listeners:
  - address: 127.0.0.1:8080
pools:
  api:
    workers: [http://127.0.0.1:9000, {url: http://127.0.0.1:9001, name: b, weight: 2}]
    weights: tail-latency
routes:
  - pool: api
journal: {max_age: 90m}
";

fn ambidex(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ambidex")).args(arguments).output().expect("the binary runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn file(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, text).expect("written");
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn line<'t>(shown: &'t str, start: &str) -> &'t str {
    shown.lines().find(|line| line.trim_start().starts_with(start)).unwrap_or_else(|| panic!("{start} in\n{shown}"))
}

#[test]
fn every_value_says_where_it_came_from() {
    let folder = TempDir::new().expect("a folder");
    let path = file(&folder, "gw.yaml", FILE);
    let shown = ambidex(&["config", "show", text(&path), "--effective"]);
    assert!(line(&shown, "- address:").ends_with("gw.yaml:2"), "{shown}");
    assert!(line(&shown, "max_age: 90m").ends_with("gw.yaml:9"), "{shown}");
    assert!(line(&shown, "policy: tail-latency").ends_with("gw.yaml:6"), "{shown}");
    assert!(line(&shown, "tick: 1s").contains("# default; source: R-W9"), "{shown}");
}

#[test]
fn what_is_shown_reads_back_as_the_same_configuration() {
    let folder = TempDir::new().expect("a folder");
    let path = file(&folder, "gw.yaml", FILE);
    let shown = file(&folder, "shown.yaml", &ambidex(&["config", "show", text(&path), "--effective"]));
    assert_eq!(ambidex(&["config", "diff", text(&path), text(&shown)]), "no difference\n");
}

#[test]
fn a_difference_names_the_value_and_not_the_line() {
    let folder = TempDir::new().expect("a folder");
    let old = file(&folder, "old.yaml", FILE);
    let new = file(
        &folder,
        "new.yaml",
        &FILE.replace("[http", "[http://127.0.0.1:8999, http").replace("weight: 2", "weight: 3"),
    );
    let said = ambidex(&["config", "diff", text(&old), text(&new)]);
    assert_eq!(
        said,
        "~ pools.api.workers[b].weight: 2.0 -> 3.0\n\
         + pools.api.workers[http://127.0.0.1:8999]: \"http://127.0.0.1:8999\"\n"
    );
}

#[test]
fn every_key_is_described() {
    let said: Value = serde_json::from_str(&ambidex(&["config", "defaults"])).expect("JSON");
    let keys = said["keys"].as_array().expect("a list");
    let bare: Vec<&str> = keys
        .iter()
        .filter(|key| {
            key["about"].as_str().is_none_or(str::is_empty) || key["takes"].as_str().is_none_or(str::is_empty)
        })
        .filter_map(|key| key["path"].as_str())
        .collect();
    assert!(keys.len() > 30 && bare.is_empty(), "without words: {bare:?}");
}

#[test]
fn every_output_for_programs_has_a_schema_version() {
    let folder = TempDir::new().expect("a folder");
    let path = file(&folder, "gw.yaml", FILE);
    for arguments in [
        vec!["check", text(&path)],
        vec!["config", "show", text(&path)],
        vec!["config", "show", text(&path), "--effective"],
        vec!["config", "diff", text(&path), text(&path)],
        vec!["config", "defaults"],
    ] {
        let said: Value =
            serde_json::from_str(&ambidex(&[&arguments[..], &["--output", "json"]].concat())).expect("JSON");
        assert_eq!(said["schema_version"], 1, "{arguments:?}");
    }
}
