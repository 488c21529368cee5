//! The command line: what can be asked of the binary, and what each answer looks like.
//!
//! Exit codes: 0 it worked; 1 it did not; 2 the command or the configuration is wrong, or it cannot be told.

mod agent;
mod ask;
mod change;
mod check;
mod config;
mod diagnose;
mod drill;
mod envoy;
mod export;
mod gate;
mod grpc;
mod lab;
mod lab_live;
mod modes;
mod pilot;
mod publishers;
mod replay;
mod review;
mod score;
mod serve;
mod shard;
mod simulate;
mod trial;
mod xds;
mod zones;

use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use ambidex_core::time::Span;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::api::{Api, ApiError};
use crate::standalone::Standalone;
use crate::system::System;
use crate::{demo, env};

/// A gateway whose weights follow what its workers can carry, and that says why.
///
/// Exit codes: 0 it worked; 1 it did not; 2 the command or the configuration is wrong.
#[derive(Debug, Parser)]
#[command(name = "ambidex", version, disable_help_subcommand = true)]
struct Cli {
    /// How answers are written.
    #[arg(long, global = true, value_enum, default_value_t)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

/// How answers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs: JSON with a `schema_version`.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway and the coordinator of a configuration file.
    Run {
        /// The configuration file.
        file: PathBuf,
    },
    /// Run a coordinator by itself: it decides weights for request paths in other processes.
    Coordinator {
        /// The configuration file, with `pools:` and without listeners.
        file: PathBuf,
        /// Put back what was found in the proxies that `publish:` names, before the first change there, and end.
        #[arg(long)]
        release: bool,
    },
    /// Run a gateway in front of workers, without a file.
    Proxy(serve::ProxyArguments),
    /// Stand before one worker, in any language: shed what it has no room for, report its load on every answer.
    Agent(Box<agent::AgentArguments>),
    /// Show it: unlike workers, load, gateway and dashboard, all in this process.
    Demo {
        /// End by itself after this long.
        #[arg(long = "for", value_name = "DURATION")]
        length: Option<Span>,
        /// Where the dashboard listens.
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9901")]
        admin: SocketAddr,
    },
    /// Check a configuration file without using it.
    Check {
        /// The configuration file.
        file: PathBuf,
    },
    /// What can be configured, what is, what was, and how two configurations differ.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// The workers of a running gateway, with their weights and why.
    Workers(AdminArguments),
    /// Why something is as it is.
    #[command(subcommand)]
    Explain(ask::ExplainCommand),
    /// What the coordinator decided.
    Decisions(ask::DecisionsArguments),
    /// Keyspaces: who owns which slice of the keys; move, split, merge and drain them.
    #[command(subcommand)]
    Shard(shard::ShardCommand),
    /// Slots of a Redis or Valkey Cluster that is there already: move them by their load, repair what a move left half open.
    #[command(subcommand)]
    Pilot(pilot::PilotCommand),
    /// Failure modes of the pools, what is done about them, and what waits for approval.
    Modes(AdminArguments),
    /// Zones of the pools: how full each is, where its requests go, and why.
    Zones(AdminArguments),
    /// What carries the weights to other proxies and files, and how far it got.
    Publishers(AdminArguments),
    /// Let a runbook do what it proposed.
    Approve(modes::ApproveArguments),
    /// Give a worker nothing new; it finishes what it has.
    Drain(change::WorkerArguments),
    /// Give a drained worker traffic again.
    Undrain(change::WorkerArguments),
    /// Hold a worker's weight where you say.
    Pin(change::PinArguments),
    /// Let the loop decide a worker's weight again.
    Unpin(change::WorkerArguments),
    /// Hold all weights of a pool where they are.
    Freeze(change::PoolArguments),
    /// Let the loop decide the weights of a pool again.
    Unfreeze(change::PoolArguments),
    /// Put a fault on the way to one worker on purpose, and see what is done about it.
    #[command(subcommand)]
    Drill(drill::DrillCommand),
    /// Give a path a growing share of the requests, and judge it against a control group.
    #[command(subcommand)]
    Canary(trial::CanaryCommand),
    /// Send all requests of a pool to another path at once, and back.
    #[command(subcommand)]
    Switch(trial::SwitchCommand),
    /// Let a growing share of the requests go by learned weights, and compare them with the configured ones.
    #[command(subcommand)]
    Experiment(trial::ExperimentCommand),
    /// Envoys that take their clusters and weights from a coordinator.
    #[command(subcommand)]
    Envoy(envoy::EnvoyCommand),
    /// gRPC clients that take their workers and weights from a coordinator.
    #[command(subcommand)]
    Grpc(grpc::GrpcCommand),
    /// Read what exists (logs, metrics, files), and say which node is overloaded, why, and what to do. Changes nothing.
    Diagnose(Box<diagnose::DiagnoseArguments>),
    /// What became of the doctor's findings: suppose, try, propose, approve, carry out, watch, record.
    #[command(subcommand)]
    Review(review::ReviewCommand),
    /// Fail a pipeline when load lies less evenly on the workers than it did.
    Gate(gate::GateArguments),
    /// Send recorded traffic again, at its gaps, and see what became of its answers.
    Replay(Box<replay::ReplayArguments>),
    /// Parts of the laboratory: programmable workers, and load.
    #[command(subcommand)]
    Lab(lab::LabCommand),
    /// What other tools read of this one.
    #[command(subcommand)]
    Export(export::ExportCommand),
    /// A completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// The version of this binary.
    Version,
}

/// Which gateway is asked.
#[derive(Debug, Args)]
pub(crate) struct AdminArguments {
    /// The admin API of the gateway. Default: `$AMBIDEX_ADMIN`, else 127.0.0.1:9901.
    #[arg(long, value_name = "URL")]
    admin: Option<String>,
}

impl AdminArguments {
    fn api(&self) -> Result<Api, ApiError> {
        Api::at(self.admin.as_deref())
    }
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It worked.
    Worked,
    /// It did not.
    Failed,
    /// The command or the configuration is wrong.
    Wrong,
    /// It cannot be told whether it worked.
    Unclear,
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        Self::from(match end {
            End::Worked => 0,
            End::Failed => 1,
            End::Wrong | End::Unclear => 2,
        })
    }
}

pub(crate) fn main() -> ExitCode {
    let Cli { output, command } = Cli::parse();
    let asked = match command {
        Command::Run { file } => Ok(serve::run::<System>(&file, output)),
        Command::Coordinator { file, release: false } => Ok(serve::run::<Standalone>(&file, output)),
        Command::Coordinator { file, release: true } => Ok(serve::release(&file, output)),
        Command::Proxy(arguments) => Ok(serve::proxy(&arguments, output)),
        Command::Agent(arguments) => Ok(agent::run(&arguments, output)),
        Command::Demo { length, admin } => Ok(demo::run(length, admin)),
        Command::Check { file } => Ok(check::run(&file, output)),
        Command::Config(command) => config::run(&command, output),
        Command::Workers(admin) => ask::workers(&admin, output),
        Command::Explain(command) => ask::explain(&command, output),
        Command::Decisions(arguments) => ask::decisions(&arguments, output),
        Command::Shard(command) => shard::run(&command, output),
        Command::Pilot(command) => pilot::run(&command, output),
        Command::Modes(admin) => modes::list(&admin, output),
        Command::Zones(admin) => zones::list(&admin, output),
        Command::Publishers(admin) => publishers::list(&admin, output),
        Command::Approve(arguments) => modes::approve(&arguments, output),
        Command::Drain(arguments) => change::worker("drain", &arguments, output),
        Command::Undrain(arguments) => change::worker("undrain", &arguments, output),
        Command::Pin(arguments) => change::pin(&arguments, output),
        Command::Unpin(arguments) => change::worker("unpin", &arguments, output),
        Command::Freeze(arguments) => change::pool("freeze", &arguments, output),
        Command::Unfreeze(arguments) => change::pool("unfreeze", &arguments, output),
        Command::Drill(command) => drill::run(&command, output),
        Command::Canary(command) => trial::canary(&command, output),
        Command::Switch(command) => trial::switch(&command, output),
        Command::Experiment(command) => trial::experiment(&command, output),
        Command::Envoy(command) => Ok(envoy::run(&command, output)),
        Command::Grpc(command) => Ok(grpc::run(&command, output)),
        Command::Diagnose(arguments) => Ok(diagnose::run(&arguments, output)),
        Command::Review(command) => Ok(review::run(&command, output)),
        Command::Gate(arguments) => gate::run(&arguments, output),
        Command::Replay(arguments) => Ok(replay::run(&arguments, output)),
        Command::Lab(command) => Ok(lab::run(&command, output)),
        Command::Export(command) => Ok(export::run(&command)),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "ambidex", &mut script);
            answer(&String::from_utf8_lossy(&script));
            Ok(End::Worked)
        }
        Command::Version => {
            version(output);
            Ok(End::Worked)
        }
    };
    match asked {
        Ok(end) => end.into(),
        Err(error) => {
            complain(&format!("{error}\n"));
            let wrong = matches!(error, ApiError::Url(_));
            if wrong { End::Wrong } else { End::Failed }.into()
        }
    }
}

fn version(output: Output) {
    let version = env!("CARGO_PKG_VERSION");
    match output {
        Output::Text => answer(&format!("ambidex {version}\n")),
        Output::Json => answer_json(&serde_json::json!({"schema_version": 1, "version": version})),
    }
}

/// Writes an answer. Whoever reads it may leave early (`| head`); that is no error.
pub(crate) fn answer(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// Writes an answer for programs.
pub(crate) fn answer_json(value: &serde_json::Value) {
    answer(&format!("{value:#}\n"));
}

/// Writes what went wrong.
pub(crate) fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Whether errors are read by a person on a terminal that shows colours.
pub(crate) fn colored() -> bool {
    io::stderr().is_terminal() && !env::colorless()
}

/// `1 pool`, `2 pools`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
