//! `ambidex config ..`: what can be configured, what is, and how two configurations differ.

mod probation;

use std::path::{Path, PathBuf};

use ambidex_control::clock::wall_millis;
use ambidex_core::time::Span;
use clap::Subcommand;

use serde_json::{Value, json};

use super::change::{Consent, perform};
use super::{AdminArguments, End, Output, answer, answer_json, colored, complain};
use crate::api::ApiError;
use crate::config::effective::Effective;
use crate::config::{self, Config, CoordinatorFile, File, Form, Known, diff, schema};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// What can be configured: every key, what it takes, its default and where that comes from.
    Schema {
        /// In a file for `ambidex coordinator`, not in one for `ambidex run`.
        #[arg(long)]
        coordinator: bool,
    },
    /// The configuration of a file or of the running gateway, with what is not given filled in.
    Show {
        /// The configuration file; without one the running gateway's configuration is shown.
        file: Option<PathBuf>,
        /// Say of each value where it came from: a line of the file, or a default and its source.
        #[arg(long)]
        effective: bool,
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// What two configurations do differently: two files, or the running gateway and a file.
    Diff {
        /// The configuration file to start from; the only one is compared with the running gateway.
        from: PathBuf,
        /// The one to compare it with.
        to: Option<PathBuf>,
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// The configurations that the running gateway has had.
    History {
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// Make the running gateway read its file again.
    Reload {
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// Make the running gateway go back to the configuration before the current one.
    Rollback {
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// Whether the configuration in force is on probation, and what clients get by it and got before it.
    Probation {
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// Take the configuration on probation as it is; or the file's, though it was gone back from.
    Accept {
        #[command(flatten)]
        consent: Consent,
        #[command(flatten)]
        admin: AdminArguments,
    },
    /// The table of all defaults, generated from the code.
    #[command(hide = true)]
    Defaults {
        /// As `docs/defaults.md`.
        #[arg(long)]
        markdown: bool,
    },
}

pub(super) fn run(command: &ConfigCommand, output: Output) -> Result<End, ApiError> {
    match command {
        ConfigCommand::Schema { coordinator } => match (output, coordinator) {
            (Output::Text, false) => answer(&schema::text::<File>()),
            (Output::Text, true) => answer(&schema::text::<CoordinatorFile>()),
            (Output::Json, false) => answer_json(&schema::json::<File>()),
            (Output::Json, true) => answer_json(&schema::json::<CoordinatorFile>()),
        },
        ConfigCommand::Defaults { markdown: true } => answer(&schema::markdown()),
        ConfigCommand::Defaults { markdown: false } => {
            answer_json(&json!({"schema_version": 1, "keys": schema::keys::<File>()}));
        }
        ConfigCommand::Show { file, effective, admin } => return show(file.as_deref(), *effective, admin, output),
        ConfigCommand::Diff { from, to, admin } => return compare(from, to.as_deref(), admin, output),
        ConfigCommand::History { admin } => return history(admin, output),
        ConfigCommand::Reload { consent, admin } => {
            let api = admin.api()?;
            let what = "read the configuration file again and put it in force";
            return perform(&api, what, "/api/v1/config/reload", &json!({}), consent, output);
        }
        ConfigCommand::Rollback { consent, admin } => {
            let api = admin.api()?;
            let what = "go back to the configuration before the current one";
            return perform(&api, what, "/api/v1/config/rollback", &json!({}), consent, output);
        }
        ConfigCommand::Probation { admin } => return probation::show(&admin.api()?, output),
        ConfigCommand::Accept { consent, admin } => {
            let api = admin.api()?;
            let what = "take the configuration on probation as it is, or the file's that was gone back from";
            return perform(&api, what, "/api/v1/config/accept", &json!({}), consent, output);
        }
    }
    Ok(End::Worked)
}

fn show(path: Option<&Path>, with_origins: bool, admin: &AdminArguments, output: Output) -> Result<End, ApiError> {
    let shown = match path {
        Some(path) => effective(path),
        None => admin.api()?.get("/api/v1/config")?.get("config").and_then(Effective::told),
    };
    let Some(effective) = shown else { return Ok(End::Wrong) };
    match (output, with_origins) {
        (Output::Text, true) => answer(&effective.yaml(true)),
        (Output::Text, false) => answer(&effective.yaml(false)),
        (Output::Json, true) => {
            let values: Vec<_> = effective.leaves.values().collect();
            answer_json(&json!({"schema_version": 1, "values": values}));
        }
        (Output::Json, false) => {
            answer_json(&json!({"schema_version": 1, "config": effective.value}));
        }
    }
    Ok(End::Worked)
}

fn compare(from: &Path, to: Option<&Path>, admin: &AdminArguments, output: Output) -> Result<End, ApiError> {
    let (old, new) = match to {
        Some(to) => (values(from), values(to)),
        // What runs is what a file would change.
        None => (admin.api()?.get("/api/v1/config")?.pointer("/config/values").cloned(), values(from)),
    };
    let (Some(old), Some(new)) = (old, new) else { return Ok(End::Wrong) };
    let changes = diff::between(&old, &new);
    match output {
        Output::Text if changes.is_empty() => answer("no difference\n"),
        Output::Text => answer(&diff::text(&changes)),
        Output::Json => answer_json(&json!({"schema_version": 1, "changes": changes})),
    }
    Ok(End::Worked)
}

fn values(path: &Path) -> Option<Value> {
    effective(path).map(|effective| effective.value)
}

fn history(admin: &AdminArguments, output: Output) -> Result<End, ApiError> {
    let said = admin.api()?.get("/api/v1/config/history")?;
    match output {
        Output::Json => answer_json(&said),
        Output::Text => {
            for entry in said.get("history").and_then(Value::as_array).into_iter().flatten() {
                let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
                let number = |key: &str| entry.get(key).and_then(Value::as_u64).unwrap_or_default();
                let ago = Span::from_secs(wall_millis().saturating_sub(number("wall_ms")) / 1_000);
                let in_force = entry.get("in_force").and_then(Value::as_bool).unwrap_or_default();
                let mark = if in_force { "*" } else { " " };
                answer(&format!("{mark} {:>4}  {}  {ago} ago  {}\n", number("number"), text("hash"), text("from")));
                if let Some(why) = entry.get("gone_back_from").and_then(Value::as_str) {
                    answer(&format!("        gone back from, because {why}\n"));
                }
            }
        }
    }
    Ok(End::Worked)
}

/// All values of a usable configuration of either kind; else what is wrong with it has been said.
fn effective(path: &Path) -> Option<Effective> {
    let (findings, effective) = match config::load_any(path) {
        Ok(Known::Gateway(config)) => (config.findings.render(colored()), Some(Effective::of(&config))),
        Ok(Known::Coordinator(config)) => (config.findings.render(colored()), Some(Effective::of(&config))),
        Err(findings) => (findings.render(colored()), None),
    };
    complain(&findings);
    effective
}

/// A usable configuration; else what is wrong with it has been said.
pub(super) fn loaded<F: Form>(path: &Path) -> Option<Config<F>> {
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
