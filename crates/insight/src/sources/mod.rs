//! What figures come from: each source reads what exists, changes nothing there, and hands what it saw to a
//! [`Recorder`](crate::history::Recorder).

pub mod access_log;
pub mod agents;
pub mod ambidex;
pub mod csv;
pub mod envoy;
pub(crate) mod fetch;
pub mod haproxy;
mod looks;
mod moment;
pub mod otlp;
pub(crate) mod packed;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod prometheus;
pub mod pushed;
pub mod receive;
pub(crate) mod remote_write;
pub mod route;
#[cfg(test)]
mod scripted;
pub mod table;

pub use fetch::{Access, Credentials, FetchError, Signing};
pub use looks::{Looks, LooksError};

use crate::history::At;

/// A moment as files write it: ISO 8601, as web servers do, or a number since 1970. Without a zone it is taken for UTC.
#[must_use]
pub fn moment_of(text: &str) -> Option<At> {
    moment::read(text, 0).map(|moment| moment.at)
}

/// How far a source is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it does.
    pub what: String,
    /// How much is done, in a unit of the source's own.
    pub done: u64,
    /// Of how much; `None`: not known.
    pub of: Option<u64>,
}
