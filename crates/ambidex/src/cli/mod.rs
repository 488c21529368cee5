//! The command line: what can be asked of the binary, and what each answer looks like.
//!
//! Exit codes: 0 it worked; 1 it did not; 2 the command or the configuration is wrong.

mod check;
mod config;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

/// A gateway whose weights follow what its workers can carry, and that says why.
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
    /// Check a configuration file without using it.
    Check {
        /// The configuration file.
        file: PathBuf,
    },
    /// What can be configured, what is, and how two configurations differ.
    #[command(subcommand)]
    Config(config::ConfigCommand),
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
}

impl From<End> for ExitCode {
    fn from(end: End) -> Self {
        Self::from(match end {
            End::Worked => 0,
            End::Failed => 1,
            End::Wrong => 2,
        })
    }
}

pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Command::Check { file } => check::run(&file, cli.output),
        Command::Config(command) => config::run(&command, cli.output),
    }
    .into()
}

/// Writes an answer. Whoever reads it may leave early (`| head`); that is no error.
pub(crate) fn answer(text: &str) {
    let _ = io::stdout().lock().write_all(text.as_bytes());
}

/// Writes what went wrong.
pub(crate) fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Whether errors are read by a person on a terminal.
pub(crate) fn colored() -> bool {
    io::stderr().is_terminal()
}

/// `1 pool`, `2 pools`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
