//! The configurations that were in force, so that one can be gone back to.
//!
//! Kept in the store beside the journal: an index, and each text under its own key. Without a store they are kept for
//! as long as the process runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use ambidex_control::clock::wall_millis;
use ambidex_control::journal::Journal;
use serde::{Deserialize, Serialize};

use crate::config::Config;

/// Former configurations, and the one in force.
#[derive(Debug)]
pub(super) struct History {
    index: Index,
    texts: BTreeMap<u64, String>,
    journal: Arc<dyn Journal>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Index {
    entries: Vec<Entry>,
    /// Number of the one in force.
    in_force: u64,
}

/// One of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Grows by one with each.
    pub(super) number: u64,
    /// When it was put in force first, in milliseconds since 1970: for people.
    pub(super) wall_ms: u64,
    /// Fingerprint of its text.
    pub(super) hash: String,
    /// Where it came from: a file's name.
    pub(super) from: String,
    /// Why it was gone back from, unless it was not, or was accepted since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gone_back_from: Option<String>,
}

/// One of them, as the API shows it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Shown {
    #[serde(flatten)]
    entry: Entry,
    in_force: bool,
}

impl History {
    /// What an earlier process left.
    pub(super) fn open(journal: Arc<dyn Journal>) -> Self {
        let index: Index =
            journal.state(INDEX).and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let text = |entry: &Entry| {
            let bytes = journal.state(&key(entry.number))?;
            Some((entry.number, String::from_utf8(bytes).ok()?))
        };
        let texts = index.entries.iter().filter_map(text).collect();
        Self { index, texts, journal }
    }

    /// A configuration was put in force.
    pub(super) fn remember<F>(&mut self, config: &Config<F>) {
        self.push(&config.findings.file, &config.findings.text);
    }

    /// A text was put in force. The same text as the one in force is not a new one.
    fn push(&mut self, from: &str, text: &str) {
        let hash = fingerprint(text);
        let current = self.index.entries.iter().find(|entry| entry.number == self.index.in_force);
        if current.is_some_and(|entry| entry.hash == hash) {
            return;
        }
        let number = self.index.entries.last().map_or(1, |entry| entry.number + 1);
        let entry = Entry { number, wall_ms: wall_millis(), hash, from: from.to_owned(), gone_back_from: None };
        self.index.entries.push(entry);
        self.index.in_force = number;
        self.texts.insert(number, text.to_owned());
        self.keep(&key(number), text.as_bytes());
        while self.index.entries.len() > MOST {
            let old = self.index.entries.remove(0);
            self.texts.remove(&old.number);
            self.keep(&key(old.number), b"");
        }
        self.keep_index();
    }

    /// The one before the one in force: its number, and its text.
    pub(super) fn before(&self) -> Option<(u64, String)> {
        let older = self.index.entries.iter().rev().find(|entry| entry.number < self.index.in_force)?;
        Some((older.number, self.texts.get(&older.number)?.clone()))
    }

    /// The number of the one in force.
    pub(super) fn in_force(&self) -> u64 {
        self.index.in_force
    }

    /// The text of this number, if it is still kept.
    pub(super) fn text(&self, number: u64) -> Option<String> {
        self.texts.get(&number).cloned()
    }

    /// The one in force is gone back from, to the one of this number.
    pub(super) fn give_back(&mut self, number: u64, why: &str) {
        let in_force = self.index.in_force;
        if let Some(entry) = self.index.entries.iter_mut().find(|entry| entry.number == in_force) {
            entry.gone_back_from = Some(why.to_owned());
        }
        self.back_to(number);
    }

    /// Why this text was gone back from, if it was.
    pub(super) fn gone_back_from(&self, text: &str) -> Option<&str> {
        let hash = fingerprint(text);
        let entry = self.index.entries.iter().rev().find(|entry| entry.hash == hash)?;
        entry.gone_back_from.as_deref()
    }

    /// This text may be taken over again.
    pub(super) fn forgive(&mut self, text: &str) {
        let hash = fingerprint(text);
        let known = self.index.entries.iter_mut().filter(|entry| entry.hash == hash);
        known.for_each(|entry| entry.gone_back_from = None);
        self.keep_index();
    }

    /// A former one was put in force again.
    pub(super) fn back_to(&mut self, number: u64) {
        self.index.in_force = number;
        self.keep_index();
    }

    /// All of them, newest first.
    pub(super) fn shown(&self) -> Vec<Shown> {
        let shown = |entry: &Entry| Shown { entry: entry.clone(), in_force: entry.number == self.index.in_force };
        self.index.entries.iter().rev().map(shown).collect()
    }

    fn keep_index(&self) {
        let bytes = serde_json::to_vec(&self.index).expect("numbers and texts are plain data");
        self.keep(INDEX, &bytes);
    }

    fn keep(&self, key: &str, value: &[u8]) {
        if self.journal.lasts()
            && let Err(why) = self.journal.keep(key, value)
        {
            tracing::warn!(why, "the configuration's history is not kept beyond this process");
        }
    }
}

/// A text's fingerprint: equal texts have equal ones.
pub(super) fn fingerprint(text: &str) -> String {
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
}

fn key(number: u64) -> String {
    format!("config/{number}")
}

const INDEX: &str = "config/index";
/// So many are kept. Source: ours; one step back is what is needed, a week of changes is what is looked at.
const MOST: usize = 50;

#[cfg(test)]
mod tests {
    use ambidex_control::journal::NoJournal;

    use super::*;

    fn history() -> History {
        History::open(Arc::new(NoJournal))
    }

    #[test]
    fn the_same_text_is_no_new_configuration() {
        let mut history = history();
        history.push("a", "x");
        history.push("a", "x");
        assert_eq!((history.shown().len(), history.before()), (1, None));
    }

    #[test]
    fn going_back_leads_to_the_one_before_and_from_there_further() {
        let mut history = history();
        ["x", "y", "z"].into_iter().for_each(|text| history.push("a", text));
        let (number, text) = history.before().expect("two are older");
        assert_eq!(text, "y");
        history.back_to(number);
        assert_eq!(history.before().expect("one is older").1, "x");
    }

    #[test]
    fn what_was_gone_back_from_is_known_by_its_text_until_it_is_forgiven() {
        let mut history = history();
        ["x", "y"].into_iter().for_each(|text| history.push("a", text));
        history.give_back(1, "worse");
        assert_eq!((history.in_force(), history.gone_back_from("y")), (1, Some("worse")));
        assert_eq!((history.gone_back_from("x"), history.gone_back_from("z")), (None, None));
        history.forgive("y");
        assert_eq!(history.gone_back_from("y"), None);
    }

    #[test]
    fn only_so_many_are_kept() {
        let mut history = history();
        (0..MOST + 10).for_each(|number| history.push("a", &number.to_string()));
        assert_eq!((history.shown().len(), history.texts.len()), (MOST, MOST));
    }
}
