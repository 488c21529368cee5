//! Whether this process decides: always where it stands for no election, else for as long as it leads.
//!
//! Everybody who would tell the outside anything asks [`Leadership::may_publish`] right before: it goes by the clock, so that
//! a lease that is over is over, whether or not anybody had time to say so. Who has to begin or end something by it waits for
//! another [`Office`].

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use ambidex_core::time::Mono;
use ambidex_wire::subscription::MOST_TERM;
use tokio::sync::{mpsc, watch};

use crate::clock::Clock;

/// What this process is among the coordinators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Office {
    /// There are no others.
    Alone,
    /// It leads.
    Leads {
        /// Under this term.
        term: u64,
    },
    /// It does not.
    StandsBy {
        /// The latest term that it has heard of.
        latest: u64,
        /// Who leads, if anybody is known to.
        leader: Option<Leading>,
    },
}

/// Somebody else that leads.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Leading {
    /// What it is called.
    pub name: String,
    /// Where gateways subscribe to it.
    pub gateways: Option<String>,
    /// Where its admin API is.
    pub admin: Option<String>,
}

impl Office {
    /// Whether what is decided here holds.
    pub(crate) const fn decides(&self) -> bool {
        match self {
            Self::Alone | Self::Leads { .. } => true,
            Self::StandsBy { .. } => false,
        }
    }
}

/// What all tasks ask.
#[derive(Debug)]
pub(crate) struct Leadership {
    clock: Clock,
    /// Until when it may publish, in nanoseconds of the clock.
    until: AtomicU64,
    term: AtomicU64,
    office: watch::Sender<Office>,
    /// Terms that somebody has heard of, for whoever runs the election.
    heard: Option<mpsc::Sender<u64>>,
}

impl Leadership {
    /// Nobody else is there.
    pub(crate) fn alone(clock: Clock) -> Self {
        let office = watch::Sender::new(Office::Alone);
        Self { clock, until: AtomicU64::new(u64::MAX), term: AtomicU64::new(0), office, heard: None }
    }

    /// Others may lead; so does nobody yet. Terms that are heard of go to `heard`.
    pub(crate) fn elected(clock: Clock, heard: mpsc::Sender<u64>) -> Self {
        let office = watch::Sender::new(Office::StandsBy { latest: 0, leader: None });
        Self { clock, until: AtomicU64::new(0), term: AtomicU64::new(0), office, heard: Some(heard) }
    }

    /// The term under which this process may tell the outside what it decides, at this moment; 0 where nobody is elected.
    pub(crate) fn may_publish(&self) -> Option<u64> {
        let until = self.until.load(SeqCst);
        (self.clock.now().as_nanos() < until).then(|| self.term.load(SeqCst))
    }

    /// The office, and each other one.
    pub(crate) fn offices(&self) -> watch::Receiver<Office> {
        self.office.subscribe()
    }

    /// The office.
    pub(crate) fn office(&self) -> Office {
        self.office.borrow().clone()
    }

    /// Somebody has heard of a leader with this term.
    pub(crate) fn hear_of(&self, term: u64) {
        if let Some(heard) = self.heard.as_ref().filter(|_| term <= MOST_TERM) {
            // Whoever has heard of it says so again.
            let _ = heard.try_send(term);
        }
    }

    /// It leads from now on, until its lease is over.
    pub(crate) fn lead(&self, term: u64, until: Mono) {
        self.term.store(term, SeqCst);
        self.until.store(until.as_nanos(), SeqCst);
        self.take(Office::Leads { term });
    }

    /// The lease is longer now.
    pub(crate) fn prolong(&self, until: Mono) {
        self.until.store(until.as_nanos(), SeqCst);
    }

    /// It does not lead, or no more.
    pub(crate) fn stand_by(&self, latest: u64, leader: Option<Leading>) {
        self.until.store(0, SeqCst);
        self.take(Office::StandsBy { latest, leader });
    }

    fn take(&self, office: Office) {
        self.office.send_if_modified(|known| {
            let another = *known != office;
            *known = office;
            another
        });
    }
}
