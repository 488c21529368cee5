//! Queries of a user's own, as a file holds them.
//!
//! ```yaml
//! queries:
//!   - metric: requests                 # one of ours, or any other name
//!     query: sum by ({by}) (rate(app_requests_total{code!="",{selector}}[{rate}]))
//!     node: instance                   # which label names the node
//!     service: job                     # and, each optional: service, version, role, zone
//!   - metric: capacity                 # what a node can carry, in a unit that its peers share; asked once
//!     query: max by ({by}) (app_slots{{selector}})
//!     node: instance
//!     service: job
//! ```

use serde::{Deserialize, Serialize};

use super::ask::{Callers, Use};
use super::who::Chosen;
use crate::history::Metric;

/// What a file of queries holds.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "Raw")]
pub struct OwnQueries {
    /// At least one, where there is a file.
    pub queries: Vec<OwnQuery>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    queries: Vec<OwnQuery>,
}

/// One metric by a query.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "RawQuery")]
pub struct OwnQuery {
    /// What it is a figure of: one of ours by its name (`requests`, `cpu`, `latency_p99`, ..), `capacity`, or any other name.
    pub metric: String,
    /// In PromQL; `{selector}`, `{rate}`, `{by}` and `{range}` are put in.
    pub query: String,
    /// Labels of its answer.
    pub labels: Labelled,
    /// What makes our unit of its own: 0.001 for milliseconds. Default: 1.
    pub factor: f64,
}

/// Which labels of an answer say what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Labelled {
    /// Names the node.
    pub node: String,
    /// Names the service.
    pub service: Option<String>,
    /// Names the version.
    pub version: Option<String>,
    /// Names what it does in the service.
    pub role: Option<String>,
    /// Names the zone.
    pub zone: Option<String>,
    /// Of `calls`: names the instance that sends.
    pub caller: Option<String>,
    /// Of `calls`: names the service that it is of.
    pub caller_service: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuery {
    metric: String,
    query: String,
    node: String,
    #[serde(default)]
    service: Option<String>,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    zone: Option<String>,
    #[serde(default)]
    caller: Option<String>,
    #[serde(default)]
    caller_service: Option<String>,
    #[serde(default)]
    factor: Option<f64>,
}

/// Why a file of queries cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OwnQueryError {
    /// It holds none.
    #[error("`queries` is empty: write at least one, or leave the file out")]
    None,
    /// It holds too many.
    #[error("{0} queries are more than {MOST_QUERIES}: each costs the server a look at the whole range")]
    TooMany(usize),
    /// Something that must be said is not.
    #[error("`{0}` of a query is empty")]
    Empty(&'static str),
    /// It cannot be the name of a label.
    #[error("`{label}` cannot be the name of a label ({of}): letters, digits and `_`, and no digit first")]
    Label {
        /// Of what.
        of: &'static str,
        /// As it was said.
        label: String,
    },
    /// It says how many requests are sent, and not by whom.
    #[error(
        "`metric: calls` says who sends requests to whom: name the label of the instance (`caller`), of its service (`caller_service`), or both"
    )]
    Callerless,
    /// It names who sends of what is nobody's call.
    #[error("`caller` and `caller_service` are of `metric: calls`; `{0}` is a figure of nodes")]
    Caller(String),
    /// It would change signs, or all to nothing.
    #[error("`factor: {0}` of a query must be a number over 0")]
    Factor(f64),
}

impl OwnQuery {
    /// Whether it says what nodes can carry.
    pub(super) fn is_capacity(&self) -> bool {
        self.metric == "capacity"
    }

    /// What becomes of its values.
    pub(super) fn used_as(&self) -> Use {
        if self.is_capacity() {
            return Use::Capacity;
        }
        if self.metric != CALLS {
            return Use::Of(Metric::of(&self.metric));
        }
        let Labelled { caller, caller_service, .. } = self.labels.clone();
        Use::Calls(Callers { instance: caller, service: caller_service.into_iter().collect() })
    }

    pub(super) fn chosen(&self) -> Chosen {
        let Labelled { node, service, version, role, zone, .. } = self.labels.clone();
        Chosen { node: Some(node), service, version, role, zone }
    }
}

impl TryFrom<Raw> for OwnQueries {
    type Error = OwnQueryError;

    fn try_from(raw: Raw) -> Result<Self, OwnQueryError> {
        match raw.queries.len() {
            0 => Err(OwnQueryError::None),
            many if many > MOST_QUERIES => Err(OwnQueryError::TooMany(many)),
            _ => Ok(Self { queries: raw.queries }),
        }
    }
}

impl TryFrom<RawQuery> for OwnQuery {
    type Error = OwnQueryError;

    fn try_from(raw: RawQuery) -> Result<Self, OwnQueryError> {
        let RawQuery { metric, query, node, service, version, role, zone, caller, caller_service, factor } = raw;
        for (of, text) in [("metric", &metric), ("query", &query)] {
            if text.trim().is_empty() {
                return Err(OwnQueryError::Empty(of));
            }
        }
        let labels = Labelled { node, service, version, role, zone, caller, caller_service };
        labels.checked()?;
        let (calls, named) = (metric.trim() == CALLS, labels.caller.is_some() || labels.caller_service.is_some());
        if calls != named {
            return Err(if calls {
                OwnQueryError::Callerless
            } else {
                OwnQueryError::Caller(metric.trim().to_owned())
            });
        }
        let factor = factor.unwrap_or(1.0);
        if !(factor.is_finite() && factor > 0.0) {
            return Err(OwnQueryError::Factor(factor));
        }
        Ok(Self { metric: metric.trim().to_owned(), query, labels, factor })
    }
}

impl Labelled {
    fn checked(&self) -> Result<(), OwnQueryError> {
        let others = [
            ("service", &self.service),
            ("version", &self.version),
            ("role", &self.role),
            ("zone", &self.zone),
            ("caller", &self.caller),
            ("caller_service", &self.caller_service),
        ];
        let others = others.into_iter().filter_map(|(of, label)| Some((of, label.as_deref()?)));
        std::iter::once(("node", self.node.as_str())).chain(others).try_for_each(|(of, label)| checked(of, label))
    }
}

/// Checks the name of a label that is put into queries.
pub(super) fn checked(of: &'static str, label: &str) -> Result<(), OwnQueryError> {
    let fits = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if label.is_empty() || !fits || label.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(OwnQueryError::Label { of, label: label.to_owned() });
    }
    Ok(())
}

/// The metric of requests by who sends them.
const CALLS: &str = "calls";
/// Source: ours; as many as a recorder keeps metrics.
const MOST_QUERIES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_queries_is_read_and_its_labels_are_chosen() {
        let text = r#"{"queries": [{"metric": "requests", "query": "x", "node": "pod", "zone": "az", "factor": 0.5}]}"#;
        let own: OwnQueries = serde_json::from_str(text).expect("queries");
        let chosen = own.queries[0].chosen();
        assert_eq!((chosen.node.as_deref(), chosen.service, chosen.zone.as_deref()), (Some("pod"), None, Some("az")));
    }

    #[test]
    fn what_cannot_be_asked_is_refused_with_its_reason() {
        let one = |fields: &str| format!(r#"{{"queries": [{{{fields}}}]}}"#);
        let table = [
            (r#"{"queries": []}"#.to_owned(), "write at least one"),
            (r#"{"querys": []}"#.to_owned(), "unknown field `querys`"),
            (one(r#""metric": " ", "query": "x", "node": "a""#), "`metric` of a query is empty"),
            (one(r#""metric": "cpu", "query": "", "node": "a""#), "`query` of a query is empty"),
            (one(r#""metric": "cpu", "query": "x""#), "missing field `node`"),
            (one(r#""metric": "cpu", "query": "x", "node": "a-b""#), "`a-b` cannot be the name of a label (node)"),
            (
                one(r#""metric": "cpu", "query": "x", "node": "a", "role": "9""#),
                "`9` cannot be the name of a label (role)",
            ),
            (one(r#""metric": "cpu", "query": "x", "node": "a", "factor": -1"#), "must be a number over 0"),
            (one(r#""metric": "cpu", "query": "x", "node": "a", "nod": "b""#), "unknown field `nod`"),
            (one(r#""metric": "calls", "query": "x", "node": "a""#), "name the label of the instance (`caller`)"),
            (one(r#""metric": "cpu", "query": "x", "node": "a", "caller": "b""#), "are of `metric: calls`; `cpu` is"),
        ];
        for (text, part) in table {
            let said = serde_json::from_str::<OwnQueries>(&text).expect_err(part).to_string();
            assert!(said.contains(part), "{said}");
        }
        let many = vec![r#"{"metric": "cpu", "query": "x", "node": "a"}"#; 65].join(",");
        let said = serde_json::from_str::<OwnQueries>(&format!(r#"{{"queries": [{many}]}}"#)).expect_err("too many");
        assert!(said.to_string().contains("65 queries are more than 64"), "{said}");
    }
}
