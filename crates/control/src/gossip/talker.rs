//! The thread that talks: rounds, their second sendings, what comes, and names that are looked up.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ambidex_core::time::{Mono, Span};
use ambidex_wire::gossip::{self, GossipFault, Hearer, MOST_BYTES, Verdict, talks};
use ambidex_wire::heartbeat::Session;
use ambidex_wire::heartbeat::key::Key;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, mpsc};

use super::elsewhere::Speaking;
use super::peers::{Peer, Speakers};
use super::standing::{Came, Standing};
use crate::config::{GossipConfig, MOST_PEERS, PeerAddress};
use crate::coordinator::Shared;
use crate::heartbeats::allowance::{Allowances, Rate};

/// What the thread keeps.
pub(super) struct Talker {
    name: String,
    key: Key,
    every: Span,
    socket: UdpSocket,
    shared: Arc<Shared>,
    standing: Arc<Standing>,
    peers: Vec<Peer>,
    speakers: Speakers,
    hearer: Hearer,
    /// More came than could be read at once.
    pressed: bool,
    sources: Allowances,
    greets: Allowances,
    round: u64,
}

type Found = (PeerAddress, Result<SocketAddr, String>);

impl Talker {
    pub(super) fn new(
        config: &GossipConfig,
        name: String,
        key: Key,
        socket: UdpSocket,
        shared: Arc<Shared>,
        standing: Arc<Standing>,
    ) -> Self {
        Self {
            hearer: Hearer::new(name.clone(), MOST_SPEAKERS),
            name,
            key,
            every: config.every,
            socket,
            shared,
            standing,
            peers: config.peers.iter().cloned().map(Peer::new).collect(),
            speakers: Speakers::new(config.every),
            pressed: false,
            sources: Allowances::new(),
            greets: Allowances::new(),
            round: 0,
        }
    }

    /// Until it is told to stop.
    pub(super) async fn run(mut self, stop: &Notify) {
        let clock = self.shared.clock;
        let half = Span::from_nanos(self.every.as_nanos() / 2);
        let (found, mut finds) = mpsc::channel(MOST_PEERS);
        let (mut next, mut again) = (clock.now(), None::<Mono>);
        let mut look = clock.now();
        loop {
            let due = again.map_or(next, |again| again.min(next)).min(look);
            tokio::select! {
                biased;
                () = stop.notified() => return,
                () = tokio::time::sleep_until(clock.instant(due).into()) => {
                    let now = clock.now();
                    if look <= now {
                        look = now + LOOK_AGAIN;
                        self.look_up(&found);
                    }
                    if again.is_some_and(|again| again <= now) {
                        again = None;
                        self.say_again();
                    }
                    if next <= now {
                        self.say(now);
                        // From where it was due, so that rounds keep their pace; unless whole rounds were lost.
                        next = if now.since(next) > self.every { now + self.every } else { next + self.every };
                        again = Some(now + half);
                    }
                }
                Some((place, address)) = finds.recv() => {
                    if let (true, false) = (address.is_err(), self.peers.iter().any(|peer| peer.fault.is_some())) {
                        tracing::warn!(peer = %place, "gossip: {}", address.as_ref().err().map_or("", String::as_str));
                    }
                    self.peers.iter_mut().filter(|peer| peer.place == place).for_each(|peer| peer.found(address.clone()));
                }
                ready = self.socket.readable() => {
                    if ready.is_err() {
                        tokio::time::sleep(PAUSE).await;
                    }
                    self.drain();
                }
            }
            // A flood must not keep the runtime from its other wake-ups.
            tokio::task::yield_now().await;
        }
    }

    /// Has each name looked up, beside.
    fn look_up(&self, found: &mpsc::Sender<Found>) {
        for place in self.peers.iter().map(|peer| peer.place.clone()) {
            let found = found.clone();
            let is_v4 = self.socket.local_addr().is_ok_and(|own| own.is_ipv4());
            tokio::spawn(async move {
                let address = address_of(&place, is_v4).await.map_err(|error| error.to_string());
                // Who asked may be gone.
                let _ = found.send((place, address)).await;
            });
        }
    }

    /// One round: what was counted, to each peer.
    fn say(&mut self, now: Mono) {
        self.round += 1;
        let counts = self.shared.room().talk(now, self.round, MOST_WORKERS);
        let talks = talks(self.round, &self.name, counts);
        for peer in self.peers.iter_mut().filter(|peer| !peer.own) {
            let Some(address) = peer.address else { continue };
            for datagram in peer.round(&self.name, &self.key, &talks) {
                self.standing.sent(self.socket.try_send_to(datagram, address).is_ok());
            }
        }
        for name in self.speakers.fall_silent(now) {
            tracing::warn!(gateway = name, "gossip: a gateway is silent: what it counts is not counted here any more");
        }
        if self.round.is_multiple_of(SWEEP) {
            self.speakers.forget(now);
            let speakers = &self.speakers;
            self.hearer.retain(|name| speakers.knows(name));
        }
        self.standing.show(self.speakers.show(now, &self.peers));
    }

    /// The same datagrams once more: where the first came, they count as having come.
    fn say_again(&self) {
        for peer in self.peers.iter().filter(|peer| !peer.own) {
            let Some(address) = peer.address else { continue };
            for datagram in peer.again() {
                self.standing.sent(self.socket.try_send_to(datagram, address).is_ok());
            }
        }
    }

    /// Takes what has come, at most a batch.
    fn drain(&mut self) {
        let mut datagram = [0; MOST_BYTES + 1];
        let mut came = 0;
        while came < BATCH {
            let Ok((length, from)) = self.socket.try_recv_from(&mut datagram) else { break };
            came += 1;
            self.take(&datagram[..length], from);
        }
        self.pressed = came == BATCH;
    }

    fn take(&mut self, datagram: &[u8], from: SocketAddr) {
        let now = self.shared.clock.now();
        if self.pressed {
            let signs = self.sources.has_signed(now, from.ip(), SIGNED_WITHIN);
            if !self.sources.take(now, from.ip(), if signs { SIGNED } else { UNSIGNED }) {
                self.standing.refuse(now, Came::Flooded, from.ip(), || "too many come from there".to_owned());
                return;
            }
        }
        let is_signed = |_, bytes: &[u8], tag: &[u8]| self.key.signs(bytes, tag);
        if let Some(welcome) = gossip::welcome(datagram, is_signed) {
            self.sources.sign(now, from.ip());
            let ours = welcome.worker == self.name;
            for peer in self.peers.iter_mut().filter(|peer| ours && peer.address == Some(from)) {
                if peer.welcomed(&welcome) {
                    tracing::info!(peer = %peer.place, "gossip: a gateway hears what is counted here");
                }
            }
            return;
        }
        match self.hearer.on(datagram, is_signed, drawn) {
            Ok(Verdict::Heard { name, talk, first }) => {
                self.sources.sign(now, from.ip());
                self.standing.count(Came::Heard);
                let (speaker, was_silent) = self.speakers.heard(now, &name, from, first);
                if was_silent {
                    tracing::info!(gateway = name, %from, "gossip: what a gateway counts is counted here");
                }
                let until = now + self.speakers.life();
                let speaking = Speaking { speaker, round: talk.round, until };
                let unused = self.shared.room().hear_talk(now, speaking, &talk);
                self.standing.cannot_use(unused.pools, unused.workers, unused.absurd);
            }
            Ok(Verdict::Greet(welcome)) => {
                self.sources.sign(now, from.ip());
                self.speakers.greeted(now, &welcome.worker, from);
                // An old one can be sent again in another's name: welcomes must not become that one's flood.
                if !self.greets.take(now, from.ip(), WELCOMES) {
                    self.standing.refuse(now, Came::Asked, from.ip(), || "it asks for sessions".to_owned());
                    return;
                }
                self.standing.count(Came::Greeted);
                if let Ok(datagram) = gossip::welcoming(&welcome, |_, bytes| self.key.sign(bytes)) {
                    // One that is lost is asked for again by the next round.
                    let _ = self.socket.try_send_to(&datagram, from);
                }
            }
            Err(GossipFault::Own) => {
                self.standing.count(Came::Own);
                self.peers.iter_mut().filter(|peer| peer.address == Some(from)).for_each(|peer| peer.own = true);
            }
            Err(fault) => self.standing.refuse(now, Came::of(&fault), from.ip(), || fault.to_string()),
        }
    }
}

/// Where a peer is, of the family that the socket speaks.
async fn address_of(place: &PeerAddress, is_v4: bool) -> io::Result<SocketAddr> {
    let mut all = tokio::net::lookup_host((place.host(), place.port())).await?;
    let found = all.find(|address| address.is_ipv4() == is_v4);
    let none = || io::Error::other(format!("no {} address", if is_v4 { "IPv4" } else { "IPv6" }));
    found.ok_or_else(none).map_err(|error| io::Error::other(format!("{place} is not found: {error}")))
}

/// A session that nobody can guess.
fn drawn() -> Option<Session> {
    let mut session = Session::default();
    aws_lc_rs::rand::fill(&mut session).ok()?;
    Some(session)
}

/// Gateways that are heard, with those that began anew within a minute. Source: the peers, four times.
const MOST_SPEAKERS: usize = 4 * (MOST_PEERS + 1);
/// Workers of a pool that a round tells of. Source: ours; about 150 datagrams, and 10,000 have their turn within 2 s.
const MOST_WORKERS: usize = 1_500;
/// Datagrams that are read until other things have their turn. Source: as of heartbeats.
const BATCH: usize = 512;
/// Every so many rounds those who are gone are forgotten. Source: ours; some ten seconds.
const SWEEP: u64 = 40;
/// How often names are looked up. Source: as of heartbeats' senders.
const LOOK_AGAIN: Span = Span::from_secs(30);
/// How long a source that signed is taken for one that does. Source: as of heartbeats.
const SIGNED_WITHIN: Span = Span::from_secs(10);
/// What a source that signs may send while datagrams pile up. Source: the most that rounds of one gateway have, twice.
const SIGNED: Rate = Rate { each: Span::from_micros(50), burst: 20_000 };
/// The same of any other. Source: as of heartbeats.
const UNSIGNED: Rate = Rate { each: Span::from_millis(10), burst: 100 };
/// Welcomes to one source. Source: ours; all gateways behind one address begin anew within a second.
const WELCOMES: Rate = Rate { each: Span::from_millis(10), burst: 100 };
/// Source: ours; what the system is short of comes back by itself.
const PAUSE: Duration = Duration::from_millis(100);
