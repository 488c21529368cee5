//! `ambidex review` with real files and real processes: a finding's way to its record, a weight that is moved and stays, one that is
//! taken back, and what is said of what cannot be.

mod process;
mod stranded;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use ambidex_core::time::Span;
use ambidex_lab::load::{self, Load, LoadOptions};
use ambidex_lab::worker::{self, Worker, WorkerOptions};
use process::{Running, ambidex, until};
use rustix::process::{Pid, Signal};
use serde_json::Value;
use tempfile::TempDir;

/// Requests a second of five alike nodes over four hours, of which `b` has so many times the others'.
fn write_load(folder: &Path, name: &str, times: u32) {
    let mut text = String::from("time,node,service,requests\n");
    for minute in 0..240 {
        for node in ["a", "b", "c", "d", "e"] {
            let requests = 100 * if node == "b" { times } else { 1 } + minute % 3;
            let _ = writeln!(text, "2026-11-20T{:02}:{:02}:00Z,{node},api,{requests}", minute / 60, minute % 60);
        }
    }
    fs::write(folder.join(name), text).expect("written");
}

/// A folder with tables of load, and the reviews of what is found in them.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        write_load(folder.path(), "skewed.csv", 4);
        write_load(folder.path(), "even.csv", 1);
        Self(folder)
    }

    /// What is said on both ways, and the exit code.
    fn says(&self, arguments: &[&str]) -> (String, Option<i32>) {
        let output = ambidex(self.0.path()).args(arguments).output().expect("the binary runs");
        let text = [output.stdout, output.stderr].concat();
        (String::from_utf8(text).expect("UTF-8"), output.status.code())
    }

    fn diagnose(&self, table: &str) -> String {
        let (text, code) = self.says(&["diagnose", "--csv", table, "--review", "data/reviews"]);
        assert_eq!(code, Some(0), "{text}");
        text
    }

    /// A step that works, by somebody.
    fn step(&self, arguments: &[&str]) -> String {
        let (text, code) = self.says(&[&["review"], arguments, &["--by", "ada"]].concat());
        assert_eq!(code, Some(0), "{arguments:?}: {text}");
        text
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let (text, code) = self.says(&[&["review"], arguments, &["--output", "json"]].concat());
        assert_eq!(code, Some(0), "{text}");
        serde_json::from_str(&text).expect("JSON")
    }
}

#[test]
fn a_finding_goes_its_way_to_a_watch_and_what_does_not_fit_is_refused() {
    let scene = Scene::new();
    let text = scene.diagnose("skewed.csv");
    assert!(text.contains("R1 opened: b: "), "{text}");
    let text = scene.diagnose("skewed.csv");
    assert!(text.contains("found again: R1") && !text.contains("R2"), "{text}");
    let list = scene.json(&["list"]);
    assert_eq!(list["reviews"][0]["rounds"]["found"], 2, "{list:#}");
    assert_eq!(list["reviews"][0]["subject"]["nodes"][0], "b");

    scene.step(&["suppose", "R1", "weights", "--why", "it was set by hand"]);
    scene.step(&["experiment", "R1", "--what", "half its weight", "--predicted", "1", "--otherwise", "2.5"]);
    let said = scene.step(&["experiment", "R1", "--measured", "1.1"]);
    assert!(said.contains("as it should be"), "{said}");
    scene.step(&["propose", "R1", "--by-hand", "set the weights anew", "--undo", "set the old ones"]);
    // A dry run is no step: it needs no approval, and changes nothing.
    let (text, code) = scene.says(&["review", "carry-out", "R1", "--dry-run"]);
    assert!(code == Some(0) && text.contains("set the weights anew"), "{text}");
    for (arguments, said) in [
        (&["done", "R1", "--by", "ada"][..], "only what was approved is done"),
        (&["suppose", "R1", "weight", "--by", "ada"], "weights"),
        (&["suppose", "R1", "cron", "--by", "ada"], "before anything is tried or proposed"),
        (&["carry-out", "R1"], "is done by people"),
        (&["record", "R1"], "close it with --noise WHY or --accepted WHY"),
        (&["approve", "R1"], "say who you are with --by NAME"),
        (&["approve", "R9", "--by", "ada"], "there is no review R9"),
        (&["show", "x"], "is no review"),
        (&["list", "--folder", "nowhere"], "there are no reviews in nowhere"),
        (&["propose", "R1", "--by-hand", "x", "--by", "ada"], "--undo"),
    ] {
        let (text, code) = scene.says(&[&["review"], arguments].concat());
        assert!(code != Some(0) && text.contains(said), "{arguments:?} does not say {said}: {text}");
    }
    scene.step(&["approve", "R1"]);
    scene.step(&["done", "R1"]);
    let shown = scene.json(&["show", "R1"]);
    assert_eq!((&shown["step"], &shown["proposal"]["watch"]), (&"watch".into(), &"48h".into()), "{shown:#}");
    let steps: Vec<&str> =
        shown["history"].as_array().expect("a list").iter().filter_map(|one| one["to"].as_str()).collect();
    assert_eq!(
        steps,
        ["finding", "hypothesis", "experiment", "hypothesis", "proposal", "approval", "watch"],
        "{shown:#}"
    );
}

#[test]
fn what_was_closed_is_known_again_and_an_audit_tells_what_was_noise_and_what_came_back() {
    let scene = Scene::new();
    scene.diagnose("skewed.csv");
    scene.step(&["record", "R1", "--accepted", "it is the canary of the shop"]);
    let left = scene.says(&["review", "record", "R1"]).0;
    assert!(
        left.contains("# R1: b: ") && left.contains("AmbidexSeenBeforeR1") && left.contains("\"number\": 1"),
        "{left}"
    );
    let text = scene.diagnose("skewed.csv");
    assert!(text.contains("R2 opened") && text.contains("seen before: R1"), "{text}");
    scene.step(&["record", "R2", "--noise", "the table was made up"]);
    scene.diagnose("even.csv");
    let audit = scene.json(&["audit"]);
    assert_eq!((&audit["opened"], &audit["closed"], &audit["open"]), (&2.into(), &2.into(), &0.into()), "{audit:#}");
    let first = &audit["frequent"][0];
    assert_eq!((&first["reviews"], &first["came_back"], &first["metric"]), (&2.into(), &1.into(), &"requests".into()));
    assert_eq!(audit["noise"][0]["share"], 0.5, "{audit:#}");
    assert_eq!(audit["rounds"], 3);
    let never = audit["never_fired"].as_array().expect("a list");
    assert!(never.contains(&"hot_key".into()), "{audit:#}");
    let page = scene.page(&["audit", "--since", "24h"]);
    for part in
        ["# Findings from ", "## The most frequent", "the table was made up", "hot_key", "## Time to resolution"]
    {
        assert!(page.contains(part), "no {part} in {page}");
    }
}

impl Scene {
    fn page(&self, arguments: &[&str]) -> String {
        let (text, code) = self.says(&[&["review"], arguments].concat());
        assert_eq!(code, Some(0), "{text}");
        text
    }
}

/// A gateway before five alike workers of which `b` is held at 2.5 fair shares, load on it, and a finding that says so.
struct Pool {
    running: Running,
    _workers: Vec<Worker>,
    _load: Load,
}

impl Pool {
    fn new() -> Self {
        let named = |name: &str| worker::start(WorkerOptions { name: name.into(), ..WorkerOptions::default() });
        let names = ["a", "b", "c", "d", "e"];
        let workers: Vec<Worker> = names.map(|name| named(name).expect("it listens")).into();
        let members: Vec<String> = (names.iter().zip(&workers))
            .map(|(name, worker)| format!("{{url: \"http://{}\", name: {name}}}", worker.address))
            .collect();
        let running = Running::run(&format!(
            "listeners: [{{address: \"127.0.0.1:0\"}}]\npools:\n  api:\n    workers: [{}]\n    balance: weighted-round-robin\n    \
             weights: static\nadmin: {{address: \"127.0.0.1:0\"}}\nthreads: 1\n",
            members.join(", ")
        ));
        let target = running.listener.parse().expect("an address");
        let options = LoadOptions { target, rate: 250.0, duration: Span::from_secs(600), ..LoadOptions::default() };
        let load = load::start(options).expect("load");
        until(|| (load.so_far().ok > 10).then_some(()));
        running.ask(&["pin", "2.5", "b", "--yes"]);
        until(|| (weight(&running) > 2.4).then_some(()));
        write_load(running.folder.path(), "skewed.csv", 4);
        let found = running.asked(&["diagnose", "--csv", "skewed.csv", "--review", "data/reviews"]);
        assert!(found.status.success(), "{found:?}");
        Self { running, _workers: workers, _load: load }
    }

    /// Proposes and approves; the proposal.
    fn approved(&self, more: &[&str]) -> Value {
        self.approved_of("R1", "10s", more)
    }

    fn approved_of(&self, review: &str, canary: &str, more: &[&str]) -> Value {
        let usual = ["review", "propose", review, "--canary", canary, "--watch", "10s", "--by", "ada"];
        // On a machine that is busy with other tests, how long the slowest takes says nothing.
        self.running.ask(&[&usual[..], &["--abort-slower", "1000"], more].concat());
        let shown = self.running.ask_json(&["review", "show", review]);
        self.running.ask(&["review", "approve", review, "--by", "grace"]);
        shown["proposal"].clone()
    }

    /// Carries out, and interrupts by a signal when `so`; the exit code and what was said.
    fn interrupted(
        &self,
        review: &str,
        every: &str,
        signal: Signal,
        so: impl Fn(&str) -> bool,
    ) -> (Option<i32>, String) {
        let file = self.running.folder.path().join("said");
        let said = || fs::read_to_string(&file).expect("written");
        let mut child = ambidex(self.running.folder.path())
            .args(["review", "carry-out", review, "--every", every])
            .env("AMBIDEX_ADMIN", &self.running.admin)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&file).expect("a file"))
            .spawn()
            .expect("the binary runs");
        until(|| so(&said()).then_some(()));
        rustix::process::kill_process(Pid::from_child(&child), signal).expect("it runs");
        let code = until(|| child.try_wait().expect("ours")).code();
        (code, said())
    }

    fn carried_out(&self) -> (Value, String) {
        let out = self.running.asked(&["review", "carry-out", "R1", "--every", "500ms"]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        (self.running.ask_json(&["review", "show", "R1"]), said)
    }
}

/// Of `b`, in fair shares.
fn weight(running: &Running) -> f64 {
    worker_b(running)["weight"].as_f64().expect("a number")
}

#[test]
fn an_approved_weight_is_moved_by_halves_load_gets_even_and_what_was_predicted_came() {
    let pool = Pool::new();
    let proposal = pool.approved(&[]);
    assert_eq!(
        (&proposal["action"]["worker"], &proposal["action"]["from"]),
        (&"b".into(), &2.5.into()),
        "{proposal:#}"
    );
    assert!((proposal["action"]["to"].as_f64().expect("a weight") - 1.0).abs() < 0.03, "{proposal:#}");
    let (shown, said) = pool.carried_out();
    assert!(said.contains("100 % of the change is in force"), "{said}");
    assert_eq!(shown["closed"]["outcome"]["became"], "even", "{said}{shown:#}");
    let r_max = &shown["calibrated"]["r_max"];
    assert!(r_max["before"].as_f64().expect("a number") > 2.2, "{said}{shown:#}");
    assert!(r_max["actual"].as_f64().expect("a number") < 1.3, "{said}{shown:#}");
    assert!(weight(&pool.running) < 1.2);
}

/// `b` as the pool has it.
fn worker_b(running: &Running) -> Value {
    let pools = running.ask_json(&["workers"]);
    let workers = pools["pools"][0]["workers"].as_array().expect("a list");
    workers.iter().find(|worker| worker["name"] == "b").expect("it is in the pool").clone()
}

#[test]
fn an_approved_drain_is_made_by_halves_the_others_are_even_and_it_is_pinned_as_it_was() {
    let pool = Pool::new();
    let proposal = pool.approved(&["--drain"]);
    assert_eq!((&proposal["action"]["action"], &proposal["action"]["from"]), (&"drain".into(), &2.5.into()));
    let (shown, said) = pool.carried_out();
    assert!(said.contains("b: weight 1.25") && said.contains("b: drained"), "{said}");
    assert_eq!(shown["closed"]["outcome"]["became"], "even", "{said}{shown:#}");
    assert_eq!(shown["calibrated"]["r_max"]["held"], true, "{said}{shown:#}");
    let b = worker_b(&pool.running);
    assert_eq!((&b["standing"], &b["pinned"]), (&"draining".into(), &2.5.into()), "{b:#}");
    pool.running.ask(&["diagnose", "--csv", "skewed.csv", "--review", "data/reviews"]);
    let again = pool.running.asked(&["review", "propose", "R2", "--drain", "--by", "ada"]);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && said.contains("nothing is left to drain"), "{said}");
}

#[test]
fn who_interrupts_a_drain_has_the_worker_back_as_it_was() {
    let pool = Pool::new();
    pool.approved_of("R1", "40s", &["--drain"]);
    let (code, said) = pool.interrupted("R1", "500ms", Signal::INT, |said| said.contains("b: drained"));
    assert_eq!(code, Some(1), "{said}");
    let shown = pool.running.ask_json(&["review", "show", "R1"]);
    assert_eq!(shown["closed"]["outcome"]["outcome"], "rolled_back", "{said}{shown:#}");
    let b = until(|| Some(worker_b(&pool.running)).filter(|b| b["standing"] == "serving" && b["pinned"] == 2.5));
    assert!(b["weight"].as_f64() > Some(2.4), "{b:#}");
}

#[test]
fn a_weight_that_makes_it_worse_is_taken_back_by_itself() {
    let pool = Pool::new();
    pool.approved(&["--weight", "4"]);
    let (shown, said) = pool.carried_out();
    assert_eq!(shown["closed"]["outcome"]["outcome"], "rolled_back", "{said}{shown:#}");
    assert_eq!(shown["closed"]["outcome"]["why"]["abort"]["when"], "spread_grew", "{said}{shown:#}");
    let pinned = until(|| Some(weight(&pool.running)).filter(|weight| *weight < 2.6));
    assert!(pinned > 2.4, "{said}");
}

#[test]
fn who_interrupts_a_canary_has_the_weight_as_it_was_and_the_record_tells_it() {
    let pool = Pool::new();
    let half = |_: &str| weight(&pool.running) < 2.0;
    // The canary takes ten minutes: only the interruption can end it.
    pool.approved_of("R1", "10m", &[]);
    let (code, said) = pool.interrupted("R1", "20s", Signal::INT, |said| said.contains("looking at how it is before"));
    assert!(code != Some(0) && said.contains("nothing was changed"), "{code:?} {said}");
    assert_eq!(pool.running.ask_json(&["review", "show", "R1"])["step"], "approval", "{said}");
    for (review, signal) in [("R1", Signal::INT), ("R2", Signal::TERM), ("R3", Signal::HUP)] {
        if review != "R1" {
            pool.running.ask(&["diagnose", "--csv", "skewed.csv", "--review", "data/reviews"]);
            pool.approved_of(review, "10m", &[]);
        }
        let (code, said) = pool.interrupted(review, "500ms", signal, half);
        assert_eq!(code, Some(1), "{said}");
        let shown = pool.running.ask_json(&["review", "show", review]);
        assert_eq!((&shown["step"], &shown["closed"]["outcome"]["outcome"]), (&"record".into(), &"rolled_back".into()));
        let why = &shown["closed"]["outcome"]["why"];
        assert_eq!(
            (&why["for"], &why["why"]),
            (&"ordered".into(), &"carry-out was interrupted".into()),
            "{said}{shown:#}"
        );
        // At 2.5, and held there as it was.
        let b = until(|| Some(worker_b(&pool.running)).filter(|b| b["weight"].as_f64() > Some(2.4)));
        assert_eq!(b["pinned"], 2.5, "{b:#}");
    }
}

#[test]
fn a_canary_whose_carry_out_died_is_taken_back_by_the_next_one() {
    let pool = Pool::new();
    stranded::leave_in(&pool.running.folder.path().join("data/reviews"));
    pool.running.ask(&["pin", "1.75", "b", "--yes"]);
    until(|| (weight(&pool.running) < 2.0).then_some(()));
    let out = pool.running.asked(&["review", "carry-out", "R2", "--every", "500ms"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{said}");
    let shown = pool.running.ask_json(&["review", "show", "R2"]);
    assert_eq!(shown["closed"]["outcome"]["why"]["for"], "silence", "{said}{shown:#}");
    until(|| (weight(&pool.running) > 2.4).then_some(()));
}
