//! What gateways tell each other that decide without a coordinator: what each counted, signed, in datagrams [R-C4].
//!
//! ```text
//! gateway A                                    gateway B                  (and the same from B to A, and to C, D ..)
//!   talk, session 0, sequence 1          ->      signed, but no session: nothing is believed yet
//!   session S                            <-      welcome: S is drawn at random for A
//!   talk, session S, sequence 2..        ->      believed: added to what B counted itself
//!   the same bytes once more             ->      what came is not counted again, what was lost is
//!
//! talk, at most 1,400 bytes, numbers big endian
//!  offset bytes
//!       0     4  "AGT" and version 1
//!       4     4  key id
//!       8    16  session, 0 while there is none
//!      24     8  sequence, grows with each
//!      32     1  n, from 1 to 255
//!      33     n  the gateway's name, UTF-8
//!    33+n     r  a `Talk` (Protobuf): a round's number, and counts of some workers of one pool
//!  33+n+r    32  HMAC-SHA256 of all before
//! ```
//! Head, sessions and welcomes are those of [heartbeats](crate::heartbeat): an old datagram is worth nothing, after either
//! side began anew, too, and no clock is sent. Counts are differences to the round before, as a
//! [subscription](crate::subscription) has them; requests in flight are what they are. A round that does not fit one datagram
//! goes in several, each of which can be used without the others; a worker with too many buckets for one has them in two.
//!
//! No sockets and no cryptography here: the caller signs, checks, and draws.

use prost::Message;

use crate::heartbeat::envelope::{LEAST_BYTES, Torn, head, open, seal};
use crate::heartbeat::sessions::{Admitted, Sessions};
use crate::heartbeat::{self, Session, TAG_BYTES};
use crate::subscription::{Counts, WorkerCounts};

pub use crate::heartbeat::Welcome;

/// The most bytes of a datagram. Source: what an Ethernet frame carries (1,500), with room for IPv6 and a tunnel.
pub const MOST_BYTES: usize = 1_400;

/// What one datagram says.
#[derive(Clone, PartialEq, Message)]
pub struct Talk {
    /// Which round of its sender's; grows.
    #[prost(uint64, tag = "1")]
    pub round: u64,
    /// What was counted; nothing: a sign of life.
    #[prost(message, optional, tag = "2")]
    pub counts: Option<Counts>,
}

/// Why a datagram was not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GossipFault {
    /// Longer or shorter than any.
    #[error("a datagram of {0} bytes: {LEAST_BYTES} to {MOST_BYTES} are read")]
    Length(usize),
    /// Something else altogether, or another version.
    #[error("no datagram of ours, or of another version")]
    Foreign,
    /// Signed by another key, or by none.
    #[error("not signed by our key")]
    Signature,
    /// A name that none can have, or a message that is none.
    #[error("signed, and not to be read: a gateway of another version may have sent it")]
    Unreadable,
    /// It came before, or may have.
    #[error("it came before, or is older than the last {WINDOW} of its sender")]
    Again,
    /// It is our own.
    #[error("it is our own: this gateway is among its peers")]
    Own,
    /// More gateways than we keep sessions for.
    #[error("{0} gateways talk already: no more are heard")]
    Full(usize),
    /// No session could be drawn.
    #[error("the system gave no random bytes for a session")]
    NoSession,
}

impl From<Torn> for GossipFault {
    fn from(torn: Torn) -> Self {
        match torn {
            Torn::Length(length) => Self::Length(length),
            Torn::Foreign => Self::Foreign,
            Torn::Signature(_) => Self::Signature,
            Torn::Name => Self::Unreadable,
        }
    }
}

/// One gateway's way to one peer: which session and sequence its next datagram carries.
#[derive(Clone, Debug, Default)]
pub struct Mouth(heartbeat::Sender);

impl Mouth {
    /// The datagram that says this; `sign` is told the key and what to sign.
    ///
    /// # Errors
    /// A name that none can have, or more than [`MOST_BYTES`].
    pub fn say(
        &mut self,
        key: u32,
        name: &str,
        talk: &Talk,
        sign: impl FnOnce(u32, &[u8]) -> [u8; TAG_BYTES],
    ) -> Result<Vec<u8>, GossipFault> {
        let (session, sequence) = self.0.stamp();
        let mut bytes = head(TALK, key, &session, sequence, name)?;
        talk.encode(&mut bytes).expect("a vector grows");
        Ok(seal(bytes, key, MOST_BYTES, sign)?)
    }

    /// Takes over the session of a welcome; whether it is another one.
    pub fn welcomed(&mut self, welcome: &Welcome) -> bool {
        self.0.welcomed_within(welcome, LATEST)
    }

    /// Whether the peer has given a session.
    #[must_use]
    pub fn has_session(&self) -> bool {
        self.0.session().is_some()
    }
}

/// The welcome in a datagram, if it is one and is signed.
#[must_use]
pub fn welcome(datagram: &[u8], is_signed: impl FnOnce(u32, &[u8], &[u8]) -> bool) -> Option<Welcome> {
    Welcome::decode_as(WELCOME, datagram, is_signed).ok()
}

/// The datagram of a welcome.
///
/// # Errors
/// A name that none can have.
pub fn welcoming(welcome: &Welcome, sign: impl FnOnce(u32, &[u8]) -> [u8; TAG_BYTES]) -> Result<Vec<u8>, GossipFault> {
    Ok(welcome.encode_as(WELCOME, sign)?)
}

/// What a datagram gave.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Something to be believed as far as counts are.
    Heard {
        /// Who says it.
        name: String,
        /// What.
        talk: Talk,
        /// Whether it is the first of its session: whoever had the name before is gone.
        first: bool,
    },
    /// Signed, but without our session: send this back to where it came from.
    Greet(Welcome),
}

/// Hears peers: the sessions of all.
#[derive(Clone, Debug)]
pub struct Hearer {
    own: String,
    peers: Sessions<{ WINDOW / 64 }>,
}

impl Hearer {
    /// One that is called `own` itself, and keeps the sessions of at most so many.
    #[must_use]
    pub fn new(own: String, most: usize) -> Self {
        Self { own, peers: Sessions::new(most) }
    }

    /// Takes a datagram. `is_signed` says whether a key signs these bytes with this signature, in constant time; `fresh`
    /// draws an unpredictable session. Nothing is kept of what is not signed.
    ///
    /// # Errors
    /// What is no talk, is not signed, came before, or cannot be read.
    pub fn on(
        &mut self,
        datagram: &[u8],
        is_signed: impl FnOnce(u32, &[u8], &[u8]) -> bool,
        fresh: impl FnOnce() -> Option<Session>,
    ) -> Result<Verdict, GossipFault> {
        let opened = open(TALK, datagram, MOST_BYTES, is_signed)?;
        if opened.name == self.own {
            return Err(GossipFault::Own);
        }
        match self.peers.admit(opened.name, &opened.session, opened.sequence, fresh) {
            Admitted::Heard { first, .. } => {
                let talk = Talk::decode(opened.rest).map_err(|_| GossipFault::Unreadable)?;
                Ok(Verdict::Heard { name: opened.name.to_owned(), talk, first })
            }
            Admitted::Greet(session) => Ok(Verdict::Greet(opened.welcome(session))),
            Admitted::Replayed => Err(GossipFault::Again),
            Admitted::NoSession => Err(GossipFault::NoSession),
            Admitted::Full(most) => Err(GossipFault::Full(most)),
        }
    }

    /// Forgets the gateways of whom `keeps` says no.
    pub fn retain(&mut self, keeps: impl FnMut(&str) -> bool) {
        self.peers.retain(keeps);
    }
}

/// The talks of a round: counts in as few datagrams as they fit, of a gateway with this name. Without counts: one that says
/// nothing but that the gateway is there.
#[must_use]
pub fn talks(round: u64, name: &str, counts: Vec<Counts>) -> Vec<Talk> {
    // A head, and what a talk of one pool has around its workers: three tags, lengths and a number.
    let around = LEAST_BYTES + name.len() + 3 * 4 + 10;
    let room = MOST_BYTES - around;
    let mut talks = Vec::new();
    for Counts { pool, workers, groups: _, flows: _, covers_nanos: _ } in counts {
        let room = room.saturating_sub(pool.len());
        let talk = |workers| Talk { round, counts: Some(Counts { pool: pool.clone(), workers, ..Counts::default() }) };
        let (mut page, mut filled) = (Vec::new(), 0);
        for part in workers.into_iter().flat_map(|worker| parts(worker, room)) {
            let bytes = part.encoded_len() + AROUND_A_WORKER;
            if filled + bytes > room && !page.is_empty() {
                talks.push(talk(std::mem::take(&mut page)));
                filled = 0;
            }
            // What fits no datagram at all is the name of a worker that is longer than one.
            if bytes <= room {
                filled += bytes;
                page.push(part);
            }
        }
        if !page.is_empty() {
            talks.push(talk(page));
        }
    }
    if talks.is_empty() {
        talks.push(Talk { round, counts: None });
    }
    talks
}

/// A worker's counts in parts that fit: what they count adds up to the whole.
fn parts(worker: WorkerCounts, room: usize) -> Vec<WorkerCounts> {
    if worker.encoded_len() + AROUND_A_WORKER <= room || worker.buckets.len() < 2 {
        return vec![worker];
    }
    let half = worker.buckets.len() / 2;
    let mut first = worker;
    let rest = WorkerCounts {
        worker: first.worker.clone(),
        buckets: first.buckets.split_off(half),
        answers: first.answers.split_off(half),
        in_flight: first.in_flight,
        ..WorkerCounts::default()
    };
    parts(first, room).into_iter().chain(parts(rest, room)).collect()
}

const TALK: [u8; 4] = *b"AGT\x01";
const WELCOME: [u8; 4] = *b"AGW\x01";
/// A tag and a length.
const AROUND_A_WORKER: usize = 4;
/// Datagrams of a peer that are told from replayed ones. Source: ours; two rounds of the most that one may have.
const WINDOW: usize = 2_048;
/// Datagrams whose answers may still be on their way. Source: ours; as many.
const LATEST: u64 = WINDOW as u64;

#[cfg(test)]
mod tests;
