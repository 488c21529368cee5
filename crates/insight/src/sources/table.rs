//! Tables of figures, from whatever could export them: as CSV ([`csv`](super::csv)) or as Parquet ([`parquet`](super::parquet)).
//!
//! ```text
//! long      time, node, metric, value [, service, zone ...]      one figure a row
//! wide      time, node, cpu_percent, requests_total, ...         one row a moment, each other column a metric
//! requests  time, node, route, count [, failed, duration ...]    requests that were counted, or one a row
//! ```
//! The form and the columns are told by the header, or by a [`ColumnMap`]. A name says what a metric is and in which unit
//! (`latency_p99_ms`, `memory_percent`, `requests_total`: a counter); what no name says is a metric of that name.

mod columns;
mod intake;
mod metrics;

use std::io;
use std::str::FromStr;

use thiserror::Error;

pub(super) use columns::{Form, Plan, Use};
pub(super) use intake::{Counts, Intake, NOT_SAID, NodeKey, Symbol, WrongCell};

use crate::history::{Bounds, Metric};

/// What the user says of a table. Nothing is needed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which column is what, where its name does not say.
    pub columns: ColumnMap,
    /// Of requests: columns that they are told apart by.
    pub attributes: Vec<String>,
    /// The service of rows that name none: only nodes of one service are compared.
    pub service: Option<String>,
    /// Minutes that times without a zone are ahead of UTC.
    pub offset: i32,
    /// How much is kept.
    pub bounds: Bounds,
}

/// Which column is what.
#[derive(Clone, Debug, Default)]
pub struct ColumnMap {
    /// Columns by what they hold.
    pub roles: Vec<RoleMap>,
    /// Metrics by what they are called.
    pub metrics: Vec<MetricMap>,
}

/// What a column holds: `node=instance`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleMap {
    /// What it holds.
    pub role: Role,
    /// What the header calls it.
    pub column: String,
}

/// What a metric is: `usage=cpu*0.01`, `http_requests=requests:counter`.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricMap {
    /// What the table calls it.
    pub name: String,
    /// What it is.
    pub metric: Metric,
    /// By what its values are multiplied.
    pub factor: f64,
    /// Whether it only grows, so that what it grew by a second is meant.
    pub counter: bool,
}

/// What a column may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// When.
    Time,
    /// Of which node.
    Node,
    /// What was measured.
    Metric,
    /// The figure.
    Value,
    /// The node's service.
    Service,
    /// Its version.
    Version,
    /// What it does in the service.
    Role,
    /// Where it stands.
    Zone,
    /// What it can carry.
    Capacity,
    /// What requests were for.
    Route,
    /// How many.
    Count,
    /// How many of them failed.
    Failed,
    /// How long one took.
    Took,
    /// How long all took together.
    Busy,
    /// Which instance sent them.
    Caller,
    /// Which service that is of.
    CallerService,
}

/// Why a table was not read.
#[derive(Debug, Error)]
pub enum TableError {
    /// The system says why.
    #[error("{file}: cannot be read: {error}")]
    Read {
        /// The file.
        file: String,
        /// As the system says it.
        #[source]
        error: io::Error,
    },
    /// It is no file of this kind.
    #[error("{file}: {what}")]
    Kind {
        /// The file.
        file: String,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// No column holds what is needed.
    #[error("{file}: no column holds the {what} (there are {columns}); name it, as in `{add}`")]
    Lacks {
        /// The file.
        file: String,
        /// What is needed.
        what: &'static str,
        /// The header.
        columns: String,
        /// A mapping that would say it.
        add: &'static str,
    },
    /// A column that was named is not there.
    #[error("{file}: there is no column `{column}`{near}; there are {columns}")]
    NoColumn {
        /// The file.
        file: String,
        /// As it was named.
        column: String,
        /// The nearest name, as a question.
        near: String,
        /// The header.
        columns: String,
    },
    /// A column that was named holds what such a table has not.
    #[error("{file}: `{role}={column}` means nothing here: {form}")]
    Unused {
        /// The file.
        file: String,
        /// What it was said to hold.
        role: &'static str,
        /// As it was named.
        column: String,
        /// Why it is such a table.
        form: &'static str,
    },
    /// Most rows cannot be read.
    #[error(
        "{file}: {wrong} of the first {of} rows cannot be read; line {line}, column `{column}`: found `{found}`, expected {expected}"
    )]
    Rows {
        /// The file.
        file: String,
        /// Rows that cannot be read.
        wrong: u64,
        /// Rows that were looked at.
        of: u64,
        /// The first wrong one; of Parquet, the number of the row.
        line: u64,
        /// The column.
        column: String,
        /// What stands there.
        found: String,
        /// What should.
        expected: &'static str,
    },
}

impl Role {
    /// By which names a mapping calls them.
    const NAMED: [(&'static str, Self); 16] = [
        ("time", Self::Time),
        ("node", Self::Node),
        ("metric", Self::Metric),
        ("value", Self::Value),
        ("service", Self::Service),
        ("version", Self::Version),
        ("role", Self::Role),
        ("zone", Self::Zone),
        ("capacity", Self::Capacity),
        ("route", Self::Route),
        ("count", Self::Count),
        ("failed", Self::Failed),
        ("duration", Self::Took),
        ("busy", Self::Busy),
        ("caller", Self::Caller),
        ("caller_service", Self::CallerService),
    ];

    /// By which name a mapping calls it.
    fn name(self) -> &'static str {
        Self::NAMED.into_iter().find(|(_, role)| *role == self).map_or("", |(name, _)| name)
    }
}

impl FromStr for RoleMap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (role, column) =
            text.split_once('=').ok_or_else(|| format!("`{text}` is no WHAT=COLUMN, as node=instance"))?;
        let named = Role::NAMED.into_iter().find(|(name, _)| *name == role.trim());
        let (_, role) = named.ok_or_else(|| {
            let names: Vec<_> = Role::NAMED.iter().map(|(name, _)| *name).collect();
            format!("no column holds a `{role}`; columns hold {}", names.join(", "))
        })?;
        if column.trim().is_empty() {
            return Err(format!("`{text}` names no column"));
        }
        Ok(Self { role, column: column.trim().to_owned() })
    }
}

impl FromStr for MetricMap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no NAME=METRIC, with *FACTOR and :counter where they are needed");
        let (name, rest) = text.split_once('=').ok_or_else(wrong)?;
        let (rest, counter) = match rest.strip_suffix(":counter") {
            Some(rest) => (rest, true),
            None => (rest, false),
        };
        let (metric, factor) = match rest.split_once('*') {
            Some((metric, factor)) => (metric, factor.trim().parse().map_err(|_| format!("`{factor}` is no factor"))?),
            None => (rest, 1.0),
        };
        let (name, metric) = (name.trim(), metric.trim());
        if name.is_empty() || metric.is_empty() || !f64::is_finite(factor) {
            return Err(wrong());
        }
        Ok(Self { name: name.to_owned(), metric: metrics::Meaning::of(metric).metric, factor, counter })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_says_of_columns_is_read() {
        assert_eq!("node=instance".parse(), Ok(RoleMap { role: Role::Node, column: "instance".into() }));
        assert!("nod=instance".parse::<RoleMap>().is_err_and(|error| error.contains("node, ")));
        assert!("node=".parse::<RoleMap>().is_err() && "node".parse::<RoleMap>().is_err());
    }

    #[test]
    fn what_the_user_says_of_metrics_is_read() {
        let map = |name: &str, metric, factor, counter| Ok(MetricMap { name: name.into(), metric, factor, counter });
        assert_eq!("usage=cpu*0.01".parse(), map("usage", Metric::Cpu, 0.01, false));
        assert_eq!("hits=requests:counter".parse(), map("hits", Metric::Requests, 1.0, true));
        assert_eq!("a=batch size".parse(), map("a", Metric::Named("batch size".into()), 1.0, false));
        for wrong in ["cpu", "=cpu", "a=", "a=cpu*x", "a=cpu*inf"] {
            assert!(wrong.parse::<MetricMap>().is_err(), "{wrong}");
        }
    }
}
