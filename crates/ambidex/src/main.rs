//! The binary: subcommands, the configuration file, and the wiring of gateway and coordinator into one process.

mod cli;
mod config;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
