//! `--keep FOLDER`: what is read is kept as a history, which `--history FOLDER` reads later.
//!
//! A disk that is full keeps nobody from being told what was found: it is said once, and once more when it works again.

use std::path::PathBuf;

use ambidex_core::size::Size;
use ambidex_core::time::Span;
use ambidex_insight::history::History;
use ambidex_insight::history::kept::{Keeper, Limits};
use clap::Args;

use super::super::complain;

#[derive(Debug, Args)]
pub(super) struct KeepArguments {
    /// Keep what is read in this folder, too: a history that `--history` reads.
    #[arg(long, value_name = "FOLDER", conflicts_with = "history")]
    keep: Option<PathBuf>,
    /// How long it is kept.
    #[arg(long, value_name = "DURATION", default_value = "840h", requires = "keep")]
    keep_for: Span,
    /// How much it may take: then what is older than a day gets coarser, and the oldest goes.
    #[arg(long, value_name = "SIZE", default_value = "1GiB", requires = "keep")]
    keep_size: Size,
}

/// A folder in which histories are kept.
pub(super) struct Keeping {
    keeper: Keeper,
    failing: bool,
}

impl KeepArguments {
    /// Opens the folder, if one is named; else what is wrong with it.
    pub(super) fn open(&self) -> Result<Option<Keeping>, String> {
        let Some(folder) = &self.keep else { return Ok(None) };
        let limits = Limits { age: self.keep_for, size: self.keep_size };
        let keeper = Keeper::open(folder, limits).map_err(|error| format!("--keep: {error}"))?;
        Ok(Some(Keeping { keeper, failing: false }))
    }
}

impl Keeping {
    /// Keeps it, and says on standard error what is wrong.
    pub(super) fn keep(&mut self, history: &History) {
        match self.keeper.keep(history) {
            Ok(told) => {
                if std::mem::take(&mut self.failing) {
                    complain("--keep: it is kept again\n");
                }
                told.problems.iter().for_each(|problem| complain(&format!("--keep: {problem}\n")));
            }
            Err(error) if !self.failing => {
                self.failing = true;
                complain(&format!("--keep: {error}\n"));
            }
            // It was said.
            Err(_) => {}
        }
    }

    /// Whether what was read last is not on the disk.
    pub(super) const fn is_failing(&self) -> bool {
        self.failing
    }
}
