//! Why options make no load: what was written, and what would be right.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use ambidex_core::share::Share;

/// Why no load was made.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The rate is no rate.
    #[error("a rate of {0} requests a second is not between 0.01 and 1000000")]
    Rate(f64),
    /// Nothing could be sent.
    #[error("connections must be from 1 to 20000 over all targets, not {0} to each")]
    Connections(usize),
    /// More than one thread can serve.
    #[error("{connections} connections of {streams} streams are more than 20000 requests at once, or none")]
    Streams {
        /// Connections.
        connections: usize,
        /// Streams on each.
        streams: usize,
    },
    /// HTTP/2 has no such bound here.
    #[error("requests_per_connection is of HTTP/1: leave it out with `http: 2`")]
    PerConnection,
    /// The request would not be one: a path, a host, a method or a field.
    #[error("`{0}` cannot stand in a request: it holds a space, a control character or is empty")]
    Path(String),
    /// More than a request of the laboratory may hold.
    #[error("a body of {0} bytes is larger than 64 MiB")]
    Body(usize),
    /// The classes are not a whole.
    #[error("the shares of the classes add up to {0}, not to 100%")]
    Shares(Share),
    /// Two would be told as one.
    #[error("there are two classes `{0}`, or one without a name")]
    Class(String),
    /// There is nothing to put there.
    #[error("`{0}` wants a {1} that requests do not have: add `{1}s: {{count: 1000}}`")]
    Without(String, &'static str),
    /// None, or more than are kept.
    #[error("{count} {what} with exponent {zipf}: write a count from 1 to 5000000 and an exponent from 0 to 10")]
    Skew {
        /// Keys or tenants.
        what: &'static str,
        /// How many.
        count: u32,
        /// The exponent.
        zipf: f64,
    },
    /// The trace cannot be used.
    #[error("arrivals of {}: {why}", .file.display())]
    Trace {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Load on somebody else.
    #[error("{0} is not a loopback address: allow `remote` if you may load it")]
    Remote(SocketAddr),
    /// No thread, timer or runtime to be had.
    #[error("cannot start the load's thread: {0}")]
    Thread(#[from] io::Error),
}
