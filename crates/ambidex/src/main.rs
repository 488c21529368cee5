//! The binary: subcommands, the configuration file, and the wiring of gateway and coordinator into one process.

mod agent;
mod api;
mod cli;
mod clock;
mod config;
mod demo;
mod doctor;
mod env;
mod gate;
mod logging;
mod review;
mod run;
mod standalone;
mod system;
mod tables;

use std::process::ExitCode;

fn main() -> ExitCode {
    // Two providers could be meant otherwise; the first bare builder would panic. An error means that it is there.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    cli::main()
}
