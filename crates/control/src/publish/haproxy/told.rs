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

use csv::{ReaderBuilder, Trim};
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
    let rows: Vec<Row> = rows(stat, b',').map_err(|error| unreadable(format!("`show stat`: {error}")))?;
    let places: Vec<Place> =
        self::rows(state, b' ').map_err(|error| unreadable(format!("`show servers state`: {error}")))?;
    let places: HashMap<&str, &Place> = places.iter().map(|place| (place.srv_name.as_str(), place)).collect();
    let mut backend = Backend { algorithm: String::new(), servers: Vec::new() };
    for row in rows {
        if row.svname == "BACKEND" {
            backend.algorithm = row.algo.unwrap_or_default();
        } else if let Some(place) = places.get(row.svname.as_str()) {
            backend.servers.push(server(row, place));
        }
    }
    Ok(backend)
}

fn rows<T: for<'de> Deserialize<'de>>(text: &str, delimiter: u8) -> Result<Vec<T>, csv::Error> {
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(Trim::All).from_reader(text.as_bytes());
    reader.deserialize().collect()
}

/// A line of `show stat`: what we use of it.
#[derive(Deserialize)]
struct Row {
    svname: String,
    qcur: Option<u32>,
    scur: Option<u32>,
    slim: Option<u32>,
    stot: Option<u64>,
    econ: Option<u64>,
    eresp: Option<u64>,
    wretr: Option<u64>,
    status: Option<String>,
    bck: Option<u32>,
    throttle: Option<String>,
    hrsp_1xx: Option<u64>,
    hrsp_2xx: Option<u64>,
    hrsp_3xx: Option<u64>,
    hrsp_4xx: Option<u64>,
    hrsp_5xx: Option<u64>,
    hrsp_other: Option<u64>,
    rtime: Option<u64>,
    ttime: Option<u64>,
    #[serde(default)]
    mode: Option<String>,
    #[serde(default)]
    algo: Option<String>,
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
    // "UP", "UP 1/3" and "no check" get requests; "DOWN", "MAINT", "DRAIN", "NOLB" do not.
    let up = row.status.as_deref().is_some_and(|status| status.starts_with("UP") || status == "no check");
    let throttle = row.throttle.as_deref().map(|share| share.trim_end_matches('%'));
    Server {
        address: address.zip(port).map(|(address, port)| SocketAddr::new(address, port)),
        weight: place.srv_uweight,
        configured: place.srv_iweight,
        out: Out::of(place.srv_admin_state),
        backup: row.bck.is_some_and(|count| count > 0),
        up,
        slow_start: throttle.is_some_and(|share| !share.is_empty() && share != "100"),
        counters: Counters::of(&row),
        name: row.svname,
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
        let sum = |parts: &[Option<u64>]| parts.iter().flatten().sum::<u64>();
        let failures = sum(&[row.econ, row.eresp, row.wretr]);
        let common = Self {
            in_flight: row.scur.unwrap_or(0),
            queue: row.qcur.unwrap_or(0),
            limit: row.slim.filter(|limit| *limit > 0),
            ..Self::default()
        };
        if row.mode.as_deref() == Some("tcp") {
            let answered = row.stot.unwrap_or(0).saturating_sub(failures);
            return Self { answered, failed: failures, millis: row.ttime.unwrap_or(0), ..common };
        }
        let answered = sum(&[row.hrsp_1xx, row.hrsp_2xx, row.hrsp_3xx, row.hrsp_4xx, row.hrsp_other]);
        let failed = failures + row.hrsp_5xx.unwrap_or(0);
        Self { answered, failed, millis: row.rtime.unwrap_or(0), ..common }
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
