//! `bench lab`: every scenario of `lab/scenarios` with ours and with the balancers that people run, and its goals.
//!
//! How long each will take is told before the first begins. Goals against our own other rules of weights are judged in
//! the simulator, unless `--peers` names `rules`: then these are arms of real processes as well. A goal that is missed is
//! told with how much; nothing is left out because of it.

use std::fs;
use std::path::{Path, PathBuf};

use ambidex_lab::Span;
use ambidex_lab::live::{Against, Bench, Plan, Programs, rules, simulated, without_rules};
use ambidex_lab::report::{Report, Verdict};
use ambidex_lab::scenario::Scenario;
use anyhow::{Context as _, Result, bail};

use super::{Extent, binary};
use crate::{env, install};

pub(super) fn run(extent: &Extent) -> Result<()> {
    let scenarios = scenarios(extent)?;
    let bench = bench(extent)?;
    let against = against(extent)?;
    announce(&bench, &scenarios, &against, extent)?;
    let folder = env::workspace().join("target/bench/lab");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut told = Vec::new();
    for (file, scenario) in &scenarios {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for (name, report) in measure(&bench, &name, scenario, &against, extent)? {
            println!("\n{report}");
            for (form, text) in [("json", format!("{:#}\n", report.json())), ("html", report.html())] {
                let path = folder.join(format!("{name}.{form}"));
                fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            }
            told.push((name, report));
        }
    }
    summary(&told);
    println!("\nwritten to {}", folder.display());
    Ok(())
}

/// What will run, and how long that takes.
fn announce(bench: &Bench, scenarios: &[(PathBuf, Scenario)], against: &[Against], extent: &Extent) -> Result<()> {
    let mut whole = Span::ZERO;
    for (file, scenario) in scenarios {
        let live = live(scenario, against);
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        if only_simulated(scenario) {
            println!("{name:<14} in the simulator alone");
            continue;
        }
        let Plan { arms, skipped, length } = bench.plan(&live, against, extent.arms)?;
        let without = if skipped.is_empty() { String::new() } else { format!("; skipped: {}", skipped.join(", ")) };
        println!("{name:<14} {} arms, {} times each: {length}{without}", arms.len(), extent.repeats);
        whole = whole + length;
    }
    println!("all of it: about {whole}, longer where a run has to be made again");
    Ok(())
}

/// What of a scenario real processes run: goals against our own rules are the simulator's, unless these run, too.
pub(super) fn live(scenario: &Scenario, against: &[Against]) -> Scenario {
    if against.contains(&Against::Rules) { scenario.clone() } else { without_rules(scenario) }
}

/// The files, in their order, with the scenarios that are wanted.
pub(super) fn scenarios(extent: &Extent) -> Result<Vec<(PathBuf, Scenario)>> {
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

/// `--only X2,X8*` is about names of scenarios, whole ones and beginnings.
fn is_wanted(extent: &Extent, name: &str) -> bool {
    let name = name.to_lowercase();
    let is_it = |wanted: &str| {
        let wanted = wanted.trim().to_lowercase();
        wanted.strip_suffix('*').map_or(wanted == name, |beginning| name.starts_with(beginning))
    };
    extent.only.as_ref().is_none_or(|only| only.split(',').any(is_it))
}

pub(super) fn bench(extent: &Extent) -> Result<Bench> {
    let of_path = env::folders_of_programs();
    let own = [install::envoy(), install::traefik()].into_iter().filter_map(|program| {
        // What cannot be installed is a skipped arm.
        program.inspect_err(|error| eprintln!("{error:#}")).ok()?.parent().map(Path::to_path_buf)
    });
    let programs = Programs { folders: own.chain(of_path).collect() };
    Ok(Bench { programs, repeats: extent.repeats, patience: 2, ..Bench::new(binary(&extent.profile)?) })
}

fn against(extent: &Extent) -> Result<Vec<Against>> {
    match extent.peers.as_str() {
        "all" => Ok(Against::PEERS.into_iter().chain([Against::Rules]).collect()),
        "none" => Ok(Vec::new()),
        some => some.split(',').map(|name| Ok(name.parse()?)).collect(),
    }
}

/// The reports of a scenario, by the names of their files.
fn measure(
    bench: &Bench,
    name: &str,
    scenario: &Scenario,
    against: &[Against],
    extent: &Extent,
) -> Result<Vec<(String, Report)>> {
    println!("\n{name}");
    if only_simulated(scenario) {
        return Ok(vec![(name.to_owned(), simulated(scenario, extent.repeats.max(LEAST_SEEDS)))]);
    }
    let live = live(scenario, against);
    let mut tell = |text: &str| println!("{text}");
    let compared = bench.compare(&live, against, extent.arms, &mut tell).with_context(|| name.to_owned())?;
    let mut reports = vec![(name.to_owned(), compared)];
    if !against.contains(&Against::Rules)
        && let Some(report) = rules(scenario, extent.repeats.max(LEAST_SEEDS))
    {
        reports.push((format!("{name}-rules"), report));
    }
    Ok(reports)
}

/// Whether real processes cannot run it.
fn only_simulated(scenario: &Scenario) -> bool {
    scenario.gateways.coordinator_away.is_some()
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

/// What a goal of ten seconds after an event needs: three to hold for, and a quarter for the final values.
const AFTER_EVENT: Span = Span::from_secs(20);
/// Of the simulator, where a seed costs less than a second.
const LEAST_SEEDS: usize = 5;

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
        let extent = super::super::extent(&["--only", "x6,X2*"]).expect("options");
        let names: Vec<String> = scenarios(&extent).expect("files").into_iter().map(|(_, one)| one.name).collect();
        assert_eq!(names, ["X2-slow", "X2", "X6"]);
    }
}
