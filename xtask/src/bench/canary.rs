//! `cargo xtask bench canary`: how often a canary's judge is wrong, in simulated trials (X17).
//!
//! 100 runs of each candidate at each rate by default; `--repeats N` makes it 20 N. Fails when a verdict is wrong.

use std::fs;

use ambidex_lab::trials::table;
use anyhow::{Context as _, Result, ensure};

use super::Extent;
use crate::env;

/// Judges, prints the table, and writes it to `target/bench/canary.md`.
pub(super) fn run(extent: &Extent) -> Result<()> {
    let table = table(&RATES, EACH * extent.repeats as u64, 1);
    println!("{table}");
    let path = env::workspace().join("target/bench/canary.md");
    let folder = path.parent().context("a folder")?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    fs::write(&path, table.to_string()).with_context(|| path.display().to_string())?;
    ensure!(table.wrong() == 0, "{} verdicts are wrong", table.wrong());
    Ok(())
}

/// Requests a second. Source: X17, "at high rate and at 1 request/s".
const RATES: [f64; 3] = [1_000.0, 100.0, 1.0];
/// Five times so many are all of it.
const EACH: u64 = 20;
