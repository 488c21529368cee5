//! What HAProxy's runtime API tells, as types: the answers to `show stat` (CSV) and `show servers state` (columns).
//!
//! ```text
//! show stat app 6 -1;show servers state app     ->     # pxname,svname,qcur,..        counters, slow start
//!                                                      app,a,0,..
//!                                                                                     an empty line ends an answer
//!                                                      1
//!                                                      # be_id be_name srv_id ..      address, weights, who took it out
//!                                                      3 app 1 a 127.0.0.1 ..
//! ```
//! Columns are found by their names, so that versions with more of them (2.0 has 83, 2.6 has 120) read alike.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

use ambidex_haproxy::{Kind, Row, rows, table};
use serde::Deserialize;

/// One backend.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Backend {
    /// How it balances, in HAProxy's word; empty where HAProxy keeps it from this socket.
    pub(super) algorithm: String,
    /// Its servers, in their order.
    pub(super) servers: Vec<Server>,
}

/// One server of a backend.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Server {
    /// Its name in the backend.
    pub(super) name: String,
    /// Where it listens; `None` for a socket path, and while its name is not resolved.
    pub(super) address: Option<SocketAddr>,
    /// Its weight now.
    pub(super) weight: u32,
    /// Its weight in HAProxy's configuration.
    pub(super) configured: u32,
    /// Who took it out.
    pub(super) out: Out,
    /// Used only when no other server is left.
    pub(super) backup: bool,
    /// Whether HAProxy sends it anything.
    pub(super) up: bool,
    /// HAProxy brings it back slowly just now (`slowstart`).
    pub(super) slow_start: bool,
    /// What HAProxy counted.
    pub(super) counters: Counters,
}

/// Who took a server out, if somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Out {
    /// Nobody.
    No,
    /// It is drained by a command.
    Drain,
    /// It is in maintenance: by a command, or because a server that it tracks is, or its name has no address.
    Maintenance,
}

/// What HAProxy counted of a server since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// Requests at the server.
    pub(super) in_flight: u32,
    /// Requests that wait for it in HAProxy.
    pub(super) queue: u32,
    /// `maxconn`.
    pub(super) limit: Option<u32>,
    /// Answers that were no failures; in TCP mode, sessions.
    pub(super) answered: u64,
    /// Status 5xx, connections refused or lost, answers broken off.
    pub(super) failed: u64,
    /// Mean time to an answer, in milliseconds, over the last requests; in TCP mode, mean length of sessions.
    pub(super) millis: u64,
}

/// Why an answer says nothing of a backend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Untold {
    /// There is no such backend.
    #[error("HAProxy has no backend `{0}`")]
    NoBackend(String),
    /// It was refused in HAProxy's words.
    #[error("HAProxy refused to tell of backend `{backend}`: {words}")]
    Refused {
        /// Which.
        backend: String,
        /// In these words.
        words: String,
    },
    /// It cannot be read.
    #[error(
        "what HAProxy told of backend `{backend}` cannot be read: {why}; is this the runtime API of HAProxy 2.0 or later?"
    )]
    Unreadable {
        /// Which.
        backend: String,
        /// Why.
        why: String,
    },
}

/// The command line that asks for these backends.
pub(super) fn question<'a>(backends: impl Iterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for backend in backends {
        let between = if line.is_empty() { "" } else { ";" };
        // Writing to a String cannot fail. Types: 2 is the backend itself, 4 are its servers.
        let _ = write!(line, "{between}show stat {backend} 6 -1;show servers state {backend}");
    }
    line
}

/// Reads the answer to [`question`]: one result for each of `backends`, in their order.
pub(super) fn read(text: &str, backends: &[&str]) -> Vec<Result<Backend, Untold>> {
    // What an empty line does not end is not whole.
    let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
    let mut answers = whole.split("\n\n").map(|answer| answer.trim_matches('\n')).filter(|answer| !answer.is_empty());
    let mut of = |backend: &&str| {
        let unreadable = |why: &str| Untold::Unreadable { backend: (*backend).to_owned(), why: why.to_owned() };
        let (Some(stat), Some(state)) = (answers.next(), answers.next()) else {
            return Err(unreadable("the connection ended before the answer did"));
        };
        backend_of(backend, stat, state)
    };
    backends.iter().map(&mut of).collect()
}

fn backend_of(name: &str, stat: &str, state: &str) -> Result<Backend, Untold> {
    let refused = |words: &str| match words {
        "No such proxy." | "Can't find backend." => Untold::NoBackend(name.to_owned()),
        words => Untold::Refused { backend: name.to_owned(), words: words.chars().take(MOST_WORDS).collect() },
    };
    let stat = stat.strip_prefix("# ").ok_or_else(|| refused(stat))?;
    let (version, state) = state.split_once('\n').ok_or_else(|| refused(state))?;
    let unreadable = |why: String| Untold::Unreadable { backend: name.to_owned(), why };
    let state = state.strip_prefix("# ").filter(|_| version.trim() == "1");
    let state = state.ok_or_else(|| unreadable(format!("`show servers state` is of version {version:?}, not 1")))?;
    let rows = rows(stat).map_err(|error| unreadable(error.to_string()))?;
    let places: Vec<Place> =
        table(state, b' ').map_err(|error| unreadable(format!("`show servers state`: {error}")))?;
    let places: HashMap<&str, &Place> = places.iter().map(|place| (place.srv_name.as_str(), place)).collect();
    let mut backend = Backend { algorithm: String::new(), servers: Vec::new() };
    for row in rows {
        if row.kind == Kind::Backend {
            backend.algorithm = row.algorithm;
        } else if let Some(place) = places.get(row.server.as_str()) {
            backend.servers.push(server(row, place));
        }
    }
    Ok(backend)
}

/// A line of `show servers state`: what we use of it.
#[derive(Deserialize)]
struct Place {
    srv_name: String,
    srv_addr: String,
    srv_admin_state: u32,
    srv_uweight: u32,
    srv_iweight: u32,
    #[serde(default)]
    srv_port: Option<u16>,
}

fn server(row: Row, place: &Place) -> Server {
    let address = place.srv_addr.parse::<IpAddr>().ok();
    let port = place.srv_port.filter(|port| *port > 0);
    Server {
        address: address.zip(port).map(|(address, port)| SocketAddr::new(address, port)),
        weight: place.srv_uweight,
        configured: place.srv_iweight,
        out: Out::of(place.srv_admin_state),
        backup: row.backup,
        up: row.serves(),
        slow_start: row.slow_start,
        counters: Counters::of(&row),
        name: row.server,
    }
}

impl Out {
    /// By the flags of `srv_admin_state`. That a server was disabled by the configuration (0x04) stays said when a command
    /// has enabled it since, so it says nothing.
    fn of(flags: u32) -> Self {
        if flags & MAINTENANCE != 0 {
            Self::Maintenance
        } else if flags & DRAIN != 0 {
            Self::Drain
        } else {
            Self::No
        }
    }
}

impl Counters {
    fn of(row: &Row) -> Self {
        let lost = row.broken + row.retries;
        let (answered, failed) =
            if row.tcp { (row.requests.saturating_sub(lost), lost) } else { (row.answered, lost + row.errors) };
        let Row { sessions: in_flight, queue, limit, millis, .. } = *row;
        Self { in_flight, queue, limit, answered, failed, millis }
    }
}

/// Flags of `srv_admin_state` that mean maintenance: by a command (0x01), inherited (0x02), no address (0x20, 0x40).
const MAINTENANCE: u32 = 0x01 | 0x02 | 0x20 | 0x40;
/// Those that mean a drain: by a command (0x08), inherited (0x10).
const DRAIN: u32 = 0x08 | 0x10;
/// Of HAProxy's words in an error.
const MOST_WORDS: usize = 200;

#[cfg(test)]
mod tests;
