//! The kinds of files that a process runs by, and what they have in common.

use std::fmt::Debug;
use std::path::Path;

use ambidex_control::config::JournalConfig;
use ambidex_core::probation::ProbationConfig;
use ambidex_yaml::{Findings, Node, Problem, Value, text_of};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Config, CoordinatorFile, File, Log, SMALLER, load};

/// One kind of file.
pub(crate) trait Form: Clone + Debug + Serialize + DeserializeOwned + JsonSchema + Send + 'static {
    /// How to begin, for whoever has an empty file.
    const START: &'static str;

    /// Fills in what one section says for another.
    fn settle(&mut self) {}

    /// Everything that does not fit together, in the order of the file.
    fn across(&self, tree: &Node) -> Vec<Problem>;

    /// What is wrong with files that it names and that have to be sound before requests are served.
    fn files(&self, _tree: &Node) -> Vec<Problem> {
        Vec::new()
    }

    /// Takes relative paths as beside `folder`, the one that the configuration lies in: what it names is found from
    /// wherever the process was started.
    fn beside(&mut self, folder: &Path);

    /// What is in it, in a few words.
    fn summary(&self) -> String;

    /// The log of the process.
    fn log(&self) -> Log;

    /// Where decisions are kept, and how long.
    fn journal(&self) -> &JournalConfig;

    /// Whether a configuration that makes things worse is gone back from.
    fn probation(&self) -> ProbationConfig;
}

/// A file of either kind.
#[derive(Debug)]
pub(crate) enum Known {
    /// For `ambidex run`.
    Gateway(Box<Config<File>>),
    /// For `ambidex coordinator`.
    Coordinator(Box<Config<CoordinatorFile>>),
}

/// Reads and checks a file of either kind. They are told apart by their sections: who has neither listeners nor routes
/// carries no requests.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn load_any(path: &Path) -> Result<Known, Findings> {
    let text = text_of(path, "configuration", SMALLER)?;
    let is_coordinator = Node::parse(&text).is_ok_and(|tree| match &tree.value {
        Value::Map(_) => {
            let places = tree.by_path();
            let has = |section: &str| places.contains_key(section);
            has("pools") && !has("listeners") && !has("routes")
        }
        Value::Null | Value::Scalar { .. } | Value::List(_) => false,
    });
    if is_coordinator {
        load(path).map(|config| Known::Coordinator(Box::new(config)))
    } else {
        load(path).map(|config| Known::Gateway(Box::new(config)))
    }
}
