//! `ambidex lab simulate`: a scenario under a virtual clock, with other picks and rules beside its own.

use std::path::PathBuf;

use ambidex_core::balance::Balance;
use ambidex_core::plan::{PlanConfig, Rule};
use ambidex_lab::measure::Figures;
use ambidex_lab::report::{Arm, Kind, Report, State};
use ambidex_lab::scenario::Scenario;
use ambidex_lab::sim::{self, Oracle};
use clap::Args;
use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer};

use super::{End, Output, answer, answer_json, colored, complain};

#[derive(Debug, Args)]
pub(super) struct SimulateArguments {
    /// The scenario's file.
    file: PathBuf,
    /// Seed of the first run. Default: the scenario's.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// How many seeds are run, one after the other; figures are medians, with their ranges.
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    repeats: u64,
    /// Picks to compare, as `balance:` names them; and `join-shortest-queue` and `join-idle-queue`, which know what no
    /// gateway can. Default: the scenario's.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    balance: Vec<Pick>,
    /// Rules of weights to compare, as `weights:` names them. Default: the scenario's.
    #[arg(long, value_name = "NAME,..", value_delimiter = ',')]
    weights: Vec<Weigh>,
}

/// Who chooses.
#[derive(Clone, Debug)]
enum Pick {
    Ours(String, Balance),
    Knowing(String, Oracle),
}

/// Who weighs.
#[derive(Clone, Debug)]
struct Weigh(String, Rule);

impl std::str::FromStr for Pick {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        if let Some((_, oracle)) = Oracle::NAMES.iter().find(|(known, _)| *known == name) {
            return Ok(Self::Knowing(name.to_owned(), *oracle));
        }
        let read = Balance::deserialize(StrDeserializer::<Error>::new(name));
        read.map(|balance| Self::Ours(name.to_owned(), balance)).map_err(|error| error.to_string())
    }
}

impl std::str::FromStr for Weigh {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let read = Rule::deserialize(StrDeserializer::<Error>::new(name));
        read.map(|rule| Self(name.to_owned(), rule)).map_err(|error| error.to_string())
    }
}

pub(super) fn run(arguments: &SimulateArguments, output: Output) -> End {
    let mut scenario = match Scenario::load(&arguments.file) {
        Ok(scenario) => scenario,
        Err(findings) => {
            complain(&findings.render(colored()));
            return End::Wrong;
        }
    };
    scenario.seed = arguments.seed.unwrap_or(scenario.seed);
    let trace = match sim::trace_of(&scenario) {
        Ok(trace) => trace,
        Err(error) => {
            complain(&format!("{error}\n"));
            return End::Wrong;
        }
    };
    let arms = arguments.arms(&scenario).into_iter().map(|Setup { arm, scenario, oracle }| {
        let one = |repeat| {
            let seed = scenario.seed.wrapping_add(repeat);
            sim::simulate(&Scenario { seed, ..scenario.clone() }, oracle, &trace).figures
        };
        Arm { state: State::Ran((0..arguments.repeats).map(one).collect::<Vec<Figures>>()), ..arm }
    });
    let report = Report::new("simulation", &scenario, arms.collect());
    match output {
        Output::Text => answer(&report.to_string()),
        Output::Json => answer_json(&report.json()),
    }
    End::Worked
}

/// An arm before it has run.
struct Setup {
    arm: Arm,
    scenario: Scenario,
    oracle: Option<Oracle>,
}

impl SimulateArguments {
    /// Every pick with every rule; one of the scenario's own where nothing is named. The first is what its goals are for.
    fn arms(&self, scenario: &Scenario) -> Vec<Setup> {
        let picks: Vec<Option<&Pick>> =
            if self.balance.is_empty() { vec![None] } else { self.balance.iter().map(Some).collect() };
        let rules: Vec<Option<&Weigh>> =
            if self.weights.is_empty() { vec![None] } else { self.weights.iter().map(Some).collect() };
        let pairs = picks.iter().flat_map(|pick| rules.iter().map(move |rule| (*pick, *rule)));
        pairs.enumerate().map(|(at, (pick, rule))| setup(scenario, at == 0, pick, rule)).collect()
    }
}

fn setup(scenario: &Scenario, first: bool, pick: Option<&Pick>, rule: Option<&Weigh>) -> Setup {
    let mut scenario = scenario.clone();
    let (mut names, mut oracle) = (Vec::new(), None);
    match pick {
        Some(Pick::Ours(name, balance)) => {
            scenario.balancer.balance = *balance;
            names.push(name.as_str());
        }
        Some(Pick::Knowing(name, knowing)) => {
            oracle = Some(*knowing);
            names.push(name.as_str());
        }
        None => {}
    }
    if let Some(Weigh(name, rule)) = rule {
        scenario.balancer.weights = PlanConfig::of(*rule);
        names.push(name.as_str());
    }
    let name = if names.is_empty() { "as written".to_owned() } else { names.join(", ") };
    let known_as = names.iter().flat_map(|name| [(*name).to_owned(), name.replace('-', " ")]).collect();
    let kind = if first { Kind::Ours } else { Kind::OursOtherwise };
    let arm = Arm { name, kind, known_as, setup: Vec::new(), state: State::Ran(Vec::new()) };
    Setup { arm, scenario, oracle }
}
