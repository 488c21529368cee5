//! `ambidex config ..`: what can be configured, what is, and how two configurations differ.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::{End, Output, answer, colored, complain};
use crate::config::effective::Effective;
use crate::config::{self, Config, diff, schema};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// What can be configured: every key, what it takes, its default and where that comes from.
    Schema,
    /// The configuration of a file, with what is not given filled in.
    Show {
        /// The configuration file.
        file: PathBuf,
        /// Say of each value where it came from: a line of the file, or a default and its source.
        #[arg(long)]
        effective: bool,
    },
    /// What two configurations do differently.
    Diff {
        /// The configuration file to start from.
        from: PathBuf,
        /// The one to compare it with.
        to: PathBuf,
    },
    /// The table of all defaults, generated from the code.
    #[command(hide = true)]
    Defaults {
        /// As `docs/defaults.md`.
        #[arg(long)]
        markdown: bool,
    },
}

pub(super) fn run(command: &ConfigCommand, output: Output) -> End {
    match command {
        ConfigCommand::Schema => match output {
            Output::Text => answer(&schema::text()),
            Output::Json => answer(&format!("{:#}\n", schema::json())),
        },
        ConfigCommand::Defaults { markdown: true } => answer(&schema::markdown()),
        ConfigCommand::Defaults { markdown: false } => {
            answer(&format!("{:#}\n", serde_json::json!({"schema_version": 1, "keys": schema::keys()})));
        }
        ConfigCommand::Show { file, effective } => return show(file, *effective, output),
        ConfigCommand::Diff { from, to } => return compare(from, to, output),
    }
    End::Worked
}

fn show(path: &Path, with_origins: bool, output: Output) -> End {
    let Some(config) = loaded(path) else { return End::Wrong };
    let effective = Effective::of(&config);
    match (output, with_origins) {
        (Output::Text, true) => answer(&effective.yaml(true)),
        (Output::Text, false) => answer(&effective.yaml(false)),
        (Output::Json, true) => {
            let values: Vec<_> = effective.leaves.values().collect();
            answer(&format!("{:#}\n", serde_json::json!({"schema_version": 1, "values": values})));
        }
        (Output::Json, false) => {
            answer(&format!("{:#}\n", serde_json::json!({"schema_version": 1, "config": effective.value})));
        }
    }
    End::Worked
}

fn compare(from: &Path, to: &Path, output: Output) -> End {
    let (Some(from), Some(to)) = (loaded(from), loaded(to)) else { return End::Wrong };
    let changes = diff::between(&Effective::of(&from).value, &Effective::of(&to).value);
    match output {
        Output::Text if changes.is_empty() => answer("no difference\n"),
        Output::Text => answer(&diff::text(&changes)),
        Output::Json => answer(&format!("{:#}\n", serde_json::json!({"schema_version": 1, "changes": changes}))),
    }
    End::Worked
}

/// A usable configuration; else what is wrong with it has been said.
pub(super) fn loaded(path: &Path) -> Option<Config> {
    match config::load(path) {
        Ok(config) => {
            complain(&config.findings.render(colored()));
            Some(config)
        }
        Err(findings) => {
            complain(&findings.render(colored()));
            None
        }
    }
}
