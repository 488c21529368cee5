//! Running a command: shown, without standard input, with an error that says how to run it by hand.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::env;

/// A command in the workspace's folder, without standard input.
pub(crate) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).current_dir(env::workspace()).stdin(Stdio::null());
    command
}

/// Runs a command to its end; its output goes where ours goes.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    run_with(words, &[])
}

/// Runs a command to its end with more environment variables.
pub(crate) fn run_with(words: &[&str], vars: &[(&str, &str)]) -> Result<()> {
    let line = words.join(" ");
    let status =
        command(words).envs(vars.iter().copied()).status().with_context(|| format!("`{line}` could not be started"))?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}
