//! Keyspaces of running processes: their maps, what may be ordered, what is refused, and what outlives a process.

mod process;

use std::fs;

use process::{Running, get, until};
use serde_json::Value;
use tempfile::TempDir;

/// Two workers that nobody has to answer for; free ports.
const COORDINATOR: &str = "\
pools: {carts: {workers: [{url: \"http://127.0.0.1:9\", name: a}, {url: \"http://127.0.0.1:10\", name: b}]}}
keyspaces: {carts: {pool: carts, slices: 4}}
admin: {address: \"127.0.0.1:0\"}
";

const GATEWAY: &str = "\
listeners: [{address: \"127.0.0.1:0\"}]
pools: {carts: {workers: [{url: \"http://127.0.0.1:9\", name: a}, {url: \"http://127.0.0.1:10\", name: b}]}}
keyspaces: {carts: {pool: carts, slices: 4, key: {header: Cart-Id}}}
routes: [{match: {path_prefix: /}, keyspace: carts}]
admin: {address: \"127.0.0.1:0\"}
";

fn coordinator(config: &str) -> Running {
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("gw.yaml");
    fs::write(&file, config).expect("written");
    Running::start(folder, &["coordinator", file.to_str().expect("UTF-8")])
}

/// How the keyspace stands, once its map is made and led.
fn led(running: &Running) -> Value {
    until(|| {
        let status = running.ask_json(&["shard", "status", "--slices"])["keyspaces"][0].clone();
        (status["leads"] == true && status["slices"].as_u64() > Some(0)).then_some(status)
    })
}

fn refused(running: &Running, arguments: &[&str]) -> String {
    let output = running.asked(arguments);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_coordinator_makes_a_map_takes_orders_and_knows_all_of_it_after_it_was_killed() {
    let mut running = coordinator(COORDINATOR);
    let first = led(&running);
    assert_eq!(first["slices"], 4);
    let slice = first["table"]["slices"][0]["id"].as_str().expect("a number").to_owned();
    running.ask(&["shard", "split", &slice, "--yes"]);
    running.ask(&["shard", "presplit", "8", "--yes"]);
    running.ask(&["shard", "isolate", "celebrity", "--yes"]);
    let told = running.ask(&["shard", "explain", "--key", "celebrity"]);
    assert!(told.contains("owns it in epoch"), "{told}");
    let before = led(&running);
    assert_eq!(before["slices"], 10);
    running.signal("KILL");
    running.end();
    let folder = std::mem::replace(&mut running.folder, TempDir::new().expect("a folder"));
    let file = folder.path().join("gw.yaml");
    let again = Running::start(folder, &["coordinator", file.to_str().expect("UTF-8")]);
    let after = led(&again);
    assert_eq!((&after["map_id"], &after["table"]["slices"]), (&before["map_id"], &before["table"]["slices"]));
    assert!(after["term"].as_u64() > before["term"].as_u64());
}

#[test]
fn what_is_ordered_wrongly_is_refused_with_what_would_be_right() {
    let running = coordinator(COORDINATOR);
    let slice = led(&running)["table"]["slices"][0]["id"].as_str().expect("a number").to_owned();
    for (arguments, says) in [
        (vec!["shard", "move", &slice, "--to", "c", "--yes"], "`c` is no worker that this map knows; it knows a, b"),
        (vec!["shard", "move", &slice, "--to", "a", "--yes"], "`a` owns that slice already"),
        (vec!["shard", "move", "last", "--to", "a", "--yes"], "hexadecimal digits"),
        (vec!["shard", "split", "ffff", "--yes"], "there is no slice 000000000000ffff"),
        (vec!["shard", "merge", &slice, &slice, "--yes"], "do not lie side by side"),
        (vec!["shard", "abort", "1", "--yes"], "there is no move 0000000000000001"),
        (vec!["shard", "presplit", "3", "--yes"], "there are 4 slices already"),
        (vec!["shard", "presplit", "3", "--keyspace", "cats", "--yes"], "there is no keyspace `cats` here: carts"),
    ] {
        let said = refused(&running, &arguments);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

#[test]
fn a_table_is_waited_for_and_a_move_that_is_not_there_is_said_to_be_none() {
    let running = coordinator(COORDINATOR);
    let table = led(&running)["table"].clone();
    let revision = table["revision"].as_u64().expect("a number");
    let admin = running.admin.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let waiting = {
        let admin = admin.clone();
        std::thread::spawn(move || get(&admin, &format!("/api/v1/keyspaces/carts/slices?after={revision}&wait=55s")))
    };
    running.ask(&["shard", "presplit", "5", "--yes"]);
    let answer = waiting.join().expect("it answers");
    let later: Value = serde_json::from_str(answer.split_once("\r\n\r\n").expect("a body").1).expect("JSON");
    assert!(later["revision"].as_u64() > Some(revision), "{answer}");
    assert_eq!(later["slices"].as_array().map(Vec::len), Some(5));
    let answer = get(&admin, "/api/v1/keyspaces/carts/moves/0000000000000001");
    assert!(answer.contains("\"record\":null"), "{answer}");
}

#[test]
fn a_worker_that_answers_nothing_is_named_in_the_status_and_its_move_is_aborted_by_order() {
    let running = coordinator(COORDINATOR);
    let status = led(&running);
    let row = &status["table"]["slices"][0];
    let slice = row["id"].as_str().expect("a number").to_owned();
    let owner = &status["table"]["workers"][row["owner"].to_string()]["name"];
    let other = if owner == "a" { "b" } else { "a" };
    running.ask(&["shard", "move", &slice, "--to", other, "--yes"]);
    let under_way = until(|| {
        let status = led(&running);
        status["moves"][0]["fault"].as_str().is_some().then(|| status["moves"][0].clone())
    });
    assert!(under_way["fault"].as_str().expect("a text").contains("no connection"), "{under_way}");
    let id = under_way["move"].as_str().expect("a number");
    running.ask(&["shard", "abort", id, "--yes"]);
    until(|| (led(&running)["moves"][0]["phase"] == "aborted").then_some(()));
}

#[test]
fn an_owner_that_left_without_a_drain_is_told_in_words_and_counted() {
    let running = coordinator(COORDINATOR);
    led(&running);
    let alone = COORDINATOR.replace(", {url: \"http://127.0.0.1:10\", name: b}", "");
    fs::write(running.file(), alone).expect("written");
    running.signal("HUP");
    let admin = running.admin.trim_start_matches("http://").trim_end_matches('/');
    let counted = "ambidex_shard_undone{keyspace=\"carts\",code=\"owner_gone\"} 1";
    until(|| get(admin, "/metrics").contains(counted).then_some(()));
    let told = running.ask(&["shard", "status"]);
    assert!(told.contains("`b` owns 2 slices and is not in its pool any more"), "{told}");
}

#[test]
fn a_gateway_with_its_own_coordinator_makes_the_map_too() {
    let running = Running::run(GATEWAY);
    let status = led(&running);
    let names: Vec<&str> =
        status["workers"].as_array().expect("a list").iter().filter_map(|worker| worker["name"].as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    fs::write(running.file(), GATEWAY.replace("slices: 4", "slices: 5")).expect("written");
    let said = refused(&running, &["config", "reload", "--yes"]);
    assert!(said.contains("`keyspaces` cannot change while the process runs"), "{said}");
}
