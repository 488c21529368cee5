//! `cargo xtask bench modes`: how well the failure-mode detectors do on simulated, labelled runs.
//!
//! All 200 runs a mode and 1,000 healthy ones by default; `--repeats N` makes it a Nth of them. Fails when a mode's
//! precision or recall is under 0.95.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ambidex_lab::score::{Extent as Runs, runs, score};
use anyhow::{Context as _, Result, ensure};

use super::Extent;
use crate::env;

/// Scores, prints the table, and writes it with what went wrong to `target/bench/modes.md`.
pub(super) fn run(extent: &Extent) -> Result<()> {
    let part = |all: u64| (all * extent.repeats as u64 / ALL).max(1);
    let wanted = Runs {
        each: part(Runs::FULL.each),
        well: part(Runs::FULL.well),
        compound: part(Runs::FULL.compound),
        ..Runs::FULL
    };
    let (all, done) = (runs(wanted).len(), AtomicUsize::new(0));
    let table = score(wanted, &|_| {
        let done = done.fetch_add(1, Relaxed) + 1;
        if done.is_multiple_of(100) {
            eprintln!("{done} of {all} runs");
        }
    });
    println!("{table}");
    let path = env::workspace().join("target/bench/modes.md");
    let folder = path.parent().context("a folder")?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let text = format!("{table}\n{}\n", table.misses.join("\n"));
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    println!("what went wrong, run by run: {}", path.display());
    ensure!(table.reaches(GOAL), "a mode's precision or recall is under {GOAL}");
    Ok(())
}

/// `--repeats` of so many is all of it: its default.
const ALL: u64 = 5;
/// Source: R-F6.
const GOAL: f64 = 0.95;
