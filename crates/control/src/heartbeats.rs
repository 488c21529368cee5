//! Hears workers' heartbeats: UDP on a thread of its own, beside the loop and never on the way of a request [R-S3].
//!
//! ```text
//! datagram -> piled up, and its source sends what nobody signed? dropped
//!          -> mark, length, signature (before anything is copied) -> does the key speak for this worker, is there one?
//!          -> session, replay window -> report checked -> waits -> Room, as of when it came here
//!          \__ signed, without our session: a welcome with one
//! ```
//! A thread, because a flood must not delay a tick; and it never waits for the room, because a tick of thousands of workers
//! holds that for longer than the system keeps datagrams: who is there is read from a snapshot, and what is believed
//! [waits](waiting) until the room is free. What is kept does not grow with what strangers send: sessions are for workers
//! that are there, sources lie in a table of fixed size. Each refusal is counted by its kind, and told in one line a minute.
//!
//! Keys are read before they are used, so that a reload with a bad one changes nothing; workers keep their sessions
//! through it.

pub(crate) mod allowance;
mod counts;
mod ear;
mod keyring;
mod socket;
mod streams;
#[cfg(test)]
pub(crate) mod tests;
mod waiting;

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ambidex_wire::heartbeat::MOST_BYTES;
use ambidex_wire::heartbeat::key::KeyFault;
use arc_swap::ArcSwap;
use tokio::net::UdpSocket;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::config::HeartbeatsConfig;
use crate::coordinator::Shared;
use crate::tls::TlsError;
pub(crate) use counts::Counts;
pub use counts::{HeartbeatsStatus, Listening, Totals};
use ear::{Ear, Took};
use keyring::Keyring;
use socket::{Door, Entry};
pub(crate) use waiting::{Beat, Waiting};

/// The names of all workers that are there.
pub(crate) type Names = HashSet<Arc<str>>;

/// Why heartbeats cannot be heard.
#[derive(Debug, thiserror::Error)]
pub enum HearError {
    /// A key that is none.
    #[error("heartbeats: key {id}: {source}")]
    Key {
        /// Which key.
        id: u32,
        /// What is wrong with its file.
        source: KeyFault,
    },
    /// The address for streams cannot be had.
    #[error(
        "heartbeats.grpc.address {0} cannot be listened at: {1}; another process may use it, then give another port"
    )]
    Streams(SocketAddr, #[source] std::io::Error),
    /// TLS of streams cannot be spoken.
    #[error("heartbeats.grpc.{0}")]
    StreamsTls(#[from] TlsError),
    /// The address cannot be had.
    #[error("heartbeats.listen {0} cannot be listened at: {1}; another process may use it, then give another port")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The system gave no thread, or no runtime.
    #[error("the thread that hears heartbeats could not start: {0}")]
    Thread(#[source] std::io::Error),
}

/// A running receiver; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Hearing {
    config: HeartbeatsConfig,
    address: SocketAddr,
    streams: Option<SocketAddr>,
    keyring: Arc<ArcSwap<Keyring>>,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

/// What a configuration needs, had: taking it over cannot fail any more.
#[derive(Debug)]
pub struct Opened(Option<Ready>);

#[derive(Debug)]
struct Ready {
    config: HeartbeatsConfig,
    keyring: Keyring,
    /// `None`: those in use listen there already.
    doors: Option<Doors>,
}

/// Where heartbeats come in.
#[derive(Debug)]
struct Doors {
    datagrams: Door,
    streams: Option<streams::Listening>,
}

/// Has keys and socket ready for `config`; `current` is what runs.
pub(crate) fn open(config: Option<&HeartbeatsConfig>, current: Option<&Hearing>) -> Result<Opened, HearError> {
    let Some(config) = config else { return Ok(Opened(None)) };
    let keyring = Keyring::read(config)?;
    let stays = current.is_some_and(|hearing| hearing.config.listen == config.listen);
    let doors = if stays { None } else { Some(Doors::open(config)?) };
    Ok(Opened(Some(Ready { config: config.clone(), keyring, doors })))
}

impl Doors {
    fn open(config: &HeartbeatsConfig) -> Result<Self, HearError> {
        let datagrams = Door::open(config.listen).map_err(|error| HearError::Listen(config.listen, error))?;
        let streams = config.grpc.as_ref().map(streams::Listening::open).transpose()?;
        Ok(Self { datagrams, streams })
    }
}

/// Takes over what was opened, in place of what runs in `current`.
pub(crate) fn take(opened: Opened, current: &mut Option<Hearing>, shared: &Arc<Shared>) -> Result<(), HearError> {
    match (opened.0, &mut *current) {
        (None, _) => *current = None,
        (Some(Ready { config, keyring, doors: None }), Some(hearing)) => {
            hearing.keyring.store(Arc::new(keyring));
            hearing.config = config;
        }
        (Some(Ready { config, keyring, doors: Some(doors) }), _) => {
            *current = Some(Hearing::start(config, keyring, doors, Arc::clone(shared))?);
        }
        // Opened for one that has ended since.
        (Some(Ready { doors: None, .. }), None) => {}
    }
    let listening = current.as_ref().map(Hearing::listening);
    shared.room().heartbeats.listen(listening);
    Ok(())
}

impl Hearing {
    fn start(config: HeartbeatsConfig, keyring: Keyring, doors: Doors, shared: Arc<Shared>) -> Result<Self, HearError> {
        let Doors { datagrams: Door { socket, address }, streams } = doors;
        let (keyring, stop) = (Arc::new(ArcSwap::from_pointee(keyring)), Arc::<Notify>::default());
        let stopped = Arc::clone(&stop);
        let streams_at = streams.as_ref().map(streams::Listening::address);
        let ears = Arc::new(Ears::of(shared, Arc::clone(&keyring)));
        let (ready, is_ready) = std::sync::mpsc::channel();
        // The runtime is made and dropped over there: whoever reloads may be within one, where that is not allowed.
        let run = move || match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                drop(ready.send(Ok(())));
                runtime.block_on(async {
                    if let Some(streams) = streams {
                        tokio::spawn(streams::serve(streams, Arc::clone(&ears)));
                    }
                    hear(socket, &ears, &stopped).await;
                });
                // Connections end with their thread.
                runtime.shutdown_background();
            }
            Err(error) => drop(ready.send(Err(error))),
        };
        let thread = std::thread::Builder::new().name("heartbeats".into()).spawn(run).map_err(HearError::Thread)?;
        let ended = |_| std::io::Error::other("the thread ended at once");
        is_ready.recv().map_err(ended).and_then(|ready| ready).map_err(HearError::Thread)?;
        tracing::info!(%address, keys = config.keys.list().len(), "hears heartbeats");
        Ok(Self { config, address, streams: streams_at, keyring, stop, thread: Some(thread) })
    }

    /// Where it hears, and by which keys.
    fn listening(&self) -> Listening {
        Listening {
            listen: self.address,
            grpc: self.streams,
            every_ms: self.config.every.as_millis(),
            keys: self.config.keys.list().iter().map(|key| key.id).collect(),
        }
    }
}

impl Drop for Hearing {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic over there was told when it happened.
            let _ = thread.join();
        }
    }
}

/// What all carriers of heartbeats share: one ear, so that a worker has one session, however it sends.
#[derive(Debug)]
struct Ears {
    clock: Clock,
    keyring: Arc<ArcSwap<Keyring>>,
    names: Arc<ArcSwap<Names>>,
    waiting: Arc<Waiting>,
    counts: Arc<Counts>,
    /// All that use it run on one thread: nobody waits for it.
    ear: Mutex<Ear>,
    shared: Arc<Shared>,
}

impl Ears {
    fn of(shared: Arc<Shared>, keyring: Arc<ArcSwap<Keyring>>) -> Self {
        let (counts, waiting, names) = {
            let room = shared.room();
            (Arc::clone(&room.heartbeats), Arc::clone(&room.waiting), Arc::clone(&room.names))
        };
        let ear = Mutex::new(Ear::new(Arc::clone(&counts), Arc::clone(&waiting)));
        Self { clock: shared.clock, keyring, names, waiting, counts, ear, shared }
    }

    fn ear(&self) -> MutexGuard<'_, Ear> {
        self.ear.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one heartbeat.
    fn take(&self, datagram: &[u8], from: IpAddr) -> Took {
        let names = self.names.load();
        let knows = |worker: &str| names.contains(worker);
        self.ear().take(self.clock.now(), datagram, from, &self.keyring.load(), knows)
    }

    /// Hands over what waits, if the room is free.
    fn hand_over(&self) {
        if self.waiting.any()
            && let Some(mut room) = self.shared.room_if_free()
        {
            self.waiting.hand_over(&mut room);
        }
    }
}

/// Hears until it is told to stop.
async fn hear(socket: std::net::UdpSocket, ears: &Ears, stop: &Notify) {
    let entry = Entry::of(&socket);
    let socket = match UdpSocket::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => {
            return tracing::error!(%error, "heartbeats are not heard: the runtime does not take their socket");
        }
    };
    let _deaf = Deaf(&ears.waiting);
    let (mut sweeps, mut looks) = (tokio::time::interval(SWEEP), tokio::time::interval(LOOK));
    looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.notified() => return,
            _ = sweeps.tick() => {
                let names = ears.names.load();
                ears.ear().forget(|worker| names.contains(worker));
            }
            _ = looks.tick() => ears.counts.drop_to(entry.and_then(Entry::dropped).unwrap_or(0)),
            () = tokio::time::sleep(TRY_AGAIN), if ears.waiting.any() => {}
            ready = socket.readable() => {
                if let Err(error) = ready {
                    tracing::warn!(%error, "heartbeats: the socket cannot be waited for");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
                if drain(&socket, ears) {
                    ears.waiting.read_all(ears.clock.now());
                }
            }
        }
        ears.hand_over();
        // A flood must not keep the runtime from its other wake-ups.
        tokio::task::yield_now().await;
    }
}

/// Takes what has come, at most a batch; whether that was all.
fn drain(socket: &UdpSocket, ears: &Ears) -> bool {
    let mut datagram = [0; MOST_BYTES + 1];
    let mut came = 0;
    while came < BATCH {
        // What is longer than any is cut, and refused by its length.
        let Ok((length, from)) = socket.try_recv_from(&mut datagram) else { break };
        came += 1;
        if ears.ear().is_too_much(ears.clock.now(), from.ip()) {
            continue;
        }
        match ears.take(&datagram[..length], from.ip()) {
            Took::Taken | Took::TooMuch | Took::Refused(_) => {}
            Took::Welcome(welcome) => {
                // One that is lost here is as one that is lost on its way: the next heartbeat asks again.
                let _ = socket.try_send_to(&welcome, from);
            }
        }
    }
    ears.ear().pressed(came == BATCH);
    came < BATCH
}

/// Says at its end that nobody listens any more.
struct Deaf<'a>(&'a Waiting);

impl Drop for Deaf<'_> {
    fn drop(&mut self) {
        self.0.deaf();
    }
}

/// Datagrams that are read until what they said is handed on. Source: ours; a fortieth of a second of 10,000 workers.
const BATCH: usize = 512;
/// How soon the room is tried again that was not free. Source: ours; a fiftieth of a tick of 10,000 workers.
const TRY_AGAIN: Duration = Duration::from_millis(2);
/// How often sessions of workers that are gone are forgotten. Source: ours.
const SWEEP: Duration = Duration::from_secs(10);
/// How often the system is asked what it dropped. Source: ours.
const LOOK: Duration = Duration::from_secs(1);
/// Source: ours; what the system is short of comes back by itself.
const PAUSE: Duration = Duration::from_millis(100);
