//! `ambidex pilot`: a real cluster is looked at, made even under writes, stopped, repaired, and mistakes are told.
//!
//! Needs redis-server, 7.0 or later.

#[path = "../../pilot/tests/cluster/clients.rs"]
mod clients;
#[path = "../../pilot/tests/cluster/nodes.rs"]
mod nodes;
mod process;

use std::process::{Output, Stdio};

use clients::{Client, Writer, all_filled, fill, tags};
use nodes::{Nodes, until};
use process::ambidex;
use serde_json::Value;
use tempfile::TempDir;

fn asked(words: &[&str]) -> Output {
    let folder = TempDir::new().expect("a folder");
    ambidex(folder.path()).arg("pilot").args(words).stdin(Stdio::null()).output().expect("it runs")
}

fn json(words: &[&str]) -> (Option<i32>, Value, String) {
    let output = asked(&[words, &["--output", "json"]].concat());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default(), told)
}

/// Most keys of a node, of the mean.
fn uneven(plan: &Value) -> f64 {
    let keys = |node: &Value| node["keys"].as_f64().unwrap_or_default();
    let nodes = plan["nodes"].as_array().expect("nodes");
    let sum: f64 = nodes.iter().map(keys).sum();
    nodes.iter().map(keys).fold(0.0, f64::max) / (sum / nodes.len() as f64)
}

#[test]
fn a_cluster_is_made_even_under_writes_and_planning_alone_changes_nothing() {
    let nodes = Nodes::start(3);
    let tags = tags(0..5_461, 60);
    let mut client = Client::new(&nodes, None);
    fill(&mut client, &tags, 100, 100);
    let url = nodes.url();
    let look = ["--by", "keys", "--window", "100ms"];
    let (code, before, told) = json(&[&["plan", &url][..], &look].concat());
    assert_eq!(code, Some(0), "{told}");
    assert!(uneven(&before) > 2.9, "{before:#}");
    assert_eq!(before["nodes"][0]["code"], "out_of_balance");
    assert!(!before["moves"].as_array().expect("moves").is_empty());
    let (_, again, _) = json(&[&["plan", &url][..], &look].concat());
    assert_eq!(uneven(&before).to_bits(), uneven(&again).to_bits());
    // Without consent nothing happens.
    let (code, _, told) = json(&[&["apply", &url][..], &look].concat());
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("add --yes"), "{told}");

    let writer = Writer::start(&nodes, "w", &tags);
    let fast = ["--share", "100%", "--per-minute", "100%", "--yes"];
    let (code, done, told) = json(&[&["apply", &url][..], &look, &fast].concat());
    assert_eq!(code, Some(0), "{told}");
    assert!(done["moved"].as_u64() >= Some(30), "{done:#}");
    let written = writer.stop();
    let (_, after, told) = json(&[&["plan", &url][..], &look].concat());
    assert!(uneven(&after) < 1.11, "{after:#} {told}");
    assert_eq!(after["moves"], serde_json::json!([]));
    assert!(written.acknowledged() > 0);
    written.is_there(&mut client);
    all_filled(&mut client, &tags, 100);
    assert_eq!(json(&["check", &url]).0, Some(0));
}

#[test]
fn a_hot_slot_is_seen_by_listening_and_moved_by_its_load() {
    let nodes = Nodes::start(3);
    let tags = tags(0..5_461, 8);
    let mut client = Client::new(&nodes, None);
    fill(&mut client, &tags, 10, 100);
    // Three tags have all of the work.
    let writers: Vec<Writer> = (0..2).map(|name| Writer::start(&nodes, &format!("w{name}"), &tags[..3])).collect();
    let look = ["--by", "commands", "--load", "monitor", "--window", "3s", "--listen", "1s"];
    let (code, plan, told) = json(&[&["plan", &nodes.url()][..], &look].concat());
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(plan["load"], "monitor");
    let hot: Vec<u64> =
        tags[..3].iter().map(|tag| u64::from(ambidex_core::shard::slot::slot_of(tag.as_bytes()))).collect();
    let moves: Vec<u64> =
        plan["moves"].as_array().expect("moves").iter().filter_map(|shift| shift["slot"].as_u64()).collect();
    assert!(!moves.is_empty() && moves.iter().all(|slot| hot.contains(slot)), "{moves:?} of {hot:?}");
    let told: Vec<_> = writers.into_iter().map(Writer::stop).collect();
    told.iter().for_each(|told| told.is_there(&mut client));
}

#[test]
fn a_killed_move_is_told_by_check_and_repaired_and_a_stopped_one_leaves_nothing_open() {
    let nodes = Nodes::start(3);
    let tags = tags(0..5_461, 2);
    let slots: Vec<String> =
        tags.iter().map(|tag| ambidex_core::shard::slot::slot_of(tag.as_bytes()).to_string()).collect();
    let mut client = Client::new(&nodes, None);
    fill(&mut client, &tags, 4_000, 100);
    let (url, to) = (nodes.url(), format!("127.0.0.1:{}", nodes.all[1].port));
    let writer = Writer::start(&nodes, "w", &tags);
    let folder = TempDir::new().expect("a folder");
    let slow = |slot: &str| {
        let mut command = ambidex(folder.path());
        command
            .args(["pilot", "move", &url, "--slots", slot, "--to", &to, "--share", "0.1%", "--pause", "1ms", "--yes"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs")
    };
    let some_are_there = |slot: &str| {
        until(|| {
            let count = nodes.ask(nodes.all[1].port, &["CLUSTER", "COUNTKEYSINSLOT", slot]);
            (count != redis::Value::Int(0)).then_some(())
        });
    };
    let mut killed = slow(&slots[0]);
    some_are_there(&slots[0]);
    killed.kill().expect("it runs");
    killed.wait().expect("ours");
    let (code, said, _) = json(&["check", &url]);
    assert_eq!((code, said["half_open"][0]["slot"].to_string()), (Some(1), slots[0].clone()), "{said:#}");
    assert_eq!(said["half_open"][0]["remedy"], "finish");
    let (code, done, told) = json(&["repair", &url, "--share", "100%", "--yes"]);
    assert_eq!((code, done["repaired"].as_u64()), (Some(0), Some(1)), "{told}");

    let stopped = slow(&slots[1]);
    some_are_there(&slots[1]);
    let sent = std::process::Command::new("kill").args(["-s", "INT", &stopped.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    let output = stopped.wait_with_output().expect("ours");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("nothing is half open"), "{told}");
    assert_eq!(json(&["check", &url]).0, Some(0));
    let written = writer.stop();
    written.is_there(&mut client);
    all_filled(&mut client, &tags, 4_000);
}

#[test]
fn mistakes_are_told_with_what_would_be_right() {
    for (words, code, told) in [
        (&["plan", "redis://10.0.0.1:6379"][..], 2, "rediss://"),
        (&["plan", "redis://:canary@127.0.0.1:1"], 2, "holds a password"),
        (&["plan", "http://127.0.0.1"], 2, "not the URL"),
        (&["plan", "redis://127.0.0.1:1", "--window", "1ms"], 2, "--window 1ms is outside 100ms to 10m"),
        (&["plan", "redis://127.0.0.1:1", "--by", "keys", "--load", "monitor"], 2, "leave --load out"),
        (&["apply", "redis://127.0.0.1:1", "--share", "0%"], 2, "--share is 0.1% to 100%"),
        (&["move", "redis://127.0.0.1:1", "--slots", "5-4", "--to", "x"], 2, "`5-4` is no slot"),
        (&["check", "redis://127.0.0.1:1"], 1, "127.0.0.1:1 cannot be reached"),
        (&["check", "redis://127.0.0.1:1", "--password-file", "/there/is/none"], 1, "/there/is/none"),
    ] {
        let output = asked(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(told) && !said.contains("canary"), "{words:?}: {said}");
    }
}
