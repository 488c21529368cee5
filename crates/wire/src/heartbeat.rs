//! Heartbeats: what a worker pushes over UDP, signed and safe from replay, without a clock [R-S3, R-S8].
//!
//! ```text
//! worker                                      coordinator
//!   heartbeat, session 0, sequence 1     ->     signed, but no session: nothing is believed yet
//!   session S                            <-     welcome: S is drawn at random for this worker
//!   heartbeat, session S, sequence 2     ->     believed
//!   heartbeat, session S, sequence 3     ->     believed; the same bytes again: replayed
//!
//! heartbeat, at most 1,200 bytes, numbers big endian        welcome
//!  offset bytes                                              offset bytes
//!       0     4  "AHB" and version 1                              0     4  "AHW" and version 1
//!       4     4  key id: which shared key signs                   4     4  key id
//!       8    16  session, 0 while there is none                   8    16  session
//!      24     8  sequence, grows with each                       24     8  sequence of the heartbeat that it answers
//!      32     1  n, from 1 to 255                                32     1  n
//!      33     n  the worker's name, UTF-8                        33     n  the worker's name
//!    33+n     r  the report, as `Server-Load` has it           33+n    32  HMAC-SHA256 of all before
//!  33+n+r    32  HMAC-SHA256 of all before
//! ```
//! The session is the receiver's challenge. It makes old datagrams worthless after either side has started anew, which a
//! sequence alone cannot do, and without comparing clocks, which a time in the datagram would need. A welcome is smaller
//! than what asks for it and goes only to who signed, so that nobody is flooded by way of the coordinator.
//!
//! No sockets and no cryptography here: the caller signs, checks, and draws. [`key`] has what signs, for those who want it.

use std::collections::HashMap;

use ambidex_core::signal::{Report, ReportFault};

use crate::report::server_load;

#[cfg(feature = "hmac")]
pub mod key;
pub mod stream;

/// The most bytes of a heartbeat. Source: what passes every common path unfragmented, with room for tunnels.
pub const MOST_BYTES: usize = 1_200;

/// Bytes of a signature: HMAC-SHA256 (RFC 2104, FIPS 180-4).
pub const TAG_BYTES: usize = 32;

/// What a receiver drew for one worker's heartbeats until either starts anew. Zeros are no session.
pub type Session = [u8; 16];

/// One heartbeat.
#[derive(Clone, Debug, PartialEq)]
pub struct Heartbeat {
    /// Which shared key signs it.
    pub key: u32,
    /// The receiver's session, zeros while there is none.
    pub session: Session,
    /// Grows with each heartbeat of a sender.
    pub sequence: u64,
    /// Whose it is.
    pub worker: String,
    /// What it says.
    pub report: Report,
}

/// A receiver's answer to a heartbeat without its session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Which shared key signs it.
    pub key: u32,
    /// What the next heartbeats are to carry.
    pub session: Session,
    /// The heartbeat that it answers.
    pub sequence: u64,
    /// Whose heartbeats.
    pub worker: String,
}

/// Why a datagram was not used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum HeartbeatFault {
    /// Longer or shorter than any.
    #[error("a heartbeat of {0} bytes: {LEAST_BYTES} to {MOST_BYTES} are read")]
    Length(usize),
    /// Something else altogether, or another version.
    #[error("no datagram of ours, or of another version")]
    Foreign,
    /// Signed by a key that we do not have, or by none.
    #[error("not signed by key {0}")]
    Signature(u32),
    /// Signed by a key that is not this worker's.
    #[error("key {key} does not speak for {worker}")]
    Impostor {
        /// The key that signed it.
        key: u32,
        /// Whose it says it is.
        worker: String,
    },
    /// A name that none can have.
    #[error("a worker's name must have 1 to 255 bytes of UTF-8")]
    Name,
    /// It came before.
    #[error("heartbeat {sequence} of {worker} was replayed, or is older than the last {WINDOW}")]
    Replayed {
        /// Whose it says it is.
        worker: String,
        /// Its sequence.
        sequence: u64,
    },
    /// Signed by a key that may speak for a worker of this name, and there is none.
    #[error("there is no worker {0}")]
    Unknown(String),
    /// More workers than we keep sessions for.
    #[error("{0} workers send heartbeats already: no more are kept")]
    Full(usize),
    /// No session could be drawn.
    #[error("the system gave no random bytes for a session")]
    NoSession,
    /// Its report cannot be used.
    #[error("the report of {worker}: {fault}")]
    Report {
        /// Whose it is.
        worker: String,
        /// What is wrong with it.
        fault: ReportFault,
    },
}

/// What a receiver says to a name under a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The key speaks for the worker.
    Granted,
    /// It speaks for others.
    Denied,
    /// It might, and there is no such worker.
    Unknown,
}

impl Heartbeat {
    /// The datagram; `sign` is told the key and what to sign.
    ///
    /// # Errors
    /// A name that none can have, or more than [`MOST_BYTES`].
    pub fn encode(&self, sign: impl FnOnce(u32, &[u8]) -> [u8; TAG_BYTES]) -> Result<Vec<u8>, HeartbeatFault> {
        let mut bytes = head(HEARTBEAT, self.key, &self.session, self.sequence, &self.worker)?;
        bytes.extend_from_slice(server_load::write(&self.report).as_bytes());
        seal(bytes, self.key, sign)
    }
}

impl Welcome {
    /// The datagram; `sign` is told the key and what to sign.
    ///
    /// # Errors
    /// A name that none can have.
    pub fn encode(&self, sign: impl FnOnce(u32, &[u8]) -> [u8; TAG_BYTES]) -> Result<Vec<u8>, HeartbeatFault> {
        seal(head(WELCOME, self.key, &self.session, self.sequence, &self.worker)?, self.key, sign)
    }

    /// The welcome in a datagram, if it is one and `is_signed` says so of its key, its bytes and its signature.
    ///
    /// # Errors
    /// What is no welcome, or not signed.
    pub fn decode(bytes: &[u8], is_signed: impl FnOnce(u32, &[u8], &[u8]) -> bool) -> Result<Self, HeartbeatFault> {
        let Opened { key, session, sequence, worker, rest } = open(WELCOME, bytes, is_signed)?;
        let worker = worker.to_owned();
        if rest.is_empty() { Ok(Self { key, session, sequence, worker }) } else { Err(HeartbeatFault::Foreign) }
    }
}

/// A worker's side: which session and sequence its next heartbeat carries.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    session: Session,
    sequence: u64,
}

impl Sender {
    /// The next heartbeat.
    pub fn next(&mut self, key: u32, worker: &str, report: Report) -> Heartbeat {
        self.sequence += 1;
        Heartbeat { key, session: self.session, sequence: self.sequence, worker: worker.to_owned(), report }
    }

    /// Takes over the session of a welcome; says whether to send again at once. An answer to anything but the latest
    /// heartbeats is an old one and changes nothing.
    pub fn welcomed(&mut self, welcome: &Welcome) -> bool {
        let is_recent = self.sequence.checked_sub(welcome.sequence).is_some_and(|behind| behind < LATEST);
        let is_news = is_recent && welcome.session != self.session;
        if is_news {
            self.session = welcome.session;
        }
        is_news
    }
}

/// What a heartbeat gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// A report to be believed as far as reports are.
    Heard {
        /// The heartbeat.
        heartbeat: Heartbeat,
        /// Whether a later one came before it: then its report is history.
        late: bool,
    },
    /// Signed, but without our session: send this back to where it came from.
    Greet(Welcome),
}

/// The coordinator's side: the sessions of all workers that send.
#[derive(Clone, Debug)]
pub struct Receiver {
    most: usize,
    workers: HashMap<String, Sessions>,
}

/// A worker's session that is believed, and the one that was offered last.
#[derive(Clone, Debug)]
struct Sessions {
    current: Option<(Session, Window)>,
    offered: Session,
}

impl Receiver {
    /// A receiver that keeps the sessions of at most so many workers.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, workers: HashMap::new() }
    }

    /// Takes a datagram. `is_signed` says whether a key signs these bytes with this signature, in constant time; `claims`
    /// whether a key is this worker's, because a worker may lie about itself only; `fresh` draws an unpredictable session.
    /// Nothing is kept of what is not signed and granted.
    ///
    /// # Errors
    /// What is no heartbeat, is not signed by a key of the worker's, came before, or says what no worker can.
    pub fn on(
        &mut self,
        datagram: &[u8],
        is_signed: impl FnOnce(u32, &[u8], &[u8]) -> bool,
        claims: impl FnOnce(u32, &str) -> Claim,
        fresh: impl FnOnce() -> Option<Session>,
    ) -> Result<Verdict, HeartbeatFault> {
        let opened = open(HEARTBEAT, datagram, is_signed)?;
        match claims(opened.key, opened.worker) {
            Claim::Granted => {}
            Claim::Denied => {
                return Err(HeartbeatFault::Impostor { key: opened.key, worker: opened.worker.to_owned() });
            }
            Claim::Unknown => return Err(HeartbeatFault::Unknown(opened.worker.to_owned())),
        }
        let Some(sessions) = self.workers.get_mut(opened.worker) else {
            if self.workers.len() >= self.most {
                return Err(HeartbeatFault::Full(self.most));
            }
            let offered = fresh().ok_or(HeartbeatFault::NoSession)?;
            self.workers.insert(opened.worker.to_owned(), Sessions { current: None, offered });
            return Ok(Verdict::Greet(opened.welcome(offered)));
        };
        let late = match &mut sessions.current {
            Some((session, window)) if *session == opened.session => {
                let (worker, sequence) = (opened.worker, opened.sequence);
                window
                    .admit(sequence)
                    .ok_or_else(|| HeartbeatFault::Replayed { worker: worker.to_owned(), sequence })?
            }
            _ if sessions.offered == opened.session => {
                let next = fresh().ok_or(HeartbeatFault::NoSession)?;
                sessions.current = Some((sessions.offered, Window::beginning(opened.sequence)));
                sessions.offered = next;
                false
            }
            // The session in force stays: an old datagram sent again must not end it. The same offer is made until it
            // is taken, so that an answer on its way is never out of date.
            _ => return Ok(Verdict::Greet(opened.welcome(sessions.offered))),
        };
        Ok(Verdict::Heard { heartbeat: opened.heartbeat()?, late })
    }

    /// Forgets the workers of whom `keeps` says no.
    pub fn retain(&mut self, mut keeps: impl FnMut(&str) -> bool) {
        self.workers.retain(|worker, _| keeps(worker));
    }

    /// Of how many workers sessions are kept.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.workers.len()
    }
}

/// The last sequences of a session, of which each is admitted once (after RFC 4303, 3.4.3).
#[derive(Clone, Copy, Debug)]
struct Window {
    newest: u64,
    /// Bit n: `newest - n` came.
    came: u64,
}

impl Window {
    const fn beginning(sequence: u64) -> Self {
        Self { newest: sequence, came: 1 }
    }

    /// Admits a sequence once and says whether a later one came before it; `None` when it came, or may have.
    fn admit(&mut self, sequence: u64) -> Option<bool> {
        if sequence > self.newest {
            let ahead = sequence - self.newest;
            self.came = u32::try_from(ahead).ok().and_then(|ahead| self.came.checked_shl(ahead)).unwrap_or(0) | 1;
            self.newest = sequence;
            return Some(false);
        }
        let behind = self.newest - sequence;
        let bit = u32::try_from(behind).ok().and_then(|behind| 1_u64.checked_shl(behind))?;
        if self.came & bit != 0 {
            return None;
        }
        self.came |= bit;
        Some(true)
    }
}

/// A datagram whose signature is good, not copied yet.
struct Opened<'a> {
    key: u32,
    session: Session,
    sequence: u64,
    worker: &'a str,
    rest: &'a [u8],
}

impl Opened<'_> {
    fn heartbeat(&self) -> Result<Heartbeat, HeartbeatFault> {
        let Self { key, session, sequence, worker, rest } = *self;
        let report =
            server_load::parse(rest).map_err(|fault| HeartbeatFault::Report { worker: worker.to_owned(), fault })?;
        Ok(Heartbeat { key, session, sequence, worker: worker.to_owned(), report })
    }

    fn welcome(&self, session: Session) -> Welcome {
        Welcome { key: self.key, session, sequence: self.sequence, worker: self.worker.to_owned() }
    }
}

fn head(mark: [u8; 4], key: u32, session: &Session, sequence: u64, worker: &str) -> Result<Vec<u8>, HeartbeatFault> {
    let length = u8::try_from(worker.len()).ok().filter(|length| *length > 0).ok_or(HeartbeatFault::Name)?;
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(&mark);
    bytes.extend_from_slice(&key.to_be_bytes());
    bytes.extend_from_slice(session);
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.push(length);
    bytes.extend_from_slice(worker.as_bytes());
    Ok(bytes)
}

fn seal(
    mut bytes: Vec<u8>,
    key: u32,
    sign: impl FnOnce(u32, &[u8]) -> [u8; TAG_BYTES],
) -> Result<Vec<u8>, HeartbeatFault> {
    let tag = sign(key, &bytes);
    bytes.extend_from_slice(&tag);
    if bytes.len() > MOST_BYTES { Err(HeartbeatFault::Length(bytes.len())) } else { Ok(bytes) }
}

/// Checks the signature before anything else is read of what a stranger sent.
fn open(
    mark: [u8; 4],
    datagram: &[u8],
    is_signed: impl FnOnce(u32, &[u8], &[u8]) -> bool,
) -> Result<Opened<'_>, HeartbeatFault> {
    let length = datagram.len();
    if !(LEAST_BYTES..=MOST_BYTES).contains(&length) {
        return Err(HeartbeatFault::Length(length));
    }
    let (signed, tag) = datagram.split_at(length - TAG_BYTES);
    let too_short = || HeartbeatFault::Length(length);
    let (its_mark, rest) = signed.split_first_chunk::<4>().ok_or_else(too_short)?;
    if *its_mark != mark {
        return Err(HeartbeatFault::Foreign);
    }
    let (key, rest) = rest.split_first_chunk::<4>().ok_or_else(too_short)?;
    let key = u32::from_be_bytes(*key);
    if !is_signed(key, signed, tag) {
        return Err(HeartbeatFault::Signature(key));
    }
    let (session, rest) = rest.split_first_chunk::<16>().ok_or_else(too_short)?;
    let (sequence, rest) = rest.split_first_chunk::<8>().ok_or_else(too_short)?;
    let (name_length, rest) = rest.split_first().ok_or_else(too_short)?;
    let (name, rest) = rest.split_at_checked(usize::from(*name_length)).ok_or(HeartbeatFault::Name)?;
    let worker = std::str::from_utf8(name).ok().filter(|name| !name.is_empty()).ok_or(HeartbeatFault::Name)?;
    Ok(Opened { key, session: *session, sequence: u64::from_be_bytes(*sequence), worker, rest })
}

const HEARTBEAT: [u8; 4] = *b"AHB\x01";
const WELCOME: [u8; 4] = *b"AHW\x01";
/// Heartbeats whose answers may still be on their way. Source: ours; four seconds at one every 500 ms, more than any path.
const LATEST: u64 = 8;
/// A head, a name of one byte and a signature.
const LEAST_BYTES: usize = 34 + TAG_BYTES;
/// How many sequences back a late heartbeat is told from a replayed one.
const WINDOW: u32 = u64::BITS;

#[cfg(test)]
mod tests;
