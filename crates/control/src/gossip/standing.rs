//! How it stands with the other gateways, for status and metrics.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ambidex_core::time::{Mono, Span};
use ambidex_wire::gossip::GossipFault;
use serde::Serialize;

use crate::config::GossipConfig;
use crate::facts::{Family, Kind};

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// What it said counts.
    Heard,
    /// It came before: the second sending of one that was not lost, or somebody sends it again.
    Again,
    /// Signed, without our session: answered with one.
    Greeted,
    /// Our own.
    Own,
    /// Longer or shorter than any.
    Length,
    /// Something else altogether.
    Foreign,
    /// Not signed by our key.
    Unsigned,
    /// Signed, and not to be read.
    Unreadable,
    /// There are too many sessions.
    Full,
    /// No session could be drawn.
    NoSession,
    /// Datagrams pile up, and its source sends too many.
    Flooded,
    /// Its source asks for sessions too often.
    Asked,
}

impl Came {
    /// All, with their words in metrics and status, and whether it is a refusal.
    const ALL: [(Self, &str, bool); 12] = [
        (Self::Heard, "heard", false),
        (Self::Again, "again", false),
        (Self::Greeted, "greeted", false),
        (Self::Own, "own", false),
        (Self::Length, "length", true),
        (Self::Foreign, "foreign", true),
        (Self::Unsigned, "unsigned", true),
        (Self::Unreadable, "unreadable", true),
        (Self::Full, "full", true),
        (Self::NoSession, "no_session", true),
        (Self::Flooded, "flooded", true),
        (Self::Asked, "asked_too_often", true),
    ];

    pub(super) const fn of(fault: &GossipFault) -> Self {
        match fault {
            GossipFault::Length(_) => Self::Length,
            GossipFault::Foreign => Self::Foreign,
            GossipFault::Signature => Self::Unsigned,
            GossipFault::Unreadable => Self::Unreadable,
            GossipFault::Again => Self::Again,
            GossipFault::Own => Self::Own,
            GossipFault::Full(_) => Self::Full,
            GossipFault::NoSession => Self::NoSession,
        }
    }
}

/// What of a talk could not be used.
const UNUSED: [&str; 3] = ["pool", "worker", "absurd"];

/// Shared by the thread that talks and those who look.
#[derive(Debug)]
pub(crate) struct Standing {
    listens: SocketAddr,
    name: String,
    every: Span,
    came: [AtomicU64; Came::ALL.len()],
    unused: [AtomicU64; UNUSED.len()],
    sent: AtomicU64,
    unsent: AtomicU64,
    peers: Mutex<Vec<PeerStatus>>,
    /// When a refusal of each kind was last told, and how many were not.
    told: Mutex<[(Option<Mono>, u64); Came::ALL.len()]>,
}

/// How it stands with the other gateways, as status and API show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GossipStatus {
    /// Address and port, with the one that the system chose.
    pub listen: SocketAddr,
    /// What the others call this gateway.
    pub name: String,
    /// How often it says what it counted, in milliseconds.
    pub every_ms: u64,
    /// The others: those of the configuration, then those who talk to us besides.
    pub peers: Vec<PeerStatus>,
    /// Datagrams that were sent.
    pub sent: u64,
    /// Datagrams that came, by what became of them; what never happened is left out.
    pub came: BTreeMap<&'static str, u64>,
    /// Counts that could not be used, by why: of a `pool` or a `worker` that is not here, or `absurd`.
    pub unused: BTreeMap<&'static str, u64>,
}

/// How it stands with one of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PeerStatus {
    /// What the configuration says; `null`: it is not among the peers there.
    pub peer: Option<String>,
    /// Where it is.
    pub address: Option<SocketAddr>,
    /// What it calls itself.
    pub name: Option<String>,
    /// Whether it is this gateway itself.
    pub own: bool,
    /// Whether what it counts is counted here.
    pub heard: bool,
    /// Since it was heard last.
    pub silent_ms: Option<f64>,
    /// Why nothing can be sent there.
    pub fault: Option<String>,
}

impl Standing {
    pub(super) fn new(listens: SocketAddr, name: &str, config: &GossipConfig) -> Self {
        Self {
            listens,
            name: name.to_owned(),
            every: config.every,
            came: Default::default(),
            unused: Default::default(),
            sent: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            peers: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// Counts a datagram that came.
    pub(super) fn count(&self, came: Came) {
        self.came[came as usize].fetch_add(1, Relaxed);
    }

    /// Counts one that is refused, and tells of it where none of its kind was told in the last minute.
    pub(super) fn refuse(&self, now: Mono, came: Came, from: IpAddr, why: impl FnOnce() -> String) {
        self.count(came);
        let (_, word, is_refusal) = Came::ALL[came as usize];
        if !is_refusal {
            return;
        }
        let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (told, untold) = &mut all[came as usize];
        if told.is_some_and(|at| now.since(at) < A_MINUTE) {
            *untold += 1;
            return;
        }
        let before = std::mem::take(untold);
        *told = Some(now);
        tracing::warn!(kind = word, %from, why = ?why(), before, "gossip: a datagram is refused");
    }

    pub(super) fn cannot_use(&self, pools: u64, workers: u64, absurd: u64) {
        for (count, more) in self.unused.iter().zip([pools, workers, absurd]) {
            count.fetch_add(more, Relaxed);
        }
    }

    pub(super) fn sent(&self, sent: bool) {
        let count = if sent { &self.sent } else { &self.unsent };
        count.fetch_add(1, Relaxed);
    }

    pub(super) fn show(&self, peers: Vec<PeerStatus>) {
        *self.peers() = peers;
    }

    fn peers(&self) -> MutexGuard<'_, Vec<PeerStatus>> {
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it stands.
    pub(crate) fn status(&self) -> GossipStatus {
        let nonzero = |word: &'static str, count: &AtomicU64| {
            let count = count.load(Relaxed);
            (count > 0).then_some((word, count))
        };
        GossipStatus {
            listen: self.listens,
            name: self.name.clone(),
            every_ms: self.every.as_millis(),
            peers: self.peers().clone(),
            sent: self.sent.load(Relaxed),
            came: Came::ALL.iter().filter_map(|(came, word, _)| nonzero(word, &self.came[*came as usize])).collect(),
            unused: UNUSED.iter().zip(&self.unused).filter_map(|(word, count)| nonzero(word, count)).collect(),
        }
    }

    /// The numbers for metrics.
    pub(crate) fn families(&self) -> Vec<Family> {
        let family = |name, help, kind, samples| Family { name, help, kind, samples };
        let sample = |label, word: &str, count: u64| (vec![(label, word.to_owned())], count as f64);
        let of = |refusals: bool, label| {
            let all = Came::ALL.iter().filter(move |(_, _, is)| *is == refusals);
            all.map(|(came, word, _)| sample(label, word, self.came[*came as usize].load(Relaxed))).collect()
        };
        let peers = self.peers();
        let count = |heard| peers.iter().filter(|peer| !peer.own && peer.heard == heard).count() as u64;
        vec![
            family(
                "gossip",
                "Signed datagrams of other gateways, by what came of them",
                Kind::Counter,
                of(false, "came"),
            ),
            family(
                "gossip_refused",
                "Datagrams at gossip's port that were not used, by why",
                Kind::Counter,
                of(true, "why"),
            ),
            family(
                "gossip_unused",
                "Counts of other gateways that could not be used, by why",
                Kind::Counter,
                UNUSED.iter().zip(&self.unused).map(|(word, count)| sample("why", word, count.load(Relaxed))).collect(),
            ),
            family(
                "gossip_sent",
                "Datagrams to other gateways",
                Kind::Counter,
                vec![sample("sent", "yes", self.sent.load(Relaxed)), sample("sent", "no", self.unsent.load(Relaxed))],
            ),
            family(
                "gossip_peers",
                "Other gateways, by whether what they count is counted here",
                Kind::Gauge,
                vec![sample("state", "heard", count(true)), sample("state", "silent", count(false))],
            ),
        ]
    }
}

const A_MINUTE: Span = Span::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_in_the_order_of_their_kinds() {
        assert!(Came::ALL.iter().enumerate().all(|(at, (came, _, _))| *came as usize == at));
    }
}
