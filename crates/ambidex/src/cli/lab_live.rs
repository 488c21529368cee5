//! `ambidex lab run`, `lab compare`, `lab ablate`: a scenario's file with real processes, and what came of it.

use std::fs;
use std::path::{Path, PathBuf};

use ambidex_core::time::Span;
use ambidex_lab::live::{Against, Bench, LiveError, Programs, Variant, Which, effects, features, length};
use ambidex_lab::measure::Figures;
use ambidex_lab::report::{Arm, Kind, Report, State};
use ambidex_lab::scenario::{Arrivals, Scenario};
use ambidex_lab::sim;
use clap::Args;

use super::{End, Output, answer, answer_json, colored, complain};
use crate::env;

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    what: What,
    /// How often to run it; figures are medians, with their ranges.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    repeats: usize,
}

#[derive(Debug, Args)]
pub(super) struct CompareArguments {
    #[command(flatten)]
    what: What,
    /// With whom: some of `haproxy`, `nginx`, `envoy`, `traefik`, `rules` (our other rules of weights), and
    /// `steered` (HAProxy and Envoy with a coordinator of ours beside them). Those that are
    /// not installed are told as skipped, with the command that installs them.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', default_values_t = Against::PEERS)]
    against: Vec<Against>,
    /// How often each arm runs; arms alternate.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    repeats: usize,
    /// Which arms: `all`, or `goals` for ours and those that a goal of the scenario compares with.
    #[arg(long, value_name = "WHICH", default_value = "all")]
    arms: Which,
}

#[derive(Debug, Args)]
pub(super) struct AblateArguments {
    #[command(flatten)]
    what: What,
    /// How often each variant runs, in pairs of the same seed.
    #[arg(long, value_name = "COUNT", default_value_t = 5)]
    repeats: usize,
    /// With real processes instead of the simulator.
    #[arg(long)]
    live: bool,
}

#[derive(Debug, Args)]
struct What {
    /// The scenario's file.
    file: PathBuf,
    /// Ends the run so long after its warm-up; an event has ten seconds after it in any case.
    #[arg(long, value_name = "DURATION")]
    duration: Option<Span>,
    /// How often a run is made again whose generator fell behind.
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    again: usize,
    /// Writes the report as one HTML file, too.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Writes the report as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(super) fn run(arguments: &RunArguments, output: Output) -> End {
    let RunArguments { what, repeats } = arguments;
    what.report(output, |scenario| bench(*repeats, what.again)?.run(scenario, &mut tell).map_err(said))
}

pub(super) fn compare(arguments: &CompareArguments, output: Output) -> End {
    let CompareArguments { what, against, repeats, arms } = arguments;
    what.report(output, |scenario| {
        let bench = bench(*repeats, what.again)?;
        let plan = bench.plan(scenario, against, *arms).map_err(said)?;
        tell(&format!("{} arms, {repeats} times each: about {}", plan.arms.len(), plan.length));
        bench.compare(scenario, against, *arms, &mut tell).map_err(said)
    })
}

pub(super) fn ablate(arguments: &AblateArguments, output: Output) -> End {
    let AblateArguments { what, repeats, live } = arguments;
    what.report(output, |scenario| {
        let variants = features(scenario).map_err(said)?;
        let bench = bench(*repeats, what.again)?;
        let runs = if *live {
            let whole = length(scenario, variants.len() * repeats);
            tell(&format!("{} variants, {repeats} times each: at least {whole}", variants.len()));
            bench.variants(&variants, &mut tell).map_err(said)?
        } else {
            simulated(&variants, *repeats)?
        };
        let mut report = Report::new("ablation", scenario, arms(&variants, &runs));
        report.effects = effects(&variants, &runs);
        Ok(report)
    })
}

/// Each variant with the same seeds.
fn simulated(variants: &[Variant], repeats: usize) -> Result<Vec<Vec<Figures>>, String> {
    let one = |variant: &Variant, repeat: usize| {
        if let Arrivals::Trace(file) = &variant.scenario.load.arrivals {
            return Err(format!("arrivals come from {}: an ablation with a trace needs --live", file.display()));
        }
        let seed = variant.scenario.seed.wrapping_add(repeat as u64);
        Ok(sim::simulate(&Scenario { seed, ..variant.scenario.clone() }, None, &[]).figures)
    };
    variants.iter().map(|variant| (0..repeats).map(|repeat| one(variant, repeat)).collect()).collect()
}

/// All together is what the scenario's goals are for; the others stand beside it.
fn arms(variants: &[Variant], runs: &[Vec<Figures>]) -> Vec<Arm> {
    let arm = |(variant, runs): (&Variant, &Vec<Figures>)| Arm {
        name: variant.name.clone(),
        kind: if variant.name == "all" { Kind::Ours } else { Kind::OursOtherwise },
        known_as: vec![variant.name.clone()],
        setup: variant.setup.clone(),
        state: State::Ran(runs.clone()),
    };
    variants.iter().zip(runs).map(arm).collect()
}

impl What {
    /// Reads the scenario, makes the report, and gives it in every form that was asked for.
    fn report(&self, output: Output, make: impl FnOnce(&Scenario) -> Result<Report, String>) -> End {
        let mut scenario = match Scenario::load(&self.file) {
            Ok(scenario) => scenario,
            Err(findings) => {
                complain(&findings.render(colored()));
                return End::Wrong;
            }
        };
        if let Some(duration) = self.duration {
            let needed = scenario.event.map_or(Span::ZERO, |event| event + AFTER_EVENT);
            scenario.duration = scenario.duration.min(duration.max(needed));
        }
        let done = make(&scenario).and_then(|report| {
            write(self.html.as_deref(), || report.html())?;
            write(self.json.as_deref(), || format!("{:#}\n", report.json()))?;
            Ok(report)
        });
        match (done, output) {
            (Ok(report), Output::Text) => answer(&report.to_string()),
            (Ok(report), Output::Json) => answer_json(&report.json()),
            (Err(error), _) => {
                complain(&format!("{}: {error}\n", self.file.display()));
                return End::Failed;
            }
        }
        End::Worked
    }
}

fn write(file: Option<&Path>, text: impl FnOnce() -> String) -> Result<(), String> {
    let Some(file) = file else { return Ok(()) };
    fs::write(file, text()).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    tell(&format!("written to {}", file.display()));
    Ok(())
}

fn bench(repeats: usize, patience: usize) -> Result<Bench, String> {
    if repeats == 0 {
        return Err("--repeats 0 measures nothing".to_owned());
    }
    let binary = env::binary().map_err(|error| format!("cannot find this program's file: {error}"))?;
    let programs = Programs { folders: env::folders_of_programs() };
    Ok(Bench { programs, repeats, patience, ..Bench::new(binary) })
}

/// What is under way, on standard error: the report alone stands on the other.
fn tell(text: &str) {
    complain(&format!("{text}\n"));
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn said(error: LiveError) -> String {
    error.to_string()
}

/// What convergence needs after an event: its final shares are those of a quarter of this.
const AFTER_EVENT: Span = Span::from_secs(10);
