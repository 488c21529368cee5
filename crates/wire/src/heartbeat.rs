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

use ambidex_core::signal::{Report, ReportFault};

use self::envelope::{Opened, Torn, head, open, seal};
use self::sessions::{Admitted, Sessions};
use crate::report::server_load;

pub(crate) mod envelope;
#[cfg(feature = "hmac")]
pub mod key;
pub(crate) mod sessions;
pub mod stream;

/// The most bytes of a heartbeat. Source: what passes every common path unfragmented, with room for tunnels.
pub const MOST_BYTES: usize = 1_200;
/// A head, a name of one byte and a signature.
const LEAST_BYTES: usize = envelope::LEAST_BYTES;

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
    #[error("heartbeat {sequence} of {worker} was replayed, or is older than the last 64")]
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
        Ok(seal(bytes, self.key, MOST_BYTES, sign)?)
    }
}

impl Welcome {
    /// The datagram; `sign` is told the key and what to sign.
    ///
    /// # Errors
    /// A name that none can have.
    pub fn encode(&self, sign: impl FnOnce(u32, &[u8]) -> [u8; TAG_BYTES]) -> Result<Vec<u8>, HeartbeatFault> {
        self.encode_as(WELCOME, sign).map_err(Into::into)
    }

    /// The same under another mark.
    pub(crate) fn encode_as(
        &self,
        mark: [u8; 4],
        sign: impl FnOnce(u32, &[u8]) -> [u8; TAG_BYTES],
    ) -> Result<Vec<u8>, Torn> {
        seal(head(mark, self.key, &self.session, self.sequence, &self.worker)?, self.key, MOST_BYTES, sign)
    }

    /// The welcome in a datagram, if it is one and `is_signed` says so of its key, its bytes and its signature.
    ///
    /// # Errors
    /// What is no welcome, or not signed.
    pub fn decode(bytes: &[u8], is_signed: impl FnOnce(u32, &[u8], &[u8]) -> bool) -> Result<Self, HeartbeatFault> {
        Self::decode_as(WELCOME, bytes, is_signed).map_err(Into::into)
    }

    /// The same under another mark.
    pub(crate) fn decode_as(
        mark: [u8; 4],
        bytes: &[u8],
        is_signed: impl FnOnce(u32, &[u8], &[u8]) -> bool,
    ) -> Result<Self, Torn> {
        let opened = open(mark, bytes, MOST_BYTES, is_signed)?;
        if opened.rest.is_empty() { Ok(opened.welcome(opened.session)) } else { Err(Torn::Foreign) }
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
        let (session, sequence) = self.stamp();
        Heartbeat { key, session, sequence, worker: worker.to_owned(), report }
    }

    /// Session and sequence of the next datagram.
    pub(crate) fn stamp(&mut self) -> (Session, u64) {
        self.sequence += 1;
        (self.session, self.sequence)
    }

    /// The session, if there is one yet.
    pub(crate) fn session(&self) -> Option<Session> {
        (self.session != Session::default()).then_some(self.session)
    }

    /// Takes over the session of a welcome; says whether to send again at once. An answer to anything but the latest
    /// heartbeats is an old one and changes nothing.
    pub fn welcomed(&mut self, welcome: &Welcome) -> bool {
        self.welcomed_within(welcome, LATEST)
    }

    /// The same for one that answers one of the last `latest`.
    pub(crate) fn welcomed_within(&mut self, welcome: &Welcome, latest: u64) -> bool {
        let is_recent = self.sequence.checked_sub(welcome.sequence).is_some_and(|behind| behind < latest);
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
pub struct Receiver(Sessions<1>);

impl Receiver {
    /// A receiver that keeps the sessions of at most so many workers.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self(Sessions::new(most))
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
        let opened = open(HEARTBEAT, datagram, MOST_BYTES, is_signed)?;
        match claims(opened.key, opened.name) {
            Claim::Granted => {}
            Claim::Denied => {
                return Err(HeartbeatFault::Impostor { key: opened.key, worker: opened.name.to_owned() });
            }
            Claim::Unknown => return Err(HeartbeatFault::Unknown(opened.name.to_owned())),
        }
        let Opened { session, sequence, name: worker, .. } = opened;
        match self.0.admit(worker, &session, sequence, fresh) {
            Admitted::Heard { late, .. } => Ok(Verdict::Heard { heartbeat: opened.heartbeat()?, late }),
            Admitted::Greet(session) => Ok(Verdict::Greet(opened.welcome(session))),
            Admitted::Replayed => Err(HeartbeatFault::Replayed { worker: worker.to_owned(), sequence }),
            Admitted::NoSession => Err(HeartbeatFault::NoSession),
            Admitted::Full(most) => Err(HeartbeatFault::Full(most)),
        }
    }

    /// Forgets the workers of whom `keeps` says no.
    pub fn retain(&mut self, keeps: impl FnMut(&str) -> bool) {
        self.0.retain(keeps);
    }

    /// Of how many workers sessions are kept.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.0.len()
    }
}

impl Opened<'_> {
    fn heartbeat(&self) -> Result<Heartbeat, HeartbeatFault> {
        let Self { key, session, sequence, name, rest } = *self;
        let report =
            server_load::parse(rest).map_err(|fault| HeartbeatFault::Report { worker: name.to_owned(), fault })?;
        Ok(Heartbeat { key, session, sequence, worker: name.to_owned(), report })
    }
}

impl From<Torn> for HeartbeatFault {
    fn from(torn: Torn) -> Self {
        match torn {
            Torn::Length(length) => Self::Length(length),
            Torn::Foreign => Self::Foreign,
            Torn::Signature(key) => Self::Signature(key),
            Torn::Name => Self::Name,
        }
    }
}

const HEARTBEAT: [u8; 4] = *b"AHB\x01";
const WELCOME: [u8; 4] = *b"AHW\x01";
/// Heartbeats whose answers may still be on their way. Source: ours; four seconds at one every 500 ms, more than any path.
const LATEST: u64 = 8;

#[cfg(test)]
mod tests;
