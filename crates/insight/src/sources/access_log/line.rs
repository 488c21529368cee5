//! How lines of one log are read: by which format, and which of its fields say what is asked of it.

use std::fmt;

use super::entry::Entry;
use super::field::{Field, Unit};
use super::haproxy;
use super::json::Keys;
use super::template::Template;

/// A way to take lines apart.
#[derive(Clone, Debug)]
pub(super) enum Grammar {
    Template(Template),
    Json(Keys),
    HaProxy,
}

/// Why a line could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wrong {
    /// A part of the format was not there, by number.
    Part(usize),
    /// There is more than the format has.
    Rest,
    /// It is no JSON from this column on.
    Json { column: u32 },
    /// A part of HAProxy's log was not there.
    HaProxy(&'static str),
    /// It has no moment, or none that can be read.
    Time,
    /// It has no status.
    Status,
    /// It is longer than a line may be.
    TooLong,
    /// The file ends in the midst of it.
    Half,
}

/// What to call a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NodeBy {
    /// As a field says: of servers that were asked, of this machine, or of a host.
    Field(Field),
    /// The same for all lines: each file is of one node.
    Name(String),
}

/// What to call who sent a request to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallerBy {
    /// No field says it.
    Nobody,
    /// As a field says: whom it names, or the machine that wrote the line.
    Field(Field),
    /// The same for all lines: each file is of one caller.
    Name(String),
}

/// How lines of one log are read.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    /// What people call the format.
    pub(super) name: String,
    pub(super) grammar: Grammar,
    pub(super) node: NodeBy,
    pub(super) caller: CallerBy,
    /// The unit of times whose names say none.
    pub(super) unit: Unit,
    /// Whether it has a status, so that a line without one had no answer.
    pub(super) status: bool,
    /// Whether it says how long requests took.
    pub(super) timed: bool,
    /// Whether the nodes are nginx's `$upstream_addr`, which holds the group's name where there was no server.
    pub(super) addresses: bool,
    /// Minutes that moments without a zone are ahead of UTC.
    pub(super) offset: i32,
    /// What attributes that the user named are called.
    pub(super) labels: Vec<String>,
    /// The pool of all lines that name none.
    pub(super) service: Option<String>,
    /// What was taken for granted.
    pub(super) granted: Vec<String>,
}

impl Grammar {
    pub(super) fn read<'a>(&self, line: &'a str, entry: &mut Entry<'a>) -> Result<(), Wrong> {
        match self {
            Self::Template(template) => template.read(line, entry),
            Self::Json(keys) => keys.read(line, entry),
            Self::HaProxy => haproxy::read(line, entry),
        }
    }
}

impl Reading {
    /// What was expected where a line was wrong.
    pub(super) fn expected(&self, wrong: Wrong) -> String {
        match (wrong, &self.grammar) {
            (Wrong::Part(number), Grammar::Template(template)) => template.expected(number),
            (wrong, _) => wrong.to_string(),
        }
    }
}

impl Wrong {
    /// The same for all lines that are wrong in one way.
    pub(super) fn kind(self) -> Self {
        match self {
            Self::Json { .. } => Self::Json { column: 0 },
            other @ (Self::Part(_)
            | Self::Rest
            | Self::HaProxy(_)
            | Self::Time
            | Self::Status
            | Self::TooLong
            | Self::Half) => other,
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(number) => write!(f, "part {number} of the format"),
            Self::Rest => f.write_str("the end of the line"),
            Self::Json { column } => write!(f, "an object of JSON (wrong at column {column})"),
            Self::HaProxy(what) => f.write_str(what),
            Self::Time => f.write_str("a time, as 22/Nov/2026:10:15:30 +0000, 2026-11-22T10:15:30Z or 1795342530"),
            Self::Status => f.write_str("a status, as 200"),
            Self::TooLong => write!(f, "at most {} bytes", super::LONGEST_LINE),
            Self::Half => f.write_str("a whole line: the file ends in the midst of it"),
        }
    }
}
