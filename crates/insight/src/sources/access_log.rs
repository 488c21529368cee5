//! Access logs: requests by route and node, from what every proxy writes already.
//!
//! ```text
//! file --unpacked--> blocks of whole lines--> threads: line --grammar--> fields --> requests of a recorder each --merged in order--> History
//! ```
//! The time is that of the line, the node the server that answered, the route the method and the path without names of things
//! ([`route`](super::route)). A block becomes a recorder of its own, and they are put together in the order of the file: what comes
//! out does not depend on how many threads there were.

mod blocks;
mod entry;
mod field;
mod format;
mod haproxy;
mod json;
mod line;
mod names;
mod read;
mod settle;
mod syntax;
mod take;
mod template;

use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::PathBuf;

use thiserror::Error;

pub use field::{Field, Unit};
pub use format::Format;
pub use names::{Attribute, Mapping};

use super::Progress;
use crate::history::{Bounds, History};

/// What the user says of a log. Nothing is needed.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The format; `None`: told by the first lines.
    pub format: Option<Format>,
    /// Names of fields that no product uses.
    pub fields: Vec<Mapping>,
    /// More fields that requests are told apart by, at most 8: a tenant, a shard.
    pub attributes: Vec<Attribute>,
    /// What nodes are called by.
    pub node: NodeFrom,
    /// The pool of lines that name none: only nodes of one pool are compared.
    pub service: Option<String>,
    /// Minutes that times without a zone are ahead of UTC.
    pub offset: i32,
    /// How much is kept.
    pub bounds: Bounds,
    /// Threads that take lines apart; `None`: one a core, at most 8.
    pub threads: Option<NonZeroUsize>,
}

/// What nodes are called by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NodeFrom {
    /// The server that answered, or this machine; where no field says either, the file's name; else the host that was asked for.
    #[default]
    Auto,
    /// The file's name: each file is of one node.
    File,
}

/// Why a log was not read.
#[derive(Debug, Error)]
pub enum AccessLogError {
    /// The system says why.
    #[error("{file}: cannot be read: {error}")]
    Read {
        /// The file.
        file: String,
        /// As the system says it.
        #[source]
        error: io::Error,
    },
    /// It is packed by something that nobody here unpacks.
    #[error("{file}: is compressed; unpack it on the way, as in `{tool} {file} | ambidex diagnose --access-log -`")]
    Compressed {
        /// The file.
        file: String,
        /// What unpacks it.
        tool: &'static str,
    },
    /// It is packed, and broken before the first line.
    #[error("{file}: {why}, and no line stands before that; fetch the file again")]
    Broken {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing is in it.
    #[error("{file}: holds no line that says anything")]
    Empty {
        /// The file.
        file: String,
    },
    /// The format string cannot be used.
    #[error("the format `{format}` cannot be used: {why}")]
    Format {
        /// As it was given.
        format: String,
        /// What is wrong with it.
        why: String,
    },
    /// No format that has a name fits.
    #[error(
        "{file}, line {line}: of no known format ({tried}): `{excerpt}`; name the format string that wrote it, as in \
         `--log-format '$remote_addr [$time_local] \"$request\" $status $upstream_addr $request_time'`"
    )]
    Unknown {
        /// The file.
        file: String,
        /// The first line that says something.
        line: u64,
        /// How it begins.
        excerpt: String,
        /// The formats that were tried.
        tried: String,
    },
    /// Most lines are of another format.
    #[error(
        "{file}: {wrong} of the first {of} lines are not `{format}`; line {line} is `{excerpt}`, expected was {expected}; \
         `--log-format` takes the name of another format, or the format string of what wrote it"
    )]
    OtherFormat {
        /// The file.
        file: String,
        /// The format that was tried.
        format: String,
        /// Lines that are not of it.
        wrong: usize,
        /// Lines that were looked at.
        of: usize,
        /// The first wrong one.
        line: u64,
        /// How it begins.
        excerpt: String,
        /// What should be there.
        expected: String,
    },
    /// The format does not say what is needed.
    #[error("{file}: the format `{format}` does not say the {what}: {add}")]
    Lacks {
        /// The file.
        file: String,
        /// The format.
        format: String,
        /// What it does not say.
        what: &'static str,
        /// What would say it.
        add: &'static str,
    },
    /// Nodes were to be called by their files, and those do not differ.
    #[error(
        "{file}: nodes are to be called by their files, but there is one file only, or they have one name; rename them"
    )]
    NoFileName {
        /// The file.
        file: String,
    },
    /// More attributes than can be looked at.
    #[error(
        "{named} attributes are named: at most {most} are looked at; leave out those that requests are not routed by"
    )]
    Attributes {
        /// How many were.
        named: usize,
        /// How many may be.
        most: usize,
    },
}

/// Reads logs: of one after the other, all as one history. The path `-` is what comes in.
///
/// # Errors
/// When a file cannot be read, is of no known format, or does not say which server answered.
pub fn read(
    paths: &[PathBuf],
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<History, AccessLogError> {
    read::files(paths, options, progress)
}

/// Reads one log from whatever can be read, which people call `name`.
///
/// # Errors
/// As [`read`].
pub fn read_from(
    name: &str,
    input: impl Read,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<History, AccessLogError> {
    read::input(name, input, options, progress)
}

/// Bytes of a line. Source: ours; 128 times what nginx takes of a request's head.
const LONGEST_LINE: usize = 1 << 20;
