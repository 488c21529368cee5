//! What is read, and what is refused, with its line.

use super::*;
use crate::Share;
use crate::fault::Condition;

const GOOD: &str = "\
scenario: X6
title: One worker of ten becomes ten times slower
duration: 60s
event: 20s
workers:
  - {name: w, count: 10, slots: 4, service: exponential:20ms}
load:
  rate: 70%
  rates: [{at: 30s, rate: 120%}, {at: 40s, rate: 350}]
  classes: [{name: cheap, share: 90%, path: /cheap}, {name: dear, share: 10%, path: /dear, cost: 11}]
faults:
  - {on: [w-3], what: slowdown, to: 10, curve: {step: {at: 20s}}}
route: {hedge: {after: p95, budget: 5%}}
goals: [{metric: p99, against: round-robin, at_most: 0.64}, {metric: shift_90, at_most: 1s}]
";

fn read(text: &str) -> Scenario {
    Scenario::read("x.yaml", text.to_owned()).unwrap_or_else(|findings| panic!("{}", findings.render(false)))
}

fn refused(text: &str) -> String {
    Scenario::read("x.yaml", text.to_owned()).expect_err("wrong").render(false)
}

#[test]
fn a_scenario_says_who_serves_who_asks_and_what_goes_wrong() {
    let scenario = read(GOOD);
    let workers = scenario.workers();
    let troubled: Vec<&str> = workers.iter().filter(|w| !w.faults.is_empty()).map(|w| &*w.name).collect();
    assert_eq!((workers.len(), troubled), (10, vec!["w-3"]));
    let slow = [19, 21].map(|second| Condition::of(&workers[2].faults, Span::from_secs(second)).slowdown.to_string());
    assert_eq!(slow, ["1", "10"]);
}

#[test]
fn rates_are_of_what_the_mix_of_requests_lets_the_workers_carry() {
    // 10 workers of 4 slots, 20 ms at cost 1, and a mean cost of 2.
    let rates: Vec<f64> = read(GOOD).rates().into_iter().map(|(_, rate)| rate.round()).collect();
    assert_eq!(rates, [700.0, 1_200.0, 350.0]);
}

#[test]
fn a_slower_pace_is_the_same_load() {
    let (usual, slowed) = (read(GOOD), read(GOOD).slowed(4));
    let rates = |scenario: &Scenario| -> Vec<f64> { scenario.rates().iter().map(|(_, rate)| *rate).collect() };
    let quarter: Vec<f64> = rates(&usual).iter().map(|rate| rate / 4.0).collect();
    assert_eq!(rates(&slowed), quarter);
    assert_eq!(slowed.workers[0].service.mean, Span::from_millis(80));
    assert_eq!(
        (slowed.event, slowed.duration, slowed.load.slow_over),
        (usual.event, usual.duration, Span::from_secs(2))
    );
}

#[test]
fn workers_of_a_fault_are_told_apart_by_their_place() {
    let text = GOOD.replace("[w-3]", "[w]");
    let scenario = read(&text);
    let places: Vec<Share> = scenario.workers().iter().map(|worker| worker.faults[0].place).collect();
    assert_eq!((places[0], places[5]), (Share::NONE, Share::percent(50)));
}

#[test]
fn a_scenario_reads_back_as_it_was_written() {
    let scenario = read(GOOD);
    let text = serde_json::to_string(&scenario).expect("JSON, which is YAML");
    assert_eq!(read(&text), scenario);
}

#[test]
fn every_mistake_is_named_with_its_line_and_what_would_be_right() {
    let text = GOOD
        .replace("slots: 4", "slots: 0")
        .replace("rate: 70%", "rate: -3")
        .replace("[w-3]", "[v-3]")
        .replace("event: 20s", "evnt: 20s");
    let told = refused(&text);
    for wanted in
        ["x.yaml:4:1: error: unknown key `evnt`", "did you mean `event`?", "x.yaml:8:9: error: `-3` is not a rate"]
    {
        assert!(told.contains(wanted), "{wanted}\n{told}");
    }
    let told = refused(&text.replace("rate: -3", "rate: 3").replace("evnt", "event"));
    for wanted in ["x.yaml:6:33: error: slots is 0", "write 1 to 100000", "unknown worker `v-3`", "did you mean `w-3`?"]
    {
        assert!(told.contains(wanted), "{wanted}\n{told}");
    }
}

#[test]
fn what_does_not_fit_together_is_refused() {
    for (from, to, told) in [
        ("event: 20s", "event: 60s", "event is at 1m, and the scenario lasts 1m"),
        ("share: 90%", "share: 80%", "the classes' shares sum to 90%"),
        ("  rate: 70%\n", "", "how much load there is"),
        ("rate: 70%", "rate: 70%\n  arrivals: {trace: a.txt}", "a trace has its own times"),
        ("to: 10", "to: 0", "nothing for `slowdown`"),
        ("slowdown, to: 10", "pause, to: 10", "takes no `to`"),
        ("slowdown, to: 10", "slots", "needs `to`"),
        ("{at: 40s", "{at: 20s", "never applies"),
        ("at_most: 1s", "against: x", "what is wanted of shift_90"),
        ("at_most: 1s", "against: x, at_most: 1s, ties_within: 5%", "what is wanted of shift_90"),
        ("at_most: 1s", "ties_within: 5%", "shift_90 ties with nobody"),
        ("route: {", "balancer: {balance: ring}\nroute: {", "`ring` places by the key"),
        ("count: 10,", "count: 20000,", "there are 20000 workers"),
        (
            "workers:\n  - {",
            "agents: {}\nworkers:\n  - {report: heartbeat, ",
            "with agents the agent tells of the load",
        ),
        ("name: w,", "name: a b,", "is no name of a worker"),
    ] {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from}");
        assert!(refused(&text).contains(told), "{told}\n{}", refused(&text));
    }
}

#[test]
fn the_scenarios_of_the_catalogue_are_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lab/scenarios");
    let files = std::fs::read_dir(&folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|kind| kind == "yaml")).collect();
    assert!(!files.is_empty());
    for file in files {
        let scenario = Scenario::load(&file).unwrap_or_else(|findings| panic!("{}", findings.render(false)));
        let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        assert!(stem.starts_with(&scenario.name.to_lowercase()), "{} holds {}", file.display(), scenario.name);
    }
}
