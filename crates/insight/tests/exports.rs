//! What is exported for a Prometheus and for Grafana: checked by Prometheus' own `promtool`, and run by it over series.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::Command;

use ambidex_insight::analysis::planning::{Binding, Load};
use ambidex_insight::doctor::{Diagnosis, Options, diagnose};
use ambidex_insight::export::desired::{self, Desired, Withheld};
use ambidex_insight::export::{grafana, rules};
use ambidex_insight::history::At;
use ambidex_insight::sources::csv;
use ambidex_insight::sources::prometheus::{Exported, exported, names};
use tempfile::TempDir;

fn all() -> Vec<Exported> {
    let names: Vec<String> = names().into_iter().map(str::to_owned).collect();
    exported(&names, "").expect("all sets are there")
}

/// Runs `promtool` in a folder; what it said, and whether it was content.
fn promtool(folder: &TempDir, arguments: &[&str]) -> (String, bool) {
    let output =
        Command::new("promtool").args(arguments).current_dir(folder.path()).output().expect("promtool is installed");
    (String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(), output.status.success())
}

#[test]
fn promtool_takes_the_rules_of_every_set() {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("rules.yml"), rules::yaml(&all())).expect("written");
    let (said, content) = promtool(&folder, &["check", "rules", "rules.yml"]);
    assert!(content, "{said}");
    let narrowed = exported(&["node".to_owned()], r#"job="node",zone="a""#).expect("a set");
    fs::write(folder.path().join("narrowed.yml"), rules::yaml(&narrowed)).expect("written");
    let (said, content) = promtool(&folder, &["check", "rules", "narrowed.yml"]);
    assert!(content, "{said}");
}

#[test]
fn a_node_with_twice_its_part_is_alerted_and_even_nodes_are_not() {
    let folder = TempDir::new().expect("a folder");
    let ambidex = exported(&["ambidex".to_owned()], "").expect("a set");
    fs::write(folder.path().join("rules.yml"), rules::yaml(&ambidex)).expect("written");
    let series = |pool: &str, worker: &str, value: u32| {
        format!(
            "      - series: 'ambidex_worker_in_flight{{job=\"gateway\",pool=\"{pool}\",worker=\"{worker}\"}}'\n        values: '{value}x400'\n"
        )
    };
    let hot: String = (0..10).map(|at| series("hot", &format!("w{at}"), if at == 3 { 30 } else { 10 })).collect();
    let even: String = (0..10).map(|at| series("even", &format!("w{at}"), 10)).collect();
    let labels = "job: gateway, pool: hot, set: ambidex";
    let test = format!(
        "rule_files: [rules.yml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n{hot}{even}\
         \x20   alert_rule_test:\n      - eval_time: 6h\n        alertname: AmbidexNodeStandsOut\n        exp_alerts:\n\
         \x20         - exp_labels: {{severity: warning, worker: w3, {labels}}}\n\
         \x20           exp_annotations: {{summary: 'w3 has 2.50 times its part of ambidex:in_flight for hours', \
         description: 'Why: ambidex diagnose --prom URL'}}\n\
         \x20         - exp_labels: {{severity: critical, worker: w3, {labels}}}\n\
         \x20           exp_annotations: {{summary: 'w3 has 2.50 times its part of ambidex:in_flight for hours', \
         description: 'Why: ambidex diagnose --prom URL'}}\n\
         \x20     - eval_time: 10m\n        alertname: AmbidexNodeStandsOut\n        exp_alerts: []\n"
    );
    fs::write(folder.path().join("test.yml"), test).expect("written");
    let (said, content) = promtool(&folder, &["test", "rules", "test.yml"]);
    assert!(content, "{said}");
}

#[test]
fn the_dashboard_asks_for_what_the_rules_record() {
    let (sets, rules) = (all(), rules::yaml(&all()));
    let dashboard = grafana::dashboard(&sets);
    let panels = dashboard["panels"].as_array().expect("panels");
    let asked: Vec<&str> = panels.iter().filter_map(|panel| panel.pointer("/targets/0/expr")?.as_str()).collect();
    assert!(asked.len() > 20, "{asked:?}");
    for query in asked {
        let (name, _) = query.split_once('{').expect("a selector");
        assert!(rules.contains(&format!("record: {name}\n")), "nobody records {name}");
    }
    let mut ids: Vec<u64> = panels.iter().filter_map(|panel| panel["id"].as_u64()).collect();
    let many = ids.len();
    ids.dedup();
    assert_eq!((many, ids.len()), (panels.len(), panels.len()));
    let wide = panels
        .iter()
        .map(|panel| panel["gridPos"]["x"].as_u64().unwrap_or(99) + panel["gridPos"]["w"].as_u64().unwrap_or(99));
    assert!(wide.max() <= Some(24));
}

#[test]
fn a_set_that_is_none_is_told() {
    let wrong = exported(&["nodes".to_owned()], "").map(|_| ()).expect_err("there is none").to_string();
    assert!(wrong.contains("`nodes`") && wrong.contains("kubernetes"), "{wrong}");
    assert!(exported(&["node".to_owned()], "job=node").is_err());
}

/// Four hours of five nodes, of which one is used twice as much.
fn uneven() -> Diagnosis {
    let mut table = String::from("time,node,service,cpu,requests\n");
    for minute in 0..240 {
        for node in ["a", "b", "c", "d", "e"] {
            let cpu = if node == "b" { 0.6 } else { 0.3 };
            let _ = writeln!(table, "{},{node},api \"1\",{cpu},{}", minute * 60, cpu * 100.0);
        }
    }
    let history = csv::read_from("t.csv", table.as_bytes(), &Default::default(), &mut |_| {}).expect("a table");
    diagnose(&history, &Options::default())
}

#[test]
fn desired_nodes_are_a_page_that_promtool_takes() {
    let folder = TempDir::new().expect("a folder");
    let page = desired::page(At(1_795_341_600_000), &uneven());
    fs::write(folder.path().join("page"), &page).expect("written");
    let output = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(File::open(folder.path().join("page")).expect("it is there"))
        .output()
        .expect("promtool is installed");
    assert!(output.status.success(), "{}{page}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()));
    // Five nodes carry 1.8 of 5, the hottest 1.67 times a fair part: 1.8 x 1.67 / 0.8 is 3.75.
    assert!(page.lines().any(|line| line.starts_with("ambidex_desired_nodes{") && line.ends_with(" 4")), "{page}");
    assert!(
        page.lines().any(|line| line.starts_with("ambidex_desired_nodes_balanced{") && line.ends_with(" 3")),
        "{page}"
    );
}

#[test]
fn a_number_of_nodes_is_withheld_where_it_would_be_wrong_to_go_by_it() {
    let sound = uneven();
    assert_eq!(Desired::of(&sound, &sound.groups[0]), Desired::Nodes(4));
    let mut bound = sound.clone();
    let load = Load { load: 1.8, capacity: 1.0, theta: 0.8, nodes: 5 };
    bound.groups[0].plan.as_mut().expect("a utilization").binding =
        Some(("tenant 7".into(), Binding::of(0.5, load).expect("it binds")));
    let (mut partial, mut unknown, mut alone) = (sound.clone(), sound.clone(), sound);
    partial.partial = true;
    unknown.groups[0].plan = None;
    alone.groups[0].insufficient = Some("a node alone".into());
    for (diagnosis, why) in [
        (bound, Withheld::PartitionBinds),
        (partial, Withheld::Partial),
        (unknown, Withheld::NoUtilization),
        (alone, Withheld::NotJudged),
    ] {
        assert_eq!(Desired::of(&diagnosis, &diagnosis.groups[0]), Desired::Withheld(why));
        let page = desired::page(At(0), &diagnosis);
        assert!(!page.contains("ambidex_desired_nodes{") && page.contains(why.word()), "{page}");
    }
    assert!(!desired::failed().contains("ambidex_desired_nodes"));
}
