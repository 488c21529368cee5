//! `ambidex lab ..`: the laboratory's worker and load, from a terminal.
//!
//! Options are written as in a file, `KEY=VALUE`, and read by the same reader: a wrong one is pointed at, an unknown one
//! gets a suggestion, and no option of the laboratory has to be repeated here.

use ambidex_lab::load::{self, LoadOptions};
use ambidex_lab::worker::{self, WorkerOptions};
use clap::Subcommand;
use serde::de::DeserializeOwned;

use super::{End, Output, colored, complain};
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
}

const WORKER_OPTIONS: &str = "Examples:
  ambidex lab worker listen=127.0.0.1:9000 slots=4
  ambidex lab worker name=slow slowdown=4 error_share=1% 'pauses={length: 200ms, every: 2s}'";

const LOAD_OPTIONS: &str = "Example:
  ambidex lab load target=127.0.0.1:8080 rate=500 duration=10s connections=64";

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
    }
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
