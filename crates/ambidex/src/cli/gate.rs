//! `ambidex gate`: fails a pipeline when load lies less evenly on the workers than it did.

use std::fs;
use std::path::{Path, PathBuf};

use ambidex_core::share::Share;
use ambidex_core::time::Span;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{AdminArguments, End, Output, answer, answer_json, complain, counted};
use crate::api::ApiError;
use crate::config;
use crate::gate::{self, Limits, Run, Verdict};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = CODES)]
pub(super) struct GateArguments {
    #[command(subcommand)]
    command: Option<GateCommand>,
    /// The run to compare with: our JSON, CSV, or what `ambidex lab .. --output json` printed.
    #[arg(long, value_name = "FILE", required = true)]
    baseline: Option<PathBuf>,
    /// The run to judge, in the same forms.
    #[arg(long, value_name = "FILE", required = true)]
    run: Option<PathBuf>,
    /// What the spread of relative loads (`w_adj`, at its upper 95 % bound) may be.
    #[arg(long, value_name = "NUMBER", default_value_t = LIMIT, value_parser = spread)]
    limit: f64,
    /// How much a worker can carry, beside the others; says more than the files do.
    #[arg(long, value_name = "[POOL/]WORKER=NUMBER", value_parser = capacity)]
    capacity: Vec<Capacity>,
    /// Fail also when the 99th percentile of latency is over this.
    #[arg(long, value_name = "DURATION")]
    most_p99: Option<Span>,
    /// Fail also when more than this share of the requests failed.
    #[arg(long, value_name = "SHARE")]
    most_failed: Option<Share>,
    /// Write the report as JUnit XML, too.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum GateCommand {
    /// Count a running gateway's requests for a while, and write them down to be judged.
    Record {
        /// Where to write.
        file: PathBuf,
        /// For how long.
        #[arg(long = "for", value_name = "DURATION", default_value = "60s")]
        length: Span,
        #[command(flatten)]
        admin: AdminArguments,
    },
}

const CODES: &str = "Exit codes: 0 it passes; 1 it fails; 2 it cannot be told, or the command or a file is wrong.";

pub(super) fn run(arguments: &GateArguments, output: Output) -> Result<End, ApiError> {
    if let Some(GateCommand::Record { file, length, admin }) = &arguments.command {
        return record(file, *length, admin, output);
    }
    Ok(match judged(arguments) {
        Ok((report, xml)) => {
            match output {
                Output::Text => answer(&gate::text(&report)),
                Output::Json => answer_json(&told(&report)),
            }
            match xml {
                Ok(()) => end(report.verdict),
                Err(problem) => wrong(&problem),
            }
        }
        Err(problem) => wrong(&problem),
    })
}

/// The report, and whether its JUnit file could be written.
fn judged(arguments: &GateArguments) -> Result<(gate::Report, Result<(), String>), String> {
    let GateArguments { baseline, run, limit, capacity, most_p99, most_failed, junit, .. } = arguments;
    let (Some(baseline), Some(run)) = (baseline, run) else { return Err("give --baseline FILE and --run FILE".into()) };
    let read = |file: &Path| gate::read(file).map_err(|error| error.to_string());
    let (mut baseline, mut run) = (read(baseline)?, read(run)?);
    for capacity in capacity {
        capacity.apply(&mut baseline, &mut run)?;
    }
    let limits = Limits { spread: *limit, p99: *most_p99, failed: *most_failed };
    let report = gate::judge(&baseline, &run, limits);
    let written = junit.as_ref().map_or(Ok(()), |file| write(file, &gate::junit(&report)));
    Ok((report, written))
}

fn record(file: &Path, length: Span, admin: &AdminArguments, output: Output) -> Result<End, ApiError> {
    let run = gate::record(&admin.api()?, length)?;
    let text = serde_json::to_string_pretty(&run).expect("counts and names are JSON");
    if let Err(problem) = write(file, &(text + "\n")) {
        return Ok(wrong(&problem));
    }
    let requests: u64 = run.pools.iter().map(gate::PoolRun::requests).sum();
    match output {
        Output::Text => {
            let pools = counted(run.pools.len(), "pool");
            answer(&format!("{requests} requests to {pools} in {length}, written to {}\n", file.display()));
        }
        Output::Json => answer_json(&json!({"schema_version": 1, "file": file, "requests": requests})),
    }
    Ok(End::Worked)
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    fs::write(file, text).map_err(|error| format!("{} cannot be written: {error}", file.display()))
}

fn told(report: &gate::Report) -> serde_json::Value {
    let mut value = serde_json::to_value(report).expect("figures and names are JSON");
    value["schema_version"] = 1.into();
    value
}

fn end(verdict: Verdict) -> End {
    match verdict {
        Verdict::Pass => End::Worked,
        Verdict::Fail => End::Failed,
        Verdict::Inconclusive => End::Unclear,
    }
}

fn wrong(problem: &str) -> End {
    complain(&format!("{problem}\n"));
    End::Wrong
}

/// What a worker can carry, as given on the command line.
#[derive(Clone, Debug)]
struct Capacity {
    /// As written: a worker, or its pool and the worker.
    worker: String,
    number: f64,
}

impl Capacity {
    /// Puts it in both runs.
    fn apply(&self, baseline: &mut Run, run: &mut Run) -> Result<(), String> {
        let (mut found, mut names) = (false, Vec::new());
        for pool in baseline.pools.iter_mut().chain(&mut run.pools) {
            for worker in &mut pool.workers {
                if worker.name == self.worker || format!("{}/{}", pool.name, worker.name) == self.worker {
                    worker.capacity = self.number;
                    found = true;
                } else {
                    names.push(worker.name.clone());
                }
            }
        }
        if found {
            return Ok(());
        }
        let (message, help) = config::unknown("worker", &self.worker, names.iter().map(String::as_str));
        Err(help.map_or_else(|| message.clone(), |help| format!("{message}; {help}")))
    }
}

fn capacity(text: &str) -> Result<Capacity, String> {
    let given = text.rsplit_once('=').and_then(|(worker, number)| Some((worker, number.parse::<f64>().ok()?)));
    match given.filter(|(_, number)| number.is_finite() && *number > 0.0) {
        Some((worker, number)) => Ok(Capacity { worker: worker.to_owned(), number }),
        None => Err("write a worker and a number over 0, such as `big=4`".to_owned()),
    }
}

fn spread(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.01..=10.0).contains(number));
    number.ok_or_else(|| "write a number from 0.01 to 10, such as `0.25`".to_owned())
}

/// What `w_adj` may be unless told otherwise. Source: diagnosis.md "alerts" (warn).
const LIMIT: f64 = 0.25;
