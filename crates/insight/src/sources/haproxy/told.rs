//! What the runtime API tells: the answers to `show info` (lines of `Name: value`) and `show stat` (CSV), as types.
//!
//! Columns are found by their names, so that versions with more of them read alike.

use csv::{ReaderBuilder, Trim};
use serde::Deserialize;

use crate::sources::fetch::words;

/// One look.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    /// Of HAProxy; empty where it keeps that from this socket.
    pub(super) version: String,
    /// Seconds since it began.
    pub(super) uptime: u64,
    /// Backends, each followed by its servers.
    pub(super) rows: Vec<Row>,
}

/// A line of `show stat`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) kind: Kind,
    pub(super) backend: String,
    pub(super) server: String,
    /// In HAProxy's words: `UP`, `DOWN`, `DRAIN`, `MAINT`, `no check`.
    pub(super) status: String,
    pub(super) backup: bool,
    pub(super) weight: u32,
    /// `maxconn`.
    pub(super) limit: Option<u32>,
    pub(super) sessions: u32,
    pub(super) queue: u32,
    /// Since it began: requests, or in TCP mode connections.
    pub(super) requests: u64,
    /// Status 5xx, connections refused or lost, answers broken off.
    pub(super) failures: u64,
    pub(super) retries: u64,
    /// Mean time to an answer over the last, or in TCP mode mean length.
    pub(super) millis: u64,
}

/// Of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Backend,
    Server,
}

impl Row {
    pub(super) fn key(&self) -> (String, String) {
        (self.backend.clone(), self.server.clone())
    }

    /// Whether it gets requests: it is up (`UP`, `UP 1/3`), or nobody checks.
    pub(super) fn serves(&self) -> bool {
        self.status.starts_with("UP") || self.status == "no check"
    }
}

/// Reads the answer to both; says what came instead.
pub(super) fn read(text: &str) -> Result<Told, String> {
    let csv_at = text.find("# pxname,").ok_or_else(|| instead(text))?;
    let (info, stat) = text.split_at(csv_at);
    // What an empty line does not end is not whole.
    let end = stat.find("\n\n").ok_or("the connection ended before the answer did")?;
    let stat = &stat["# ".len()..end];
    let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::All).from_reader(stat.as_bytes());
    let columns = reader.headers().map_err(|error| format!("`show stat`: {error}"))?;
    if let Some(lacks) = NEEDED.iter().find(|name| !columns.iter().any(|column| column == **name)) {
        return Err(format!("`show stat` has no column `{lacks}`"));
    }
    let mut rows = Vec::new();
    for line in reader.deserialize::<Line>() {
        let line = line.map_err(|error| format!("`show stat`: {error}"))?;
        rows.push(line.row());
    }
    let named = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let uptime = named("Uptime_sec").and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(Told { version: named("Version").unwrap_or_default().to_owned(), uptime, rows })
}

/// Columns without which a look says nothing.
const NEEDED: [&str; 6] = ["svname", "status", "weight", "scur", "stot", "rtime"];

fn instead(text: &str) -> String {
    match text.trim() {
        "" => "it answered nothing".into(),
        text => format!("it answered `{}`", words(text.as_bytes())),
    }
}

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
    hrsp_5xx: Option<u64>,
    rtime: Option<u64>,
    ttime: Option<u64>,
    #[serde(default)]
    mode: Option<String>,
}

impl Line {
    fn row(self) -> Row {
        let kind = if self.svname == "BACKEND" { Kind::Backend } else { Kind::Server };
        let sum = |parts: &[Option<u64>]| parts.iter().flatten().fold(0_u64, |sum, part| sum.saturating_add(*part));
        let tcp = self.mode.as_deref() == Some("tcp");
        Row {
            kind,
            backend: self.pxname,
            server: self.svname,
            status: self.status.unwrap_or_default(),
            backup: kind == Kind::Server && self.bck.is_some_and(|count| count > 0),
            weight: self.weight.unwrap_or(0),
            limit: self.slim.filter(|limit| *limit > 0),
            sessions: self.scur.unwrap_or(0),
            queue: self.qcur.unwrap_or(0),
            requests: self.stot.unwrap_or(0),
            failures: sum(&[self.econ, self.eresp, self.hrsp_5xx]),
            retries: self.wretr.unwrap_or(0),
            millis: if tcp { self.ttime } else { self.rtime }.unwrap_or(0),
        }
    }
}
