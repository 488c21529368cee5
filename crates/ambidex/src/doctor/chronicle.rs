//! The folder in which what the doctor noted outlives the process: trends of two days need more than one life.
//!
//! ```text
//! start --recall--> what earlier processes noted, beside the clerk's own notes        each round --keep--> an hour's file, whole
//! ```
//! What is kept holds the recalled as well: told twice counts once ([`kept`](ambidex_insight::history::kept)). A folder that cannot be
//! used keeps no round from being judged: it is said with the round, and each round tries again.

use std::path::PathBuf;

use ambidex_insight::history::kept::{Keeper, KeptError, Limits};
use ambidex_insight::history::{At, Bounds, History, Recorder};

/// Keeps what was noted.
#[derive(Debug)]
pub(super) struct Chronicle {
    pub(super) folder: PathBuf,
    keeper: Option<Keeper>,
    /// What is wrong.
    trouble: Option<String>,
}

impl Chronicle {
    /// In this folder; nothing is opened yet.
    pub(super) fn of(folder: PathBuf) -> Self {
        Self { folder, keeper: None, trouble: None }
    }

    /// What was noted here since then, by whoever.
    pub(super) fn recall(&mut self, from: At, bounds: Bounds) -> Option<Recorder> {
        let recalled = self.keeper().and_then(|keeper| keeper.recall(from, bounds));
        self.outcome(recalled)
    }

    /// Keeps what is known now; what is wrong, if it could not.
    pub(super) fn keep(&mut self, history: &History) -> Option<&str> {
        let kept = self.keeper().and_then(|keeper| keeper.keep(history));
        if let Some(told) = self.outcome(kept) {
            told.problems.iter().for_each(|problem| tracing::warn!("the doctor's history: {problem}"));
        }
        self.trouble.as_deref()
    }

    fn keeper(&mut self) -> Result<&mut Keeper, KeptError> {
        let keeper = match self.keeper.take() {
            Some(keeper) => keeper,
            None => Keeper::open(&self.folder, Limits::default())?,
        };
        Ok(self.keeper.insert(keeper))
    }

    /// Says once what is wrong, and once that it is well again.
    fn outcome<T>(&mut self, done: Result<T, KeptError>) -> Option<T> {
        match done {
            Ok(done) => {
                if self.trouble.take().is_some() {
                    tracing::info!("the doctor's history is kept again");
                }
                Some(done)
            }
            Err(error) => {
                let error = error.to_string();
                if self.trouble.is_none() {
                    tracing::warn!("the doctor's notes are not kept: {error}");
                }
                self.trouble = Some(error);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_used_is_told_and_tried_again() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("history");
        std::fs::write(&folder, "a file").expect("written");
        let mut chronicle = Chronicle::of(folder.clone());
        let nothing = Recorder::new(Bounds::default(), ambidex_insight::history::Weigh::Time).finish("test".into());
        let said = chronicle.keep(&nothing).expect("it cannot").to_owned();
        assert!(said.contains("history"), "{said}");
        std::fs::remove_file(&folder).expect("removed");
        assert_eq!(chronicle.keep(&nothing), None);
        assert!(Keeper::open(&folder, Limits::default()).is_err(), "it is held by the chronicle");
    }
}
