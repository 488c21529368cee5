//! The sets as others ask by them: what `ambidex export` draws rules and a dashboard from.

use super::sets::{SETS, Set};
use super::words::{Words, checked};
use crate::history::Metric;

/// A set with its words put in.
#[derive(Clone, Debug)]
pub struct Exported {
    /// As people choose it.
    pub name: &'static str,
    /// The label that names nodes.
    pub node: &'static str,
    /// The labels within which nodes are compared, by commas.
    pub service: String,
    /// What is asked, by metric.
    pub queries: Vec<(Metric, String)>,
}

/// Why nothing is exported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// There is no such set.
    #[error("there is no set `{0}`; the sets are {sets}", sets = super::names().join(", "))]
    NoSet(String),
    /// Matchers that are none.
    #[error("matchers `{0}`: {1}")]
    Matchers(String, String),
}

/// These sets, narrowed by matchers.
///
/// # Errors
/// When a set or the matchers are none.
pub fn exported(names: &[String], matchers: &str) -> Result<Vec<Exported>, ExportError> {
    checked(matchers).map_err(|why| ExportError::Matchers(matchers.to_owned(), why))?;
    let find =
        |name: &String| SETS.iter().find(|set| set.name == *name).ok_or_else(|| ExportError::NoSet(name.clone()));
    names.iter().map(|name| Ok(of(find(name)?, matchers))).collect()
}

fn of(set: &Set, matchers: &str) -> Exported {
    let node = set.labels.node.first().copied().unwrap_or("instance");
    let service = set.labels.service.join(", ");
    let by = [&[node], set.labels.service].concat().join(", ");
    let words = Words { selector: matchers.to_owned(), rate: "5m".into(), by, range: "3h".into() };
    let query = |query: &super::sets::Query| {
        let text = words.put(query.promql);
        let scaled = (query.factor - 1.0).abs() > f64::EPSILON;
        (query.of(), if scaled { format!("({text}) * {}", query.factor) } else { text })
    };
    Exported { name: set.name, node, service, queries: set.queries.iter().map(query).collect() }
}
