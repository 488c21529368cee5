//! What is done with one datagram. No sockets: it is told what came, from where and when.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ambidex_core::time::{Mono, Span};
use ambidex_wire::heartbeat::{HeartbeatFault, Receiver, Session, Verdict};

use super::allowance::{Allowances, Rate};
use super::counts::{Counts, Refused, Told};
use super::keyring::Keyring;
use super::waiting::{Beat, Waiting};

/// Takes datagrams.
#[derive(Debug)]
pub(super) struct Ear {
    receiver: Receiver,
    sources: Allowances,
    /// To whom welcomes may still be sent.
    greets: Allowances,
    /// More came than could be read at once.
    pressed: bool,
    counts: Arc<Counts>,
    told: Told,
    waiting: Arc<Waiting>,
}

/// What came of one heartbeat.
#[derive(Debug, PartialEq)]
pub(super) enum Took {
    /// Its worker's key signs it: what it said waits for the room, as far as it can be used.
    Taken,
    /// Something is to be sent back to where it came from.
    Welcome(Vec<u8>),
    /// It is not used.
    Refused(HeartbeatFault),
    /// Its source sends, or asks for sessions, too often.
    TooMuch,
}

impl Ear {
    pub(super) fn new(counts: Arc<Counts>, waiting: Arc<Waiting>) -> Self {
        Self {
            receiver: Receiver::new(MOST_SESSIONS),
            sources: Allowances::new(),
            greets: Allowances::new(),
            pressed: false,
            counts,
            told: Told::default(),
            waiting,
        }
    }

    /// Says whether datagrams pile up: only then is anything refused for how much comes from its source. While all can be
    /// checked, a flood that is sent in a worker's name or from its address takes nothing from the worker.
    pub(super) fn pressed(&mut self, pressed: bool) {
        self.pressed = pressed;
    }

    /// Whether a datagram is one too many of its source, while datagrams pile up.
    pub(super) fn is_too_much(&mut self, now: Mono, from: IpAddr) -> bool {
        if !self.pressed {
            return false;
        }
        let signs = self.sources.has_signed(now, from, SIGNED_WITHIN);
        let fits = self.sources.take(now, from, if signs { SIGNED } else { UNSIGNED });
        if !fits {
            self.flooded(now, from);
        }
        !fits
    }

    /// Whether a stream of somebody who has signed nothing is one too many of its source.
    pub(super) fn knocks_too_often(&mut self, now: Mono, from: IpAddr) -> bool {
        let fits = self.sources.take(now, from, UNSIGNED);
        if !fits {
            self.flooded(now, from);
        }
        !fits
    }

    /// Counts what was not looked at.
    pub(super) fn flooded(&mut self, now: Mono, from: IpAddr) {
        self.told.refuse(&self.counts, now, Refused::Flooded, from, || "too many come from there".to_owned());
    }

    /// Takes a heartbeat; `knows` says whether there is a worker of a name.
    pub(super) fn take(
        &mut self,
        now: Mono,
        datagram: &[u8],
        from: IpAddr,
        keyring: &Keyring,
        knows: impl FnOnce(&str) -> bool,
    ) -> Took {
        let is_signed = |id: u32, bytes: &[u8], tag: &[u8]| keyring.signs(id, bytes, tag);
        let claims = |id: u32, worker: &str| keyring.claims(id, worker, knows);
        let verdict = self.receiver.on(datagram, is_signed, claims, drawn);
        if !matches!(verdict, Err(HeartbeatFault::Length(_) | HeartbeatFault::Foreign | HeartbeatFault::Signature(_))) {
            self.sources.sign(now, from);
        }
        match verdict {
            Ok(Verdict::Heard { late: true, .. }) => {
                self.counts.late.fetch_add(1, Relaxed);
                Took::Taken
            }
            Ok(Verdict::Heard { heartbeat, late: false }) => {
                let (worker, every) = (heartbeat.worker, keyring.every());
                if self.waiting.keep(Beat { worker, at: now, every, report: Some(heartbeat.report) }) {
                    self.counts.heard.fetch_add(1, Relaxed);
                } else {
                    self.told.refuse(&self.counts, now, Refused::Overflow, from, || "ticks take too long".to_owned());
                }
                Took::Taken
            }
            Ok(Verdict::Greet(welcome)) => {
                self.counts.keep(self.receiver.sessions());
                // An old heartbeat can be sent again in another's name: welcomes must not become that one's flood.
                if !self.greets.take(now, from, WELCOMES) {
                    self.told.refuse(&self.counts, now, Refused::Asked, from, || "it asks for sessions".to_owned());
                    return Took::TooMuch;
                }
                self.counts.greeted.fetch_add(1, Relaxed);
                let sign = |id: u32, bytes: &[u8]| keyring.sign(id, bytes);
                welcome.encode(sign).map_or_else(Took::Refused, Took::Welcome)
            }
            Err(fault) => {
                self.told.refuse(&self.counts, now, Refused::of(&fault), from, || fault.to_string());
                let HeartbeatFault::Report { worker, .. } = fault else { return Took::Refused(fault) };
                // One more or less of a worker's absurd reports is all one.
                let _ = self.waiting.keep(Beat { worker, at: now, every: keyring.every(), report: None });
                Took::Taken
            }
        }
    }

    #[cfg(test)]
    pub(super) fn sessions(&self) -> usize {
        self.receiver.sessions()
    }

    /// Forgets workers of whom `knows` says no.
    pub(super) fn forget(&mut self, knows: impl FnMut(&str) -> bool) {
        self.receiver.retain(knows);
        self.counts.keep(self.receiver.sessions());
    }
}

/// A session that nobody can guess.
fn drawn() -> Option<Session> {
    let mut session = Session::default();
    aws_lc_rs::rand::fill(&mut session).ok()?;
    Some(session)
}

/// Workers with sessions. Source: ours; five pools of the most workers that one may have (R-C6).
const MOST_SESSIONS: usize = 50_000;
/// How long a source that signed is taken for one that does. Source: ours; twenty heartbeats.
const SIGNED_WITHIN: Span = Span::from_secs(10);
/// What a source that signs may send while datagrams pile up. Source: R-C6, all workers behind one address.
const SIGNED: Rate = Rate { each: Span::from_micros(50), burst: 20_000 };
/// The same of any other. Source: ours; a hundred a second begin fifty workers' heartbeats.
const UNSIGNED: Rate = Rate { each: Span::from_millis(10), burst: 100 };
/// Welcomes to one source. Source: ours; all workers behind one address begin anew within ten seconds.
const WELCOMES: Rate = Rate { each: Span::from_millis(1), burst: 1_000 };
