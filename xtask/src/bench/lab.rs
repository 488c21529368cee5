//! `bench lab`: every scenario of `lab/scenarios` with ours and with the balancers that people run, and its goals.
//!
//! What real processes cannot do (several gateways, late reports) is simulated, and says so. A goal that is missed is
//! told with how much; nothing is left out because of it.

use std::fs;
use std::path::{Path, PathBuf};

use ambidex_lab::Span;
use ambidex_lab::live::{Against, Bench, Programs, length};
use ambidex_lab::report::{Arm, Kind, Report, State, Verdict};
use ambidex_lab::scenario::Scenario;
use ambidex_lab::sim;
use anyhow::{Context as _, Result, bail};

use super::{Extent, binary};
use crate::{env, install};

pub(super) fn run(extent: &Extent) -> Result<()> {
    let scenarios = scenarios(extent)?;
    let bench = bench(extent)?;
    let against = against(extent)?;
    let folder = env::workspace().join("target/bench/lab");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut told = Vec::new();
    for (file, scenario) in &scenarios {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        println!("\n{name}: each arm for {} or more", length(scenario, extent.repeats));
        let report = measure(&bench, scenario, &against, extent)?;
        println!("{report}");
        for (form, text) in [("json", format!("{:#}\n", report.json())), ("html", report.html())] {
            let path = folder.join(format!("{name}.{form}"));
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        told.push((name, report));
    }
    summary(&told);
    println!("\nwritten to {}", folder.display());
    Ok(())
}

/// The files, in their order, with the scenarios that are wanted.
fn scenarios(extent: &Extent) -> Result<Vec<(PathBuf, Scenario)>> {
    let folder = env::workspace().join("lab/scenarios");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml"));
    files.sort_by_key(|file| order(file));
    let mut scenarios = Vec::new();
    for file in files {
        let mut scenario = Scenario::load(&file).map_err(|findings| anyhow::anyhow!("{}", findings.render(false)))?;
        if !is_wanted(extent, &scenario.name) {
            continue;
        }
        if let Some(seconds) = extent.measured {
            let needed = scenario.event.map_or(Span::ZERO, |event| event + AFTER_EVENT);
            scenario.duration = scenario.duration.min(Span::from_secs(seconds).max(needed));
        }
        scenarios.push((file, scenario));
    }
    if scenarios.is_empty() { bail!("--only names no scenario of lab/scenarios") } else { Ok(scenarios) }
}

/// X2 before X10.
fn order(file: &Path) -> (u32, PathBuf) {
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let digits: String = name.chars().skip(1).take_while(char::is_ascii_digit).collect();
    (digits.parse().unwrap_or(u32::MAX), file.to_owned())
}

/// `--only X2,X6` is about names of scenarios, whole.
fn is_wanted(extent: &Extent, name: &str) -> bool {
    extent.only.as_ref().is_none_or(|only| only.split(',').any(|one| one.trim().eq_ignore_ascii_case(name)))
}

fn bench(extent: &Extent) -> Result<Bench> {
    let of_path = env::folders_of_programs();
    let own = [install::envoy(), install::traefik()].into_iter().filter_map(|program| {
        // What cannot be installed is a skipped arm.
        program.inspect_err(|error| eprintln!("{error:#}")).ok()?.parent().map(Path::to_path_buf)
    });
    let programs = Programs { folders: own.chain(of_path).collect() };
    Ok(Bench { binary: binary(&extent.profile)?, programs, repeats: extent.repeats, patience: 2 })
}

fn against(extent: &Extent) -> Result<Vec<Against>> {
    match extent.peers.as_str() {
        "all" => Ok(Against::PEERS.into_iter().chain([Against::Rules]).collect()),
        "none" => Ok(Vec::new()),
        some => some.split(',').map(|name| Ok(name.parse()?)).collect(),
    }
}

fn measure(bench: &Bench, scenario: &Scenario, against: &[Against], extent: &Extent) -> Result<Report> {
    if let Some(why) = only_simulated(scenario) {
        println!("simulated: {why}");
        let runs = (0..extent.repeats).map(|repeat| {
            let seed = scenario.seed.wrapping_add(repeat as u64);
            sim::simulate(&Scenario { seed, ..scenario.clone() }, None, &[]).figures
        });
        let arm = Arm {
            name: "ambidex, simulated".to_owned(),
            kind: Kind::Ours,
            known_as: Vec::new(),
            setup: vec![format!("simulated, because {why}")],
            state: State::Ran(runs.collect()),
        };
        return Ok(Report::new("simulation", scenario, vec![arm]));
    }
    let mut tell = |text: &str| println!("{text}");
    bench.compare(scenario, against, &mut tell).with_context(|| scenario.name.clone())
}

/// Why real processes cannot run it.
fn only_simulated(scenario: &Scenario) -> Option<&'static str> {
    let gateways = &scenario.gateways;
    match (gateways.count > 1, gateways.report_delay > Span::ZERO || gateways.report_loss.get() > 0.0) {
        (true, _) => Some("it has several gateways"),
        (false, true) => Some("its reports are late or lost"),
        (false, false) => None,
    }
}

/// All goals in one list, and how many were met.
fn summary(told: &[(String, Report)]) {
    let (mut met, mut all) = (0, 0);
    println!("\nGoals");
    for (name, report) in told {
        for goal in &report.goals {
            println!("  {name:<14} {goal}  {}", goal.verdict);
            all += 1;
            met += usize::from(goal.verdict == Verdict::Met);
        }
    }
    println!("{met} of {all} goals met");
}

/// What convergence needs after an event.
const AFTER_EVENT: Span = Span::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_come_in_the_order_of_their_numbers() {
        let mut files = ["x10.yaml", "x2.yaml", "x2-slow.yaml"].map(PathBuf::from);
        files.sort_by_key(|file| order(file));
        assert_eq!(files, ["x2-slow.yaml", "x2.yaml", "x10.yaml"].map(PathBuf::from));
    }

    #[test]
    fn a_scenario_that_is_not_there_is_told() {
        let extent = super::super::extent(&["--only", "X99"]).expect("options");
        assert!(scenarios(&extent).is_err());
        let extent = super::super::extent(&["--only", "x6,X2"]).expect("options");
        let names: Vec<String> = scenarios(&extent).expect("files").into_iter().map(|(_, one)| one.name).collect();
        assert!(names.contains(&"X6".to_owned()) && names.contains(&"X2".to_owned()), "{names:?}");
    }
}
