//! One look at the runtime API: the answers to `show info` (lines of `Name: value`) and `show stat`, as types.

use ambidex_haproxy::{Row, rows};

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

/// Reads the answer to both; says what came instead.
pub(super) fn read(text: &str) -> Result<Told, String> {
    let csv_at = text.find("# pxname,").ok_or_else(|| instead(text))?;
    let (info, stat) = text.split_at(csv_at);
    // What an empty line does not end is not whole.
    let end = stat.find("\n\n").ok_or("the connection ended before the answer did")?;
    let rows = rows(&stat["# ".len()..end]).map_err(|error| error.to_string())?;
    let named = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    let uptime = named("Uptime_sec").and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(Told { version: named("Version").unwrap_or_default().to_owned(), uptime, rows })
}

fn instead(text: &str) -> String {
    match text.trim() {
        "" => "it answered nothing".into(),
        text => format!("it answered `{}`", words(text.as_bytes())),
    }
}
