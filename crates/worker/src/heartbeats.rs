//! Sends heartbeats: the worker's report, signed, to each coordinator every half second [R-S3].
//!
//! ```text
//! each coordinator has a task, a socket (or a [stream]), a session and a name lookup of its own: none waits for another
//!   moment due -> report, signed, sent          (a name is looked up beside it; until it is known nothing is sent)
//!   welcome    -> its session, and a heartbeat soon
//! every half minute: the name looked up again, and a new socket, whatever became of the old one
//! ```
//! Nothing that the network does ends it: what cannot be sent is one heartbeat less, told when it begins and when it
//! ends. No clock is sent, so that a clock which is wrong or jumps changes nothing. The moments are not in step: each is
//! up to a tenth early or late, or a fleet that was started at once would knock at once.

mod config;
mod secure;
mod stream;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ambidex_core::draw::Draw;
use ambidex_core::time::Span;
use ambidex_wire::heartbeat::key::{Key, KeyFault};
use ambidex_wire::heartbeat::{MOST_BYTES, Sender, Welcome};
use tokio::net::UdpSocket;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::gate::Gate;

pub use config::{SendHeartbeats, SendingError, SigningKey, Target};
pub use secure::{BeatTls, Duplex, Secure, Securing};

/// What became of heartbeats since the start, to all coordinators.
#[derive(Debug, Default)]
pub struct SentCounts {
    sent: AtomicU64,
    unsent: AtomicU64,
    welcomed: AtomicU64,
}

impl SentCounts {
    /// Sent, not sent, and sessions that were taken over; each with its word for metrics.
    #[must_use]
    pub fn all(&self) -> [(&'static str, u64); 3] {
        [("sent", &self.sent), ("unsent", &self.unsent), ("welcomed", &self.welcomed)]
            .map(|(word, count)| (word, count.load(Relaxed)))
    }
}

/// What heartbeats need.
#[derive(Debug)]
pub(crate) struct Beats {
    config: SendHeartbeats,
    key: Key,
    clock: Clock,
    gate: Arc<Gate>,
    counts: Arc<SentCounts>,
    secure: Option<Arc<dyn Secure>>,
}

impl Beats {
    /// Reads the key.
    pub(crate) fn read(
        config: SendHeartbeats,
        gate: Arc<Gate>,
        counts: Arc<SentCounts>,
        secure: Option<Arc<dyn Secure>>,
    ) -> Result<Self, KeyFault> {
        let key = Key::read(&config.key.file)?;
        Ok(Self { config, key, clock: Clock::starting_now(), gate, counts, secure })
    }

    /// Sends them until it is dropped. Within a runtime only.
    pub(crate) async fn send(self) {
        let beats = Arc::new(self);
        let mut tasks = JoinSet::new();
        for target in &beats.config.to {
            let (beats, target) = (Arc::clone(&beats), target.clone());
            if target.is_streamed() {
                tasks.spawn(stream::Line::new(beats, target).hold());
            } else {
                tasks.spawn(Line::new(beats, target).hold());
            }
        }
        while tasks.join_next().await.is_some() {}
    }
}

/// The way to one coordinator.
struct Line {
    beats: Arc<Beats>,
    target: Target,
    /// What its name stands for, the one in use first.
    addresses: Vec<SocketAddr>,
    socket: Option<UdpSocket>,
    /// Whether the socket may have something to read: an error is told again and again until the next heartbeat.
    hears: bool,
    sender: Sender,
    /// Heartbeats since something was last heard from there.
    unanswered: u64,
    draw: Draw,
    /// What was last told of it.
    told: Option<String>,
}

type Lookup = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// What a line waits for.
enum Next {
    Beat,
    Came(io::Result<usize>),
    Found(io::Result<Vec<SocketAddr>>),
}

impl Line {
    fn new(beats: Arc<Beats>, target: Target) -> Self {
        let draw = Draw::seeded(RandomState::new().build_hasher().finish());
        let (addresses, socket, sender, told) = (Vec::new(), None, Sender::default(), None);
        Self { beats, target, addresses, socket, hears: false, sender, unanswered: 0, draw, told }
    }

    /// Sends at its moments, for ever.
    async fn hold(mut self) {
        let clock = self.beats.clock;
        let (every, gate) = (self.beats.config.every, Arc::clone(&self.beats.gate));
        let mut datagram = [0; MOST_BYTES];
        let mut lookup: Option<Lookup> = None;
        let (mut look_at, mut last) = (clock.now(), clock.now());
        let mut due = clock.now() + part(every, self.draw.unit());
        loop {
            if lookup.is_none() && clock.now() >= look_at {
                lookup = Some(look_up(self.target.clone()));
            }
            let next = tokio::select! {
                () = tokio::time::sleep(clock.until(due)) => Next::Beat,
                () = gate.turned() => Next::Beat,
                came = receive(self.socket.as_ref(), &mut datagram), if self.hears => Next::Came(came),
                found = resolved(&mut lookup) => Next::Found(found),
            };
            match next {
                Next::Beat => {
                    self.beat();
                    last = clock.now();
                    due = last + part(every, 0.9 + 0.2 * self.draw.unit());
                }
                Next::Came(Ok(length)) => {
                    if self.welcomed(&datagram[..length]) {
                        // An old welcome that is sent again must not make a flood of it.
                        due = due.min((last + SOON).max(clock.now()));
                    }
                }
                Next::Came(Err(_)) => self.hears = false,
                Next::Found(found) => {
                    lookup = None;
                    look_at = clock.now() + if found.is_ok() { LOOK_AGAIN } else { LOOK_SOON };
                    self.found(found);
                }
            }
        }
    }

    fn beat(&mut self) {
        let beats = Arc::clone(&self.beats);
        if beats.gate.is_silent() {
            return;
        }
        let config = &beats.config;
        let sent = match &self.socket {
            Some(socket) => {
                let heartbeat = self.sender.next(config.key.id, &config.name, beats.gate.report());
                let datagram = heartbeat.encode(|_, bytes| beats.key.sign(bytes)).map_err(io::Error::other);
                datagram.and_then(|datagram| socket.try_send(&datagram))
            }
            None => Err(io::Error::other("its address is not known yet")),
        };
        self.hears = self.socket.is_some();
        match sent {
            Ok(_) => {
                beats.counts.sent.fetch_add(1, Relaxed);
                self.unanswered += 1;
                if self.unanswered == PATIENCE {
                    self.tell(UNANSWERED);
                    self.turn();
                }
            }
            Err(error) => {
                beats.counts.unsent.fetch_add(1, Relaxed);
                self.turn();
                self.tell(&format!("a heartbeat could not be sent: {error}"));
            }
        }
    }

    /// Takes a welcome; whether it is news.
    fn welcomed(&mut self, datagram: &[u8]) -> bool {
        let beats = &self.beats;
        let Ok(welcome) = Welcome::decode(datagram, |_, bytes, tag| beats.key.signs(bytes, tag)) else { return false };
        let ours = welcome.key == beats.config.key.id && welcome.worker == beats.config.name;
        let is_news = ours && self.sender.welcomed(&welcome);
        if is_news {
            self.beats.counts.welcomed.fetch_add(1, Relaxed);
            // Who has a session is answered no more until the other side starts anew.
            self.unanswered = PATIENCE + 1;
            self.told = None;
            tracing::info!(to = %self.target, name = self.beats.config.name, "heartbeats are heard");
        }
        is_news
    }

    /// Takes the answer of a lookup: the address in use stays while it is among them.
    fn found(&mut self, found: io::Result<Vec<SocketAddr>>) {
        match found {
            Ok(mut addresses) => {
                match self.addresses.first().and_then(|used| addresses.iter().position(|address| address == used)) {
                    Some(at) => addresses.rotate_left(at),
                    None => self.unanswered = 0,
                }
                self.addresses = addresses;
                self.connect();
            }
            Err(error) => self.tell(&format!("its name is not found: {error}")),
        }
    }

    /// Tries the next address of its name, which may be the same, with a new socket.
    fn turn(&mut self) {
        if self.addresses.len() > 1 {
            self.addresses.rotate_left(1);
            self.unanswered = 0;
        }
        self.connect();
    }

    /// Has a new socket, if one is to be had.
    fn connect(&mut self) {
        let Some(address) = self.addresses.first() else { return };
        match connected(*address) {
            Ok(socket) => {
                self.socket = Some(socket);
                self.hears = true;
            }
            Err(error) => self.tell(&format!("no socket: {error}")),
        }
    }

    /// Once, not with each heartbeat.
    fn tell(&mut self, why: &str) {
        if self.told.as_deref() != Some(why) {
            tracing::warn!(to = %self.target, name = self.beats.config.name, "heartbeats: {why}");
            self.told = Some(why.to_owned());
        }
    }
}

/// A socket that hears nobody but `address`.
fn connected(address: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = if address.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = std::net::UdpSocket::bind(any)?;
    socket.connect(address)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

async fn receive(socket: Option<&UdpSocket>, datagram: &mut [u8]) -> io::Result<usize> {
    match socket {
        Some(socket) => socket.recv(datagram).await,
        None => std::future::pending().await,
    }
}

/// The system's lookup, on a thread of the runtime's pool: it may take as long as it likes.
fn look_up(target: Target) -> Lookup {
    Box::pin(
        async move { Ok(tokio::net::lookup_host((target.host(), target.port())).await?.take(MOST_FOUND).collect()) },
    )
}

async fn resolved(lookup: &mut Option<Lookup>) -> io::Result<Vec<SocketAddr>> {
    match lookup {
        Some(lookup) => lookup.await,
        None => std::future::pending().await,
    }
}

fn part(span: Span, part: f64) -> Span {
    Span::from_secs_f64(span.as_secs_f64() * part)
}

/// How long after a heartbeat the next may come that a welcome asks for. Source: ours; a tenth of a period.
const SOON: Span = Span::from_millis(50);
/// How often a name is looked up again. Source: ours; a coordinator that moved is found within a minute.
const LOOK_AGAIN: Span = Span::from_secs(30);
/// The same while it is not found. Source: ours.
const LOOK_SOON: Span = Span::from_secs(2);
/// Heartbeats without any answer after which that is told. Source: ours; five seconds.
const PATIENCE: u64 = 10;
const UNANSWERED: &str = "nothing was heard from there: the key, the worker's name, or who listens there may be wrong";
/// Addresses of a name that are looked at. Source: ours.
const MOST_FOUND: usize = 64;

#[cfg(test)]
mod tests;
