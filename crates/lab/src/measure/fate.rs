//! How requests end, and how many ended which way.

use serde::{Deserialize, Serialize};

/// How a request ended, as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Answered with a status from 200 to 399.
    Well,
    /// Answered with a status of 400 to 499.
    Status4xx,
    /// Answered with any other status that is not well.
    Status5xx,
    /// No connection could be made.
    Connect,
    /// The connection broke before the answer began.
    Reset,
    /// The connection broke in the middle of the answer.
    Truncated,
    /// The answer was no HTTP.
    Garbled,
    /// No whole answer within the timeout.
    Timeout,
    /// Still waiting for a connection when the run ended.
    NeverSent,
}

/// Failures by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tallies {
    /// Answered with a status of 400 to 499.
    pub status_4xx: u64,
    /// Answered with any other status that is not well.
    pub status_5xx: u64,
    /// No connection could be made.
    pub connect: u64,
    /// The connection broke before the answer began.
    pub reset: u64,
    /// The connection broke in the middle of the answer.
    pub truncated: u64,
    /// The answer was no HTTP.
    pub garbled: u64,
    /// No whole answer within the timeout.
    pub timeout: u64,
    /// Still waiting for a connection when the run ended.
    pub never_sent: u64,
}

impl Tallies {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.status_4xx
            + self.status_5xx
            + self.connect
            + self.reset
            + self.truncated
            + self.garbled
            + self.timeout
            + self.never_sent
    }

    /// Counts one request, if it failed.
    pub const fn count(&mut self, fate: Fate) {
        let kind = match fate {
            Fate::Well => return,
            Fate::Status4xx => &mut self.status_4xx,
            Fate::Status5xx => &mut self.status_5xx,
            Fate::Connect => &mut self.connect,
            Fate::Reset => &mut self.reset,
            Fate::Truncated => &mut self.truncated,
            Fate::Garbled => &mut self.garbled,
            Fate::Timeout => &mut self.timeout,
            Fate::NeverSent => &mut self.never_sent,
        };
        *kind += 1;
    }

    /// Each kind that happened, by name.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("4xx", self.status_4xx),
            ("5xx", self.status_5xx),
            ("connect", self.connect),
            ("reset", self.reset),
            ("truncated", self.truncated),
            ("garbled", self.garbled),
            ("timeout", self.timeout),
            ("never sent", self.never_sent),
        ]
        .into_iter()
        .filter(|(_, count)| *count > 0)
    }
}
