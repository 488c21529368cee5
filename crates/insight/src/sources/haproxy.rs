//! A HAProxy, by its runtime API: what it counts of each server, looked at a few times.
//!
//! ```text
//! show info;show stat -1 6 -1      each look, on a connection of its own: HAProxy answers a line and closes
//!   -> counters from look to look: requests, failures, retries; gauges: sessions, queue, weight
//!   -> peers are the servers of one backend; a backup is one of the backups
//! ```
//! A server that is down, drained or in maintenance has no figures while it is: it is not judged. A server's capacity is what
//! whoever set it up says: its weight where weights differ, else its `maxconn` where all have one.
//!
//! HAProxy tells the mean time to an answer over the last 1,024 of a server, in whole milliseconds. Where one of a backend's
//! servers is faster than that, it tells nothing of how long requests took, and we say so instead of counting them as instant.

mod told;

use std::collections::HashMap;

use ambidex_core::time::Span;
use ambidex_haproxy::{Kind, Level, Row, exchange};

use self::told::{Told, read as told};
use super::Progress;
use super::looks::{Looks, LooksError, grown};
use crate::history::{At, Happening, HappeningKind, History, Metric, Peers, Recorder, Requests};

pub use ambidex_haproxy::{NoAnswer, RuntimeApi};

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the runtime API is.
    pub at: RuntimeApi,
    /// The backends that are looked at; empty: all.
    pub backends: Vec<String>,
    /// How often and how long.
    pub looks: Looks,
    /// How long an answer may take. Default: 5 s.
    pub timeout: Span,
    /// The moment of the first look.
    pub now: At,
}

impl Options {
    /// All by default, of the HAProxy at this socket.
    #[must_use]
    pub fn new(at: RuntimeApi, now: At) -> Self {
        Self { at, backends: Vec::new(), looks: Looks::default(), timeout: Span::from_secs(5), now }
    }
}

/// Why there is no history.
#[derive(Debug, thiserror::Error)]
pub enum HaproxyError {
    /// Nobody can look so.
    #[error(transparent)]
    Looks(#[from] LooksError),
    /// There is no answer.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    /// What came cannot be read.
    #[error(
        "what answers at {at} is not HAProxy's runtime API: {why}; does `stats socket` name it, in HAProxy 1.8 or later?"
    )]
    Unreadable {
        /// Where.
        at: RuntimeApi,
        /// What came.
        why: String,
    },
    /// There are no servers.
    #[error("HAProxy at {at} has no servers{of}; its backends: {known}")]
    NoServers {
        /// Where.
        at: RuntimeApi,
        /// Of which backends.
        of: String,
        /// Those that there are.
        known: String,
    },
    /// Only the first look succeeded.
    #[error("HAProxy at {at} answered only once, and counters say nothing until they are seen twice: {why}")]
    Once {
        /// Where.
        at: RuntimeApi,
        /// Why the others failed.
        why: String,
    },
}

/// Looks at it for as long as is said.
///
/// # Errors
/// The first look fails, or all later ones do; there are no servers.
pub async fn read(options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<History, HaproxyError> {
    let looks = options.looks.checked()?;
    let mut watch = Watch::new(looks);
    let (mut turns, mut version, mut failure) = (looks.begin(options.now), String::new(), None);
    while let Some((turn, at)) = turns.next().await {
        match look(options).await {
            Ok(told) => {
                if watch.looks == 0 {
                    version.clone_from(&told.version);
                    check(options, &told)?;
                    watch.capacities(&told, &options.backends);
                }
                watch.take(at, &told, &options.backends);
            }
            Err(error) if watch.looks == 0 => return Err(error),
            Err(error) => {
                let said = error.to_string();
                watch.recorder.lacks(format!("a look failed: {said}"));
                failure.get_or_insert(said);
            }
        }
        progress(Progress { what: "looking at HAProxy".into(), done: turn + 1, of: Some(looks.count()) });
    }
    if watch.looks < 2 {
        let why = failure.unwrap_or_else(|| "each look took longer than all of the time".into());
        return Err(HaproxyError::Once { at: options.at.clone(), why });
    }
    Ok(watch.recorder.finish(format!("HAProxy {version} at {}", options.at)))
}

async fn look(options: &Options) -> Result<Told, HaproxyError> {
    let text = exchange(&options.at, Level::User, "show info;show stat -1 6 -1", options.timeout).await?;
    told(&text).map_err(|why| HaproxyError::Unreadable { at: options.at.clone(), why })
}

fn check(options: &Options, told: &Told) -> Result<(), HaproxyError> {
    let wanted = |row: &&Row| options.backends.is_empty() || options.backends.contains(&row.backend);
    if told.rows.iter().filter(wanted).any(|row| row.kind == Kind::Server) {
        return Ok(());
    }
    let mut known: Vec<&str> = told.rows.iter().map(|row| row.backend.as_str()).collect();
    known.dedup();
    known.truncate(20);
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let of = if options.backends.is_empty() { String::new() } else { format!(" of {}", options.backends.join(", ")) };
    Err(HaproxyError::NoServers { at: options.at.clone(), of, known })
}

/// What is known from look to look.
struct Watch {
    recorder: Recorder,
    /// The newest look at each server, by backend and name.
    seen: HashMap<(String, String), (At, Row)>,
    /// What says what servers of a backend can carry.
    carries: HashMap<String, fn(&Row) -> Option<u32>>,
    uptime: Option<u64>,
    looks: u64,
}

impl Watch {
    fn new(looks: Looks) -> Self {
        let (seen, carries) = (HashMap::new(), HashMap::new());
        Self { recorder: looks.recorder(), seen, carries, uptime: None, looks: 0 }
    }

    /// What says what servers can carry, by the first look.
    fn capacities(&mut self, told: &Told, backends: &[String]) {
        let mut of: HashMap<&str, Vec<&Row>> = HashMap::new();
        for row in servers(told, backends).filter(|row| row.serves()) {
            of.entry(&row.backend).or_default().push(row);
        }
        for (backend, rows) in of {
            if rows.iter().any(|row| row.weight != rows[0].weight) {
                self.carries.insert(backend.to_owned(), |row| Some(row.weight));
            } else if rows.iter().all(|row| row.limit.is_some()) {
                self.carries.insert(backend.to_owned(), |row| row.limit);
            }
        }
    }

    fn take(&mut self, at: At, told: &Told, backends: &[String]) {
        if self.uptime.is_some_and(|before| told.uptime < before) {
            self.recorder.happened(Happening {
                at,
                kind: HappeningKind::Restart,
                node: None,
                text: "HAProxy began anew: its counters did, too".into(),
            });
        }
        self.uptime = Some(told.uptime);
        self.looks += 1;
        let mut instant: Vec<&str> =
            servers(told, backends).filter(|row| self.is_instant(row)).map(|row| row.backend.as_str()).collect();
        instant.dedup();
        for backend in &instant {
            self.recorder.remark(format!(
                "backend {backend}: a server answers within a millisecond, so HAProxy does not tell how long"
            ));
        }
        for row in servers(told, backends) {
            self.server(at, row, !instant.contains(&row.backend.as_str()));
        }
    }

    /// Whether it answered since the last look, in no time that HAProxy tells.
    fn is_instant(&self, row: &Row) -> bool {
        let before = self.seen.get(&key(row));
        row.millis == 0 && before.is_some_and(|(_, before)| row.requests > before.requests)
    }

    fn server(&mut self, at: At, row: &Row, timed: bool) {
        let before = self.seen.insert(key(row), (at, row.clone()));
        if !row.serves() {
            let Row { backend, server, status, .. } = row;
            return self
                .recorder
                .remark(format!("backend {backend}: {server} is {status}: it is not judged while it is"));
        }
        let Some(node) = self.recorder.node(&row.server, &peers(row)) else { return };
        let recorder = &mut self.recorder;
        recorder.sample(node, &Metric::InFlight, at, f64::from(row.sessions));
        recorder.sample(node, &Metric::Queue, at, f64::from(row.queue));
        recorder.sample(node, &Metric::Weight, at, f64::from(row.weight));
        if row.millis > 0 {
            recorder.sample(node, &Metric::Named("mean latency".into()), at, row.millis as f64 / 1_000.0);
        }
        let Some((then, before)) = before.filter(|(_, before)| before.serves()) else {
            let carries =
                self.carries.get(&row.backend).and_then(|carries| carries(row)).filter(|carries| *carries > 0);
            if let Some(carries) = carries {
                recorder.capacity(node, f64::from(carries));
            }
            return;
        };
        let grew = (
            grown(before.requests, row.requests),
            grown(failures(&before), failures(row)),
            grown(before.retries, row.retries),
        );
        let (Some(count), Some(failed), Some(retries)) = grew else { return };
        let busy = timed.then(|| Span::from_millis(row.millis).times(count));
        recorder.requests(&Requests { at, node, route: &row.backend, count, failed, busy, values: &[] });
        let passed = (at.0 - then.0).max(1) as f64 / 1_000.0;
        recorder.sample(node, &Metric::Retries, at, retries as f64 / passed);
    }
}

fn servers<'a>(told: &'a Told, backends: &'a [String]) -> impl Iterator<Item = &'a Row> {
    told.rows.iter().filter(|row| row.kind == Kind::Server && (backends.is_empty() || backends.contains(&row.backend)))
}

fn key(row: &Row) -> (String, String) {
    (row.backend.clone(), row.server.clone())
}

/// Status 5xx, connections refused or lost, answers broken off.
fn failures(row: &Row) -> u64 {
    row.broken + row.errors
}

fn peers(row: &Row) -> Peers {
    Peers { service: Some(row.backend.clone()), version: None, role: row.backup.then(|| "backup".to_owned()) }
}

#[cfg(test)]
mod tests;
