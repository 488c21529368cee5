//! `ambidex lab ..`: the laboratory's worker, its load, its scenarios, and load models, from a terminal.
//!
//! Options are written as in a file, `KEY=VALUE`, and read by the same reader: a wrong one is pointed at, an unknown one
//! gets a suggestion, and no option of the laboratory has to be repeated here.

use std::path::{Path, PathBuf};

use ambidex_lab::fit::{self, FitOptions, Part};
use ambidex_lab::load::{self, LoadOptions};
use ambidex_lab::replay::Source;
use ambidex_lab::worker::{self, WorkerOptions};
use clap::Subcommand;
use serde::de::DeserializeOwned;

use super::lab_live::{self, AblateArguments, CompareArguments, RunArguments};
use super::{End, Output, answer, answer_json, colored, complain, score, simulate};
use crate::config;

#[derive(Debug, Subcommand)]
pub(super) enum LabCommand {
    /// Run a programmable worker until Ctrl-C.
    #[command(after_help = WORKER_OPTIONS)]
    Worker {
        /// Options, such as `name=a slots=4 service=10ms`.
        #[arg(value_name = "KEY=VALUE")]
        options: Vec<String>,
    },
    /// Send open-loop load and print what came of it.
    #[command(after_help = LOAD_OPTIONS)]
    Load {
        /// Options, such as `target=127.0.0.1:8080 rate=500 duration=10s`.
        #[arg(value_name = "KEY=VALUE")]
        options: Vec<String>,
    },
    /// Run a scenario with real processes: workers, this gateway before them, load.
    Run(RunArguments),
    /// Run a scenario with this gateway and with other balancers, one at a time, alternating.
    Compare(CompareArguments),
    /// Measure what each feature does in a scenario: without any, with each alone, with all.
    Ablate(AblateArguments),
    /// Run a scenario under a virtual clock, with the code that gateways run: the same figures for the same seed.
    #[command(after_help = SIMULATE_OPTIONS)]
    Simulate(simulate::SimulateArguments),
    /// Score the failure-mode detectors on simulated runs whose trouble is known: precision, recall, time to detect.
    Score(score::ScoreArguments),
    /// Turn a recording into a load model, written as the `load:` of a scenario.
    Fit {
        /// A recording of a gateway (`record:`), a HAR (`.har`) or a file of GoReplay (`.gor`); `-` reads a recording
        /// from standard input.
        file: PathBuf,
        /// What names the thing that a request is about: `path`, `host`, `header:NAME` or `query:NAME`. Default: its
        /// path, where that names one.
        #[arg(long, value_name = "PART")]
        key: Option<Part>,
        /// What names the one on whose behalf it comes. Default: its host.
        #[arg(long, value_name = "PART")]
        tenant: Option<Part>,
        /// Write when each request came into this file, and have the section name it: for arrivals in bursts.
        #[arg(long, value_name = "FILE")]
        trace: Option<PathBuf>,
    },
}

const SIMULATE_OPTIONS: &str = "Examples:
  ambidex lab simulate lab/scenarios/x6.yaml
  ambidex lab simulate lab/scenarios/x2.yaml --repeats 5 --balance auto,p2c,join-shortest-queue
  ambidex lab simulate lab/scenarios/x2.yaml --weights capacity,headroom,tail-latency,static

Scenarios are described in docs/scenarios.md.";

const WORKER_OPTIONS: &str = "Examples:
  ambidex lab worker listen=127.0.0.1:9000 slots=4
  ambidex lab worker name=slow slowdown=4 error_share=1% 'pauses={length: 200ms, every: 2s}'
  ambidex lab worker 'faults=[{what: slowdown, to: 10, curve: {step: {at: 20s}}}]'

All options, faults and curves are in docs/lab.md.";

const LOAD_OPTIONS: &str = "Examples:
  ambidex lab load target=127.0.0.1:8080 rate=500 duration=10s connections=64
  ambidex lab load target=127.0.0.1:8080 http=2 connections=4 'keys={count: 1000, zipf: 1.0}'

All options are in docs/lab.md.";

pub(super) fn run(command: &LabCommand, output: Output) -> End {
    match command {
        LabCommand::Worker { options } => match read::<WorkerOptions>(options) {
            Some(options) => work(options),
            None => End::Wrong,
        },
        LabCommand::Load { options } => match read::<LoadOptions>(options) {
            Some(options) => told(load::run(options, output == Output::Json).map(|_| ())),
            None => End::Wrong,
        },
        LabCommand::Run(arguments) => lab_live::run(arguments, output),
        LabCommand::Compare(arguments) => lab_live::compare(arguments, output),
        LabCommand::Ablate(arguments) => lab_live::ablate(arguments, output),
        LabCommand::Simulate(arguments) => simulate::run(arguments, output),
        LabCommand::Score(arguments) => score::run(arguments, output),
        LabCommand::Fit { file, key, tenant, trace } => {
            fitted(file, &FitOptions { key: key.clone(), tenant: tenant.clone() }, trace.as_deref(), output)
        }
    }
}

fn fitted(file: &Path, options: &FitOptions, trace: Option<&Path>, output: Output) -> End {
    let source = match Source::open(file) {
        Ok(source) => source,
        Err(error) => return told(Err(error)),
    };
    let model = match fit::fit(&source, options) {
        Ok(model) => model,
        Err(error) => return told(Err(error)),
    };
    if let Some(path) = trace {
        let written = match fit::trace(&source) {
            Ok(times) => std::fs::write(path, times).map_err(|error| format!("{}: {error}", path.display())),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = written {
            return told(Err(error));
        }
    }
    let trace = trace.map(|path| path.display().to_string());
    match output {
        Output::Text => answer(&model.scenario(trace.as_deref())),
        Output::Json => answer_json(&serde_json::to_value(&model).unwrap_or_default()),
    }
    End::Worked
}

fn work(options: WorkerOptions) -> End {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => told(runtime.block_on(worker::run(options))),
        Err(error) => told(Err(error)),
    }
}

fn told<E: std::fmt::Display>(result: Result<(), E>) -> End {
    match result {
        Ok(()) => End::Worked,
        Err(error) => {
            complain(&format!("{error}\n"));
            End::Failed
        }
    }
}

/// Reads options; what is wrong with them has been said when there are none.
fn read<T: DeserializeOwned>(options: &[String]) -> Option<T> {
    let lines: Vec<String> = options.iter().map(|option| option.replacen('=', ": ", 1)).collect();
    match config::read_as("the options", format!("{}\n", lines.join("\n"))) {
        Ok(options) => Some(options),
        Err(findings) => {
            complain(&findings.render(colored()));
            None
        }
    }
}
