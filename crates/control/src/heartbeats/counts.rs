//! What became of datagrams: counted by kind, and each kind of refusal told in one line a minute.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use ambidex_core::time::{Mono, Span};
use ambidex_wire::heartbeat::HeartbeatFault;
use serde::Serialize;

use crate::facts::{Family, Kind};

/// Why a datagram was not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Longer or shorter than any heartbeat.
    Length,
    /// Something else altogether.
    Foreign,
    /// Not signed by a key of ours.
    Unsigned,
    /// By a key that does not speak for the worker.
    Impostor,
    /// Of a worker that is not there.
    Unknown,
    /// Of a name that none can have.
    Name,
    /// It came before.
    Replayed,
    /// There are too many sessions.
    Full,
    /// No session could be drawn.
    NoSession,
    /// Its report cannot be used.
    Report,
    /// Datagrams pile up, and its source sends too many.
    Flooded,
    /// Its source asks for sessions too often.
    Asked,
    /// It is believed, and too many wait for the room already.
    Overflow,
}

impl Refused {
    /// All, with their words in metrics and status.
    const ALL: [(Self, &str); 13] = [
        (Self::Length, "length"),
        (Self::Foreign, "foreign"),
        (Self::Unsigned, "unsigned"),
        (Self::Impostor, "impostor"),
        (Self::Unknown, "unknown_worker"),
        (Self::Name, "name"),
        (Self::Replayed, "replayed"),
        (Self::Full, "full"),
        (Self::NoSession, "no_session"),
        (Self::Report, "report"),
        (Self::Flooded, "flooded"),
        (Self::Asked, "asked_too_often"),
        (Self::Overflow, "overflow"),
    ];

    /// The kind of a fault.
    pub(super) const fn of(fault: &HeartbeatFault) -> Self {
        match fault {
            HeartbeatFault::Length(_) => Self::Length,
            HeartbeatFault::Foreign => Self::Foreign,
            HeartbeatFault::Signature(_) => Self::Unsigned,
            HeartbeatFault::Impostor { .. } => Self::Impostor,
            HeartbeatFault::Name => Self::Name,
            HeartbeatFault::Replayed { .. } => Self::Replayed,
            HeartbeatFault::Unknown(_) => Self::Unknown,
            HeartbeatFault::Full(_) => Self::Full,
            HeartbeatFault::NoSession => Self::NoSession,
            HeartbeatFault::Report { .. } => Self::Report,
        }
    }

    fn word(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

/// Counts since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(super) heard: AtomicU64,
    pub(super) late: AtomicU64,
    pub(super) greeted: AtomicU64,
    sessions: AtomicU64,
    /// What the system dropped before it was read, and what it had dropped of that when we looked last.
    dropped: AtomicU64,
    seen_dropped: AtomicU64,
    refused: [AtomicU64; Refused::ALL.len()],
    listening: Mutex<Option<Listening>>,
}

/// Where heartbeats are heard, and by which keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listening {
    /// Address and port, with the one that the system chose.
    pub listen: SocketAddr,
    /// The same for streams, where they are heard.
    pub grpc: Option<SocketAddr>,
    /// How often each worker is to send one, in milliseconds.
    pub every_ms: u64,
    /// Ids of the keys.
    pub keys: Vec<u32>,
}

/// Who hears heartbeats and what came, as status and API show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeartbeatsStatus {
    /// Where and by which keys.
    #[serde(flatten)]
    pub listening: Listening,
    /// Workers with a session.
    pub sessions: u64,
    /// Datagrams that the system dropped before they were read: its buffer was full.
    pub dropped: u64,
    /// What came of all others since the start.
    #[serde(flatten)]
    pub totals: Totals,
}

/// The same as one reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Heartbeats that were believed.
    pub heard: u64,
    /// Those that came after a later one: believed, and history.
    pub late: u64,
    /// Signed ones without our session: answered with one.
    pub greeted: u64,
    /// The others, by why; what never happened is left out.
    pub refused: BTreeMap<&'static str, u64>,
}

impl Counts {
    /// Says where heartbeats are heard from now on; `None`: nowhere.
    pub(crate) fn listen(&self, listening: Option<Listening>) {
        *self.listening.lock().unwrap_or_else(PoisonError::into_inner) = listening;
    }

    /// How it stands; `None` while none are heard.
    pub(crate) fn status(&self) -> Option<HeartbeatsStatus> {
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let (sessions, dropped) = (self.sessions(), self.dropped.load(Relaxed));
        Some(HeartbeatsStatus { listening, sessions, dropped, totals: self.totals() })
    }

    pub(super) fn keep(&self, sessions: usize) {
        self.sessions.store(sessions as u64, Relaxed);
    }

    /// Takes how many datagrams the system has dropped at this socket; another socket begins anew.
    pub(super) fn drop_to(&self, dropped: u64) {
        let before = self.seen_dropped.swap(dropped, Relaxed);
        let more = dropped.checked_sub(before).unwrap_or(dropped);
        if more > 0 && self.dropped.fetch_add(more, Relaxed) == 0 {
            tracing::warn!(
                more,
                "the system drops heartbeats before they are read: give it a larger `net.core.rmem_max`, or this process \
                 more of a core"
            );
        }
    }

    pub(super) fn sessions(&self) -> u64 {
        self.sessions.load(Relaxed)
    }

    pub(super) fn totals(&self) -> Totals {
        let count = |(why, word): &(Refused, &'static str)| {
            let count = self.refused[*why as usize].load(Relaxed);
            (count > 0).then_some((*word, count))
        };
        Totals {
            heard: self.heard.load(Relaxed),
            late: self.late.load(Relaxed),
            greeted: self.greeted.load(Relaxed),
            refused: Refused::ALL.iter().filter_map(count).collect(),
        }
    }

    /// The numbers for metrics.
    pub(crate) fn families(&self) -> Vec<Family> {
        let Totals { heard, late, greeted, .. } = self.totals();
        let sample = |label, word: &str, count: u64| (vec![(label, word.to_owned())], count as f64);
        let refused =
            |(why, word): &(Refused, &'static str)| sample("why", word, self.refused[*why as usize].load(Relaxed));
        let family = |name, help, kind, samples| Family { name, help, kind, samples };
        let came =
            [("heard", heard), ("late", late), ("greeted", greeted)].map(|(word, count)| sample("came", word, count));
        vec![
            family("heartbeats", "Signed heartbeats, by what came of them", Kind::Counter, came.into()),
            family(
                "heartbeats_refused",
                "Datagrams at the heartbeats' port that were not used, by why",
                Kind::Counter,
                Refused::ALL.iter().map(refused).collect(),
            ),
            family(
                "heartbeats_dropped",
                "Datagrams at the heartbeats' port that the system dropped before they were read",
                Kind::Counter,
                vec![(Vec::new(), self.dropped.load(Relaxed) as f64)],
            ),
            family(
                "heartbeat_sessions",
                "Workers that have a session for heartbeats",
                Kind::Gauge,
                vec![(Vec::new(), self.sessions() as f64)],
            ),
        ]
    }
}

/// What was told, so that a flood is a line a minute.
#[derive(Debug, Default)]
pub(super) struct Told {
    kinds: [(Option<Mono>, u64); Refused::ALL.len()],
}

impl Told {
    /// Counts a refusal, and tells of it where none of its kind was told in the last minute. `text` may hold what a
    /// stranger chose.
    pub(super) fn refuse(
        &mut self,
        counts: &Counts,
        now: Mono,
        why: Refused,
        from: IpAddr,
        text: impl FnOnce() -> String,
    ) -> bool {
        counts.refused[why as usize].fetch_add(1, Relaxed);
        let (told, untold) = &mut self.kinds[why as usize];
        if told.is_some_and(|at| now.since(at) < A_MINUTE) {
            *untold += 1;
            return false;
        }
        let before = std::mem::take(untold);
        *told = Some(now);
        tracing::warn!(kind = why.word(), %from, why = ?text(), before, "a heartbeat is refused");
        true
    }
}

const A_MINUTE: Span = Span::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_in_the_order_of_their_kinds() {
        for (at, (why, word)) in Refused::ALL.into_iter().enumerate() {
            assert_eq!((why as usize, why.word()), (at, word));
        }
    }

    #[test]
    fn a_flood_is_told_once_a_minute_for_each_kind() {
        let (counts, mut told) = (Counts::default(), Told::default());
        let from = IpAddr::from([127, 0, 0, 1]);
        let mut lines = 0;
        for second in 0..120 {
            for why in [Refused::Unsigned, Refused::Replayed] {
                let now = Mono::default() + Span::from_secs(second);
                lines += usize::from(told.refuse(&counts, now, why, from, String::new));
            }
        }
        assert_eq!((lines, counts.totals().refused["unsigned"]), (4, 120));
    }
}
