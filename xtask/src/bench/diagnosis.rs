//! `cargo xtask bench diagnosis`: `ambidex diagnose` on labelled runs of real processes: which nodes, and which cause first.
//!
//! The runs know nothing of the doctor (`ambidex_lab::labelled`), and the doctor sees what operators see: an access log of
//! nginx, or a table of what clients counted. Labels are kept in `target/bench/diagnosis-labels.jsonl`, one a run, with what
//! was found beside; those of the last full run are kept as `lab/diagnosis-labels.jsonl`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use ambidex_lab::labelled::{Case, Evidence, Label, cases, run};
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::rows::{Row, Samples, publish};
use super::{Extent, binary};
use crate::env;

/// What came of a run.
struct Judged {
    label: Label,
    /// Every node that a finding of a warning or more names.
    flagged: Vec<String>,
    /// The causes of the finding that names most of the ill nodes, likeliest first.
    causes: Vec<String>,
}

pub(super) fn run_all(extent: &Extent) -> Result<()> {
    // What is scored is no time: programs need not be optimized.
    let ambidex = binary("dev")?;
    let folder = tempfile::tempdir().context("a folder for logs and tables")?;
    let seconds = extent.measured.unwrap_or(SECONDS);
    let chosen: Vec<Case> =
        cases(SEEDS.min(extent.repeats as u64)).into_iter().filter(|case| extent.covers(&called(case))).collect();
    ensure!(!chosen.is_empty(), "--only names no cause");
    println!("{} runs of {seconds} s, {AT_ONCE} at once", chosen.len());
    let (next, judged) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let one = run(case, folder.path(), seconds)
                        .map_err(anyhow::Error::from)
                        .and_then(|label| judge(&ambidex, label));
                    let one = one.with_context(|| format!("run {} ({})", case.number, called(case)));
                    judged.lock().unwrap_or_else(PoisonError::into_inner).push(one);
                }
            });
        }
    });
    let judged = judged.into_inner().unwrap_or_else(PoisonError::into_inner);
    let failed: Vec<_> = judged.iter().filter_map(|one| one.as_ref().err()).collect();
    failed.iter().for_each(|error| println!("no run: {error:#}"));
    ensure!(failed.len() * 50 <= judged.len(), "{} of {} runs did not run", failed.len(), judged.len());
    let mut judged: Vec<Judged> = judged.into_iter().filter_map(Result::ok).collect();
    judged.sort_by_key(|one| one.label.case.number);
    keep(&judged)?;
    println!("{}", by_cause(&judged));
    publish("diagnosis", &rows(&judged, seconds))
}

/// Asks the doctor, by its command.
fn judge(ambidex: &Path, label: Label) -> Result<Judged> {
    let mut command = Command::new(ambidex);
    command.args(["--output", "json", "diagnose", "--window", WINDOW]);
    match &label.evidence {
        Evidence::AccessLog(path) => {
            command.arg("--access-log").arg(path);
            for name in ["tenant", "client", "session", "key"] {
                command.arg("--attribute").arg(format!("{name}={name}"));
            }
        }
        Evidence::Csv(path) => drop(command.arg("--csv").arg(path)),
    }
    let output = command.output().context("ambidex diagnose")?;
    let report: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("no report: {}", String::from_utf8_lossy(&output.stderr)))?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let none = Vec::new();
    let findings = report["findings"].as_array().unwrap_or(&none);
    let nodes = |finding: &Value| -> Vec<String> {
        finding["nodes"].as_array().unwrap_or(&none).iter().filter_map(|node| text(&node["node"])).collect()
    };
    let grave = findings.iter().filter(|finding| finding["level"] == "warn" || finding["level"] == "critical");
    let grave: Vec<&Value> = grave.collect();
    let mut flagged: Vec<String> = grave.iter().flat_map(|finding| nodes(finding)).collect();
    flagged.sort();
    flagged.dedup();
    let ill = |finding: &&&Value| nodes(finding).iter().filter(|node| label.nodes.contains(node)).count();
    let best = grave.iter().filter(|finding| ill(finding) > 0).max_by_key(ill);
    let causes = best.map_or(&none, |finding| finding["hypotheses"].as_array().unwrap_or(&none));
    let causes = causes.iter().filter_map(|one| text(&one["cause"])).collect();
    Ok(Judged { label, flagged, causes })
}

impl Judged {
    /// Whether the goals count it: ill, and by as much as it says.
    fn counts(&self) -> bool {
        !self.label.nodes.is_empty() && self.label.seen >= LEAST
    }

    fn found(&self) -> usize {
        self.label.nodes.iter().filter(|node| self.flagged.contains(node)).count()
    }

    fn wrongly(&self) -> usize {
        let also = self.flagged.iter().filter(|node| self.label.also.contains(node)).count();
        self.flagged.len() - self.found() - also
    }

    /// At which place the right cause stands, from 0 on.
    fn place(&self) -> Option<usize> {
        let right = called(&self.label.case);
        self.causes.iter().position(|cause| *cause == right)
    }
}

fn rows(judged: &[Judged], seconds: u64) -> Vec<Row> {
    let ill: Vec<&Judged> = judged.iter().filter(|one| one.counts()).collect();
    let nodes: usize = ill.iter().map(|one| one.label.nodes.len()).sum();
    let found: usize = judged.iter().map(Judged::found).sum();
    let missed = nodes - ill.iter().map(|one| one.found()).sum::<usize>();
    let wrongly: usize = judged.iter().map(Judged::wrongly).sum();
    let part = |many: usize, of: usize| many as f64 / of.max(1) as f64;
    let not_within = |places: usize| ill.iter().filter(|one| one.place().is_none_or(|place| place >= places)).count();
    let healthy: Vec<&Judged> = judged.iter().filter(|one| one.label.nodes.is_empty()).collect();
    // As many windows as a week has quarters of an hour.
    let weeks = healthy.len() as f64 * (seconds as f64 / WINDOW_SECONDS) / 672.0;
    let alarms: usize = healthy.iter().map(|one| usize::from(!one.flagged.is_empty())).sum();
    let row = |metric: &str, unit, goal, value| Row {
        metric: metric.to_owned(),
        unit,
        goal: Some(goal),
        ours: Samples(vec![value]),
        ..Row::default()
    };
    vec![
        row(&format!("ill nodes that are not found, of {nodes}"), "", 0.1, part(missed, nodes)),
        row(
            &format!("nodes that are told and are not ill, of {}", found + wrongly),
            "",
            0.1,
            part(wrongly, found + wrongly),
        ),
        row(
            &format!("runs whose cause is not ranked first, of {}", ill.len()),
            "",
            0.2,
            part(not_within(1), ill.len()),
        ),
        row("runs whose cause is not among the first three", "", 0.05, part(not_within(3), ill.len())),
        row(
            &format!("findings in a week of healthy windows, {alarms} in {weeks:.2} weeks"),
            "",
            1.0,
            if weeks > 0.0 { alarms as f64 / weeks } else { 0.0 },
        ),
    ]
}

/// A table by cause, and each run that went wrong.
fn by_cause(judged: &[Judged]) -> String {
    let mut text = String::from("cause                 runs   found  first  in three  others told\n");
    let mut names: Vec<String> = judged.iter().map(|one| called(&one.label.case)).collect();
    names.sort();
    names.dedup();
    for name in names {
        let all: Vec<&Judged> = judged.iter().filter(|one| called(&one.label.case) == name).collect();
        let counted: Vec<&&Judged> = all.iter().filter(|one| one.counts()).collect();
        let within = |places| counted.iter().filter(|one| one.place().is_some_and(|place| place < places)).count();
        let found = counted.iter().filter(|one| one.found() == one.label.nodes.len()).count();
        let wrongly: usize = all.iter().map(|one| one.wrongly()).sum();
        let _ = writeln!(
            text,
            "{name:<20} {:>5} {found:>7} {:>6} {:>9} {wrongly:>12}",
            counted.len(),
            within(1),
            within(3)
        );
    }
    for one in judged {
        let first = one.place() == Some(0) || !one.counts();
        if one.wrongly() > 0 || (one.counts() && one.found() < one.label.nodes.len()) || !first {
            let Label { case, nodes, seen, .. } = &one.label;
            let _ = writeln!(
                text,
                "run {}: {} of {:.1} on {} nodes (seen {seen:.2}): ill {nodes:?}, told {:?}, because of {:?}",
                case.number,
                called(case),
                case.severity,
                case.nodes,
                one.flagged,
                one.causes.iter().take(3).collect::<Vec<_>>(),
            );
        }
    }
    text
}

fn keep(judged: &[Judged]) -> Result<()> {
    let mut text = String::new();
    for Judged { label, flagged, causes } in judged {
        let Label { case, nodes, also, seen, requests, evidence } = label;
        let by = match evidence {
            Evidence::AccessLog(_) => "access_log",
            Evidence::Csv(_) => "csv",
        };
        let line = json!({
            "case": case, "nodes": nodes, "also": also, "seen": seen, "requests": requests, "evidence": by, "told": flagged,
            "causes": causes,
        });
        let _ = writeln!(text, "{line}");
    }
    let path = env::workspace().join("target/bench/diagnosis-labels.jsonl");
    fs::create_dir_all(path.parent().context("a folder")?)?;
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    println!("labels: {}", path.display());
    Ok(())
}

/// As the label and the report call it.
fn called(case: &Case) -> String {
    case.ill.map_or_else(|| "healthy".into(), |ill| json!(ill).as_str().unwrap_or_default().to_owned())
}

/// Runs of each cause, severity and size. Source: the issue; with these there are 369.
const SEEDS: u64 = 3;
/// Of one run. Source: ours; nine windows.
const SECONDS: u64 = 28;
/// Runs at the same time. Source: ours; half of two cores.
const AT_ONCE: usize = 4;
/// What the doctor is told to judge by, as runs are short.
const WINDOW: &str = "3s";
const WINDOW_SECONDS: f64 = 3.0;
/// Relative load from which on a node is to be found. Source: the issue.
const LEAST: f64 = 1.5;
