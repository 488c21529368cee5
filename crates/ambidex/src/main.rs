//! The binary: subcommands, the configuration file, and the wiring of gateway and coordinator into one process.

mod api;
mod cli;
mod config;
mod demo;
mod env;
mod run;
mod system;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
