//! Recording of traffic: requests, after TLS, and what became of them, into a file that `ambidex replay` reads.
//!
//! ```text
//! thread 0: a draw ─ Take (head, body and answer read along) ─ Reel ──┐ full, or each 200 ms
//! thread 1: ...                                                Reel ──┴─> channel (64) ──> writer thread ──> file
//! ```
//! A request that is not drawn costs the draw; one that is costs copies of its head and a digest of each body, and goes
//! through memory where it would have gone from socket to socket. Nobody waits: when the writer is behind, exchanges are
//! dropped and counted, and a file that cannot be written stops the recording and nothing else. Without settings there
//! is no reel, and nothing is paid.

mod redact;
mod take;
mod writer;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use ambidex_core::share::Share;
use ambidex_core::size::Size;
use ambidex_core::time::Mono;
use ambidex_tower::Clock;
use ambidex_wire::recording::{Exchange, Header, VERSION};

use self::redact::Redaction;
use crate::clock::Wall;
use crate::config::{Recording, RouteRecording};
use crate::request::Request;
use crate::serve::exchange::Client;

pub(crate) use self::take::{Outcome, Take, Track};

/// The recording of a process: where reels come from.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    config: Arc<Recording>,
    redaction: Arc<Redaction>,
    began: Mono,
    orders: SyncSender<Vec<Exchange>>,
    counters: Arc<Counters>,
}

/// What became of exchanges.
#[derive(Debug, Default)]
struct Counters {
    written: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    beyond: AtomicU64,
}

/// Numbers of the recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordingStats {
    /// Exchanges written.
    pub written: u64,
    /// Exchanges dropped because the writer was behind.
    pub dropped: u64,
    /// Exchanges lost because the file could not be written.
    pub failed: u64,
    /// Exchanges left out because the file is as large as it may be.
    pub beyond: u64,
}

/// Ends when the writer has written all and ended; reels and recorders must be gone for that.
pub(crate) type Ended = Receiver<()>;

impl Recorder {
    /// Starts the writer; now is time 0 of what it writes.
    pub(crate) fn start(config: &Recording, clock: Clock) -> io::Result<(Self, Ended)> {
        let began = clock.now();
        let (orders, ordered) = sync_channel(MOST_BATCHES);
        let (counters, redaction) = (Arc::new(Counters::default()), Arc::new(Redaction::new(config)));
        let header = Header {
            version: VERSION,
            began_ms: Wall::now().0 / 1_000_000,
            sample: config.sample,
            bodies: config.bodies,
            redacted: redaction.fields().to_vec(),
            writer: concat!("ambidex ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let ended = writer::start(config, header, clock, ordered, Arc::clone(&counters))?;
        Ok((Self { config: Arc::new(config.clone()), redaction, began, orders, counters }, ended))
    }

    /// What it was started by.
    pub(crate) fn config(&self) -> &Recording {
        &self.config
    }

    /// A reel for a thread.
    pub(crate) fn reel(&self) -> Rc<Reel> {
        Rc::new(Reel {
            usual: Portion { sample: self.config.sample, bodies: bytes(self.config.bodies) },
            began: self.began,
            redaction: Arc::clone(&self.redaction),
            held: Rc::default(),
            batch: RefCell::default(),
            orders: self.orders.clone(),
            counters: Arc::clone(&self.counters),
        })
    }

    /// The numbers of now.
    pub(crate) fn stats(&self) -> RecordingStats {
        let Counters { written, dropped, failed, beyond } = &*self.counters;
        let of = |count: &AtomicU64| count.load(Relaxed);
        RecordingStats { written: of(written), dropped: of(dropped), failed: of(failed), beyond: of(beyond) }
    }
}

/// Takes down what one thread serves.
#[derive(Debug)]
pub(crate) struct Reel {
    usual: Portion,
    began: Mono,
    redaction: Arc<Redaction>,
    held: Rc<Cell<usize>>,
    batch: RefCell<Batch>,
    orders: SyncSender<Vec<Exchange>>,
    counters: Arc<Counters>,
}

/// How much is recorded.
#[derive(Clone, Copy, Debug)]
struct Portion {
    /// Of the requests.
    sample: Share,
    /// Up to which length bodies of requests are kept.
    bodies: usize,
}

#[derive(Debug, Default)]
struct Batch {
    exchanges: Vec<Exchange>,
    bytes: usize,
}

impl Reel {
    /// Begins to record a request, if it is drawn; `apart` is what its route says otherwise.
    pub(crate) fn take(
        self: &Rc<Self>,
        apart: Option<RouteRecording>,
        request: &Request,
        client: &Client,
        arrived: Mono,
    ) -> Option<Take> {
        let RouteRecording { sample, bodies } = apart.unwrap_or_default();
        let Portion { sample: usual, bodies: usually } = self.usual;
        let portion = Portion { sample: sample.unwrap_or(usual), bodies: bodies.map_or(usually, bytes) };
        let drawn = client.thread.unit() < portion.sample.get();
        drawn.then(|| Take::begin(Rc::clone(self), portion, request, client, arrived))
    }

    fn put(&self, exchange: Exchange) {
        let mut batch = self.batch.borrow_mut();
        batch.bytes += weight(&exchange);
        batch.exchanges.push(exchange);
        if batch.bytes >= FULL {
            self.hand_over(&mut batch);
        }
    }

    /// Hands over what there is. To be called each [`FLUSH_EACH`](crate::access_log::FLUSH_EACH).
    pub(crate) fn flush(&self) {
        self.hand_over(&mut self.batch.borrow_mut());
    }

    fn hand_over(&self, batch: &mut Batch) {
        let Batch { exchanges, .. } = std::mem::take(batch);
        let count = exchanges.len() as u64;
        if count > 0 && self.orders.try_send(exchanges).is_err() {
            self.counters.dropped.fetch_add(count, Relaxed);
        }
    }
}

impl Drop for Reel {
    fn drop(&mut self) {
        self.flush();
    }
}

fn bytes(size: Size) -> usize {
    usize::try_from(size.get()).unwrap_or(usize::MAX)
}

/// About how many bytes an exchange takes in memory.
fn weight(exchange: &Exchange) -> usize {
    let fields: usize =
        exchange.fields.iter().map(|(name, value)| name.len() + 64 + value.as_bytes().map_or(0, <[u8]>::len)).sum();
    let body = exchange.body.as_ref().and_then(|body| body.base64.as_ref()).map_or(0, Vec::len);
    size_of::<Exchange>() + exchange.target.len() + fields + body
}

/// Bytes of a batch. Source: as for the access log, a wake-up of the writer for some hundred requests.
const FULL: usize = 64 << 10;
/// How many batches wait for the writer: 4 MiB, and more only by as many bodies of at most 1 MiB. Source: as for the
/// access log.
const MOST_BATCHES: usize = 64;

#[cfg(test)]
mod tests;
