//! What `show stat` tells (CSV), as types.
//!
//! Columns are found by their names, so that versions with more of them (2.0 has 83, 2.6 has 120) read alike.

use csv::{ReaderBuilder, Trim};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A line: a backend, or one of its servers. Counters are since HAProxy started.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which of both.
    pub kind: Kind,
    /// The backend's name.
    pub backend: String,
    /// The server's name.
    pub server: String,
    /// In HAProxy's words: `UP`, `UP 1/3`, `DOWN`, `DRAIN`, `MAINT`, `NOLB`, `no check`.
    pub status: String,
    /// Used only when no other server is left.
    pub backup: bool,
    /// Its weight now.
    pub weight: u32,
    /// HAProxy brings it back slowly just now (`slowstart`).
    pub slow_start: bool,
    /// `maxconn`.
    pub limit: Option<u32>,
    /// Requests at the server; in TCP mode, connections.
    pub sessions: u32,
    /// Requests that wait for it in HAProxy.
    pub queue: u32,
    /// Requests; in TCP mode, connections.
    pub requests: u64,
    /// Answers with a status that is no 5xx; none in TCP mode.
    pub answered: u64,
    /// Answers with status 5xx.
    pub errors: u64,
    /// Connections refused or lost, answers broken off.
    pub broken: u64,
    /// Connections that were tried once more.
    pub retries: u64,
    /// Mean time to an answer over the last requests, in milliseconds; in TCP mode, mean length of sessions.
    pub millis: u64,
    /// Whether it is a backend of TCP mode.
    pub tcp: bool,
    /// How the backend balances; empty where HAProxy keeps it from this socket, and for servers.
    pub algorithm: String,
}

/// Of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A backend.
    Backend,
    /// A server.
    Server,
}

impl Row {
    /// Whether it gets requests: it is up (`UP`, `UP 1/3`), or nobody checks.
    #[must_use]
    pub fn serves(&self) -> bool {
        self.status.starts_with("UP") || self.status == "no check"
    }
}

/// Why an answer to `show stat` cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StatError {
    /// It is no table of this kind.
    #[error("`show stat`: {0}")]
    Table(#[from] csv::Error),
    /// It is another table.
    #[error("`show stat` has no column `{0}`")]
    Lacks(&'static str),
}

/// Reads the answer to `show stat` from its first column's name on (what stands behind `# `), to its last line.
///
/// # Errors
/// It is no such table.
pub fn rows(text: &str) -> Result<Vec<Row>, StatError> {
    let mut reader = reader(text, b',');
    let columns = reader.headers()?;
    if let Some(lacks) = NEEDED.iter().find(|name| !columns.iter().any(|column| column == **name)) {
        return Err(StatError::Lacks(lacks));
    }
    let lines: Vec<Line> = reader.deserialize().collect::<Result<_, _>>()?;
    Ok(lines.into_iter().map(Line::row).collect())
}

/// Reads any of its tables, whose first line has the names of the columns.
///
/// # Errors
/// It is no such table.
pub fn table<T: DeserializeOwned>(text: &str, delimiter: u8) -> Result<Vec<T>, csv::Error> {
    reader(text, delimiter).deserialize().collect()
}

fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(Trim::All).from_reader(text.as_bytes())
}

/// Columns without which a look says nothing.
const NEEDED: [&str; 6] = ["svname", "status", "weight", "scur", "stot", "rtime"];

#[derive(Deserialize)]
struct Line {
    pxname: String,
    svname: String,
    status: Option<String>,
    qcur: Option<u32>,
    scur: Option<u32>,
    slim: Option<u32>,
    stot: Option<u64>,
    econ: Option<u64>,
    eresp: Option<u64>,
    wretr: Option<u64>,
    weight: Option<u32>,
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
    mode: Option<String>,
    algo: Option<String>,
}

impl Line {
    fn row(self) -> Row {
        let kind = if self.svname == "BACKEND" { Kind::Backend } else { Kind::Server };
        let sum = |parts: &[Option<u64>]| parts.iter().flatten().fold(0_u64, |sum, part| sum.saturating_add(*part));
        let tcp = self.mode.as_deref() == Some("tcp");
        let throttle = self.throttle.as_deref().map(|share| share.trim_end_matches('%'));
        Row {
            kind,
            status: self.status.unwrap_or_default(),
            // Of a backend it is how many of its servers are backups.
            backup: kind == Kind::Server && self.bck.is_some_and(|count| count > 0),
            weight: self.weight.unwrap_or(0),
            slow_start: throttle.is_some_and(|share| !share.is_empty() && share != "100"),
            limit: self.slim.filter(|limit| *limit > 0),
            sessions: self.scur.unwrap_or(0),
            queue: self.qcur.unwrap_or(0),
            requests: self.stot.unwrap_or(0),
            answered: sum(&[self.hrsp_1xx, self.hrsp_2xx, self.hrsp_3xx, self.hrsp_4xx, self.hrsp_other]),
            errors: self.hrsp_5xx.unwrap_or(0),
            broken: sum(&[self.econ, self.eresp]),
            retries: self.wretr.unwrap_or(0),
            millis: if tcp { self.ttime } else { self.rtime }.unwrap_or(0),
            tcp,
            algorithm: self.algo.filter(|_| kind == Kind::Backend).unwrap_or_default(),
            backend: self.pxname,
            server: self.svname,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "pxname,svname,qcur,scur,slim,stot,econ,eresp,wretr,status,weight,bck,throttle,hrsp_2xx,hrsp_5xx,rtime,ttime,mode,algo,new\n";

    fn row(line: &str) -> Row {
        rows(&format!("{HEAD}{line}\n")).expect("a table").remove(0)
    }

    #[test]
    fn columns_are_found_by_their_names() {
        let row = row("app,a,1,4,32,1000,1,7,3,UP 1/3,2,1,40%,900,9,20,50,http,,x");
        assert_eq!((row.kind, &*row.backend, &*row.server, row.serves()), (Kind::Server, "app", "a", true));
        assert_eq!((row.requests, row.answered, row.errors, row.broken, row.retries), (1_000, 900, 9, 8, 3));
        assert_eq!((row.limit, row.sessions, row.queue, row.weight, row.millis), (Some(32), 4, 1, 2, 20));
        assert_eq!((row.backup, row.slow_start, row.tcp), (true, true, false));
    }

    #[test]
    fn in_tcp_mode_lengths_of_sessions_are_told() {
        let row = row("app,a,0,0,0,0,,,,no check,1,0,,,,20,50,tcp,,");
        assert_eq!((row.millis, row.tcp, row.limit, row.serves()), (50, true, None, true));
    }

    #[test]
    fn a_backend_is_no_backup_however_many_of_its_servers_are() {
        let row = row("app,BACKEND,0,0,0,0,,,,UP,3,2,,,,1,1,http,roundrobin,");
        assert_eq!((row.kind, row.backup, &*row.algorithm), (Kind::Backend, false, "roundrobin"));
    }

    #[test]
    fn what_is_another_table_is_refused_with_what_it_lacks() {
        let said = |text: &str| rows(text).expect_err("refused").to_string();
        assert_eq!(said("pxname,svname\napp,a\n"), "`show stat` has no column `status`");
        assert!(said(&format!("{HEAD}app,a,many,4\n")).starts_with("`show stat`: "));
    }
}
